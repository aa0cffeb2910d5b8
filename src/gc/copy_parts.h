/* gc/copy_parts.h - the parts of the copying collector among themselves.
 *
 *   copy.c         units, holes, objects, words         copy_young.c   collections of the young
 *   copy_trace.c   copies, and what follows from one    copy_whole.c   whole collections; the sweep
 *   copy_slots.c   slots that were noted                copy_step.c    cycles of steps; when what is due
 *   copy_check.c   walk and check
 *
 * The heap's lock is held, and the world stands.
 */
#ifndef GC_COPY_PARTS_H
#define GC_COPY_PARTS_H

#include "gc/copy.h"

/* -- copy.c -- */

/* Bytes of a unit that lived when it was last looked through, up to which it is sparse. */
#define COPY_SPARSE (UNIT_SIZE / 2)

static inline uint8_t copy_next_cycle(const struct copy *c) { return c->cycle == UINT8_MAX ? 1 : c->cycle + 1; }

/* A sparse unit is evacuated by the next whole collection or cycle, if it may be. */
static inline void copy_want(const struct copy *c, struct copy_unit *u, bool may)
{
    bool sparse = (size_t)u->live16 * 16 <= COPY_SPARSE;
    u->wanted = may && sparse && !u->maybe && !u->tabled ? copy_next_cycle(c) : 0;
    u->slots = u->wanted ? NULL : u->slots;
    u->noted = 0;
}

/* A unit that is empty, in no list; NULL: the limit, or memory out. And back: nothing in it is wanted, its marks are zero. */
struct copy_unit *copy_take_unit(struct gc *gc);
void copy_give_unit(struct gc *gc, struct copy_unit *u);
/* Units that the nursery does not want any more go back. */
void copy_trim(struct gc *gc);
/* Holes, and all that is being filled with young objects: none is any more. */
void copy_close_young(struct gc *gc);
void copy_clear_marks(struct copy_unit *u);
/* Objects have come, or gone: where they begin is found anew. */
void copy_forget_starts(struct gc *gc);

/* -- copy_trace.c -- */

/* Copies go behind the last ones, or - `apart` - to units of their own; and are made no more: how many bytes it were. */
void copy_begin_copies(struct gc *gc, bool apart);
size_t copy_end_copies(struct gc *gc);
/* What lies in the unit, which is in no list, is old from now on. */
void copy_begin_old(struct gc *gc, struct copy_unit *u);
/* Units that are to move stay, for words that may mean an object of theirs: of roots, of what is remembered, and - `all` - of any object
 * of type MAYBE. What roots may mean is reached. */
void copy_pin(struct gc *gc, bool all);
/* Of frames and the like; of an object, which is a large one or not; all roots but words; what is remembered, and is not any more. */
void copy_reach_root(struct gc *gc, void **slot);
void copy_reach_slot(struct gc *gc, void **slot, bool large);
void copy_reach_roots(struct gc *gc);
void copy_look_at_remembered(struct gc *gc);
/* All that follows from what has been reached: nothing is left to be looked at. */
void copy_follow_all(struct gc *gc);

/* -- copy_young.c -- */

/* Collects the young, of which none is left; in a cycle what they refer to is marked, or noted. */
void copy_young(struct gc *gc);
/* A unit of which some have stayed is an old one: what is not marked, and what has moved, becomes gaps. */
void copy_settle_unit(struct gc *gc, struct copy_unit *u);
/* The young ones of them, while the others go. Bytes that stay. */
size_t copy_end_young_units(struct gc *gc);
/* Where objects lie that the heap's tables refer to. */
void copy_note_tables(struct gc *gc);

/* -- copy_whole.c -- */

/* After marking: what is dead in an old unit becomes gaps; or it goes. Bytes that stay. */
size_t copy_sweep_unit(struct gc *gc, struct copy_unit *u);
/* Large objects that are not marked are no objects any more. Bytes of the others. Their memory goes one by one: false, when none is
 * left. */
size_t copy_sweep_large(struct gc *gc);
bool copy_end_large(struct gc *gc);
/* So many bytes live: the others count as freed. */
void copy_set_used(struct gc *gc, size_t live);
/* A unit of the old is evacuated, and goes. */
void copy_drop_old(struct gc *gc, struct copy_unit *u);
/* A number for the next collection. */
void copy_count_cycle(struct gc *gc);
/* Where the tables' objects lie is found anew. */
void copy_note_all_tables(struct gc *gc);
/* A cycle that is under way ends without effect. */
void copy_abandon(struct gc *gc);

/* -- copy_slots.c -- */

/* Calls `reach` for each slot that was noted of the unit and still is one; they are noted no more. */
void copy_each_slot(struct gc *gc, struct copy_unit *u, void (*reach)(struct gc *gc, void **slot, bool large));
/* None is noted any more. */
void copy_drop_slots(struct gc *gc);

/* Whether a slot has been noted. O(slots of the unit). */
bool copy_is_noted(const struct gc *gc, const struct copy_unit *u, void *const *slot);

/* -- copy_step.c -- */

/* `live` is what lives: when the next collection is due. */
void copy_set_due(struct gc *gc);
/* Dead objects may refer to what has gone, until they are gaps: now they are. */
void copy_end_sweep(struct gc *gc);

#endif
