/* model.h - random operations of the whole family, played against an oracle.
 *
 *     bytes  ->  operations (ops.c)  ->  the malloc under test
 *                       |                        |
 *                       +-->  oracle (oracle.c)  +
 *
 * A run is decoded from bytes and from nothing else, addresses included, so one seed is one run, and a fuzzer that
 * mutates bytes mutates a program. The oracle knows every live block: what was asked for, what may be used, what is
 * written there. It aborts (CHECK) when blocks overlap, an address is not aligned, less is usable than was asked for,
 * contents changed, fresh zeroed memory is not zero, an impossible size is granted, or allot_walk, allot_stats and
 * allot_check tell another story.
 */
#ifndef TESTS_MODEL_H
#define TESTS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    MODEL_THREADS = 1 << 0, /* operations hop between threads, one at a time, and threads end in between */
    MODEL_HEAPS = 1 << 1,   /* first-class heaps too */
    MODEL_EXACT =
        1 << 2, /* nothing else in the process allocates: allot_walk must list the oracle's blocks and no more */
};

/* Plays the operations that `size` bytes hold, gives every block back and proves that the heap is as it was before. */
void model_run(const uint8_t *data, size_t size, unsigned flags);

#endif
