/* unit/reserve.c - a drop is purged, a swing is kept, and what nobody needs for a while is not kept any longer. */
#include "common/unit.h"

#include <time.h>

#include "span/reserve.h"

enum { BOUND = 100 };

/* Of what is counted, each: so much that what may be made again in the time of a test is less than one. */
enum { MIB = 1 << 20 };

/* So many come free; returns how many were purged for it. */
static size_t release(struct reserve *r, size_t count)
{
    reserve_add(r, count);
    size_t excess = reserve_excess(r, BOUND, BOUND / 2);
    if (excess) {
        reserve_purged(r, excess, excess);
    }
    return excess;
}

static void take(struct reserve *r, size_t count)
{
    size_t dirty = r->dirty < count ? r->dirty : count;
    reserve_take(r, dirty, count - dirty);
}

static void a_drop_is_purged(void **state)
{
    (void)state;
    struct reserve r = {.each = MIB};
    assert_int_equal(release(&r, BOUND), 0);
    assert_int_equal(release(&r, 1), 1 + BOUND / 2);
    assert_int_equal(release(&r, 10000), 10000);
    assert_int_equal(r.dirty, BOUND / 2);
}

static void a_swing_is_kept(void **state)
{
    (void)state;
    struct reserve r = {.each = MIB};
    assert_int_equal(release(&r, 1000), 1000 - BOUND / 2);
    take(&r, 1000);
    assert_int_equal(r.kept, 1000 - BOUND / 2);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(release(&r, 1000), 0);
        take(&r, 1000);
    }
    /* A larger one pays for what it is larger by. */
    assert_true(release(&r, 1500) <= 500);
    take(&r, 1500);
    assert_int_equal(release(&r, 1500), 0);
}

/* A process that has run for a while: the first few swings are paid for, not the hundredth in the same second. */
static void what_costs_next_to_nothing_is_not_kept(void **state)
{
    (void)state;
    enum { EACH = 65536, PURGED = 3 * BOUND / 2 - BOUND / 2, FREE_SWINGS = 1000 * PACE_BYTES / EACH / PURGED };
    struct reserve r = {.each = EACH, .pace.at = 1};
    assert_true(FREE_SWINGS > 1);
    for (int i = 0; i < FREE_SWINGS; i++) {
        assert_int_equal(release(&r, 3 * BOUND / 2), PURGED);
        take(&r, 3 * BOUND / 2);
        assert_int_equal(r.kept, 0);
    }
    for (int i = 0; i < 100; i++) {
        release(&r, 3 * BOUND / 2);
        take(&r, 3 * BOUND / 2);
    }
    assert_true(r.kept > 0);
}

static void what_nobody_needs_goes(void **state)
{
    (void)state;
    struct reserve r = {.each = MIB};
    release(&r, 1000);
    take(&r, 1000);
    assert_int_equal(release(&r, 1000), 0);
    /* Two windows: in the one that ends first it was still in use. */
    for (int i = 0; i < 2; i++) {
        nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 50000000}, NULL);
        release(&r, 1);
    }
    assert_int_equal(r.kept, 0);
    assert_true(r.dirty <= BOUND);
}

static void giving_all_back_teaches_nothing(void **state)
{
    (void)state;
    struct reserve r = {.each = MIB};
    release(&r, BOUND);
    reserve_emptied(&r, BOUND);
    take(&r, BOUND);
    assert_int_equal(r.kept, 0);
}

static void what_the_system_holds_on_to_is_not_tried_each_time(void **state)
{
    (void)state;
    struct reserve r = {.each = MIB};
    reserve_add(&r, 1000);
    size_t excess = reserve_excess(&r, BOUND, BOUND / 2);
    assert_int_equal(excess, 1000 - BOUND / 2);
    reserve_purged(&r, excess, 150); /* the rest is locked */
    reserve_add(&r, BOUND / 2);
    assert_int_equal(reserve_excess(&r, BOUND, BOUND / 2), 0);
    reserve_add(&r, 1);
    assert_int_equal(reserve_excess(&r, BOUND, BOUND / 2), 1 + BOUND / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_drop_is_purged),
        cmocka_unit_test(a_swing_is_kept),
        cmocka_unit_test(what_costs_next_to_nothing_is_not_kept),
        cmocka_unit_test(what_nobody_needs_goes),
        cmocka_unit_test(giving_all_back_teaches_nothing),
        cmocka_unit_test(what_the_system_holds_on_to_is_not_tried_each_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
