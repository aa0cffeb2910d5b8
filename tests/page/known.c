/* page/known.c - how often each policy misses, where that is known: counted by another program, or by reasoning. */
#include "common/unit.h"

#include <math.h>

#include "page/made.h"

enum { REFERENCES = 1000000, CELLS = 6 };

static struct made zipf(bool scan)
{
    return scan ? made_zipf(100000, 0.8, REFERENCES, 0xd1b54a32d192ed03u, 50000)
                : made_zipf(100000, 1.0, REFERENCES, 0x9e3779b97f4a7c15u, 0);
}

/* Of a million references, as libCacheSim counts with objects of one size: 0.1, 1 and 10 % of the pages are frames. */
static const struct {
    size_t frames, misses[ALLOT_EVICT_POLICIES];
} counted[CELLS] = {
#define ROW(f, fifo, lru, clock, sieve, s3fifo, arc)                                              \
    {                                                                                             \
        f,                                                                                        \
        {                                                                                         \
            [ALLOT_FIFO] = fifo, [ALLOT_LRU] = lru, [ALLOT_CLOCK] = clock, [ALLOT_SIEVE] = sieve, \
            [ALLOT_S3FIFO] = s3fifo, [ALLOT_ARC] = arc                                            \
        }                                                                                         \
    }
    ROW(80, 769225, 730515, 717710, 604655, 606876, 612323),
    ROW(807, 555864, 514337, 502756, 420148, 418881, 422724),
    ROW(8071, 323806, 287525, 278861, 241930, 238576, 241924),
    ROW(185, 926115, 912752, 906380, 822016, 818063, 821632),
    ROW(1855, 792719, 767183, 758059, 673748, 665252, 671233),
    ROW(18553, 544058, 506149, 493571, 434448, 429396, 433468),
};

static size_t misses[CELLS][ALLOT_EVICT_POLICIES];

static void counts(void **state)
{
    (void)state;
    for (int cell = 0; cell < CELLS; cell++) {
        static struct made trace;
        if (cell % 3 == 0) {
            made_free(&trace);
            trace = zipf(cell >= 3);
            assert_int_equal(trace.pages, cell >= 3 ? 185535 : 80718);
        }
        for (unsigned p = 0; p < ALLOT_EVICT_POLICIES; p++) {
            misses[cell][p] = made_misses(&trace, p, counted[cell].frames, NULL);
            if (p != ALLOT_GRADUAL) {
                assert_int_equal(misses[cell][p], counted[cell].misses[p]);
            }
        }
    }
}

/* Of the same cells: never worse than Clock, within a point of the best there is, and the best of all on average. */
static void gradual_is_best(void **state)
{
    (void)state;
    double mean[ALLOT_EVICT_POLICIES] = {0};
    for (int cell = 0; cell < CELLS; cell++) {
        const size_t *m = misses[cell];
        assert_in_range(m[ALLOT_GRADUAL], 1, m[ALLOT_CLOCK] + REFERENCES * 3 / 1000);
        for (unsigned p = 0; p < ALLOT_EVICT_POLICIES; p++) {
            mean[p] += log((double)m[p]) / CELLS;
            assert_in_range(m[ALLOT_GRADUAL], 1, m[p] + REFERENCES / 100);
        }
    }
    for (unsigned p = 1; p < ALLOT_EVICT_POLICIES; p++) {
        assert_true(mean[ALLOT_GRADUAL] < mean[p]);
    }
}

/* A loop is lost to FIFO, LRU and Clock as soon as it is longer than there are frames. No policy can hit more than frames / pages. */
static void loops(void **state)
{
    (void)state;
    enum { FRAMES = 1000, ROUNDS = 50 };
    for (size_t pages = 1100; pages <= 1500; pages += 100) {
        struct made trace = made_loop(pages, pages * ROUNDS);
        for (unsigned p = ALLOT_FIFO; p <= ALLOT_CLOCK; p++) {
            assert_int_equal(made_misses(&trace, p, FRAMES, NULL), trace.references);
        }
        double hits = 1 - (double)made_misses(&trace, ALLOT_GRADUAL, FRAMES, NULL) / (double)trace.references;
        assert_true(hits >= (pages == 1200 ? 0.6 : 0.4) && hits <= (double)FRAMES / (double)pages);
        made_free(&trace);
    }
    struct made fits = made_loop(FRAMES, FRAMES * ROUNDS);
    for (unsigned p = 0; p < ALLOT_EVICT_POLICIES; p++) {
        assert_int_equal(made_misses(&fits, p, FRAMES, NULL), FRAMES);
    }
    made_free(&fits);
}

/* What is new is what counts: there LRU is hard to beat, and a policy that trusts old fame is lost. */
static void drifts(void **state)
{
    (void)state;
    enum { FRAMES = 1000 };
    struct made traces[] = {made_drift(1200, 500000, 3), made_drift(2400, 500000, 4), made_shift(2000, 500000, 5),
                            made_shift(4000, 500000, 6)};
    for (size_t i = 0; i < sizeof traces / sizeof *traces; i++) {
        size_t clock = made_misses(&traces[i], ALLOT_CLOCK, FRAMES, NULL);
        size_t gradual = made_misses(&traces[i], ALLOT_GRADUAL, FRAMES, NULL);
        assert_in_range(gradual, 1, clock + traces[i].references * 3 / 1000);
        made_free(&traces[i]);
    }
}

/* Whatever the levels and paces are, the equations hold and it stays a policy: better than FIFO where some pages are hot. */
static void options(void **state)
{
    (void)state;
    static const struct allot_evict_opts tried[] = {
        {.levels = 2},
        {.levels = 8},
        {.levels = 4, .fresh = 25, .fresh_most = 25},
        {.levels = 3, .pace = {0, 0, 64}},
        {.levels = 8, .pace = {0, 0, 256, 128, 64, 32, 16, 8}},
        {.levels = 4, .fresh = 256, .fresh_most = 256},
        {.levels = 5, .pace = {0, 0, 2560, 2560, 2560}},
    };
    struct made trace = made_zipf(20000, 0.9, 300000, 17, 0);
    size_t fifo = made_misses(&trace, ALLOT_FIFO, 500, NULL);
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
        assert_in_range(made_misses(&trace, ALLOT_GRADUAL, 500, &tried[i]), 1, fifo);
    }
    made_free(&trace);
}

/* As few frames as there can be. */
static void tiny(void **state)
{
    (void)state;
    struct made trace = made_zipf(50, 1, 20000, 9, 0), loop = made_loop(3, 3000);
    for (unsigned p = 0; p < ALLOT_EVICT_POLICIES; p++) {
        size_t before = trace.references;
        for (size_t frames = 1; frames <= 64; frames *= 2) {
            size_t now = made_misses(&trace, p, frames, NULL);
            assert_true(now <= before + trace.references / 50 && now >= trace.pages);
            before = now;
        }
        assert_int_equal(before, trace.pages);
        assert_in_range(made_misses(&loop, p, 1, NULL), 3, 3000);
    }
    made_free(&trace);
    made_free(&loop);
}

/* With few frames no page gets to a third level; with more they do, and it is worth it. */
static void levels(void **state)
{
    (void)state;
    struct made trace = made_zipf(5000, 1, 200000, 11, 0);
    for (size_t frames = 255; frames <= 256; frames++) {
        size_t unless_told = made_misses(&trace, ALLOT_GRADUAL, frames, NULL);
        size_t two = made_misses(&trace, ALLOT_GRADUAL, frames, &(struct allot_evict_opts){.levels = 2});
        size_t three = made_misses(&trace, ALLOT_GRADUAL, frames, &(struct allot_evict_opts){.levels = 3});
        assert_int_equal(unless_told, frames < 256 ? two : three);
        assert_true(three < two); /* what is hot stays hot in this one */
    }
    made_free(&trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts), cmocka_unit_test(gradual_is_best), cmocka_unit_test(loops), cmocka_unit_test(levels),
        cmocka_unit_test(drifts), cmocka_unit_test(options),         cmocka_unit_test(tiny),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
