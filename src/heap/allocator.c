/* heap/allocator.c - heaps behind the interface of borders. See include/allot/allocator.h. */
#include <allot/allocator.h>
#include <allot/heap.h>
#include <allot/malloc.h>

#include "heap/two_level.h"

#define ALIGNED_ANYWAY 16

static void *take(void *self, size_t size, size_t align)
{
    (void)self;
    return align <= ALIGNED_ANYWAY ? allot_malloc(size) : allot_aligned_alloc(align, size);
}

static bool resize(void *self, void *p, size_t old, size_t now, size_t align)
{
    (void)self;
    (void)align;
    /* Not shorter: what is freed by its size has to have it. */
    return now >= old && allot_try_expand(p, now);
}

static void give(void *self, void *p, size_t size, size_t align)
{
    (void)self;
    if (align <= ALIGNED_ANYWAY) {
        allot_free_sized(p, size);
    } else {
        allot_free_aligned_sized(p, align, size);
    }
}

struct allot_allocator allot_allocator_malloc(void)
{
    static const struct allot_allocator_ops ops = {take, resize, give};
    return (struct allot_allocator){&ops, NULL};
}

static void *take_of_heap(void *self, size_t size, size_t align)
{
    enum { ANYWAY = 8 }; /* of a two_level heap; any other aligns to 16 by itself */
    return align <= ANYWAY ? allot_heap_alloc(self, size) : allot_heap_aligned(self, align, size);
}

static bool resize_of_heap(void *self, void *p, size_t old, size_t now, size_t align)
{
    /* Nobody knows what kind the heap is; of lists or not, a longer block is malloc's. */
    return old > TWO_LEVEL_MAX && resize(self, p, old, now, align);
}

static void give_to_heap(void *self, void *p, size_t size, size_t align)
{
    (void)align;
    allot_heap_free_sized(self, p, size);
}

struct allot_allocator allot_allocator_heap(struct allot_heap *heap)
{
    static const struct allot_allocator_ops ops = {take_of_heap, resize_of_heap, give_to_heap};
    return (struct allot_allocator){&ops, heap};
}
