/* page/map.h - where a trace's blocks lie, over time: how full each row of addresses is, how much of the pages that hold a block is holes,
 * and who keeps those pages.
 *
 *   rows      |  part + whole  |...         bytes of blocks in each: `part` of those that begin or end in it; those that lie over rows wholly
 *                                           stand in `whole` as a difference between neighbours, so that a block costs the same however large
 *   pages     |  bytes         |...         of blocks that begin or end in the page. A page within a block has no other and no hole: it is only counted
 *
 *     held * page = used + holes        pages with a block; bytes of blocks in them; all else in them
 *
 * When an interval ends its rows are written down. Who holds what is found by going over all live blocks, at a few moments: at MAP_MOMENTS
 * equal distances, and when what has lasted for a sixteenth of the time is worse than at the last look by an eighth: pages that are less than half
 * used, else bytes of holes. Not more often than events pay for, but always where it is twice as bad.
 *
 * Memory: rows are few; pages at most MAP_PAGES, so 32 MiB and while it looks as much again (a page is 4 KiB, or twice that as often as the heap
 * would have more); pins 32 bytes a site; owners 1 MiB, and 24 MiB while it looks.
 */
#ifndef ALLOT_PAGE_MAP_H
#define ALLOT_PAGE_MAP_H

#include "page/plan.h"

#define MAP_PAGES   ((uint64_t)8 << 20)
#define MAP_MOMENTS 12
#define MAP_OWNERS  3 /* of a row that are named */

struct map_pin { /* of a site, in pages that it holds; those that it shares count by its part of the bytes used */
    double bytes;
    uint64_t used;
    uint64_t alone; /* pages that no other site has blocks in */
    uint64_t blocks;
};

struct map_owner {
    uint32_t site; /* 0: none */
    uint64_t bytes;
};

struct map_moment {
    uint32_t interval;
    struct map_owner (*owner)[MAP_OWNERS]; /* of each row, most first */
};

struct map {
    const struct plan *plan;
    unsigned row_shift, page_shift;
    uint32_t in_hand;      /* extent */
    int64_t *part, *whole; /* bytes; `whole` one more than rows */
    int64_t *ever;         /* as `whole`: how many blocks ever came to a row, so that 0 is never */
    uint32_t *page;
    uint64_t held, used;
    uint8_t *occupancy;                                        /* rows * intervals, row by row */
    uint64_t holes[PLAN_INTERVALS], used_then[PLAN_INTERVALS]; /* at its end */

    struct map_moment moment[MAP_MOMENTS];
    uint32_t moments;
    uint64_t looked_at;  /* what all looks have cost, in blocks */
    struct map_pin *pin; /* by site, of the look with most holes */
    uint32_t pins;       /* sites that there were then, and 1 */
    uint32_t pin_interval;
    uint64_t pin_value; /* by which that look was chosen: */
    bool pin_sparse;    /* held - 2 * used, which lasted; else bytes of holes that did */
    uint64_t pin_held, pin_used, pin_holes,
        pin_largest; /* largest: bytes of the longest run of pages without a block between two with */
    bool ended;      /* the last look has been */
    int error;
};

/* NULL: out of memory, or the plan has no rows. */
struct map *map_begin(const struct plan *plan);
void map_end(struct map *map);

void map_add(struct map *map, uint32_t process, uint64_t address, uint64_t size);
void map_remove(struct map *map, uint32_t process, uint64_t address, uint64_t size);
/* All of a process is gone. */
void map_leave(struct map *map, struct profile_process *process);

/* In the last interval, before the first process ends: who holds what, as long as its blocks are there. */
void map_look(struct map *map, struct profile *profile, uint32_t interval);
/* The interval is over. */
void map_tick(struct map *map, struct profile *profile, uint32_t interval);

#endif
