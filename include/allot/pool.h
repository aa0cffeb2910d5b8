/* allot/pool.h - objects of one size: a pool.
 *
 *     struct allot_pool jobs;
 *     if (allot_pool_init(&jobs, sizeof(struct job), &(struct allot_pool_opts){.name = "jobs"}) != 0) ...
 *     struct job *job = allot_pool_get(&jobs);       // no value yet
 *     allot_put(job);                                // the pool is found from the address
 *     allot_pool_done(&jobs);
 *
 * For what is made and dropped all the time and is always as long: nodes, messages, connections. Against malloc it saves the size
 * classes' rounding and the lists' cache misses, it keeps what belongs together side by side, it can be counted by itself, made
 * ready ahead, and checked: an object that is put twice is caught at the second put, in every mode. Objects carry no header.
 *
 * Objects lie in slabs of 64 KiB of the library's own heap, at multiples of their size, rounded up to 16 bytes or their alignment.
 * What is put goes out again first, the last of 64; behind these is a bitmap of each slab, from which the fullest slab's free
 * objects go out in order of address, so that neighbours stay neighbours and emptied slabs go back. One larger than 32 KiB has
 * whole pages of its own instead: such are meant to be few.
 *
 * Threads, by mode:
 *   ALLOT_POOL_PRIVATE  one thread at a time, whichever: the caller sees to it
 *   ALLOT_POOL_LOCKED   any thread, any moment; they share the free objects
 *   ALLOT_POOL_LOCAL    any thread, any moment; each has slabs of its own, from which it gets and to which it puts without an atomic
 *                       operation. Others put there with one, and the owner collects when it runs out. When a thread ends, others go
 *                       on with what it leaves
 * stats, check, walk, trim of a LOCAL pool and done of any want that no other thread is in a call of the same pool. The struct is
 * the caller's; it may be moved while no call runs.
 *
 * In the child of a fork a LOCKED pool is as it was, a PRIVATE one as whoever used it left it, and of a LOCAL one the thread that
 * forked has what it had; the slabs of the threads that stayed behind are nobody's from then on.
 *
 * Memory counts to the process's limit and to allot_stats' `held`. To malloc's family objects are no blocks: allot_walk does not
 * show them, and free or realloc of one ends the process with a line that names the pool. (Bonwick, "The slab allocator", 1994; puts
 * by others: as mimalloc's and snmalloc's remote frees, see docs/pool.md.)
 */
#ifndef ALLOT_POOL_H
#define ALLOT_POOL_H

#include <allot/part.h>

#ifdef __cplusplus
extern "C" {
#endif

enum allot_pool_mode { ALLOT_POOL_PRIVATE, ALLOT_POOL_LOCKED, ALLOT_POOL_LOCAL };

struct allot_pool {
    void *state; /* all private */
    const void *home;
    void *slabs;
};

#define ALLOT_POOL_NAME_MAX 39 /* bytes; of a cache's too */

struct allot_pool_opts {
    const char *name; /* for lines about crimes; copied, cut to the most. NULL: "pool" */
    size_t align;     /* of objects, a power of two; 0: 16 */
    enum allot_pool_mode mode;
};

/* Prepares an empty pool of objects of `size` bytes, 0 as 1; `opts` NULL or all zero: the defaults. 0, -ENOMEM, or -EINVAL for an
 * alignment that is no power of two or a size beyond PTRDIFF_MAX. Any thread. Cost: a lock and a record of 1 KiB, which is used
 * again; no slab until the first get. */
ALLOT_API int allot_pool_init(struct allot_pool *pool, size_t size, const struct allot_pool_opts *opts);

/* An object, without a value. NULL with ENOMEM. Cost: some ten instructions; a lock where that is the mode; a slab now and then. */
ALLOT_API void *allot_pool_get(struct allot_pool *pool) __attribute__((malloc));

/* Takes an object back; NULL is ignored. The second form finds the pool, or cache (allot/cache.h), from the address alone, in
 * the time of a few more loads. An object that is free already, one of another pool, and what is none at all end the process; where
 * there is no memory of this library, as with free, that may come by SIGSEGV. Cost: some twenty instructions; an atomic one where
 * the slab is not the calling thread's own; none of the object's bytes is touched. */
ALLOT_API void allot_pool_put(struct allot_pool *pool, void *object);
ALLOT_API void allot_put(void *object);

/* Many at once, for who passes them on in batches: gets up to `count`, and returns how many it was; fewer with ENOMEM. And takes
 * back so many, of whatever pools and caches; each as allot_put. Cost: for neighbours, of which up to 64 are served together, a few
 * instructions each, and one that is atomic for them all. */
ALLOT_API size_t allot_pool_get_many(struct allot_pool *pool, void **objects, size_t count);
ALLOT_API void allot_put_many(void *const *objects, size_t count);

/* Makes ready so many objects beside those that are out: the next so many gets fail not and call not the system, as long as
 * nobody else gets; in a LOCAL pool the calling thread's. Until trim, so many stay ready for good as the largest call has said. 0,
 * or -ENOMEM: then some may be. */
ALLOT_API int allot_pool_reserve(struct allot_pool *pool, size_t objects);

/* Gives back to the system what holds no object: slabs, and pages within the others; and what the heap below has free. In a LOCAL
 * pool, of the calling thread's slabs and of those without a thread. What was reserved is not any more. Returns the bytes that
 * went. Cost: a visit of each slab, and the system calls. */
ALLOT_API size_t allot_pool_trim(struct allot_pool *pool);

/* Gives everything back. Objects that are still out end the process: "done while objects are in use". The struct may be given to
 * init again. */
ALLOT_API void allot_pool_done(struct allot_pool *pool);

struct allot_pool_stats {
    struct allot_use use; /* `used` in bytes as objects were asked for, `count` objects; `held` slabs and pages */
    size_t stride;        /* bytes from an object to the next */
    size_t per_slab;      /* objects; 0 where each has pages of its own */
    size_t slabs;         /* those in hand included; of these: */
    size_t full, partial, empty;
    size_t shares; /* threads' shares, those that wait for another thread included; LOCAL */
};

/* Cost: a visit of each slab. */
ALLOT_API void allot_pool_stats(struct allot_pool *pool, struct allot_pool_stats *out);

/* Visits each object that is out, slab by slab in order of address; stops at a value other than 0 and returns it. `visit` may call
 * nothing of the pool. */
ALLOT_API int allot_pool_walk(struct allot_pool *pool, int (*visit)(void *object, void *arg), void *arg);

/* Proves the pool's equations; ends the process when one is broken. Returns true. Cost: a visit of each slab. */
ALLOT_API bool allot_pool_check(struct allot_pool *pool);

#ifdef __cplusplus
}
#endif

#endif
