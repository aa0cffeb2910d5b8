/* heap/guard.h - one of many blocks on pages of its own, so that in production crimes around it are caught as they happen
 * (guard=RATE). (GWP-ASan: Serebryany et al., "GWP-ASan: Sampling-Based Detection of Memory-Safety Bugs in Production", 2023.)
 *
 *   place:  | no access | slack | block | no access ... |        or the block at the front, and the slack behind it
 *
 * A block of up to GUARD_MOST bytes is chosen where a thread's list is refilled, so malloc and free know nothing of it: a list is
 * cut where the chosen one is due, and the call that finds it empty is the one. Its stack is kept, and that of its free, after
 * which its pages cannot be accessed; of all places the one that was freed first is used again. What is written into the slack
 * shows when the block is freed, any access beyond at once.
 *
 * Not for first-class heaps and tagged blocks, and not in a hardened process.
 */
#ifndef HEAP_GUARD_H
#define HEAP_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap/heap.h"

#define GUARD_RATE ((size_t)8192) /* guard=on: one block in about so many, */
#define GUARD_MOST SLAB_MAX

/* From now on; 0 for none. False when it cannot be. */
bool guard_set(size_t rate);

/* A heap's next refill would hand out the chosen block: it, or NULL when it is not to be. Sets h->unsampled anew. */
void *guard_sample(struct heap *h, size_t size) __attribute__((cold));

static inline bool is_guarded(const void *p) { return !begins_large(p) && slab_owner(slab_of(p)) == OWNER_GUARD; }

/* p lies in a guarded place. Frees the block, or faults. */
void guard_free(void *p);

/* The bytes of a live guarded block, 0 when p is none. */
size_t guard_size(const void *p);

/* Live blocks: each visited, till one says other than 0; and counted. */
int guard_walk(int (*visit)(void *block, size_t bytes, void *arg), void *arg);
struct guard_totals {
    size_t blocks, bytes;
};
struct guard_totals guard_totals(void);

/* A bad access happened at an address in a guarded place: says so. */
bool guard_explain(const void *address, const void *context);

void guard_lock(void);
void guard_unlock(void);
void guard_lock_reset(void);

#endif
