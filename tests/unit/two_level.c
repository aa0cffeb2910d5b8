/* unit/two_level.c - the STL's allocator, step by step as its source says. */
#include "common/unit.h"

#include <errno.h>
#include <stdlib.h>

#include <allot/heap.h>

#include "heap/two_level.h"

/* A first level that remembers what it was asked for, and refuses on demand. */
struct source {
    size_t asked[64];
    char *gave[64];
    int calls;
    bool dry;
};

static void *source_malloc(void *arg, size_t size)
{
    struct source *source = arg;
    source->asked[source->calls] = size;
    char *p = source->dry ? NULL : malloc(size);
    source->gave[source->calls++] = p;
    return p;
}

static void source_done(struct source *source)
{
    for (int i = 0; i < source->calls; i++) {
        free(source->gave[i]);
    }
}

static void refills_of_twenty_from_a_chunk_of_forty(void **state)
{
    (void)state;
    struct source source = {0};
    struct two_level t = {.malloc = source_malloc, .arg = &source};
    char *first = two_level_alloc(&t, 13); /* rounded to 16 */
    assert_ptr_equal(first, source.gave[0]);
    assert_int_equal(source.calls, 1);
    assert_int_equal(source.asked[0], 2 * 20 * 16);
    for (int i = 1; i < 40; i++) {
        assert_ptr_equal(two_level_alloc(&t, 16), first + 16 * i);
    }
    assert_int_equal(source.calls, 1);
    two_level_check(&t);
    /* The next chunk grows by a sixteenth of the total, rounded up to 8. */
    two_level_alloc(&t, 16);
    assert_int_equal(source.calls, 2);
    assert_int_equal(source.asked[1], 2 * 20 * 16 + 640 / 16);
    two_level_check(&t);
    source_done(&source);
}

static void freed_blocks_come_back_last_in_first_out(void **state)
{
    (void)state;
    struct source source = {0};
    struct two_level t = {.malloc = source_malloc, .arg = &source};
    void *a = two_level_alloc(&t, 24), *b = two_level_alloc(&t, 24);
    two_level_free(&t, a, 24);
    two_level_free(&t, b, 17);
    assert_ptr_equal(two_level_alloc(&t, 24), b);
    assert_ptr_equal(two_level_alloc(&t, 20), a);
    two_level_check(&t);
    source_done(&source);
}

static void what_is_left_of_a_chunk_is_not_lost(void **state)
{
    (void)state;
    struct source source = {0};
    struct two_level t = {.malloc = source_malloc, .arg = &source};
    char *first = two_level_alloc(&t, 8); /* 40 blocks of 8: 160 bytes listed, 160 open */
    for (int i = 0; i < 19; i++) {
        two_level_alloc(&t, 8);
    }
    /* 160 open bytes serve a refill of one block of 128; the 32 left go to their list when the next chunk opens. */
    assert_ptr_equal(two_level_alloc(&t, 128), first + 160);
    assert_int_equal(source.calls, 1);
    two_level_alloc(&t, 128);
    assert_int_equal(source.calls, 2);
    assert_ptr_equal(two_level_alloc(&t, 32), first + 288);
    two_level_check(&t);
    source_done(&source);
}

static void a_larger_block_helps_out_when_malloc_cannot(void **state)
{
    (void)state;
    struct source source = {0};
    struct two_level t = {.malloc = source_malloc, .arg = &source};
    char *large = two_level_alloc(&t, 128);
    for (int i = 1; i < 40; i++) {
        two_level_alloc(&t, 128);
    }
    two_level_free(&t, large, 128);
    source.dry = true;
    for (int i = 0; i < 4; i++) {
        assert_ptr_equal(two_level_alloc(&t, 32), large + 32 * i);
    }
    assert_null(two_level_alloc(&t, 32));
    source.dry = false;
    assert_non_null(two_level_alloc(&t, 32));
    two_level_check(&t);
    source_done(&source);
}

static void blocks_freed_by_others_come_back(void **state)
{
    (void)state;
    struct source source = {0};
    struct two_level t = {.malloc = source_malloc, .arg = &source};
    char *first = two_level_alloc(&t, 64);
    for (int i = 1; i < 40; i++) {
        two_level_alloc(&t, 64);
    }
    for (int i = 0; i < 40; i++) {
        two_level_return(&t, first + 64 * i, 64);
    }
    for (int i = 40; i-- > 0;) {
        assert_ptr_equal(two_level_alloc(&t, 64), first + 64 * i);
    }
    assert_int_equal(source.calls, 1);
    source_done(&source);
}

static int handler_calls;

static bool lift_the_limit(void *arg)
{
    (void)arg;
    allot_fail_after(-1);
    return ++handler_calls < 3;
}

static void a_heap_with_two_levels(void **state)
{
    (void)state;
    struct allot_heap heap;
    assert_int_equal(allot_heap_init(&heap, &(struct allot_heap_opts){.malloc_only = true}), -EINVAL);
    assert_int_equal(
        allot_heap_init(&heap, &(struct allot_heap_opts){.two_level = true, .out_of_memory = lift_the_limit}), 0);
    for (int round = 0; round < 3; round++) {
        for (size_t size = 0; size < 400; size++) {
            char *p = allot_heap_alloc(&heap, size);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % 8, 0);
            if (size % 3 == 0) {
                allot_heap_free_sized(&heap, p, size);
            }
        }
        assert_true(allot_heap_check(&heap));
        allot_heap_reset(&heap);
        struct allot_stats stats;
        allot_heap_stats(&heap, &stats);
        assert_int_equal(stats.blocks, 0);
    }
    errno = 0;
    assert_null(allot_heap_aligned(&heap, 64, 100));
    assert_int_equal(errno, EINVAL);
    assert_int_equal((uintptr_t)allot_heap_aligned(&heap, 64, 200) % 64, 0);
    /* The handler is asked, and what it frees is used. */
    allot_fail_after(0);
    assert_non_null(allot_heap_alloc(&heap, 50 << 20));
    assert_int_equal(handler_calls, 1);
    allot_fail_after(0);
    assert_non_null(allot_heap_aligned(&heap, 4096, 60 << 20));
    assert_int_equal(handler_calls, 2);
    allot_heap_done(&heap);
    assert_null(heap.state);
}

static void a_heap_without_its_second_level(void **state)
{
    (void)state;
    struct allot_heap heap;
    assert_int_equal(allot_heap_init(&heap, &(struct allot_heap_opts){.two_level = true, .malloc_only = true}), 0);
    char *p = allot_heap_alloc(&heap, 8), *q = allot_heap_alloc(&heap, 8);
    struct allot_stats stats;
    allot_heap_stats(&heap, &stats);
    assert_int_equal(stats.blocks, 2); /* no chunks: each is malloc's */
    allot_heap_free(&heap, p);
    allot_heap_free_sized(&heap, q, 8);
    allot_heap_stats(&heap, &stats);
    assert_int_equal(stats.blocks, 0);
    allot_heap_done(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refills_of_twenty_from_a_chunk_of_forty),
        cmocka_unit_test(freed_blocks_come_back_last_in_first_out),
        cmocka_unit_test(what_is_left_of_a_chunk_is_not_lost),
        cmocka_unit_test(a_larger_block_helps_out_when_malloc_cannot),
        cmocka_unit_test(blocks_freed_by_others_come_back),
        cmocka_unit_test(a_heap_with_two_levels),
        cmocka_unit_test(a_heap_without_its_second_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
