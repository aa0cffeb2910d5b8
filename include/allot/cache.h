/* allot/cache.h - objects that stay constructed: a slab cache.
 *
 *     struct allot_cache conns;
 *     allot_cache_init(&conns, sizeof(struct conn), &(struct allot_cache_opts){.name = "conn", .ctor = prepare, .dtor = wreck});
 *     struct conn *conn = allot_cache_get(&conns);   // constructed, now or long ago
 *     allot_cache_put(&conns, conn);                 // as constructed: locks free, lists empty, buffers there
 *     allot_cache_trim(&conns);                      // what is free is destructed and goes
 *     allot_cache_done(&conns);
 *
 * What is dear to make of an object and the same each time - a mutex, a buffer of its own, a table - is made once, when its place in
 * a slab is handed out for the first time, and stays while the object is free: a get is then as cheap as a pool's. The constructor
 * runs once per object per slab life, the destructor when the slab goes, which it does at trim and done only. (Bonwick, "The slab
 * allocator: an object-caching kernel memory allocator", USENIX 1994.)
 *
 * The object that was put last is the first that is got, up to 64 back; behind these, the fullest slab with room serves, so that
 * slabs that are nearly empty drain; or always the free one at the lowest address. Slabs begin their first object at different
 * places, 64 bytes apart, as far as there is room that no object uses, so that the same field of objects in many slabs does not
 * fall into the same cache lines. Free objects are never written to. Slabs, alignment, and objects above 32 KiB: as in
 * allot/pool.h; so are what malloc's family makes of objects, allot_put, and the state in the child of a fork.
 *
 * Threads: of a cache, one at a time, whichever: the caller sees to it. With ALLOT_CACHE_LOCKED any, at any moment; constructor and
 * destructor run with the cache's lock held and may call anything but this cache and a fork. There are no caches with a share for
 * each thread, as what one thread has constructed would lie idle for the others; a cache for each thread does the same, with its
 * objects put where they were got. The struct is the caller's; it may be moved while no call runs.
 */
#ifndef ALLOT_CACHE_H
#define ALLOT_CACHE_H

#include <allot/pool.h>

#ifdef __cplusplus
extern "C" {
#endif

struct allot_cache {
    void *state; /* all private */
    const void *home;
    void *slabs;
};

enum {
    ALLOT_CACHE_LOCKED = 1, /* see above: threads */
    ALLOT_CACHE_LOWEST =
        2, /* the free object at the lowest address is the next, of all slabs. A put or get that comes to another
                             * slab costs a look at each with room */
    ALLOT_CACHE_TYPE_STABLE =
        4, /* memory stays objects of this cache until done: who comes late may still read a free one, and finds its
                                  * type there, if perhaps another's life. trim gives nothing back; nothing is poisoned */
    ALLOT_CACHE_COLOUR = 8, /* where no room is left over in a slab, one object less makes some */
};

struct allot_cache_opts {
    const char *name; /* as a pool's; NULL: "cache" */
    size_t align;     /* likewise */

    /* Makes of `size` bytes without a value a constructed object: 0, or -errno, with which the get fails. NULL: the bytes are zero
     * when they are first handed out. */
    int (*ctor)(void *object, void *arg);
    void (*dtor)(void *object, void *arg); /* NULL: nothing is to be done */
    void *arg;

    /* To find who puts an object that is not as constructed, or writes to a free one: `size` bytes, in which the bits are set that
     * have to be as the constructor has left them; a put, and the next get, compare. NULL: nothing is compared. Costs as much
     * memory again, and the comparison. */
    const void *mask;

    unsigned flags;
};

/* Prepares a cache of objects of `size` bytes, 0 as 1; `opts` NULL or all zero: the defaults, and `mask` has to stay. 0, -ENOMEM,
 * or -EINVAL. Any thread. */
ALLOT_API int allot_cache_init(struct allot_cache *cache, size_t size, const struct allot_cache_opts *opts);

/* A constructed object. NULL with ENOMEM, or what the constructor has returned. */
ALLOT_API void *allot_cache_get(struct allot_cache *cache) __attribute__((malloc));

/* Takes it back, as constructed; NULL is ignored. Misuse as allot_pool_put's; and "not as constructed" with its first byte that
 * differs, where there is a mask. */
ALLOT_API void allot_cache_put(struct allot_cache *cache, void *object);

/* Makes ready so many objects, constructed, beside those that are out: the next so many gets fail not, construct not and call not
 * the system. 0, -ENOMEM or what the constructor returns: then some are. */
ALLOT_API int allot_cache_reserve(struct allot_cache *cache, size_t objects);

/* Destructs the objects of slabs that are all free, and gives these back to the system, and what the heap below has free. Returns
 * the bytes that went. */
ALLOT_API size_t allot_cache_trim(struct allot_cache *cache);

/* Destructs every object and gives everything back. Objects that are out end the process. */
ALLOT_API void allot_cache_done(struct allot_cache *cache);

struct allot_cache_stats {
    struct allot_use use;
    size_t stride, per_slab; /* as of a pool */
    size_t slabs;            /* those in hand included; of these: */
    size_t full, partial, empty;
    uint64_t made, gone;                    /* slabs, so far */
    uint64_t to_full, to_partial, to_empty; /* moves of a slab onto that list */
    uint64_t constructed, destructed,
        failed;     /* calls of the constructor that were well, of the destructor, of the first that failed */
    size_t colours; /* places where a slab's first object may lie */
};

/* Cost: a visit of each slab. */
ALLOT_API void allot_cache_stats(struct allot_cache *cache, struct allot_cache_stats *out);

/* As allot_pool_walk and allot_pool_check. */
ALLOT_API int allot_cache_walk(struct allot_cache *cache, int (*visit)(void *object, void *arg), void *arg);
ALLOT_API bool allot_cache_check(struct allot_cache *cache);

/* Visits every cache of the process, in the order in which they were made; stops at a value other than 0 and returns it. `cache` is
 * a copy of the caller's struct that is good during the visit, and may be given to stats, check and walk, where the cache's thread
 * rule allows that; the visit makes and ends no pool or cache. */
ALLOT_API int allot_caches_walk(int (*visit)(struct allot_cache *cache, const char *name, void *arg), void *arg);

#ifdef __cplusplus
}
#endif

#endif
