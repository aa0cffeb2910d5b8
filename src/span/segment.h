/* span/segment.h - 4 MiB pieces of address space, cut into 64 units of 64 KiB.
 *
 *   segment (4 MiB aligned)
 *   +-----------------------------------------------+---------+---------+-- ... --+---------+
 *   | unit 0: the records of the others             | unit 1  | unit 2  |         | unit 63 |
 *   |  64 unit headers x 64 B | their bitmaps       |  data   |  data   |         |  data   |
 *   +-----------------------------------------------+---------+---------+-- ... --+---------+
 *
 * The header of the unit that holds an address is found by arithmetic alone, and headers lie densely: 64 of them are
 * one page and use every set of the cache once. So do the lines of the bitmaps: the first of all units, of either map, are one
 * page, then come the second ones. A unit of at most 512 slots has no more than these, so 63 of them touch three pages of
 * records instead of sixteen. Data units hold nothing but blocks, so a block whose size is a multiple
 * of a power of two up to 64 KiB can be aligned to it. Segments are never unmapped, only purged, so a header may be
 * read at any time.
 *
 * With fences the odd units are such that nobody can access (os/fence.h), so there is one on both sides of each that holds data;
 * and so are the others before they are first taken, and once they have been purged. Segments of page runs have none.
 *
 * A data unit is free, holds a slab (slab/slab.h), or is one of the 63 of a segment of page runs (span/run.h).
 */
#ifndef SPAN_SEGMENT_H
#define SPAN_SEGMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "os/lock.h"

#define SEGMENT_SHIFT 22
#define SEGMENT_SIZE  ((size_t)1 << SEGMENT_SHIFT)
#define UNIT_SHIFT    16
#define UNIT_SIZE     ((size_t)1 << UNIT_SHIFT)
#define UNITS         64
#define HEADER_SIZE   64
#define BITMAP_WORDS  60 /* of each of a unit's two bitmaps: 3840 slots of 16 bytes */

/* The owner word of a unit: the id of a heap, from 1, or of a part (heap/part.h), from OWNER_LIMIT; or what else it is. */
#define OWNER_FREE  0xffffff00u /* nobody's; header 0 of a segment says so too */
#define OWNER_RUN   0xffffff01u /* part of a segment of page runs */
#define OWNER_GUARD 0xffffff02u /* part of an area of guarded places (heap/guard.h), which no pool knows of */
#define OWNER_NONE  0xffffff03u /* a fence, in which blocks of no bytes lie (heap/nothing.h) */
#define OWNER_LIMIT 0xc0000000u /* owners from here on are no heaps */

/* How every unit header begins. */
struct unit {
    _Atomic uint32_t owner;
    uint16_t touched : 15; /* in 16 bytes: how far from its start the unit has been written since it was last purged */
    uint16_t dense : 1;    /* taken with UNIT_ALL */
    uint16_t holes;        /* the pages that were purged one by one since they were last written, a bit each */
};

enum segment_kind { SEGMENT_UNITS, SEGMENT_RUNS };

/* Header 0 of a segment: the record of the whole. All but `owner` is the segment lock's. */
struct segment {
    _Atomic uint32_t owner; /* OWNER_FREE: no block lies in unit 0 */
    uint8_t kind;
    bool fenced;    /* its odd units are fences; as it was mapped, likewise */
    bool hugetlb;   /* in explicit huge pages, which are never purged; as it was mapped, so anybody may read it */
    uint64_t free;  /* units that are free; never bit 0, nor a fence */
    uint64_t dirty; /* of those, the ones with pages that may be resident */
    uint64_t ready; /* and of the others, those that a huge page made resident; of explicit ones, all that are free */
    uint64_t shut;  /* of those, the ones that nobody can access either, until they are taken */
    struct segment *next, *prev;
    struct segment *older; /* the chain of all segments, newest first */
};

static inline struct segment *segment_of(const void *p)
{
    return (struct segment *)((uintptr_t)p & ~(uintptr_t)(SEGMENT_SIZE - 1));
}

static inline struct unit *unit_of(const void *p)
{
    uintptr_t at = (uintptr_t)p;
    uintptr_t header = (at >> (UNIT_SHIFT - 6)) & (HEADER_SIZE * (UNITS - 1));
    return (struct unit *)((at & ~(uintptr_t)(SEGMENT_SIZE - 1)) + header);
}

static inline struct unit *segment_unit(struct segment *segment, unsigned index)
{
    return (struct unit *)((char *)segment + index * HEADER_SIZE);
}

static inline uint32_t unit_owner(const struct unit *unit)
{
    return atomic_load_explicit(&unit->owner, memory_order_relaxed);
}

static inline unsigned unit_index(const struct unit *unit) { return (unsigned)((uintptr_t)unit / HEADER_SIZE % UNITS); }

static inline char *unit_data(const struct unit *unit)
{
    return (char *)segment_of(unit) + unit_index(unit) * UNIT_SIZE;
}

/* Word w of the two bitmaps of a data unit: slots freed by other threads, and slots that are free. Zero while the unit is free.
 *
 *   page    0        1         2       3         4       ...  13        14      15
 *           headers  remote 0  free 0  remote 1  free 1       remote 6  free 6  remote 7 | free 7 in the line's other half
 */
static inline uint64_t *unit_word(const struct unit *unit, size_t w, size_t map)
{
    enum { LINE_WORDS = HEADER_SIZE / 8, LAST = BITMAP_WORDS / LINE_WORDS, PAGE = HEADER_SIZE * UNITS };
    size_t line = w / LINE_WORDS, half = line == LAST ? map : 0;
    return (uint64_t *)((char *)unit + (1 + 2 * line + map - half) * PAGE) + w % LINE_WORDS + half * LINE_WORDS / 2;
}

/* The same word of both, as nearly every call wants them in a hardened process. */
struct unit_words {
    _Atomic uint64_t *remote;
    uint64_t *free;
};
static inline struct unit_words unit_words_of_slot(const struct unit *unit, size_t slot)
{
    enum {
        LINE_SLOTS = HEADER_SIZE * 8,
        LAST = BITMAP_WORDS * 64 / LINE_SLOTS * LINE_SLOTS,
        PAGE = HEADER_SIZE * UNITS
    };
    uintptr_t remote = (uintptr_t)unit + PAGE + slot / LINE_SLOTS * (2 * PAGE) + (slot / 8 & (HEADER_SIZE - 8));
    return (struct unit_words){(_Atomic uint64_t *)remote,
                               (uint64_t *)(remote + (likely(slot < LAST) ? PAGE : HEADER_SIZE / 2))};
}

static inline _Atomic uint64_t *unit_remote_word(const struct unit *unit, size_t w)
{
    return (_Atomic uint64_t *)unit_word(unit, w, 0);
}

static inline uint64_t *unit_free_word(const struct unit *unit, size_t w) { return unit_word(unit, w, 1); }

/* How much of a unit will be used. */
enum unit_use {
    UNIT_FEW,  /* perhaps a page: rather one of which nothing is resident; the others are left to who uses more */
    UNIT_SOME, /* who knows */
    UNIT_ALL,  /* all, as of those taken before: it may come from a huge page */
};

/* From now on segments are made with fences, as long as the kernel's areas allow it. */
extern bool segments_fenced;

/* A fence of one of them, for good, where what its addresses are for nobody reads or writes; NULL when there is none. Its bitmaps
 * are zero. */
struct unit *unit_take_fence(uint32_t owner);

/* A free unit, or NULL with ENOMEM. Its bytes from unit->touched on are zero. */
struct unit *unit_take(enum unit_use use);

/* One that nothing has been in before, and that nobody gives back; or NULL. */
struct unit *unit_take_apart(void);

/* Gives a unit back; both bitmaps are zero. It may stay resident for the next taker, within a bound. */
void unit_give(struct unit *unit);

/* A segment all of whose units are free, for the taker alone, or NULL with ENOMEM; and back. `dirty`: the units that
 * may not be zero, a bit each; in explicit huge pages none of them is marked, and none may be taken for zero. */
struct segment *segment_take(uint64_t *dirty);
void segment_give(struct segment *segment, uint64_t dirty);

/* Purges free units that are too many. unit_give does so itself; after segment_give, or a thread in haste, somebody has to. */
void segments_catch_up(void);

/* Purges every free unit. Returns the bytes that were covered. */
size_t segments_trim(void);

/* The chain of all segments, newest first. Segments are only ever added. */
struct segment *segments_newest(void);
extern _Atomic(struct segment *) segments_list;
size_t segments_count(void);

/* Bytes of free units that may be resident, without waiting for anybody: true at some moment. */
size_t segments_kept(void);

/* Proves the pool's equations; faults on a broken one. */
bool segments_check(void);

void segments_lock(void);
void segments_unlock(void);
void segments_lock_reset(void);

#endif
