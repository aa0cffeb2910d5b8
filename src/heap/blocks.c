/* heap/blocks.c - blocks of any size, for a heap given: which kind serves which size, and what a live block is.
 *
 *   up to 32 KiB    a slot of a slab of the heap        owner word: the heap's id
 *   up to 2 MiB     a run of pages (span/run.h)         owner word: OWNER_RUN
 *   beyond          a mapping of its own (span/large.h) begins at a multiple of 4 MiB
 */
#include <errno.h>

#include "heap/heap.h"
#include "os/fault.h"
#include "span/large.h"
#include "span/run.h"

void *heap_alloc(struct heap *h, size_t size, bool *zeroed)
{
    struct block **list;
    uint64_t *zeroed_bits, bit;
    unsigned c = class_of_size(size_max(size, 1));
    if (size <= SMALL_MAX) {
        unsigned i = (unsigned)((size + 15) / 16);
        list = &h->front->list[i];
        zeroed_bits = &h->front->zeroed[i / 64];
        bit = (uint64_t)1 << (i % 64);
    } else {
        list = &h->mid[c - SMALL_CLASSES];
        zeroed_bits = &h->mid_zeroed;
        bit = (uint64_t)1 << (c - SMALL_CLASSES);
    }
    struct block *b = *list;
    if (likely(b)) {
        *list = b->next;
        *zeroed = *zeroed_bits & bit;
        return b;
    }
    b = heap_refill(h, c, list, zeroed);
    *zeroed_bits = b && *zeroed ? *zeroed_bits | bit : *zeroed_bits & ~bit;
    return b;
}

void *big_alloc(size_t size, size_t align, uint32_t heap, bool *zeroed)
{
    if (size > PTRDIFF_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    size = size_max(size, 1);
    void *p = size <= RUN_MAX && align <= RUN_MAX_ALIGN ? run_alloc(size, align, heap, zeroed) : NULL;
    if (!p) {
        /* Also for a run that no segment has room for: its own pages may still be had where 4 MiB are not. */
        *zeroed = true;
        p = large_alloc(size, align, heap);
    }
    if (p) {
        bytes_count((ptrdiff_t)block_size(p));
    }
    return p;
}

void big_free(void *p, uint32_t owner)
{
    size_t bytes = 0;
    if (((uintptr_t)p & (SEGMENT_SIZE - 1)) == 0) {
        bytes = large_free(p);
    } else if (owner == OWNER_RUN) {
        bytes = run_free(p);
    } else {
        allot_fault("free of what is no live block", "address", p);
    }
    bytes_count(-(ptrdiff_t)bytes);
}

size_t block_size(const void *p)
{
    if (((uintptr_t)p & (SEGMENT_SIZE - 1)) == 0) {
        return large_length(p);
    }
    const struct slab *s = slab_of(p);
    uint32_t owner = slab_owner(s);
    if (unlikely(owner >= OWNER_LIMIT)) {
        return owner == OWNER_RUN ? run_length(p) : 0;
    }
    return slab_stride(s);
}
