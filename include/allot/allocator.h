/* allot/allocator.h - the one interface at borders: whoever wants memory, without saying from where.
 *
 *     char *line = allot_take(from, 100, 1);
 *     line = allot_retake(from, line, 100, 200, 1);
 *     allot_give(from, line, 200, 1);
 *
 * For containers, adapters, and what an arena is filled from. Two words, passed by value. Who gives back says how much it was and
 * how it was aligned, so implementers need no headers. Only what every one of them can do is here.
 *
 * Threads: those of the implementer.
 */
#ifndef ALLOT_ALLOCATOR_H
#define ALLOT_ALLOCATOR_H

#include <string.h>

#include <allot/part.h>

#ifdef __cplusplus
extern "C" {
#endif

struct allot_allocator_ops {
    /* `size` bytes at a multiple of `align`, a power of two; NULL with errno, ENOMEM where it is memory that is missing. 0 bytes
     * are a pointer of their own. */
    void *(*take)(void *self, size_t size, size_t align);

    /* Makes them `now` bytes where they are: true, or false and nothing has changed. May be NULL: never. */
    bool (*resize)(void *self, void *p, size_t old, size_t now, size_t align);

    /* Takes them back; `size` and `align` as they were given last. May be NULL: nothing is taken back one by one. */
    void (*give)(void *self, void *p, size_t size, size_t align);
};

struct allot_allocator {
    const struct allot_allocator_ops *ops;
    void *self;
};

static inline void *allot_take(struct allot_allocator from, size_t size, size_t align)
{
    return from.ops->take(from.self, size, align);
}

static inline bool allot_resize(struct allot_allocator from, void *p, size_t old, size_t now, size_t align)
{
    return from.ops->resize && from.ops->resize(from.self, p, old, now, align);
}

/* NULL is ignored. */
static inline void allot_give(struct allot_allocator to, void *p, size_t size, size_t align)
{
    if (p && to.ops->give) {
        to.ops->give(to.self, p, size, align);
    }
}

/* Makes it `now` bytes, elsewhere if need be: the lesser of both sizes is kept. NULL with errno, and unchanged. `p` NULL, with
 * `old` 0: takes. */
static inline void *allot_retake(struct allot_allocator from, void *p, size_t old, size_t now, size_t align)
{
    if (p && allot_resize(from, p, old, now, align)) {
        return p;
    }
    void *q = allot_take(from, now, align);
    if (p && q) {
        memcpy(q, p, old < now ? old : now);
        allot_give(from, p, old, align);
    }
    return q;
}

/* allot's own heap (allot/malloc.h); and a first-class one (allot/heap.h), of the thread that has it. Immortal; as long as the
 * heap. */
struct allot_heap;
ALLOT_API struct allot_allocator allot_allocator_malloc(void);
ALLOT_API struct allot_allocator allot_allocator_heap(struct allot_heap *heap);

#ifdef __cplusplus
}
#endif

#endif
