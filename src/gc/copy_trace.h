/* gc/copy_trace.h - what the copying collector does with one reference, and with all that follows from it.
 *
 *   slot --> object in a unit that is    FROM      copied, once; the slot is told where it is now
 *                                        STAYS     marked in place, unless it has been copied already
 *                                        OLD       MARKS: marked in place.  RECORDS, in a unit that is wanted: the slot is noted
 *            large object                MARKS: marked
 *
 *   to be looked at:  copies, where they lie, from `scan` on; what was marked in place, by the worklist. Neither recurses nor grows.
 *
 * A trace is one of four, which differ in what they do beside moving: constants of the functions here, which are inlined into each.
 */
#ifndef GC_COPY_TRACE_H
#define GC_COPY_TRACE_H

#include <string.h>

#include "gc/copy.h"
#include "gc/gc.h"
#include "gc/visit.h"
#include "span/run.h"

enum copy_how {
    COPY_MOVES = 1,   /* FROM and STAYS are what they say; else the young are left alone */
    COPY_MARKS = 2,   /* old and large objects are marked */
    COPY_RECORDS = 4, /* slots that refer into wanted units are noted: of objects, not roots */
};

#define COPY_MOVED ((uint64_t)1 << 19) /* in place of the header: the object is where the upper bits say */
#define COPY_MEDIUM \
    ((size_t)2048)           /* bytes of a block; larger ones have units of their own, so that they leave few rests */
#define COPY_SERIALS 0xffffu /* units' are below */
#define COPY_PIECE   ((size_t)1024) /* words of one object that are looked at in one go */

static inline struct copy_unit *copy_unit_of(const void *object) { return (struct copy_unit *)unit_of(object); }
static inline char *copy_data(const struct copy_unit *u) { return unit_data(&u->unit); }
static inline char *copy_first(const struct copy_unit *u) { return copy_data(u) + ALLOT_GC_HEADER; }
/* Where the last block of a unit ends. */
static inline char *copy_last(const struct copy_unit *u) { return copy_data(u) + UNIT_SIZE - ALLOT_GC_HEADER; }

static inline uint64_t copy_header(const char *block)
{
    uint64_t header;
    memcpy(&header, block, sizeof header);
    return header;
}

static inline char *copy_new_place(uint64_t header) { return (char *)(uintptr_t)(header >> 20 << 4); }

/* Of any block, gaps included; not 0. */
static inline size_t copy_block_bytes(uint64_t header)
{
    header = unlikely(header & COPY_MOVED) ? *gc_header(copy_new_place(header)) : header;
    return (header & GC_LENGTH) * GC_GRAIN;
}

/* Each block of a unit, gaps included. */
#define copy_each_block(u, block, header)                                                              \
    for (char *block = copy_first(u); block < (u)->end; block += copy_block_bytes(copy_header(block))) \
        if (copy_header(block) == 0) {                                                                 \
            break;                                                                                     \
        } else                                                                                         \
            for (uint64_t header = copy_header(block), once = 1; once; once = 0)

/* Word w of a unit's mark bits, a bit for each 16 bytes: all lines of the first of its two maps, and the rest of the last one. */
static inline uint64_t *copy_marks(const struct copy_unit *u, size_t w)
{
    enum { LINE_WORDS = HEADER_SIZE / 8, PAGE = HEADER_SIZE * UNITS };
    return (uint64_t *)((char *)(uintptr_t)u + PAGE + w / LINE_WORDS * (2 * PAGE) + w % LINE_WORDS * 8);
}
#define COPY_WORDS (UNIT_SIZE / GC_GRAIN / 64)

static inline size_t copy_bit(const void *object) { return ((uintptr_t)object & (UNIT_SIZE - 1)) / GC_GRAIN; }

static inline bool copy_is_marked(const struct copy_unit *u, const void *object)
{
    size_t i = copy_bit(object);
    return u->black || (*copy_marks(u, i / 64) >> (i % 64) & 1) != 0;
}

/* Large objects begin 16 bytes behind the beginning of a page, where few others do. */
static inline bool copy_is_large(const void *object)
{
    return unlikely(((uintptr_t)object & (RUN_PAGE - 1)) == 2 * sizeof(uint64_t)) &&
           (*gc_header(object) & GC_LARGE) != 0;
}

struct copy_visit {
    struct allot_gc_visit visit; /* first */
    struct gc *gc;
    bool large; /* the object whose slots these are */
};

/* -- what is to be looked at -- */

/* Of a collection of the young only what stays among them is looked at in it: old objects that it marks are left to the cycle. */
static inline struct worklist *copy_worklist(struct gc *gc)
{
    return unlikely(gc->copy.of_young) ? &gc->copy.staying : &gc->copy.work;
}

static inline void copy_push(struct gc *gc, struct worklist *work, void *object, bool *again)
{
    if (unlikely(!worklist_push(work, object))) {
        *again = gc->copy.again = true;
    }
}

/* False: it was. */
static inline bool copy_mark(struct gc *gc, struct copy_unit *u, void *object)
{
    size_t i = copy_bit(object);
    uint64_t *word = copy_marks(u, i / 64), bit = (uint64_t)1 << (i % 64);
    if (u->black || (*word & bit)) {
        return false;
    }
    *word |= bit;
    __builtin_prefetch(gc_header(object));
    copy_push(gc, u->is == COPY_STAYS ? copy_worklist(gc) : &gc->copy.work, object, &u->again);
    return true;
}

static inline void copy_mark_large(struct gc *gc, void *object)
{
    struct large_object *l = large_object_of(object);
    if (!l->marked) {
        l->marked = true;
        copy_push(gc, &gc->copy.work, object, &l->again);
    }
}

static inline uint16_t copy_next_serial(struct copy *c)
{
    c->taken++;
    return c->serial = (uint16_t)((c->serial + 1) % COPY_SERIALS);
}

/* A unit for copies of blocks of so many bytes; false: there is no memory, in this collection. */
bool copy_next_to(struct gc *gc, struct copy_bump *to);

/* A unit that was to move does not. A young one becomes old with that, and slots in it may be noted from now on. */
static inline void copy_stay(struct gc *gc, struct copy_unit *u)
{
    u->is = COPY_STAYS;
    if (gc->copy.of_young) {
        u->serial = copy_next_serial(&gc->copy);
    }
}

/* Where the object is from now on: it stays, and its unit, when there is no room. */
static inline void *copy_move(struct gc *gc, struct copy_unit *u, char *object, uint64_t header)
{
    size_t bytes = (header & GC_LENGTH) * GC_GRAIN;
    struct copy_bump *to = &gc->copy.to[bytes > COPY_MEDIUM];
    if (unlikely((size_t)(to->end - to->at) < bytes) && !copy_next_to(gc, to)) {
        copy_stay(gc, u);
        copy_mark(gc, u, object);
        return object;
    }
    char *block = to->at, *from = object - ALLOT_GC_HEADER;
    to->at = block + bytes;
    __builtin_prefetch(((void **)(void *)object)[0]); /* which are soon looked at: references, as a rule */
    __builtin_prefetch(((void **)(void *)object)[bytes > GC_GRAIN]);
    size_t i = 0;
    do {
        memcpy(block + i, from + i, GC_GRAIN);
        i += GC_GRAIN;
    } while (i < bytes);
    header |= gc->copy.watch;
    memcpy(block, &header, sizeof header);
    char *now = block + ALLOT_GC_HEADER;
    *gc_header(object) = (uint64_t)(uintptr_t)now << 16 | COPY_MOVED;
    return now;
}

/* Notes a slot of an object; or that the unit is not evacuated, if there is no memory for it. (copy_slots.c) */
void copy_record(struct gc *gc, struct copy_unit *u, void **slot, bool large);

static inline __attribute__((always_inline)) void copy_reach(struct gc *gc, void **slot, unsigned how, bool large)
{
    char *object = *slot;
    if (!object) {
        return;
    }
    if (copy_is_large(object)) {
        if (how & COPY_MARKS) {
            copy_mark_large(gc, object);
        }
        return;
    }
    struct copy_unit *u = copy_unit_of(object);
    if (u->is >= COPY_STAYS) {
        if (how & COPY_MOVES) {
            uint64_t header = *gc_header(object);
            if (header & COPY_MOVED) {
                *slot = copy_new_place(header);
            } else if (likely(u->is == COPY_FROM)) {
                *slot = copy_move(gc, u, object, header);
            } else {
                copy_mark(gc, u, object);
            }
        }
        return;
    }
    if (how & COPY_MARKS) {
        copy_mark(gc, u, object);
    }
    if ((how & COPY_RECORDS) && unlikely(u->wanted == gc->copy.cycle)) {
        copy_record(gc, u, slot, large);
    }
}

/* A word that may mean an object, whose unit stays. */
static inline void copy_reach_word(struct gc *gc, uintptr_t word, unsigned how)
{
    void *object = gc_object_at(gc, word, gc_is(gc, ALLOT_GC_INTERIOR));
    if (!object) {
        return;
    }
    if (!copy_is_large(object)) {
        struct copy_unit *u = copy_unit_of(object);
        u->wanted = 0;
        if ((how & COPY_MOVES) && u->is == COPY_FROM) {
            copy_stay(gc, u);
        }
    }
    copy_reach(gc, &object, how & ~(unsigned)COPY_RECORDS, false);
}

/* One that is large, or of which a part may be long: of a long one a piece, and the rest is put on the worklist. */
static inline __attribute__((always_inline)) void copy_look_long(struct copy_visit *visit, void *object, size_t from,
                                                                 gc_on_slot *slot, gc_on_word *word)
{
    struct gc *gc = visit->gc;
    const struct allot_gc_type *type = gc_type(*gc_header(object));
    struct large_object *large = *gc_header(object) & GC_LARGE ? large_object_of(object) : NULL;
    size_t size = gc_size_of(gc, object), words = size / 8;
    visit->large = large;
    if (from == 0) {
        gc_visit_head(&visit->visit, object, type, size, slot);
    }
    from = size_max(from, gc_first_word(type, words));
    size_t to = words > from + COPY_PIECE ? from + COPY_PIECE : words;
    if (to < words && !worklist_push_from(copy_worklist(gc), object, to)) {
        to = words; /* all at once */
    }
    if (from < to) {
        gc_visit_words(&visit->visit, object, type, from, to, slot, word);
        gc->copy.visited += (to - from) / 4;
    }
    visit->large = false;
}

/* The references of an object, from a word on. */
static inline __attribute__((always_inline)) void copy_look(struct copy_visit *visit, void *object, size_t from,
                                                            unsigned how, gc_on_slot *slot, gc_on_word *word)
{
    uint64_t header = *gc_header(object);
    const struct allot_gc_type *type = gc_type(header);
    visit->gc->copy.visited++;
    if ((how & COPY_MOVES) && unlikely((visit->gc->copy.watch & ~header) != 0)) {
        *gc_header(object) = header | visit->gc->copy.watch; /* it refers to nothing young any more */
    }
    if (likely(!(header & GC_LARGE) && !(type->flags & (ALLOT_GC_REFS | ALLOT_GC_MAYBE)))) {
        gc_visit_head(&visit->visit, object, type, (header & GC_LENGTH) * GC_GRAIN - ALLOT_GC_HEADER, slot);
    } else {
        copy_look_long(visit, object, from, slot, word);
    }
}

/* The copies that have not been looked at, of one sort. */
static inline __attribute__((always_inline)) void copy_scan(struct copy_visit *visit, struct copy_bump *to,
                                                            gc_on_slot *slot, gc_on_word *word)
{
    uint64_t visited = 0;
    visit->large = false;
    for (struct copy_unit *u = to->scanning; u; to->scanning = u = u->next_to) {
        char *at = u->scan;
        for (char *end; at < (end = u == to->unit ? to->at : u->end);) {
            do {
                uint64_t header = copy_header(at);
                size_t bytes = (header & GC_LENGTH) * GC_GRAIN;
                gc_visit_object(&visit->visit, at + ALLOT_GC_HEADER, gc_type(header), bytes - ALLOT_GC_HEADER, slot,
                                word);
                at += bytes;
                visited++;
            } while (at < end);
        }
        u->scan = at;
        if (u == to->unit) {
            break;
        }
    }
    visit->gc->copy.visited += visited;
}

static inline bool copy_is_scanned(const struct copy_bump *to)
{
    return !to->unit || (to->scanning == to->unit && to->unit->scan == to->at);
}

/* The objects that found a worklist full, once more: all marked ones of where they lie. False: there were none. */
bool copy_look_again(struct copy_visit *visit, void (*look)(struct copy_visit *visit, void *object));

static inline __attribute__((always_inline)) void copy_follow(struct copy_visit *visit, gc_on_slot *slot,
                                                              gc_on_word *word,
                                                              void (*look)(struct copy_visit *visit, void *object))
{
    struct copy *c = &visit->gc->copy;
    struct worklist *work = copy_worklist(visit->gc);
    for (;;) {
        while (work->count) {
            size_t from;
            void *object = worklist_pop(work, &from);
            copy_look(visit, object, from, COPY_MOVES, slot, word);
        }
        if (!copy_is_scanned(&c->to[0])) {
            copy_scan(visit, &c->to[0], slot, word);
        } else if (!copy_is_scanned(&c->to[1])) {
            copy_scan(visit, &c->to[1], slot, word);
        } else if (!c->again || !copy_look_again(visit, look)) {
            return;
        }
    }
}

#endif
