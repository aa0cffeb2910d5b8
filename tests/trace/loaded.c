/* Which object lies at an address: the one that was loaded last, whatever else lies there; and a file of many objects costs no more
 * memory, and so no more time, than n log n. */
#include "common/unit.h"

#include <string.h>

#include "common/random.h"
#include "trace/loaded.h"

enum { OBJECTS = 3000, SPACE = 1 << 16 };

static void test_the_last_counts(void **state)
{
    (void)state;
    static uint32_t at[SPACE];
    struct random random = {11};
    for (unsigned round = 0; round < 12; round++) {
        struct loaded loaded = {0};
        memset(at, 0xff, sizeof at);
        uint64_t longest = 1 + random_below(&random, round % 2 ? SPACE / 2 : 300);
        for (uint32_t i = 0; i < OBJECTS; i++) {
            uint64_t start = random_below(&random, SPACE), end = start + random_below(&random, longest);
            end = end < SPACE ? end : SPACE;
            assert_true(loaded_add(&loaded, start, end, i));
            for (uint64_t a = start; a < end; a++) {
                at[a] = i;
            }
            for (unsigned k = 0; k < 20; k++) {
                uint64_t a = random_below(&random, SPACE);
                assert_int_equal(loaded_find(&loaded, a), at[a]);
            }
        }
        for (uint64_t a = 0; a < SPACE; a++) {
            assert_int_equal(loaded_find(&loaded, a), at[a]);
        }
        assert_int_equal(loaded_find(&loaded, UINT64_MAX), LOADED_NONE);
        loaded_done(&loaded);
        assert_int_equal(loaded_find(&loaded, 1), LOADED_NONE);
    }
}

static uint64_t pieces(const struct loaded *loaded)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < LOADED_LEVELS; i++) {
        sum += loaded->level[i].pieces;
    }
    return sum;
}

static void test_little_is_kept(void **state)
{
    (void)state;
    struct loaded loaded = {0};
    assert_true(loaded_add(&loaded, 5, 5, 1)); /* nothing of it lies anywhere */
    assert_int_equal(pieces(&loaded), 0);
    for (uint32_t i = 0; i < 1 << 20; i++) { /* the same again and again */
        assert_true(loaded_add(&loaded, 4096, 8192, i));
        assert_true(pieces(&loaded) <= 21);
        assert_int_equal(loaded_find(&loaded, 5000), i);
    }
    loaded_done(&loaded);
    for (uint32_t i = 0; i < 1 << 16; i++) { /* each in the middle of the one before */
        assert_true(loaded_add(&loaded, i, (1 << 20) - i, i));
        assert_true(pieces(&loaded) <= 2 * (uint64_t)i + 1);
    }
    assert_int_equal(loaded_find(&loaded, 100), 100);
    assert_int_equal(loaded_find(&loaded, (1 << 20) - 1), 0);
    loaded_done(&loaded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_counts),
        cmocka_unit_test(test_little_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
