/* span/reserve.h - how much free memory of a pool may stay resident: purge what drops, keep what comes back.
 *
 *   |<---------------------- free, perhaps resident: dirty ---------------------->|
 *   |<-- bound: the pool's own, by what is in use -->|<-- kept: by experience ---->| beyond: purged
 *
 * A pool begins with its bound only, so memory that a program no longer needs goes back as it is freed. When memory is
 * taken that was purged in the last seconds, that was too early, but for so much a second as costs next to nothing to make
 * again: as much is kept from then on, so a program that swings fast pays for a swing or two, and one that swings slowly is
 * small at each ebb. What lies unneeded for a window is kept less and less, and after a second not any longer. Counts in
 * the pool's own measure; its lock guards the record. (What is needed in a window: tcmalloc's subrelease by recent demand;
 * learning from regret, as adaptive replacement does with its ghosts.)
 */
#ifndef SPAN_RESERVE_H
#define SPAN_RESERVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The calling thread was marked by allot_thread_latency: it gives nothing back to the system, which is left to the next
 * thread that comes by, and walks no list further than so many steps. */
extern __thread bool in_haste;
#define HASTE_STEPS 16

/* Such a thread has left something: the next one has to look at all pools. */
extern _Atomic bool left_in_haste;
static inline void reserve_leave(void) { atomic_store_explicit(&left_in_haste, true, memory_order_release); }

/* How many bytes each of the pools may keep at most, whatever its bound and experience: set by who knows of a limit. */
#define RESERVES 3
extern atomic_size_t reserve_most;

/* What may be made again for having gone back too early, without any harm: so many bytes in a millisecond, of at most the last
 * second. At one to two microseconds for a page of 4 KiB, purged and made again, that is less than a hundredth of a core's
 * time. */
#define PACE_BYTES ((size_t)16 << 10)

/* How often it is asked what nobody needed: in milliseconds. */
#define RESERVE_WINDOW 125

struct pace {
    size_t left; /* bytes, as of: */
    uint64_t at; /* in milliseconds */
};

/* So many bytes were made again by now: how many of them were too many. */
size_t pace_beyond(struct pace *pace, size_t bytes, uint64_t now);

struct reserve {
    atomic_size_t dirty; /* free, perhaps resident; for others to read without the lock */
    size_t each;         /* bytes of one of what is counted */
    size_t kept;         /* what may stay above the pool's bound */
    size_t least;        /* the least that `dirty` has been in this window: nobody needed it */
    size_t purged;       /* in the last seconds, and not taken since */
    size_t stuck;        /* of `dirty`, what the system would not purge when it was asked last, at stuck_at */
    uint64_t stuck_at;
    uint64_t purged_at, window; /* in milliseconds: when that was, and when this window began */
    struct pace pace;
};

static inline size_t reserve_dirty(const struct reserve *r)
{
    return atomic_load_explicit(&r->dirty, memory_order_relaxed);
}

/* Came free; perhaps resident. */
static inline void reserve_add(struct reserve *r, size_t count)
{
    atomic_store_explicit(&r->dirty, reserve_dirty(r) + count, memory_order_relaxed);
}

/* Were taken: so many that may have been resident, and so many that were not. */
void reserve_take(struct reserve *r, size_t dirty, size_t clean);

/* How many dirty ones to purge now, given the pool's own bound: none while they are not too many, or in haste; else down to
 * `slack` below what may stay, so that the next that come free cost nothing again. */
size_t reserve_excess(struct reserve *r, size_t bound, size_t slack);

/* Were purged, of so many that were too many; or because all were to go, which begins experience anew. What the system would
 * not purge (locked memory, parts of its pages) is tried again after a window, not with each call. */
void reserve_purged(struct reserve *r, size_t excess, size_t count);
void reserve_emptied(struct reserve *r, size_t count);

#endif
