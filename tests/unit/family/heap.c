/* heap.c - first-class heaps: allot_heap_init, alloc, aligned, free, adopt, reset, done, stats. */
#include "block.h"

#include <pthread.h>

static struct allot_heap heap;

static int make_heap(void **state)
{
    (void)state;
    return toolkit.heap_init(&heap, NULL);
}

static int drop_heap(void **state)
{
    (void)state;
    toolkit.heap_done(&heap);
    return toolkit.check() ? 0 : -1;
}

static struct allot_stats heap_stats(void)
{
    struct allot_stats stats;
    toolkit.heap_stats(&heap, &stats);
    return stats;
}

static void blocks_of_every_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        void *p = toolkit.heap_alloc(&heap, edge_sizes[i]), *q = toolkit.heap_alloc(&heap, edge_sizes[i]);
        assert_block(p, edge_sizes[i], 16);
        assert_block(q, edge_sizes[i], 16);
        assert_ptr_not_equal(p, q);
        toolkit.heap_free(&heap, p);
        assert_true(pattern_holds(q, malloc_usable_size(q), (uintptr_t)q, true));
        toolkit.heap_free_sized(&heap, q, edge_sizes[i]);
    }
    toolkit.heap_free(&heap, NULL);
    toolkit.heap_free_sized(&heap, NULL, 10);
    assert_int_equal(heap_stats().blocks, 0);
}

static void aligned_blocks(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 100, 5000, 100000, 3000000};
    for (size_t align = 1; align <= (size_t)16 << 20; align *= 2) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            void *p = toolkit.heap_aligned(&heap, align, sizes[i]);
            assert_block(p, sizes[i], align < 16 ? 16 : align);
            toolkit.heap_free(&heap, p);
        }
    }
}

static void absurd_requests_fail(void **state)
{
    (void)state;
    for (size_t i = 0; i < ABSURD_SIZES; i++) {
        assert_fails(toolkit.heap_alloc(&heap, absurd_sizes[i]), ENOMEM);
        assert_fails(toolkit.heap_aligned(&heap, 64, absurd_sizes[i]), ENOMEM);
    }
    assert_fails(toolkit.heap_aligned(&heap, 0, 1), EINVAL);
    assert_fails(toolkit.heap_aligned(&heap, 24, 1), EINVAL);
    assert_fails(toolkit.heap_aligned(&heap, SIZE_MAX, 1), EINVAL);
    assert_fails(toolkit.heap_aligned(&heap, (size_t)1 << 62, 1), ENOMEM);
}

/* Blocks of every kind, in such numbers that each has several slabs, runs, mappings. */
static size_t fill_heap(void)
{
    size_t blocks = 0;
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        for (size_t n = edge_sizes[i] < 4096 ? 500 : 3; n > 0; n--, blocks++)
            assert_non_null(toolkit.heap_alloc(&heap, edge_sizes[i]));
    }
    return blocks;
}

static void reset_frees_all_and_the_heap_goes_on(void **state)
{
    (void)state;
    for (int round = 0; round < 5; round++) {
        size_t blocks = fill_heap();
        struct allot_stats stats = heap_stats();
        assert_int_equal(stats.blocks, blocks);
        assert_true(stats.mapped >= stats.live);
        assert_true(stats.large_blocks > 0);
        toolkit.heap_reset(&heap);
        stats = heap_stats();
        assert_int_equal(stats.blocks, 0);
        assert_int_equal(stats.live, 0);
        assert_int_equal(stats.large_blocks, 0);
        assert_int_equal(stats.mapped, 0);
        assert_true(toolkit.heap_check(&heap));
        assert_true(toolkit.check());
    }
}

/* In a process that is hardened they are found wiped. */
static void what_reset_has_freed_serves_others(void **state)
{
    (void)state;
    enum { RUNS = 200, BLOCKS = 5000 };
    static void *p[BLOCKS];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < RUNS; i++) {
            void *run = toolkit.heap_alloc(&heap, 40000 + i * 300);
            assert_non_null(run);
            memset(run, 7, 40000 + i * 300);
        }
        toolkit.heap_reset(&heap);
        for (size_t i = 0; i < BLOCKS; i++) {
            size_t size = i < RUNS ? 40000 + i * 300 : 100 + i;
            p[i] = calloc(1, size);
            assert_true(p[i] && pattern_zero(p[i], size));
        }
        for (size_t i = 0; i < BLOCKS; i++)
            free(p[i]);
    }
}

static void done_leaves_nothing(void **state)
{
    (void)state;
    struct allot_stats before, after;
    toolkit.stats(&before);
    size_t resident = toolkit.resident();
    for (int round = 0; round < 50; round++) {
        struct allot_heap another;
        assert_int_equal(toolkit.heap_init(&another, NULL), 0);
        for (size_t i = 0; i < EDGE_SIZES; i++)
            assert_non_null(toolkit.heap_alloc(&another, edge_sizes[i]));
        toolkit.heap_done(&another);
    }
    toolkit.trim();
    toolkit.stats(&after);
    assert_int_equal(after.blocks, before.blocks);
    assert_int_equal(after.live, before.live);
    assert_true(after.metadata <= before.metadata + 2 * 65536); /* room for records, and a segment's own unit */
    assert_true(toolkit.resident() <= resident + ((size_t)1 << 20));
}

static void any_free_will_do(void **state)
{
    (void)state;
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        void *p = toolkit.heap_alloc(&heap, edge_sizes[i]), *q = toolkit.heap_alloc(&heap, edge_sizes[i]);
        errno = 4242;
        free(p);
        toolkit.free_sized(q, edge_sizes[i]);
        assert_int_equal(errno, 4242);
    }
    assert_int_equal(heap_stats().blocks, 0);
}

enum { SHARED = 20000 };
static void *shared[SHARED];

static void *free_shared(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < SHARED; i++)
        free(shared[i]);
    return NULL;
}

static void another_thread_frees(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        pthread_t thread;
        for (size_t i = 0; i < SHARED; i++) {
            size_t size = edge_sizes[i % 30];
            shared[i] = toolkit.heap_alloc(&heap, size);
            assert_block(shared[i], size, 16);
        }
        assert_int_equal(pthread_create(&thread, NULL, free_shared, NULL), 0);
        if (round % 2) { /* while this one goes on */
            for (size_t i = 0; i < SHARED; i++)
                toolkit.heap_free(&heap, toolkit.heap_alloc(&heap, i % 2000));
        }
        pthread_join(thread, NULL);
        assert_int_equal(heap_stats().blocks, 0);
        assert_true(toolkit.heap_check(&heap));
    }
}

static void *adopt_and_use(void *arg)
{
    (void)arg;
    CHECK(toolkit.heap_adopt(&heap) == 0);
    for (size_t i = 0; i < SHARED; i++) {
        toolkit.heap_free(&heap, shared[i]);
        shared[i] = toolkit.heap_alloc(&heap, i % 3000);
        CHECK(shared[i]);
    }
    return NULL;
}

static void heaps_pass_from_thread_to_thread(void **state)
{
    (void)state;
    for (size_t i = 0; i < SHARED; i++)
        shared[i] = toolkit.heap_alloc(&heap, i % 3000);
    for (int round = 0; round < 5; round++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, adopt_and_use, NULL), 0);
        pthread_join(thread, NULL);
    }
    assert_int_equal(toolkit.heap_adopt(&heap), 0);
    assert_int_equal(heap_stats().blocks, SHARED);
    toolkit.heap_reset(&heap);
    assert_int_equal(heap_stats().blocks, 0);
}

static void the_struct_may_be_moved(void **state)
{
    (void)state;
    void *p = toolkit.heap_alloc(&heap, 100);
    struct allot_heap moved = heap;
    memset(&heap, 0xee, sizeof heap);
    void *q = toolkit.heap_alloc(&moved, 100);
    assert_ptr_not_equal(p, q);
    toolkit.heap_free(&moved, p);
    heap = moved;
    toolkit.heap_free(&heap, q);
    assert_int_equal(heap_stats().blocks, 0);
}

static void heaps_are_apart(void **state)
{
    (void)state;
    struct allot_heap others[20];
    void *blocks[20];
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(toolkit.heap_init(&others[i], NULL), 0);
        blocks[i] = toolkit.heap_alloc(&others[i], 48);
        assert_block(blocks[i], 48, 16);
    }
    void *mine = toolkit.heap_alloc(&heap, 48);
    assert_block(mine, 48, 16);
    for (size_t i = 0; i < 20; i += 2)
        toolkit.heap_done(&others[i]);
    for (size_t i = 1; i < 20; i += 2) {
        struct allot_stats stats;
        toolkit.heap_stats(&others[i], &stats);
        assert_int_equal(stats.blocks, 1);
        assert_true(pattern_holds(blocks[i], malloc_usable_size(blocks[i]), (uintptr_t)blocks[i], true));
        toolkit.heap_done(&others[i]);
    }
    assert_true(pattern_holds(mine, malloc_usable_size(mine), (uintptr_t)mine, true));
}

static void contradictory_options_are_refused(void **state)
{
    (void)state;
    struct allot_heap none;
    errno = 4242;
    assert_int_equal(toolkit.heap_init(&none, &(struct allot_heap_opts){.malloc_only = true}), -EINVAL);
    assert_int_equal(errno, 4242);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(blocks_of_every_size, make_heap, drop_heap),
        cmocka_unit_test_setup_teardown(aligned_blocks, make_heap, drop_heap),
        cmocka_unit_test_setup_teardown(absurd_requests_fail, make_heap, drop_heap),
        cmocka_unit_test_setup_teardown(reset_frees_all_and_the_heap_goes_on, make_heap, drop_heap),
        cmocka_unit_test_setup_teardown(what_reset_has_freed_serves_others, make_heap, drop_heap),
        cmocka_unit_test_setup_teardown(done_leaves_nothing, make_heap, drop_heap),
        cmocka_unit_test_setup_teardown(any_free_will_do, make_heap, drop_heap),
        cmocka_unit_test_setup_teardown(another_thread_frees, make_heap, drop_heap),
        cmocka_unit_test_setup_teardown(heaps_pass_from_thread_to_thread, make_heap, drop_heap),
        cmocka_unit_test_setup_teardown(the_struct_may_be_moved, make_heap, drop_heap),
        cmocka_unit_test_setup_teardown(heaps_are_apart, make_heap, drop_heap),
        cmocka_unit_test(contradictory_options_are_refused),
    };
    if (!toolkit_find())
        return EXIT_FAILURE;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
