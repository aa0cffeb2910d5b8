/* unit/large.c - blocks with a mapping of their own. */
#include "common/unit.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/bits.h"
#include "os/memory.h"
#include "span/large.h"
#include "span/map.h"
#include "span/reserve.h"
#include "span/segment.h"

static bool zeroed;

static void found_by_their_address(void **state)
{
    (void)state;
    char *p = large_alloc(5 * MIB, 1, 3, &zeroed);
    assert_int_equal((uintptr_t)p % SEGMENT_SIZE, 0);
    assert_int_equal(large_length(p), 5 * MIB);
    assert_int_equal(large_heap(p), 3);
    assert_int_equal(large_length(p + 1), 0);
    assert_int_equal(large_length(p + SEGMENT_SIZE), 0);
    assert_int_equal(p[0] | p[5 * MIB - 1], 0);
    char *aligned = large_alloc(1, 64 * MIB, 0, &zeroed);
    assert_int_equal((uintptr_t)aligned % (64 * MIB), 0);
    large_check();
    assert_int_equal(large_free(p), 5 * MIB);
    large_free(aligned);
    assert_int_equal(large_length(p), 0);
    large_check();
}

static void growing_keeps_the_contents(void **state)
{
    (void)state;
    large_trim();
    size_t before = os_mapped();
    char *p = large_alloc(3 * MIB, 1, 0, &zeroed), *wall = large_alloc(3 * MIB, 1, 0, &zeroed);
    memset(p, 9, 3 * MIB);
    for (size_t now = 6 * MIB; now <= 96 * MIB; now *= 2) {
        if (!large_resize(p, now)) {
            char *old = p;
            p = large_move(p, now);
            assert_non_null(p);
            assert_int_equal(large_length(old), 0);
        }
        assert_int_equal(large_length(p), now);
        assert_int_equal(p[0] + p[3 * MIB - 1], 18);
        assert_int_equal(p[3 * MIB] | p[now - 1], 0);
    }
    assert_true(large_resize(p, 4 * MIB));
    assert_int_equal(large_totals().bytes, 7 * MIB);
    large_check();
    large_free(p);
    large_free(wall);
    large_trim();
    assert_true(os_mapped() - before < MIB); /* but for tables of the address map, where the kernel chose new places */
}

/* Pages that are there are used again, whatever the length. */
static void kept_mappings_are_cut_and_grow(void **state)
{
    (void)state;
    large_trim();
    char *p = large_alloc(20 * MIB, 1, 0, &zeroed);
    memset(p, 1, 20 * MIB);
    large_free(p);
    assert_ptr_equal(large_alloc(12 * MIB, 1, 0, &zeroed), p);
    assert_false(zeroed);
    assert_int_equal(large_length(p), 12 * MIB);
    assert_int_equal(large_totals().kept, 8 * MIB);
    /* The rest begins at a multiple of 4 MiB or not: what is made of it does. */
    char *q = large_alloc(7 * MIB + os_page, 1, 0, &zeroed);
    assert_false(zeroed);
    assert_int_equal((uintptr_t)q % SEGMENT_SIZE, 0);
    assert_int_equal(os_resident(q, 7 * MIB), 7 * MIB);
    large_free(q);
    char *r = large_alloc(14 * MIB, 1, 0, &zeroed);
    assert_false(zeroed);
    assert_int_equal((uintptr_t)r % SEGMENT_SIZE, 0);
    assert_int_equal(large_length(r), 14 * MIB);
    assert_in_range(os_resident(r, 14 * MIB), 7 * MIB, 10 * MIB); /* and perhaps a huge page */
    memset(r, 2, 14 * MIB);
    large_check();
    assert_null(memchr(p, 2, 12 * MIB));
    /* Less than half as long: the rest would not be zero for nothing. */
    large_free(p);
    char *s = large_alloc(25 * MIB, 1, 0, &zeroed);
    assert_true(zeroed);
    large_free(r);
    large_free(s);
    large_check();
    large_trim();
}

static void freed_mappings_are_kept_within_bounds(void **state)
{
    (void)state;
    large_trim();
    size_t before = os_mapped();
    char *p = large_alloc(10 * MIB, 1, 0, &zeroed);
    assert_true(zeroed);
    memset(p, 1, 10 * MIB);
    large_free(p);
    assert_int_equal(large_totals().kept, 10 * MIB);
    /* It serves again, and says that it is not zero. */
    assert_ptr_equal(large_alloc(10 * MIB, 1, 0, &zeroed), p);
    assert_false(zeroed);
    char *q = large_alloc(10 * MIB, 1, 0, &zeroed);
    assert_true(zeroed && q != p);
    large_free(p);
    assert_null(memchr(q, 1, 10 * MIB));
    large_free(q);
    /* What the largest block freed was, and what came back before, and no more, however many go. */
    char *many[30];
    for (int i = 0; i < 30; i++) {
        many[i] = large_alloc((size_t)(3 + i) * MIB, 1, 0, &zeroed);
    }
    for (int i = 0; i < 30; i++) {
        large_free(many[i]);
    }
    assert_true(large_totals().kept <= 64 * MIB);
    large_check();
    assert_true(large_trim() > 0);
    assert_int_equal(large_totals().kept, 0);
    /* The records stay; how many depends on the addresses. */
    assert_in_range(os_mapped(), before, before + MIB);
}

static int count_and_sum(void *p, size_t bytes, uint32_t heap, void *arg)
{
    (void)p;
    (void)heap;
    *(size_t *)arg += bytes;
    return 0;
}

static void all_of_one_heap(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        assert_non_null(large_alloc(3 * MIB, 1, i % 2, &zeroed));
    }
    size_t sum = 0;
    assert_int_equal(large_walk(count_and_sum, &sum), 0);
    assert_int_equal(sum, 60 * MIB);
    assert_int_equal(large_free_all(1), 30 * MIB);
    assert_int_equal(large_totals().blocks, 10);
    assert_int_equal(large_free_all(0), 30 * MIB);
    large_check();
}

static void memory_runs_out(void **state)
{
    (void)state;
    char *p = large_alloc(3 * MIB, 1, 0, &zeroed);
    char *wall = large_alloc(3 * MIB, 1, 0, &zeroed);
    memset(p, 4, 3 * MIB);
    for (long n = 0; n <= 3; n++) { /* map, move, and a table of the address map if the new place is in nobody's yet */
        os_fail_after(n);
        void *q = large_move(p, 40 * MIB);
        os_fail_after(-1);
        if (q) {
            p = q;
            break;
        }
        assert_int_equal(large_length(p), 3 * MIB);
        assert_int_equal(p[0] + p[3 * MIB - 1], 8);
        large_check();
    }
    assert_int_equal(large_length(p), 40 * MIB);
    assert_int_equal(p[0] + p[3 * MIB - 1], 8);
    errno = 0;
    assert_null(large_alloc(SIZE_MAX, 1, 0, &zeroed));
    assert_int_equal(errno, ENOMEM);
    assert_null(large_alloc((size_t)1 << 62, 1, 0, &zeroed));
    large_free(p);
    large_free(wall);
    large_check();
}

/* Who writes there after the free corrupts nothing of ours. */
static void nothing_is_kept_in_what_threads_in_haste_leave(void **state)
{
    (void)state;
    enum { MANY = 100 };
    char *p[MANY];
    large_trim();
    for (unsigned i = 0; i < MANY; i++) {
        p[i] = large_alloc(3 * MIB, 1, 0, &zeroed);
        assert_non_null(p[i]);
        memset(p[i], 7, 128);
    }
    in_haste = true;
    for (unsigned i = 0; i < MANY; i++) {
        large_free(p[i]);
    }
    for (unsigned i = 0; i < MANY; i++) {
        for (unsigned k = 0; k < 128; k++) {
            assert_int_equal(p[i][k], 7);
        }
        memset(p[i], 0xff, 128);
    }
    assert_int_equal(large_kept(), MANY * 3 * MIB);
    large_check();
    in_haste = false;
    large_catch_up();
    large_trim();
    assert_int_equal(large_kept(), 0);
    for (unsigned i = 0; i < MANY; i++) {
        assert_false(os_readable((uintptr_t)p[i]));
    }
    large_check();
}

int main(void)
{
    os_memory_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found_by_their_address),
        cmocka_unit_test(growing_keeps_the_contents),
        cmocka_unit_test(kept_mappings_are_cut_and_grow),
        cmocka_unit_test(freed_mappings_are_kept_within_bounds),
        cmocka_unit_test(all_of_one_heap),
        cmocka_unit_test(memory_runs_out),
        cmocka_unit_test(nothing_is_kept_in_what_threads_in_haste_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
