/* region.c - regions call by call; every rule against an oracle: tests/model. */
#include "common/unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <allot/malloc.h>
#include <allot/region.h>

#include "common/child.h"
#include "common/random.h"
#include "place/region.h"

static const enum allot_fit fits[] = {ALLOT_FIRST, ALLOT_NEXT,   ALLOT_BEST, ALLOT_NEXT_BEST,
                                      ALLOT_WORST, ALLOT_GROUPS, ALLOT_BINS, ALLOT_BUDDY};
#define FITS 8

/* -- any rule -- */

enum { SLOTS = 3000 };

/* Random takes, gives, resizes and claims; no two ranges overlap, which a map tells. */
static void churn(enum allot_fit fit, uint64_t base, uint64_t unit)
{
    enum { UNITS = 1 << 16 };
    struct allot_region region;
    struct random random = {0x1234 + fit};
    static struct allot_range range[SLOTS];
    static char map[UNITS];
    bool live[SLOTS] = {0};
    memset(map, 0, sizeof map);
    assert_int_equal(
        allot_region_init(&region, base, UNITS * unit, &(struct allot_region_opts){.fit = fit, .unit = unit}), 0);
    uint64_t used = 0, count = 0;
    for (int step = 0; step < 40000; step++) {
        int i = (int)random_below(&random, SLOTS);
        struct allot_range *r = &range[i];
        if (live[i]) {
            uint64_t from = (r->at - base) / unit, to = from + r->size / unit;
            if (random_below(&random, 4) == 0) {
                uint64_t was = r->size, size = 1 + random_below(&random, 2 * was);
                if (allot_region_resize(&region, r, size) == 0) {
                    assert_true(r->size >= size);
                    uint64_t end = from + r->size / unit;
                    for (uint64_t at = to; at < end; at++) {
                        assert_int_equal(map[at], 0);
                        map[at] = 1;
                    }
                    for (uint64_t at = end; at < to; at++) {
                        map[at] = 0;
                    }
                    used += r->size - was;
                }
                continue;
            }
            for (uint64_t at = from; at < to; at++) {
                assert_int_equal(map[at], 1);
                map[at] = 0;
            }
            allot_region_give(&region, r);
            used -= r->size;
            count--;
            live[i] = false;
            continue;
        }
        uint64_t size = 1 + random_below(&random, unit << random_below(&random, 10));
        uint64_t align = unit << random_below(&random, 6);
        int failed;
        if (random_below(&random, 8) == 0) {
            uint64_t at = base + random_below(&random, UNITS) * unit;
            size = 1 + random_below(&random, 9);
            failed = allot_region_claim(&region, at, size * unit, r);
            bool free = (at - base) / unit + size <= UNITS;
            for (uint64_t u = (at - base) / unit; free && u < (at - base) / unit + size; u++) {
                free = !map[u];
            }
            assert_int_equal(failed, free ? 0 : -ENOSPC);
            if (!failed) {
                assert_int_equal(r->at, at);
                assert_int_equal(r->size, size * unit);
            }
        } else {
            failed = allot_region_take(&region, size, align, r);
            if (!failed) {
                assert_int_equal(r->at % align, 0);
                assert_true(r->size >= size);
            }
        }
        if (failed) {
            assert_int_equal(failed, -ENOSPC);
            continue;
        }
        live[i] = true;
        used += r->size;
        count++;
        assert_true(r->at >= base && r->at + r->size <= base + UNITS * unit);
        for (uint64_t at = (r->at - base) / unit; at < (r->at - base + r->size) / unit; at++) {
            assert_int_equal(map[at], 0);
            map[at] = 1;
        }
        if (step % 512 == 0) {
            assert_true(allot_region_check(&region));
            struct allot_region_stats stats;
            allot_region_stats(&region, &stats);
            assert_int_equal(stats.use.used, used);
            assert_int_equal(stats.use.count, count);
            assert_int_equal(stats.use.held, UNITS * unit);
            struct allot_range largest;
            if (stats.largest) {
                assert_int_equal(allot_region_take(&region, stats.largest, 0, &largest), 0);
                assert_true(allot_region_check(&region));
                allot_region_give(&region, &largest);
            }
            if (fit != ALLOT_BUDDY) {
                assert_int_equal(allot_region_take(&region, stats.largest + unit, 0, &largest), -ENOSPC);
            }
        }
    }
    assert_true(allot_region_check(&region));
    for (int i = 0; i < SLOTS; i++) {
        if (live[i]) {
            allot_region_give(&region, &range[i]);
        }
    }
    struct allot_region_stats stats;
    allot_region_stats(&region, &stats);
    assert_true(allot_region_check(&region));
    assert_int_equal(stats.use.used, 0);
    assert_int_equal(stats.use.count, 0);
    if (fit != ALLOT_BUDDY || base == 0) {
        assert_int_equal(stats.largest, UNITS * unit);
        assert_int_equal(stats.holes, 1);
    }
    allot_region_done(&region);
}

static void every_rule(void **state)
{
    (void)state;
    for (int i = 0; i < FITS; i++) {
        churn(fits[i], 0, 1);
        churn(fits[i], (uint64_t)3 << 61, 4096);
        churn(fits[i], 1000 * 256, 256);
    }
}

/* -- compaction -- */

struct holder {
    struct allot_range range[SLOTS];
    size_t count;
};

/* A region with random ranges, of which `kept` in a hundred stay. */
static void fragment(struct allot_region *region, struct holder *h, struct random *random, unsigned kept)
{
    h->count = 0;
    while (h->count < SLOTS && allot_region_take(region, 1 + random_below(random, 200), 0, &h->range[h->count]) == 0) {
        h->count++;
    }
    for (size_t i = 0; i < h->count;) {
        if (random_below(random, 100) < kept) {
            i++;
        } else {
            allot_region_give(region, &h->range[i]);
            h->range[i] = h->range[--h->count];
        }
    }
}

static void follow(struct holder *h, const struct allot_move *move)
{
    for (size_t i = 0; i < h->count; i++) {
        if (h->range[i].id == move->from.id) {
            assert_int_equal(h->range[i].at, move->from.at);
            h->range[i] = move->to;
            return;
        }
    }
    fail();
}

static bool odd_ones_stay(void *arg, struct allot_range range, struct allot_bounds *bounds)
{
    (void)arg;
    bounds->align = 2;
    return range.size % 8 != 1;
}

static void plans_make_a_long_hole(void **state)
{
    (void)state;
    static struct holder h;
    for (int i = 0; i < FITS - 1; i++) {
        for (int pinned = 0; pinned < 2; pinned++) {
            struct allot_region region;
            struct random random = {77 + (uint64_t)i};
            assert_int_equal(allot_region_init(&region, 4096, 200000, &(struct allot_region_opts){.fit = fits[i]}), 0);
            fragment(&region, &h, &random, 50);
            struct allot_region_stats stats;
            allot_region_stats(&region, &stats);
            uint64_t used = stats.use.used, moved = 0, free = 200000 - used;
            struct allot_move moves[8];
            struct allot_plan_opts opts = {.most = 2000, .may_move = pinned ? odd_ones_stay : NULL};
            int planned;
            for (int calls = 0; (planned = allot_region_plan(&region, &opts, moves, 8)) != 0; calls++) {
                assert_in_range(planned, 1, 8);
                assert_in_range(calls, 0, 100000);
                uint64_t together = 0;
                for (int m = 0; m < planned; m++) {
                    assert_true(moves[m].from.size % 8 != 1 || !pinned);
                    assert_true(moves[m].to.at % 2 == 0 || !pinned);
                    together += moves[m].to.size;
                    if (random_below(&random, 10) == 0) {
                        allot_region_abort(&region, &moves[m]);
                    } else {
                        follow(&h, &moves[m]);
                        allot_region_commit(&region, &moves[m]);
                        moved += moves[m].to.size;
                    }
                }
                assert_true(together <= 2000 || planned == 1);
                assert_true(allot_region_check(&region));
            }
            allot_region_stats(&region, &stats);
            assert_int_equal(stats.use.used, used);
            if (!pinned) {
                assert_true(stats.largest >= free / 10 * 9);
                assert_true(moved <= used);
            }
            for (size_t k = 0; k < h.count; k++) {
                allot_region_give(&region, &h.range[k]);
            }
            assert_true(allot_region_check(&region));
            allot_region_done(&region);
        }
    }
}

/* -- memory that runs out -- */

/* All that may want records. Stops at the first that gets none; whatever came before is as it should be. */
static bool use_all(enum allot_fit fit)
{
    static struct allot_range range[SLOTS];
    static char image[SLOTS * 64];
    struct allot_region region, loaded;
    struct random random = {5};
    int failed = allot_region_init(&region, 0, 1 << 20, &(struct allot_region_opts){.fit = fit});
    if (failed) {
        assert_int_equal(failed, -ENOMEM);
        assert_null(region.state);
        return false;
    }
    size_t count = 0;
    for (size_t i = 0; i < SLOTS && !failed; i++) {
        failed = i % 5 == 4 ? allot_region_claim(&region, (1 << 19) + i * 16, 3, &range[count])
                            : allot_region_take(&region, 1 + random_below(&random, 100), 0, &range[count]);
        count += failed == 0;
        failed = failed == -ENOSPC ? 0 : failed;
    }
    struct allot_range *last = &range[count - (count > 0)];
    failed = failed ? failed : allot_region_resize(&region, last, (last->size + 1) / 2);
    failed = failed ? failed : allot_region_add(&region, 1 << 21, 1 << 20);
    failed = failed ? failed : allot_region_reserve(&region, 3 * SLOTS);
    for (size_t i = 0; i < count; i += 2) {
        allot_region_give(&region, &range[i]);
    }
    assert_true(allot_region_check(&region));
    struct allot_move moves[16];
    int planned = failed || fit == ALLOT_BUDDY ? failed : allot_region_plan(&region, NULL, moves, 16);
    for (int i = 0; i < planned; i++) {
        allot_region_abort(&region, &moves[i]);
    }
    failed = planned < 0 ? planned : 0;
    assert_true(allot_region_check(&region));
    size_t length = allot_region_save(&region, image, sizeof image);
    assert_true(length <= sizeof image);
    if (!failed) {
        failed = allot_region_load(&loaded, image, length, NULL);
        if (!failed) {
            assert_true(allot_region_check(&loaded));
            allot_region_done(&loaded);
        }
    }
    assert_true(failed == 0 || failed == -ENOMEM);
    for (size_t i = 1; i < count; i += 2) {
        allot_region_give(&region, &range[i]);
    }
    struct allot_region_stats stats;
    allot_region_stats(&region, &stats);
    assert_int_equal(stats.use.used, 0);
    allot_region_done(&region);
    return failed == 0;
}

static void out_of_memory(void **state)
{
    (void)state;
    for (int i = 0; i < FITS; i++) {
        for (long n = 0;; n++) {
            allot_fail_after(n);
            bool all = use_all(fits[i]);
            allot_fail_after(-1);
            assert_in_range(n, 0, 100);
            if (all) {
                assert_true(n > 3);
                break;
            }
        }
    }
}

/* The caller's memory holds as many ranges as was said, and refuses one it has no record for. */
static void out_of_records(void **state)
{
    (void)state;
    static _Alignas(64) char memory[4 << 20];
    static struct allot_range range[20000];
    for (int i = 0; i < FITS; i++) {
        for (uint64_t ranges = 1; ranges < 3000; ranges = ranges * 7 / 2 + 1) {
            struct allot_region_opts opts = {.fit = fits[i], .memory = memory};
            opts.memory_size = allot_region_memory(ranges, 1 << 20, &opts);
            assert_in_range(opts.memory_size, 1, sizeof memory);
            struct allot_region region;
            assert_int_equal(allot_region_init(&region, 0, 1 << 20, &opts), 0);
            /* Far apart, so that each leaves a hole. */
            for (uint64_t k = 0; k < ranges; k++) {
                assert_int_equal(allot_region_claim(&region, 3 + k * 128, 1, &range[k]), 0);
            }
            assert_true(allot_region_check(&region));
            uint64_t count = ranges;
            for (uint64_t at = 64; at < 1 << 20 && count < 20000; at += 128) {
                int failed = allot_region_claim(&region, at, 3, &range[count]);
                count += failed == 0;
                if (failed == -ENOMEM) {
                    break;
                }
            }
            assert_true(allot_region_check(&region));
            for (uint64_t k = 0; k < count; k++) {
                allot_region_give(&region, &range[k]);
            }
            assert_true(allot_region_check(&region));
            struct allot_region_stats stats;
            allot_region_stats(&region, &stats);
            assert_int_equal(stats.memory, opts.memory_size);
            assert_int_equal(stats.largest, 1 << 20);
            allot_region_done(&region);
            opts.memory_size = 64;
            assert_int_equal(allot_region_init(&region, 0, 1 << 20, &opts), -ENOMEM);
        }
    }
}

/* -- misuse -- */

static struct allot_region misused;
static struct allot_range given;

static void give_twice(void *arg)
{
    (void)arg;
    allot_region_give(&misused, &given);
    allot_region_give(&misused, &given);
}

static void give_another_size(void *arg)
{
    (void)arg;
    given.size++;
    allot_region_give(&misused, &given);
}

static void give_no_id(void *arg)
{
    (void)arg;
    given.id = UINT32_MAX;
    allot_region_give(&misused, &given);
}

static void resize_given(void *arg)
{
    (void)arg;
    allot_region_give(&misused, &given);
    allot_region_resize(&misused, &given, 3);
}

static void use_after_done(void *arg)
{
    (void)arg;
    allot_region_done(&misused);
    allot_region_take(&misused, 1, 0, &given);
}

static void misuse_ends_with_a_line(void **state)
{
    (void)state;
    static const struct {
        void (*crime)(void *);
        const char *line;
    } crimes[] = {
        {give_twice, "allot: double give, or give of a range that was not taken: range at 0x4d20\n"},
        {give_another_size, "allot: double give, or give of a range that was not taken: range at 0x4d20\n"},
        {give_no_id, "allot: double give, or give of a range that was not taken: range at 0x4d20\n"},
        {resize_given, "allot: resize of a range that was not taken: range at 0x4d20\n"},
        {use_after_done, "allot: use of a region that was not initialised, or is done: region at 0x"},
    };
    for (int i = 0; i < FITS; i++) {
        for (size_t c = 0; c < sizeof crimes / sizeof *crimes; c++) {
            assert_int_equal(allot_region_init(&misused, 0x4d20, 64, &(struct allot_region_opts){.fit = fits[i]}), 0);
            assert_int_equal(allot_region_claim(&misused, 0x4d20, 4, &given), 0);
            struct child_end end = child_run(crimes[c].crime, NULL);
            assert_true(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGABRT);
            assert_memory_equal(end.text, crimes[c].line, strlen(crimes[c].line));
            allot_region_done(&misused);
        }
    }
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    static const struct allot_region_opts bad[] = {
        {.fit = (enum allot_fit)8},           {.unit = 3},  {.unit = (uint64_t)1 << 63},
        {.areas = 5000, .fit = ALLOT_GROUPS}, {.areas = 5}, {.threshold = 1},
        {.lock = ALLOT_REGION_SHARED}};
    struct allot_region region;
    struct allot_range range;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(allot_region_init(&region, 0, 100, &bad[i]), -EINVAL);
        assert_null(region.state);
    }
    assert_int_equal(allot_region_init(&region, UINT64_MAX - 5, 5, NULL), -EINVAL);
    assert_int_equal(allot_region_init(&region, 7, 0, NULL), 0);
    assert_int_equal(allot_region_take(&region, 1, 0, &range), -ENOSPC);
    assert_int_equal(allot_region_add(&region, 100, 50), 0);
    assert_int_equal(allot_region_add(&region, 149, 5), -EINVAL);
    assert_int_equal(allot_region_add(&region, 90, 11), -EINVAL);
    assert_int_equal(allot_region_add(&region, 90, 0), -EINVAL);
    assert_int_equal(allot_region_add(&region, 150, 50), 0);
    assert_int_equal(allot_region_take(&region, 0, 0, &range), -EINVAL);
    assert_int_equal(allot_region_take(&region, 1, 3, &range), -EINVAL);
    assert_int_equal(allot_region_take(&region, UINT64_MAX, 0, &range), -ENOSPC);
    assert_int_equal(allot_region_take_in(&region, 1, &(struct allot_bounds){.align = 4, .phase = 4}, &range), -EINVAL);
    assert_int_equal(allot_region_take_in(&region, 1, &(struct allot_bounds){.nocross = 6}, &range), -EINVAL);
    assert_int_equal(allot_region_take_in(&region, 9, &(struct allot_bounds){.nocross = 8}, &range), -ENOSPC);
    assert_int_equal(allot_region_claim(&region, 120, 0, &range), -EINVAL);
    assert_int_equal(allot_region_claim(&region, UINT64_MAX, 2, &range), -ENOSPC);
    assert_int_equal(allot_region_take(&region, 100, 0, &range), 0);
    assert_int_equal(range.at, 100);
    struct allot_region_stats stats;
    allot_region_stats(&region, &stats);
    assert_int_equal(stats.use.refused, 4);
    allot_region_done(&region);
}

/* Where the last claim was is where the next is sought from: a resize of a buddy looks beside it, and leaves that alone. */
static void buddies_grow_without_a_walk(void **state)
{
    (void)state;
    struct allot_region region;
    struct allot_range claim, range;
    assert_int_equal(allot_region_init(&region, 0, 1 << 20, &(struct allot_region_opts){.fit = ALLOT_BUDDY}), 0);
    assert_int_equal(allot_region_claim(&region, 1 << 19, 1 << 19, &claim), 0);
    uint32_t finger = state_of(&region)->finger;
    assert_int_equal(allot_region_take(&region, 16, 0, &range), 0);
    assert_int_equal(allot_region_resize(&region, &range, 1 << 19), 0);
    assert_int_equal(range.at, 0);
    assert_int_equal(range.size, 1 << 19);
    assert_int_equal(allot_region_resize(&region, &range, 1 << 20), -ENOSPC);
    assert_int_equal(state_of(&region)->finger, finger);
    allot_region_check(&region);
    allot_region_done(&region);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_rule),
                                       cmocka_unit_test(plans_make_a_long_hole),
                                       cmocka_unit_test(out_of_memory),
                                       cmocka_unit_test(out_of_records),
                                       cmocka_unit_test(misuse_ends_with_a_line),
                                       cmocka_unit_test(nonsense_is_refused),
                                       cmocka_unit_test(buddies_grow_without_a_walk)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
