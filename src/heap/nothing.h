/* heap/nothing.h - blocks of no bytes in a process with fences (harden=3): addresses, each 16 bytes from the next, in the middle
 * of a fence between slabs. So whoever reads or writes there ends, and a free is checked as any other.
 *
 *   fence, 64 KiB:  | a page of none | address | address | ...            live: its free bit is set
 *                                                                         had ever been: its remote bit is set
 */
#ifndef HEAP_NOTHING_H
#define HEAP_NOTHING_H

#include <stdbool.h>

#include "heap/heap.h"

static inline bool is_nothing(const void *p) { return !begins_large(p) && slab_owner(slab_of(p)) == OWNER_NONE; }

/* NULL, with errno as it was, when there is no fence. */
void *nothing_alloc(void);

/* p is in such a fence: frees it, or faults, naming the crime, unless it is live. */
void nothing_free(void *p);
void nothing_expect_live(const void *p, const char *crime);

/* An address in such a fence: the block that is there, or the nearest before it; and whether it is live. For a handler of signals:
 * false also while somebody has the lock. */
bool nothing_find(const void *address, const void **block, bool *live);

/* Live ones: each visited, till one says other than 0; and counted. */
int nothing_walk(int (*visit)(void *block, size_t bytes, void *arg), void *arg);
size_t nothing_count(void);

void nothing_lock(void);
void nothing_unlock(void);
void nothing_lock_reset(void);

#endif
