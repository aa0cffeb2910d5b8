/* gc/copy_trace.c - copies, and the traces that make them: see gc/copy_trace.h.
 *
 * Words that may mean an object come first: the units of what they mean stay, before anything has moved. So objects of type MAYBE,
 * whose words are such, lie in units of their own, where they are found beforehand.
 */
#include "gc/copy_trace.h"

#include "gc/copy_parts.h"
#include "os/fault.h"

/* -- copies -- */

void copy_begin_old(struct gc *gc, struct copy_unit *u)
{
    struct copy *c = &gc->copy;
    u->black = c->whole || c->phase == COPY_MARKING;
    u->serial = u->is == COPY_STAYS ? u->serial : copy_next_serial(c);
    u->is = COPY_OLD;
    u->objects = COPY_UNKNOWN;
    list_push(&c->old, u);
}

bool copy_next_to(struct gc *gc, struct copy_bump *to)
{
    struct copy *c = &gc->copy;
    struct copy_unit *u = c->no_room ? NULL : copy_take_unit(gc);
    if (!u) {
        c->no_room = true;
        return false;
    }
    copy_begin_old(gc, u);
    if (to->unit) {
        c->copied += (size_t)(to->at - to->from);
        to->unit->end = to->at;
        to->unit->next_to = u;
    } else {
        to->scanning = u;
    }
    to->unit = u;
    to->at = to->from = u->end;
    to->end = copy_last(u);
    return true;
}

void copy_begin_copies(struct gc *gc, bool apart)
{
    struct copy *c = &gc->copy;
    c->no_room = false;
    c->copied = 0;
    for (size_t i = 0; i < 2; i++) {
        struct copy_bump *to = &c->to[i];
        if (apart) {
            *to = (struct copy_bump){0};
        } else if (to->unit) {
            to->scanning = to->unit;
            to->unit->scan = to->from = to->at;
        }
    }
}

size_t copy_end_copies(struct gc *gc)
{
    struct copy *c = &gc->copy;
    for (size_t i = 0; i < 2; i++) {
        struct copy_bump *to = &c->to[i];
        if (to->unit) {
            c->copied += (size_t)(to->at - to->from);
            to->unit->end = to->from = to->at;
        }
    }
    copy_forget_starts(gc);
    gc->stats.moved += c->copied;
    return c->copied;
}

/* -- the traces -- */

static unsigned how_of(const struct gc *gc)
{
    return gc->copy.whole || gc->copy.phase == COPY_MARKING ? COPY_MOVES | COPY_MARKS : COPY_MOVES;
}

/* Of the young, while no cycle is under way; in one; of a whole collection. */
#define TRACE(name, how)                                                                                     \
    static inline __attribute__((always_inline)) void slot_##name(struct allot_gc_visit *visit, void **slot) \
    {                                                                                                        \
        struct copy_visit *v = (struct copy_visit *)visit;                                                   \
        copy_reach(v->gc, slot, how, v->large);                                                              \
    }                                                                                                        \
    static void called_##name(struct allot_gc_visit *visit, void **slot) { slot_##name(visit, slot); }       \
    static void look_##name(struct copy_visit *visit, void *object)                                          \
    {                                                                                                        \
        copy_look(visit, object, 0, COPY_MOVES, slot_##name, word_in_object);                                \
    }

static void word_in_object(struct allot_gc_visit *visit, uintptr_t word)
{
    struct gc *gc = ((struct copy_visit *)visit)->gc;
    copy_reach_word(gc, word, how_of(gc));
}

TRACE(young, COPY_MOVES)
TRACE(cycle, how_of(v->gc) | COPY_RECORDS)
TRACE(whole, COPY_MOVES | COPY_MARKS)

static struct copy_visit visitor(struct gc *gc)
{
    return (struct copy_visit){.visit = {.slot = gc->copy.whole                ? called_whole
                                                 : gc->copy.phase == COPY_IDLE ? called_young
                                                                               : called_cycle},
                               .gc = gc};
}

void copy_follow_all(struct gc *gc)
{
    struct copy_visit visit = visitor(gc);
    if (gc->copy.whole) {
        copy_follow(&visit, slot_whole, word_in_object, look_whole);
    } else if (gc->copy.phase == COPY_IDLE) {
        copy_follow(&visit, slot_young, word_in_object, look_young);
    } else {
        copy_follow(&visit, slot_cycle, word_in_object, look_cycle);
    }
}

void copy_reach_root(struct gc *gc, void **slot) { copy_reach(gc, slot, how_of(gc), false); }

void copy_reach_slot(struct gc *gc, void **slot, bool large)
{
    copy_reach(gc, slot, how_of(gc) | (gc->copy.phase == COPY_IDLE ? 0 : COPY_RECORDS), large);
}

static void no_slot(struct gc *gc, void **slot)
{
    (void)gc;
    (void)slot;
}

static void no_word(struct gc *gc, uintptr_t word)
{
    (void)gc;
    (void)word;
}

void copy_reach_roots(struct gc *gc) { gc_visit_roots(gc, &(struct gc_root_visit){copy_reach_root, no_word}); }

static void look_again_at_unit(struct copy_visit *visit, struct copy_unit *u, void (*look)(struct copy_visit *, void *))
{
    u->again = false;
    for (size_t w = 0; w < COPY_WORDS; w++) {
        for (uint64_t bits = *copy_marks(u, w); bits; bits &= bits - 1) {
            char *object = copy_data(u) + (w * 64 + lowest_bit(bits)) * GC_GRAIN;
            look(visit, object);
        }
    }
}

bool copy_look_again(struct copy_visit *visit, void (*look)(struct copy_visit *visit, void *object))
{
    struct gc *gc = visit->gc;
    struct copy *c = &gc->copy;
    struct copy_unit *lists[] = {c->young, c->of_young ? NULL : c->old};
    bool some = false;
    c->again = c->of_young; /* the old ones are left to the cycle */
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (struct copy_unit *u = lists[i]; u; u = u->next) {
            if (u->again) {
                look_again_at_unit(visit, u, look);
                some = true;
            }
        }
    }
    for (size_t i = 0; i < large_count(gc) && !c->of_young; i++) {
        struct large_object *l = large_nth(gc, i);
        if (l->again) {
            l->again = false;
            look(visit, l->at + 2 * sizeof(uint64_t));
            some = true;
        }
    }
    gc->stats.overflows += some;
    return some;
}

/* -- words that may mean an object -- */

static void pin(struct gc *gc, uintptr_t word)
{
    void *object = gc_object_at(gc, word, gc_is(gc, ALLOT_GC_INTERIOR));
    if (!object || copy_is_large(object)) {
        return;
    }
    struct copy_unit *u = copy_unit_of(object);
    u->wanted = 0;
    if (u->is == COPY_FROM) {
        copy_stay(gc, u);
        u->pinned = true;
    }
}

/* With the units that stay known. */
static void reach_word(struct gc *gc, uintptr_t word)
{
    void *object = gc_object_at(gc, word, gc_is(gc, ALLOT_GC_INTERIOR));
    if (!object) {
        return;
    }
    struct copy_unit *u = copy_is_large(object) ? NULL : copy_unit_of(object);
    gc->stats.pinned += u && u->pinned && !copy_is_marked(u, object);
    copy_reach(gc, &object, how_of(gc), false);
}

static void pin_slot(struct allot_gc_visit *visit, void **slot)
{
    (void)visit;
    (void)slot;
}

static void pin_word(struct allot_gc_visit *visit, uintptr_t word) { pin(((struct copy_visit *)visit)->gc, word); }

static void pin_by(struct gc *gc, void *object)
{
    const struct allot_gc_type *type = gc_type(*gc_header(object));
    if (type->flags & ALLOT_GC_MAYBE) {
        struct copy_visit visit = {.visit = {.slot = pin_slot}, .gc = gc};
        gc_visit_words(&visit.visit, object, type, 0, gc_size_of(gc, object) / 8, pin_slot, pin_word);
    }
}

static void pin_by_remembered(struct gc *gc, void *const *all, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!((uintptr_t)all[i] & 1)) {
            pin_by(gc, all[i]);
        } else {
            pin(gc, *(uintptr_t *)((uintptr_t)all[i] - 1)); /* of a large one: at worst too many stay */
        }
    }
}

static void pin_by_maybes(struct gc *gc, bool all)
{
    struct copy *c = &gc->copy;
    if (all || gc->forgot) {
        for (struct copy_unit *u = c->old; u; u = u->next) {
            if (u->maybe) {
                copy_each_block(u, block, header)
                {
                    if (gc_type(header)) {
                        pin_by(gc, block + ALLOT_GC_HEADER);
                    }
                }
            }
        }
        for (size_t i = 0; i < large_count(gc); i++) {
            pin_by(gc, large_nth(gc, i)->at + 2 * sizeof(uint64_t));
        }
    } else if (c->maybes) {
        pin_by_remembered(gc, gc->remembered.at, gc->remembered.count);
        for (struct mutator *m = gc->mutators; m; m = m->next) {
            pin_by_remembered(gc, m->remember, m->remembered);
        }
    }
}

void copy_pin(struct gc *gc, bool all)
{
    copy_forget_starts(gc);
    gc->stats.pinned = 0;
    if (gc->copy.maybes) {
        pin_by_maybes(gc, all);
    }
    if (gc_is(gc, ALLOT_GC_CONSERVATIVE)) {
        gc_visit_roots(gc, &(struct gc_root_visit){no_slot, pin});
        gc_visit_roots(gc, &(struct gc_root_visit){no_slot, reach_word});
    }
}

/* -- what has been written to -- */

static void look_at_remembered(struct gc *gc, void *entry, bool is_slot)
{
    struct copy_visit visit = visitor(gc);
    if (is_slot) {
        copy_reach_slot(gc, entry, true);
    } else if (gc->copy.phase == COPY_IDLE) {
        look_young(&visit, entry);
    } else {
        look_cycle(&visit, entry);
    }
}

/* Some were not kept: all old objects that are not WATCHED may be among them, and all large ones. */
static void look_at_all(struct gc *gc)
{
    for (struct copy_unit *u = gc->copy.old; u; u = u->next) {
        copy_each_block(u, block, header)
        {
            if (gc_type(header) && !(header & gc->copy.watch)) {
                look_at_remembered(gc, block + ALLOT_GC_HEADER, false);
            }
        }
    }
    for (size_t i = 0; i < large_count(gc); i++) {
        look_at_remembered(gc, large_nth(gc, i)->at + 2 * sizeof(uint64_t), false);
    }
    gc->forgot = false;
}

void copy_look_at_remembered(struct gc *gc)
{
    gc_look_at_remembered(gc, look_at_remembered);
    if (unlikely(gc->forgot)) {
        look_at_all(gc);
    }
}

/* -- for gc_settle -- */

bool copy_reached(struct gc *gc, const void *object)
{
    if (copy_is_large(object)) {
        const struct large_object *l = large_object_of(object);
        return l->marked || (gc->copy.phase == COPY_MARKING && l->age == 0);
    }
    const struct copy_unit *u = copy_unit_of(object);
    return (u->is >= COPY_STAYS && (*gc_header(object) & COPY_MOVED) != 0) || copy_is_marked(u, object);
}

void copy_hold(struct gc *gc, void **slot) { copy_reach_root(gc, slot); }

void copy_drain(struct gc *gc) { copy_follow_all(gc); }
