/* unit/commons.c - slabs that threads share for what they want little of, and what those that end leave to the others. */
#include "common/unit.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>

#include <allot/malloc.h>

#include "common/child.h"
#include "heap/heap.h"

enum { THREADS = 200, FEW = 8, LINE = 64 };
static const size_t few_sizes[FEW] = {1, 24, 40, 56, 88, 120, 232, 500};

/* What a thread has allocated, and how to tell it to go on. */
struct worker {
    pthread_t thread;
    pthread_barrier_t *step;
    void *block[FEW];
    bool has_heap;
};

static void *allocate_few(void *arg)
{
    struct worker *me = arg;
    for (int i = 0; i < FEW; i++) {
        me->block[i] = allot_calloc(1, few_sizes[i]);
        memset(me->block[i], 0xee, few_sizes[i]);
    }
    me->has_heap = front.heap != NULL;
    pthread_barrier_wait(me->step);
    pthread_barrier_wait(me->step);
    return NULL;
}

static size_t slabs_of_commons(void)
{
    size_t slabs = 0;
    for (unsigned i = 0; i < COMMONS; i++) {
        slabs += commons_heap(i)->slabs;
    }
    return slabs;
}

static size_t live(void)
{
    struct allot_stats stats;
    allot_stats(&stats);
    return stats.live;
}

static void in_a_thread(void *(*work)(void *), void *arg)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, work, arg), 0);
    pthread_join(thread, NULL);
}

static void threads_that_want_little_share_slabs(void **state)
{
    (void)state;
    static struct worker workers[THREADS];
    pthread_barrier_t step;
    pthread_barrier_init(&step, NULL, THREADS + 1);
    allot_free(allot_malloc(1)); /* the first thread, which has a heap at once, is this one */
    allot_trim();
    size_t before = live();
    for (int t = 0; t < THREADS; t++) {
        workers[t].step = &step;
        assert_int_equal(pthread_create(&workers[t].thread, NULL, allocate_few, &workers[t]), 0);
    }
    pthread_barrier_wait(&step);
    size_t bytes = 0;
    for (int t = 0; t < THREADS; t++) {
        assert_false(workers[t].has_heap);
        for (int i = 0; i < FEW; i++) {
            assert_true(is_common(slab_of(workers[t].block[i])));
            bytes += allot_malloc_usable_size(workers[t].block[i]);
        }
    }
    assert_int_equal(live() - before, bytes);
    assert_in_range(slabs_of_commons(), FEW, FEW + THREADS * 1024 / UNIT_SIZE);
    allot_check();
    pthread_barrier_wait(&step);
    for (int t = 0; t < THREADS; t++) {
        pthread_join(workers[t].thread, NULL);
    }
    for (int t = 0; t < THREADS; t++) {
        for (int i = 0; i < FEW; i++) {
            allot_free(workers[t].block[i]);
        }
    }
    allot_check();
    assert_int_equal(live(), before);
    allot_trim();
    assert_int_equal(slabs_of_commons(), 0);
}

/* The lines of a block, as the numbers of the first and the one after the last. */
static size_t first_line(const void *p) { return (uintptr_t)p / LINE; }
static size_t end_line(const void *p, size_t size) { return ((uintptr_t)p + size - 1) / LINE + 1; }

static void no_two_threads_share_a_line(void **state)
{
    (void)state;
    static struct worker workers[FEW];
    pthread_barrier_t step;
    pthread_barrier_init(&step, NULL, FEW + 1);
    for (int t = 0; t < FEW; t++) {
        workers[t].step = &step;
        assert_int_equal(pthread_create(&workers[t].thread, NULL, allocate_few, &workers[t]), 0);
    }
    pthread_barrier_wait(&step);
    for (int pair = 0; pair < FEW * FEW; pair++) {
        int one = pair / FEW, other = pair % FEW;
        for (int i = 0; i < FEW && one != other; i++) {
            const void *p = workers[one].block[i], *q = workers[other].block[i];
            assert_true(end_line(p, few_sizes[i]) <= first_line(q) || end_line(q, few_sizes[i]) <= first_line(p));
        }
    }
    pthread_barrier_wait(&step);
    for (int t = 0; t < FEW; t++) {
        pthread_join(workers[t].thread, NULL);
        for (int i = 0; i < FEW; i++) {
            allot_free(workers[t].block[i]);
        }
    }
}

enum { MANY = 2000 };
static void *block[MANY];

static void *allocate_many(void *arg)
{
    size_t size = *(size_t *)arg;
    for (int i = 0; i < MANY; i++) {
        block[i] = allot_malloc(size);
        memset(block[i], 0x55, size);
    }
    return NULL;
}

static void who_wants_much_has_slabs_of_its_own(void **state)
{
    (void)state;
    for (size_t size = 16; size <= 4096; size *= 4) {
        in_a_thread(allocate_many, &size);
        assert_true(is_common(slab_of(block[0])));
        assert_false(is_common(slab_of(block[MANY - 1])));
        int common = 0;
        for (int i = 0; i < MANY; i++) {
            common += is_common(slab_of(block[i]));
            allot_free(block[i]);
        }
        assert_in_range(common, 1, size_max(2048 / size, 8) + MODEST_BYTES / size);
    }
}

static void aligned_as_asked(void **state)
{
    (void)state;
    size_t size = 8192;
    in_a_thread(allocate_many, &size);
    for (int i = 0; i < MANY; i++) {
        allot_free(block[i]);
    }
    for (size_t align = 16; align <= SLAB_MAX; align *= 2) {
        for (size_t bytes = 1; bytes <= 2048; bytes += 37) {
            void *p = allot_aligned_alloc(align, bytes);
            assert_int_equal((uintptr_t)p % align, 0);
            assert_true(allot_malloc_usable_size(p) >= bytes);
            allot_free(p);
        }
    }
}

/* Every other block of a thread that has ended is free: the thread that lived beside it fills these slots before it takes
 * fresh memory. */
static void *inherit(void *arg)
{
    size_t size = 480;
    void *first[FEW * FEW], *mine[MANY / 2];
    for (int i = 0; i < FEW * FEW; i++) {
        first[i] = allot_malloc(size - 64); /* a heap of its own, before the other's is there to be taken over */
    }
    assert_non_null(front.heap);
    in_a_thread(allocate_many, &size);
    for (int i = 0; i < MANY; i += 2) {
        allot_free(block[i]);
    }
    uint32_t other = slab_owner(slab_of(block[MANY - 1]));
    assert_true(other != front.heap_id);
    for (int i = 0; i < MANY / 2; i++) {
        mine[i] = allot_malloc(size);
        memset(mine[i], 0xaa, size);
    }
    allot_check();
    int between = 0;
    for (int i = 1; i < MANY; i += 2) {
        between += slab_owner(slab_of(block[i])) == front.heap_id;
        for (size_t b = 0; b < size; b++) {
            assert_int_equal(((unsigned char *)block[i])[b], 0x55);
        }
    }
    *(int *)arg = between;
    for (int i = 0; i < MANY / 2; i++) {
        allot_free(mine[i]);
        allot_free(block[2 * i + 1]);
    }
    for (int i = 0; i < FEW * FEW; i++) {
        allot_free(first[i]);
    }
    allot_check();
    return NULL;
}

static void what_a_thread_leaves_serves_the_others(void **state)
{
    (void)state;
    int between = 0;
    size_t before = live();
    in_a_thread(inherit, &between);
    assert_in_range(between, MANY / 4, MANY / 2);
    assert_int_equal(live(), before);
}

static void *free_twice(void *arg)
{
    void *p = allot_malloc(200);
    (void)arg;
    allot_free(p);
    allot_free(p);
    return NULL;
}

static void twice_in_a_thread(void *arg)
{
    pthread_t thread;
    pthread_create(&thread, NULL, free_twice, arg);
    pthread_join(thread, NULL);
}

static void a_second_free_is_seen(void **state)
{
    (void)state;
    struct child_end end = child_run(twice_in_a_thread, NULL);
    assert_true(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGABRT);
    assert_non_null(strstr(end.text, "double free"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_that_want_little_share_slabs),   cmocka_unit_test(no_two_threads_share_a_line),
        cmocka_unit_test(who_wants_much_has_slabs_of_its_own),    cmocka_unit_test(aligned_as_asked),
        cmocka_unit_test(what_a_thread_leaves_serves_the_others), cmocka_unit_test(a_second_free_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
