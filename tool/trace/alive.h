/* alive.h - which addresses hold a block just now: how a reader keeps the promise that of one address at most one block is live.
 *
 * A hash of addresses, 8 bytes each, at most 3 of 4 slots in use; removal closes the gap, so memory follows the most blocks that
 * were live at once. Bounded: beyond ALIVE_MOST of them (64 MiB), or without memory, it is given up, and then nothing is known of any
 * block: who analyses such a trace has a table of its own, on disk where it is large. Addresses up to 2^48 of processes up to
 * 2^16 are told apart exactly, and all addresses of one process. All zero at first.
 */
#ifndef ALLOT_TRACE_ALIVE_H
#define ALLOT_TRACE_ALIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ALIVE_MOST      ((size_t)3 << 21)
#define ALIVE_ADDRESSES ((uint64_t)1 << 48) /* no block lies beyond */

enum alive_answer { ALIVE_NO, ALIVE_YES, ALIVE_UNKNOWN };

struct alive {
    uint64_t *slot; /* 0: nothing */
    size_t mask, count;
    bool given_up;
};

void alive_done(struct alive *alive);
enum alive_answer alive_is(const struct alive *alive, uint32_t process, uint64_t address);
/* A block that was not there, and one that was. Where nothing is known both do nothing. */
void alive_begins(struct alive *alive, uint32_t process, uint64_t address);
void alive_ends(struct alive *alive, uint32_t process, uint64_t address);

#endif
