/* heap/guard.h - one of many blocks on pages of its own, so that in production crimes around it are caught as they happen
 * (guard=RATE). (GWP-ASan: Serebryany et al., "GWP-ASan: Sampling-Based Detection of Memory-Safety Bugs in Production", 2023.)
 *
 *   place:  | no access | slack | block | no access ... |        or the block at the front, and the slack behind it
 *
 * A block of up to GUARD_MOST bytes is chosen where a thread's list is refilled, so malloc and free know nothing of it
 * (heap/choice.h). Its stack is kept, and that of its free, after which its pages cannot be accessed; of all places the one that was freed first is used again. What is written into the slack
 * shows when the block is freed, any access beyond at once.
 *
 * Not for first-class heaps and tagged blocks, and not in a hardened process.
 */
#ifndef HEAP_GUARD_H
#define HEAP_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap/crime.h"
#include "heap/heap.h"

#define GUARD_RATE ((size_t)8192) /* guard=on: one block in about so many, */
#define GUARD_MOST SLAB_MAX

/* From now on; 0 for none. False when it cannot be. */
bool guard_set(size_t rate);

/* The chosen block (heap/choice.h); or NULL when it is not to be. */
void *guard_take(size_t size) __attribute__((cold));

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

/* A place, for who reads it from an image of the process (snap/walk.h); changed in guard.c alone. */
#define GUARD_PLACES_MOST (8 * (UNITS / 2))
struct guard_place {
    char *base;  /* of the place */
    char *block; /* NULL: never used */
    size_t size;
    bool live;
    struct crime_stack allocated, freed;
    struct guard_place *next; /* of those that are free, which have waited less */
};
extern struct guard_place *guard_places[GUARD_PLACES_MOST];
extern size_t guard_places_count;

void guard_lock(void);
void guard_unlock(void);
void guard_lock_reset(void);

#endif
