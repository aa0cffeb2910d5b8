/* slab/slab.h - equal slots in a unit: a list in front, a bitmap behind.
 *
 *   unit of 64 KiB:  | slot 0 | slot 1 | slot 2 | ...                       | slot nslots-1 | rest, never touched |
 *                      out      list     bitmap    out ...   fresh, fresh ...
 *
 * A slot is in exactly one of these states:
 *   fresh    never handed out since the slab began: slots [fresh, nslots), lowest first
 *   listed   on `local_free`: freed by the owner, linked through the slots themselves
 *   marked   its bit in the free bitmap is set: freed by another thread and collected, its bytes untouched; or folded
 *   out      handed out: live, or at hand in a thread's list, or freed by another thread and not yet collected (its bit
 * in the remote bitmap is set)
 *
 * The equations, which slab_check proves:
 *   listed = nlocal + (trip_set - trip)
 *   out    = used   - (trip_set - trip)
 *   nslots = (nslots - fresh) + listed + nmarked + out
 *
 * Whatever is on the list is linked through its own bytes, so the pages under it have to stay. A slab of which little is
 * in use is folded, its list made bits, and punched: pages on which nothing is listed or out go back to the system, and
 * are `holes` until a slot on them goes out again.
 *
 * `trip` is the owner's only bookkeeping in free: how many more may come before the one that is due, which makes it
 * negative. slab_sync folds it into the counters.
 *
 * One owner at a time changes a slab; others only set bits in the remote bitmap and touch `pending` and `inbox_next`.
 * The header is found from any address in the slab by arithmetic (span/segment.h), and lies away from the data.
 */
#ifndef SLAB_SLAB_H
#define SLAB_SLAB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os/fault.h"
#include "span/segment.h"

struct block {
    struct block *next;
};

struct slab {
    struct unit unit; /* owner, touched, holes */
    struct block *local_free;
    int32_t trip;
    int16_t trip_set;
    uint16_t used, nlocal;
    uint16_t nmarked, fresh;
    uint16_t stride16; /* bytes of a slot / 16 */
    uint32_t recip;    /* ceil(2^32 / stride): offset * recip >> 32 is offset / stride for offsets of up to 2^16 */
    uint8_t klass;     /* the owner's: size class, */
    uint8_t level : 7; /* which of its lists the slab is on, */
    uint8_t noted : 1; /* and that it is to be swept */
    uint8_t unswept;   /* marked since the slab was last folded, or 255 */
    _Atomic uint8_t pending; /* 1: in exactly one inbox */
    struct slab *next, *prev;
    struct slab *inbox_next;
};

_Static_assert(sizeof(struct slab) == HEADER_SIZE, "a slab's header is one line");

static inline struct slab *slab_of(const void *p) { return (struct slab *)unit_of(p); }

static inline uint32_t slab_owner(const struct slab *s) { return unit_owner(&s->unit); }

static inline size_t slab_stride(const struct slab *s) { return (size_t)s->stride16 * 16; }

static inline char *slab_data(const struct slab *s) { return unit_data(&s->unit); }

/* How many slots of so many bytes there are: as many as fit, and have bits. */
static inline size_t slab_slots_of(size_t stride)
{
    size_t fit = UNIT_SIZE / stride;
    return fit < BITMAP_WORDS * 64 ? fit : BITMAP_WORDS * 64;
}

/* The same of a slab: `recip` holds UNIT_SIZE / stride in its upper half. */
static inline unsigned slab_nslots(const struct slab *s)
{
    unsigned fit = s->recip >> (32 - UNIT_SHIFT);
    return fit < BITMAP_WORDS * 64 ? fit : BITMAP_WORDS * 64;
}

/* The slot that holds p, also when p is inside it; slab_nslots or more when p is beyond the last. */
static inline unsigned slab_index(const struct slab *s, const void *p)
{
    return (unsigned)(((uintptr_t)p & (UNIT_SIZE - 1)) * (uint64_t)s->recip >> 32);
}

static inline struct block *slab_slot(const struct slab *s, unsigned index)
{
    return (struct block *)(slab_data(s) + index * slab_stride(s));
}

/* p is where a slot begins. Reads only what stays as it is while the slab lives: any thread with a block of it may ask.
 */
static inline bool slab_is_slot(const struct slab *s, const void *p)
{
    unsigned i = slab_index(s, p);
    return i < slab_nslots(s) && (const char *)slab_slot(s, i) == (const char *)p;
}

static inline unsigned slab_words(const struct slab *s) { return (slab_nslots(s) + 63) / 64; }

/* The owner frees a slot; true when something is due. */
static inline bool slab_free_local(struct slab *s, void *p)
{
    struct block *b = p;
    b->next = s->local_free;
    s->local_free = b;
    return --s->trip < 0;
}

/* The slot that the owner has freed last, out again, as if it had not been; NULL when none was since slab_sync. */
static inline struct block *slab_take_back(struct slab *s)
{
    struct block *b = s->local_free;
    if (!b || s->trip == s->trip_set) {
        return NULL;
    }
    s->local_free = b->next;
    s->trip++;
    return b;
}

/* How many slots are out. */
static inline unsigned slab_out(const struct slab *s) { return (unsigned)(s->used - (s->trip_set - s->trip)); }

/* Makes a unit a slab of slots of `stride` bytes, a multiple of 16 of at most 32 KiB: all fresh, trip disarmed. */
void slab_init(struct unit *unit, uint32_t owner, size_t stride, unsigned klass);

/* Readies the unit of a slab of which nothing is out for unit_give. */
void slab_done(struct slab *s);

extern bool slab_unlinked; /* see below */

/* Folds what the owner has freed since the last call into the counters; returns how many that were, less what went out by
 * hand. */
static inline int slab_sync(struct slab *s)
{
    int frees = s->trip_set - s->trip;
    if (unlikely(frees > s->used)) {
        allot_fault("double free", "slab", slab_data(s));
    }
    s->used -= (uint16_t)frees;
    *(unlikely(slab_unlinked) ? &s->nmarked : &s->nlocal) += (uint16_t)frees;
    s->trip_set = (int16_t)s->trip;
    return frees;
}

/* The next trip comes with the free that is so many from now, at least 1. Only right after slab_sync. */
static inline void slab_arm(struct slab *s, unsigned frees) { s->trip = s->trip_set = (int16_t)(frees - 1); }

/* More frees than a slab has slots: it stays where it is, whatever comes back; and goes out by hand, which counts up. */
#define TRIP_NEVER (INT16_MAX / 2)

/* A list of free slots, now out: all that are listed, else up to 64 that are marked, those in holes last, else fresh ones of
 * at most a page; such as are not listed out of one aligned group of `group` slots, a power of two. None when there is none.
 * Only right after slab_sync; the caller arms. `zeroed`: all but the link is zero. `filled`: so many holes are none any more. */
struct batch {
    struct block *first;
    unsigned count, filled;
    bool zeroed;
};
#define GROUP_ANY 4096
struct batch slab_take_unlisted(struct slab *s, unsigned group);

static inline struct batch slab_take_batch(struct slab *s, unsigned group)
{
    struct batch batch = {.first = s->local_free, .count = s->nlocal};
    if (!batch.first) {
        return slab_take_unlisted(s, group);
    }
    s->local_free = NULL;
    s->nlocal = 0;
    s->used += (uint16_t)batch.count;
    return batch;
}

/* The owner frees a slot whose bytes it leaves as they are. Only right after slab_sync; the caller arms. */
void slab_mark_free(struct slab *s, const void *p);

/* -- slots that are never linked --
 *
 *   hand:  word ----> the free bitmap of the current slab, a word of it       Free slots are bits only. The owner takes the
 *          allowed    those of it that may be taken                           ones of one word, each at random, and frees by
 *          before     near where the slot of its lowest bit begins            setting the bit; `trip` counts both.
 *
 * So nothing is ever read from free memory, a list cannot be forged, and whether a slot is free is one bit, exact at any time.
 *
 * Two threads that free one slot at the same moment may both find it live; then it is free in the one bitmap and stays freed in the
 * other. The owner sees that when it collects the slot, or is about to hand it out, or makes another slab there (docs/proof.md).
 * The equations hold with listed = 0, and marked = nmarked + (trip_set - trip). */

/* `slab_unlinked` is chosen before the first slab is made, for all of them. */
#define HAND_BEFORE 8
struct hand {
    uint64_t *word, allowed;
    const _Atomic uint64_t *remote; /* the same word of what others have freed */
    char *before; /* so many bytes: a pointer to a slot would hide a leaked block from who looks for pointers */
    struct slab *slab;
    uint16_t at, left;  /* which word it is, and how many more are to be looked at, cyclically */
    uint8_t from, many; /* of the word: between which slots those lie that were free when it came to hand */
    uint8_t random;     /* where among them the next one is */
};

/* Puts free slots of a slab into the owner's hand: those of the first word at or after a random one that has any and no hole
 * under it; else in a hole; else as many fresh ones as `window` says, of one word.
 * Returns how many holes are none any more, or -1 when there is no free slot. Only right after slab_sync; the caller arms. */
int slab_take_hand(struct slab *s, struct hand *hand, unsigned window, uint32_t random);

/* The next word of the slab with any; what may be taken of it, 0 when all have been looked at. */
uint64_t slab_turn_hand(struct hand *hand);

/* The owner alone writes to the free bitmap, at which others look in a hardened process. */
static inline void slab_set_free_word(uint64_t *word, uint64_t bits) { __atomic_store_n(word, bits, __ATOMIC_RELAXED); }

/* The slot that is next: the first free one at or after a random one, cyclically; some are. */
static inline unsigned slab_next_of_hand(const struct hand *hand, uint64_t free)
{
    unsigned at = hand->from + ((unsigned)hand->random * hand->many >> 8);
    return (lowest_bit(free >> at | free << (-at % 64)) + at) % 64;
}

/* Takes it. `random`, a byte, says where the one after it will be. */
static inline void *slab_take_by_hand(struct hand *hand, uint64_t free, uint8_t random)
{
    unsigned slot = slab_next_of_hand(hand, free);
    size_t stride = slab_stride(hand->slab);
    void *p = hand->before + HAND_BEFORE + slot * stride;
    if (unlikely(atomic_load_explicit(hand->remote, memory_order_relaxed) >> slot & 1)) {
        allot_fault("double free", "small block", p);
    }
    slab_set_free_word(hand->word, *hand->word & ~((uint64_t)1 << slot));
    hand->slab->trip++;
    hand->random = random;
    return p;
}

/* The end of the slot that is next is fetched, if there is one. */
static inline void slab_fetch_next(const struct hand *hand)
{
    uint64_t free = *hand->word & hand->allowed;
    if (likely(free != 0)) {
        __builtin_prefetch(hand->before + (slab_next_of_hand(hand, free) + 1) * slab_stride(hand->slab), 1);
    }
}

/* The owner frees slot i, which is out; true when something is due. */
static inline bool slab_free_by_hand(struct slab *s, unsigned i)
{
    uint64_t *word = unit_words_of_slot(&s->unit, i).free;
    slab_set_free_word(word, *word | (uint64_t)1 << (i % 64));
    return --s->trip < 0;
}

/* Slot i has been handed out since the slab began; and is free again, or freed by another thread. Any thread may ask about one
 * that it has, or has had: what the owner does meanwhile concerns others. A slot that is being collected is free in both bitmaps,
 * so it is one that is free to whoever has heard of its free. */
static inline bool slab_was_taken(const struct slab *s, unsigned i)
{
    return i < __atomic_load_n(&s->fresh, __ATOMIC_RELAXED);
}

static inline bool slab_is_free(const struct slab *s, unsigned i)
{
    struct unit_words words = unit_words_of_slot(&s->unit, i);
    uint64_t remote = atomic_load_explicit(words.remote, memory_order_acquire);
    return (__atomic_load_n(words.free, __ATOMIC_RELAXED) | remote) >> (i % 64) & 1;
}

/* Folds the owner's frees in, as slab_sync does, and moves what other threads have freed from the remote bitmap to the free
 * one. Returns how many slots came back in all. The caller arms. */
int slab_collect(struct slab *s);

/* Marks what is listed, of a few slabs side by side: each slot is visited, and hardly one is in the cache. Only right after
 * slab_sync; the caller arms. */
#define FOLD_MOST 8
void slab_fold(struct slab *const *slabs, size_t count);

/* The pages on which nothing is listed or out and that are no holes yet, a bit each: none in explicit huge pages, which have no
 * holes. And makes some of them holes, which the caller has purged. */
unsigned slab_free_pages(const struct slab *s);
static inline void slab_punch(struct slab *s, unsigned pages) { s->unit.holes |= (uint16_t)pages; }

/* Another thread than the owner frees slots of one word, a bit each: what was set before. */
uint64_t slab_set_remote(struct slab *s, size_t w, uint64_t bit);

/* And one slot. One freed twice, and not collected in between, faults. Returns 0, or now and then
 * the bytes that about as many calls as brought it here have freed: every 16th among neighbours, or each of a page or more. */
size_t slab_free_remote(struct slab *s, unsigned index);

/* Another thread than the owner takes slots out of the remote bitmap: all on pages on which there are no others. Such a page,
 * a bit each, holds nothing then that anybody will look at, until the slots are put back. None of a slab in explicit huge
 * pages, which are not purged. The slab may be any, but one that somebody releases with blocks in use. */
unsigned slab_claim_pages(struct slab *s);
void slab_unclaim_pages(struct slab *s, unsigned pages);

/* And takes slots that others have freed, of one word, to use them: they stay out, of a slab that is still this owner's and of
 * this class. None when there are none. `more`: there are others. */
struct batch slab_claim_slots(struct slab *s, uint32_t owner, unsigned klass, bool *more);

/* Follows a list of blocks, as far as it makes sense: the list may be another thread's, who is changing it. Returns how many
 * blocks there are; clears their bits in `map`, unless that is NULL. */
unsigned slab_follow(const struct slab *s, const struct block *list, uint64_t *map);

/* Sets a bit in `map` (BITMAP_WORDS) for each slot that is out and not freed by another thread. */
void slab_mark_out(const struct slab *s, uint64_t *map);

/* Proves the equations; faults on a broken one. */
bool slab_check(const struct slab *s);

#endif
