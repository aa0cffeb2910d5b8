/* heap/live.h - which slots of a heap's slab are live: the one rule, for who walks this process's heap (heap/walk.c) and for who reads it
 * from an image of a process (snap/walk.c).
 *
 *   live = taken, less   free bits, those that other threads have freed, the slab's own list,
 *                        and what is at hand: on lists of the heap's thread; of all threads, for a common one;
 *                        of all heaps, for one that lends
 *
 * Nothing records what is live, so this is what malloc and free pay for it: nothing. Follows a list only in the slab itself, and no
 * longer than it has slots, so whatever a broken one says it ends. Allocates nothing and takes no lock. O(slots + lists at hand).
 */
#ifndef HEAP_LIVE_H
#define HEAP_LIVE_H

#include "heap/heap.h"
#include "heap/part.h"

/* How the heap is read: `of` is the reader's own. */
struct live {
    const void *of;
    /* Where so many bytes at an address of the process can be read, or NULL. */
    const void *(*at)(const void *of, const void *address, size_t bytes);
    /* A heap whose thread did not come along in a fork: what it has at hand is unknown, and passed for live. */
    bool (*is_lost)(const void *of, const struct heap *h);
    /* The first one, and the next; NULL: that was all. *n, 0 at first, is for the reader to count by. */
    const struct front *(*next_front)(const void *of, const struct front *before, size_t *n);
    const struct heap *(*next_heap)(const void *of, const struct heap *before, size_t *n);
};

/* A slab where it can be read, and where its slots are in its process. */
struct live_slab {
    const struct slab *slab;
    uintptr_t data;
};

static inline void live_unmark(const struct live *l, const struct live_slab *s, const struct block *list, uint64_t *map)
{
    unsigned slots = slab_nslots(s->slab);
    size_t stride = slab_stride(s->slab);
    uintptr_t at = (uintptr_t)list;
    for (unsigned count = 0; at - s->data < UNIT_SIZE && count < slots; count++) {
        unsigned i = slab_index(s->slab, (const void *)at);
        bool is_slot = i < slots && s->data + i * stride == at;
        const struct block *b = is_slot ? l->at(l->of, (const void *)at, sizeof *b) : NULL;
        if (!b) {
            return;
        }
        bitmap_clear(map, i);
        at = (uintptr_t)b->next;
    }
}

/* List i + 1 of a front holds blocks of class i, and list 0 is for malloc(0), which class 0 serves. */
static inline void live_unmark_front(const struct live *l, const struct live_slab *s, const struct front *f,
                                     uint64_t *map)
{
    unsigned c = s->slab->klass;
    const struct front *aside = f->aside ? l->at(l->of, f->aside, sizeof *f) : NULL;
    for (const struct front *of = f; of; of = of == f ? aside : NULL) {
        live_unmark(l, s, of->list[c + 1], map);
        if (c == 0) {
            live_unmark(l, s, of->list[0], map);
        }
    }
}

static inline void live_unmark_at_hand(const struct live *l, const struct live_slab *s, const struct heap *h,
                                       uint64_t *map)
{
    unsigned c = s->slab->klass;
    if (l->is_lost(l->of, h)) {
        return;
    }
    if (c >= SMALL_CLASSES) {
        live_unmark(l, s, c - SMALL_CLASSES < 2 * MID_CLASSES ? h->mid[c - SMALL_CLASSES] : NULL, map);
    } else if (slab_owner(s->slab) <= COMMONS) {
        size_t n = 0;
        for (const struct front *f = l->next_front(l->of, NULL, &n); f; f = l->next_front(l->of, f, &n)) {
            live_unmark_front(l, s, f, map);
        }
    } else {
        const struct front *f = h->front ? l->at(l->of, h->front, sizeof *f) : NULL;
        if (f) {
            live_unmark_front(l, s, f, map);
        }
    }
}

/* Bits of what is live of a slab; of one of a part's (h NULL) of what is out. */
static inline void live_mark(const struct live *l, const struct live_slab *s, const struct heap *h, uint64_t *map)
{
    for (unsigned i = 0; i < slab_words(s->slab); i++) {
        uint64_t taken = bitmap_word_mask(i, 0, s->slab->fresh);
        uint64_t others = atomic_load_explicit(unit_remote_word(&s->slab->unit, i), memory_order_relaxed);
        map[i] = taken & ~*unit_free_word(&s->slab->unit, i) & ~others;
    }
    live_unmark(l, s, s->slab->local_free, map);
    if (!h) {
        return;
    }
    live_unmark_at_hand(l, s, h, map);
    if (atomic_load_explicit(&h->lent, memory_order_relaxed)) {
        size_t n = 0;
        for (const struct heap *by = l->next_heap(l->of, NULL, &n); by; by = l->next_heap(l->of, by, &n)) {
            if (by != h) {
                live_unmark_at_hand(l, s, by, map);
            }
        }
    }
}

#endif
