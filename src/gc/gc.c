/* gc/gc.c - heaps as their users see them. See gc/gc.h and include/allot/gc.h. */
#include "gc/gc.h"

#include <errno.h>
#include <string.h>

#include "gc/home.h"
#include "gc/visit.h"
#include "heap/heap.h"
#include "os/memory.h"
#include "span/map.h"

static struct gc *unused; /* by next; the chain's lock */

/* -- begin and end -- */

static bool is_valid(enum allot_gc_kind kind, unsigned flags)
{
    enum {
        ALL = ALLOT_GC_BY_HAND | ALLOT_GC_STRESS,
        TRACING = ALL | ALLOT_GC_PLAIN | ALLOT_GC_CONSERVATIVE | ALLOT_GC_INTERIOR
    };
    return (flags & ~(unsigned)(kind == ALLOT_GC_COUNT  ? ALL
                                : kind == ALLOT_GC_COPY ? TRACING
                                                        : TRACING | ALLOT_GC_EXPLICIT)) == 0;
}

static bool begin(struct gc *own, enum allot_gc_kind kind, const struct allot_gc_opts *opts)
{
    *own = (struct gc){.part = own->part, .kind = kind, .opts = *opts};
    strncpy(own->name, opts->name ? opts->name : "gc", sizeof own->name - 1);
    own->opts.name = own->name;
    own->opts.growth = opts->growth ? opts->growth : 100;
    own->opts.least = opts->least ? opts->least : 4 * MIB;
    own->part.kind = "gc";
    own->part.name = own->name;
    gc_set_due(own);
    return BY_KIND(own, init, own) == 0;
}

static void end(struct gc *own)
{
    gc_table_free(own, &own->roots, sizeof(struct gc_roots));
    gc_table_free(own, &own->large, sizeof(struct large_object *));
    gc_table_free(own, &own->finishables, sizeof(struct gc_finishable));
    gc_table_free(own, &own->due_finish, sizeof(void *));
    gc_table_free(own, &own->weak, sizeof(void *));
    gc_table_free(own, &own->ephemeron, sizeof(void *));
    gc_table_free(own, &own->remembered, sizeof(void *));
}

/* With the chain's lock held. */
static void forget(struct gc *own)
{
    own->part.name = NULL;
    own->next = unused;
    unused = own;
}

static struct gc *alloc(void)
{
    struct gc *own = unused;
    if (own) {
        unused = own->next;
        return own;
    }
    own = record_alloc(sizeof *own);
    return own && part_enlist(&own->part, PART_OTHER) ? own : NULL;
}

int allot_gc_init(struct allot_gc *heap, enum allot_gc_kind kind, const struct allot_gc_opts *opts)
{
    const struct instance *first = instance_in_use();
    if (first) {
        return first->gc.init(heap, kind, opts);
    }
    static const struct allot_gc_opts defaults;
    opts = opts ? opts : &defaults;
    *heap = (struct allot_gc){0};
    if (kind > ALLOT_GC_COUNT || !is_valid(kind, opts->flags)) {
        return -EINVAL;
    }
    int saved = errno;
    heap_init();
    os_memory_init();
    gc_chain_lock();
    struct gc *own = alloc();
    bool done = own && begin(own, kind, opts);
    if (done) {
        gc_chain_add(own);
    } else if (own) {
        forget(own);
    }
    gc_chain_unlock();
    errno = saved;
    if (!done) {
        return -ENOMEM;
    }
    *heap = (struct allot_gc){.state = own, .home = &own_instance};
    return 0;
}

/* All finishers, in their order: those of objects that others refer to, too, as nothing is reachable any more. */
static void finish_all(struct gc *own)
{
    own->no_roots = true;
    own->opts.flags &= ~(unsigned)ALLOT_GC_BY_HAND;
    for (bool some = true; some;) {
        os_lock(&own->lock);
        gc_stop(own, own->mutators);
        gc_collect_stopped(own);
        gc_go(own);
        os_unlock(&own->lock);
        some = gc_run_finishers(own, own->mutators, 0) > 0;
    }
}

void allot_gc_done(struct allot_gc *heap)
{
    if (!is_here(heap)) {
        elsewhere(heap)->done(heap);
        return;
    }
    struct gc *own = heap->state;
    for (struct mutator *m = own->mutators; m; m = m->next) {
        if (m->thread != gc_thread()) {
            gc_fault(own, "done while another thread is attached", m->face);
        }
    }
    if (own->kind == ALLOT_GC_COUNT) {
        count_figures(own);
    }
    if (own->kind == ALLOT_GC_COUNT ? own->count.unfinished != 0 : own->finishables.count || own->due_finish.count) {
        finish_all(own);
    }
    while (own->mutators) {
        struct allot_gc_mutator *face = own->mutators->face;
        face->frame = NULL;
        gc_detach(own->mutators);
        *face = (struct allot_gc_mutator){0};
    }
    gc_chain_lock();
    gc_chain_remove(own);
    while (large_count(own)) {
        large_give(own, large_nth(own, large_count(own) - 1));
    }
    for (struct large_object *l; (l = own->dead_large) != NULL;) {
        own->dead_large = l->next;
        large_end(own, l);
    }
    BY_KIND(own, done, own);
    end(own);
    CHECK(own->held == 0 && own->units == 0, "gc", own);
    forget(own);
    gc_chain_unlock();
    *heap = (struct allot_gc){0};
}

/* -- threads -- */

int allot_gc_attach(struct allot_gc *heap, struct allot_gc_mutator *face)
{
    if (!is_here(heap)) {
        return elsewhere(heap)->attach(heap, face);
    }
    *face = (struct allot_gc_mutator){.gc = heap};
    return gc_attach(heap->state, face);
}

void allot_gc_detach(struct allot_gc_mutator *face)
{
    if (!here(face)) {
        away(face)->detach(face);
        return;
    }
    gc_detach(mutator_of(face));
    *face = (struct allot_gc_mutator){0};
}

void allot_gc_poll(struct allot_gc_mutator *face)
{
    if (!here(face)) {
        away(face)->poll(face);
        return;
    }
    gc_poll(mutator_of(face));
}

void allot_gc_leave(struct allot_gc_mutator *face)
{
    if (!here(face)) {
        away(face)->leave(face);
        return;
    }
    __builtin_unwind_init();
    gc_leave(mutator_of(face), __builtin_frame_address(0));
    __asm__ volatile("" ::: "memory"); /* no jump: the frame is there */
}

void allot_gc_enter(struct allot_gc_mutator *face)
{
    if (!here(face)) {
        away(face)->enter(face);
        return;
    }
    gc_enter(mutator_of(face));
}

void allot_gc_scan_stack(struct allot_gc_mutator *face, void *base)
{
    if (!here(face)) {
        away(face)->scan_stack(face, base);
        return;
    }
    mutator_of(face)->base = base;
}

/* -- objects -- */

void *allot_gc_get_slow(struct allot_gc_mutator *face, const struct allot_gc_type *type, size_t size)
{
    if (!here(face)) {
        return away(face)->get_slow(face, type, size);
    }
    return gc_get(mutator_of(face), type, size);
}

void allot_gc_write_slow(struct allot_gc_mutator *face, void *object, void **slot, void *value)
{
    if (!here(face)) {
        away(face)->write_slow(face, object, slot, value);
        return;
    }
    struct mutator *me = mutator_of(face);
    BY_KIND(me->gc, write, me, object, slot, value);
}

void allot_gc_give_slow(struct allot_gc_mutator *face, void *object, void **slot, void *value)
{
    struct mutator *me = here(face);
    if (!me) {
        away(face)->give_slow(face, object, slot, value);
    } else if (me->gc->kind == ALLOT_GC_COUNT) {
        count_give(me, object, slot, value);
    } else {
        BY_KIND(me->gc, write, me, object, slot, value);
    }
}

void allot_gc_write_many(struct allot_gc_mutator *face, void *object, void *slots, void *const *from, size_t count)
{
    void **to = slots;
    struct mutator *me = here(face);
    if (me && me->gc->kind == ALLOT_GC_COUNT) {
        count_write_many(me, object, to, from, count);
        return;
    }
    for (size_t i = 0; i < count && !me; i++) { /* it may count, and what is in `to` be all that holds one of `from` */
        allot_gc_ref(face, from[i]);
    }
    bool backwards = (uintptr_t)to > (uintptr_t)from; /* as they may overlap */
    for (size_t i = 0; i < count; i++) {
        size_t k = backwards ? count - 1 - i : i;
        void *value = from[k];
        allot_gc_write(face, object, &to[k], value);
        if (!me) {
            allot_gc_unref(face, value);
        }
    }
}

void *allot_gc_ref(struct allot_gc_mutator *face, void *object)
{
    if (!here(face)) {
        return away(face)->ref(face, object);
    }
    struct mutator *me = mutator_of(face);
    return object && me->gc->kind == ALLOT_GC_COUNT ? count_ref(me, object) : object;
}

void allot_gc_unref(struct allot_gc_mutator *face, void *object)
{
    if (!here(face)) {
        away(face)->unref(face, object);
        return;
    }
    struct mutator *me = mutator_of(face);
    if (object && me->gc->kind == ALLOT_GC_COUNT) {
        count_unref(me, object);
    }
}

void allot_gc_put(struct allot_gc_mutator *face, void *object)
{
    if (!here(face)) {
        away(face)->put(face, object);
        return;
    }
    struct gc *own = mutator_of(face)->gc;
    if (!gc_is(own, ALLOT_GC_EXPLICIT)) {
        gc_fault(own, "put of what is collected", object);
    }
    os_lock(&own->lock);
    if (!gc_is_object(own, object)) {
        gc_fault(own, "put of what is no object", object);
    }
    if (gc_type(*gc_header(object))->finish) {
        gc_forget_finishable(own, object);
    }
    gc_forget_weak(own, object);
    if (*gc_header(object) & GC_LARGE) {
        own->used -= large_object_of(object)->size;
        own->freed += large_object_of(object)->size;
        large_give(own, large_object_of(object));
    } else {
        mark_put(own, object);
    }
    os_unlock(&own->lock);
}

const struct allot_gc_type *allot_gc_type_of(const void *object) { return gc_type(gc_header_of(object)); }

size_t gc_size_of(const struct gc *gc, const void *object)
{
    return unlikely(gc_header_of(object) & GC_LARGE) ? large_object_of(object)->size : BY_KIND(gc, size, gc, object);
}

size_t allot_gc_size_of(const void *object)
{
    const struct instance *first = instance_in_use();
    if (first) {
        return first->gc.size_of(object);
    }
    if (gc_header_of(object) & GC_LARGE) {
        return large_object_of(object)->size;
    }
    return gc_size_of((const struct gc *)part_of(object), object);
}

void *gc_object_at(struct gc *gc, uintptr_t word, bool interior)
{
    if (likely(word < gc->lowest || word >= gc->highest)) {
        return NULL;
    }
    void *kind = map_get((const void *)word);
    if (kind == MAP_SEGMENT && unit_owner(unit_of((const void *)word)) == gc->part.id) {
        return BY_KIND(gc, object_at, gc, word, interior);
    }
    struct large_object *l = kind ? large_at(gc, word) : NULL;
    uintptr_t object = l ? (uintptr_t)l->at + 2 * sizeof(uint64_t) : 0;
    bool is = l && (interior ? word >= object && word - object <= l->size - (l->size != 0) : word == object);
    return is ? (void *)object : NULL;
}

bool gc_is_object(struct gc *gc, const void *object)
{
    return (uintptr_t)object % GC_GRAIN == 0 && gc_object_at(gc, (uintptr_t)object, false) == object;
}

void allot_gc_visit(struct allot_gc_visit *visit, void *slot) { visit->slot(visit, slot); }

/* -- roots -- */

static int add_root(struct gc *own, void *slots, size_t count, bool words)
{
    os_lock(&own->lock);
    int wrong = gc_root(own, slots, count, words);
    os_unlock(&own->lock);
    return wrong;
}

int allot_gc_root(struct allot_gc *heap, void *slots, size_t count)
{
    return is_here(heap) ? add_root(heap->state, slots, count, false) : elsewhere(heap)->root(heap, slots, count);
}

int allot_gc_root_words(struct allot_gc *heap, void *words, size_t count)
{
    if (!is_here(heap)) {
        return elsewhere(heap)->root_words(heap, words, count);
    }
    return gc_is(heap->state, ALLOT_GC_CONSERVATIVE) ? add_root(heap->state, words, count, true) : -EINVAL;
}

void allot_gc_unroot(struct allot_gc *heap, void *slots)
{
    if (!is_here(heap)) {
        elsewhere(heap)->unroot(heap, slots);
        return;
    }
    struct gc *own = heap->state;
    os_lock(&own->lock);
    gc_unroot(own, slots);
    os_unlock(&own->lock);
}
