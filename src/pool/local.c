/* pool/local.c - see pool/local.h. A thread's first get from a pool costs the chain's lock, and a place in its table. */
#include "pool/local.h"

#include <errno.h>
#include <string.h>

#include <allot/malloc.h>

#include "os/process.h"
#include "pool/pool.h"

__thread struct shares shares;

static uint32_t epoch;

bool local_is_lost(const struct set *set) { return set->user && set->epoch != epoch; }

static void take(struct set *set)
{
    set->user = &shares;
    set->epoch = epoch;
    atomic_store_explicit(&set->part.owned, true, memory_order_seq_cst);
}

/* A slab of one of the idle: looks at a few, and does not wait. */
static struct slab *inherit(struct set *set)
{
    enum { FEW = 4 };
    struct slab *s = NULL;
    if (!set->pool->idle) { /* as it was at some moment; there are fresh units */
        return NULL;
    }
    chain_lock();
    struct set *of = set->pool->idle;
    for (unsigned looked = 0; of && !s && looked < FEW; looked++) {
        s = set_take_over(of, set);
        of = of->next_idle;
    }
    chain_unlock();
    return s;
}

struct set *local_make(struct pool *pool)
{
    struct set *set = set_alloc();
    if (set) {
        set_init(set, "pool", pool->name, pool->set ? pool->set->part.size : 0, pool->align);
        set->pool = pool;
        set->inherit = inherit;
        set->next_of_pool = pool->shares;
        pool->shares = set;
    }
    return set;
}

static bool make_room(uint32_t number)
{
    if (number < shares.count) {
        return true;
    }
    uint32_t count = (uint32_t)size_max(16, (size_t)2 << log2_floor(number | 1));
    struct share *of = allot_realloc(shares.of, count * sizeof *of);
    if (!of) {
        return false;
    }
    memset(of + shares.count, 0, (count - shares.count) * sizeof *of);
    shares.of = of;
    shares.count = count;
    return true;
}

struct set *local_attach(struct pool *pool)
{
    if (shares.ended || !make_room(pool->number)) {
        return NULL;
    }
    os_watch_thread();
    chain_lock();
    struct set *set = pool->idle;
    if (set) {
        pool->idle = set->next_idle;
    } else {
        set = local_make(pool);
    }
    if (set) {
        take(set);
    }
    chain_unlock();
    if (set) {
        shares.of[pool->number] = (struct share){set, pool->serial};
    }
    return set;
}

/* With the chain's lock held. */
static bool is_mine(const struct share *share)
{
    const struct set *set = share->set;
    return set && set->user == &shares && set->pool && set->pool->serial == share->serial && !local_is_lost(set);
}

void local_thread_ends(void)
{
    shares.ended = true;
    chain_lock();
    for (uint32_t i = 0; i < shares.count; i++) {
        struct set *set = shares.of[i].set;
        if (is_mine(&shares.of[i])) {
            set_trim(set, false);
            set->user = NULL;
            set->next_idle = set->pool->idle;
            set->pool->idle = set;
            set_disown(set);
        }
    }
    chain_unlock();
    allot_free(shares.of);
    shares.of = NULL;
    shares.count = 0;
}

void local_come_along(void)
{
    uint32_t was = epoch;
    epoch++;
    for (uint32_t i = 0; i < shares.count; i++) {
        struct set *set = shares.of[i].set;
        if (set && set->user == &shares && set->epoch == was) {
            set->epoch = epoch;
        }
    }
}
