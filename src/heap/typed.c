/* heap/typed.c - see heap/typed.h. A block costs a lock, and a slab that comes back to its tag one system call. */
#include "heap/typed.h"

#include <errno.h>

#include "heap/hard.h"
#include "heap/tag.h"
#include "os/fault.h"
#include "os/memory.h"

struct typed {
    struct front front; /* its heap's: nothing at hand */
    struct heap *heap;
    struct os_lock lock; /* of the heap */
    struct unit *units;  /* by the `next` of what was a slab there */
    struct fence_stock places;
    struct typed *older; /* the chain of all */
};

/* In this order: that of the chain, those of heaps, that of all `units`. */
static struct os_lock chain_lock, units_lock;
static struct typed *newest;

static struct typed *typed_of(const struct heap *h) { return (struct typed *)h->front; }

/* With the chain's lock held. */
static struct typed *make(struct allot_tag *tag)
{
    struct heap *h = heap_make_private(sizeof(struct typed), true);
    if (!h) {
        return NULL;
    }
    struct typed *t = typed_of(h);
    atomic_store_explicit(&h->user, 0, memory_order_relaxed);
    h->tag = tag;
    t->heap = h;
    t->older = newest;
    newest = t;
    return t;
}

uint32_t typed_heap(struct allot_tag *tag)
{
    uint32_t id = atomic_load_explicit(&tag->typed, memory_order_acquire);
    if (unlikely(id == 0)) {
        os_lock(&chain_lock);
        id = atomic_load_explicit(&tag->typed, memory_order_relaxed);
        struct typed *t = id ? NULL : make(tag);
        if (t) {
            id = t->heap->id;
            atomic_store_explicit(&tag->typed, id, memory_order_release);
        }
        os_unlock(&chain_lock);
    }
    return id;
}

bool typed_is_own(const struct heap *h)
{
    return h && h->tag && atomic_load_explicit(&h->tag->typed, memory_order_relaxed) == h->id;
}

/* That of the heap's tag, which has one. */
static struct typed *shared_by(const struct heap *h)
{
    return typed_of(heap_by_id(atomic_load_explicit(&h->tag->typed, memory_order_acquire)));
}

void *typed_alloc(uint32_t id, size_t size, size_t align, bool *zeroed)
{
    struct typed *t = typed_of(heap_by_id(id));
    os_lock(&t->lock);
    void *p = hard_alloc(t->heap, id, size, align, zeroed);
    os_unlock(&t->lock);
    return p;
}

void typed_free(struct slab *s, void *p)
{
    struct typed *t = typed_of(heap_by_id(slab_owner(s)));
    os_lock(&t->lock);
    unsigned i = slab_index(s, p);
    bool live = slab_owner(s) == t->heap->id && slab_was_taken(s, i) && !slab_is_free(s, i);
    if (unlikely(!live)) { /* any more: a thread was faster */
        allot_fault_block("double free", "small block", slab_stride(s), p);
    }
    if (slab_free_by_hand(s, i)) {
        heap_settle(t->heap, s);
    }
    os_unlock(&t->lock);
}

struct unit *typed_take_unit(const struct heap *h)
{
    struct typed *t = shared_by(h);
    os_lock(&units_lock);
    struct slab *was = (struct slab *)t->units;
    if (was) {
        t->units = (struct unit *)was->next;
    }
    os_unlock(&units_lock);
    return was ? (struct unit *)was : unit_take_apart();
}

void typed_give_unit(const struct heap *h, struct unit *unit)
{
    struct typed *t = shared_by(h);
    atomic_store_explicit(&unit->owner, OWNER_FREE, memory_order_relaxed);
    if (!segment_of(unit)->hugetlb && os_purge(unit_data(unit), UNIT_SIZE) != 0) {
        unit->touched = 0;
        unit->holes = 0;
    }
    os_lock(&units_lock);
    ((struct slab *)unit)->next = (struct slab *)t->units;
    t->units = unit;
    os_unlock(&units_lock);
}

struct fence_stock *typed_places(uint32_t id)
{
    const struct heap *h = id & ID_PRIVATE ? heap_by_id(id) : NULL;
    return h && h->tag ? &shared_by(h)->places : NULL;
}

size_t typed_trim(void)
{
    size_t bytes = 0;
    os_lock(&chain_lock);
    for (struct typed *t = newest; t; t = t->older) {
        os_lock(&t->lock);
        heap_retire_current(t->heap);
        bytes += heap_sweep_all(t->heap);
        os_unlock(&t->lock);
    }
    os_unlock(&chain_lock);
    return bytes;
}

void typed_lock(void)
{
    os_lock(&chain_lock);
    for (struct typed *t = newest; t; t = t->older) {
        os_lock(&t->lock);
    }
    os_lock(&units_lock);
}

void typed_unlock(void)
{
    os_unlock(&units_lock);
    for (struct typed *t = newest; t; t = t->older) {
        os_unlock(&t->lock);
    }
    os_unlock(&chain_lock);
}

void typed_lock_reset(void)
{
    os_lock_reset(&units_lock);
    for (struct typed *t = newest; t; t = t->older) {
        os_lock_reset(&t->lock);
    }
    os_lock_reset(&chain_lock);
}
