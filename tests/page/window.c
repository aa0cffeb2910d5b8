/* page/window.c - pages as plain memory, where the system lets us: the same contents, bound and store as by pins.
 *
 * Exit status 77 where there is no userfaultfd: then map is ENOTSUP, which is tested anyway.
 */
#define _GNU_SOURCE
#include "common/unit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <allot/pager.h>

#include "common/child.h"
#include "common/overcommit.h"
#include "page/frail.h"

enum { READ = ALLOT_PAGER_READ, WRITE = ALLOT_PAGER_WRITE };
enum { PAGES = 300, FRAMES = 20 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SHADOW true
#else
#define HAS_SHADOW false
#endif

static struct machine always = {.left = -1};
static struct frail home;
static struct allot_pager pager;
static struct allot_pager_stats stats;
static size_t size; /* of a page */
static bool supported;

static void begin_with(struct allot_pager_opts opts)
{
    size = (size_t)sysconf(_SC_PAGESIZE);
    opts.page = opts.page ? opts.page : size;
    frail_init(&home, &always, PAGES * size, 1);
    struct allot_store store = frail_store(&home);
    assert_int_equal(allot_pager_init(&pager, &store, &opts), 0);
}

static void begin(void) { begin_with((struct allot_pager_opts){.frames = FRAMES, .readahead = 1}); }

static void end(void)
{
    allot_pager_check(&pager);
    assert_int_equal(allot_pager_done(&pager), 0);
    frail_done(&home);
}

static char *map(uint64_t page, size_t count)
{
    char *w = allot_pager_map(&pager, page, count);
    assert_true(w || errno == ENOTSUP);
    return w;
}

static size_t told_resident(void)
{
    allot_pager_stats(&pager, &stats);
    return stats.resident;
}

static size_t resident_kib(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    size_t all, resident = 0;
    assert_int_equal(fscanf(f, "%zu %zu", &all, &resident), 2);
    fclose(f);
    return resident * size / 1024;
}

static void reads_and_writes(void **state)
{
    (void)state;
    begin();
    memset(home.now, 1, PAGES * size); /* the store's own memory */
    memset(home.durable, 1, PAGES * size);
    memset(home.now, 0, PAGES * size);
    char *w = map(0, PAGES);
    size_t before = resident_kib();
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < PAGES; i++) {
            assert_int_equal(w[i * size], round ? (char)(i + (size_t)round - 1) : 0);
            assert_int_equal(w[i * size + size - 1], w[i * size]);
            w[i * size] = w[i * size + size - 1] = (char)(i + (size_t)round);
        }
        assert_int_equal(told_resident(), FRAMES);
    }
    if (!HAS_SHADOW) {
        /* The system counts in steps of some dozen pages. */
        assert_true(resident_kib() < before + (2 * FRAMES + 128) * size / 1024);
    }
    assert_true(stats.windowed == FRAMES && stats.touches >= 3 * PAGES);
    assert_int_equal(allot_pager_sync(&pager), 0);
    for (size_t i = 0; i < PAGES; i++) {
        assert_int_equal((char)home.now[i * size], (char)(i + 2));
    }
    w[7 * size] = 'x'; /* clean, and there or not: dirty again */
    assert_int_equal(allot_pager_sync(&pager), 0);
    assert_int_equal(home.now[7 * size], 'x');
    allot_pager_check(&pager);
    w[8 * size] = 'y';
    allot_pager_unmap(&pager, w);
    char *at = allot_pager_pin(&pager, 8, READ);
    assert_true(at[0] == 'y' && (at < w || at >= w + PAGES * size));
    allot_pager_unpin(&pager, at, READ);
    assert_int_equal(told_resident(), FRAMES);
    assert_int_equal(stats.windowed, 0);
    end();
}

static void pins_beside(void **state)
{
    (void)state;
    begin();
    char *at = allot_pager_pin(&pager, 110, WRITE);
    strcpy(at, "before");
    assert_null(allot_pager_map(&pager, 100, 50));
    assert_int_equal(errno, EBUSY);
    allot_pager_unpin(&pager, at, WRITE);
    char *w = map(100, 50), *other = map(200, 10);
    assert_string_equal(w + 10 * size, "before");
    at = allot_pager_pin(&pager, 110, WRITE);
    assert_ptr_equal(at, w + 10 * size);
    assert_true(allot_pager_frame(&pager, at) < FRAMES);
    strcpy(at, "pinned");
    allot_pager_unpin(&pager, at, WRITE);
    at = allot_pager_pin(&pager, 111, ALLOT_PAGER_FRESH);
    assert_ptr_equal(at, w + 11 * size);
    strcpy(at, "fresh");
    allot_pager_unpin(&pager, at, WRITE);
    at = allot_pager_pin(&pager, 5, READ); /* outside */
    assert_true(at < w || at >= w + 50 * size);
    assert_int_equal(allot_pager_rename(&pager, at, 120), -EBUSY);
    allot_pager_unpin(&pager, at, READ);
    assert_null(allot_pager_map(&pager, 149, 5));
    assert_int_equal(errno, EBUSY);
    assert_int_equal(allot_pager_sync(&pager), 0);
    assert_string_equal(home.now + 110 * size, "pinned");
    assert_string_equal(home.now + 111 * size, "fresh");
    strcpy(other, "other");
    assert_int_equal(allot_pager_drop(&pager, 110, 1), 0);
    assert_string_equal(w + 10 * size, "pinned");
    assert_int_equal(allot_pager_prefetch(&pager, 120, 5), 0);
    assert_int_equal(w[121 * size - 100 * size], 0);
    allot_pager_unmap(&pager, w);
    allot_pager_unmap(&pager, other);
    at = allot_pager_pin(&pager, 200, READ);
    assert_string_equal(at, "other");
    allot_pager_unpin(&pager, at, READ);
    end();
}

/* Which is what a pager is for; also where the process forks. */
static void larger_than_memory(void **state)
{
    (void)state;
    begin();
    size_t bytes = twice_what_there_is();
    char *window = bytes ? map(0, bytes / size) : NULL;
    if (window) {
        window[size] = 7;
        pid_t child = fork();
        if (child == 0) {
            _exit(0);
        }
        assert_true(child > 0 && waitpid(child, NULL, 0) == child);
        assert_int_equal(window[size], 7);
        allot_pager_unmap(&pager, window);
    }
    end();
}

static void refusals(void **state)
{
    (void)state;
    begin_with((struct allot_pager_opts){.frames = FRAMES, .how = ALLOT_PAGER_ALONE});
    assert_null(allot_pager_map(&pager, 0, 10));
    assert_int_equal(errno, ENOTSUP);
    end();
    begin_with((struct allot_pager_opts){.frames = FRAMES, .how = ALLOT_PAGER_CHECKED});
    assert_null(allot_pager_map(&pager, 0, 10));
    assert_int_equal(errno, ENOTSUP);
    end();
    begin_with((struct allot_pager_opts){.frames = FRAMES, .page = 512});
    assert_null(allot_pager_map(&pager, 0, 10));
    assert_int_equal(errno, ENOTSUP);
    end();
    begin();
    assert_null(allot_pager_map(&pager, 0, 0));
    assert_int_equal(errno, EOVERFLOW);
    assert_null(allot_pager_map(&pager, ALLOT_PAGER_PAGES - 1, 2));
    assert_int_equal(errno, EOVERFLOW);
    end();
}

/* -- several threads -- */

enum { THREADS = 3, STEPS = 3000 };
static uint64_t *shared;

static void *adds(void *arg)
{
    struct random r = {(uintptr_t)arg};
    for (size_t i = 0; i < STEPS; i++) {
        size_t page = random_below(&r, PAGES);
        __atomic_fetch_add(&shared[page * size / 8 + (uintptr_t)arg], 1, __ATOMIC_RELAXED);
        __atomic_fetch_add(&shared[page * size / 8], 1, __ATOMIC_RELAXED);
        if (i % 300 == 0) {
            int wrong = allot_pager_flush(&pager);
            assert_true(wrong == 0 || wrong == -EBUSY);
        }
    }
    return NULL;
}

static void threads(void **state)
{
    (void)state;
    begin();
    shared = (uint64_t *)map(0, PAGES);
    pthread_t thread[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, adds, (void *)(i + 1)), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    allot_pager_unmap(&pager, shared);
    assert_int_equal(allot_pager_sync(&pager), 0);
    uint64_t sum = 0;
    for (size_t page = 0; page < PAGES; page++) {
        uint64_t *at = (uint64_t *)(home.now + page * size);
        assert_int_equal(at[0], at[1] + at[2] + at[3]);
        sum += at[0];
    }
    assert_int_equal(sum, THREADS * STEPS);
    end();
}

/* -- while windows come and go -- */

enum { ADDED = 12, MAPPED = 500 };
static atomic_bool over;
static uint64_t added[ADDED];
/* A pin in a window that ends is the program's mistake. Who waits for the turn is next. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER, pinning = PTHREAD_MUTEX_INITIALIZER;

static void take_turn(void)
{
    pthread_mutex_lock(&turn);
    pthread_mutex_lock(&pinning);
    pthread_mutex_unlock(&turn);
}

static void *adds_by_pins(void *arg)
{
    struct random r = {5};
    while (!atomic_load(&over)) {
        size_t page = random_below(&r, ADDED);
        take_turn();
        uint64_t *at = allot_pager_pin(&pager, page, WRITE);
        assert_non_null(at);
        ++*at;
        ++added[page];
        allot_pager_unpin(&pager, at, WRITE);
        pthread_mutex_unlock(&pinning);
    }
    return arg;
}

static void *reads_ahead(void *arg)
{
    struct random r = {6};
    while (!atomic_load(&over)) {
        assert_int_equal(allot_pager_prefetch(&pager, random_below(&r, 4 * ADDED), 4), 0);
    }
    return arg;
}

/* What is written to a page as it goes into a window is not lost, nor is a page that comes as a window ends. */
static void maps_beside_others(void **state)
{
    (void)state;
    begin();
    pthread_t writer, reader;
    atomic_store(&over, false);
    assert_int_equal(pthread_create(&writer, NULL, adds_by_pins, NULL), 0);
    assert_int_equal(pthread_create(&reader, NULL, reads_ahead, NULL), 0);
    for (size_t i = 0; i < MAPPED;) {
        uint64_t *w = allot_pager_map(&pager, 0, ADDED);
        assert_true(w || errno == EBUSY);
        if (w) {
            size_t page = i++ % ADDED;
            take_turn();
            ++w[page * size / sizeof *w];
            ++added[page];
            allot_pager_unmap(&pager, w);
            pthread_mutex_unlock(&pinning);
        }
    }
    atomic_store(&over, true);
    pthread_join(writer, NULL);
    pthread_join(reader, NULL);
    assert_int_equal(allot_pager_sync(&pager), 0);
    for (size_t page = 0; page < ADDED; page++) {
        assert_int_equal(*(uint64_t *)(home.now + page * size), added[page]);
    }
    end();
}

static void *pins_another(void *arg)
{
    for (uint64_t i = 0; !atomic_load(&over); i++) {
        void *at = allot_pager_pin(&pager, 100 + i % 2, READ);
        assert_non_null(at);
        allot_pager_unpin(&pager, at, READ);
        sched_yield();
    }
    return arg;
}

/* Who wants the frame of a page that goes into a window just then, or out of it, waits for that: it is not pinned. */
static void wants_a_frame_that_moves(void **state)
{
    (void)state;
    begin_with((struct allot_pager_opts){.frames = 1, .readahead = 1});
    pthread_t thread;
    atomic_store(&over, false);
    assert_int_equal(pthread_create(&thread, NULL, pins_another, NULL), 0);
    for (size_t i = 0; i < 4 * MAPPED; i++) {
        assert_int_equal(allot_pager_prefetch(&pager, 0, 1), 0);
        char *w = map(0, 1);
        assert_int_equal(allot_pager_prefetch(&pager, 0, 1), 0);
        allot_pager_unmap(&pager, w);
    }
    atomic_store(&over, true);
    pthread_join(thread, NULL);
    end();
}

/* -- ends -- */

static void touches_a_bad_page(void *window)
{
    home.fail_reads = 1000;
    *(volatile char *)window = 1;
}

static void in_a_child(void *window)
{
    signal(SIGSEGV, SIG_DFL);
    allot_pager_abandon(&pager);
    *(volatile char *)window = 1;
}

static void done_with_a_window(void *arg)
{
    (void)arg;
    allot_pager_done(&pager);
}

static void unmaps_nothing(void *arg) { allot_pager_unmap(&pager, (char *)arg + size); }

static void unmaps_pinned(void *window)
{
    allot_pager_pin(&pager, 3, READ);
    allot_pager_unmap(&pager, window);
}

/* With a window of its own, as that of a parent is not there. */
static void (*crime)(void *window);
static void with_a_window(void *arg)
{
    (void)arg;
    signal(SIGBUS, SIG_DFL); /* cmocka has handlers */
    begin();
    crime(map(0, 10));
}

static __attribute__((unused)) struct child_end ends(void (*code)(void *window))
{
    crime = code;
    return child_run(with_a_window, NULL);
}

static __attribute__((unused)) void crimes(void **state)
{
    (void)state;
    struct child_end child = ends(touches_a_bad_page);
    assert_true(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGBUS);
    child = ends(done_with_a_window);
    assert_non_null(strstr(child.text, "allot: done while pages are pinned: window at 0x"));
    child = ends(unmaps_nothing);
    assert_non_null(strstr(child.text, "allot: unmap of what is no window: window at 0x"));
    child = ends(unmaps_pinned);
    assert_non_null(strstr(child.text, "allot: window unmapped while pages of it are pinned: page at 0x3\n"));

    begin();
    char *w = map(0, 10);
    w[0] = 'w';
    child = child_run(in_a_child, w);
    assert_true(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGSEGV);
    assert_int_equal(w[0], 'w');
    allot_pager_abandon(&pager);
    frail_done(&home);
}

int main(void)
{
    begin();
    char *w = map(0, 1);
    supported = w;
    if (w) {
        allot_pager_unmap(&pager, w);
    }
    end();
    const struct CMUnitTest without[] = {cmocka_unit_test(refusals)};
    const struct CMUnitTest with[] = {
        cmocka_unit_test(reads_and_writes),
        cmocka_unit_test(pins_beside),
        cmocka_unit_test(larger_than_memory),
        cmocka_unit_test(threads),
        cmocka_unit_test(maps_beside_others),
        cmocka_unit_test(wants_a_frame_that_moves),
#ifndef __SANITIZE_THREAD__ /* it has no threads in children of threads */
        cmocka_unit_test(crimes),
#endif
    };
    int failed = cmocka_run_group_tests(without, NULL, NULL);
    if (!failed && !supported) {
        return 77;
    }
    return failed ? failed : cmocka_run_group_tests(with, NULL, NULL);
}
