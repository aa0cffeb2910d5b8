/* allot/malloc.h - the general heap: malloc and its family under allot's own name.
 *
 * Link liballot (shared or static) to call these beside the system's malloc, or the drop-in liballot-malloc, where
 * malloc, free and the rest are the same functions. A process has one heap: when the drop-in is preloaded into a
 * program that links the toolkit, the toolkit's functions use the drop-in's heap.
 *
 * Sizes are bytes. A block is aligned to 16 bytes, also when it is smaller. Every function may be called by any thread
 * at any time after the process has begun, in destructors and after a thread's own storage is gone included; none may
 * be called from a signal handler. A pointer function that fails returns NULL and sets errno. A block that is not of
 * this heap, or is freed twice, ends the process with one line on standard error, where it is seen.
 */
#ifndef ALLOT_MALLOC_H
#define ALLOT_MALLOC_H

#include <allot/part.h>

#ifdef __cplusplus
extern "C" {
#endif

/* -- the family ------------------------------------------------------------------------------------------------- */

/* A block of at least `size` bytes, contents undefined. Size 0 gives a unique block of no usable length that may be
 * freed. ENOMEM when the system gives no more, or when size exceeds PTRDIFF_MAX. Up to 1 KiB: about a dozen
 * instructions. C23 7.24.3.6. */
ALLOT_API void *allot_malloc(size_t size) __attribute__((malloc, alloc_size(1)));

/* A block of n objects of `size` bytes each, all zero; ENOMEM also when n * size overflows. Memory that is known to be
 * untouched is not written again. C23 7.24.3.2. */
ALLOT_API void *allot_calloc(size_t n, size_t size) __attribute__((malloc, alloc_size(1, 2)));

/* Makes `p` at least `size` bytes long, moving it if need be: the contents up to the lesser of both sizes are kept. On
 * failure (ENOMEM) the old block is untouched. `p` NULL: as malloc. `size` 0 with a block: frees it and returns NULL,
 * as glibc does. C23 7.24.3.7. */
ALLOT_API void *allot_realloc(void *p, size_t size) __attribute__((alloc_size(2)));

/* As realloc to n * size bytes; ENOMEM, and the block untouched, when the product overflows. POSIX 2024. */
ALLOT_API void *allot_reallocarray(void *p, size_t n, size_t size) __attribute__((alloc_size(2, 3)));

/* Gives a block back; NULL is ignored. errno is kept. Any thread. */
ALLOT_API void allot_free(void *p);

/* As free, by one who knows what was asked for: `size` as given to malloc, calloc or realloc; `align` and `size` as
 * given to aligned_alloc. C23 7.24.3.4 and .5. */
ALLOT_API void allot_free_sized(void *p, size_t size);
ALLOT_API void allot_free_aligned_sized(void *p, size_t align, size_t size);

/* A block whose address is a multiple of `align`, a power of two; EINVAL when it is not. `size` need not be a multiple
 * of it. C23 7.24.3.1. */
ALLOT_API void *allot_aligned_alloc(size_t align, size_t size) __attribute__((malloc, alloc_align(1), alloc_size(2)));

/* Stores such a block in *out and returns 0, or returns EINVAL (align is not a power of two times sizeof(void *)) or
 * ENOMEM and leaves *out and errno as they were. POSIX 2024. */
ALLOT_API int allot_posix_memalign(void **out, size_t align, size_t size);

/* As aligned_alloc; an `align` that is no power of two is rounded up to one, as glibc does; EINVAL when that would
 * overflow. */
ALLOT_API void *allot_memalign(size_t align, size_t size) __attribute__((malloc, alloc_size(2)));

/* A block that starts on a page; pvalloc also rounds the size up to whole pages. */
ALLOT_API void *allot_valloc(size_t size) __attribute__((malloc, alloc_size(1)));
ALLOT_API void *allot_pvalloc(size_t size) __attribute__((malloc, alloc_size(1)));

/* How many bytes of a block may be used: never less than was asked for, all of them the caller's. 0 for NULL. */
ALLOT_API size_t allot_malloc_usable_size(const void *p);

/* -- what malloc lacks ------------------------------------------------------------------------------------------ */

/* Makes a block at least `size` bytes long where it stands: true, or false and nothing has changed. Never copies; `p` is a
 * live block. */
ALLOT_API bool allot_try_expand(void *p, size_t size);

/* Gives every page that holds nothing back to the system, now, from any thread. Returns the bytes of those that it had in hand,
 * resident or not. Covered are: what this thread and threads that have ended freed or left, also in between blocks in use; what
 * anybody freed of a live thread's; and all that is kept for later. Not covered: what another live thread has freed of its own
 * in slabs that are in use, and has at hand. Cost: one visit per slab, and per slot that has been freed in it. */
ALLOT_API size_t allot_trim(void);

/* Marks the calling thread as one that must not be kept waiting, or takes the mark away; returns whether it was marked. While
 * it is, its calls of malloc, free and their kin never enter the kernel to give memory back, and walk no list further than 16
 * steps. What it frees stays resident: the next thread without the mark that needs a new slab, or frees a block of more than
 * 32 KiB, gives back what is too much, and so does allot_trim. A block of more than 2 MiB that such a thread makes shorter keeps
 * its length. A marked thread may still enter
 * the kernel to get memory, and wait while another thread holds a lock; when memory is out everything is tried. Cost: none. */
ALLOT_API bool allot_thread_latency(bool on);

/* Sets an option as ALLOT_OPTIONS=name=value would: 0, or -EINVAL (and one line on standard error) when there is no
 * such option or the value is not one of its values; the option keeps what it had. */
ALLOT_API int allot_option(const char *name, const char *value);

/* -- what the heap can tell ------------------------------------------------------------------------------------- */

struct allot_stats {
    size_t live;   /* bytes of blocks handed out and not freed, each at its usable size, and 8 if it has a tag */
    size_t blocks; /* how many */
    size_t peak; /* the most that `live` has been; too high by what threads have at hand, and by what was freed in slabs
                        that nobody has looked at since */
    size_t mapped; /* address space held: blocks, free memory and the heap's own records */
    size_t
        held; /* in use: whole slabs, runs and large blocks, as a limit counts them; also those of pools and caches, whose
                          objects are no blocks */
    size_t kept;       /* free, and kept for later: perhaps in memory */
    size_t given_back; /* what has gone back to the system so far, whether it was in memory or not */
    size_t runs;       /* of `live`, blocks of whole pages: above 32 KiB */
    size_t run_blocks;
    size_t large; /* of `live`, blocks with a mapping of their own: above 2 MiB */
    size_t large_blocks;
    size_t metadata; /* of `mapped`, the heap's own records */
    size_t segments; /* 4 MiB pieces of address space cut into slabs and page runs */
    size_t threads;  /* live threads that have allocated */
    size_t hugetlb;  /* of `mapped`, explicit huge pages (option hugetlb); the system counts them in no VmRSS */
};

/* One size class of small blocks. */
struct allot_class_stats {
    size_t size;   /* bytes of a block; above 1 KiB up to an eighth less in slabs that are tuned to what is asked for */
    size_t blocks; /* live */
    size_t free;   /* blocks that the class could hand out without a new slab */
    size_t slabs;
};

enum allot_heap_kind {
    ALLOT_HEAP_THREAD, /* a live thread's */
    ALLOT_HEAP_TAGGED, /* a live thread's second one, for what it allocates under tags (allot/tag.h); with harden=3 a tag's */
    ALLOT_HEAP_WAITING, /* either, whose thread has ended: it waits for another */
    ALLOT_HEAP_SHARED,  /* of what threads want little of: one of the few that all threads share */
    ALLOT_HEAP_PRIVATE, /* a first-class heap (allot/heap.h) */
    ALLOT_HEAP_LOST     /* of a thread that did not come along when this process was forked */
};

/* One heap: a thread's, which it gets with its first few KiB (the first thread at once), or its second one,
 * for what it allocates under tags (allot/tag.h), or a tag's own; a first-class heap's (allot/heap.h); or one of the few that all
 * threads share for what they want little of. */
struct allot_heap_stats {
    uint32_t id;
    int tid; /* the owning thread's kernel id; 0 when none lives, or for a heap of the other kinds */
    enum allot_heap_kind kind;
    size_t live;  /* bytes in small blocks cut for this heap */
    size_t held;  /* bytes of slabs it owns */
    size_t slabs; /* how many */
};

/* The figures of the whole process. Visits every slab header, for about 0.3 us a segment; enters the kernel only to wait for a
 * lock. While other threads allocate, each figure is one that was true at some moment of the call, within what they did
 * meanwhile. */
ALLOT_API void allot_stats(struct allot_stats *out);

/* How many bytes of what is mapped lie in memory now. Asks the system for every page of it: about 3 us for 4 MiB. */
ALLOT_API size_t allot_resident(void);

/* Fills at most `max` entries, one for each size class in use (each heap that holds slabs; of more than fit, those that hold
 * most), and returns how many there are in all. A thread that has wanted only a few KiB so far has no heap and so no row: its
 * blocks are among those of the shared ones, of which nobody knows whose they are. */
ALLOT_API size_t allot_stats_classes(struct allot_class_stats *out, size_t max);
ALLOT_API size_t allot_stats_heaps(struct allot_heap_stats *out, size_t max);

/* Prints those figures to a file descriptor, as text or as one line of JSON. Allocates nothing. 0 or -errno. */
ALLOT_API int allot_stats_print(int fd, bool json);

/* Calls `visit` for each live block, in order of address within a segment; stops and returns its value when that is not
 * 0. Other threads must not allocate or free meanwhile; `visit` must not either. */
ALLOT_API int allot_walk(int (*visit)(void *block, size_t usable, void *arg), void *arg);

/* Walks every structure of the heap and proves its equations; a broken one ends the process with a line that names it.
 * Other threads must be still. Returns true. */
ALLOT_API bool allot_check(void);

/* After `n` more requests to the system for memory every further one fails, as if none were left; a negative n lifts
 * that. For testing what a program does when memory runs out. */
ALLOT_API void allot_fail_after(long n);

#ifdef __cplusplus
}
#endif

#endif
