/* pool/local.h - local pools: each thread owns slabs.
 *
 *   thread: of[number] ----> share (a set) ----> slabs        gets and puts of its own: no atomic operation
 *                              ^   inbox <------ remote bits  puts by others: one, and a notice when it is the first
 *   pool:   shares, idle ------+
 *
 * When a thread ends, its shares wait in their pools' idle lists with all slabs of which anything is out: the next thread that gets
 * from such a pool takes one over as it is, and a thread that would take a fresh slab takes one with room from there. What others
 * put meanwhile is taken in by who puts it. What a thread past its end still gets comes from a share that is nobody's. In the child
 * of a fork the shares of the threads that stayed behind are left alone, as they may have been caught in the middle of a change.
 */
#ifndef POOL_LOCAL_H
#define POOL_LOCAL_H

#include "pool/set.h"

struct pool;

/* Of the calling thread; `of` is the heap's. */
struct share {
    struct set *set;
    uint64_t serial; /* of the pool that it is a share in */
};
struct shares {
    struct share *of; /* by the pool's number */
    uint32_t count;
    bool ended;
};
extern __thread struct shares shares;

/* A share in the pool that the calling thread may use by itself: NULL when it is past its end, or memory is out. */
struct set *local_attach(struct pool *pool) __attribute__((cold));

/* A share for those who have none, with the chain's lock held. */
struct set *local_make(struct pool *pool);

/* Its thread did not come along when this process was forked. */
bool local_is_lost(const struct set *set);

void local_thread_ends(void);
void local_come_along(void);

#endif
