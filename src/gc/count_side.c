/* gc/count_side.c - what few objects have beside them: counts that are more than their headers hold, and a weak reference.
 *
 *   object --hash--> | object, lent, weak | ... | 0 | ...      open addressing, at most three quarters full; a hole is filled by who
 *                                                              was moved past it (Knuth 6.4, algorithm R)
 *   weak reference:  | target | next | prev |     an object that refers to nothing, in the list of its target's
 *
 * Both have SIDE in their headers. Pages from the system, counted to the heap. O(1).
 */
#include <errno.h>

#include "gc/count_ops.h"
#include "os/fault.h"
#include "os/memory.h"

enum { LEAST = 64 };

const struct allot_gc_type count_weak_type = {.name = "weak reference", .size = sizeof(struct count_weak)};

static bool is_weak(const void *object) { return gc_type(gc_header_of(object)) == &count_weak_type; }

static size_t place(const struct count *count, const void *object)
{
    return (size_t)((uintptr_t)object / GC_GRAIN * (uint64_t)0x9e3779b97f4a7c15 >> 32) & (count->side_room - 1);
}

static size_t next(const struct count *count, size_t i) { return (i + 1) & (count->side_room - 1); }

struct count_side *count_side_find(const struct gc *gc, const void *object)
{
    const struct count *count = &gc->count;
    if (count->side_count == 0) {
        return NULL;
    }
    for (size_t i = place(count, object); count->side[i].object; i = next(count, i)) {
        if (count->side[i].object == object) {
            return &count->side[i];
        }
    }
    return NULL;
}

static struct count_side *insert(struct count *count, void *object)
{
    size_t i = place(count, object);
    while (count->side[i].object) {
        i = next(count, i);
    }
    count->side_count++;
    count->side[i] = (struct count_side){.object = object};
    return &count->side[i];
}

static size_t bytes_of(size_t room) { return align_up(room * sizeof(struct count_side), os_page); }

static bool grow(struct gc *gc)
{
    struct count *count = &gc->count;
    struct count_side *old = count->side;
    size_t old_room = count->side_room, room = old_room ? 2 * old_room : LEAST;
    if (!gc_hold_bytes(gc, bytes_of(room))) {
        return false;
    }
    struct count_side *now = os_map(bytes_of(room));
    if (!now) {
        gc_let_bytes_go(gc, bytes_of(room));
        return false;
    }
    count->side = now;
    count->side_room = room;
    count->side_count = 0;
    for (size_t i = 0; i < old_room; i++) {
        if (old[i].object) {
            *insert(count, old[i].object) = old[i];
        }
    }
    if (old) {
        os_unmap(old, bytes_of(old_room));
        gc_let_bytes_go(gc, bytes_of(old_room));
    }
    return true;
}

struct count_side *count_side_make(struct gc *gc, void *object)
{
    struct count *count = &gc->count;
    struct count_side *side = count_side_find(gc, object);
    if (side) {
        return side;
    }
    if (4 * (count->side_count + 1) > 3 * count->side_room && !grow(gc)) {
        return NULL;
    }
    __atomic_fetch_or(gc_header(object), COUNT_SIDE, __ATOMIC_RELAXED);
    return insert(count, object);
}

void count_side_drop(struct gc *gc, struct count_side *s)
{
    struct count *count = &gc->count;
    if (s->lent || s->weak) {
        return;
    }
    if (!is_weak(s->object)) { /* which have it from beginning to end */
        __atomic_fetch_and(gc_header(s->object), ~COUNT_SIDE, __ATOMIC_RELAXED);
    }
    size_t hole = (size_t)(s - count->side);
    for (size_t i = next(count, hole); count->side[i].object; i = next(count, i)) {
        size_t from = place(count, count->side[i].object);
        if (((i - from) & (count->side_room - 1)) >= ((i - hole) & (count->side_room - 1))) {
            count->side[hole] = count->side[i];
            hole = i;
        }
    }
    count->side[hole] = (struct count_side){0};
    count->side_count--;
}

void count_side_done(struct gc *gc)
{
    if (gc->count.side) {
        os_unmap(gc->count.side, bytes_of(gc->count.side_room));
        gc_let_bytes_go(gc, bytes_of(gc->count.side_room));
    }
}

/* -- weak references -- */

static void unlink_weak(struct count_side *side, struct count_weak *weak)
{
    list_remove(&side->weak, weak);
    *weak = (struct count_weak){0};
}

void count_side_clear_weak(struct gc *gc, void *object)
{
    struct count_weak *weak = is_weak(object) ? object : NULL;
    if (weak && weak->target) {
        struct count_side *of = count_side_find(gc, weak->target);
        unlink_weak(of, weak);
        count_side_drop(gc, of);
    }
    struct count_side *side = count_side_find(gc, object);
    while (side && side->weak) {
        unlink_weak(side, side->weak);
    }
    if (side) {
        count_side_drop(gc, side);
    }
}

/* One more for what is not gone; with the lock held. */
static void *take_hold(struct gc *gc, void *object)
{
    uint64_t *header = gc_header(object), h = __atomic_load_n(header, __ATOMIC_RELAXED);
    if (cycles_has_given_up(gc, object)) {
        return NULL;
    }
    while ((h & COUNT_MASK) != 0 && (h & COUNT_MASK) < COUNT_MOST) {
        if (__atomic_compare_exchange_n(header, &h, h + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            cycles_referred_now(gc, object);
            return object;
        }
    }
    if ((h & COUNT_MASK) == 0) {
        return NULL;
    }
    count_more_locked(gc, object); /* so many do not go meanwhile */
    return object;
}

void *count_weak(struct mutator *me, void *target)
{
    struct gc *gc = me->gc;
    struct count_weak *weak = gc_get(me, &count_weak_type, sizeof *weak);
    if (!weak) {
        return NULL;
    }
    os_lock(&gc->lock);
    struct count_side *side = target ? count_side_make(gc, target) : NULL;
    if (side) {
        weak->target = target;
        list_push(&side->weak, weak);
    }
    __atomic_fetch_or(gc_header(weak), COUNT_SIDE, __ATOMIC_RELAXED);
    os_unlock(&gc->lock);
    if (target && !side) {
        count_unref(me, weak);
        errno = ENOMEM;
        return NULL;
    }
    return weak;
}

void *count_weak_get(struct mutator *me, void *weak)
{
    struct gc *gc = me->gc;
    if (!is_weak(weak)) {
        gc_fault(gc, "use of what is no weak reference", weak);
    }
    os_lock(&gc->lock);
    void *target = ((struct count_weak *)weak)->target;
    target = target ? take_hold(gc, target) : NULL;
    os_unlock(&gc->lock);
    return target;
}
