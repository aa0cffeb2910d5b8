/* unit/segment.c - the pool of units: each given once, the fullest segment first, clean where it says so. */
#include "common/unit.h"

#include <string.h>

#include "os/memory.h"
#include "span/map.h"
#include "span/segment.h"

enum { MANY = 3 * (UNITS - 1) };

static void addresses_and_headers(void **state)
{
    (void)state;
    struct unit *unit = unit_take(UNIT_SOME);
    char *data = unit_data(unit);
    assert_int_equal((uintptr_t)data % UNIT_SIZE, 0);
    assert_ptr_equal(unit_of(data), unit);
    assert_ptr_equal(unit_of(data + UNIT_SIZE - 1), unit);
    assert_ptr_not_equal(unit_of(data + UNIT_SIZE), unit);
    assert_ptr_equal(segment_of(data), segment_of(unit));
    assert_ptr_equal(map_get(data), MAP_SEGMENT);
    /* The two bitmaps lie in unit 0, and no other unit's overlap them. */
    char *bits = (char *)unit_remote_bits(unit), *end = (char *)(unit_free_bits(unit) + BITMAP_WORDS);
    assert_ptr_equal(segment_of(bits), segment_of(unit));
    assert_true(end <= (char *)segment_of(unit) + UNIT_SIZE);
    assert_true(bits >= (char *)segment_of(unit) + HEADER_SIZE * UNITS);
    unit_give(unit);
}

static void every_unit_once(void **state)
{
    (void)state;
    struct unit *unit[MANY];
    for (int i = 0; i < MANY; i++) {
        unit[i] = unit_take(UNIT_SOME);
        assert_non_null(unit[i]);
        memset(unit_data(unit[i]), i, UNIT_SIZE);
        unit[i]->touched = UNIT_SIZE / 16;
    }
    for (int i = 0; i < MANY; i++) {
        assert_int_equal((unsigned char)unit_data(unit[i])[UNIT_SIZE - 1], (unsigned char)i);
        assert_int_equal((unsigned char)unit_data(unit[i])[0], (unsigned char)i);
    }
    segments_check();
    for (int i = 0; i < MANY; i++) {
        unit_give(unit[i]);
    }
    segments_check();
}

static void the_fullest_segment_serves_first(void **state)
{
    (void)state;
    struct unit *unit[MANY];
    for (int i = 0; i < MANY; i++) {
        unit[i] = unit_take(UNIT_SOME);
    }
    struct segment *fuller = segment_of(unit[0]), *emptier = segment_of(unit[MANY - 1]);
    assert_ptr_not_equal(fuller, emptier);
    struct unit *one = NULL;
    for (int i = 0; i < MANY; i++) {
        bool last_of_fuller = segment_of(unit[i]) == fuller && !one;
        if (last_of_fuller || segment_of(unit[i]) == emptier) {
            one = last_of_fuller ? unit[i] : one;
            unit_give(unit[i]);
            unit[i] = NULL;
        }
    }
    struct unit *next = unit_take(UNIT_SOME);
    assert_ptr_equal(next, one);
    unit_give(next);
    for (int i = 0; i < MANY; i++) {
        if (unit[i]) {
            unit_give(unit[i]);
        }
    }
}

static void what_is_beyond_touched_is_zero(void **state)
{
    (void)state;
    struct unit *unit = unit_take(UNIT_SOME);
    memset(unit_data(unit), 1, UNIT_SIZE);
    unit->touched = UNIT_SIZE / 16;
    unit_give(unit);
    segments_trim();
    assert_int_equal(unit->touched, 0);
    assert_int_equal(os_resident(unit_data(unit), UNIT_SIZE), 0);
    segments_check();
}

static void whole_segments(void **state)
{
    (void)state;
    uint64_t dirty;
    struct segment *s = segment_take(&dirty);
    assert_non_null(s);
    segments_check();
    struct unit *unit = unit_take(UNIT_SOME);
    assert_ptr_not_equal(segment_of(unit), s);
    unit_give(unit);
    segment_give(s, 0);
    segments_check();
}

static void memory_runs_out(void **state)
{
    (void)state;
    enum { TOO_MANY = 10000 };
    static struct unit *unit[TOO_MANY];
    int n = 0;
    os_fail_after(0);
    while ((unit[n] = unit_take(UNIT_SOME))) {
        n++;
        assert_true(n < TOO_MANY);
    }
    uint64_t dirty;
    assert_null(segment_take(&dirty));
    os_fail_after(-1);
    for (int i = 0; i < n; i++) {
        unit_give(unit[i]);
    }
    segments_check();
}

int main(void)
{
    os_memory_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_and_headers),
        cmocka_unit_test(every_unit_once),
        cmocka_unit_test(the_fullest_segment_serves_first),
        cmocka_unit_test(what_is_beyond_touched_is_zero),
        cmocka_unit_test(whole_segments),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
