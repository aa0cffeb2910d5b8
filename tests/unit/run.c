/* unit/run.c - page runs: apart from each other, aligned, in the smallest hole, zero where they say so. */
#include "common/unit.h"

#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "common/random.h"
#include "os/memory.h"
#include "span/run.h"
#include "span/segment.h"

static bool is_zero(const char *p, size_t n) { return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0); }

/* Random traffic: every run keeps its first and last byte, and a zeroed one is zero. */
static void runs_do_not_overlap(void **state)
{
    (void)state;
    enum { SLOTS = 300, STEPS = 6000 };
    struct {
        char *at;
        size_t bytes;
        char mark;
    } run[SLOTS] = {0};
    struct random random = {7};
    for (int step = 0; step < STEPS; step++) {
        unsigned i = (unsigned)random_below(&random, SLOTS);
        if (run[i].at) {
            assert_int_equal(run[i].at[0], run[i].mark);
            assert_int_equal(run[i].at[run[i].bytes - 1], run[i].mark);
            assert_int_equal(run_free(run[i].at), run[i].bytes);
            run[i].at = NULL;
            continue;
        }
        size_t bytes = 1 + random_below(&random, random_below(&random, 4) ? 100 * KIB : RUN_MAX);
        size_t align = (size_t)1 << random_below(&random, 21);
        bool zeroed;
        run[i].at = run_alloc(bytes, align, 9, &zeroed);
        assert_non_null(run[i].at);
        assert_int_equal((uintptr_t)run[i].at % align, 0);
        run[i].bytes = run_length(run[i].at);
        assert_int_equal(run[i].bytes, align_up(bytes, RUN_PAGE));
        assert_int_equal(run_heap(run[i].at), 9);
        if (zeroed) {
            assert_true(is_zero(run[i].at, run[i].bytes));
        }
        run[i].mark = (char)(1 + random_below(&random, 100));
        memset(run[i].at, run[i].mark, run[i].bytes);
        if (step % 64 == 0) {
            runs_check();
        }
    }
    size_t live = 0;
    for (int i = 0; i < SLOTS; i++) {
        live += run[i].at != NULL;
    }
    assert_int_equal(runs_totals().runs, live);
    runs_free_all(9);
    assert_int_equal(runs_totals().runs, 0);
    assert_int_equal(runs_totals().bytes, 0);
    runs_check();
    segments_check();
}

static void the_smallest_hole_that_fits(void **state)
{
    (void)state;
    enum { N = 8 };
    const size_t pages[N] = {20, 1, 10, 1, 12, 1, 30, 1};
    char *run[N];
    bool zeroed;
    for (int i = 0; i < N; i++) {
        run[i] = run_alloc(pages[i] * RUN_PAGE, 1, 0, &zeroed);
    }
    for (int i = 0; i < N; i += 2) {
        run_free(run[i]);
    }
    char *p = run_alloc(11 * RUN_PAGE, 1, 0, &zeroed);
    assert_ptr_equal(p, run[4]);
    char *q = run_alloc(10 * RUN_PAGE, 1, 0, &zeroed);
    assert_ptr_equal(q, run[2]);
    run_free(p);
    run_free(q);
    for (int i = 1; i < N; i += 2) {
        run_free(run[i]);
    }
    runs_check();
}

static void growing_and_shrinking_in_place(void **state)
{
    (void)state;
    bool zeroed;
    char *p = run_alloc(10 * RUN_PAGE, 1, 0, &zeroed), *q = run_alloc(10 * RUN_PAGE, 1, 0, &zeroed);
    assert_ptr_equal(q, p + 10 * RUN_PAGE);
    assert_false(run_resize(p, 11 * RUN_PAGE));
    assert_int_equal(run_length(p), 10 * RUN_PAGE);
    assert_true(run_resize(p, 4 * RUN_PAGE));
    assert_true(run_resize(p, 10 * RUN_PAGE));
    run_free(q);
    assert_true(run_resize(p, 200 * RUN_PAGE));
    assert_false(run_resize(p, RUN_MAX + 1));
    assert_int_equal(run_length(p), 200 * RUN_PAGE);
    assert_int_equal(run_length(p + RUN_PAGE), 0);
    runs_check();
    run_free(p);
    runs_check();
}

static void trimming_gives_pages_back(void **state)
{
    (void)state;
    bool zeroed;
    char *keep = run_alloc(RUN_PAGE, 1, 0, &zeroed), *p = run_alloc(60 * RUN_PAGE, os_page, 0, &zeroed);
    memset(p, 1, 60 * RUN_PAGE);
    run_free(p);
    runs_trim();
    assert_int_equal(os_resident(p, 60 * RUN_PAGE), 0);
    char *q = run_alloc(60 * RUN_PAGE, os_page, 0, &zeroed);
    assert_true(zeroed && is_zero(q, 60 * RUN_PAGE));
    run_free(q);
    run_free(keep);
}

static void memory_runs_out(void **state)
{
    (void)state;
    bool zeroed;
    os_fail_after(0);
    while (run_alloc(RUN_MAX, 1, 5, &zeroed)) {
    }
    os_fail_after(-1);
    runs_check();
    runs_free_all(5);
    runs_check();
}

int main(void)
{
    os_memory_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_do_not_overlap),
        cmocka_unit_test(the_smallest_hole_that_fits),
        cmocka_unit_test(growing_and_shrinking_in_place),
        cmocka_unit_test(trimming_gives_pages_back),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
