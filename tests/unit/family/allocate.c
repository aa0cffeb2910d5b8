/* allocate.c - malloc, calloc, realloc, reallocarray, free: what C23, POSIX 2024 and glibc say of each. */
#include "block.h"

static void malloc_gives_blocks_of_every_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        void *p = malloc(edge_sizes[i]);
        assert_block(p, edge_sizes[i], 16);
        free(p);
    }
}

static void every_small_size_is_aligned_to_16(void **state)
{
    (void)state;
    enum { SIZES = 2100 };
    static void *blocks[SIZES];
    for (size_t size = 0; size < SIZES; size++) {
        blocks[size] = malloc(size);
        assert_block(blocks[size], size, 16);
    }
    for (size_t size = 0; size < SIZES; size++) {
        size_t usable = malloc_usable_size(blocks[size]);
        assert_true(pattern_holds(blocks[size], usable, (uintptr_t)blocks[size], true));
        free(blocks[size]);
    }
}

static void size_zero_gives_unique_blocks(void **state)
{
    (void)state;
    void *blocks[] = {malloc(opaque(0)),        malloc(opaque(0)),
                      calloc(opaque(0), 8),     calloc(8, opaque(0)),
                      realloc(NULL, opaque(0)), aligned_alloc(64, opaque(0)),
                      valloc(opaque(0)),        pvalloc(opaque(0)),
                      memalign(32, opaque(0)),  reallocarray(NULL, opaque(0), 8)};
    enum { BLOCKS = sizeof blocks / sizeof blocks[0] };
    for (size_t i = 0; i < BLOCKS; i++) {
        assert_non_null(blocks[i]);
        for (size_t k = 0; k < i; k++)
            assert_ptr_not_equal(blocks[i], blocks[k]);
    }
    for (size_t i = 0; i < BLOCKS; i++)
        free(blocks[i]);
}

static void malloc_refuses_absurd_sizes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ABSURD_SIZES; i++)
        assert_fails(malloc(opaque(absurd_sizes[i])), ENOMEM);
}

static void malloc_keeps_errno_when_it_succeeds(void **state)
{
    (void)state;
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        errno = 4242;
        void *p = malloc(edge_sizes[i]);
        assert_int_equal(errno, 4242);
        p = realloc(p, edge_sizes[i] * 2 + 1);
        assert_int_equal(errno, 4242);
        free(p);
    }
}

/* Leaves dirty memory of many sizes behind, for calloc to find. */
static void soil(void)
{
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        void *blocks[8];
        for (size_t k = 0; k < 8; k++) {
            blocks[k] = malloc(edge_sizes[i]);
            assert_non_null(blocks[k]);
            memset(blocks[k], 0xa5, malloc_usable_size(blocks[k]));
        }
        for (size_t k = 0; k < 8; k++)
            free(blocks[k]);
    }
}

static void calloc_zeroes(void **state)
{
    (void)state;
    soil();
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        unsigned char *p = calloc(1, edge_sizes[i]);
        assert_non_null(p);
        for (size_t k = 0; k < edge_sizes[i]; k++) {
            if (p[k] != 0)
                fail_msg("calloc(1, %zu): byte %zu is %#x", edge_sizes[i], k, p[k]);
        }
        assert_block(p, edge_sizes[i], 16);
        free(p);
    }
}

static void calloc_multiplies(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 2, 3, 7, 64, 1000};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        for (size_t unit = 1; unit < 5000; unit = unit * 3 + 1) {
            void *p = calloc(counts[i], unit);
            assert_non_null(p);
            assert_true(pattern_zero(p, counts[i] * unit));
            assert_block(p, counts[i] * unit, 16);
            free(p);
        }
    }
}

/* Products that wrap to something small, and one that exceeds PTRDIFF_MAX without wrapping. */
static const size_t overflows[][2] = {
    {SIZE_MAX, 2},
    {2, SIZE_MAX},
    {SIZE_MAX / 2 + 1, 2},
    {(size_t)1 << 33, (size_t)1 << 33},
    {((size_t)1 << 32) + 1, ((size_t)1 << 32) - 1},
    {SIZE_MAX / 16 + 1, 16},
    {SIZE_MAX, SIZE_MAX},
    {(size_t)1 << 32, (size_t)1 << 31},
};

enum { OVERFLOWS = sizeof overflows / sizeof overflows[0] };

static void calloc_refuses_overflow(void **state)
{
    (void)state;
    for (size_t i = 0; i < OVERFLOWS; i++)
        assert_fails(calloc(opaque(overflows[i][0]), opaque(overflows[i][1])), ENOMEM);
    for (size_t i = 0; i < ABSURD_SIZES; i++)
        assert_fails(calloc(1, opaque(absurd_sizes[i])), ENOMEM);
}

static void realloc_keeps_contents_between_any_sizes(void **state)
{
    (void)state;
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        for (size_t k = 0; k < EDGE_SIZES; k++) {
            size_t from = edge_sizes[i], to = edge_sizes[k];
            if (to == 0)
                continue;
            void *p = malloc(from);
            assert_non_null(p);
            pattern_fill(p, from, i);
            p = realloc(p, to);
            assert_non_null(p);
            assert_true(pattern_holds(p, from < to ? from : to, i, false));
            assert_block(p, to, 16);
            free(p);
        }
    }
}

static void realloc_grows_byte_by_byte(void **state)
{
    (void)state;
    unsigned char *p = NULL;
    size_t size = 0;
    while (size < 20000) {
        size_t grown = size + 1 + size / 512;
        p = realloc(p, grown);
        assert_non_null(p);
        assert_true(pattern_holds(p, size, 5, false));
        pattern_fill(p, grown, 5);
        size = grown;
    }
    while (size > 1) {
        size -= 1 + size / 512;
        p = realloc(p, size);
        assert_non_null(p);
        assert_true(pattern_holds(p, size, 5, false));
    }
    free(p);
}

static void realloc_null_is_malloc(void **state)
{
    (void)state;
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        void *p = realloc(NULL, edge_sizes[i]);
        assert_block(p, edge_sizes[i], 16);
        free(p);
    }
    assert_fails(realloc(NULL, opaque(SIZE_MAX)), ENOMEM);
}

static void realloc_to_zero_frees(void **state)
{
    (void)state;
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        void *p = malloc(edge_sizes[i]);
        assert_non_null(p);
        assert_null(realloc(p, opaque(0)));
        p = malloc(edge_sizes[i]);
        assert_non_null(p);
        assert_null(reallocarray(p, opaque(0), 8));
        p = malloc(edge_sizes[i]);
        assert_non_null(p);
        assert_null(reallocarray(p, 8, opaque(0)));
    }
    toolkit_check();
}

static void realloc_that_fails_leaves_the_block(void **state)
{
    (void)state;
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        void *p = malloc(edge_sizes[i]);
        size_t usable = malloc_usable_size(p);
        pattern_fill(p, usable, i);
        for (size_t k = 0; k < ABSURD_SIZES; k++)
            assert_fails(realloc(p, opaque(absurd_sizes[k])), ENOMEM);
        for (size_t k = 0; k < OVERFLOWS; k++)
            assert_fails(reallocarray(opaque_pointer(p), opaque(overflows[k][0]), opaque(overflows[k][1])), ENOMEM);
        assert_int_equal(malloc_usable_size(p), usable);
        assert_true(pattern_holds(p, usable, i, true));
        free(p);
    }
}

static void reallocarray_multiplies(void **state)
{
    (void)state;
    uint32_t *p = reallocarray(NULL, 10, sizeof *p);
    assert_block(p, 10 * sizeof *p, 16);
    pattern_fill(p, 10 * sizeof *p, 9);
    p = reallocarray(p, 100000, sizeof *p);
    assert_true(pattern_holds(p, 10 * sizeof *p, 9, false));
    assert_block(p, 100000 * sizeof *p, 16);
    free(p);
}

static void free_keeps_errno(void **state)
{
    (void)state;
    errno = 4242;
    free(NULL);
    assert_int_equal(errno, 4242);
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        void *p = malloc(edge_sizes[i]), *q = memalign(4096, edge_sizes[i]);
        assert_non_null(p);
        assert_non_null(q);
        errno = 4242;
        free(p);
        free(q);
        assert_int_equal(errno, 4242);
    }
}

static void free_sized_frees(void **state)
{
    (void)state;
    toolkit.free_sized(NULL, 0);
    toolkit.free_sized(NULL, 100);
    toolkit.free_aligned_sized(NULL, 64, 100);
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        size_t size = edge_sizes[i];
        void *blocks[] = {malloc(size), calloc(1, size), realloc(malloc(size / 2), size ? size : 1)};
        errno = 4242;
        for (size_t k = 0; k < 3; k++)
            toolkit.free_sized(blocks[k], k == 2 && size == 0 ? 1 : size);
        assert_int_equal(errno, 4242);
    }
    assert_true(toolkit.check());
}

static void usable_size_is_the_callers(void **state)
{
    (void)state;
    assert_int_equal(malloc_usable_size(NULL), 0);
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        void *p = malloc(edge_sizes[i]), *q = malloc(edge_sizes[i]);
        assert_block(p, edge_sizes[i], 16);
        assert_block(q, edge_sizes[i], 16);
        assert_true(pattern_holds(p, malloc_usable_size(p), (uintptr_t)p, true));
        free(p);
        assert_true(pattern_holds(q, malloc_usable_size(q), (uintptr_t)q, true));
        free(q);
    }
}

int main(void)
{
    const struct CMUnitTest any_malloc[] = {
        cmocka_unit_test(malloc_gives_blocks_of_every_size),
        cmocka_unit_test(every_small_size_is_aligned_to_16),
        cmocka_unit_test(size_zero_gives_unique_blocks),
        cmocka_unit_test(malloc_refuses_absurd_sizes),
        cmocka_unit_test(malloc_keeps_errno_when_it_succeeds),
        cmocka_unit_test(calloc_zeroes),
        cmocka_unit_test(calloc_multiplies),
        cmocka_unit_test(calloc_refuses_overflow),
        cmocka_unit_test(realloc_keeps_contents_between_any_sizes),
        cmocka_unit_test(realloc_grows_byte_by_byte),
        cmocka_unit_test(realloc_null_is_malloc),
        cmocka_unit_test(realloc_to_zero_frees),
        cmocka_unit_test(realloc_that_fails_leaves_the_block),
        cmocka_unit_test(reallocarray_multiplies),
        cmocka_unit_test(free_keeps_errno),
        cmocka_unit_test(usable_size_is_the_callers),
    };
    const struct CMUnitTest allot[] = {
        cmocka_unit_test(free_sized_frees),
    };
    bool present = toolkit_find();
    int failed = cmocka_run_group_tests(any_malloc, NULL, NULL);
    return failed ? failed : present ? cmocka_run_group_tests(allot, NULL, NULL) : 0;
}
