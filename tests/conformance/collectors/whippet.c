/* whippet.c - whippet's collector interface (gc-api.h and its like) over an allot_gc of KIND: its benchmarks run on allot by this.
 *
 *     object      one type for all, whose trace asks the embedder's gc_trace_object
 *     handles     roots that the program finds by itself, of each mutator
 *     ephemeron   | tag | an ephemeron of allot's | next |        of a chain; who is dead is passed over
 *     finalizer   | tag | object | closure | next |      the value of an ephemeron whose key is the object: it is not reached any more
 *                                                        when that is not, and its finisher puts it on the list of those that fired
 *
 * Compiled with whippet's headers, from a path, and its gc-options.c, gc-stack.c and gc-platform-gnu-linux.c. A heap of a fixed size collects
 * when as much has been allocated as lives, and an eighth of the size at least.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <allot/gc.h>

#define GC_IMPL 1

#include "gc-api.h"
#include "gc-ephemeron.h"
#include "gc-finalizer.h"
#include "gc-internal.h"
#include "whippet-attrs.h"

struct gc_heap {
    struct allot_gc gc;
    struct gc_mutator *mutators; /* changed with the lock, while its owner takes part */
    pthread_mutex_t lock;
    struct gc_finalizer *fired; /* a root */
    void **pairs;               /* likewise: the ephemerons of finalizers */
    size_t pair_count, pair_room;
    void *(*allocation_failure)(struct gc_heap *, size_t);
    gc_finalizer_callback callback;
};

struct gc_mutator {
    struct allot_gc_mutator me;
    struct gc_heap *heap;
    struct gc_mutator_roots *roots;
    struct gc_mutator *next;
};

struct gc_options {
    struct gc_common_options common;
};

struct gc_ephemeron {
    GC_EMBEDDER_EPHEMERON_HEADER
    void *pair;
    struct gc_ephemeron *next;
};

struct gc_finalizer {
    GC_EMBEDDER_FINALIZER_HEADER
    void *pair; /* of which it is the value, until it has fired */
    void *object, *closure;
    struct gc_finalizer *next;
};

static _Thread_local struct gc_mutator *current;

/* -- types -- */

static void visit_edge(struct gc_edge edge, struct gc_heap *heap, void *visit)
{
    (void)heap;
    allot_gc_visit(visit, gc_edge_loc(edge));
}

static void trace_object(struct allot_gc_visit *visit, void *object, size_t size)
{
    (void)size;
    gc_trace_object(gc_ref_from_heap_object(object), visit_edge, NULL, visit);
}

static void visit_all_roots(struct allot_gc_visit *visit, void *arg)
{
    struct gc_heap *heap = arg;
    for (struct gc_mutator *mut = heap->mutators; mut; mut = mut->next) {
        gc_trace_mutator_roots(mut->roots, visit_edge, heap, visit);
    }
}

static void fire(void *object, void *arg)
{
    struct gc_heap *heap = arg;
    struct gc_finalizer *finalizer = object;
    allot_gc_write(&current->me, finalizer, &finalizer->pair, NULL);
    allot_gc_write(&current->me, finalizer, &finalizer->next, heap->fired);
    heap->fired = finalizer;
}

static const struct allot_gc_type object_type = {.name = "object", .trace = trace_object};
static const struct allot_gc_type plain_type = {.name = "pointerless"};
static const struct allot_gc_type finalizer_type = {
    .name = "finalizer", .size = sizeof(struct gc_finalizer), .trace = trace_object, .finish = fire};
static const struct allot_gc_type pairs_type = {.name = "pairs", .flags = ALLOT_GC_REFS};

/* -- allocation -- */

static void *get(struct gc_mutator *mut, const struct allot_gc_type *type, size_t size)
{
    void *object = allot_gc_get(&mut->me, type, size - type->size);
    return object ? object : mut->heap->allocation_failure(mut->heap, size);
}

void *gc_allocate_slow(struct gc_mutator *mut, size_t size, enum gc_allocation_kind kind)
{
    return get(mut, kind == GC_ALLOCATION_TAGGED ? &object_type : &plain_type, size);
}

void gc_write_barrier_slow(struct gc_mutator *mut, struct gc_ref obj, size_t size, struct gc_edge edge,
                           struct gc_ref value)
{
    (void)size;
    allot_gc_write(&mut->me, gc_ref_heap_object(obj), gc_edge_loc(edge), (void *)gc_ref_value(value));
}

int gc_object_is_old_generation_slow(struct gc_mutator *mut, struct gc_ref obj)
{
    (void)mut, (void)obj;
    return 1;
}

void gc_pin_object(struct gc_mutator *mut, struct gc_ref obj)
{
    (void)mut, (void)obj;
    GC_CRASH();
}

/* -- ephemerons -- */

size_t gc_ephemeron_size(void) { return sizeof(struct gc_ephemeron); }

/* What follows may not collect, so allot's ephemeron is made here, for itself, and given its key and value, its first words, in
 * gc_ephemeron_init. */
static void *make_pair(struct gc_mutator *mut, void *of)
{
    void *pair = allot_gc_ephemeron(&mut->me, of, of);
    if (!pair) {
        mut->heap->allocation_failure(mut->heap, sizeof(void *) * 2);
    }
    return pair;
}

static void set_pair(struct gc_mutator *mut, void **pair, void *key, void *value)
{
    allot_gc_write(&mut->me, pair, &pair[0], key);
    allot_gc_write(&mut->me, pair, &pair[1], value);
}

struct gc_ephemeron *gc_allocate_ephemeron(struct gc_mutator *mut)
{
    ALLOT_GC_FRAME(&mut->me, frame, 1);
    frame.slot[0] = get(mut, &plain_type, sizeof(void *));
    frame.slot[0] = make_pair(mut, frame.slot[0]);
    struct gc_ephemeron *ephemeron = get(mut, &object_type, sizeof *ephemeron);
    allot_gc_write(&mut->me, ephemeron, &ephemeron->pair, frame.slot[0]);
    return ephemeron;
}

void gc_ephemeron_init(struct gc_mutator *mut, struct gc_ephemeron *ephemeron, struct gc_ref key, struct gc_ref value)
{
    set_pair(mut, ephemeron->pair, gc_ref_heap_object(key), gc_ref_heap_object(value));
}

struct gc_ref gc_ephemeron_key(struct gc_ephemeron *ephemeron)
{
    return gc_ref_from_heap_object_or_null(allot_gc_ephemeron_key(&current->me, ephemeron->pair));
}

struct gc_ref gc_ephemeron_value(struct gc_ephemeron *ephemeron)
{
    return gc_ref_from_heap_object_or_null(allot_gc_ephemeron_value(&current->me, ephemeron->pair));
}

static struct gc_ephemeron *first_alive(struct gc_ephemeron *ephemeron)
{
    while (ephemeron && gc_ref_is_null(gc_ephemeron_key(ephemeron))) {
        ephemeron = ephemeron->next;
    }
    return ephemeron;
}

struct gc_ephemeron *gc_ephemeron_chain_head(struct gc_ephemeron **loc) { return first_alive(*loc); }
struct gc_ephemeron *gc_ephemeron_chain_next(struct gc_ephemeron *ephemeron) { return first_alive(ephemeron->next); }

void gc_ephemeron_chain_push(struct gc_ephemeron **loc, struct gc_ephemeron *ephemeron)
{
    allot_gc_write(&current->me, ephemeron, &ephemeron->next, *loc);
    *loc = ephemeron; /* a handle */
}

void gc_trace_ephemeron(struct gc_ephemeron *ephemeron,
                        void (*visit)(struct gc_edge edge, struct gc_heap *heap, void *visit_data),
                        struct gc_heap *heap, void *visit_data)
{
    visit(gc_edge(&ephemeron->pair), heap, visit_data);
    visit(gc_edge(&ephemeron->next), heap, visit_data);
}

/* -- finalizers -- */

size_t gc_finalizer_size(void) { return sizeof(struct gc_finalizer); }

/* Room in `pairs` for one more: where those of the dead are, or in a larger one. */
static void reserve_pair(struct gc_mutator *mut)
{
    struct gc_heap *heap = mut->heap;
    if (heap->pair_count < heap->pair_room) {
        return;
    }
    size_t kept = 0;
    for (size_t i = 0; i < heap->pair_count; i++) {
        void *pair = heap->pairs[i];
        if (allot_gc_ephemeron_key(&mut->me, pair)) {
            allot_gc_write(&mut->me, heap->pairs, &heap->pairs[kept++], pair);
        }
    }
    if (kept >= heap->pair_room / 2) {
        size_t room = heap->pair_room ? heap->pair_room * 2 : 1024;
        void **larger = get(mut, &pairs_type, room * sizeof *larger);
        allot_gc_write_many(&mut->me, larger, larger, heap->pairs, kept);
        heap->pairs = larger;
        heap->pair_room = room;
    }
    heap->pair_count = kept;
}

struct gc_finalizer *gc_allocate_finalizer(struct gc_mutator *mut)
{
    ALLOT_GC_FRAME(&mut->me, frame, 2);
    reserve_pair(mut);
    frame.slot[0] = get(mut, &finalizer_type, sizeof(struct gc_finalizer));
    frame.slot[1] = make_pair(mut, frame.slot[0]);
    struct gc_finalizer *finalizer = frame.slot[0];
    allot_gc_write(&mut->me, finalizer, &finalizer->pair, frame.slot[1]);
    return finalizer;
}

void gc_finalizer_attach(struct gc_mutator *mut, struct gc_finalizer *finalizer, unsigned priority,
                         struct gc_ref object, struct gc_ref closure)
{
    (void)priority;
    struct gc_heap *heap = mut->heap;
    allot_gc_write(&mut->me, finalizer, &finalizer->object, gc_ref_heap_object(object));
    allot_gc_write(&mut->me, finalizer, &finalizer->closure, gc_ref_heap_object(closure));
    set_pair(mut, finalizer->pair, gc_ref_heap_object(object), finalizer);
    allot_gc_write(&mut->me, heap->pairs, &heap->pairs[heap->pair_count++], finalizer->pair);
}

struct gc_ref gc_finalizer_object(struct gc_finalizer *finalizer)
{
    return gc_ref_from_heap_object_or_null(finalizer->object);
}
struct gc_ref gc_finalizer_closure(struct gc_finalizer *finalizer)
{
    return gc_ref_from_heap_object_or_null(finalizer->closure);
}

struct gc_finalizer *gc_pop_finalizable(struct gc_mutator *mut)
{
    struct gc_finalizer *finalizer = mut->heap->fired;
    if (finalizer) {
        mut->heap->fired = finalizer->next;
    }
    return finalizer;
}

void gc_set_finalizer_callback(struct gc_heap *heap, gc_finalizer_callback callback) { heap->callback = callback; }

void gc_trace_finalizer(struct gc_finalizer *finalizer,
                        void (*visit)(struct gc_edge edge, struct gc_heap *heap, void *visit_data),
                        struct gc_heap *heap, void *visit_data)
{
    visit(gc_edge(&finalizer->pair), heap, visit_data);
    visit(gc_edge(&finalizer->object), heap, visit_data);
    visit(gc_edge(&finalizer->closure), heap, visit_data);
    visit(gc_edge(&finalizer->next), heap, visit_data);
}

/* -- the heap and its mutators -- */

static struct gc_heap *heap_of_process;

static void say_figures(void)
{
    struct allot_gc_stats stats;
    allot_gc_stats(&heap_of_process->gc, &stats);
    printf("allot: %" PRIu64 " collections, %" PRIu64 " of the young, %.3f ms at most\n", stats.collections,
           stats.young, (double)stats.longest_ns / 1e6);
}

static void *allocation_failure(struct gc_heap *heap, size_t size)
{
    (void)heap;
    fprintf(stderr, "out of memory: %zu bytes\n", size);
    exit(1);
}

static struct gc_mutator *attach(struct gc_heap *heap)
{
    struct gc_mutator *mut = calloc(1, sizeof *mut);
    if (!mut || allot_gc_attach(&heap->gc, &mut->me)) {
        GC_CRASH();
    }
    mut->heap = heap;
    pthread_mutex_lock(&heap->lock);
    mut->next = heap->mutators;
    heap->mutators = mut;
    pthread_mutex_unlock(&heap->lock);
    return current = mut;
}

int gc_init(const struct gc_options *options, struct gc_stack_addr base, struct gc_heap **out, struct gc_mutator **mut,
            struct gc_event_listener listener, void *listener_data)
{
    (void)base;
    size_t size = options ? options->common.heap_size : 0;
    struct gc_heap *heap = calloc(1, sizeof *heap);
    struct allot_gc_opts opts = {.name = "whippet", .arg = heap, .roots = visit_all_roots, .least = size / 8};
    if (!heap || allot_gc_init(&heap->gc, KIND, &opts) || allot_gc_root(&heap->gc, &heap->fired, 1) ||
        allot_gc_root(&heap->gc, &heap->pairs, 1)) {
        return 0;
    }
    heap->allocation_failure = allocation_failure;
    pthread_mutex_init(&heap->lock, NULL);
    listener.init(listener_data, size);
    heap_of_process = heap;
    atexit(say_figures);
    *out = heap;
    *mut = attach(heap);
    return 1;
}

struct gc_heap *gc_mutator_heap(struct gc_mutator *mut) { return mut->heap; }
void gc_mutator_set_roots(struct gc_mutator *mut, struct gc_mutator_roots *roots) { mut->roots = roots; }

void gc_heap_set_allocation_failure_handler(struct gc_heap *heap, void *(*handler)(struct gc_heap *, size_t))
{
    heap->allocation_failure = handler;
}

struct gc_mutator *gc_init_for_thread(struct gc_stack_addr base, struct gc_heap *heap)
{
    (void)base;
    return attach(heap);
}

void gc_finish_for_thread(struct gc_mutator *mut)
{
    pthread_mutex_lock(&mut->heap->lock);
    struct gc_mutator **at = &mut->heap->mutators;
    while (*at != mut) {
        at = &(*at)->next;
    }
    *at = mut->next;
    pthread_mutex_unlock(&mut->heap->lock);
    allot_gc_detach(&mut->me);
    current = NULL;
    free(mut);
}

void gc_deactivate(struct gc_mutator *mut) { allot_gc_leave(&mut->me); }
void gc_reactivate(struct gc_mutator *mut) { allot_gc_enter(&mut->me); }

void *gc_deactivate_for_call(struct gc_mutator *mut, void *(*f)(struct gc_mutator *, void *), void *data)
{
    allot_gc_leave(&mut->me);
    void *result = f(mut, data);
    allot_gc_enter(&mut->me);
    return result;
}

void gc_collect(struct gc_mutator *mut, enum gc_collection_kind kind)
{
    (void)kind;
    allot_gc_collect(&mut->me);
}

/* -- options -- */

int gc_option_from_string(const char *text) { return gc_common_option_from_string(text); }

struct gc_options *gc_allocate_options(void)
{
    struct gc_options *options = malloc(sizeof *options);
    if (options) {
        gc_init_common_options(&options->common);
    }
    return options;
}

int gc_options_set_int(struct gc_options *options, int option, int value)
{
    return gc_common_options_set_int(&options->common, option, value);
}

int gc_options_set_size(struct gc_options *options, int option, size_t value)
{
    return gc_common_options_set_size(&options->common, option, value);
}

int gc_options_set_double(struct gc_options *options, int option, double value)
{
    return gc_common_options_set_double(&options->common, option, value);
}

int gc_options_parse_and_set(struct gc_options *options, int option, const char *value)
{
    return gc_common_options_parse_and_set(&options->common, option, value);
}
