/* heap/site.c - see heap/site.h. Reading and writing take no lock: an entry is the block's owner's; what leads to it is made once. */
#include "heap/site.h"

#include <string.h>

#include <allot/part.h>

#include "heap/choice.h"
#include "heap/hard.h"
#include "heap/sample.h"
#include "os/noscan.h"
#include "probe/calls.h"
#include "probe/calls_tree.h"
#include "probe/record.h"
#include "span/map.h"
#include "span/run.h"

struct site_chunk *_Atomic sites_table[SITE_ROOT];
bool sites_kept;

/* Not const: what cannot change is left out of many cores. */
struct site_desc own_site_desc __attribute__((visibility("hidden"), used)) = {
    .magic = SITE_DESC_MAGIC,
    .self = &own_site_desc,
    .version = 1,
    .bytes = sizeof own_site_desc,
    .kept = &sites_kept,
    .table = sites_table,
    .samples = samples,
    .stacks = &calls_tree,
    .modules = &modules_first,
};
extern ALLOT_API struct site_desc allot_site_desc __attribute__((alias("own_site_desc")));

bool sites_keep(void)
{
    if (is_hard()) {
        return false;
    }
    sites_kept = true;
    choice_see_all();
    return true;
}

uint32_t site_here(void)
{
    uint32_t told = front.recorder ? recorder_stack(front.recorder) : 0;
    if (told || (front.recorder && recorder_flags() & RING_STACKS)) {
        return told; /* what is not told of now who collects would never hear of, though later events have it: then it is not known */
    }
    if (!front.calls && !front.ended) {
        front.calls = calls_begin();
    }
    return front.calls ? calls_here(front.calls) : 0;
}

void site_thread_ends(void)
{
    if (front.calls) {
        calls_end(front.calls);
        front.calls = NULL;
    }
}

/* Who comes second gives what he has made back. NULL when memory is out. */
static void *make(void *_Atomic *at, size_t bytes)
{
    void *made = os_map_noscan(bytes), *before = NULL;
    if (made &&
        !atomic_compare_exchange_strong_explicit(at, &before, made, memory_order_acq_rel, memory_order_acquire)) {
        os_unmap_noscan(made, bytes);
        made = before;
    }
    return made;
}

static struct site_chunk *chunk_of(const void *p, bool making)
{
    uintptr_t number = (uintptr_t)p >> SEGMENT_SHIFT;
    if (number / SITE_LEAF >= SITE_ROOT) {
        return NULL;
    }
    struct site_chunk *_Atomic *at = &sites_table[number / SITE_LEAF];
    struct site_chunk *leaf = atomic_load_explicit(at, memory_order_acquire);
    if (!leaf && making) {
        leaf = make((void *_Atomic *)at, SITE_LEAF * sizeof *leaf);
    }
    return leaf ? &leaf[number % SITE_LEAF] : NULL;
}

static _Atomic uint32_t *entry_of(const void *p, bool making)
{
    struct site_chunk *chunk = chunk_of(p, making);
    if (!chunk || begins_large(p)) {
        return chunk ? &chunk->large : NULL;
    }
    uint32_t owner = slab_owner(slab_of(p));
    bool by_page = owner == OWNER_RUN || owner == OWNER_GUARD;
    if (owner >= OWNER_LIMIT && !by_page) {
        return NULL;
    }
    _Atomic uint32_t *slots = atomic_load_explicit(&chunk->slots, memory_order_acquire);
    if (!slots && making) {
        slots = make((void *_Atomic *)&chunk->slots, UNITS * SITE_SLOTS * sizeof *slots);
    }
    return slots ? &slots[site_index((uintptr_t)p, by_page, slab_of(p)->recip)] : NULL;
}

void site_set(const void *p, uint32_t site)
{
    _Atomic uint32_t *entry = sites_kept ? entry_of(p, true) : NULL;
    if (entry) {
        atomic_store_explicit(entry, site, memory_order_relaxed);
    }
}

void site_clear(void *p, bool zeroed)
{
    const struct slab *s = slab_of(p);
    if (slab_owner(s) < OWNER_LIMIT) { /* a guarded one is new */
        memset(p, 0, zeroed ? sizeof(struct block) : slab_stride(s));
    }
}

static uint32_t kept(const void *p)
{
    const _Atomic uint32_t *entry = entry_of(p, false);
    return entry ? atomic_load_explicit(entry, memory_order_relaxed) : 0;
}

uint32_t site_of(const void *p) { return sites_kept ? kept(p) : sample_stack_of(p); }

uint32_t site_of_locked(const void *p) { return sites_kept ? kept(p) : sample_stack_of_locked(p); }
