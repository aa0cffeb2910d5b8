/* pool/cache.h - a cache inside. See include/allot/cache.h. */
#ifndef POOL_CACHE_H
#define POOL_CACHE_H

#include <allot/cache.h>

#include "pool/chain.h"
#include "pool/set.h"
#include "pool/single.h"

struct cache {
    struct link link; /* first; its lock: of one with ALLOT_CACHE_LOCKED */
    struct allot_cache_opts opts;
    size_t size;  /* of an object */
    size_t image; /* from it to a copy of it as constructed, in the same slot; 0: none */
    bool is_single;
    uint64_t constructed, destructed, failed;
    struct set *set;
    struct singles singles;
    char name[ALLOT_POOL_NAME_MAX + 1];
};

/* An object of this cache, or what is said to be one, is put. */
void cache_put(struct cache *own, void *p);

#endif
