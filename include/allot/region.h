/* allot/region.h - who has which part of a range of integers: where the next piece goes, by eight rules.
 *
 *     struct allot_region vram;
 *     allot_region_init(&vram, 0, 1 << 30, &(struct allot_region_opts){.fit = ALLOT_BEST, .unit = 256});
 *     struct allot_range texture;
 *     if (allot_region_take(&vram, 3 << 20, 4096, &texture) == 0) upload(texture.at, ...);
 *     allot_region_give(&vram, &texture);
 *     allot_region_done(&vram);
 *
 * For memory that the CPU cannot or should not touch - a GPU's, a file's blocks, shared memory, rows of a texture - and for ranges
 * that are no memory at all: ports, ids, seats. What it places is never read or written. Sizes and offsets are 64 bits, in whatever the
 * caller counts in.
 *
 * Which rule: docs/place.md has them measured. BEST packs densest, BINS is fastest, FIRST keeps the high end free, BUDDY merges
 * and splits in halves; NEXT and WORST are there for what spreads on purpose, and to compare with.
 *
 * Threads: one at a time, unless the region was made with a lock. The struct is the caller's, and may be moved while no call runs.
 */
#ifndef ALLOT_REGION_H
#define ALLOT_REGION_H

#include <allot/part.h>

#ifdef __cplusplus
extern "C" {
#endif

/* In which hole a piece goes. Where more than one place in the chosen hole would do it is the lowest, but for BEST. n: how many holes
 * there are. (Knuth, The Art of Computer Programming 1, 2.5; Wilson et al., "Dynamic storage allocation: a survey and critical
 * review", 1995.) */
enum allot_fit {
    ALLOT_FIRST, /* the lowest offset that fits; O(log n) */
    ALLOT_NEXT,  /* the lowest one from where the last piece ended, else the lowest of all; O(log n) */
    ALLOT_BEST, /* the tightest hole, of equal ones the highest; where any place in it would do, the end beside the longer range (a
                      * span's low end is longer than any, its high end shorter; of equal ones the low end). O(log n), hardly a walk:
                      * holes lie in bins by size and place */
    ALLOT_NEXT_BEST, /* the tightest hole, of equal ones the lowest; likewise */
    ALLOT_WORST,     /* the largest hole, of equal ones the lowest; likewise */
    ALLOT_GROUPS, /* the range in equal areas: of those that have a hole long enough the one whose smallest hole is smallest (then
                      * the lowest), and in it the tightest, lowest. A hole is of the area where it begins, and may go beyond it.
                      * O(areas + log n) */
    ALLOT_BINS, /* a hole of the first list whose holes are all long enough, 32 lists to a doubling; only when there is none, the
                      * first that fits in the list below. O(1), but for that rescue, which is a walk over one list.
                      * (Masmano et al., "TLSF", 2004.) */
    ALLOT_BUDDY /* pieces of a power of two of units, at a multiple of as much; a hole is split in halves, and merged with its
                      * other half. Of the smallest order that has one, the block that came last. O(log size).
                      * (Knowlton 1965; with a threshold: Barkley and Lee, "A lazy buddy system", 1989.) */
};

/* Who may call at once. */
enum allot_region_lock {
    ALLOT_REGION_UNLOCKED, /* one thread at a time: the caller sees to it */
    ALLOT_REGION_LOCKED,   /* the threads of this process */
    ALLOT_REGION_SHARED    /* and those of other processes that have attached to `memory` */
};

struct allot_region_opts {
    enum allot_fit fit;
    uint64_t unit;  /* every size is rounded up to a multiple of it, and every offset is one: a power of two; 0: 1 */
    unsigned areas; /* with GROUPS: how many; 0: 64; at most 4096 */
    uint64_t
        threshold; /* with BUDDY: a block that comes back is merged, and what it becomes likewise, only while the list of that order
                         * holds at least so many; 0: always. Before a request fails everything is merged. */
    enum allot_region_lock lock;

    /* Where the records are kept, with allot_region_memory(...) bytes for so many ranges at a time, at a multiple of 64; more than fit
     * are refused with -ENOMEM. NULL: they are in memory of the library's own, which grows. For SHARED it is needed. */
    void *memory;
    size_t memory_size;

    /* Of a region whose offsets are addresses of this process's memory, for who looks for leaks: that memory is said to be this region's,
     * and whoever points into it holds it. As long as the region; NULL: none. Not for SHARED. */
    const char *name;
};

struct allot_region {
    void *state, *nodes, *blocks; /* private: the records, which hold no addresses, so that they may be shared */
    size_t mapped[3];             /* bytes of each that are the library's own mappings */
    int lock;                     /* of LOCKED */
};

/* A piece that was taken: [at, at + size). The caller keeps all three. `id` may serve as an index: no two live ranges have the same, and
 * with R ranges and S spans at most it is less than 2 * (R + S) + 4; with BUDDY, times the orders there are. */
struct allot_range {
    uint64_t at, size;
    uint32_t id;
};

/* A region of [base, base + size), all of it a hole, as far as it is whole units; `size` 0: of nothing yet. `opts` NULL: FIRST, unit 1.
 * base + size is at most 2^63. 0, -EINVAL for options that make no sense, -ENOMEM. Cost: a few pages. */
ALLOT_API int allot_region_init(struct allot_region *region, uint64_t base, uint64_t size,
                                const struct allot_region_opts *opts);

/* Bytes of opts.memory for `ranges` pieces at a time in a range of that size, given the other options: up to 160 a range; with BUDDY 32
 * for each order and range, its worst case; and for itself 4 to 16 KiB, with BEST and its kin 36 to 100. Each span that is added later
 * counts as a range. 0 when the options make no sense. */
ALLOT_API size_t allot_region_memory(uint64_t ranges, uint64_t size, const struct allot_region_opts *opts);

/* A region that another process, or this one, has made in `memory` with SHARED: the same one, through a struct of one's own. 0, or
 * -EINVAL when there is none. */
ALLOT_API int allot_region_attach(struct allot_region *region, void *memory, size_t memory_size);

/* The struct may be given to init again. Ranges still taken are nobody's concern; opts.memory is the caller's again, and a region that
 * others are attached to goes on without this one. */
ALLOT_API void allot_region_done(struct allot_region *region);

/* The region gets [base, base + size) as well, in whole units, wherever it lies; beside another of its spans the two are one. 0,
 * -EINVAL when it overlaps what the region has, -ENOMEM. Cost: FIRST and NEXT O(log n), else a walk over the ranges. */
ALLOT_API int allot_region_add(struct allot_region *region, uint64_t base, uint64_t size);

/* Takes `size`, at least 1, at a multiple of `align`, a power of two (0: any), and tells where. 0; -ENOSPC when no hole holds it;
 * -EINVAL; -ENOMEM when it is the records that do not fit. */
ALLOT_API int allot_region_take(struct allot_region *region, uint64_t size, uint64_t align, struct allot_range *out);

/* Where a piece may lie. All zero: anywhere. (FreeBSD and Solaris, vmem_xalloc: Bonwick and Adams, "Magazines and vmem", 2001.) */
struct allot_bounds {
    uint64_t align;   /* at % align == phase; a power of two, 0: 1 */
    uint64_t phase;   /* less than align, and a multiple of the unit */
    uint64_t nocross; /* [at, at + size) crosses no multiple of this, a power of two; 0: may */
    uint64_t min;     /* at >= min */
    uint64_t max;     /* at + size <= max; 0: no bound */
};

/* As take, within bounds: the rule's choice among the holes that have a place within them. Never refuses what fits, but pays for it:
 * bounds other than `align` may cost a visit to every hole that is long enough. */
ALLOT_API int allot_region_take_in(struct allot_region *region, uint64_t size, const struct allot_bounds *bounds,
                                   struct allot_range *out);

/* Takes exactly [at, at + size), in whole units: to restore what was, or to set something apart. 0, -ENOSPC when part of it is taken
 * or not the region's, -EINVAL when it is no whole units, -ENOMEM. Cost: FIRST and NEXT O(log n); else a walk over the ranges from
 * where the last one ended, so that claims in ascending order cost O(1) each. */
ALLOT_API int allot_region_claim(struct allot_region *region, uint64_t at, uint64_t size, struct allot_range *out);

/* Makes a range another size where it is, and changes *range accordingly. 0; -ENOSPC when what follows is taken; -ENOMEM; -EINVAL. On
 * failure nothing has changed. O(log n), with BUDDY O(log size). */
ALLOT_API int allot_region_resize(struct allot_region *region, struct allot_range *range, uint64_t size);

/* Gives a range back; it merges with the holes beside it. Never fails; one that is not taken ends the process with a line. Cost as of
 * the search. */
ALLOT_API void allot_region_give(struct allot_region *region, const struct allot_range *range);

/* Gives everything back at once. */
ALLOT_API void allot_region_reset(struct allot_region *region);

/* Has room for so many more ranges to be taken, or -ENOMEM: the next calls that need no more than that cannot fail for want of
 * records. */
ALLOT_API int allot_region_reserve(struct allot_region *region, uint64_t ranges);

/* -- compaction, step by step -- */

/* One range and the place that was taken for it. */
struct allot_move {
    struct allot_range from, to;
};

struct allot_plan_opts {
    uint64_t want; /* the hole that is wanted; 0: nine tenths of all that is free */
    uint64_t most; /* of the moves together, at least one; 0: any amount */

    /* Whether a range may move, and within which bounds (all zero as they come: anywhere). NULL: all may. */
    bool (*may_move)(void *arg, struct allot_range range, struct allot_bounds *bounds);
    void *arg;
};

/* Plans moves towards a long hole: of all the places for one the one where least is taken, and what is there goes into the holes
 * elsewhere, the longest range first into the tightest hole. What finds none there has a hole made for it in the same way.
 * Fills at most `max` moves, and the `to` of each is taken. The caller copies, and commits or aborts each, in any order, and calls
 * again until it returns 0: then there is such a hole, or there is none to be had. How many moves, -ENOMEM, or -EINVAL: not for
 * BUDDY. `opts` may be NULL. Cost: O(n log n), and memory for as long as the call. */
ALLOT_API int allot_region_plan(struct allot_region *region, const struct allot_plan_opts *opts,
                                struct allot_move *moves, size_t max);

/* The range lies at move->to from now on, and its old place is given back; or the new one is. */
ALLOT_API void allot_region_commit(struct allot_region *region, const struct allot_move *move);
ALLOT_API void allot_region_abort(struct allot_region *region, const struct allot_move *move);

/* -- what it can tell -- */

struct allot_region_stats {
    struct allot_use use; /* used + free = held; with BUDDY, whole blocks are used */
    uint64_t
        largest; /* the longest hole, to the unit: so much can be taken next, with any rule; with BUDDY, the largest block */
    uint64_t holes;
    size_t memory; /* bytes of records, resident or not */
};

/* Cost: FIRST, NEXT, BEST, NEXT_BEST, WORST O(log n); GROUPS O(areas); BINS and BUDDY a walk over one list. */
ALLOT_API void allot_region_stats(struct allot_region *region, struct allot_region_stats *out);

/* Calls `visit` for every range in order of offset, holes (id UINT32_MAX) included; stops at a value other than 0 and returns it. It
 * may not call the region. */
ALLOT_API int allot_region_walk(struct allot_region *region,
                                int (*visit)(struct allot_range range, bool taken, void *arg), void *arg);

/* Walks everything and proves its equations; ends the process with a line when one is broken. Returns true. */
ALLOT_API bool allot_region_check(struct allot_region *region);

/* Writes the region, its options and all its ranges with their ids, into `image`, and returns how many bytes that takes; when these are
 * more than `length` nothing is written. No addresses are in it: for a file, or another process. Bytes are in the machine's order. */
ALLOT_API size_t allot_region_save(struct allot_region *region, void *image, size_t length);

/* Makes a region of such an image: every range has its id again, and the rule goes on (of equals in a list of BINS or BUDDY it may choose
 * another one than before; BUDDY's free blocks are merged). `opts` NULL, or `lock` and `memory` of it, is how it is kept. 0, -ENOMEM,
 * or -EINVAL when it is no such image, or a damaged one: everything in it is looked at. */
ALLOT_API int allot_region_load(struct allot_region *region, const void *image, size_t length,
                                const struct allot_region_opts *opts);

/* A process that ends in the middle of a call on a SHARED region leaves its records half changed. Whoever calls next finds that out from
 * the lock, and makes them again from the ranges that are taken: the call under way has then happened, or has not. */

#ifdef __cplusplus
}
#endif

#endif
