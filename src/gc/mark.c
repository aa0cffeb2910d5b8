/* gc/mark.c - marking. See gc/mark.h.
 *
 *   reference --> | queue of 8, whose headers are on their way from memory | --> marked? --> worklist --> its references --> ...
 *
 * An object is prefetched when a reference to it is found, and looked at some references later. (Cher, Hosking and Vitek, "Software
 * prefetching for mark-sweep garbage collection", 2004.) The worklist never grows: what does not fit is marked only, and its unit
 * noted, of which all marked objects are looked at again once the worklist is empty. No recursion.
 *
 * In steps: an object that has been looked at is WATCHED, and when it is written to it is looked at again (Steele 1975); new objects
 * are not marked. Marking ends in a step that looks at the roots and the remembered and comes to the end of what follows from
 * these. Should the program outrun it for PASSES steps, the last takes as long as it takes.
 */
#include "gc/gc.h"
#include "gc/visit.h"
#include "os/fault.h"
#include "os/process.h"
#include "span/map.h"

enum {
    QUEUE = 8,
    CHUNK = 512,              /* words of a tail, at a time */
    PASSES = 32,              /* looks at the roots before the one that goes to the end */
    LEAST_BETWEEN = 32 << 10, /* bytes that are allocated between steps */
    OUTRUN = 2,               /* times the bytes that were due as a cycle began: it is brought to its end */
    BEFORE = 2 * sizeof(uint64_t)
};

/* A test has others. */
#ifndef GC_WORK_MOST
#define GC_WORK_MOST (16 * 1024) /* entries of the worklist */
#define GC_LOOKS     64          /* objects from one look at the clock to the next */
#endif

struct marker {
    struct allot_gc_visit visit; /* first */
    struct gc *gc;
    unsigned next;
    void *queue[QUEUE];
};

static void note_again(struct gc *gc, void *object)
{
    if (*gc_header(object) & GC_LARGE) {
        large_object_of(object)->again = true;
    } else {
        mark_unit_of(object)->again = true;
    }
    gc->mark.again = true;
}

static void __attribute__((noinline)) overflow(struct gc *gc, void *object)
{
    gc->stats.overflows++;
    note_again(gc, object);
}

static void __attribute__((noinline)) mark_large(struct gc *gc, void *object, const struct allot_gc_type *type)
{
    struct large_object *l = large_object_of(object);
    if (!l->marked) {
        l->marked = true;
        gc->mark.live += l->size;
        if (gc_has_references(type) && !worklist_push(&gc->mark.work, object)) {
            overflow(gc, object);
        }
    }
}

/* Words that may be references are looked up without their headers: it may be a slot of a hole. */
static inline __attribute__((always_inline)) void mark(struct gc *gc, void *object)
{
    uint64_t header = *gc_header(object);
    const struct allot_gc_type *type = gc_type(header);
    if (unlikely(!type)) {
        return;
    }
    if (unlikely((header & GC_LARGE) != 0)) {
        mark_large(gc, object, type);
        return;
    }
    struct mark_unit *u = mark_unit_of(object);
    size_t slot = mark_slot(u, object);
    uint64_t *word = unit_words_of_slot(&u->unit, slot).free, bit = (uint64_t)1 << slot % 64;
    if (*word & bit) {
        return;
    }
    *word |= bit;
    u->marked++;
    gc->mark.live += (header & GC_LENGTH) * GC_GRAIN;
    if (gc_has_references(type) && unlikely(!worklist_push(&gc->mark.work, object))) {
        overflow(gc, object);
    }
}

static inline void found(struct marker *m, void *object)
{
    if (object) {
        __builtin_prefetch(gc_header(object));
        void *first = m->queue[m->next];
        m->queue[m->next] = object;
        m->next = (m->next + 1) % QUEUE;
        if (first) {
            mark(m->gc, first);
        }
    }
}

static inline void on_slot(struct allot_gc_visit *visit, void **slot) { found((struct marker *)visit, *slot); }

static void on_slot_of_trace(struct allot_gc_visit *visit, void **slot) { on_slot(visit, slot); }

static void __attribute__((noinline)) on_word_in_range(struct marker *m, uintptr_t word)
{
    struct gc *gc = m->gc;
    bool interior = gc_is(gc, ALLOT_GC_INTERIOR);
    const struct mark_unit *u = mark_unit_of((const void *)word);
    if (map_get((const void *)word) != MAP_SEGMENT || unit_owner(&u->unit) != gc->part.id) {
        found(m, gc_object_at(gc, word, interior));
        return;
    }
    uintptr_t offset = (word & (UNIT_SIZE - 1)) - ALLOT_GC_HEADER;
    size_t slot = (size_t)(offset * (uint64_t)u->recip >> 32);
    if (offset < UNIT_SIZE && slot < u->slots) { /* all units are swept */
        struct unit_words words = unit_words_of_slot(&u->unit, slot);
        uint64_t allocated = *(uint64_t *)words.remote, bit = (uint64_t)1 << slot % 64;
        void *object = mark_object(u, slot);
        if ((allocated & ~*words.free & bit) && (interior ? word >= (uintptr_t)object : word == (uintptr_t)object)) {
            found(m, object);
        }
    }
}

static inline void on_word(struct allot_gc_visit *visit, uintptr_t word)
{
    const struct gc *gc = ((struct marker *)visit)->gc;
    if (unlikely(word - gc->lowest < gc->highest - gc->lowest)) {
        on_word_in_range((struct marker *)visit, word);
    }
}

static bool flush(struct marker *m)
{
    bool some = false;
    for (unsigned i = 0; i < QUEUE; i++) {
        if (m->queue[i]) {
            void *object = m->queue[i];
            m->queue[i] = NULL;
            mark(m->gc, object);
            some = true;
        }
    }
    return some;
}

static struct marker marker_of(struct gc *gc) { return (struct marker){.visit = {.slot = on_slot_of_trace}, .gc = gc}; }

/* A long tail piece by piece, the first one with what is before it. */
static void __attribute__((noinline))
look_at_long(struct marker *m, void *object, const struct allot_gc_type *type, size_t size, size_t from)
{
    size_t words = size / 8, to = size_min(words, size_max(from, gc_first_word(type, words)) + CHUNK);
    if (from == 0) {
        gc_visit_head(&m->visit, object, type, size, on_slot);
        from = gc_first_word(type, words);
    }
    if (to < words && !worklist_push_from(&m->gc->mark.work, object, to)) {
        to = words; /* all at once */
    }
    gc_visit_words(&m->visit, object, type, from, to, on_slot, on_word);
}

/* Of an object that is marked. */
static inline void look_at(struct marker *m, void *object, size_t from)
{
    uint64_t header = *gc_header(object);
    const struct allot_gc_type *type = gc_type(header);
    if (!gc_is(m->gc, ALLOT_GC_PLAIN) && m->gc->mark.phase == MARK_MARKING) {
        *gc_header(object) = header | ALLOT_GC_WATCHED;
    }
    size_t size = unlikely((header & GC_LARGE) != 0) ? large_object_of(object)->size
                                                     : (header & GC_LENGTH) * GC_GRAIN - ALLOT_GC_HEADER;
    if (likely((type->flags & (ALLOT_GC_REFS | ALLOT_GC_MAYBE)) == 0)) {
        gc_visit_head(&m->visit, object, type, size, on_slot);
    } else if (likely(size <= CHUNK * 8)) {
        gc_visit_object(&m->visit, object, type, size, on_slot, on_word);
    } else {
        look_at_long(m, object, type, size, from);
    }
}

/* -- what did not fit -- */

static void look_at_unit(struct marker *m, struct mark_unit *u)
{
    for (size_t w = 0; w < mark_words(u); w++) {
        for (uint64_t bits = *mark_marked(u, w); bits; bits &= bits - 1) {
            look_at(m, mark_object(u, w * 64 + lowest_bit(bits)), 0);
        }
    }
}

static bool drain(struct gc *gc, uint64_t deadline);

/* False: the deadline. */
static bool look_again(struct gc *gc, uint64_t deadline)
{
    struct marker m = marker_of(gc);
    gc->mark.again = false;
    for (size_t i = 0; i < large_count(gc); i++) {
        struct large_object *l = large_nth(gc, i);
        if (l->again && l->marked) {
            l->again = false;
            look_at(&m, l->at + BEFORE, 0);
        }
    }
    for (struct mark_unit *u = gc->mark.all; u; u = u->all_next) {
        if (u->again) {
            if (os_nanoseconds() >= deadline) {
                gc->mark.again = true;
                flush(&m);
                return false;
            }
            u->again = false;
            look_at_unit(&m, u);
        }
    }
    flush(&m);
    return true;
}

/* All that follows from what has been reached; false: the deadline. */
static bool drain(struct gc *gc, uint64_t deadline)
{
    struct marker m = marker_of(gc);
    struct worklist *work = &gc->mark.work;
    unsigned left = GC_LOOKS;
    for (;;) {
        while (work->count > 0) {
            size_t from;
            void *object = worklist_pop(work, &from);
            look_at(&m, object, from);
            if (unlikely(--left == 0)) {
                left = GC_LOOKS;
                if (deadline != UINT64_MAX && os_nanoseconds() >= deadline) {
                    flush(&m);
                    return false;
                }
            }
        }
        if (!flush(&m) && work->count == 0) {
            if (!gc->mark.again) {
                return true;
            }
            if (!look_again(gc, deadline)) {
                return false;
            }
        }
    }
}

/* -- roots -- */

static void on_root(struct gc *gc, void **slot)
{
    if (*slot) {
        mark(gc, *slot);
    }
}

static void on_root_word(struct gc *gc, uintptr_t word)
{
    void *object = gc_object_at(gc, word, gc_is(gc, ALLOT_GC_INTERIOR));
    if (object) {
        gc->stats.pinned++;
        mark(gc, object);
    }
}

static void visit_roots(struct gc *gc)
{
    gc->stats.pinned = 0;
    gc_visit_roots(gc, &(struct gc_root_visit){on_root, on_root_word});
}

static bool is_marked(const void *object)
{
    if (*gc_header(object) & GC_LARGE) {
        return large_object_of(object)->marked;
    }
    const struct mark_unit *u = mark_unit_of(object);
    size_t slot = mark_slot(u, object);
    return *mark_marked(u, slot / 64) >> slot % 64 & 1;
}

/* It has been written to; unless it is marked, it will be looked at when it is, or never. */
static void look_at_remembered(struct gc *gc, void *object, bool is_value)
{
    if (is_value) {
        mark(gc, object);
    } else if (is_marked(object)) {
        struct marker m = marker_of(gc);
        look_at(&m, object, 0);
        flush(&m);
    }
}

/* -- phases -- */

static void clear_unit(struct gc *gc, struct mark_unit *u)
{
    if (u->cycle != gc->mark.cycle) {
        mark_sweep(gc, u);
    }
    for (size_t w = 0; w < mark_words(u); w++) {
        *mark_marked(u, w) = 0;
    }
    u->marked = 0;
    u->again = false;
}

static bool clear(struct gc *gc, uint64_t deadline)
{
    struct mark *own = &gc->mark;
    for (unsigned n = 0; own->at; n++) {
        if (n % 16 == 15 && os_nanoseconds() >= deadline) {
            return false;
        }
        clear_unit(gc, own->at);
        own->at = own->at->all_next;
    }
    return true;
}

static void begin(struct gc *gc)
{
    struct mark *own = &gc->mark;
    own->phase = MARK_CLEARING;
    own->began = gc->due;
    own->at = own->all;
    own->work.count = 0;
    own->live = 0;
    own->passes = 0;
    own->again = false;
    for (size_t i = 0; i < large_count(gc); i++) {
        large_nth(gc, i)->marked = large_nth(gc, i)->again = false;
    }
}

static void ignore(struct gc *gc, void *object, bool is_value)
{
    (void)is_value;
    (void)gc;
    (void)object;
}

static void begin_marking(struct gc *gc)
{
    gc->mark.phase = MARK_MARKING;
    gc_look_at_remembered(gc, ignore);
    gc->forgot = false;
    visit_roots(gc);
}

static bool large_goes(struct gc *gc, struct large_object *l)
{
    (void)gc;
    return !l->marked;
}

/* What is reachable is marked. */
static void end_marking(struct gc *gc)
{
    struct mark *own = &gc->mark;
    gc_settle(gc);
    mark_retire(gc);
    gc->freed += gc->used - own->live;
    large_sweep(gc, large_goes);
    gc->used = own->live;
    gc_set_due(gc);
    own->cycle++;
    own->phase = MARK_SORTING;
    own->at = own->all;
}

/* All marked objects may have been written to. */
static void forget_nothing(struct gc *gc)
{
    for (struct mark_unit *u = gc->mark.all; u; u = u->all_next) {
        u->again = u->marked != 0;
    }
    for (size_t i = 0; i < large_count(gc); i++) {
        large_nth(gc, i)->again = large_nth(gc, i)->marked;
    }
    gc->mark.again = true;
    gc->forgot = false;
}

/* The roots, and what has been written to, in this step; false: the program will have to be looked at once more. */
static bool finish_marking(struct gc *gc, uint64_t deadline)
{
    if (gc->remembered.count > REMEMBERED) {
        gc_look_at_remembered(gc, look_at_remembered);
    }
    if (!drain(gc, deadline)) {
        return false;
    }
    deadline = ++gc->mark.passes < PASSES ? deadline : UINT64_MAX;
    visit_roots(gc);
    gc_look_at_remembered(gc, look_at_remembered);
    if (gc->forgot) {
        forget_nothing(gc);
    }
    return drain(gc, deadline);
}

bool mark_step(struct gc *gc, uint64_t deadline)
{
    struct mark *own = &gc->mark;
    if (own->phase == MARK_IDLE) {
        begin(gc);
    }
    if (own->phase == MARK_CLEARING) {
        if (!clear(gc, deadline)) {
            return false;
        }
        begin_marking(gc);
    }
    if (own->phase == MARK_MARKING) {
        if (!finish_marking(gc, deadline)) {
            return false;
        }
        end_marking(gc);
    }
    if (!mark_sort(gc, deadline)) {
        return false;
    }
    own->phase = MARK_IDLE;
    return true;
}

/* One that is under way is given up: what has become garbage since it began would be left. */
void mark_collect(struct gc *gc)
{
    struct mark *own = &gc->mark;
    if (gc_is(gc, ALLOT_GC_EXPLICIT)) {
        return;
    }
    if (own->phase == MARK_SORTING) {
        mark_sort(gc, UINT64_MAX);
    }
    begin(gc);
    clear(gc, UINT64_MAX);
    gc_look_at_remembered(gc, ignore);
    gc->forgot = false;
    visit_roots(gc);
    drain(gc, UINT64_MAX);
    end_marking(gc);
    mark_sort(gc, UINT64_MAX);
    own->phase = MARK_IDLE;
}

/* -- the rest of what a collector gives -- */

int mark_init(struct gc *gc) { return worklist_init(gc, &gc->mark.work, GC_WORK_MOST) ? 0 : -1; }

/* The program may allocate half as much as has been marked until the next step. Should it outrun marking all the same, as steps are too
 * short for it, or it makes too few of them itself, the last one takes as long as it takes. */
static void step_as_it_allocates(struct gc *gc)
{
    struct mark *own = &gc->mark;
    size_t live = own->live;
    bool outrun = own->phase != MARK_IDLE && gc->since >= OUTRUN * own->began;
    uint64_t ns = gc->opts.step_ns;
    gc->stats.steps++;
    bool complete = (ns || outrun) && mark_step(gc, outrun ? UINT64_MAX : os_deadline(ns));
    gc->stats.collections += complete;
    if (!complete) {
        live = own->live > live ? own->live - live : 0;
        gc->due = ns ? gc->since + size_max(live / 2, LEAST_BETWEEN) : OUTRUN * own->began;
    }
}

void mark_due(struct mutator *me)
{
    struct gc *gc = me->gc;
    bool in_steps = (gc->opts.step_ns && !gc_is(gc, ALLOT_GC_PLAIN)) || gc->mark.phase != MARK_IDLE;
    if (!gc_stop(gc, me)) {
        return;
    }
    if (in_steps) {
        step_as_it_allocates(gc);
    } else {
        gc_collect_stopped(gc);
    }
    gc_go(gc);
}

void mark_write(struct mutator *me, void *object, void **slot, void *value)
{
    *slot = value;
    if (me->gc->mark.phase != MARK_MARKING) { /* of an earlier cycle */
        __atomic_fetch_and(gc_header(object), ~ALLOT_GC_WATCHED, __ATOMIC_RELAXED);
    } else if (gc_size_of(me->gc, object) > CHUNK * sizeof(void *)) {
        gc_remember_value(me, value);
    } else {
        gc_remember(me, object);
    }
}

bool mark_reached(struct gc *gc, const void *object)
{
    (void)gc;
    return is_marked(object);
}

void mark_hold(struct gc *gc, void **slot) { mark(gc, *slot); }

void mark_drain(struct gc *gc) { drain(gc, UINT64_MAX); }

/* -- for leaks.c -- */

void mark_unmark_all(struct gc *gc)
{
    begin(gc);
    clear(gc, UINT64_MAX);
    gc->mark.phase = MARK_IDLE;
}

void mark_reachable(struct gc *gc)
{
    mark_unmark_all(gc);
    visit_roots(gc);
    gc_settle_ephemerons(gc);
}
