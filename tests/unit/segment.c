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
    unit_give(unit);
}

/* They fill unit 0 behind the headers. A unit of at most 512 slots touches two pages of it, which all such units share. */
static void no_two_words_of_bitmaps_are_one(void **state)
{
    (void)state;
    enum { PAGE = HEADER_SIZE * UNITS };
    static bool seen[UNIT_SIZE / 8];
    struct unit *any = unit_take(UNIT_SOME);
    struct segment *segment = segment_of(any);
    size_t count = 0;
    for (unsigned u = 1; u < UNITS; u++) {
        const struct unit *unit = segment_unit(segment, u);
        for (size_t w = 0; w < 2 * BITMAP_WORDS; w++) {
            char *word = w % 2 ? (char *)unit_free_word(unit, w / 2) : (char *)unit_remote_word(unit, w / 2);
            size_t at = (size_t)(word - (char *)segment);
            assert_true(at >= PAGE && at + 8 <= UNIT_SIZE && at % 8 == 0);
            assert_true(w / 2 >= 8 || at < 3 * PAGE);
            assert_false(seen[at / 8]);
            seen[at / 8] = true;
            count++;
        }
    }
    assert_int_equal(count, (UNITS - 1) * 2 * BITMAP_WORDS);
    unit_give(any);
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
        cmocka_unit_test(no_two_words_of_bitmaps_are_one),
        cmocka_unit_test(every_unit_once),
        cmocka_unit_test(the_fullest_segment_serves_first),
        cmocka_unit_test(what_is_beyond_touched_is_zero),
        cmocka_unit_test(whole_segments),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
