/* pool/set.h - the slabs of one size that one owner hands out: of a pool, of a thread's share in one, of a cache.
 *
 *   hint[64]        word, base                   slabs (slab/slab.h)
 *   put last ...    of the slab in hand ------>  bitmap  0 1 1 0 ...  | fresh, fresh ...
 *      |                                         put: the slot's bit is set; and it is hinted at
 *      +------------------------------------->   got: the slot hinted at last, while there is one;
 *                                                else the next bit of the word in hand; its bit is cleared
 *
 *   lists: partial[0..7] by occupancy, full, empty; beside them the current slab, from which words are taken
 *
 * Slots are never linked: whether one is free is one bit, exact at any time, so a second put of it is seen at once, and a free
 * object's bytes are its own. Hints are the front: the last 64 that were put and are free, the last one first out. A word is taken
 * from only when there are no hints, so each hint's bit is set. Behind, words are taken in order of address from the fullest slab
 * with room, so that neighbours go out together and sparse slabs run empty.
 *
 * `trip` of a slab counts puts down and gets up; the equations are those of a process whose slots are never linked (slab.h):
 * marked = nmarked + (trip_set - trip), out = used - (trip_set - trip). It comes due with the first slot of a full slab, or of
 * a pool's the sixteenth part of them, and with the last of another.
 *
 * One owner at a time; others put by the remote bitmap and the part's inbox (heap/part.h). Not for objects above SLOT_MAX.
 */
#ifndef POOL_SET_H
#define POOL_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "heap/part.h"
#include "slab/slab.h"

#define SLOT_MAX (UNIT_SIZE / 2) /* bytes */
#define HINTS    64

/* Lists: partial slabs, l/8 of which or more were in use when they came there, then the full, then the empty ones. */
enum { SET_FULL = 8, SET_EMPTY, SET_LISTS, SET_CURRENT = SET_LISTS };

/* Slabs that came and went, and those that came onto a list. */
struct set_moves {
    uint64_t made, gone;
    uint64_t to_full, to_partial, to_empty;
};

struct pool;
struct cache;
struct set {
    uint64_t *word; /* of the current slab's free bitmap; or a word without any */
    char *base;     /* where the slot of its lowest bit begins */
    struct slab *current;
    uint32_t stride, id;     /* id: its part's */
    uint16_t hints, hint_at; /* so many; the next one's place */
    uint16_t hints_most;     /* HINTS, or 0 for none at all */
    bool watched;            /* somebody watches accesses (os/watch.h) */
    bool readable;           /* free objects may be read all the same */
    bool lowest;             /* the free slot that lies lowest is next; then there are no hints */
    uint8_t colours, colour; /* how many places slot 0 may have; and the next one's, */
    uint8_t colour_step;     /* in 64 bytes */
    uint16_t slots;          /* of a slab */
    uint16_t wake;           /* slots of a full slab that come back before it is looked at */
    void *hint[HINTS];

    struct slab *list[SET_LISTS];
    uint32_t occupied; /* bit l: list[l] is not empty */
    size_t slabs, most;
    size_t empties, keep, keep_least; /* of slabs on the empty list, so many stay; and when nothing is promised */
    bool reserved;                    /* slots were: a get gives nothing back */
    size_t refused;
    struct set_moves moves;

    /* What a slot becomes when it is handed out for the first time: 0, or what is wrong, as errno has it. And before its slab goes.
     * NULL: nothing. */
    int (*construct)(struct set *set, void *p);
    void (*destruct)(struct set *set, void *p);
    /* Another slab from somebody who has one to spare, or NULL. May be NULL. */
    struct slab *(*inherit)(struct set *set);

    struct pool *pool; /* whose it is, or: */
    struct cache *cache;
    const void
        *user; /* of a thread's share (pool/local.c), the thread, by an address of its own; NULL: it waits for one */
    uint32_t epoch; /* forks of this process's line when that took it */
    struct set *next_of_pool, *next_idle;

    _Alignas(64) struct part part; /* others write to its inbox */
};

static inline struct set *set_of(const struct part *part)
{
    return (struct set *)((char *)part - offsetof(struct set, part));
}

/* A record, with an id: one that was done, or another. NULL with ENOMEM. And back, without slabs. With the chain's lock held
 * (pool/chain.h), which is taken by who puts a slot when nobody looks into the inbox by himself. */
struct set *set_alloc(void);
void set_free(struct set *set);

/* Readies it for objects of `size` bytes at multiples of `align`, at most SLOT_MAX each; without slabs. What is zero by now may be
 * set by the caller afterwards. `name` is the caller's, and stays. */
void set_init(struct set *set, const char *kind, const char *name, size_t size, size_t align);

/* -- getting -- */

/* Where p is in a slab, in 2^32 parts of a slot. */
static inline __attribute__((always_inline)) uint64_t set_position_of(const struct slab *s, const void *p,
                                                                      bool coloured)
{
    uint32_t offset = ((uint32_t)(uintptr_t)p & (UNIT_SIZE - 1)) - (coloured ? s->klass * 64u : 0);
    return (uint64_t)offset * s->recip;
}

/* The slot, and whether it is one: p is where it begins, and it has been handed out since the slab began. */
static inline __attribute__((always_inline)) unsigned set_slot_of(const struct slab *s, const void *p, bool coloured,
                                                                  bool *is_slot)
{
    uint64_t position = set_position_of(s, p, coloured);
    unsigned slot = (unsigned)(position >> 32);
    /* The remainder is less than one stride's worth only where there is none (Lemire, Kaser, Kurz, "Faster remainder by direct
     * computation", 2019). */
    *is_slot = (uint32_t)position < s->recip && slot < __atomic_load_n(&s->fresh, __ATOMIC_RELAXED);
    return slot;
}

static inline char *set_slot(const struct set *set, const struct slab *s, unsigned slot)
{
    return slab_data(s) + s->klass * 64u + slot * (size_t)set->stride;
}

/* An object at hand, or NULL. */
static inline __attribute__((always_inline)) void *set_take(struct set *set, bool coloured)
{
    if (set->hints) {
        set->hints--;
        set->hint_at = (set->hint_at - 1u) % HINTS;
        void *p = set->hint[set->hint_at];
        struct slab *s = slab_of(p);
        unsigned slot = (unsigned)(set_position_of(s, p, coloured) >> 32);
        uint64_t *word = unit_words_of_slot(&s->unit, slot).free;
        slab_set_free_word(word, *word & ~((uint64_t)1 << (slot % 64)));
        s->trip++;
        return p;
    }
    uint64_t free = *set->word;
    if (unlikely(!free)) {
        return NULL;
    }
    slab_set_free_word(set->word, free & (free - 1));
    set->current->trip++;
    return set->base + lowest_bit(free) * (size_t)set->stride;
}

/* So many, or as many as there are at hand. */
size_t set_take_many(struct set *set, void **objects, size_t count);

/* When nothing is at hand; NULL with ENOMEM, or what the constructor says. */
void *set_take_more(struct set *set) __attribute__((noinline));

/* -- putting -- */

/* p is no object of the set's, or is free: the end. */
void set_refuse(const struct set *set, const struct slab *s, const void *p) __attribute__((noreturn, cold));

/* The owner puts p, of a slab of this set. True when something is due: set_settle. `shared`: others put as well. */
static inline __attribute__((always_inline)) bool set_put(struct set *set, struct slab *s, void *p, bool coloured,
                                                          bool shared)
{
    bool is_slot;
    unsigned slot = set_slot_of(s, p, coloured, &is_slot);
    struct unit_words words = unit_words_of_slot(&s->unit, slot & 4095);
    uint64_t bit = (uint64_t)1 << (slot % 64), free = *words.free, taken = free;
    if (shared) {
        taken |= atomic_load_explicit(words.remote, memory_order_relaxed);
    }
    if (unlikely(!is_slot | ((taken & bit) != 0))) {
        set_refuse(set, s, p);
    }
    slab_set_free_word(words.free, free | bit);
    set->hint[set->hint_at] = p;
    set->hint_at = (set->hint_at + 1u) % HINTS;
    set->hints += set->hints < set->hints_most;
    return --s->trip < 0;
}
void set_settle(struct set *set, struct slab *s) __attribute__((noinline));

/* Where the lowest is to be next: p has been put. */
void set_prefer(struct set *set, struct slab *s, const void *p);

/* Puts p of a slab of that set by another than its owner. And the first of so many objects, with those that follow and are
 * beside it, in one word of the bitmap: returns how many. */
static inline __attribute__((always_inline)) void set_put_remote(struct set *set, struct slab *s, void *p)
{
    bool is_slot;
    unsigned slot = set_slot_of(s, p, false, &is_slot);
    if (unlikely(!is_slot)) {
        set_refuse(set, s, p);
    }
    /* In this order: what the owner has collected is free. */
    uint64_t free = __atomic_load_n(unit_words_of_slot(&s->unit, slot).free, __ATOMIC_RELAXED);
    uint64_t bit = (uint64_t)1 << (slot % 64), before = slab_set_remote(s, slot / 64, bit);
    if (unlikely((before | free) & bit)) {
        set_refuse(set, s, p);
    }
    part_has_put(&set->part, s);
}
size_t set_put_remote_many(struct set *set, struct slab *s, void *const *objects, size_t count);

/* Takes in what others have put. `gives`: and slabs that are too many go back. */
void set_drain(struct set *set, bool gives);

/* -- slabs -- */

/* Sees to it that so many objects can be got without another slab, and constructed: 0, or what is wrong. */
int set_reserve(struct set *set, size_t objects);

/* Nobody looks at the inbox by himself any more; what is in there is taken in. With the chain's lock held. */
void set_disown(struct set *set);

/* Every slab of which nothing is out goes, and `punch`: every free page of the others. Returns the bytes. */
size_t set_trim(struct set *set, bool punch);

/* Nothing is at hand any more, and the current slab is on its list. */
void set_retire(struct set *set);

/* A slab of the other set, with room, and owner's lock held: this one's now, and on no list. NULL: it has none. */
struct slab *set_take_over(struct set *from, struct set *to);

/* How many objects are out; they are on their lists then, as those are by now. */
size_t set_count(struct set *set);
/* Of the slabs, those in hand included; right after that. */
struct set_places {
    size_t full, partial, empty;
};
struct set_places set_places(const struct set *set);
/* And each of them, `visit`ed until it returns another value than 0, which is returned. */
int set_walk(struct set *set, int (*visit)(void *object, void *arg), void *arg);

/* All slabs go, whatever is out; without destructors. */
void set_release_all(struct set *set);

/* Proves the equations. */
bool set_check(struct set *set);

/* Who watches is told of a slot: it goes out, `constructed` or without a value; and is free. */
void set_watch_out(const struct set *set, void *p, bool constructed);
void set_watch_free(const struct set *set, void *p);

#endif
