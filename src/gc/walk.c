/* gc/walk.c - what there is in a heap: its objects, its figures, and the proof of its equations. The world stands meanwhile; a visit of
 * each unit, and each object where objects are visited.
 */
#include <errno.h>

#include "gc/home.h"
#include "gc/visit.h"
#include "os/fault.h"

static void stop(struct gc *gc, struct mutator *me)
{
    os_lock(&gc->lock);
    while (!gc_stop(gc, me)) {
    }
}

static void go(struct gc *gc)
{
    gc_go_on(gc);
    os_unlock(&gc->lock);
}

/* -- objects -- */

int gc_walk_objects(struct gc *gc, gc_walk_visit *visit, void *arg)
{
    int end = BY_KIND(gc, walk, gc, visit, arg);
    for (size_t i = 0; i < large_count(gc) && !end; i++) {
        struct large_object *l = large_nth(gc, i);
        void *object = l->at + 2 * sizeof(uint64_t);
        if (gc->kind != ALLOT_GC_COUNT || !count_is_dead(gc, object)) {
            end = visit(object, gc_type(*gc_header(object)), l->size, arg);
        }
    }
    return end;
}

int allot_gc_walk(struct allot_gc_mutator *face, gc_walk_visit *visit, void *arg)
{
    struct mutator *me = here(face);
    if (!me) {
        return away(face)->walk(face, visit, arg);
    }
    stop(me->gc, me);
    int end = gc_walk_objects(me->gc, visit, arg);
    go(me->gc);
    return end;
}

/* -- figures -- */

struct sum {
    uint64_t bytes, count;
};

static int add(void *object, const struct allot_gc_type *type, size_t size, void *arg)
{
    struct sum *sum = arg;
    (void)object;
    (void)type;
    sum->bytes += size;
    sum->count++;
    return 0;
}

void allot_gc_stats(struct allot_gc *heap, struct allot_gc_stats *out)
{
    if (!is_here(heap)) {
        elsewhere(heap)->stats(heap, out);
        return;
    }
    struct gc *gc = heap->state;
    struct mutator *me = NULL;
    struct sum sum = {0};
    os_lock(&gc->lock);
    for (struct mutator *m = gc->mutators; m; m = m->next) {
        me = m->thread == gc_thread() && !m->resting ? m : me;
    }
    while (!gc_stop(gc, me)) {
    }
    gc_walk_objects(gc, add, &sum);
    if (gc->kind == ALLOT_GC_COUNT) {
        count_figures(gc);
    }
    *out = gc->stats;
    out->use.used = sum.bytes;
    out->use.count = sum.count;
    out->use.held = gc->held;
    out->use.peak = gc->peak;
    out->allocated = gc->allocated;
    out->freed = gc->freed;
    go(gc);
}

/* -- proof -- */

struct prover {
    struct allot_gc_visit visit; /* first */
    struct gc *gc;
    const void *object;
};

static void prove_slot(struct allot_gc_visit *visit, void **slot)
{
    struct prover *p = (struct prover *)visit;
    if (*slot && !gc_is_object(p->gc, *slot)) {
        gc_fault(p->gc, "reference to what is no object", p->object);
    }
}

static void prove_word(struct allot_gc_visit *visit, uintptr_t word)
{
    (void)visit;
    (void)word;
}

static int prove_object(void *object, const struct allot_gc_type *type, size_t size, void *arg)
{
    struct prover *p = arg;
    p->object = object;
    CHECK(gc_is_object(p->gc, object), "object", object);
    CHECK(size >= type->size && size == gc_size_of(p->gc, object), "size of object", object);
    CHECK(p->gc->kind == ALLOT_GC_COUNT || (*gc_header(object) & GC_SEEN) == 0, "header of object", object);
    gc_visit_object(&p->visit, object, type, size, prove_slot, prove_word);
    return 0;
}

static void prove_root(struct gc *gc, void **slot)
{
    if (*slot && !gc_is_object(gc, *slot)) {
        gc_fault(gc, "root that refers to what is no object", slot);
    }
}

static void prove_any(struct gc *gc, uintptr_t word)
{
    (void)gc;
    (void)word;
}

static void prove_tables(struct gc *gc)
{
    struct gc_finishable *f = gc->finishables.at;
    for (size_t i = 0; i < gc->finishables.count; i++) {
        CHECK(gc_is_object(gc, f[i].object) && gc_type(*gc_header(f[i].object))->finish, "finishable", f[i].object);
    }
    struct gc_weak **weak = gc->weak.at;
    for (size_t i = 0; i < gc->weak.count; i++) {
        CHECK(gc_is_object(gc, weak[i]) && gc_type(*gc_header(weak[i])) == &gc_weak_type, "weak reference", weak[i]);
        CHECK(!weak[i]->target || gc_is_object(gc, weak[i]->target), "weak reference", weak[i]);
    }
    struct gc_ephemeron **pair = gc->ephemeron.at;
    for (size_t i = 0; i < gc->ephemeron.count; i++) {
        CHECK(gc_is_object(gc, pair[i]) && gc_type(*gc_header(pair[i])) == &gc_ephemeron_type, "ephemeron", pair[i]);
        CHECK(!pair[i]->key || gc_is_object(gc, pair[i]->key), "ephemeron", pair[i]);
        CHECK(!pair[i]->value || gc_is_object(gc, pair[i]->value), "ephemeron", pair[i]);
    }
}

static void prove_large(struct gc *gc)
{
    for (size_t i = 0; i < large_count(gc); i++) {
        struct large_object *l = large_nth(gc, i);
        CHECK(i == 0 || large_nth(gc, i - 1)->at < l->at, "table of large objects", l);
        CHECK(part_of(l->at) == &gc->part && part_pages(l->at) == l->pages, "large object", l->at);
        CHECK(*(struct large_object **)(void *)l->at == l, "large object", l->at);
    }
}

static void prove_threads(struct gc *gc)
{
    unsigned running = 0;
    for (struct mutator *m = gc->mutators; m; m = m->next) {
        running += !m->resting;
        CHECK(m->gc == gc && m->remembered <= REMEMBERED, "mutator", m);
    }
    CHECK(running == gc->running, "mutators", gc);
}

bool allot_gc_check(struct allot_gc_mutator *face)
{
    struct mutator *me = here(face);
    if (!me) {
        return away(face)->check(face);
    }
    struct gc *gc = me->gc;
    struct prover p = {.visit = {.slot = prove_slot}, .gc = gc};
    stop(gc, me);
    CHECK(gc->opts.limit == 0 || gc->held <= gc->opts.limit, "bytes held", gc);
    BY_KIND(gc, check, gc);
    prove_large(gc);
    prove_tables(gc);
    prove_threads(gc);
    gc_walk_objects(gc, prove_object, &p);
    if (gc->kind != ALLOT_GC_COUNT) { /* which asks nothing of them */
        gc_visit_roots(gc, &(struct gc_root_visit){prove_root, prove_any});
    }
    go(gc);
    return true;
}

/* -- EXPLICIT -- */

int allot_gc_leaks(struct allot_gc_mutator *face, gc_walk_visit *visit, void *arg)
{
    struct mutator *me = here(face);
    if (!me) {
        return away(face)->leaks(face, visit, arg);
    }
    if (!gc_is(me->gc, ALLOT_GC_EXPLICIT)) {
        gc_fault(me->gc, "leaks of what is collected", face);
    }
    stop(me->gc, me);
    int end = mark_leaks(me->gc, visit, arg);
    go(me->gc);
    return end;
}
