/* replay/model_slab.c - slab, mcache, allot: slots by size class in slabs of 64 KiB, and whole pages for what is longer than 32 KiB.
 *
 *   slab     slots of a class's pool
 *   mcache   a thread's stack of each class  <-- so many at once -->  the same pools, for all threads
 *   allot    a heap of each thread's (allot/heap.h): what malloc is, with its refills, its tuned classes and its slabs that wait
 *
 *   longer   [ 3 pages ][ 9 pages ]    first fit by pages; pages that nobody has are the system's again
 *
 * The classes are malloc's own (heap/classes.h): at most 15 bytes of 1 KiB are padding, and at most an eighth above. held = pages
 * of slabs that blocks have been on (replay/slots.h) + those of long ones.
 *
 * A thread's stack holds two batches at most; when it is empty one comes, when it is full one goes, those that lie longest. A batch is
 * 16 KiB, of 2 to 32 blocks. Threads are the trace's by number, 32 heaps at most.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <allot/heap.h>

#include "heap/classes.h"
#include "heap/heap.h"
#include "replay/range.h"
#include "replay/slots.h"

enum { SLAB, MCACHE, ALLOT };

#define LONG        0xffu /* in place of a class */
#define HEAPS       32
#define BATCH_BYTES 16384
#define BATCH_MOST  32

struct stack {
    uint32_t count;
    void *object[2 * BATCH_MOST];
};

struct cache {
    struct stack *stack[CLASSES]; /* NULL: not wanted yet */
};

struct slab_model {
    struct model m;
    uint64_t *handle; /* of each block: class << 56 | where its slot is; or LONG << 56 | its range's id */
    struct slots slots[CLASSES];
    struct range pages;
    struct unit_places places;
    uint64_t slabs, slabs_before, small; /* small: bytes of slots that blocks have */
    uint64_t of_class[CLASSES];          /* of those bytes */
    uint64_t in_place, moved, copied;

    struct cache *cache; /* mcache: of each thread */
    uint64_t hits, refills, returns, cached, cached_most, stacks;

    struct allot_heap heap[HEAPS]; /* allot: state NULL: not begun */
    uint64_t heap_slabs[HEAPS];    /* as last looked at */
};

static struct slab_model *self_of(const struct model *m) { return (struct slab_model *)(uintptr_t)m; }

static void update(struct slab_model *s)
{
    if (s->slabs < s->slabs_before) {
        unit_places_sweep(&s->places);
    }
    s->slabs_before = s->slabs;
    s->m.used = s->small + range_used(&s->pages);
    s->m.held = s->places.pages * MODEL_PAGE + range_used(&s->pages);
}

/* -- mcache: a thread's stacks -- */

static unsigned batch_of(unsigned class)
{
    size_t batch = BATCH_BYTES / class_size(class);
    return (unsigned)(batch < 2 ? 2 : batch < BATCH_MOST ? batch : BATCH_MOST);
}

static struct stack *stack_of(struct slab_model *s, unsigned class, unsigned thread)
{
    struct stack **stack = &s->cache[thread].stack[class];
    if (!*stack && (*stack = calloc(1, sizeof **stack))) {
        s->stacks++;
    }
    return *stack;
}

static void *cache_get(struct slab_model *s, unsigned class, unsigned thread)
{
    struct stack *stack = stack_of(s, class, thread);
    if (!stack) {
        return NULL;
    }
    if (stack->count == 0) {
        stack->count =
            (uint32_t)slots_get_many(&s->slots[class], class_size(class), stack->object, batch_of(class), &s->slabs);
        s->cached += stack->count * class_size(class);
        s->cached_most = s->cached > s->cached_most ? s->cached : s->cached_most;
        s->refills++;
        if (stack->count == 0) {
            return NULL;
        }
    } else {
        s->hits++;
    }
    s->cached -= class_size(class);
    return stack->object[--stack->count];
}

static void return_batch(struct slab_model *s, unsigned class, struct stack *stack, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        slots_put(&s->slots[class], stack->object[i], &s->slabs);
    }
    stack->count -= count;
    s->cached -= count * class_size(class);
    memmove(stack->object, stack->object + count, stack->count * sizeof stack->object[0]);
}

static void cache_put(struct slab_model *s, unsigned class, unsigned thread, void *object)
{
    struct stack *stack = stack_of(s, class, thread);
    if (!stack) { /* no memory for one: past it */
        slots_put(&s->slots[class], object, &s->slabs);
        return;
    }
    if (stack->count == 2 * batch_of(class)) {
        return_batch(s, class, stack, batch_of(class));
        s->returns++;
    } else {
        s->hits++;
    }
    stack->object[stack->count++] = object;
    s->cached += class_size(class);
    s->cached_most = s->cached > s->cached_most ? s->cached : s->cached_most;
}

static void end_caches(struct slab_model *s)
{
    for (uint32_t thread = 0; s->cache && thread <= s->m.ops->threads; thread++) {
        for (unsigned class = 0; class < CLASSES; class ++) {
            struct stack *stack = s->cache[thread].stack[class];
            if (stack) {
                return_batch(s, class, stack, stack->count);
                free(stack);
            }
        }
    }
    free(s->cache);
}

/* -- allot: heaps -- */

static void look_at_slabs(struct slab_model *s, unsigned which)
{
    uint64_t now = heap_of_private(&s->heap[which])->slabs;
    s->slabs += now - s->heap_slabs[which];
    s->heap_slabs[which] = now;
}

static void *heap_get(struct slab_model *s, uint64_t size, uint64_t align, unsigned which)
{
    struct allot_heap *heap = &s->heap[which];
    if (!heap->state && allot_heap_init(heap, NULL) != 0) {
        return NULL;
    }
    void *p = align > MODEL_ALIGN ? allot_heap_aligned(heap, align, size) : allot_heap_alloc(heap, size);
    look_at_slabs(s, which);
    return p;
}

/* -- small blocks, by any of the three -- */

/* What a block has of its slab. Of malloc's heap it may be one that was chosen to be guarded or sampled, if the options say so. */
static uint64_t bytes_of(const struct slab_model *s, const void *p)
{
    return s->m.kind->option == ALLOT ? allot_malloc_usable_size(p) : slab_stride(slab_of(p));
}

static void *object_of(uint64_t handle) { return (void *)(uintptr_t)(handle & (((uint64_t)1 << 56) - 1)); }

/* Of a tuned slot the class above it. */
static unsigned slot_class(uint64_t bytes) { return class_of_size(bytes < SLAB_MAX ? bytes : SLAB_MAX); }

static void count_small(struct slab_model *s, uint64_t bytes, int sign)
{
    s->small += sign * (int64_t)bytes;
    s->of_class[slot_class(bytes)] += sign * (int64_t)bytes;
}

static int get_small(struct slab_model *s, uint64_t size, uint64_t align, const struct op *op, uint64_t *handle)
{
    size_t wanted = size_when_aligned(size, align);
    unsigned class = class_of_size(wanted), which = op->thread % HEAPS;
    if (!unit_places_ready(&s->places)) {
        return -ENOMEM;
    }
    void *p = s->m.kind->option == SLAB     ? slots_get(&s->slots[class], class_size(class), &s->slabs)
              : s->m.kind->option == MCACHE ? cache_get(s, class, op->thread)
                                            : heap_get(s, size, align, which);
    if (!p) {
        return -ENOMEM;
    }
    *handle = (uint64_t)(s->m.kind->option == ALLOT ? which : class) << 56 | (uintptr_t)p;
    uint64_t bytes = bytes_of(s, p);
    count_small(s, bytes, 1);
    unit_places_out(&s->places, p, bytes, slot_class(bytes));
    return 0;
}

static void put_small(struct slab_model *s, uint64_t handle, const struct op *op)
{
    void *p = object_of(handle);
    unsigned class = (unsigned)(handle >> 56);
    uint64_t bytes = bytes_of(s, p);
    count_small(s, bytes, -1);
    unit_places_back(&s->places, p, bytes, slot_class(bytes));
    if (s->m.kind->option == ALLOT) {
        allot_heap_free(&s->heap[class], p);
        look_at_slabs(s, class);
    } else if (s->m.kind->option == MCACHE) {
        cache_put(s, class, op->thread, p);
    } else {
        slots_put(&s->slots[class], p, &s->slabs);
    }
}

/* -- blocks of any size -- */

static int get(struct slab_model *s, uint64_t size, uint64_t align, const struct op *op, uint64_t *handle)
{
    if (size <= SLAB_MAX && align <= SLAB_MAX) {
        return get_small(s, size, align, op, handle);
    }
    struct allot_range range;
    int failed = range_take(&s->pages, size, align, &range);
    *handle = (uint64_t)LONG << 56 | range.id;
    return failed;
}

static void put(struct slab_model *s, uint64_t handle, const struct op *op)
{
    if (handle >> 56 == LONG) {
        struct allot_range range = range_of(&s->pages, (uint32_t)handle);
        range_give(&s->pages, &range);
    } else {
        put_small(s, handle, op);
    }
}

static int slabs_alloc(struct model *m, uint32_t block, uint64_t size, const struct op *op)
{
    struct slab_model *s = self_of(m);
    int failed = get(s, size, model_align(op), op, &s->handle[block]);
    update(s);
    return failed;
}

static void slabs_free(struct model *m, uint32_t block, uint64_t was, const struct op *op)
{
    (void)was;
    struct slab_model *s = self_of(m);
    put(s, s->handle[block], op);
    update(s);
}

/* As malloc's realloc: it stays where it is while its slot is long enough and at least half of it is wanted; as pages while those that
 * follow can be had. */
static bool stays(struct slab_model *s, uint64_t handle, uint64_t size)
{
    if (handle >> 56 != LONG) {
        uint64_t stride = bytes_of(s, object_of(handle));
        return size <= stride && (size >= stride / 2 || stride <= MODEL_ALIGN);
    }
    struct allot_range range = range_of(&s->pages, (uint32_t)handle);
    return size > SLAB_MAX && range_resize(&s->pages, &range, size) == 0;
}

static int slabs_resize(struct model *m, uint32_t block, uint64_t was, uint64_t size, const struct op *op)
{
    struct slab_model *s = self_of(m);
    uint64_t handle = s->handle[block];
    int failed = 0;
    if (stays(s, handle, size)) {
        s->in_place++;
    } else if ((failed = get(s, size, MODEL_ALIGN, op, &s->handle[block])) == 0) {
        put(s, handle, op);
        s->moved++;
        s->copied += was < size ? was : size;
    } else {
        s->handle[block] = handle;
    }
    update(s);
    return failed;
}

/* -- beginning and end -- */

static void slabs_end(struct model *m)
{
    struct slab_model *s = self_of(m);
    for (uint32_t block = 0; block < m->ops->blocks && m->kind->option != ALLOT; block++) {
        if (model_is_there(m, block) && s->handle[block] >> 56 != LONG) {
            slots_put(&s->slots[s->handle[block] >> 56], object_of(s->handle[block]), &s->slabs);
        }
    }
    end_caches(s);
    for (unsigned class = 0; class < CLASSES; class ++) {
        slots_end(&s->slots[class]);
    }
    for (unsigned i = 0; i < HEAPS; i++) {
        if (s->heap[i].state) {
            allot_heap_done(&s->heap[i]);
        }
    }
    range_end(&s->pages);
    unit_places_end(&s->places);
    free(s->handle);
}

static int slabs_begin(struct model *m)
{
    struct slab_model *s = self_of(m);
    bool caches = m->kind->option == MCACHE;
    s->places.from = align_up(m->ops->peak_live + m->ops->peak_live / 4, 1 << 20);
    s->handle = model_array(m, sizeof *s->handle);
    s->cache = caches ? calloc(m->ops->threads + (size_t)1, sizeof *s->cache) : NULL;
    if (!s->handle || (caches && !s->cache) ||
        range_begin(&s->pages, ALLOT_FIRST, MODEL_PAGE, m->ops->peak_live, 0) != 0) {
        free(s->handle);
        free(s->cache);
        return -ENOMEM;
    }
    return 0;
}

/* -- what is told -- */

/* The longest slot that lies on memory and that no block has. */
static uint64_t largest_slot(const struct slab_model *s)
{
    for (unsigned class = CLASSES; class -- > 0;) {
        if (s->places.of_class[class] * MODEL_PAGE >= s->of_class[class] + class_size(class)) {
            return class_size(class);
        }
    }
    return 0;
}

static void slabs_look(struct model *m, struct replay_moment *out)
{
    const struct slab_model *s = self_of(m);
    out->metadata = s->slabs * SLAB_METADATA + range_metadata(&s->pages) + s->stacks * sizeof(struct stack);
    for (unsigned i = 0; i < HEAPS; i++) {
        out->metadata += s->heap[i].state ? sizeof(struct heap) + sizeof(struct front) : 0;
    }
    out->largest_hole = largest_slot(s);
}

static void slabs_where(struct model *m, uint32_t block, uint64_t *start, uint64_t *size)
{
    struct slab_model *s = self_of(m);
    uint64_t handle = s->handle[block];
    if (handle >> 56 == LONG) {
        struct allot_range range = range_of(&s->pages, (uint32_t)handle);
        *start = range.at;
        *size = range.size;
    } else {
        *start = unit_places_of(&s->places, object_of(handle));
        *size = bytes_of(s, object_of(handle));
    }
}

static void slabs_count(const struct model *m, struct replay_result *out)
{
    const struct slab_model *s = self_of(m);
    if (m->kind->option == MCACHE) {
        uint64_t calls = s->refills + s->returns;
        model_count(out, "cache hits", s->hits);
        model_count(out, "central calls", calls);
        model_count(out, "cached bytes at most", s->cached_most);
    }
    model_count(out, "resized in place", s->in_place);
    model_count(out, "resized by moving", s->moved);
    model_count(out, "bytes copied", s->copied);
}

static void slabs_check(struct model *m)
{
    struct slab_model *s = self_of(m);
    for (unsigned class = 0; class < CLASSES; class ++) {
        if (s->slots[class].pool.state) {
            allot_pool_check(&s->slots[class].pool);
        }
    }
    for (unsigned i = 0; i < HEAPS; i++) {
        if (s->heap[i].state) {
            allot_heap_check(&s->heap[i]);
        }
    }
    allot_region_check(&s->pages.region);
}

#define SLAB_MODEL(variable, text, which)                                   \
    const struct model_kind variable = {.name = text,                       \
                                        .bytes = sizeof(struct slab_model), \
                                        .option = which,                    \
                                        .begin = slabs_begin,               \
                                        .end = slabs_end,                   \
                                        .alloc = slabs_alloc,               \
                                        .resize = slabs_resize,             \
                                        .free = slabs_free,                 \
                                        .look = slabs_look,                 \
                                        .where = slabs_where,               \
                                        .count = slabs_count,               \
                                        .check = slabs_check}

SLAB_MODEL(model_slab, "slab", SLAB);
SLAB_MODEL(model_mcache, "mcache", MCACHE);
SLAB_MODEL(model_allot, "allot", ALLOT);
