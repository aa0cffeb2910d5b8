/* gc/mark.h - the marking collector's part of a heap.
 *
 *   unit of one size:   | 8 | object | object | free ... run ... free | object |
 *   its allocated map:        1        1        0   0    0        0      1        a bit a slot: an object, if its header is not 0; or
 *                                                                                 part of a hole that was handed out
 *   its marked map:           1        0        0   0    0        0      1        reached in the last collection, or in this one
 *
 * A hole is a run of free slots: the mutator takes it as a whole, zero, its allocated bits set, and bumps through it. A unit is swept when
 * a mutator next looks for holes in it: allocated = marked, which frees by whole words without a look at any object. (Lazy
 * sweep: Hughes 1982; side bitmaps: Zorn 1990.)
 */
#ifndef GC_MARK_H
#define GC_MARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <allot/gc.h>

#include "gc/worklist.h"
#include "span/segment.h"

struct gc;
struct mutator;
struct gc_unit;

/* Sizes: each multiple of 16 up to 512, each of which has a hole at hand; above, as many to a unit as fit: so many. */
#define MARK_SMALL   (ALLOT_GC_HOLES - 1)
#define MARK_MEDIUM  27
#define MARK_CLASSES (MARK_SMALL + MARK_MEDIUM)

struct mark_unit {
    struct unit unit;
    struct mark_unit *next, *prev; /* in the list of its class with room, while `listed` */
    struct mark_unit *all_next, *all_prev;
    uint32_t recip;           /* ceil(2^32 / stride): offset * recip >> 32 is offset / stride, as of a slab */
    uint16_t stride16, slots; /* bytes of a slot / 16; how many */
    uint16_t marked;          /* slots with a marked bit */
    uint16_t cursor;          /* where the search for holes goes on */
    uint8_t klass;
    uint8_t cycle;    /* of the heap when it was last swept */
    bool again : 1;   /* marked objects in it may not have been looked at */
    bool in_hand : 1; /* a mutator looks for holes in it */
    bool listed : 1;
} __attribute__((aligned(HEADER_SIZE)));
_Static_assert(sizeof(struct mark_unit) == HEADER_SIZE, "a unit's header is one line");

/*   IDLE --> CLEARING --> MARKING --> SORTING --> IDLE            a step each, or more; or all at once, in a whole collection
 *            marks go                 units without marks go, and those with room become known */
enum mark_phase { MARK_IDLE, MARK_CLEARING, MARK_MARKING, MARK_SORTING };

struct mark {
    enum mark_phase phase;
    uint8_t cycle; /* counts collections: units of another one are not swept yet, and what has no mark there is dead */
    bool again;    /* some unit, or large object, has `again` */
    unsigned passes;                      /* looks at roots in this cycle */
    size_t began;                         /* gc->due as the cycle began */
    struct mark_unit *all;                /* every unit; new ones come first */
    struct mark_unit *at;                 /* where a phase that visits them all has come to */
    struct mark_unit *room[MARK_CLASSES]; /* perhaps with holes, swept or not */
    struct mark_unit *empty;              /* of no class, by next: in stock */
    size_t empties;
    struct worklist work;
    size_t live; /* bytes of blocks that have been marked in this cycle */
};

struct mark_mutator {
    struct mark_unit *unit[MARK_CLASSES]; /* in hand */
};

int mark_init(struct gc *gc);
void mark_done(struct gc *gc);
int mark_attach(struct mutator *me);
void mark_detach(struct mutator *me, bool lost);
void *mark_get(struct mutator *me, const struct allot_gc_type *type, size_t size);
void mark_write(struct mutator *me, void *object, void **slot, void *value);
void mark_collect(struct gc *gc);
bool mark_step(struct gc *gc, uint64_t deadline);
void mark_due(struct mutator *me);
void *mark_object_at(struct gc *gc, uintptr_t word, bool interior);
size_t mark_size(const struct gc *gc, const void *object);
int mark_walk(struct gc *gc, int (*visit)(void *, const struct allot_gc_type *, size_t, void *), void *arg);
void mark_check(struct gc *gc);
bool mark_reached(struct gc *gc, const void *object);
void mark_hold(struct gc *gc, void **slot);
void mark_drain(struct gc *gc);
/* EXPLICIT. */
void mark_put(struct gc *gc, void *object);
int mark_leaks(struct gc *gc, int (*visit)(void *, const struct allot_gc_type *, size_t, void *), void *arg);

/* -- between mark.c, sweep.c and leaks.c -- */

/* Marks what can be reached, and nothing else; and unmarks all. The heap stays as it is. */
void mark_reachable(struct gc *gc);
void mark_unmark_all(struct gc *gc);

/* A bit a slot. */
static inline uint64_t *mark_allocated(const struct mark_unit *u, size_t w) { return unit_word(&u->unit, w, 0); }
static inline uint64_t *mark_marked(const struct mark_unit *u, size_t w) { return unit_word(&u->unit, w, 1); }
static inline size_t mark_words(const struct mark_unit *u) { return (u->slots + (size_t)63) / 64; }
static inline struct mark_unit *mark_unit_of(const void *object) { return (struct mark_unit *)unit_of(object); }

/* The slot of an object in a unit. */
static inline size_t mark_slot(const struct mark_unit *u, const void *object)
{
    return (size_t)((((uintptr_t)object & (UNIT_SIZE - 1)) - 16) * (uint64_t)u->recip >> 32);
}
static inline void *mark_object(const struct mark_unit *u, size_t slot)
{
    return unit_data(&u->unit) + 16 + slot * u->stride16 * 16;
}

/* The slots of word `w` with an object that is not known to be dead. */
uint64_t mark_objects(const struct gc *gc, const struct mark_unit *u, size_t w);
/* Allocated is what is marked. */
void mark_sweep(struct gc *gc, struct mark_unit *u);
/* Holes at hand are nobody's any more: what is left of them is free after the next sweep. */
void mark_retire(struct gc *gc);
/* Visits units from gc->mark.at on, until the deadline; true when all have been: those without a mark go. */
bool mark_sort(struct gc *gc, uint64_t deadline);

#endif
