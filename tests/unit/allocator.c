/* allocator.c - heaps behind the interface of borders (allot/allocator.h). */
#include "common/unit.h"

#include <errno.h>
#include <string.h>

#include <allot/allocator.h>
#include <allot/heap.h>
#include <allot/malloc.h>

static void takes_and_gives(struct allot_allocator from, size_t most_align)
{
    for (size_t align = 1; align <= most_align; align *= 2) {
        for (size_t size = 0; size < 100000; size = size * 3 + 1) {
            char *p = allot_take(from, size, align);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % align, 0);
            memset(p, 'a', size);
            char *longer = allot_retake(from, p, size, size * 2 + 1, align);
            assert_non_null(longer);
            assert_int_equal((uintptr_t)longer % align, 0);
            for (size_t i = 0; i < size; i++) {
                assert_int_equal(longer[i], 'a');
            }
            longer[size * 2] = 'b';
            char *shorter = allot_retake(from, longer, size * 2 + 1, size / 2, align);
            assert_non_null(shorter);
            assert_true(size < 2 || shorter[size / 2 - 1] == 'a');
            allot_give(from, shorter, size / 2, align);
        }
    }
    allot_give(from, NULL, 10, 1);
    /* What its slot or its pages have room for it is given where it is. */
    for (size_t size = 200; size < 100000; size *= 20) {
        void *p = allot_take(from, size + 1, 1);
        assert_true(allot_resize(from, p, size + 1, size + 2, 1));
        assert_ptr_equal(allot_retake(from, p, size + 2, size + 3, 1), p);
        allot_give(from, p, size + 3, 1);
    }
}

static void of_malloc(void **state)
{
    (void)state;
    struct allot_stats before, after;
    allot_stats(&before);
    takes_and_gives(allot_allocator_malloc(), 1 << 16);
    allot_stats(&after);
    assert_int_equal(after.blocks, before.blocks);
}

static void of_a_heap(void **state)
{
    (void)state;
    for (int two_level = 0; two_level < 2; two_level++) {
        struct allot_heap heap;
        assert_int_equal(allot_heap_init(&heap, &(struct allot_heap_opts){.two_level = two_level}), 0);
        takes_and_gives(allot_allocator_heap(&heap), two_level ? 8 : 1 << 16);
        assert_true(allot_heap_check(&heap));
        allot_heap_done(&heap);
    }
}

static void out_of_memory(void **state)
{
    (void)state;
    struct allot_allocator from = allot_allocator_malloc();
    char *p = allot_take(from, 3 << 20, 1);
    p[0] = 'x';
    allot_fail_after(0);
    errno = 0;
    void *none = allot_take(from, (size_t)1 << 40, 4096);
    int cause = errno;
    void *longer = allot_retake(from, p, 3 << 20, (size_t)1 << 40, 1);
    allot_fail_after(-1);
    assert_null(none);
    assert_int_equal(cause, ENOMEM);
    assert_null(longer);
    assert_int_equal(p[0], 'x');
    allot_give(from, p, 3 << 20, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(of_malloc), cmocka_unit_test(of_a_heap),
                                       cmocka_unit_test(out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
