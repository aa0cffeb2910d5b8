/* unit/bits.c - base/bits.h against the obvious loops. */
#include "common/unit.h"

#include <string.h>

#include "base/bits.h"
#include "common/random.h"

enum { BITS = 256, WORDS = BITS / 64 };

static void powers_and_alignment(void **state)
{
    (void)state;
    assert_false(is_power_of_2(0));
    for (unsigned i = 0; i < 64; i++) {
        size_t p = (size_t)1 << i;
        assert_true(is_power_of_2(p));
        assert_int_equal(log2_floor(p), i);
        assert_int_equal(lowest_bit(p), i);
        if (i > 1) {
            assert_false(is_power_of_2(p - 1));
            assert_int_equal(log2_floor(p - 1), i - 1);
            assert_int_equal(log2_floor(p + 1), i);
        }
    }
    for (size_t x = 0; x < 200; x++) {
        assert_int_equal(align_up(x, 16), (x + 15) / 16 * 16);
        assert_int_equal(align_down(x, 16), x / 16 * 16);
    }
}

static void ranges(void **state)
{
    (void)state;
    struct random random = {42};
    for (int round = 0; round < 3000; round++) {
        uint64_t map[WORDS];
        bool naive[BITS];
        for (unsigned i = 0; i < BITS; i++) {
            naive[i] = random_below(&random, 3) == 0;
            (naive[i] ? bitmap_set : bitmap_clear)(map, i);
        }
        size_t from = random_below(&random, BITS + 1), to = from + random_below(&random, BITS + 1 - from);
        bool any = false, all = true;
        size_t set = to, clear = to;
        for (size_t i = to; i-- > from;) {
            any |= naive[i];
            all &= naive[i];
            *(naive[i] ? &set : &clear) = i;
        }
        assert_int_equal(bitmap_any(map, from, to), any);
        assert_int_equal(bitmap_all(map, from, to), all);
        assert_int_equal(bitmap_next_set(map, from, to), set);
        assert_int_equal(bitmap_next_clear(map, from, to), clear);
        bool value = round % 2;
        (value ? bitmap_set_range : bitmap_clear_range)(map, from, to);
        for (size_t i = 0; i < BITS; i++) {
            assert_int_equal(bitmap_test(map, i), i >= from && i < to ? value : naive[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(powers_and_alignment),
        cmocka_unit_test(ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
