/* pool/chain.h - all pools and all caches, in the order in which they were made; and what a fork and a thread's end do to them.
 *
 * The chain's lock is the outermost here: it also guards records that wait for another use, threads' shares of local pools
 * (pool/local.h) while they have no thread, and is held while a pool or cache begins or ends. Then come the locks of the single
 * ones, then the heap's.
 */
#ifndef POOL_CHAIN_H
#define POOL_CHAIN_H

#include "os/lock.h"

struct link {
    struct os_lock lock; /* of the pool or cache */
    struct link *next, *prev;
};

enum chain { CHAIN_POOLS, CHAIN_CACHES, CHAINS };

void chain_lock(void);
void chain_unlock(void);

/* With the lock held. The first one added also has the process's forks and threads' ends watched. */
void chain_add(enum chain which, struct link *link);
void chain_remove(enum chain which, struct link *link);
struct link *chain_first(enum chain which);

#endif
