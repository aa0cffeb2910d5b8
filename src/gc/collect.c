/* gc/collect.c - when a collection is made, and what is asked of one from outside; the slow way to an object.
 *
 *   get_slow:  due? ----> collection, or a step ----> finishers ----> object ----> none? whole collection, finishers, object
 *
 * due = since the last collection as many bytes have been handed out as opts say of what was live then, and at least so many.
 */
#include <errno.h>

#include "gc/home.h"
#include "os/process.h"

void gc_set_due(struct gc *gc)
{
    size_t share = gc->used / 100 * gc->opts.growth;
    gc->due = gc_is(gc, ALLOT_GC_EXPLICIT) ? SIZE_MAX : size_max(share, gc->opts.least);
    gc->since = 0;
}

void gc_collect_stopped(struct gc *gc)
{
    BY_KIND(gc, collect, gc);
    gc->stats.collections++;
}

/* With the lock held; by this thread, or another that was quicker. */
static void collect_now(struct mutator *me)
{
    if (gc_stop(me->gc, me)) {
        gc_collect_stopped(me->gc);
        gc_go(me->gc);
    }
}

static size_t run_finishers(struct mutator *me)
{
    struct gc *gc = me->gc;
    size_t ran = 0;
    bool due = gc->kind == ALLOT_GC_COUNT ? gc->count.due != NULL : gc->due_finish.count != 0;
    if (due && !gc_is(gc, ALLOT_GC_BY_HAND)) {
        os_unlock(&gc->lock);
        ran = gc_run_finishers(gc, me, 0);
        os_lock(&gc->lock);
    }
    return ran;
}

/* With COPY large objects are old from the first. */
static uint64_t fresh_large(struct mutator *me, const struct allot_gc_type *type)
{
    return me->gc->kind == ALLOT_GC_COPY ? copy_fresh_large(me->gc, type) : me->face->fresh;
}

static void *take(struct mutator *me, const struct allot_gc_type *type, size_t size)
{
    struct gc *gc = me->gc;
    if (gc->kind == ALLOT_GC_COUNT) {
        return count_get(me, type, size);
    }
    if (type->finish && !gc_reserve_finishable(gc)) {
        return NULL;
    }
    void *object = gc_blocks(size) * GC_GRAIN <= GC_UNIT_MOST ? BY_KIND(gc, get, me, type, size)
                                                              : large_take(gc, type, size, fresh_large(me, type));
    if (object && type->finish) {
        gc_add_finishable(gc, object);
    }
    return object;
}

static void *get(struct mutator *me, const struct allot_gc_type *type, size_t size)
{
    struct gc *gc = me->gc;
    gc_safe_point(me);
    if (unlikely(gc_is(gc, ALLOT_GC_STRESS)) && !gc_is(gc, ALLOT_GC_EXPLICIT)) {
        collect_now(me);
    } else if (gc->since >= gc->due) {
        BY_KIND(gc, due, me);
    }
    run_finishers(me);
    void *object = take(me, type, size);
    if (unlikely(!object) && !gc_is(gc, ALLOT_GC_EXPLICIT)) {
        collect_now(me);
        run_finishers(me);
        object = take(me, type, size);
    }
    gc->stats.use.refused += !object;
    return object;
}

static void enter(struct mutator *me)
{
    os_lock(&me->gc->lock);
    if (me->resting) {
        gc_fault(me->gc, "call by who has left", me->face);
    }
}

void *gc_get(struct mutator *me, const struct allot_gc_type *type, size_t size)
{
    struct gc *gc = me->gc;
    if ((uintptr_t)type % GC_GRAIN || (uintptr_t)type >> 48) {
        gc_fault(gc, "type that is not at a multiple of 16, below 2^48", type);
    }
    if (gc->kind == ALLOT_GC_COUNT && type->flags & ALLOT_GC_MAYBE) {
        errno = ENOTSUP;
        return NULL;
    }
    void *object = NULL;
    if (size <= PTRDIFF_MAX) {
        enter(me);
        object = get(me, type, size);
        os_unlock(&gc->lock);
    }
    if (!object) {
        errno = ENOMEM;
    }
    return object;
}

static size_t collect(struct mutator *me)
{
    struct gc *gc = me->gc;
    enter(me);
    while (!gc_stop(gc, me)) {
    }
    if (gc->kind == ALLOT_GC_COUNT) {
        count_figures(gc);
    }
    uint64_t freed = gc->freed;
    gc_collect_stopped(gc);
    freed = gc->freed - freed;
    gc_go(gc);
    run_finishers(me);
    os_unlock(&gc->lock);
    return freed;
}

static bool step(struct mutator *me, uint64_t max_ns)
{
    struct gc *gc = me->gc;
    uint64_t deadline = os_deadline(max_ns);
    enter(me);
    bool complete = false;
    if (gc_stop(gc, me)) {
        if (gc_is(gc, ALLOT_GC_PLAIN)) {
            gc_collect_stopped(gc);
            complete = true;
        } else {
            gc->stats.steps++;
            complete = BY_KIND(gc, step, gc, deadline);
            gc->stats.collections += complete;
        }
        gc_go(gc);
    }
    run_finishers(me);
    os_unlock(&gc->lock);
    return complete;
}

/* -- asked for from outside -- */

size_t allot_gc_collect(struct allot_gc_mutator *face)
{
    return here(face) ? collect(mutator_of(face)) : away(face)->collect(face);
}

bool allot_gc_step(struct allot_gc_mutator *face, uint64_t max_ns)
{
    return here(face) ? step(mutator_of(face), max_ns) : away(face)->step(face, max_ns);
}

size_t allot_gc_cycles(struct allot_gc_mutator *face, size_t max_work)
{
    if (!here(face)) {
        return away(face)->cycles(face, max_work);
    }
    struct mutator *me = mutator_of(face);
    return me->gc->kind == ALLOT_GC_COUNT ? count_cycles(me, max_work) : 0;
}

size_t allot_gc_finish(struct allot_gc_mutator *face, size_t most)
{
    return here(face) ? gc_run_finishers(mutator_of(face)->gc, mutator_of(face), most) : away(face)->finish(face, most);
}
