/* replay/model_two_level.c - two-level: the STL's allocator (heap/two_level.h), over a best-fit heap as its malloc.
 *
 *   lists    8  16 .. 128       blocks that were freed, by size; refilled 20 at a time from a chunk
 *   heap     [ chunk: 16 16 16 40 40 ... | rest ][ long block ][ chunk ... ]
 *
 * The lists run through the blocks themselves, so chunks are real memory; each has a range of the heap, where its blocks are said to
 * lie. They are never given back. Blocks of the lists are aligned to 8; what wants more goes to the heap.
 */
#include <errno.h>
#include <stdlib.h>

#include "heap/two_level.h"
#include "replay/range.h"

struct chunk {
    char *real;
    uint64_t at, bytes;
};

struct two_model {
    struct model m;
    struct two_level lists;
    struct range range;
    struct chunk *chunk; /* by where they really are */
    size_t chunks, room;
    uint64_t in_chunks, listed; /* bytes; and those of blocks of the lists */
    uintptr_t *handle;          /* of each block: where it is, and 1; or its range's id << 1 */
    int failed;                 /* why there was no chunk */
    uint64_t from_lists, from_heap, in_place, moved, copied;
};

static struct two_model *self_of(const struct model *m) { return (struct two_model *)(uintptr_t)m; }

static void update(struct two_model *t)
{
    t->m.used = range_used(&t->range) - t->in_chunks + t->listed;
    t->m.held = t->m.end = t->range.top;
}

/* The lists' malloc. */
static void *more(void *arg, size_t bytes)
{
    struct two_model *t = arg;
    struct allot_range range;
    t->failed = -ENOMEM;
    if (t->chunks == t->room) {
        size_t room = t->room ? 2 * t->room : 16;
        struct chunk *grown = realloc(t->chunk, room * sizeof *grown);
        if (!grown) {
            return NULL;
        }
        t->chunk = grown;
        t->room = room;
    }
    char *real = malloc(bytes);
    if (real && (t->failed = range_take(&t->range, bytes, MODEL_ALIGN, &range)) == 0) {
        size_t i = t->chunks++;
        for (; i > 0 && t->chunk[i - 1].real > real; i--) {
            t->chunk[i] = t->chunk[i - 1];
        }
        t->chunk[i] = (struct chunk){real, range.at, bytes};
        t->in_chunks += range.size;
        return real;
    }
    free(real);
    return NULL;
}

static bool is_listed(uint64_t size, const struct op *op) { return size <= TWO_LEVEL_MAX && op->align <= 3; }

static uint64_t listed_bytes(uint64_t size) { return align_up(size, TWO_LEVEL_STEP); }

static int get(struct two_model *t, uint64_t size, const struct op *op, uintptr_t *handle)
{
    struct allot_range range;
    int failed;
    if (is_listed(size, op)) {
        void *p = two_level_alloc(&t->lists, size);
        *handle = (uintptr_t)p | 1;
        t->listed += p ? listed_bytes(size) : 0;
        t->from_lists += p != NULL;
        return p ? 0 : t->failed;
    }
    failed = range_take(&t->range, size, model_align(op), &range);
    *handle = (uintptr_t)range.id << 1;
    t->from_heap += !failed;
    return failed;
}

static void put(struct two_model *t, uintptr_t handle, uint64_t was)
{
    if (handle & 1) {
        two_level_free(&t->lists, (void *)(handle - 1), was);
        t->listed -= listed_bytes(was);
    } else {
        struct allot_range range = range_of(&t->range, (uint32_t)(handle >> 1));
        range_give(&t->range, &range);
    }
}

static int two_alloc(struct model *m, uint32_t block, uint64_t size, const struct op *op)
{
    struct two_model *t = self_of(m);
    int failed = get(t, size, op, &t->handle[block]);
    update(t);
    return failed;
}

static void two_free(struct model *m, uint32_t block, uint64_t was, const struct op *op)
{
    (void)op;
    struct two_model *t = self_of(m);
    put(t, t->handle[block], was);
    update(t);
}

static const void *two_known(const struct model *m, uint32_t block, unsigned step)
{
    const struct two_model *t = self_of(m);
    const uintptr_t *handle = &t->handle[block];
    if (step == 0 || (*handle & 1)) {
        return step == 0 ? handle : step == 1 ? (const void *)(*handle - 1) : NULL;
    }
    return range_known(&t->range, (uint32_t)(*handle >> 1), step - 1);
}

static bool stays(struct two_model *t, uintptr_t handle, uint64_t was, uint64_t size)
{
    if (handle & 1) {
        return listed_bytes(was) == listed_bytes(size);
    }
    struct allot_range range = range_of(&t->range, (uint32_t)(handle >> 1));
    return size > TWO_LEVEL_MAX && range_resize(&t->range, &range, size) == 0;
}

static int two_resize(struct model *m, uint32_t block, uint64_t was, uint64_t size, const struct op *op)
{
    struct two_model *t = self_of(m);
    uintptr_t handle = t->handle[block];
    int failed = 0;
    if (stays(t, handle, was, size)) {
        t->in_place++;
    } else if ((failed = get(t, size, op, &t->handle[block])) == 0) {
        put(t, handle, was);
        t->moved++;
        t->copied += was < size ? was : size;
    } else {
        t->handle[block] = handle;
    }
    update(t);
    return failed;
}

static int two_begin(struct model *m)
{
    struct two_model *t = self_of(m);
    t->handle = model_array(m, sizeof *t->handle);
    if (!t->handle || range_begin(&t->range, ALLOT_BEST, MODEL_ALIGN, m->ops->peak_live, m->bound) != 0) {
        free(t->handle);
        return -ENOMEM;
    }
    t->lists = (struct two_level){.malloc = more, .arg = t};
    update(t);
    return 0;
}

static void two_end(struct model *m)
{
    struct two_model *t = self_of(m);
    for (size_t i = 0; i < t->chunks; i++) {
        free(t->chunk[i].real);
    }
    free(t->chunk);
    range_end(&t->range);
    free(t->handle);
}

static void two_look(struct model *m, struct replay_moment *out)
{
    struct two_model *t = self_of(m);
    uint64_t left = (uint64_t)(t->lists.end - t->lists.start), largest = range_largest(&t->range);
    left = left < TWO_LEVEL_MAX ? left : TWO_LEVEL_MAX;
    for (uint64_t size = TWO_LEVEL_MAX; size > left; size -= TWO_LEVEL_STEP) {
        if (t->lists.list[size / TWO_LEVEL_STEP - 1]) {
            left = size;
        }
    }
    out->largest_hole = largest > left ? largest : left;
    out->metadata = range_metadata(&t->range) + sizeof t->lists;
}

static void two_where(struct model *m, uint32_t block, uint64_t *start, uint64_t *size)
{
    struct two_model *t = self_of(m);
    uintptr_t handle = t->handle[block];
    if (!(handle & 1)) {
        struct allot_range range = range_of(&t->range, (uint32_t)(handle >> 1));
        *start = range.at;
        *size = range.size;
        return;
    }
    const char *p = (const char *)(handle - 1);
    *size = listed_bytes(m->size[block] ? m->size[block] : 1);
    size_t low = 0, high = t->chunks;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        *(t->chunk[middle].real <= p ? &low : &high) = middle;
    }
    *start = t->chunk[low].at + (uint64_t)(p - t->chunk[low].real);
}

static void two_count(const struct model *m, struct replay_result *out)
{
    const struct two_model *t = self_of(m);
    model_count(out, "by the lists", t->from_lists);
    model_count(out, "by the heap", t->from_heap);
    model_count(out, "chunks", t->chunks);
    range_count(&t->range, out);
    model_count(out, "resized in place", t->in_place);
    model_count(out, "resized by moving", t->moved);
    model_count(out, "bytes copied", t->copied);
}

static void two_check(struct model *m)
{
    two_level_check(&self_of(m)->lists);
    allot_region_check(&self_of(m)->range.region);
}

const struct model_kind model_two_level = {.name = "two-level",
                                           .bytes = sizeof(struct two_model),
                                           .has_range = true,
                                           .begin = two_begin,
                                           .end = two_end,
                                           .alloc = two_alloc,
                                           .resize = two_resize,
                                           .free = two_free,
                                           .known = two_known,
                                           .look = two_look,
                                           .where = two_where,
                                           .count = two_count,
                                           .check = two_check};
