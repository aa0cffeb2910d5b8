/* gc/sweep.c - MARK's units: holes in them, what becomes of them after marking. See gc/mark.h.
 *
 *   room[class] --> unit --> unit ...     --in hand of a mutator-->  its holes, from the lowest  --none left-->  in no list
 *        ^                                                                                                         | next collection
 *        +---- some marked ----+                                                                                   |
 *   empty -- stock -- none marked <----------------------------------------------------------------- all ----------+
 *
 * A hole costs a look at the words of a unit's map up to it, once a collection, and zeroing what has been used of it.
 */
#include <string.h>

#include "gc/gc.h"
#include "os/fault.h"
#include "os/process.h"

/* In 16 bytes: each as large as so many in a unit can be, at most an eighth larger than the one before while they can. */
static const uint16_t medium[MARK_MEDIUM] = {36,  40,  45,  50,  56,  63,  70,  78,  87,  97,  110,  124,  141, 163,
                                             186, 215, 255, 292, 341, 409, 511, 585, 682, 819, 1023, 1365, 2047};

/* Bytes of a hole at most: what is zeroed together, and is in the caches as it is used. */
enum { HOLE_MOST = 16 << 10 };

static unsigned class_of(size_t grains)
{
    if (grains <= MARK_SMALL) {
        return (unsigned)grains - 1;
    }
    unsigned from = 0, to = MARK_MEDIUM - 1;
    while (from < to) {
        unsigned middle = (from + to) / 2;
        if (medium[middle] < grains) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return MARK_SMALL + from;
}

static size_t stride16_of(unsigned klass) { return klass < MARK_SMALL ? klass + 1 : medium[klass - MARK_SMALL]; }

/* -- units -- */

static void list(struct gc *gc, struct mark_unit *u)
{
    list_push(&gc->mark.room[u->klass], u);
    u->listed = true;
}

static void unlist(struct gc *gc, struct mark_unit *u)
{
    list_remove(&gc->mark.room[u->klass], u);
    u->listed = false;
}

static struct mark_unit *begin_unit(struct gc *gc, unsigned klass)
{
    struct mark *own = &gc->mark;
    struct mark_unit *u = own->empty;
    if (u) {
        own->empty = u->next;
        own->empties--;
    } else {
        u = (struct mark_unit *)gc_take_unit(gc, UNIT_SOME);
    }
    if (!u) {
        return NULL;
    }
    size_t stride = stride16_of(klass) * GC_GRAIN;
    u->recip = (uint32_t)(((uint64_t)1 << 32) / stride + (((uint64_t)1 << 32) % stride != 0));
    u->stride16 = (uint16_t)(stride / GC_GRAIN);
    u->slots = (uint16_t)size_min((UNIT_SIZE - ALLOT_GC_HEADER) / stride, BITMAP_WORDS * 64);
    u->marked = u->cursor = 0;
    u->klass = (uint8_t)klass;
    u->cycle = own->cycle;
    u->again = u->in_hand = u->listed = false;
    u->all_prev = NULL;
    u->all_next = own->all;
    if (own->all) {
        own->all->all_prev = u;
    }
    own->all = u;
    return u;
}

/* Nothing is in it. Into the stock, or back. */
static void end_unit(struct gc *gc, struct mark_unit *u, bool keep)
{
    struct mark *own = &gc->mark;
    if (u->listed) {
        unlist(gc, u);
    }
    for (size_t w = 0; w < mark_words(u); w++) {
        *mark_allocated(u, w) = *mark_marked(u, w) = 0;
    }
    *(u->all_prev ? &u->all_prev->all_next : &own->all) = u->all_next;
    if (u->all_next) {
        u->all_next->all_prev = u->all_prev;
    }
    own->at = own->at == u ? u->all_next : own->at;
    if (keep) {
        u->next = own->empty;
        own->empty = u;
        own->empties++;
    } else {
        gc_give_unit(gc, (struct gc_unit *)u);
    }
}

void mark_sweep(struct gc *gc, struct mark_unit *u)
{
    for (size_t w = 0; w < mark_words(u); w++) {
        *mark_allocated(u, w) = *mark_marked(u, w);
    }
    u->cycle = gc->mark.cycle;
    u->cursor = 0;
}

static bool is_swept(const struct gc *gc, const struct mark_unit *u) { return u->cycle == gc->mark.cycle; }

/* -- holes -- */

struct hole {
    size_t from, to; /* slots */
};

/* The first run of free slots from the cursor on, of so many at most. */
static bool find_hole(struct mark_unit *u, size_t most, struct hole *hole)
{
    size_t words = mark_words(u), w = u->cursor / 64;
    uint64_t free = w < words ? ~*mark_allocated(u, w) & ~(uint64_t)0 << u->cursor % 64 : 0;
    while (w < words && !free) {
        free = ++w < words ? ~*mark_allocated(u, w) : 0;
    }
    if (w >= words || w * 64 + lowest_bit(free) >= u->slots) {
        u->cursor = u->slots;
        return false;
    }
    size_t bit = lowest_bit(free), from = w * 64 + bit, end = size_min(from + most, u->slots), to = from;
    uint64_t taken = ~free & ~(uint64_t)0 << bit; /* allocated ones behind it in this word */
    for (;;) {
        to = taken ? w * 64 + lowest_bit(taken) : (w + 1) * 64;
        if (taken || to >= end) {
            break;
        }
        taken = *mark_allocated(u, ++w);
    }
    *hole = (struct hole){from, size_min(to, end)};
    u->cursor = (uint16_t)hole->to;
    return true;
}

/* Its slots are allocated, and zero. */
static void open_hole(struct mark_unit *u, const struct hole *hole)
{
    for (size_t w = hole->from / 64; w * 64 < hole->to; w++) {
        *mark_allocated(u, w) |= bitmap_word_mask(w, hole->from, hole->to);
    }
    size_t stride = u->stride16 * GC_GRAIN, touched = u->unit.touched * GC_GRAIN;
    size_t from = ALLOT_GC_HEADER + hole->from * stride, to = ALLOT_GC_HEADER + hole->to * stride;
    if (from < touched) {
        memset(unit_data(&u->unit) + from, 0, size_min(to, touched) - from);
    }
    u->unit.touched = (uint16_t)(size_max(touched, align_up(to, GC_GRAIN)) / GC_GRAIN) & 0x7fff;
}

/* A unit in which to look for holes, swept; NULL: memory is out, or the limit is reached. */
static struct mark_unit *next_unit(struct mutator *me, unsigned klass)
{
    struct gc *gc = me->gc;
    struct mark_unit *u = gc->mark.room[klass];
    if (u) {
        unlist(gc, u);
        if (!is_swept(gc, u)) {
            mark_sweep(gc, u);
        }
    } else {
        u = begin_unit(gc, klass);
    }
    if (u) {
        u->in_hand = true;
        me->mark.unit[klass] = u;
    }
    return u;
}

static bool take_hole(struct mutator *me, unsigned klass, size_t most, struct hole *hole)
{
    struct mark_unit *u = me->mark.unit[klass];
    while (!u || !find_hole(u, most, hole)) {
        if (u) {
            u->in_hand = false;
            me->mark.unit[klass] = NULL;
        }
        u = next_unit(me, klass);
        if (!u) {
            return false;
        }
    }
    open_hole(u, hole);
    size_t bytes = (hole->to - hole->from) * u->stride16 * GC_GRAIN;
    me->gc->since += bytes;
    me->gc->used += bytes;
    me->gc->allocated += bytes;
    return true;
}

static char *block_of(const struct mark_unit *u, size_t slot) { return (char *)mark_object(u, slot) - ALLOT_GC_HEADER; }

void *mark_get(struct mutator *me, const struct allot_gc_type *type, size_t size)
{
    size_t grains = gc_blocks(size);
    unsigned klass = class_of(grains);
    bool hold = klass < MARK_SMALL && !gc_is(me->gc, ALLOT_GC_STRESS);
    char *at = hold ? me->face->hole[grains].next : NULL;
    if (!hold || at == me->face->hole[grains].end) {
        struct hole hole;
        size_t most = hold ? size_max(HOLE_MOST / (stride16_of(klass) * GC_GRAIN), 1) : 1;
        if (!take_hole(me, klass, most, &hole)) {
            return NULL;
        }
        const struct mark_unit *u = me->mark.unit[klass];
        at = block_of(u, hole.from);
        if (hold) {
            me->face->hole[grains].end = block_of(u, hole.to);
        }
    }
    if (hold) {
        me->face->hole[grains].next = at + grains * GC_GRAIN;
    }
    *(uint64_t *)(void *)at = (uint64_t)(uintptr_t)type << 16 | me->face->fresh | grains;
    return at + ALLOT_GC_HEADER;
}

void mark_retire(struct gc *gc)
{
    for (struct mutator *m = gc->mutators; m; m = m->next) {
        for (unsigned i = 0; i < ALLOT_GC_HOLES; i++) {
            size_t rest = (size_t)(m->face->hole[i].end - m->face->hole[i].next);
            gc->used -= rest;
            gc->allocated -= rest;
        }
        memset(m->face->hole, 0, sizeof m->face->hole);
        for (unsigned c = 0; c < MARK_CLASSES; c++) {
            if (m->mark.unit[c]) {
                m->mark.unit[c]->in_hand = false;
                m->mark.unit[c] = NULL;
            }
        }
    }
}

int mark_attach(struct mutator *me)
{
    me->face->length = 1;
    return 0;
}

void mark_detach(struct mutator *me, bool lost)
{
    (void)lost; /* what is left of its holes has headers of 0 */
    for (unsigned c = 0; c < MARK_CLASSES; c++) {
        if (me->mark.unit[c]) {
            me->mark.unit[c]->in_hand = false;
            list(me->gc, me->mark.unit[c]);
            me->mark.unit[c] = NULL;
        }
    }
}

void mark_put(struct gc *gc, void *object)
{
    struct mark_unit *u = mark_unit_of(object);
    size_t slot = mark_slot(u, object), bytes = u->stride16 * GC_GRAIN;
    uint64_t *word = mark_allocated(u, slot / 64);
    *gc_header(object) = 0;
    *word &= ~((uint64_t)1 << slot % 64);
    gc->used -= bytes;
    gc->freed += bytes;
    u->cursor = slot < u->cursor ? (uint16_t)slot : u->cursor;
    if (u->in_hand) {
        return;
    }
    bool some = *word != 0;
    for (size_t w = 0; w < mark_words(u) && !some; w++) {
        some = *mark_allocated(u, w) != 0;
    }
    if (!some) {
        end_unit(gc, u, false);
    } else if (!u->listed) {
        list(gc, u);
    }
}

/* -- after marking -- */

bool mark_sort(struct gc *gc, uint64_t deadline)
{
    struct mark *own = &gc->mark;
    size_t stock = gc->due / UNIT_SIZE;
    for (struct large_object *l; (l = gc->dead_large) != NULL;) {
        gc->dead_large = l->next;
        large_end(gc, l);
        if (os_nanoseconds() >= deadline) {
            return false;
        }
    }
    for (unsigned n = 0; own->at; n++) {
        if (n % 16 == 15 && os_nanoseconds() >= deadline) {
            return false;
        }
        struct mark_unit *u = own->at;
        own->at = u->all_next;
        if (is_swept(gc, u)) {
            continue; /* it is new, or somebody was quicker */
        }
        if (u->marked == 0) {
            end_unit(gc, u, own->empties < stock);
            continue;
        }
        if (u->marked == u->slots) {
            u->cycle = own->cycle; /* all of it lives */
            u->cursor = u->slots;
        }
        if ((u->marked < u->slots) != u->listed) {
            (u->listed ? unlist : list)(gc, u);
        }
    }
    while (own->empties > stock) {
        struct mark_unit *u = own->empty;
        own->empty = u->next;
        own->empties--;
        gc_give_unit(gc, (struct gc_unit *)u);
    }
    return true;
}

void mark_done(struct gc *gc)
{
    struct mark *own = &gc->mark;
    while (own->all) {
        end_unit(gc, own->all, false);
    }
    for (struct mark_unit *next; own->empty; own->empty = next) {
        next = own->empty->next;
        gc_give_unit(gc, (struct gc_unit *)own->empty);
    }
    worklist_done(gc, &own->work);
}

/* -- what there is -- */

uint64_t mark_objects(const struct gc *gc, const struct mark_unit *u, size_t w)
{
    uint64_t bits = *mark_allocated(u, w), objects = 0;
    bits &= is_swept(gc, u) ? bits : *mark_marked(u, w);
    for (; bits; bits &= bits - 1) {
        size_t slot = w * 64 + lowest_bit(bits);
        objects |= *gc_header(mark_object(u, slot)) ? bits & -bits : 0;
    }
    return objects;
}

void *mark_object_at(struct gc *gc, uintptr_t word, bool interior)
{
    const struct mark_unit *u = mark_unit_of((const void *)word);
    uintptr_t offset = (word & (UNIT_SIZE - 1)) - ALLOT_GC_HEADER;
    size_t slot = (size_t)(offset * (uint64_t)u->recip >> 32);
    if (offset >= UNIT_SIZE || slot >= u->slots) {
        return NULL;
    }
    void *object = mark_object(u, slot);
    uint64_t bit = (uint64_t)1 << slot % 64;
    uint64_t bits = *mark_allocated(u, slot / 64) & (is_swept(gc, u) ? bit : *mark_marked(u, slot / 64));
    if (!(bits & bit) || !*gc_header(object)) {
        return NULL;
    }
    uintptr_t size = (*gc_header(object) & GC_LENGTH) * GC_GRAIN - ALLOT_GC_HEADER, at = word - (uintptr_t)object;
    return at == 0 || (interior && word > (uintptr_t)object && at < size) ? object : NULL;
}

size_t mark_size(const struct gc *gc, const void *object)
{
    (void)gc;
    return (*gc_header(object) & GC_LENGTH) * GC_GRAIN - ALLOT_GC_HEADER;
}

int mark_walk(struct gc *gc, gc_walk_visit *visit, void *arg)
{
    for (const struct mark_unit *u = gc->mark.all; u; u = u->all_next) {
        for (size_t w = 0; w < mark_words(u); w++) {
            for (uint64_t bits = mark_objects(gc, u, w); bits; bits &= bits - 1) {
                void *object = mark_object(u, w * 64 + lowest_bit(bits));
                int end = visit(object, gc_type(*gc_header(object)), mark_size(gc, object), arg);
                if (end) {
                    return end;
                }
            }
        }
    }
    return 0;
}

static void check_unit(struct gc *gc, const struct mark_unit *u)
{
    size_t marked = 0;
    CHECK(unit_owner(&u->unit) == gc->part.id, "unit", u);
    CHECK(u->klass < MARK_CLASSES && u->stride16 == stride16_of(u->klass), "unit", u);
    CHECK(u->slots * (size_t)u->stride16 * GC_GRAIN + ALLOT_GC_HEADER <= UNIT_SIZE, "unit", u);
    CHECK(!u->listed || !u->in_hand, "unit", u);
    CHECK(u->in_hand || u->listed || !is_swept(gc, u) || gc->mark.phase == MARK_SORTING || u->cursor == u->slots ||
              gc_is(gc, ALLOT_GC_STRESS),
          "unit", u);
    for (size_t w = 0; w < mark_words(u); w++) {
        CHECK((*mark_marked(u, w) & ~*mark_allocated(u, w)) == 0, "marked bits of a unit", u);
        CHECK((*mark_allocated(u, w) & ~bitmap_word_mask(w, 0, u->slots)) == 0, "allocated bits of a unit", u);
        marked += count_bits(*mark_marked(u, w));
    }
    CHECK(marked == u->marked, "marked bits of a unit", u);
}

void mark_check(struct gc *gc)
{
    size_t units = 0;
    const struct mark_unit *prev = NULL;
    for (const struct mark_unit *u = gc->mark.all; u; u = u->all_next, units++) {
        CHECK(u->all_prev == prev, "units", u);
        check_unit(gc, u);
        prev = u;
    }
    for (const struct mark_unit *u = gc->mark.empty; u; u = u->next, units++) {
        CHECK(u->again == false && *mark_allocated(u, 0) == 0, "empty unit", u);
    }
    CHECK(units == gc->units, "units", gc);
}
