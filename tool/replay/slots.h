/* replay/slots.h - equal slots in the library's slabs, of a pool (allot/pool.h) each; and what of their slabs is memory.
 *
 * The slabs are real: of their 64 KiB nothing is touched but headers and bitmaps, which lie beside. Where one lies in the process says
 * nothing, so each has a place of its own in the order in which blocks first came there, behind what else a model has.
 */
#ifndef ALLOT_REPLAY_SLOTS_H
#define ALLOT_REPLAY_SLOTS_H

#include <allot/pool.h>

#include "replay/model.h"

#define SLAB_METADATA ((uint64_t)1 << 10) /* a slab's header and bitmaps */

struct slots {
    struct allot_pool pool; /* state NULL: not begun */
    uint64_t out;           /* objects */
};

/* An object of `stride` bytes, a multiple of 16, or NULL; and so many, as many as can be had. *slabs hears of slabs that come and go. */
void *slots_get(struct slots *s, size_t stride, uint64_t *slabs);
size_t slots_get_many(struct slots *s, size_t stride, void **objects, size_t count, uint64_t *slabs);
void slots_put(struct slots *s, void *object, uint64_t *slabs);
void slots_end(struct slots *s); /* all objects are back */

/* Of each slab that a block has been in: where it is said to lie, and which of its pages blocks have been on since it began. Slots go out
 * lowest first, so a slab of which little was ever used is little memory: what nobody has touched the system has not given.
 *
 *   pages = sum of the slabs' touched pages, of those that are there still
 *
 * A slab goes when nothing of it is out. Which one that was its owner word says, when fewer are there than before. A heap's block may
 * be a run of pages of its own in place of a slot, which may go on into the next unit: that is its pages, as long as it is out. */
struct place {
    uintptr_t slab; /* 0: none */
    uint64_t at;
    uint32_t owner, out; /* blocks */
    uint16_t touched;    /* a bit a page */
    uint8_t class;
    bool idle; /* on that list */
};

#define PLACE_CLASSES 256

struct unit_places {
    struct place *place; /* open addressing */
    uintptr_t *idle;     /* slabs that nothing is out of, or was not */
    uint64_t room, count, idles;
    uint64_t from; /* where the first one lies */
    uint64_t pages, of_class[PLACE_CLASSES];
};

/* There is memory to remember one more. */
bool unit_places_ready(struct unit_places *places);
/* A block has the slot of `bytes` there; or not any more. */
void unit_places_out(struct unit_places *places, const void *object, size_t bytes, unsigned class);
void unit_places_back(struct unit_places *places, const void *object, size_t bytes, unsigned class);
/* Slabs have gone. */
void unit_places_sweep(struct unit_places *places);
uint64_t unit_places_of(const struct unit_places *places, const void *object);
void unit_places_end(struct unit_places *places);

#endif
