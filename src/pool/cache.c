/* pool/cache.c - caches: a set whose slots are constructed when they go out for the first time. See include/allot/cache.h.
 *
 *   slot:  | object | copy of it as constructed, where a mask is given |
 *
 * A slot below `fresh` is constructed. So a slab is constructed as far as it has been handed out, and what is free in it stays so.
 */
#include "pool/cache.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "heap/heap.h"
#include "heap/instance.h"
#include "os/fault.h"
#include "os/memory.h"
#include "os/watch.h"
#include "span/map.h"

static struct cache *unused; /* by link.next: the chain's lock's */

/* Another copy of this library has the cache; or nobody has. */
static const struct instance *elsewhere(const struct allot_cache *cache)
{
    if (unlikely(!cache->state)) {
        allot_fault("use of a cache that was not initialised, or is done", "cache", cache);
    }
    return cache->home;
}

static inline bool is_here(const struct allot_cache *cache) { return likely(cache->home == &own_instance); }

static inline void lock(struct cache *own)
{
    if (own->opts.flags & ALLOT_CACHE_LOCKED) {
        os_lock(&own->link.lock);
    }
}

static inline void unlock(struct cache *own)
{
    if (own->opts.flags & ALLOT_CACHE_LOCKED) {
        os_unlock(&own->link.lock);
    }
}

/* -- constructed objects -- */

static void watch_image(const struct cache *own, const void *p, bool ours)
{
    if (own->set->watched) {
        (ours ? os_watch_allow : os_watch_deny)((const char *)p + own->image, own->size);
    }
}

static int construct(struct set *set, void *p)
{
    struct cache *own = set->cache;
    int wrong = 0;
    if (own->opts.ctor) {
        wrong = own->opts.ctor(p, own->opts.arg);
    } else {
        memset(p, 0, own->size);
    }
    if (wrong) {
        own->failed++;
        return wrong < 0 ? -wrong : wrong;
    }
    own->constructed++;
    if (own->image) {
        watch_image(own, p, true);
        memcpy((char *)p + own->image, p, own->size);
        watch_image(own, p, false);
    }
    return 0;
}

static void destruct(struct set *set, void *p)
{
    struct cache *own = set->cache;
    own->destructed++;
    if (own->opts.dtor) {
        own->opts.dtor(p, own->opts.arg);
    }
}

/* Faults when the object is not as constructed in what the mask says. */
static void __attribute__((noinline)) expect_constructed(const struct cache *own, const void *p, const char *crime)
{
    const unsigned char *now = p, *then = now + own->image, *mask = own->opts.mask;
    watch_image(own, p, true);
    for (size_t i = 0; i < own->size; i++) {
        if (unlikely((now[i] ^ then[i]) & mask[i])) {
            char text[80];
            snprintf(text, sizeof text, "%s, byte %zu", crime, i);
            part_fault(text, &own->set->part, p);
        }
    }
    watch_image(own, p, false);
}

/* -- begin and end -- */

/* Slot 0 may begin at each multiple of 64 bytes, and of the alignment, as far as that leaves room for all. */
static void colour(struct set *set, size_t align, bool makes_room)
{
    enum { STEP = 64, MOST = 255 }; /* klass is a byte */
    size_t step = size_max(align, STEP), room = UNIT_SIZE - set->slots * (size_t)set->stride;
    if (room < step && makes_room && set->slots > 1) {
        set->slots--;
        set->wake = 1;
        room += set->stride;
    }
    size_t colours = size_min(room / step, MOST * STEP / step) + 1;
    set->colour_step = (uint8_t)(step / STEP);
    set->colours = step / STEP > MOST ? 1 : (uint8_t)size_min(colours, MOST);
}

static bool begin(struct cache *own, size_t size, const struct allot_cache_opts *opts)
{
    *own = (struct cache){.opts = *opts, .size = size_max(size, 1)};
    strncpy(own->name, opts->name ? opts->name : "cache", ALLOT_POOL_NAME_MAX);
    own->image = opts->mask ? align_up(own->size, 16) : 0;
    size_t whole = own->image ? 2 * own->image : own->size;
    own->is_single = align_up(whole, size_max(opts->align, 16)) > SLOT_MAX || opts->align > SLOT_MAX;
    struct set *set = own->set = set_alloc();
    if (!set) {
        own->link.next = (struct link *)unused;
        unused = own;
        return false;
    }
    set_init(set, "cache", own->name, own->is_single ? 16 : whole, own->is_single ? 16 : opts->align);
    set->part.size = own->size;
    set->cache = own;
    set->construct = construct;
    set->destruct = destruct;
    set->wake = 1;
    set->keep = set->keep_least = SIZE_MAX;
    set->lowest = opts->flags & ALLOT_CACHE_LOWEST;
    set->hints_most = set->lowest ? 0 : HINTS;
    set->readable = opts->flags & ALLOT_CACHE_TYPE_STABLE;
    colour(set, opts->align, opts->flags & ALLOT_CACHE_COLOUR);
    if (own->is_single) {
        singles_init(&own->singles, whole, opts->align, SIZE_MAX);
    }
    chain_add(CHAIN_CACHES, &own->link);
    return true;
}

int allot_cache_init(struct allot_cache *cache, size_t size, const struct allot_cache_opts *opts)
{
    const struct instance *first = instance_in_use();
    if (first) {
        return first->cache_init(cache, size, opts);
    }
    static const struct allot_cache_opts defaults;
    struct allot_cache_opts all = opts ? *opts : defaults;
    *cache = (struct allot_cache){0};
    all.align = all.align ? all.align : 16;
    if (!is_power_of_2(all.align) || all.align > PTRDIFF_MAX / 4 || size > PTRDIFF_MAX / 4) {
        return -EINVAL;
    }
    int saved = errno;
    heap_init();
    chain_lock();
    struct cache *own = unused;
    if (own) {
        unused = (struct cache *)own->link.next;
    } else {
        own = record_alloc(sizeof *own);
    }
    bool done = own && begin(own, size, &all);
    chain_unlock();
    errno = saved;
    if (!done) {
        return -ENOMEM;
    }
    bool plain = !own->is_single && !own->image && !(all.flags & (ALLOT_CACHE_LOCKED | ALLOT_CACHE_LOWEST));
    *cache = (struct allot_cache){.state = own, .home = &own_instance, .slabs = plain ? own->set : NULL};
    return 0;
}

static int refuse_object(void *object, void *arg)
{
    const struct cache *own = arg;
    part_fault("done while objects are in use", &own->set->part, object);
}

/* Destructors may use other caches and pools: they run before the chain's lock is taken. */
void allot_cache_done(struct allot_cache *cache)
{
    if (!is_here(cache)) {
        elsewhere(cache)->cache_done(cache);
        return;
    }
    struct cache *own = cache->state;
    struct set *set = own->set;
    lock(own);
    if (own->is_single) {
        singles_walk(&own->singles, refuse_object, own);
        singles_done(&own->singles, set);
    }
    if (set_count(set) != 0) {
        set_walk(set, refuse_object, own);
    }
    set_release_all(set);
    unlock(own);
    chain_lock();
    chain_remove(CHAIN_CACHES, &own->link);
    set_free(set);
    own->link.next = (struct link *)unused;
    unused = own;
    chain_unlock();
    *cache = (struct allot_cache){0};
}

/* -- get and put -- */

static inline __attribute__((always_inline)) void *take(struct set *set)
{
    void *p = set_take(set, true);
    p = likely(p != NULL) ? p : set_take_more(set);
    if (unlikely(set->watched) && p) {
        set_watch_out(set, p, true);
    }
    return p;
}

static void *__attribute__((noinline)) take_any(struct cache *own)
{
    lock(own);
    struct set *set = own->set;
    void *p = own->is_single ? single_take(&own->singles, set, set->lowest) : take(set);
    if (p && own->is_single) {
        set_watch_out(set, p, true);
    }
    if (p && own->image) {
        expect_constructed(own, p, "write to a free object");
    }
    unlock(own);
    return p;
}

void *allot_cache_get(struct allot_cache *cache)
{
    struct set *set = cache->slabs;
    if (unlikely(!is_here(cache))) {
        return elsewhere(cache)->cache_get(cache);
    }
    return likely(set != NULL) ? take(set) : take_any(cache->state);
}

static void __attribute__((noinline, cold, noreturn)) refuse(const struct cache *own, const void *p)
{
    const struct part *part = map_get(p) == MAP_SEGMENT || begins_large(p) ? part_of(p) : NULL;
    bool others = part && part->name && part != &own->set->part;
    part_fault(others ? "put of another's object" : "put of what is no object", others ? part : &own->set->part, p);
}

static inline __attribute__((always_inline)) void give(struct set *set, void *p)
{
    struct slab *s = slab_of(p);
    if (unlikely(slab_owner(s) != set->id)) {
        refuse(set->cache, p);
    }
    bool due = set_put(set, s, p, true, false);
    if (unlikely(set->watched)) {
        set_watch_free(set, p);
    }
    if (unlikely(due)) {
        set_settle(set, s);
    }
    if (unlikely(set->lowest)) {
        set_prefer(set, s, p);
    }
}

static bool is_live(const struct cache *own, const void *p)
{
    if (own->is_single) {
        return single_is_out(&own->singles, p);
    }
    bool is_slot;
    unsigned slot = set_slot_of(slab_of(p), p, true, &is_slot);
    return slab_owner(slab_of(p)) == own->set->id && is_slot && !slab_is_free(slab_of(p), slot);
}

void cache_put(struct cache *own, void *p)
{
    lock(own);
    if (own->image && is_live(own, p)) {
        expect_constructed(own, p, "not as constructed");
    }
    if (own->is_single) {
        single_put(&own->singles, own->set, p);
    } else {
        give(own->set, p);
    }
    unlock(own);
}

void allot_cache_put(struct allot_cache *cache, void *p)
{
    struct set *set = cache->slabs;
    if (unlikely(!p)) {
        return;
    }
    if (unlikely(!is_here(cache))) {
        elsewhere(cache)->cache_put(cache, p);
    } else if (likely(set != NULL)) {
        give(set, p);
    } else {
        cache_put(cache->state, p);
    }
}

/* -- the rest -- */

int allot_cache_reserve(struct allot_cache *cache, size_t objects)
{
    if (!is_here(cache)) {
        return elsewhere(cache)->cache_reserve(cache, objects);
    }
    struct cache *own = cache->state;
    int saved = errno;
    lock(own);
    int wrong = own->is_single ? singles_reserve(&own->singles, own->set, objects) : set_reserve(own->set, objects);
    unlock(own);
    errno = saved;
    return -wrong;
}

size_t allot_cache_trim(struct allot_cache *cache)
{
    if (!is_here(cache)) {
        return elsewhere(cache)->cache_trim(cache);
    }
    struct cache *own = cache->state;
    if (own->opts.flags & ALLOT_CACHE_TYPE_STABLE) {
        return 0;
    }
    lock(own);
    size_t bytes = own->is_single ? singles_trim(&own->singles, own->set, 0) : set_trim(own->set, false);
    unlock(own);
    big_give_up();
    segments_trim();
    return bytes;
}

void allot_cache_stats(struct allot_cache *cache, struct allot_cache_stats *out)
{
    if (!is_here(cache)) {
        elsewhere(cache)->cache_stats(cache, out);
        return;
    }
    struct cache *own = cache->state;
    struct set *set = own->set;
    const struct singles *all = &own->singles;
    lock(own);
    size_t count = own->is_single ? singles_count(all) : set_count(set);
    struct set_places at = set_places(set);
    *out = (struct allot_cache_stats){
        .use = {.used = count * own->size,
                .count = count,
                .held = own->is_single ? all->count * all->each : set->slabs * UNIT_SIZE,
                .peak = own->is_single ? all->most * all->each : set->most * UNIT_SIZE,
                .refused = set->refused},
        .stride = own->is_single ? all->each : set->stride,
        .per_slab = own->is_single ? 0 : set->slots,
        .slabs = set->slabs,
        .full = at.full,
        .partial = at.partial,
        .empty = at.empty,
        .made = set->moves.made,
        .gone = set->moves.gone,
        .to_full = set->moves.to_full,
        .to_partial = set->moves.to_partial,
        .to_empty = set->moves.to_empty,
        .constructed = own->constructed,
        .destructed = own->destructed,
        .failed = own->failed,
        .colours = own->is_single ? 1 : set->colours,
    };
    unlock(own);
}

int allot_cache_walk(struct allot_cache *cache, int (*visit)(void *object, void *arg), void *arg)
{
    if (!is_here(cache)) {
        return elsewhere(cache)->cache_walk(cache, visit, arg);
    }
    struct cache *own = cache->state;
    lock(own);
    int stop = own->is_single ? singles_walk(&own->singles, visit, arg) : set_walk(own->set, visit, arg);
    unlock(own);
    return stop;
}

bool allot_cache_check(struct allot_cache *cache)
{
    if (!is_here(cache)) {
        return elsewhere(cache)->cache_check(cache);
    }
    struct cache *own = cache->state;
    lock(own);
    set_check(own->set);
    if (own->is_single) {
        singles_check(&own->singles, own->set);
    }
    unlock(own);
    return true;
}

int allot_caches_walk(int (*visit)(struct allot_cache *cache, const char *name, void *arg), void *arg)
{
    const struct instance *first = instance_in_use();
    if (first) {
        return first->caches_walk(visit, arg);
    }
    int stop = 0;
    chain_lock();
    for (struct link *link = chain_first(CHAIN_CACHES); link && !stop; link = link->next) {
        struct cache *own = (struct cache *)link;
        stop = visit(&(struct allot_cache){.state = own, .home = &own_instance}, own->name, arg);
    }
    chain_unlock();
    return stop;
}
