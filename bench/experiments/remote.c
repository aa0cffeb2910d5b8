/* remote.c - front.c with blocks freed by other threads, and the open choices of that as -D switches.
 *
 *   freeing thread: buffer of {slab, word, mask} -> rfree words of the slab -> the owner's inbox, once per drain
 *   owner: drains the inbox when a class's current slab is empty
 *
 * MASKS: a remote free sets a bit in the slab's rfree[] and never touches the block. With a buffer of ENTRIES, bits of
 * one word gather and are published by one fetch_or. LISTS: a remote free links the block into a list of its slab
 * through the block itself, by compare-and-swap, as the peers do; with a buffer, chains of one slab gather first.
 *
 * Both keep the shared word out of the header's line, in the slab's bitmap memory, and both use the same inbox.
 */
#define WITH_REMOTE
#include "front.c"

#include <stdatomic.h>

#ifndef LISTS
#define LISTS 0
#endif
#ifndef ENTRIES
#define ENTRIES 16
#endif

#define WORDS ((unsigned)(UNIT / 16 - UNIT / 256) / 64)

struct entry {
    struct slab *slab;
#if LISTS
    struct block *first, *last;
#else
    uint64_t mask;
    unsigned word;
#endif
};

struct remote {
    struct entry buffer[ENTRIES ? ENTRIES : 1]; /* the freeing thread's */
    _Atomic(struct slab *) inbox __attribute__((aligned(64)));
};

static inline _Atomic uint64_t *rfree(const struct slab *s) { return (_Atomic uint64_t *)bits_of(s) + WORDS; }
#if LISTS
static inline _Atomic(struct block *) *rlist(const struct slab *s) { return (_Atomic(struct block *) *)rfree(s); }
#endif

static void remote_init(struct heap *heap) { heap->remote = map(sizeof *heap->remote); }

/* ---- the freeing thread ------------------------------------------------------------------------------------------ */

/* After publishing: puts the slab in its owner's inbox unless it is there. `owner` was read before. */
static void announce(struct slab *s, uint32_t owner)
{
    if (atomic_load_explicit(&s->pending, memory_order_relaxed) || atomic_exchange(&s->pending, 1))
        return;
    stats.atomics += 2;
    _Atomic(struct slab *) *inbox = &heap_of[owner]->remote->inbox;
    struct slab *head = atomic_load(inbox);
    do
        s->inbox = head;
    while (!atomic_compare_exchange_weak(inbox, &head, s));
}

#if LISTS
static void publish(struct slab *s, struct block *first, struct block *last, uint32_t owner)
{
    struct block *head = atomic_load_explicit(rlist(s), memory_order_relaxed);
    do
        last->next = head;
    while (!atomic_compare_exchange_weak_explicit(rlist(s), &head, first, memory_order_acq_rel, memory_order_relaxed));
    stats.atomics++;
    announce(s, owner);
}

static inline void publish_entry(struct entry *e) { publish(e->slab, e->first, e->last, e->slab->owner); }

static void free_remote(struct heap *heap, void *p, struct slab *s, uint32_t owner)
{
    struct block *b = p;
    if (ENTRIES == 0 || !heap) {
        publish(s, b, b, owner);
        return;
    }
    struct entry *e = &heap->remote->buffer[((uintptr_t)s >> 6) & (ENTRIES - 1)];
    if (e->slab == s) {
        b->next = e->first;
        e->first = b;
        return;
    }
    if (e->slab)
        publish_entry(e);
    *e = (struct entry){s, b, b};
}
#else
static void publish(struct slab *s, unsigned word, uint64_t mask, uint32_t owner)
{
    if (atomic_fetch_or_explicit(&rfree(s)[word], mask, memory_order_acq_rel) & mask)
        abort(); /* freed twice */
    stats.atomics++;
    announce(s, owner);
}

static inline void publish_entry(struct entry *e) { publish(e->slab, e->word, e->mask, e->slab->owner); }

static void free_remote(struct heap *heap, void *p, struct slab *s, uint32_t owner)
{
    unsigned i = slot_of(s, (uintptr_t)p), word = i / 64;
    uint64_t bit = 1ull << i % 64;
    if (ENTRIES == 0 || !heap) {
        publish(s, word, bit, owner);
        return;
    }
    struct entry *e = &heap->remote->buffer[((uintptr_t)s >> 6 ^ word) & (ENTRIES - 1)];
    if (likely(e->slab == s && e->word == word)) {
        if (e->mask & bit)
            abort();
        e->mask |= bit;
        return;
    }
    if (e->slab)
        publish_entry(e);
    *e = (struct entry){s, bit, word};
}
#endif

void x_flush(void)
{
#if ENTRIES
    for (unsigned i = 0; T.heap && i < ENTRIES; i++) {
        struct entry *e = &T.heap->remote->buffer[i];
        if (e->slab)
            publish_entry(e);
        e->slab = NULL;
    }
#endif
}

/* ---- the owner --------------------------------------------------------------------------------------------------- */

/* Moves what others freed to the slab's own list; the number of blocks. */
static unsigned collect(struct slab *s)
{
    unsigned n = 0;
#if LISTS
    struct block *first = atomic_exchange_explicit(rlist(s), NULL, memory_order_acquire);
    if (!first)
        return 0;
    struct block *last = first;
    for (n = 1; last->next; n++)
        last = last->next;
    last->next = s->local;
    s->local = first;
#else
    for (unsigned w = (s->nslots - 1) / 64 + 1; w-- > 0;) {
        if (atomic_load_explicit(&rfree(s)[w], memory_order_relaxed) == 0)
            continue;
        uint64_t m = atomic_exchange_explicit(&rfree(s)[w], 0, memory_order_acquire);
        n += (unsigned)__builtin_popcountll(m);
        struct block *head = s->local, **at = &s->local;
        for (char *base = data_of(s) + (size_t)w * 64 * s->stride; m; m &= m - 1) {
            *at = (struct block *)(base + (unsigned)__builtin_ctzll(m) * (size_t)s->stride);
            at = &(*at)->next;
        }
        *at = head;
    }
#endif
    return n;
}

static void drain(struct heap *heap)
{
    struct slab *s = atomic_exchange_explicit(&heap->remote->inbox, NULL, memory_order_acquire);
    while (s) {
        struct slab *next = s->inbox;
        atomic_store_explicit(&s->pending, 0, memory_order_seq_cst); /* before looking: a later free announces again */
        unsigned n = collect(s);
        if (n) {
            sync(s);
            s->used = (uint16_t)(s->used - n);
            s->nlocal = (uint16_t)(s->nlocal + n);
            s->trip = s->trip_set = NEVER;
            if (s->state != CURRENT)
                rebucket(heap, &heap->class[s->class], s);
        }
        s = next;
    }
}
