/* unit/huge.c - huge pages: where memory is used throughout, and nowhere else. What a system without them gives is small pages,
 * which is checked too. */
#include "common/unit.h"

#include <stdbool.h>
#include <string.h>

#include "base/bits.h"
#include "os/memory.h"
#include "span/large.h"
#include "span/segment.h"

static bool available; /* the system has huge pages of this size for who asks, */
static bool unasked;   /* and for who does not */

static void find_out(void)
{
    char *p = os_map_aligned(OS_HUGE_PAGE, OS_HUGE_PAGE);
    assert_non_null(p);
    os_small_pages(p, OS_HUGE_PAGE);
    available = os_huge_page(p);
    assert_int_equal(os_resident(p, OS_HUGE_PAGE), available ? OS_HUGE_PAGE : os_page);
    for (size_t i = 0; i < OS_HUGE_PAGE; i += os_page) {
        assert_int_equal(p[i], 0);
    }
    /* The advice did not stay: what is purged comes back in small pages. */
    assert_int_equal(os_purge(p, OS_HUGE_PAGE), OS_HUGE_PAGE);
    p[5 * os_page] = 1;
    assert_int_equal(os_resident(p, OS_HUGE_PAGE), os_page);
    os_unmap(p, OS_HUGE_PAGE);
    p = os_map_aligned(OS_HUGE_PAGE, OS_HUGE_PAGE);
    assert_non_null(p);
    p[0] = 1;
    unasked = os_resident(p, OS_HUGE_PAGE) > os_page;
    os_unmap(p, OS_HUGE_PAGE);
}

enum { MANY = 6 * (UNITS - 1) };
static struct unit *unit[MANY];

static void take_all(enum unit_use use)
{
    for (int i = 0; i < MANY; i++) {
        unit[i] = unit_take(use);
        assert_non_null(unit[i]);
        for (size_t at = 0; at < UNIT_SIZE; at += os_page) {
            assert_int_equal(unit_data(unit[i])[at], 0); /* nothing was said to be touched */
        }
        assert_int_equal(unit[i]->touched, 0);
    }
    segments_check();
}

static void give_all(void)
{
    for (int i = 0; i < MANY; i++) {
        unit_give(unit[i]);
    }
    segments_trim();
    segments_check();
}

/* Resident beyond the pages that were read. */
static size_t resident_unasked(void)
{
    size_t resident = 0;
    for (int i = 0; i < MANY; i++) {
        resident += os_resident(unit_data(unit[i]), UNIT_SIZE);
    }
    return resident;
}

static void not_for_units_that_may_stay_empty(void **state)
{
    (void)state;
    for (enum unit_use use = UNIT_FEW; use <= UNIT_SOME; use++) {
        for (int i = 0; i < MANY; i++) {
            unit[i] = unit_take(use);
        }
        assert_int_equal(resident_unasked(), 0);
        give_all();
    }
}

static void for_units_that_are_filled_once_there_are_many(void **state)
{
    (void)state;
    for (int i = 0; i < MANY; i++) {
        unit[i] = unit_take(UNIT_ALL);
        assert_non_null(unit[i]);
        assert_int_equal(unit[i]->touched, 0);
    }
    segments_check();
    size_t resident = resident_unasked(), most = (size_t)MANY * UNIT_SIZE;
    if (available) {
        assert_true(resident >= most / 4 && resident <= most / 2);
    }
    /* Never the half with the records in it. */
    for (int i = 0; i < MANY; i++) {
        bool lower = unit_index(unit[i]) < UNITS / 2;
        assert_true(!lower || os_resident(unit_data(unit[i]), UNIT_SIZE) == 0);
    }
    give_all();
    assert_int_equal(resident_unasked(), 0);
}

/* A program that swings uses what it gave back, and no new address space each time. */
static void what_was_purged_is_taken_first(void **state)
{
    (void)state;
    take_all(UNIT_ALL);
    give_all();
    size_t before = segments_count();
    for (int swing = 0; swing < 5; swing++) {
        take_all(UNIT_ALL);
        give_all();
    }
    assert_int_equal(segments_count(), before);
    /* Nor when a unit of each segment stays. */
    for (int swing = 0; swing < 5; swing++) {
        struct unit *stay[MANY];
        int stays = 0;
        take_all(UNIT_ALL);
        for (int i = 0; i < MANY; i++) {
            bool last = i == 0 || segment_of(unit[i]) != segment_of(unit[i - 1]);
            stay[stays] = last ? unit[i] : NULL;
            stays += last;
            if (!last) {
                unit_give(unit[i]);
            }
        }
        segments_trim();
        take_all(UNIT_ALL);
        give_all();
        while (stays > 0) {
            unit_give(stay[--stays]);
        }
        segments_trim();
    }
    assert_true(segments_count() <= before + 6);
}

static void a_refusal_is_no_failure(void **state)
{
    (void)state;
    take_all(UNIT_ALL);
    os_fail_after(0);
    static struct unit *rest[4 * MANY];
    int n = 0;
    while ((rest[n] = unit_take(UNIT_ALL))) { /* what is left of the frontier, and of the others */
        n++;
        assert_true(n < 4 * MANY);
    }
    os_fail_after(-1);
    segments_check();
    for (int i = 0; i < n; i++) {
        unit_give(rest[i]);
    }
    give_all();
}

static size_t resident_when_touched(size_t bytes)
{
    bool zeroed;
    char *p = large_alloc(bytes, 1, 0, &zeroed);
    assert_non_null(p);
    p[0] = 1;
    size_t resident = os_resident(p, bytes);
    large_free(p);
    large_trim();
    return resident;
}

static void free_large(size_t bytes, size_t written)
{
    bool zeroed;
    char *p = large_alloc(bytes, 1, 0, &zeroed);
    assert_non_null(p);
    memset(p, 1, written);
    large_free(p);
    large_trim();
}

static void for_large_blocks_where_they_are_written_throughout(void **state)
{
    (void)state;
    const size_t bytes = 9 * MIB, one = available ? OS_HUGE_PAGE : os_page;
    if (unasked) {
        skip(); /* the system gives huge pages to every mapping: nothing to tell apart */
    }
    assert_int_equal(resident_when_touched(bytes), os_page);
    free_large(bytes, bytes);
    free_large(bytes, bytes);
    assert_int_equal(resident_when_touched(bytes), one); /* and it was not written throughout */
    assert_int_equal(resident_when_touched(bytes), os_page);
    free_large(bytes, bytes);
    free_large(bytes, bytes);
    free_large(bytes, bytes - os_page);
    assert_int_equal(resident_when_touched(bytes), os_page);
    free_large(bytes, bytes);
    free_large(bytes, bytes);
    assert_int_equal(resident_when_touched(5 * bytes), os_page); /* what was seen says nothing about that */
}

static void for_a_large_block_that_was_full_when_it_grew(void **state)
{
    (void)state;
    bool zeroed;
    size_t bytes = 3 * MIB;
    char *p = large_alloc(bytes, 1, 0, &zeroed);
    for (int i = 0; i < 2; i++) {
        memset(p, 1, bytes);
        if (!large_resize(p, 2 * bytes)) {
            p = large_move(p, 2 * bytes);
        }
        assert_non_null(p);
        bytes *= 2;
    }
    assert_int_equal(p[0] + p[bytes / 2 - 1], 2);
    p[8 * MIB] = 1;
    assert_int_equal(os_resident(p + 8 * MIB, OS_HUGE_PAGE), available ? OS_HUGE_PAGE : os_page);
    large_free(p);
    large_trim();
    large_check();
}

static void not_while_they_take_too_long(void **state)
{
    (void)state;
    if (unasked) {
        skip(); /* the system gives huge pages to every mapping: nothing to tell apart */
    }
    os_huge_page_worth = 0; /* one is had, and was not worth it */
    free_large(9 * MIB, 9 * MIB);
    free_large(9 * MIB, 9 * MIB);
    resident_when_touched(9 * MIB);
    /* Each that was not worth it makes the pause twice as long: in the end longer than what follows takes anywhere. */
    void *at = os_map_aligned(OS_HUGE_PAGE, OS_HUGE_PAGE);
    for (int i = 0; i < 8; i++) {
        os_huge_page(at);
    }
    os_unmap(at, OS_HUGE_PAGE);
    os_huge_page_worth = INT64_MAX;
    assert_false(os_huge_pages_worth_it());
    free_large(9 * MIB, 9 * MIB);
    free_large(9 * MIB, 9 * MIB);
    assert_int_equal(resident_when_touched(9 * MIB), os_page);
    take_all(UNIT_ALL);
    give_all();
}

int main(void)
{
    os_memory_init();
    os_huge_page_worth = INT64_MAX;
    find_out();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(for_units_that_are_filled_once_there_are_many),
        cmocka_unit_test(not_for_units_that_may_stay_empty),
        cmocka_unit_test(what_was_purged_is_taken_first),
        cmocka_unit_test(a_refusal_is_no_failure),
        cmocka_unit_test(for_large_blocks_where_they_are_written_throughout),
        cmocka_unit_test(for_a_large_block_that_was_full_when_it_grew),
        cmocka_unit_test(not_while_they_take_too_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
