/* page/owners.h - who holds which rows and pages: for map.c only. */
#ifndef ALLOT_PAGE_OWNERS_H
#define ALLOT_PAGE_OWNERS_H

#include "page/map.h"

/* A block in rows that lie one behind another: bytes from the first row's beginning. */
struct map_span {
    uint64_t from, to;
};

/* False: it lies in no extent. */
bool map_find(struct map *map, uint32_t process, uint64_t address, uint64_t size, struct map_span *out);

static inline uint64_t map_pages(const struct map *map)
{
    return (((uint64_t)map->plan->rows << map->row_shift) + ((uint64_t)1 << map->page_shift) - 1) >> map->page_shift;
}

static inline bool map_shows(const struct map *map, uint32_t process)
{
    for (uint32_t i = 0; i < map->plan->processes; i++) {
        if (map->plan->process[i] == process) {
            return true;
        }
    }
    return false;
}

/* Goes over all live blocks where it is worth it, at the end of the interval. */
void owners_if_due(struct map *map, struct profile *profile, uint32_t interval);

#endif
