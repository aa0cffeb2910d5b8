/* unit/memory.c - mappings: zero, aligned, counted, moved without loss; and refusal on demand. */
#include "common/unit.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/bits.h"
#include "os/memory.h"

static bool is_filled(const char *p, size_t n, char with)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != with) {
            return false;
        }
    }
    return true;
}

static void mappings_are_zero_aligned_and_counted(void **state)
{
    (void)state;
    size_t before = os_mapped();
    for (size_t align = os_page; align <= 64 * MIB; align *= 4) {
        char *p = os_map_aligned(3 * os_page + 1, align);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % align, 0);
        assert_true(is_filled(p, 4 * os_page, 0));
        assert_int_equal(os_mapped(), before + 4 * os_page);
        os_unmap(p, 3 * os_page + 1);
        assert_int_equal(os_mapped(), before);
    }
}

static void what_cannot_be_had(void **state)
{
    (void)state;
    size_t before = os_mapped();
    const size_t wishes[] = {0, SIZE_MAX, SIZE_MAX - 4096, (size_t)1 << 62};
    for (unsigned i = 0; i < sizeof wishes / sizeof wishes[0]; i++) {
        errno = 0;
        assert_null(os_map(wishes[i]));
        assert_int_equal(errno, ENOMEM);
        assert_null(os_map_aligned(wishes[i], MIB));
    }
    assert_null(os_map_aligned(os_page, (size_t)1 << 60));
    assert_int_equal(os_mapped(), before);
}

static void purged_pages_are_zero_and_not_resident(void **state)
{
    (void)state;
    char *p = os_map(16 * os_page);
    memset(p, 7, 16 * os_page);
    assert_int_equal(os_resident(p, 16 * os_page), 16 * os_page);
    /* Only whole pages inside the range go. */
    assert_int_equal(os_purge(p + 1, 4 * os_page), 3 * os_page);
    assert_int_equal(os_resident(p, 16 * os_page), 13 * os_page);
    assert_true(is_filled(p, os_page, 7));
    assert_true(is_filled(p + os_page, 3 * os_page, 0));
    assert_true(is_filled(p + 4 * os_page, 12 * os_page, 7));
    assert_int_equal(os_purge(p + 1, os_page), 0);
    os_unmap(p, 16 * os_page);
}

static void growing_and_moving_keep_the_contents(void **state)
{
    (void)state;
    size_t before = os_mapped();
    char *p = os_map_aligned(8 * os_page, 4 * MIB);
    memset(p, 5, 8 * os_page);
    assert_true(os_resize(p, 8 * os_page, 4 * os_page));
    assert_true(os_resize(p, 4 * os_page, 6 * os_page));
    assert_true(is_filled(p, 4 * os_page, 5) && is_filled(p + 4 * os_page, 2 * os_page, 0));
    char *place = os_map_aligned(64 * os_page, 4 * MIB);
    assert_true(os_move(p, 6 * os_page, place, 64 * os_page));
    assert_true(is_filled(place, 4 * os_page, 5) && is_filled(place + 4 * os_page, 60 * os_page, 0));
    assert_int_equal(os_mapped(), before + 64 * os_page);
    os_unmap(place, 64 * os_page);
    assert_int_equal(os_mapped(), before);
}

static void refusal_counts_requests(void **state)
{
    (void)state;
    void *got[3];
    os_fail_after(2);
    got[0] = os_map(os_page);
    got[1] = os_map_aligned(os_page, MIB);
    errno = 0;
    got[2] = os_map(os_page);
    assert_int_equal(errno, ENOMEM);
    assert_null(os_map(os_page));
    assert_false(os_resize(got[0], os_page, 2 * os_page));
    assert_true(os_resize(got[0], os_page, os_page));
    os_fail_after(-1);
    assert_non_null(got[0]);
    assert_non_null(got[1]);
    assert_null(got[2]);
    os_unmap(got[0], os_page);
    os_unmap(got[1], os_page);
    void *again = os_map(os_page);
    assert_non_null(again);
    os_unmap(again, os_page);
}

static int init(void **state)
{
    (void)state;
    os_memory_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mappings_are_zero_aligned_and_counted),
        cmocka_unit_test(what_cannot_be_had),
        cmocka_unit_test(purged_pages_are_zero_and_not_resident),
        cmocka_unit_test(growing_and_moving_keep_the_contents),
        cmocka_unit_test(refusal_counts_requests),
    };
    return cmocka_run_group_tests(tests, init, NULL);
}
