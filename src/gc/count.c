/* gc/count.c - counts: how they go up and down, and what the program says of its references. See gc/count.h.
 *
 *   1 .. 65534          so many, and what the side table has of it
 *   65534 + 1           32767 move to the side table first; memory is out there: 65535, for good
 *   1 - 1               32767 come back first, if there are any; else the object goes
 *
 * In a careful heap a count changes by compare-and-swap: whoever makes it 0 is alone with the object. What has to do with the side
 * table happens under the lock, so that a weak reference's target is not gone while somebody takes hold of it.
 */
#include <errno.h>

#include "gc/count_ops.h"
#include "os/fault.h"

/* -- more -- */

static bool add(uint64_t *header, uint64_t *seen, uint64_t by)
{
    return __atomic_compare_exchange_n(header, seen, *seen + by, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static uint64_t load(const uint64_t *header) { return __atomic_load_n(header, __ATOMIC_RELAXED); }

/* The count is the highest there is: some of it goes to the side table. With the lock held. */
static void lend(struct gc *gc, void *object)
{
    uint64_t *header = gc_header(object), h = load(header);
    if ((h & COUNT_MASK) != COUNT_MOST) {
        return;
    }
    struct count_side *side = count_side_make(gc, object);
    if (!side) {
        __atomic_fetch_or(header, COUNT_STUCK, __ATOMIC_RELAXED);
        return;
    }
    side->lent += COUNT_LENT;
    __atomic_fetch_sub(header, COUNT_LENT, __ATOMIC_RELAXED);
}

/* False: there are so many that some have to be lent first. */
static bool add_one(struct gc *gc, void *object)
{
    uint64_t *header = gc_header(object), h = load(header);
    do {
        if ((h & COUNT_MASK) == 0) {
            gc_fault(gc, "reference to what has gone", object);
        }
        if ((h & COUNT_MASK) >= COUNT_MOST) {
            return (h & COUNT_MASK) == COUNT_STUCK;
        }
    } while (!add(header, &h, 1));
    return true;
}

void count_more_locked(struct gc *gc, void *object)
{
    while (!add_one(gc, object)) {
        lend(gc, object);
    }
    cycles_referred_now(gc, object);
}

void count_more_slowly(struct gc *gc, void *object)
{
    if (unlikely(!add_one(gc, object))) {
        os_lock(&gc->lock);
        count_more_locked(gc, object);
        os_unlock(&gc->lock);
    } else {
        cycles_referred(gc, object);
    }
}

/* -- less -- */

/* The last in the header: some may be in the side table. True: it was the last of all. */
static bool take_last(struct gc *gc, struct count_hand *hand, void *object)
{
    uint64_t *header = gc_header(object);
    bool last = false;
    count_lock(gc, hand);
    uint64_t h = load(header);
    if ((h & COUNT_MASK) == 1) {
        struct count_side *side = h & COUNT_SIDE ? count_side_find(gc, object) : NULL;
        if (side && side->lent) {
            __atomic_fetch_add(header, COUNT_LENT, __ATOMIC_RELAXED);
            side->lent -= COUNT_LENT;
            count_side_drop(gc, side);
        } else {
            last = add(header, &h, -(uint64_t)1);
        }
    }
    count_unlock(gc, hand);
    return last;
}

bool count_less_slowly(struct gc *gc, struct count_hand *hand, void *object)
{
    uint64_t *header = gc_header(object), h = load(header);
    for (;;) {
        uint64_t count = h & COUNT_MASK;
        if (count == 0) {
            gc_fault(gc, "reference let go that nobody has", object);
        }
        if (count == COUNT_STUCK) {
            return false;
        }
        if (count == 1) {
            if (h & COUNT_SIDE ? take_last(gc, hand, object) : add(header, &h, -(uint64_t)1)) {
                return true;
            }
            h = load(header);
            continue;
        }
        uint64_t by = -(uint64_t)1;
        if (!(h & COUNT_CANDIDATE) &&
            gc_has_references(gc_type(h))) { /* its unit first, as the object may go right after */
            count_lock(gc, hand);
            cycles_note(gc, object, h);
            count_unlock(gc, hand);
            by += COUNT_CANDIDATE;
        }
        if (add(header, &h, by)) {
            return false;
        }
    }
}

/* -- the program's -- */

void *count_ref(struct mutator *me, void *object)
{
    count_more(me->gc, object);
    return object;
}

static void __attribute__((noinline)) go(struct mutator *me, void *object)
{
    count_let_go(me->gc, &me->count.hand, object);
    count_settle(me->gc, &me->count.hand);
}

void count_unref(struct mutator *me, void *object)
{
    if (count_less(me->gc, &me->count.hand, object)) {
        go(me, object);
    }
}

static void __attribute__((noinline)) write_carefully(struct mutator *me, void *object, void **slot, void *value)
{
    struct gc *gc = me->gc;
    void *old = *slot;
    if (value) {
        count_more(gc, value);
    }
    cycles_written(gc, object, slot, old);
    *slot = value;
    if (old) {
        count_unref(me, old);
    }
}

void count_write(struct mutator *me, void *object, void **slot, void *value)
{
    void *old = *slot;
    if (count_is_careful(me->gc)) {
        write_carefully(me, object, slot, value);
        return;
    }
    if (value) {
        count_more(me->gc, value);
    }
    *slot = value;
    if (old) {
        count_unref(me, old);
    }
}

/* The value's count stays: whoever the program has a reference to is LIVE, or will be when SCANNING comes to it, so the round is told of
 * nothing but the slot. */
void count_give(struct mutator *me, void *object, void **slot, void *value)
{
    void *old = *slot;
    cycles_written(me->gc, object, slot, old);
    *slot = value;
    if (old) {
        count_unref(me, old);
    }
}

/* All references there will be are counted before one that there was goes: `from` may be all that holds it. */
void count_write_many(struct mutator *me, void *object, void **to, void *const *from, size_t count)
{
    struct gc *gc = me->gc;
    struct count_hand *hand = &me->count.hand;
    bool backwards = (uintptr_t)to > (uintptr_t)from; /* as they may overlap */
    for (size_t i = 0; i < count; i++) {
        if (from[i]) {
            count_more(gc, from[i]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        size_t k = backwards ? count - 1 - i : i;
        void *old = to[k], *value = from[k];
        if (count_is_careful(gc)) {
            cycles_written(gc, object, &to[k], old);
        }
        to[k] = value;
        if (old && count_less(gc, hand, old)) {
            count_let_go(gc, hand, old);
        }
    }
    count_settle(gc, hand);
}

uint64_t count_of(const struct gc *gc, const void *object)
{
    uint64_t h = load(gc_header(object));
    const struct count_side *side = h & COUNT_SIDE ? count_side_find(gc, object) : NULL;
    return (h & COUNT_MASK) == COUNT_STUCK ? UINT64_MAX : (h & COUNT_MASK) + (side ? side->lent : 0);
}

/* -- threads -- */

int count_attach(struct mutator *me)
{
    me->face->fresh = ALLOT_GC_WATCHED | 1;
    me->face->apart = ALLOT_GC_MAYBE; /* there are none */
    me->face->gives = !count_is_searched(me->gc);
    return 0;
}

static void fold(struct count_hand *all, const struct count_hand *hand)
{
    all->freed += hand->freed;
    all->finished += hand->finished;
}

/* `lost`: it was in the middle of something, perhaps, and is not any more: what it had at hand stays where it is. */
void count_detach(struct mutator *me, bool lost)
{
    struct gc *gc = me->gc;
    count_flush(gc, &me->count.hand);
    count_put_away(me, lost);
    gc->count.torn |= lost;
    fold(&gc->count.finder, &me->count.hand);
}

void count_figures(struct gc *gc)
{
    struct count_hand all = gc->count.finder;
    for (struct mutator *m = gc->mutators; m; m = m->next) {
        fold(&all, &m->count.hand);
    }
    gc->freed = all.freed;
    gc->used = gc->allocated - gc->freed;
    gc->count.unfinished = gc->count.ages - all.finished;
    gc->stats.finished = all.finished;
    gc->stats.cycles = gc->count.cycles.found;
}
