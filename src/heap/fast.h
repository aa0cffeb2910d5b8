/* heap/fast.h - the paths that nearly every call takes. Nothing unusual is known here: an empty list, an owner that is
 * not this thread's heap, a trip that has come due are where everything else begins. */
#ifndef HEAP_FAST_H
#define HEAP_FAST_H

#include "heap/heap.h"

void *slow_malloc(size_t size) __attribute__((noinline));
void slow_free(void *p) __attribute__((noinline));

static inline void *fast_malloc(size_t size)
{
    if (unlikely(size > SMALL_MAX)) {
        return slow_malloc(size);
    }
    struct block **list = &front.list[(size + 15) / 16];
    struct block *b = *list;
    if (unlikely(!b)) {
        return slow_malloc(size);
    }
#ifdef __x86_64__
    __asm__("" : "+a"(b)); /* where it is returned, which saves a move */
#endif
    *list = b->next;
    __builtin_prefetch(b->next); /* the next one of this size will be read for its link, and written */
    return b;
}

static inline void fast_free(void *p)
{
    struct slab *s = slab_of(p);
    if (unlikely(begins_large(p)) || unlikely(slab_owner(s) != front.heap_id)) {
        slow_free(p);
        return;
    }
    if (unlikely(slab_free_local(s, p))) {
        heap_trip(front.heap, s);
    }
}

#endif
