/* unit/classes.c - every size has a class that holds it, wastes little, and aligns as promised. */
#include "common/unit.h"

#include "heap/classes.h"

static void every_size(void **state)
{
    (void)state;
    for (size_t size = 1; size <= SLAB_MAX; size++) {
        unsigned c = class_of_size(size);
        assert_in_range(c, 0, CLASSES - 1);
        assert_true(class_size(c) >= size);
        assert_true(c == 0 || class_size(c - 1) < size);
        assert_true(class_size(c) - size < size_max(16, size / 8 + 1));
        assert_int_equal(c < SMALL_CLASSES, size <= SMALL_MAX);
    }
}

static void sizes_ascend_by_multiples_of_16(void **state)
{
    (void)state;
    assert_int_equal(class_size(0), 16);
    assert_int_equal(class_size(CLASSES - 1), SLAB_MAX);
    for (unsigned c = 1; c < CLASSES; c++) {
        assert_true(class_size(c) > class_size(c - 1));
        assert_int_equal(class_size(c) % 16, 0);
    }
}

static void every_alignment(void **state)
{
    (void)state;
    for (size_t align = 1; align <= SLAB_MAX; align *= 2) {
        for (size_t size = 1; size <= SLAB_MAX; size += size < 2048 ? 1 : 61) {
            unsigned c = class_of_size(size_when_aligned(size, align)), least = class_of_size(size);
            assert_true(c >= least);
            assert_int_equal(class_size(c) % align, 0);
            for (unsigned smaller = least; smaller < c; smaller++) {
                assert_true(class_size(smaller) % align != 0);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_size),
        cmocka_unit_test(sizes_ascend_by_multiples_of_16),
        cmocka_unit_test(every_alignment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
