/* unit/tune.c - slots of the size that is wanted. */
#include "common/unit.h"

#include <string.h>

#include <allot/heap.h>
#include <allot/malloc.h>

#include "heap/heap.h"

enum { MANY = 2000 };
static void *block[MANY];

/* The sum of what the blocks occupy, when block i is of size(i) bytes. */
static size_t occupied(size_t (*size)(int))
{
    size_t bytes = 0;
    for (int i = 0; i < MANY; i++) {
        block[i] = allot_malloc(size(i));
        memset(block[i], i, size(i));
        bytes += allot_malloc_usable_size(block[i]);
    }
    allot_check();
    for (int i = 0; i < MANY; i++) {
        const unsigned char *p = block[i];
        assert_true(p[0] == (unsigned char)i && memcmp(p, p + 1, size(i) - 1) == 0);
    }
    return bytes;
}

static void free_all(void)
{
    for (int i = 0; i < MANY; i++) {
        allot_free(block[i]);
    }
    allot_check();
}

static size_t odd(int i) { return i % 10 < 6 ? 1096 : 1025 + (size_t)i % 128; }

static void most_blocks_have_one_size(void **state)
{
    (void)state;
    size_t bytes = occupied(odd), exact = 0, in_tuned = 0;
    for (int i = 0; i < MANY; i++) {
        size_t usable = allot_malloc_usable_size(block[i]);
        exact += usable == 1104;
        in_tuned += usable < 1152;
        assert_true(usable == 1104 || usable == 1152);
    }
    /* Untuned until there are 16 slabs of 56 slots. */
    assert_true(exact == in_tuned && exact > MANY * 6 / 10 - 16 * 56 && bytes < MANY * (size_t)1152);
    struct allot_class_stats class[CLASSES];
    size_t n = allot_stats_classes(class, CLASSES), blocks = 0;
    for (size_t i = 0; i < n; i++) {
        blocks += class[i].size == 1152 ? class[i].blocks : 0;
    }
    assert_int_equal(blocks, MANY);
    free_all();
}

static size_t any(int i) { return 2305 + (size_t)(i * 7919) % 256; }

static void sizes_of_all_kinds(void **state)
{
    (void)state;
    size_t bytes = occupied(any), lower = 0;
    for (int i = 0; i < MANY; i++) {
        lower += allot_malloc_usable_size(block[i]) == 2432;
    }
    assert_true(lower > MANY / 3 && bytes < MANY * (size_t)2560 - MANY / 3 * (size_t)128);
    free_all();
}

static size_t whole(int i) { return 1536 - (size_t)i % 10; }

static void nothing_to_gain(void **state)
{
    (void)state;
    occupied(whole);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(allot_malloc_usable_size(block[i]), 1536);
    }
    free_all();
}

static void aligned_blocks_stay_aligned(void **state)
{
    (void)state;
    occupied(odd);
    for (size_t align = 32; align <= 1024; align *= 2) {
        for (size_t size = 1025; size <= 1152; size++) {
            void *p = allot_aligned_alloc(align, size);
            assert_int_equal((uintptr_t)p % align, 0);
            allot_free(p);
        }
    }
    free_all();
}

static void tuned_again_when_all_is_gone(void **state)
{
    (void)state;
    struct allot_heap heap;
    assert_int_equal(allot_heap_init(&heap, NULL), 0);
    static const size_t sizes[] = {5000, 4700};
    for (int round = 0; round < 4; round++) {
        size_t size = sizes[round % 2], exact = 0;
        for (int i = 0; i < MANY; i++) {
            block[i] = allot_heap_alloc(&heap, size);
            exact += allot_malloc_usable_size(block[i]) == align_up(size, 16);
        }
        assert_true(exact > MANY * 8 / 10);
        assert_true(allot_heap_check(&heap));
        for (int i = 0; i < MANY && round == 1; i++) {
            allot_heap_free(&heap, block[i]);
        }
        allot_heap_reset(&heap);
    }
    allot_heap_done(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(most_blocks_have_one_size),
        cmocka_unit_test(sizes_of_all_kinds),
        cmocka_unit_test(nothing_to_gain),
        cmocka_unit_test(aligned_blocks_stay_aligned),
        cmocka_unit_test(tuned_again_when_all_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
