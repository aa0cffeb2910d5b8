/* allot/heap.h - a heap of one's own: blocks of any size, freed one by one, or all at once.
 *
 * The variable pool: what a request, a document or a plugin allocates lies in its own slabs, so it can be dropped in
 * one call, counted by itself, and never fragments its neighbours' memory.
 *
 *     struct allot_heap heap;
 *     if (allot_heap_init(&heap, NULL) != 0) ...
 *     char *text = allot_heap_alloc(&heap, 100);
 *     allot_heap_done(&heap);                        // text is gone too
 *
 * Threads: a heap belongs to the thread that made it, or adopted it last; alloc, reset and done are its alone. A block
 * may be freed by any thread at any moment, also with plain allot_free (and free, under the drop-in), but not while
 * reset or done runs. The struct is the caller's; it may be moved while no call runs.
 */
#ifndef ALLOT_HEAP_H
#define ALLOT_HEAP_H

#include <allot/malloc.h>

#ifdef __cplusplus
extern "C" {
#endif

struct allot_heap {
    void *state; /* private */
};

struct allot_heap_opts {
    /* The allocator of the SGI STL, exactly: 16 lists of blocks of 8 to 128 bytes in steps of 8, refilled 20 at a time
     * from chunks that grow with the total; larger blocks come from malloc. Blocks are 8-byte aligned, and are freed
     * with allot_heap_free_sized only: nothing records their sizes. (SGI STL, stl_alloc.h, 1997.) */
    bool two_level;

    /* With two_level: no second level, every size goes to malloc (the STL's __USE_MALLOC). */
    bool malloc_only;

    /* With two_level: called when malloc gives nothing, to free memory; the request is tried again as long as it
     * returns true (the STL's out-of-memory handler). NULL: the allocation fails. */
    bool (*out_of_memory)(void *arg);
    void *arg;

    /* What the heap takes is counted to this tag (allot/tag.h), and fails with ENOMEM beyond its limit; NULL: to none. A
     * two_level heap's chunks count, not the blocks on its lists. Blocks are as without. */
    struct allot_tag *tag;
};

/* Prepares an empty heap; `opts` NULL or all zero: the defaults. 0, -ENOMEM, or -EINVAL for options that contradict
 * each other. Cost: two pages, no slab until the first block. */
ALLOT_API int allot_heap_init(struct allot_heap *heap, const struct allot_heap_opts *opts);

/* A block of at least `size` bytes, aligned to 16, or to `align`, a power of two. NULL with ENOMEM or EINVAL; a two_level
 * heap aligns what its lists serve to 8 only. To change a block's size, take another: allot_realloc (and realloc) would move
 * it out of the heap. */
ALLOT_API void *allot_heap_alloc(struct allot_heap *heap, size_t size) __attribute__((malloc, alloc_size(2)));
ALLOT_API void *allot_heap_aligned(struct allot_heap *heap, size_t align, size_t size)
    __attribute__((malloc, alloc_align(2), alloc_size(3)));

/* Frees one block; NULL is ignored. The sized form names the size that was asked for. A two_level block that is freed without
 * its size ends the process with a line here; given to plain free it corrupts the heap. */
ALLOT_API void allot_heap_free(struct allot_heap *heap, void *p);
ALLOT_API void allot_heap_free_sized(struct allot_heap *heap, void *p, size_t size);

/* Makes the heap the calling thread's. Returns 0. The caller sees to it that the thread that had it no longer uses it: also that
 * it frees no block of it, by whatever name, until it knows of the adoption, as by a lock that both have held. */
ALLOT_API int allot_heap_adopt(struct allot_heap *heap);

/* Frees every block at once; the heap stays usable. Cost: one visit per slab, not per block. */
ALLOT_API void allot_heap_reset(struct allot_heap *heap);

/* Frees every block and the heap itself. The struct may be given to init again. */
ALLOT_API void allot_heap_done(struct allot_heap *heap);

/* The figures of this heap alone: live, blocks, mapped, runs, run_blocks, large, large_blocks; the rest is 0.
 */
ALLOT_API void allot_heap_stats(struct allot_heap *heap, struct allot_stats *out);

/* Proves the heap's equations, as allot_check does. */
ALLOT_API bool allot_heap_check(struct allot_heap *heap);

#ifdef __cplusplus
}
#endif

#endif
