/* gc/count_release.c - objects whose count has come to 0 go, and what only they referred to goes with them: without recursion, and without
 * memory of its own.
 *
 *   hand->dead ----> | header, count 0 | link | b | ... |       link: where the first reference was, which has been counted down
 *                                          |
 *                                          +-----> | header, count 0 | link | b | ... | ----> &last
 *
 * Most objects have all their references where `refs` says. These are visited depth first, and the slot through which one is left leads
 * back meanwhile (Schorr and Waite, 1967): the first of its slots that is not NULL, as those before have been seen to. Through its
 * last slot nobody comes back, so it is free before: a list goes node by node.
 *
 *   hand->simple: | 0 | b |      hand->up ----> | 0 | link | c | ----> | link | d | ----> &last
 *
 * Others, of which only a visit tells where their references are, wait in hand->dead, and are visited one at a time. Who counts within a
 * budget stops between two references.
 *
 * Objects with a finisher wait in `due` first, whole, with all they refer to; a finisher is run with one reference that is ours, and
 * the object goes if it is left with none. Finishers are never nested: one that is due to what another does waits until that has
 * returned. What needs none goes at once, also then: so wherever the program comes to a safe point, no object has a link in it.
 */
#include "gc/count_ops.h"

static char last __attribute__((aligned(16)));

/* -- the list -- */

struct find_first {
    struct allot_gc_visit visit; /* first */
    void **slot;
};

static void on_first(struct allot_gc_visit *visit, void **slot)
{
    struct find_first *find = (struct find_first *)visit;
    find->slot = find->slot ? find->slot : slot;
}

/* The first slot that a visit comes to; NULL: none. */
static inline void **first_slot(void *object, const struct allot_gc_type *type)
{
    if (likely(type->refs != 0)) {
        return (void **)object + lowest_bit(type->refs);
    }
    if (type->trace) {
        struct find_first find = {.visit = {.slot = on_first}};
        type->trace(&find.visit, object, count_size_of(object));
        if (find.slot) {
            return find.slot;
        }
    }
    size_t words = count_size_of(object) / sizeof(void *), from = gc_first_word(type, words);
    return from < words ? (void **)object + from : NULL;
}

/* Nobody gets the dead object from its weak reference any more. False: its finisher comes first, and it waits for that, whole; so a
 * round that is open has to take it for LIVE (cycles_held): with a count of 0, and later with one that is ours, it would find it to
 * be garbage. */
static inline bool is_ready(struct gc *gc, struct count_hand *hand, void *object)
{
    uint64_t header = *gc_header(object);
    if (unlikely(header & COUNT_SIDE)) {
        count_lock(gc, hand);
        count_side_clear_weak(gc, object);
        count_unlock(gc, hand);
    }
    if (likely(!gc_type(header)->finish || count_finish_of(object)->age == 0)) {
        return true;
    }
    cycles_held(gc, hand, object);
    count_finish_of(object)->next = NULL;
    if (hand->due) {
        count_finish_of(hand->due_last)->next = object;
    } else {
        hand->due = object;
    }
    hand->due_last = object;
    return false;
}

/* Puts a dead object that is ready into the list; and its first child, if that dies by it, and so on. */
static void enlist(struct gc *gc, struct count_hand *hand, void *object)
{
    for (;;) {
        void **first = first_slot(object, gc_type(*gc_header(object)));
        if (!first) {
            count_free(gc, hand, object);
            return;
        }
        void *child = *first;
        cycles_cut(gc, hand, object, first, child);
        *first = hand->dead ? hand->dead : &last;
        hand->dead = object;
        if (!child || !count_less(gc, hand, child) || !is_ready(gc, hand, child)) {
            return;
        }
        object = child;
    }
}

static void *pop(struct count_hand *hand)
{
    void *object = hand->dead, **first = first_slot(object, gc_type(*gc_header(object)));
    hand->dead = *first == &last ? NULL : *first;
    *first = &last;
    return object;
}

/* Nothing but `refs` says where its references are, and nothing comes first. */
static inline bool is_simple(const struct allot_gc_type *type)
{
    return ((uintptr_t)type->trace | (uintptr_t)type->finish | type->flags) == 0;
}

/* A dead object that is ready, and is visited next if it can be. */
static inline void put_in_line(struct gc *gc, struct count_hand *hand, void *object)
{
    if (likely(!hand->simple && is_simple(gc_type(*gc_header(object))))) {
        hand->simple = object;
        hand->up = &last;
    } else {
        enlist(gc, hand, object);
    }
}

void count_let_go(struct gc *gc, struct count_hand *hand, void *object)
{
    if (is_ready(gc, hand, object)) {
        put_in_line(gc, hand, object);
    }
}

/* -- objects that have all their references in their first 64 words -- */

/* The slot that leads back: the first that is not NULL, as those before it have been seen to. Returns the rest of `refs`. */
static inline uint64_t find_link(void *object, uint64_t refs, void ***link)
{
    do {
        *link = (void **)object + lowest_bit(refs);
        refs &= refs - 1;
    } while (!**link);
    return refs;
}

/* Those of `refs` from the first slot on that is not NULL. */
static inline uint64_t skip_nulls(void *object, uint64_t refs)
{
    while (refs && !((void **)object)[lowest_bit(refs)]) {
        refs &= refs - 1;
    }
    return refs;
}

/* The work is spent: the next visit begins with the object's first slot again, and passes over those that have been seen to. */
static bool stop_at(struct count_hand *hand, void *object, void *up, size_t *work)
{
    hand->simple = object;
    hand->up = up;
    *work = 0;
    return false;
}

/* True: all has been seen to that hangs on hand->simple. */
static bool visit_simple(struct gc *gc, struct count_hand *hand, size_t *work)
{
    void *object = hand->simple, *up = hand->up, **slot;
    const struct allot_gc_type *known = gc_type(*gc_header(object));
    uint64_t refs = known->refs;
    size_t left = *work;
    bool careful = count_is_careful(gc); /* and stays so: nothing of the user's runs here */
    for (;;) {
        while (refs) {
            slot = (void **)object + lowest_bit(refs);
            refs &= refs - 1;
            void *child = *slot;
            if (!child) {
                continue;
            }
            if (unlikely(left-- == 0)) {
                return stop_at(hand, object, up, work);
            }
            if (unlikely(careful)) {
                cycles_cut(gc, hand, object, slot, child);
            }
            *slot = NULL;
            if (!count_less_as(gc, hand, child, careful)) {
                continue;
            }
            uint64_t header = *gc_header(child);
            const struct allot_gc_type *type = gc_type(header);
            if (unlikely(header & COUNT_SIDE) || unlikely(type != known && !is_simple(type))) {
                if (is_ready(gc, hand, child)) {
                    enlist(gc, hand, child);
                }
            } else if (!type->refs) {
                count_free_as(gc, hand, child, careful);
            } else {
                refs = skip_nulls(object, refs);
                if (refs) {
                    *slot = up;
                    up = object;
                } else {
                    count_free_as(gc, hand, object, careful);
                }
                object = child;
                known = type;
                refs = type->refs;
            }
        }
        count_free_as(gc, hand, object, careful);
        if (up == &last) {
            break;
        }
        object = up;
        known = gc_type(*gc_header(object));
        refs = find_link(object, known->refs, &slot);
        up = *slot;
        *slot = NULL;
        if (unlikely(left-- == 0)) {
            return stop_at(hand, object, up, work);
        }
    }
    hand->simple = NULL;
    *work = left;
    return true;
}

/* -- any object -- */

struct release {
    struct allot_gc_visit visit; /* first */
    struct gc *gc;
    struct count_hand *hand;
    void *object, *next;
    size_t visited;
};

static inline void on_slot(struct allot_gc_visit *visit, void **slot)
{
    struct release *r = (struct release *)visit;
    void *child = *slot;
    if (!child || child == &last) {
        return;
    }
    r->visited++;
    cycles_cut(r->gc, r->hand, r->object, slot, child);
    if (!count_less(r->gc, r->hand, child) || !is_ready(r->gc, r->hand, child)) {
        return;
    }
    if (!gc_has_references(gc_type(*gc_header(child)))) {
        count_free(r->gc, r->hand, child);
        return;
    }
    if (r->next) {
        enlist(r->gc, r->hand, r->next);
    }
    r->next = child;
}

static void on_slot_called(struct allot_gc_visit *visit, void **slot) { on_slot(visit, slot); }

static inline void on_word(struct allot_gc_visit *visit, uintptr_t word)
{
    (void)visit;
    (void)word;
}

/* What the object refers to counts down, from a word of its tail on; then it is free, or a part of it is left. */
static inline void visit_any(struct release *r, void *object, size_t from, size_t work)
{
    const struct allot_gc_type *type = gc_type(*gc_header(object));
    r->object = object;
    r->next = NULL;
    r->visited = 0;
    if (from == 0) {
        gc_visit_head(&r->visit, object, type, type->trace ? count_size_of(object) : 0, on_slot);
    }
    if (type->flags & ALLOT_GC_REFS) {
        size_t words = count_size_of(object) / sizeof(void *), at = size_max(from, gc_first_word(type, words));
        size_t to = words - size_min(at, words) <= work ? words : at + work;
        gc_visit_words(&r->visit, object, type, at, to, on_slot, on_word);
        r->visited += (to - size_min(at, to)) / 64;
        if (to < words) {
            r->hand->part = object;
            r->hand->word = to;
            return;
        }
    }
    count_free(r->gc, r->hand, object);
}

bool count_work_off(struct gc *gc, struct count_hand *hand, size_t *work)
{
    struct release r = {.visit = {.slot = on_slot_called}, .gc = gc, .hand = hand};
    while (hand->simple || hand->part || hand->dead) {
        if (*work == 0 || (hand->simple && !visit_simple(gc, hand, work))) {
            return false;
        }
        void *object = hand->part;
        size_t from = hand->word;
        if (!object && hand->dead) {
            object = pop(hand);
            from = 0;
            if (is_simple(gc_type(*gc_header(object)))) {
                *first_slot(object, gc_type(*gc_header(object))) = NULL;
                hand->simple = object;
                hand->up = &last;
                continue;
            }
        }
        hand->part = NULL;
        while (object) {
            visit_any(&r, object, from, *work);
            *work -= size_min(*work, 1 + r.visited);
            object = hand->part || *work == 0 ? NULL : r.next;
            from = 0;
            if (r.next && (!object || is_simple(gc_type(*gc_header(object))))) {
                object = NULL;
                put_in_line(gc, hand, r.next);
            }
        }
    }
    return true;
}

/* -- finishers -- */

static void *pop_due(void **due)
{
    void *object = *due;
    if (object) {
        *due = count_finish_of(object)->next;
    }
    return object;
}

/* One of the references is ours. */
static void finish(struct gc *gc, struct count_hand *hand, void *object)
{
    gc_type(*gc_header(object))->finish(object, gc->opts.arg);
    hand->finished++;
    if (count_less(gc, hand, object)) {
        count_let_go(gc, hand, object);
    }
}

void count_queue_due(struct gc *gc, void *object)
{
    count_finish_of(object)->next = NULL;
    count_finish_of(object)->age = 0;
    if (gc->count.due) {
        count_finish_of(gc->count.due_last)->next = object;
    } else {
        gc->count.due = object;
    }
    gc->count.due_last = object;
}

/* They wait for the heap's turn, each with a reference that is ours. The lock is held. */
void count_queue_hands_due(struct gc *gc, struct count_hand *hand)
{
    for (void *object; (object = pop_due(&hand->due)) != NULL;) {
        __atomic_fetch_add(gc_header(object), 1, __ATOMIC_RELAXED);
        count_queue_due(gc, object);
    }
}

static void work_all_off(struct gc *gc, struct count_hand *hand)
{
    size_t work = SIZE_MAX;
    count_work_off(gc, hand, &work);
    if (unlikely(hand->due && gc_is(gc, ALLOT_GC_BY_HAND))) {
        count_lock(gc, hand);
        count_queue_hands_due(gc, hand);
        count_unlock(gc, hand);
    }
}

/* Those of the heap's that are due, unless a finisher runs already, of whatever thread or below. */
static size_t finish_due(struct gc *gc, struct count_hand *hand, size_t most)
{
    size_t ran = 0;
    if (hand->busy) {
        return 0;
    }
    os_lock(&gc->lock);
    if (!gc->finishing) {
        gc->finishing = true;
        gc->finisher = gc_thread();
        for (void *object; (most == 0 || ran < most) && (object = pop_due(&gc->count.due)) != NULL; ran++) {
            os_unlock(&gc->lock);
            hand->busy = true;
            finish(gc, hand, object);
            hand->busy = false;
            count_settle(gc, hand);
            os_lock(&gc->lock);
        }
        gc->finishing = false;
    }
    os_unlock(&gc->lock);
    return ran;
}

void count_settle(struct gc *gc, struct count_hand *hand)
{
    work_all_off(gc, hand);
    if (hand->busy || likely(!hand->due)) {
        return;
    }
    hand->busy = true;
    for (void *object; (object = pop_due(&hand->due)) != NULL;) {
        __atomic_fetch_add(gc_header(object), 1, __ATOMIC_RELAXED);
        count_finish_of(object)->age = 0;
        finish(gc, hand, object);
        work_all_off(gc, hand);
    }
    hand->busy = false;
    if (!gc_is(gc, ALLOT_GC_BY_HAND)) {
        finish_due(gc, hand, 0); /* of circles, which a finisher found while it ran */
    }
}

size_t count_finish(struct gc *gc, struct mutator *me, size_t most)
{
    return finish_due(gc, me ? &me->count.hand : &gc->count.finder, most);
}
