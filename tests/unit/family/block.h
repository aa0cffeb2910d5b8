/* block.h - what every unit test of the family asks of a block. */
#ifndef TESTS_BLOCK_H
#define TESTS_BLOCK_H

#include "../../common/check.h"
#include "../../common/pattern.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>

#include "../../common/family.h"

/* The block is there, starts at a multiple of `align`, and all that is usable of it, at least `size`, can be written. */
static inline void assert_block(void *p, size_t size, size_t align)
{
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % align, 0);
    size_t usable = malloc_usable_size(p);
    assert_true(usable >= size);
    pattern_fill(p, usable, (uintptr_t)p);
    assert_true(pattern_holds(p, usable, (uintptr_t)p, true));
}

/* An allocation that must fail: NULL, and errno says why. */
#define assert_fails(call, error)          \
    do {                                   \
        errno = 0;                         \
        assert_null(opaque_pointer(call)); \
        assert_int_equal(errno, error);    \
    } while (0)

/* Sizes at which a heap changes its ways: classes, pages, slabs, runs, mappings. */
static const size_t edge_sizes[] = {
    0,       1,       2,       7,       8,       9,       15,      16,       17,      24,      31,      32,
    33,      63,      64,      65,      127,     128,     129,     255,      256,     257,     511,     512,
    513,     1007,    1008,    1009,    1023,    1024,    1025,    1151,     1152,    1153,    2047,    2048,
    2049,    4095,    4096,    4097,    8191,    8192,    8193,    16383,    16384,   16385,   32767,   32768,
    32769,   61440,   65535,   65536,   65537,   131072,  131073,  1000000,  1048576, 2097151, 2097152, 2097153,
    4128768, 4194303, 4194304, 4194305, 8388607, 8388608, 8388609, 33554433,
};

enum { EDGE_SIZES = sizeof edge_sizes / sizeof edge_sizes[0] };

/* Sizes that no machine can grant. */
static const size_t absurd_sizes[] = {
    (size_t)1 << 62,     PTRDIFF_MAX - 4096, PTRDIFF_MAX - 1,    PTRDIFF_MAX,      (size_t)PTRDIFF_MAX + 1,
    SIZE_MAX / 2 + 4097, SIZE_MAX - 8388608, SIZE_MAX - 4194304, SIZE_MAX - 65536, SIZE_MAX - 4096,
    SIZE_MAX - 64,       SIZE_MAX - 16,      SIZE_MAX - 15,      SIZE_MAX - 1,     SIZE_MAX,
};

enum { ABSURD_SIZES = sizeof absurd_sizes / sizeof absurd_sizes[0] };

#endif
