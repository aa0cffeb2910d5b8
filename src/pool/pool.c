/* pool/pool.c - pools. See pool/pool.h and include/allot/pool.h. */
#include "pool/pool.h"

#include <errno.h>
#include <string.h>

#include "heap/heap.h"
#include "heap/instance.h"
#include "os/fault.h"
#include "os/memory.h"
#include "pool/cache.h"
#include "pool/local.h"
#include "span/map.h"

static struct pool *unused; /* by link.next: the chain's lock's */
static uint32_t numbers;
static uint64_t serials;

/* -- the state behind the caller's struct -- */

/* Another copy of this library has the pool, which is told of what is not ours; or nobody has. */
static const struct instance *elsewhere(const struct allot_pool *pool)
{
    if (unlikely(!pool->state)) {
        allot_fault("use of a pool that was not initialised, or is done", "pool", pool);
    }
    return pool->home;
}

static inline bool is_here(const struct allot_pool *pool) { return likely(pool->home == &own_instance); }

/* -- begin and end -- */

/* With the chain's lock held. */
static struct pool *alloc(void)
{
    struct pool *own = unused;
    if (own) {
        unused = (struct pool *)own->link.next;
    } else {
        own = record_alloc(sizeof *own);
        if (own) {
            own->number = numbers++;
        }
    }
    return own;
}

static void forget(struct pool *own)
{
    own->link.next = (struct link *)unused;
    unused = own;
}

static bool begin(struct pool *own, size_t size, const struct allot_pool_opts *opts)
{
    uint32_t number = own->number;
    *own = (struct pool){.mode = opts->mode, .number = number, .serial = ++serials, .align = opts->align};
    strncpy(own->name, opts->name ? opts->name : "pool", ALLOT_POOL_NAME_MAX);
    size_t stride = align_up(size_max(size, 1), size_max(opts->align, 16));
    own->is_single = stride > SLOT_MAX || opts->align > SLOT_MAX;
    own->set = local_make(own);
    if (!own->set) {
        forget(own);
        return false;
    }
    set_init(own->set, "pool", own->name, size, own->is_single ? 16 : opts->align);
    own->set->pool = own;
    if (own->is_single) {
        singles_init(&own->singles, size, opts->align, 1);
    } else if (own->mode == ALLOT_POOL_LOCAL) {
        set_disown(own->set);
    }
    chain_add(CHAIN_POOLS, &own->link);
    return true;
}

int allot_pool_init(struct allot_pool *pool, size_t size, const struct allot_pool_opts *opts)
{
    const struct instance *first = instance_in_use();
    if (first) {
        return first->pool_init(pool, size, opts);
    }
    static const struct allot_pool_opts defaults;
    struct allot_pool_opts all = opts ? *opts : defaults;
    *pool = (struct allot_pool){0};
    all.align = all.align ? all.align : 16;
    if (!is_power_of_2(all.align) || all.align > PTRDIFF_MAX || size > PTRDIFF_MAX - all.align ||
        all.mode > ALLOT_POOL_LOCAL) {
        return -EINVAL;
    }
    int saved = errno;
    heap_init();
    chain_lock();
    struct pool *own = alloc();
    bool done = own && begin(own, size, &all);
    chain_unlock();
    errno = saved;
    if (!done) {
        return -ENOMEM;
    }
    bool alone = all.mode == ALLOT_POOL_PRIVATE && !own->is_single;
    *pool = (struct allot_pool){.state = own, .home = &own_instance, .slabs = alone ? own->set : NULL};
    return 0;
}

/* Every set of a pool that may be looked at, with its locks held. */
#define each_set(own, set)                                                                    \
    for (struct set *set = (own)->mode == ALLOT_POOL_LOCAL ? (own)->shares : (own)->set; set; \
         set = (own)->mode == ALLOT_POOL_LOCAL ? set->next_of_pool : NULL)                    \
        if ((own)->mode != ALLOT_POOL_LOCAL || !local_is_lost(set))

static void lock(struct pool *own)
{
    if (own->is_single || own->mode == ALLOT_POOL_LOCKED) {
        os_lock(&own->link.lock);
    } else if (own->mode == ALLOT_POOL_LOCAL) {
        chain_lock();
    }
}

static void unlock(struct pool *own)
{
    if (own->is_single || own->mode == ALLOT_POOL_LOCKED) {
        os_unlock(&own->link.lock);
    } else if (own->mode == ALLOT_POOL_LOCAL) {
        chain_unlock();
    }
}

static int refuse_object(void *object, void *arg)
{
    const struct pool *own = arg;
    part_fault("done while objects are in use", &own->set->part, object);
}

void allot_pool_done(struct allot_pool *pool)
{
    if (!is_here(pool)) {
        elsewhere(pool)->pool_done(pool);
        return;
    }
    struct pool *own = pool->state;
    chain_lock();
    chain_remove(CHAIN_POOLS, &own->link);
    if (own->is_single) {
        singles_walk(&own->singles, refuse_object, own);
        singles_done(&own->singles, own->set);
    }
    struct set *sets = own->mode == ALLOT_POOL_LOCAL ? own->shares : own->set;
    for (struct set *set = sets, *next; set; set = next) {
        next = set->next_of_pool;
        if (local_is_lost(set)) { /* it stays as it is, and nobody's */
            set->part.name = NULL;
            set->pool = NULL;
            continue;
        }
        set_drain(set, false);
        if (set_count(set) != 0) {
            set_walk(set, refuse_object, own);
        }
        set_release_all(set);
        set_free(set);
    }
    forget(own);
    chain_unlock();
    *pool = (struct allot_pool){0};
}

/* -- getting -- */

static void *__attribute__((noinline)) get_slow(struct set *set)
{
    void *p = set_take(set, false);
    p = p ? p : set_take_more(set);
    if (p) {
        set_watch_out(set, p, false);
    }
    return p;
}

static inline __attribute__((always_inline)) void *get(struct set *set)
{
    void *p = likely(!set->watched) ? set_take(set, false) : NULL;
    return likely(p != NULL) ? p : get_slow(set);
}

/* The calling thread's; of a pool that is not local, or has single objects, nobody has any. */
static inline struct set *my_share(const struct pool *own)
{
    if (unlikely(own->number >= shares.count)) {
        return NULL;
    }
    const struct share *share = &shares.of[own->number];
    return likely(share->serial == own->serial) ? share->set : NULL;
}

static void *__attribute__((noinline)) get_locked(struct pool *own)
{
    os_lock(&own->link.lock);
    void *p = get(own->set);
    os_unlock(&own->link.lock);
    return p;
}

/* The first of a thread's; or of one that is past its end; or of pages of its own. */
static void *__attribute__((noinline)) get_other(struct pool *own)
{
    struct set *set = own->is_single ? NULL : local_attach(own);
    if (set) {
        return get(set);
    }
    lock(own);
    void *p = own->is_single ? single_take(&own->singles, own->set, false) : get(own->set);
    if (p && own->is_single) {
        set_watch_out(own->set, p, false);
    }
    unlock(own);
    return p;
}

static void *__attribute__((noinline)) get_by_mode(struct allot_pool *pool)
{
    if (!is_here(pool)) {
        return elsewhere(pool)->pool_get(pool);
    }
    struct pool *own = pool->state;
    return own->is_single || own->mode == ALLOT_POOL_LOCAL ? get_other(own) : get_locked(own);
}

void *allot_pool_get(struct allot_pool *pool)
{
    struct set *set = pool->slabs;
    if (unlikely(!is_here(pool))) {
        return get_by_mode(pool);
    }
    if (likely(set != NULL)) {
        return get(set);
    }
    set = my_share(pool->state);
    return likely(set != NULL) ? get(set) : get_by_mode(pool);
}

size_t allot_pool_get_many(struct allot_pool *pool, void **objects, size_t count)
{
    if (!is_here(pool)) {
        return elsewhere(pool)->pool_get_many(pool, objects, count);
    }
    const struct pool *own = pool->state;
    bool local = own->mode == ALLOT_POOL_LOCAL && !own->is_single;
    size_t got = 0;
    while (got < count) {
        struct set *set = local ? my_share(own) : pool->slabs;
        if (likely(set && !set->watched)) {
            got += set_take_many(set, objects + got, count - got);
        }
        void *p = got < count ? allot_pool_get(pool) : NULL; /* which refills */
        if (unlikely(got < count && !p)) {
            break;
        }
        if (p) {
            objects[got++] = p;
        }
    }
    return got;
}

/* -- putting -- */

static void __attribute__((noinline, cold, noreturn)) refuse(const struct pool *own, const void *p)
{
    const struct part *part = map_get(p) == MAP_SEGMENT || begins_large(p) ? part_of(p) : NULL;
    if (part && part->name && (!own || !is_set(part->id) || set_of(part)->pool != own)) {
        part_fault("put of another's object", part, p);
    }
    if (own) {
        part_fault("put of what is no object", &own->set->part, p);
    }
    allot_fault("put of what is no object", "address", p);
}

/* It has been put, and something is due. */
static void __attribute__((noinline)) put_slow(struct set *set, struct slab *s, void *p)
{
    set_watch_free(set, p);
    if (s->trip < 0) {
        set_settle(set, s);
    }
}

static inline __attribute__((always_inline)) void put(struct set *set, struct slab *s, void *p, bool shared)
{
    bool due = set_put(set, s, p, false, shared);
    if (unlikely(due | set->watched)) {
        put_slow(set, s, p);
    }
}

static void __attribute__((noinline)) put_single(struct pool *own, void *p)
{
    os_lock(&own->link.lock);
    single_put(&own->singles, own->set, p);
    os_unlock(&own->link.lock);
}

static void __attribute__((noinline)) put_locked(struct pool *own, struct slab *s, void *p)
{
    os_lock(&own->link.lock);
    put(own->set, s, p, false);
    os_unlock(&own->link.lock);
}

static inline __attribute__((always_inline)) void put_by_mode(struct pool *own, void *p)
{
    if (unlikely(own->is_single)) {
        put_single(own, p);
        return;
    }
    struct slab *s = slab_of(p);
    uint32_t owner = atomic_load_explicit(&s->unit.owner, memory_order_acquire); /* as set_take_over has released it */
    if (likely(own->mode == ALLOT_POOL_LOCAL)) {
        struct set *set = my_share(own);
        if (likely(set != NULL) && owner == set->id) {
            put(set, s, p, true);
            return;
        }
        struct part *part = is_set(owner) ? part_by_id(owner) : NULL;
        if (unlikely(!part || set_of(part)->pool != own)) {
            refuse(own, p);
        }
        set_watch_free(set_of(part), p);
        set_put_remote(set_of(part), s, p);
    } else if (unlikely(owner != own->set->id)) {
        refuse(own, p);
    } else if (own->mode == ALLOT_POOL_LOCKED) {
        put_locked(own, s, p);
    } else {
        put(own->set, s, p, false);
    }
}

static void __attribute__((noinline)) put_in(struct allot_pool *pool, void *p)
{
    if (!p) {
        return;
    }
    if (is_here(pool)) {
        put_by_mode(pool->state, p);
    } else {
        elsewhere(pool)->pool_put(pool, p);
    }
}

void allot_pool_put(struct allot_pool *pool, void *p)
{
    struct set *set = pool->slabs;
    if (unlikely(!p || !is_here(pool))) {
        put_in(pool, p);
        return;
    }
    struct slab *s = slab_of(p);
    if (likely(set != NULL)) {
        if (unlikely(slab_owner(s) != set->id)) {
            refuse(pool->state, p);
        }
        put(set, s, p, false);
        return;
    }
    set = my_share(pool->state);
    if (likely(set && slab_owner(s) == set->id)) {
        put(set, s, p, true);
    } else {
        put_in(pool, p);
    }
}

/* p is no slot of a slab of a pool's here. */
static void __attribute__((noinline)) put_other(void *p)
{
    const struct instance *first = instance_in_use();
    if (first) {
        first->put(p);
        return;
    }
    const struct part *part = map_get(p) ? part_of(p) : NULL;
    if (!part || !part->name || !is_set(part->id)) {
        refuse(NULL, p);
    }
    if (set_of(part)->cache) {
        cache_put(set_of(part)->cache, p);
    } else {
        put_by_mode(set_of(part)->pool, p);
    }
}

/* The set of the slab that p lies in, or NULL. */
static inline struct set *set_at(const void *p)
{
    uint32_t owner = atomic_load_explicit(&slab_of(p)->unit.owner, memory_order_acquire);
    const struct part *part = !begins_large(p) && is_set(owner) ? part_by_id(owner) : NULL;
    return likely(part != NULL) ? set_of(part) : NULL;
}

static inline bool is_others_share(const struct set *set)
{
    const struct pool *own = set ? set->pool : NULL;
    return own && own->mode == ALLOT_POOL_LOCAL && !own->is_single && my_share(own) != set;
}

void allot_put(void *p)
{
    if (unlikely(begins_large(p))) {
        if (p) {
            put_other(p);
        }
        return;
    }
    struct set *set = set_at(p);
    if (likely(is_others_share(set))) {
        set_watch_free(set, p);
        set_put_remote(set, slab_of(p), p);
    } else if (likely(set && set->pool)) {
        put_by_mode(set->pool, p);
    } else {
        put_other(p);
    }
}

void allot_put_many(void *const *objects, size_t count)
{
    for (size_t i = 0; i < count;) {
        void *p = objects[i];
        struct set *set = likely(!begins_large(p)) ? set_at(p) : NULL;
        if (is_others_share(set) && !set->watched) {
            i += set_put_remote_many(set, slab_of(p), objects + i, count - i);
        } else {
            allot_put(p);
            i++;
        }
    }
}

/* -- the rest -- */

int allot_pool_reserve(struct allot_pool *pool, size_t objects)
{
    if (!is_here(pool)) {
        return elsewhere(pool)->pool_reserve(pool, objects);
    }
    struct pool *own = pool->state;
    int saved = errno, wrong;
    struct set *set = own->set;
    bool share = !own->is_single && own->mode == ALLOT_POOL_LOCAL;
    if (share) {
        set = my_share(own) ? my_share(own) : local_attach(own);
        wrong = set ? set_reserve(set, objects) : ENOMEM;
    } else {
        lock(own);
        wrong = own->is_single ? singles_reserve(&own->singles, set, objects) : set_reserve(set, objects);
        unlock(own);
    }
    errno = saved;
    return -wrong;
}

static size_t trim_shares(struct pool *own)
{
    struct set *set = my_share(own);
    size_t bytes = set ? set_trim(set, true) : 0;
    chain_lock();
    bytes += set_trim(own->set, true);
    for (set = own->idle; set; set = set->next_idle) {
        bytes += set_trim(set, true);
    }
    chain_unlock();
    return bytes;
}

size_t allot_pool_trim(struct allot_pool *pool)
{
    if (!is_here(pool)) {
        return elsewhere(pool)->pool_trim(pool);
    }
    struct pool *own = pool->state;
    size_t bytes;
    if (!own->is_single && own->mode == ALLOT_POOL_LOCAL) {
        bytes = trim_shares(own);
    } else {
        lock(own);
        own->singles.keep = 1;
        bytes = own->is_single ? singles_trim(&own->singles, own->set, 0) : set_trim(own->set, true);
        unlock(own);
    }
    big_give_up();
    segments_trim();
    return bytes;
}

static void add(struct set *set, struct allot_pool_stats *out)
{
    set_drain(set, false);
    size_t count = set_count(set);
    out->use.count += count;
    out->use.used += count * set->part.size;
    out->use.held += set->slabs * UNIT_SIZE;
    out->use.peak += set->most * UNIT_SIZE;
    out->use.refused += set->refused;
    out->slabs += set->slabs;
    struct set_places at = set_places(set);
    out->full += at.full;
    out->partial += at.partial;
    out->empty += at.empty;
}

void allot_pool_stats(struct allot_pool *pool, struct allot_pool_stats *out)
{
    if (!is_here(pool)) {
        elsewhere(pool)->pool_stats(pool, out);
        return;
    }
    struct pool *own = pool->state;
    *out = (struct allot_pool_stats){.stride = own->set->stride, .per_slab = own->set->slots};
    lock(own);
    if (own->is_single) {
        const struct singles *all = &own->singles;
        size_t count = singles_count(all);
        out->use = (struct allot_use){
            .used = count * own->set->part.size,
            .count = count,
            .held = all->count * all->each,
            .peak = all->most * all->each,
            .refused = own->set->refused,
        };
        out->stride = all->each;
        out->per_slab = 0;
    } else {
        each_set(own, set)
        {
            add(set, out);
            out->shares += own->mode == ALLOT_POOL_LOCAL && set != own->set;
        }
    }
    unlock(own);
}

int allot_pool_walk(struct allot_pool *pool, int (*visit)(void *object, void *arg), void *arg)
{
    if (!is_here(pool)) {
        return elsewhere(pool)->pool_walk(pool, visit, arg);
    }
    struct pool *own = pool->state;
    int stop = 0;
    lock(own);
    if (own->is_single) {
        stop = singles_walk(&own->singles, visit, arg);
    } else {
        each_set(own, set) { stop = stop ? stop : set_walk(set, visit, arg); }
    }
    unlock(own);
    return stop;
}

bool allot_pool_check(struct allot_pool *pool)
{
    if (!is_here(pool)) {
        return elsewhere(pool)->pool_check(pool);
    }
    struct pool *own = pool->state;
    lock(own);
    if (own->is_single) {
        singles_check(&own->singles, own->set);
    } else {
        each_set(own, set) { set_check(set); }
    }
    unlock(own);
    return true;
}
