/* Of results made by hand: who is the best, by how much over whom, what is noticeable, and why; who failed or refused is never it. And all of
 * a small trace: each strategy's result in its place, steps to each its own, two at a time. */
#include "common/unit.h"

#include <stdlib.h>
#include <string.h>

#include "replay/comparison.h"
#include "replay/judge.h"
#include "replay/ops_file.h"

#define MIB ((uint64_t)1 << 20)

/* Most is live at 100 MiB; rounding, headers and holes in MiB. */
static struct replay_result model(const char *name, uint64_t rounding, uint64_t headers, uint64_t holes,
                                  uint64_t metadata)
{
    struct replay_moment at = {.live = 100 * MIB,
                               .used = (100 + rounding + headers) * MIB,
                               .held = (100 + rounding + headers + holes) * MIB,
                               .headers = headers * MIB,
                               .metadata = metadata * MIB};
    return (struct replay_result){.name = name,
                                  .ops = 100000,
                                  .at_live_peak = at,
                                  .peak_held = at.held,
                                  .mean_held_over_live = (double)at.held / (double)at.live};
}

static struct replay_result real(const char *name, uint64_t resident, double ns, double spread, uint64_t faults)
{
    return (struct replay_result){.name = name,
                                  .real = true,
                                  .ops = 100000,
                                  .at_live_peak = {.live = 100 * MIB, .held = resident},
                                  .peak_held = resident,
                                  .mean_held_over_live = 1.5,
                                  .ns_op = ns,
                                  .ns_op_least = ns - spread / 2,
                                  .ns_op_most = ns + spread / 2,
                                  .runs = 5,
                                  .faults = faults};
}

static struct comparison judged(const struct replay_result *result, unsigned models, unsigned all)
{
    static const struct ops ops = {.peak_live = 100 * MIB};
    struct comparison c = {
        .ops = &ops, .result = (struct replay_result *)(uintptr_t)result, .results = all, .models = models};
    judge(&c);
    return c;
}

static void test_best_by_peak(void **state)
{
    (void)state;
    const struct replay_result r[] = {model("first", 2, 1, 7, 2), model("best", 2, 1, 2, 3),
                                      model("allot", 9, 0, 11, 0)};
    struct comparison c = judged(r, 3, 3);
    const struct comparison_best *b = &c.best[BY_PEAK];
    assert_int_equal(b->result, 1);
    assert_int_equal(b->any, 1);
    assert_int_equal(b->against, 2);
    assert_true(b->noticeable);
    assert_float_equal(b->saved, 1 - 108.0 / 120, 1e-9);
    assert_string_equal(b->why,
                        "where most is live best takes 2.0 MiB for holes and unused slots and allot takes 11.0 MiB");
    assert_string_equal(
        c.sentence,
        "The strategy best serves this program best: 108.0 MiB at its peak, 1.08 bytes for each that is live "
        "then, 10 % less than allot (120.0 MiB): where most is live best takes 2.0 MiB for holes and unused "
        "slots and allot takes 11.0 MiB.");
    assert_string_equal(c.sentence_real, "");
    assert_int_equal(c.best[BY_TIME].result, -1);
    assert_int_equal(c.best[BY_SMALLEST].result, -1);
}

/* Each part of what is held may be the reason, and metadata counts. */
static void test_why(void **state)
{
    (void)state;
    static const struct {
        uint64_t part[4];
        const char *named;
    } cases[] = {{{9, 0, 0, 0}, " for rounding up "},
                 {{0, 9, 0, 0}, " for headers "},
                 {{0, 0, 9, 0}, " for holes "},
                 {{0, 0, 0, 9}, " for metadata "}};
    for (unsigned i = 0; i < 4; i++) {
        const uint64_t *p = cases[i].part;
        const struct replay_result r[] = {model("best", 1, 1, 1, 1),
                                          model("allot", 1 + p[0], 1 + p[1], 1 + p[2], 1 + p[3])};
        struct comparison c = judged(r, 2, 2);
        assert_int_equal(c.best[BY_PEAK].result, 0);
        assert_non_null(strstr(c.best[BY_PEAK].why, cases[i].named));
    }
}

/* An arena holds less, but the program would have to be another one: that is said apart. */
static void test_program_as_it_is(void **state)
{
    (void)state;
    const struct replay_result r[] = {model("best", 2, 1, 2, 0), model("compact", 0, 0, 0, 0),
                                      model("allot", 9, 0, 11, 0)};
    struct comparison c = judged(r, 3, 3);
    assert_int_equal(c.best[BY_PEAK].result, 0);
    assert_int_equal(c.best[BY_PEAK].any, 1);
    assert_non_null(
        strstr(c.sentence, "With compact a program that reached its blocks by handles would need 100.0 MiB."));
}

static void test_not_noticeable(void **state)
{
    (void)state;
    struct replay_result r[] = {model("best", 2, 1, 2, 0), model("allot", 2, 1, 3, 0)};
    struct comparison c = judged(r, 2, 2);
    assert_false(c.best[BY_PEAK].noticeable);
    assert_string_equal(c.best[BY_PEAK].why, "");
    assert_non_null(
        strstr(c.sentence, "No strategy serves this program noticeably better than allot, which needs 106.0 MiB"));
}

static void test_failed_and_refused(void **state)
{
    (void)state;
    struct replay_result r[] = {model("first", 0, 0, 0, 0),      model("best", 0, 0, 0, 0),
                                model("allot", 2, 1, 2, 0),      real("glibc", 110 * MIB, 30, 2, 0),
                                real("mine", 90 * MIB, 5, 1, 0), real("yours", 90 * MIB, 5, 1, 0)};
    strcpy(r[0].failed, "no memory");
    r[1].refused = 1;
    strcpy(r[4].failed, "crashed");
    r[5].refused = 3;
    struct comparison c = judged(r, 3, 6);
    assert_int_equal(c.best[BY_PEAK].result, 2);
    assert_int_equal(c.best[BY_RESIDENT].result, 3);
    assert_int_equal(c.best[BY_TIME].result, 3);
    for (unsigned i = 0; i < 3; i++) {
        strcpy(r[i].failed, "x");
    }
    c = judged(r, 3, 6);
    assert_int_equal(c.best[BY_PEAK].result, -1);
    assert_string_equal(c.sentence, "");
}

static void test_mallocs(void **state)
{
    (void)state;
    const struct replay_result r[] = {real("glibc", 120 * MIB, 40, 3, 90000), real("lean", 102 * MIB, 35, 20, 50000),
                                      real("fast", 119 * MIB, 15, 2, 20000)};
    struct comparison c = judged(r, 0, 3);
    assert_int_equal(c.best[BY_RESIDENT].result, 1);
    assert_int_equal(c.best[BY_RESIDENT].against, 0);
    assert_float_equal(c.best[BY_RESIDENT].saved, 0.15, 1e-9);
    assert_int_equal(c.best[BY_TIME].result, 2);
    assert_true(c.best[BY_TIME].noticeable);
    assert_string_equal(c.sentence_real, "Of the mallocs at hand lean takes least memory: 102.0 MiB resident at its "
                                         "peak, 15 % less than glibc (120.0 MiB): "
                                         "where most is live it has 1.02 bytes for each of them and glibc 1.20; fast "
                                         "is the fastest: 15 ns a call (14 to "
                                         "16), glibc 40 (38 to 42), as it causes 20,000 page faults and glibc 90,000.");
}

/* What lies within the spread of the runs is chance, and a page or two are what a malloc begins with. */
static void test_chance(void **state)
{
    (void)state;
    const struct replay_result r[] = {real("glibc", MIB, 30, 20, 10), real("mine", MIB - 60000, 25, 20, 10)};
    struct comparison c = judged(r, 0, 2);
    assert_int_equal(c.best[BY_TIME].result, 1);
    assert_false(c.best[BY_TIME].noticeable);
    assert_false(c.best[BY_RESIDENT].noticeable);
    assert_non_null(strstr(c.sentence_real, "none takes noticeably less memory than glibc"));
    assert_non_null(strstr(c.sentence_real, "none is noticeably faster than glibc, 30 ns a call"));
    struct replay_result few[] = {r[0], r[1]};
    few[0].ops = few[1].ops = 100;
    c = judged(few, 0, 2);
    assert_non_null(strstr(c.sentence_real, "too few calls to tell their times"));
}

/* Without allot or glibc there it is held against who is in the middle. */
static void test_against_the_median(void **state)
{
    (void)state;
    const struct replay_result r[] = {model("first", 0, 0, 30, 0), model("best", 0, 0, 0, 0),
                                      model("next", 0, 0, 20, 0)};
    struct comparison c = judged(r, 3, 3);
    assert_int_equal(c.best[BY_PEAK].against, 2);
    c = judged(r, 1, 1);
    assert_int_equal(c.best[BY_PEAK].against, -1);
    assert_non_null(strstr(c.sentence, "The strategy first needs 130.0 MiB"));
}

/* -- all of a trace -- */

struct told {
    struct of {
        const char *name;
        uint64_t steps, last;
    } of[32];
    unsigned models;
    uint64_t progress;
};

static void *own(void *arg, const char *name)
{
    struct told *told = arg;
    told->of[told->models].name = name;
    return &told->of[told->models++];
}

static void on_step(void *arg, uint64_t op, const struct replay_block *now)
{
    struct of *of = arg;
    of->steps += now->size > 0;
    assert_true(op >= of->last);
    of->last = op;
}

static void on_progress(void *arg, const char *name, uint64_t done, uint64_t of)
{
    (void)name;
    ((struct told *)arg)->progress += done <= of;
}

static void test_run(void **state)
{
    (void)state;
    struct op op[2000];
    struct ops ops;
    struct comparison c;
    struct told told = {0};
    for (unsigned i = 0; i < 2000; i++) {
        op[i] = (struct op){.block = i / 2 % 7, .kind = i % 2 ? OP_FREE : OP_ALLOC, .size = i % 2 ? 0 : 16 + i % 900};
    }
    assert_int_equal(ops_make(op, NULL, 2000, &ops), 0);
    struct comparison_wanted wanted = {
        .replay = {.map_at = UINT64_MAX, .steps = 2000, .step = on_step, .arg = &told, .progress = on_progress},
        .own = own};
    assert_int_equal(comparison_run(&ops, false, &wanted, &c), 0);
    unsigned models = 0;
    for (; replay_models[models]; models++) {
        assert_string_equal(c.result[models].name, replay_models[models]);
        assert_string_equal(c.result[models].failed, "");
        assert_non_null(comparison_about(replay_models[models]));
        assert_true(c.result[models].peak_held >= ops.peak_live);
    }
    assert_int_equal(c.results, models);
    assert_int_equal(told.models, models);
    assert_true(told.progress >= models);
    for (unsigned i = 0; i < models; i++) {
        assert_true(told.of[i].steps >= 1000);
    }
    assert_true(c.best[BY_PEAK].result >= 0);
    comparison_end(&c);
    ops_end(&ops);
    assert_null(comparison_about("glibc"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_best_by_peak),
        cmocka_unit_test(test_why),
        cmocka_unit_test(test_program_as_it_is),
        cmocka_unit_test(test_not_noticeable),
        cmocka_unit_test(test_failed_and_refused),
        cmocka_unit_test(test_mallocs),
        cmocka_unit_test(test_chance),
        cmocka_unit_test(test_against_the_median),
        cmocka_unit_test(test_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
