/* model_test.c - every rule beside the oracle, on streams of chance. PLACE_SEED and PLACE_RUNS choose others, and more of them. */
#include "../common/unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <allot/region.h>

#include "../common/random.h"
#include "model.h"

static uint64_t variable(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void streams(enum allot_fit fit, int large, size_t bytes, uint64_t runs)
{
    static uint8_t data[1 << 20];
    uint64_t first = variable("PLACE_SEED", 1);
    struct place_steps all = {0};
    runs = variable("PLACE_RUNS", runs);
    for (uint64_t run = 0; run < runs; run++) {
        struct random r = {(first + run) * 0x9e3779b97f4a7c15u + 1};
        for (size_t i = 0; i < bytes; i++) {
            data[i] = (uint8_t)(random_next(&r) >> 32);
        }
        data[0] = (uint8_t)fit;
        snprintf(place_run, sizeof place_run, ", PLACE_SEED=%" PRIu64 " PLACE_RUNS=1", first + run);
        place_model(data, bytes, large);
        all.steps += place_steps.steps;
        all.taken += place_steps.taken;
        all.refused += place_steps.refused;
        all.claimed += place_steps.claimed;
        all.resized += place_steps.resized;
        all.moved += place_steps.moved;
        all.saved += place_steps.saved;
        all.out_of_records += place_steps.out_of_records;
    }
    assert_true(all.taken > all.steps / 10);
    if (!large && runs >= 60) { /* every kind of step happened */
        assert_true(all.refused && all.claimed && all.resized && all.saved);
        assert_true(fit == ALLOT_BUDDY || (all.moved && all.out_of_records));
    }
}

static void small(void **state) { streams(*(enum allot_fit *)*state, 0, 4096, 60); }
static void large(void **state) { streams(*(enum allot_fit *)*state, 1, 40000, 2); }

int main(void)
{
    static enum allot_fit fits[] = {ALLOT_FIRST, ALLOT_NEXT,   ALLOT_BEST, ALLOT_NEXT_BEST,
                                    ALLOT_WORST, ALLOT_GROUPS, ALLOT_BINS, ALLOT_BUDDY};
    static const char *const names[] = {"first", "next", "best", "next best", "worst", "groups", "bins", "buddy"};
    struct CMUnitTest tests[16];
    char titles[16][32];
    for (int i = 0; i < 16; i++) {
        snprintf(titles[i], sizeof titles[i], "%s, %s", names[i / 2], i % 2 ? "large" : "small");
        tests[i] = (struct CMUnitTest){titles[i], i % 2 ? large : small, NULL, NULL, &fits[i / 2]};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
