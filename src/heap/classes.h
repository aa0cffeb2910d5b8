/* heap/classes.h - size classes: every 16 bytes to 1 KiB, then eight a doubling. So at most 15 bytes of a small block are
 * padding, and at most an eighth of a middle one (a sixteenth on average).
 *
 *   class     0 .. 63     64 .. 71       72 .. 79    ...      96 .. 103
 *   bytes    16 .. 1024   1152 .. 2048   2304 .. 4096  ...   18432 .. 32768
 *   step        16          128            256       ...        2048
 *
 * A middle class of which a heap has much gets a tuned one beside it, with MID_CLASSES added: smaller slots, for the size that
 * most blocks have, or else for the lower half of its sizes (heap/tune.c).
 */
#ifndef HEAP_CLASSES_H
#define HEAP_CLASSES_H

#include <stddef.h>

#include "base/bits.h"

#define SMALL_MAX     1024  /* a thread has a list for each 16 bytes up to here */
#define SLAB_MAX      32768 /* and one for each class up to here; beyond, page runs */
#define LISTS         (SMALL_MAX / 16 + 1)
#define SMALL_CLASSES 64
#define MID_CLASSES   40
#define CLASSES       (SMALL_CLASSES + MID_CLASSES)
#define ALL_CLASSES   (CLASSES + MID_CLASSES)

/* The class of a size of 1 to SLAB_MAX bytes. */
static inline unsigned class_of_size(size_t size)
{
    if (size <= SMALL_MAX) {
        return (unsigned)((size - 1) / 16);
    }
    unsigned doubling = log2_floor(size - 1); /* 10 .. 14 */
    return SMALL_CLASSES + (doubling - 10) * 8 + (unsigned)((size - 1) >> (doubling - 3) & 7);
}

static inline size_t class_size(unsigned c)
{
    if (c < SMALL_CLASSES) {
        return (c + 1) * (size_t)16;
    }
    unsigned doubling = 10 + (c - SMALL_CLASSES) / 8;
    return (size_t)(9 + (c - SMALL_CLASSES) % 8) << (doubling - 3);
}

/* The class of which this is the tuned one, or itself. */
static inline unsigned class_untuned(unsigned c) { return c < CLASSES ? c : c - MID_CLASSES; }

/* The size to ask for, so that blocks of its class are aligned to `align`: units are, and the class's size is a multiple.
 * Of all classes of at least `size` with such blocks, it is in the smallest. `align` is a power of two; both are at most
 * SLAB_MAX. */
static inline size_t size_when_aligned(size_t size, size_t align) { return align_up(size_max(size, 1), align); }

#endif
