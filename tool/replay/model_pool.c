/* replay/model_pool.c - pool: the sizes that most allocations have in a pool each (allot/pool.h), all else in a best-fit heap.
 *
 *   sizes    24 -> pool of 32     48 -> pool of 48     ...      16 pools at most
 *   heap     [ block ][ block ]   [ long block ]
 *
 * What somebody would do who knows the program: a size, rounded up to 16 and of at most 32 KiB, has a pool if it has at least one in a hundred
 * of all allocations; of these the 16 with most. The ops are counted for that before the replay. held =
 * pages of slabs that blocks have been on (replay/slots.h) + the heap.
 */
#include <errno.h>
#include <stdlib.h>

#include "pool/set.h"
#include "replay/range.h"
#include "replay/slots.h"

#define POOLS   16
#define SHARE   100 /* one in so many */
#define STRIDES (SLOT_MAX / MODEL_ALIGN)
#define IN_HEAP 0xffu

struct pool_model {
    struct model m;
    uint64_t *handle; /* of each block: pool << 56 | where it is; or IN_HEAP << 56 | its range's id */
    struct slots pool[POOLS];
    size_t stride[POOLS];
    unsigned pools;
    uint8_t *of_stride; /* by stride / 16 - 1: which pool, or IN_HEAP */
    struct range range;
    struct unit_places places;
    uint64_t slabs, slabs_before, in_pools, gets, heap_gets, in_place, moved, copied;
};

static struct pool_model *self_of(const struct model *m) { return (struct pool_model *)(uintptr_t)m; }

static void update(struct pool_model *p)
{
    if (p->slabs < p->slabs_before) {
        unit_places_sweep(&p->places);
    }
    p->slabs_before = p->slabs;
    p->m.used = p->in_pools + range_used(&p->range);
    p->m.held = p->places.pages * MODEL_PAGE + p->range.top;
}

static void *object_of(uint64_t handle) { return (void *)(uintptr_t)(handle & (((uint64_t)1 << 56) - 1)); }

/* -- which sizes -- */

static int choose(struct pool_model *p)
{
    const struct ops *ops = p->m.ops;
    uint64_t *count = calloc(STRIDES, sizeof *count), all = 0;
    p->of_stride = malloc(STRIDES);
    if (!count || !p->of_stride) {
        free(count);
        return -ENOMEM;
    }
    for (uint64_t i = 0; i < ops->count; i++) {
        const struct op *op = &ops->op[i];
        if (op->kind == OP_ALLOC || op->kind == OP_RESIZE) {
            all++;
            if (op->size <= SLOT_MAX && op->align <= 4) {
                count[op->size ? (op->size - 1) / MODEL_ALIGN : 0]++;
            }
        }
    }
    for (unsigned i = 0; i < STRIDES; i++) {
        p->of_stride[i] = IN_HEAP;
    }
    for (; p->pools < POOLS; p->pools++) {
        unsigned most = 0;
        for (unsigned i = 1; i < STRIDES; i++) {
            most = count[i] > count[most] ? i : most;
        }
        if (count[most] == 0 || count[most] < all / SHARE) {
            break;
        }
        p->stride[p->pools] = (most + 1) * (size_t)MODEL_ALIGN;
        p->of_stride[most] = (uint8_t)p->pools;
        count[most] = 0;
    }
    free(count);
    return 0;
}

/* -- blocks -- */

static unsigned pool_of(const struct pool_model *p, uint64_t size, const struct op *op)
{
    return size <= SLOT_MAX && op->align <= 4 ? p->of_stride[(size - 1) / MODEL_ALIGN] : IN_HEAP;
}

static int get(struct pool_model *p, uint64_t size, const struct op *op, uint64_t *handle)
{
    unsigned pool = pool_of(p, size, op);
    if (pool != IN_HEAP) {
        void *object = unit_places_ready(&p->places) ? slots_get(&p->pool[pool], p->stride[pool], &p->slabs) : NULL;
        if (!object) {
            return -ENOMEM;
        }
        *handle = (uint64_t)pool << 56 | (uintptr_t)object;
        p->in_pools += p->stride[pool];
        p->gets++;
        unit_places_out(&p->places, object, p->stride[pool], pool);
        return 0;
    }
    struct allot_range range;
    int failed = range_take(&p->range, size, model_align(op), &range);
    *handle = (uint64_t)IN_HEAP << 56 | range.id;
    p->heap_gets += !failed;
    return failed;
}

static void put(struct pool_model *p, uint64_t handle)
{
    unsigned pool = (unsigned)(handle >> 56);
    if (pool != IN_HEAP) {
        unit_places_back(&p->places, object_of(handle), p->stride[pool], pool);
        slots_put(&p->pool[pool], object_of(handle), &p->slabs);
        p->in_pools -= p->stride[pool];
    } else {
        struct allot_range range = range_of(&p->range, (uint32_t)handle);
        range_give(&p->range, &range);
    }
}

static int pool_alloc(struct model *m, uint32_t block, uint64_t size, const struct op *op)
{
    struct pool_model *p = self_of(m);
    int failed = get(p, size, op, &p->handle[block]);
    update(p);
    return failed;
}

static void pool_free(struct model *m, uint32_t block, uint64_t was, const struct op *op)
{
    (void)was;
    (void)op;
    struct pool_model *p = self_of(m);
    put(p, p->handle[block]);
    update(p);
}

/* In the heap it stays if it can; an object of a pool as long as it is of the pool's size. */
static bool stays(struct pool_model *p, uint64_t handle, uint64_t size, const struct op *op)
{
    if (handle >> 56 != IN_HEAP) {
        return pool_of(p, size, op) == handle >> 56;
    }
    struct allot_range range = range_of(&p->range, (uint32_t)handle);
    return pool_of(p, size, op) == IN_HEAP && range_resize(&p->range, &range, size) == 0;
}

static int pool_resize(struct model *m, uint32_t block, uint64_t was, uint64_t size, const struct op *op)
{
    struct pool_model *p = self_of(m);
    uint64_t handle = p->handle[block];
    int failed = 0;
    if (stays(p, handle, size, op)) {
        p->in_place++;
    } else if ((failed = get(p, size, op, &p->handle[block])) == 0) {
        put(p, handle);
        p->moved++;
        p->copied += was < size ? was : size;
    } else {
        p->handle[block] = handle;
    }
    update(p);
    return failed;
}

/* -- beginning, end, and what is told -- */

static void pool_end(struct model *m)
{
    struct pool_model *p = self_of(m);
    for (uint32_t block = 0; block < m->ops->blocks; block++) {
        if (model_is_there(m, block) && p->handle[block] >> 56 != IN_HEAP) {
            put(p, p->handle[block]);
        }
    }
    for (unsigned i = 0; i < p->pools; i++) {
        slots_end(&p->pool[i]);
    }
    range_end(&p->range);
    unit_places_end(&p->places);
    free(p->handle);
    free(p->of_stride);
}

static int pool_begin(struct model *m)
{
    struct pool_model *p = self_of(m);
    p->places.from = align_up(m->ops->peak_live + m->ops->peak_live / 4, 1 << 20);
    p->handle = model_array(m, sizeof *p->handle);
    if (!p->handle || choose(p) != 0 || range_begin(&p->range, ALLOT_BEST, MODEL_ALIGN, m->ops->peak_live, 0) != 0) {
        free(p->handle);
        free(p->of_stride);
        return -ENOMEM;
    }
    return 0;
}

static const void *pool_known(const struct model *m, uint32_t block, unsigned step)
{
    const struct pool_model *p = self_of(m);
    const uint64_t *handle = &p->handle[block];
    if (step == 0 || *handle >> 56 != IN_HEAP) {
        return step == 0 ? handle : step == 1 ? object_of(*handle) : NULL;
    }
    return range_known(&p->range, (uint32_t)*handle, step - 1);
}

static void pool_look(struct model *m, struct replay_moment *out)
{
    struct pool_model *p = self_of(m);
    out->metadata = p->slabs * SLAB_METADATA + range_metadata(&p->range);
    out->largest_hole = range_largest(&p->range);
    for (unsigned i = 0; i < p->pools; i++) {
        uint64_t on_memory = p->places.of_class[i] * MODEL_PAGE, out_of_it = p->pool[i].out * p->stride[i];
        if (p->stride[i] > out->largest_hole && on_memory >= out_of_it + p->stride[i]) {
            out->largest_hole = p->stride[i];
        }
    }
}

static void pool_where(struct model *m, uint32_t block, uint64_t *start, uint64_t *size)
{
    struct pool_model *p = self_of(m);
    uint64_t handle = p->handle[block];
    if (handle >> 56 == IN_HEAP) {
        struct allot_range range = range_of(&p->range, (uint32_t)handle);
        *start = range.at;
        *size = range.size;
    } else {
        *start = unit_places_of(&p->places, object_of(handle));
        *size = p->stride[handle >> 56];
    }
}

static void pool_count(const struct model *m, struct replay_result *out)
{
    const struct pool_model *p = self_of(m);
    model_count(out, "pools", p->pools);
    model_count(out, "by pools", p->gets);
    model_count(out, "by the heap", p->heap_gets);
    range_count(&p->range, out);
    model_count(out, "resized in place", p->in_place);
    model_count(out, "resized by moving", p->moved);
    model_count(out, "bytes copied", p->copied);
}

static void pool_check(struct model *m)
{
    struct pool_model *p = self_of(m);
    for (unsigned i = 0; i < p->pools; i++) {
        if (p->pool[i].pool.state) {
            allot_pool_check(&p->pool[i].pool);
        }
    }
    allot_region_check(&p->range.region);
}

const struct model_kind model_pool = {.name = "pool",
                                      .bytes = sizeof(struct pool_model),
                                      .begin = pool_begin,
                                      .end = pool_end,
                                      .alloc = pool_alloc,
                                      .resize = pool_resize,
                                      .free = pool_free,
                                      .known = pool_known,
                                      .look = pool_look,
                                      .where = pool_where,
                                      .count = pool_count,
                                      .check = pool_check};
