/* exhaust.c - memory ends at every possible moment: for n = 0, 1, 2, ... the system grants n more requests and none after,
 * while a script runs that uses every function. Each failure must be NULL with ENOMEM and leave old blocks as they were;
 * when memory is back everything must work, and nothing be lost.
 *
 * Each n is a forked child, linked to the toolkit one whose heap has not begun: also the very first allocations of a
 * process, a thread and a heap fail in turn. The last n is the one at which nothing fails any more.
 */
#include "../common/check.h"
#include "../common/pattern.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>

#include "../common/family.h"

enum { BLOCKS = 400, THREADS = 2, REQUESTS_MOST = 5000 };

/* Each n up to EACH, from there on every STEP-th: a child takes TSan two seconds, any other a seventh of one, and harden=3 needs 400 of
 * them. */
#ifdef ALLOT_SANITIZED
enum { EACH = 32, STEP = 13 };
#else
enum { EACH = REQUESTS_MOST, STEP = 1 };
#endif

enum { DONE = 0, SOMETHING_FAILED = 10 };

static struct live {
    void *p;
    size_t size;
} blocks[BLOCKS];
static size_t count;
static unsigned failures;

/* Whether there is a block; if not, it must be for want of memory. */
static bool there(const void *p)
{
    if (!p) {
        CHECK(errno == ENOMEM);
        __atomic_fetch_add(&failures, 1, __ATOMIC_RELAXED);
    }
    errno = 0;
    return p != NULL;
}

static void keep(void *p, size_t size)
{
    if (!there(p))
        return;
    CHECK(count < BLOCKS);
    pattern_fill(p, size, (uintptr_t)p);
    blocks[count++] = (struct live){p, size};
}

static void verify(const struct live *live) { CHECK(pattern_holds(live->p, live->size, (uintptr_t)live->p, true)); }

static void verify_all(void)
{
    for (size_t i = 0; i < count; i++)
        verify(&blocks[i]);
}

static struct live take_out(size_t i)
{
    struct live live = blocks[i];
    verify(&live);
    blocks[i] = blocks[--count];
    return live;
}

static const size_t sizes[] = {0, 16, 100, 1000, 1500, 9000, 32768, 33000, 70000, 300000, 2200000};

enum { SIZES = sizeof sizes / sizeof sizes[0] };

static void allocate(void)
{
    for (size_t i = 0; i < SIZES; i++) {
        size_t size = sizes[i];
        keep(malloc(size), size);
        void *zeroed = calloc(2, size / 2);
        CHECK(!zeroed || pattern_zero(zeroed, size / 2 * 2));
        keep(zeroed, size / 2 * 2);
        keep(aligned_alloc(64, size), size);
        keep(memalign((size_t)1 << (i + 10), size), size);
        keep(valloc(size), size);
        keep(pvalloc(size), size);
        keep(realloc(NULL, size), size);
        keep(reallocarray(NULL, 3, size / 3), size / 3 * 3);

        void *untouched = &failures, *p = untouched;
        int result = posix_memalign(&p, (size_t)4 << 20, size);
        CHECK(result == 0 || (result == ENOMEM && p == untouched));
        if (result == 0)
            keep(p, size);
        else
            failures++;
    }
}

/* Every block to another size, larger and smaller; one that cannot be moved stays as it is. */
static void resize(void)
{
    for (size_t i = 0, n = count; i < n; i++) {
        struct live live = take_out(0);
        size_t size = sizes[i * 5 % SIZES] + 1;
        if (i % 3 == 0 && toolkit.try_expand(live.p, size))
            size = live.size > size ? live.size : size;
        else if (i % 3 == 0)
            size = live.size;
        else {
            void *p = i % 3 == 1 ? realloc(live.p, size) : reallocarray(live.p, 1, size);
            if (there(p)) {
                CHECK(pattern_holds(p, live.size < size ? live.size : size, (uintptr_t)live.p, false));
                live.p = p;
            } else {
                verify(&live);
                size = live.size;
            }
        }
        keep(live.p, size);
    }
}

static void *use_in_thread(void *arg)
{
    struct live mine[SIZES] = {0};
    for (size_t i = 0; i < SIZES; i++) {
        mine[i] = (struct live){malloc(sizes[i]), sizes[i]};
        if (there(mine[i].p))
            pattern_fill(mine[i].p, sizes[i], (uintptr_t)mine[i].p);
    }
    struct live *others = arg; /* made by the main thread */
    free(others->p);
    for (size_t i = 0; i < SIZES; i++) {
        if (mine[i].p)
            verify(&mine[i]);
        if (i != 3)
            free(mine[i].p);
    }
    *others = mine[3]; /* for the main thread to free */
    return NULL;
}

static void use_threads(void)
{
    struct live exchanged[THREADS];
    pthread_t threads[THREADS];
    bool lives[THREADS];
    for (int i = 0; i < THREADS; i++) {
        exchanged[i] = (struct live){malloc(200), 200};
        there(exchanged[i].p);
        int result = pthread_create(&threads[i], NULL, use_in_thread, &exchanged[i]);
        lives[i] = result == 0;
        CHECK(result == 0 || result == EAGAIN); /* libc's own record may be what could not be had */
        failures += result != 0;
    }
    for (int i = 0; i < THREADS; i++) {
        if (lives[i])
            pthread_join(threads[i], NULL);
        free(exchanged[i].p);
    }
}

static void use_heap(const struct allot_heap_opts *opts, size_t least)
{
    struct allot_heap heap;
    int result = toolkit.heap_init(&heap, opts);
    if (result != 0) {
        CHECK(result == -ENOMEM);
        failures++;
        return;
    }
    struct live mine[SIZES * 4];
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < SIZES * 4; i++) {
            size_t size = sizes[i % SIZES] + least;
            mine[i] = (struct live){toolkit.heap_alloc(&heap, size), size};
            if (there(mine[i].p))
                pattern_fill(mine[i].p, size, (uintptr_t)mine[i].p);
        }
        if (!opts)
            there(toolkit.heap_aligned(&heap, (size_t)1 << 21, 100));
        for (size_t i = 0; i < SIZES * 4; i++) {
            if (mine[i].p)
                verify(&mine[i]);
            if (i % 2)
                toolkit.heap_free_sized(&heap, mine[i].p, mine[i].size);
        }
        CHECK(toolkit.heap_check(&heap));
        if (round == 0)
            toolkit.heap_reset(&heap);
    }
    toolkit.heap_done(&heap);
}

static void free_all(void)
{
    while (count > 0)
        free(take_out(count / 2).p);
}

/* All of it counted, and nothing else. There is no block yet. */
static void use_tag(void)
{
    struct allot_tag *tag = toolkit.tag("tenant", SIZE_MAX);
    if (!there(tag))
        return;
    CHECK(toolkit.tag_enter(tag) == NULL);
    allocate();
    resize();
    CHECK(toolkit.tag_enter(NULL) == tag);
    size_t used = 0;
    for (size_t i = 0; i < count; i++)
        used += malloc_usable_size(blocks[i].p);
    CHECK(toolkit.tag_used(tag) == used + 8 * count || (exact_sizes() && toolkit.tag_used(tag) >= used));
    free_all();
    CHECK(toolkit.tag_used(tag) == 0);
    use_heap(&(struct allot_heap_opts){.tag = tag}, 0);
    CHECK(toolkit.tag_used(tag) == 0);
}

static void look(void)
{
    struct allot_stats stats;
    struct allot_class_stats classes[8];
    toolkit.stats(&stats);
    toolkit.stats_classes(classes, 8);
    int null = open("/dev/null", O_WRONLY);
    CHECK(null >= 0 && toolkit.stats_print(null, true) == 0);
    close(null);
    verify_all();
    toolkit_check();
}

static void script(void)
{
    use_tag();
    allocate();
    look();
    resize();
    use_threads();
    for (size_t i = 0; i < count; i += 2)
        free(take_out(i).p);
    use_heap(NULL, 0);
    use_heap(&(struct allot_heap_opts){.two_level = true}, 1);
    toolkit.trim();
    allocate();
    look();
}

static int add_one(void *block, size_t usable, void *arg)
{
    (void)block, (void)usable;
    ++*(size_t *)arg;
    return 0;
}

static size_t live_blocks(void)
{
    size_t n = 0;
    toolkit.walk(add_one, &n);
    return n;
}

static int run_with(long requests)
{
#ifdef ALLOT_NAMES
    size_t before = 0; /* and the heap untouched */
#else
    size_t before = live_blocks();
#endif
    toolkit.fail_after(requests);
    script();
    bool failed = failures > 0;
    toolkit.fail_after(-1);
    toolkit_check();

    failures = 0;
    use_heap(NULL, 0);
    use_threads();
    resize();
    free_all();
    script();
    CHECK(failures == 0);
    free_all();
    toolkit_check();
    /* Libc keeps the records of a few ended threads. */
    size_t after = live_blocks();
#ifdef ALLOT_NAMES
    CHECK(after == before);
#else
    CHECK(after <= before + 2 * THREADS);
#endif
    return failed ? SOMETHING_FAILED : DONE;
}

int main(void)
{
    toolkit_find();
    for (long n = 0; n < REQUESTS_MOST; n += n < EACH ? 1 : STEP) {
        snprintf(check_run, sizeof check_run, "%ld requests granted", n);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0)
            _exit(run_with(n));
        int status;
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status) && (WEXITSTATUS(status) == DONE || WEXITSTATUS(status) == SOMETHING_FAILED));
        if (WEXITSTATUS(status) == DONE) {
            CHECK(n > 10); /* it did run short before */
            printf("the script makes %s%ld requests of the system\n", n > EACH ? "at most " : "", n);
            return 0;
        }
    }
    CHECK(!"the script never has enough");
    return 1;
}
