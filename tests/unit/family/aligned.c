/* aligned.c - aligned_alloc, posix_memalign, memalign, valloc, pvalloc, free_aligned_sized. */
#include "block.h"

#include <unistd.h>

#define ALIGN_MOST ((size_t)64 << 20)

static const size_t aligned_sizes[] = {0, 1, 15, 16, 17, 100, 1000, 1024, 4096, 5000, 40000, 65536, 100001, 3000000};

enum { ALIGNED_SIZES = sizeof aligned_sizes / sizeof aligned_sizes[0] };

static size_t page(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static size_t at_least_16(size_t align) { return align < 16 ? 16 : align; }

static void aligned_alloc_aligns(void **state)
{
    (void)state;
    for (size_t align = 1; align <= ALIGN_MOST; align *= 2) {
        for (size_t i = 0; i < ALIGNED_SIZES; i++) {
            void *p = aligned_alloc(opaque(align), aligned_sizes[i]);
            assert_block(p, aligned_sizes[i], at_least_16(align));
            free(p);
        }
    }
}

static void aligned_blocks_lie_side_by_side(void **state)
{
    (void)state;
    enum { BLOCKS = 64 };
    for (size_t align = 16; align <= ((size_t)1 << 20); align *= 4) {
        void *blocks[BLOCKS];
        for (size_t i = 0; i < BLOCKS; i++) {
            blocks[i] = aligned_alloc(align, align / 2 + i);
            assert_block(blocks[i], align / 2 + i, align);
        }
        for (size_t i = 0; i < BLOCKS; i++) {
            assert_true(pattern_holds(blocks[i], malloc_usable_size(blocks[i]), (uintptr_t)blocks[i], true));
            free(blocks[i]);
        }
    }
}

static void aligned_blocks_may_be_reallocated(void **state)
{
    (void)state;
    for (size_t align = 32; align <= ((size_t)8 << 20); align *= 2) {
        for (size_t i = 1; i < ALIGNED_SIZES; i++) {
            for (size_t k = 1; k < ALIGNED_SIZES; k++) {
                size_t from = aligned_sizes[i], to = aligned_sizes[k];
                void *p = memalign(align, from);
                assert_non_null(p);
                pattern_fill(p, from, align);
                p = realloc(p, to);
                assert_non_null(p);
                assert_true(pattern_holds(p, from < to ? from : to, align, false));
                free(p);
            }
        }
    }
}

static void aligned_alloc_refuses_absurd_sizes(void **state)
{
    (void)state;
    for (size_t align = 1; align <= ALIGN_MOST; align *= 2) {
        for (size_t i = 0; i < ABSURD_SIZES; i++) {
            assert_fails(aligned_alloc(opaque(align), opaque(absurd_sizes[i])), ENOMEM);
            assert_fails(memalign(opaque(align), opaque(absurd_sizes[i])), ENOMEM);
        }
    }
    assert_fails(aligned_alloc(opaque((size_t)1 << 62), 1), ENOMEM);
}

static void aligned_alloc_refuses_what_is_no_power_of_two(void **state)
{
    (void)state;
    static const size_t bad[] = {
        0, 3, 5, 12, 24, 48, 100, 4095, 4097, 65537, SIZE_MAX, SIZE_MAX - 1, ((size_t)1 << 63) + 1};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_fails(aligned_alloc(opaque(bad[i]), 64), EINVAL);
}

static void posix_memalign_aligns(void **state)
{
    (void)state;
    for (size_t align = sizeof(void *); align <= ALIGN_MOST; align *= 2) {
        for (size_t i = 0; i < ALIGNED_SIZES; i++) {
            void *p = NULL;
            assert_int_equal(posix_memalign(&p, align, aligned_sizes[i]), 0);
            assert_block(p, aligned_sizes[i], at_least_16(align));
            free(p);
        }
    }
}

static void posix_memalign_reports_by_its_value(void **state)
{
    (void)state;
    static const size_t bad[] = {0, 1, 2, 4, 3, 7, 9, 24, 48, 100, 4097, SIZE_MAX};
    void *untouched = &state, *p = untouched;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(posix_memalign(&p, opaque(bad[i]), 64), EINVAL);
        assert_ptr_equal(p, untouched);
    }
    for (size_t i = 0; i < ABSURD_SIZES; i++) {
        assert_int_equal(posix_memalign(&p, 64, opaque(absurd_sizes[i])), ENOMEM);
        assert_ptr_equal(p, untouched);
    }
}

static void posix_memalign_leaves_errno(void **state)
{
    (void)state;
    void *p = NULL;
    errno = 4242;
    assert_int_equal(posix_memalign(&p, 3, 64), EINVAL);
    assert_int_equal(posix_memalign(&p, 64, opaque(SIZE_MAX)), ENOMEM);
    assert_int_equal(posix_memalign(&p, 64, opaque(PTRDIFF_MAX)), ENOMEM);
    assert_int_equal(posix_memalign(&p, (size_t)1 << 62, 1), ENOMEM);
    assert_int_equal(posix_memalign(&p, 64, 64), 0);
    free(p);
    assert_int_equal(errno, 4242);
}

static void memalign_rounds_the_alignment_up(void **state)
{
    (void)state;
    for (size_t given = 1; given <= ((size_t)1 << 20); given += 1 + given / 3) {
        size_t align = 16;
        while (align < given)
            align *= 2;
        void *p = memalign(opaque(given), 50);
        assert_block(p, 50, align);
        free(p);
    }
    void *p = memalign(opaque(0), 50);
    assert_block(p, 50, 16);
    free(p);
    assert_fails(memalign(opaque(SIZE_MAX), 1), EINVAL);
    assert_fails(memalign(opaque(SIZE_MAX / 2 + 2), 1), EINVAL);
}

static void valloc_gives_pages(void **state)
{
    (void)state;
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        void *p = valloc(edge_sizes[i]);
        assert_block(p, edge_sizes[i], page());
        void *q = pvalloc(edge_sizes[i]);
        assert_block(q, (edge_sizes[i] + page() - 1) / page() * page(), page());
        free(p);
        free(q);
    }
    for (size_t i = 0; i < ABSURD_SIZES; i++) {
        assert_fails(valloc(opaque(absurd_sizes[i])), ENOMEM);
        assert_fails(pvalloc(opaque(absurd_sizes[i])), ENOMEM);
    }
}

static void free_aligned_sized_frees(void **state)
{
    (void)state;
    for (size_t align = 1; align <= ALIGN_MOST; align *= 2) {
        for (size_t i = 0; i < ALIGNED_SIZES; i++) {
            void *p = aligned_alloc(align, aligned_sizes[i]);
            assert_non_null(p);
            errno = 4242;
            toolkit.free_aligned_sized(p, align, aligned_sizes[i]);
            assert_int_equal(errno, 4242);
        }
    }
    assert_true(toolkit.check());
}

int main(void)
{
    const struct CMUnitTest any_malloc[] = {
        cmocka_unit_test(aligned_alloc_aligns),
        cmocka_unit_test(aligned_blocks_lie_side_by_side),
        cmocka_unit_test(aligned_blocks_may_be_reallocated),
        cmocka_unit_test(aligned_alloc_refuses_absurd_sizes),
        cmocka_unit_test(posix_memalign_aligns),
        cmocka_unit_test(posix_memalign_reports_by_its_value),
        cmocka_unit_test(memalign_rounds_the_alignment_up),
        cmocka_unit_test(valloc_gives_pages),
    };
    /* glibc before 2.38 rounds aligned_alloc's alignment up; its posix_memalign sets errno. */
    const struct CMUnitTest allot[] = {
        cmocka_unit_test(aligned_alloc_refuses_what_is_no_power_of_two),
        cmocka_unit_test(posix_memalign_leaves_errno),
        cmocka_unit_test(free_aligned_sized_frees),
    };
    bool present = toolkit_find();
    int failed = cmocka_run_group_tests(any_malloc, NULL, NULL);
    return failed ? failed : present ? cmocka_run_group_tests(allot, NULL, NULL) : 0;
}
