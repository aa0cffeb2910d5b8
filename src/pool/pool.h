/* pool/pool.h - a pool inside: which slabs, or single objects, it hands out, and who may.
 *
 *   private   slabs ----> set          of whoever calls
 *   locked                set          under the lock
 *   local                 set          a share of each thread, by pool->number in a table of the thread's (pool/local.h);
 *                                      and one for threads past their end, under the chain's lock
 *   objects above SLOT_MAX, in any mode: whole pages each (pool/single.h), under the lock
 */
#ifndef POOL_POOL_H
#define POOL_POOL_H

#include <allot/pool.h>

#include "pool/chain.h"
#include "pool/set.h"
#include "pool/single.h"

struct pool {
    struct link link; /* first; its lock: see above */
    enum allot_pool_mode mode;
    bool is_single;
    uint32_t number; /* for good, as the record is used again; local */
    uint64_t serial; /* of this use of it, never again */
    struct set *set;
    struct set *shares; /* local: all, by next_of_pool; and those without a thread, by next_idle. The chain's lock's */
    struct set *_Atomic idle;
    struct singles singles;
    size_t align;
    char name[ALLOT_POOL_NAME_MAX + 1];
};

#endif
