/* page/map.h - where a trace's blocks lie, over time: the maps of its processes (profile/heap_map.h), a column each interval, and looks at who
 * keeps their pages.
 *
 * Who holds what is found by going over all live blocks, at a few moments: at MAP_MOMENTS equal distances, and when what has lasted for a
 * sixteenth of the time is worse than at the last look by an eighth: pages that are less than half used, else bytes of holes. Not more often than
 * events pay for, but always where it is twice as bad.
 *
 * Memory: the maps' (page/plan.h); pins 48 bytes a site; owners 1 MiB, and what a look takes (heap_map.h).
 */
#ifndef ALLOT_PAGE_MAP_H
#define ALLOT_PAGE_MAP_H

#include "page/plan.h"

#define MAP_MOMENTS 12
#define MAP_OWNERS  3 /* of a row that are named */

struct map_moment {
    uint32_t interval;
    struct heap_map_owner *owner; /* by row of all maps, and in it most bytes first */
    size_t owners;
};

struct map {
    const struct plan *plan;
    uint32_t in_hand;                                          /* process */
    uint64_t holes[PLAN_INTERVALS], used_then[PLAN_INTERVALS]; /* bytes, at its end */

    struct map_moment moment[MAP_MOMENTS];
    uint32_t moments;
    uint64_t looked_at;       /* what all looks have cost, in blocks */
    struct heap_map_pin *pin; /* by site, of the look with most holes */
    uint32_t pins;            /* sites that there were then, and 1 */
    uint32_t pin_interval;
    uint64_t pin_value; /* by which that look was chosen: */
    bool pin_sparse;    /* held - 2 * used, which lasted; else bytes of holes that did */
    uint64_t pin_held, pin_used, pin_holes,
        pin_largest; /* largest: bytes of the longest run of pages without a block between two with */
    bool pins_only;  /* who keeps pages that are less than half used is all that is wanted */
    bool ended;      /* the last look has been */
    int error;
};

/* NULL: out of memory, or the plan has no rows. The plan's maps are changed. */
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
