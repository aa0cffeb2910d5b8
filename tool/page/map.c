/* See map.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "page/map.h"
#include "page/owners.h"

struct map *map_begin(const struct plan *plan)
{
    struct map *map = plan->rows ? calloc(1, sizeof *map) : NULL;
    if (!map) {
        return NULL;
    }
    map->plan = plan;
    map->row_shift = (unsigned)__builtin_ctzll(plan->row_bytes);
    map->page_shift = (unsigned)__builtin_ctzll(PLAN_PAGE);
    while (((uint64_t)plan->rows << map->row_shift) >> map->page_shift > MAP_PAGES) {
        map->page_shift++;
    }
    map->part = calloc(plan->rows, sizeof *map->part);
    map->whole = calloc((size_t)plan->rows + 1, sizeof *map->whole);
    map->ever = calloc((size_t)plan->rows + 1, sizeof *map->ever);
    map->page = calloc(map_pages(map), sizeof *map->page);
    map->occupancy = calloc(plan->rows, plan->intervals);
    if (!map->part || !map->whole || !map->ever || !map->page || !map->occupancy) {
        map_end(map);
        return NULL;
    }
    return map;
}

void map_end(struct map *map)
{
    if (map) {
        for (uint32_t i = 0; i < map->moments; i++) {
            free(map->moment[i].owner);
        }
        free(map->part);
        free(map->whole);
        free(map->ever);
        free(map->page);
        free(map->occupancy);
        free(map->pin);
        free(map);
    }
}

static bool lies_in(const struct plan_extent *x, uint32_t process, uint64_t address)
{
    return x->process == process && address >= x->start && address < x->end;
}

bool map_find(struct map *map, uint32_t process, uint64_t address, uint64_t size, struct map_span *out)
{
    const struct plan *plan = map->plan;
    const struct plan_extent *x = &plan->extent[map->in_hand];
    if (!lies_in(x, process, address)) {
        uint32_t from = 0, to = plan->extents;
        while (to - from > 1) {
            uint32_t middle = from + (to - from) / 2;
            const struct plan_extent *m = &plan->extent[middle];
            if (m->process < process || (m->process == process && m->start <= address)) {
                from = middle;
            } else {
                to = middle;
            }
        }
        x = &plan->extent[from];
        if (!lies_in(x, process, address)) {
            return false;
        }
        map->in_hand = from;
    }
    size = size ? size : 1;
    size = size < x->end - address ? size : x->end - address;
    out->from = ((uint64_t)x->row << map->row_shift) + (address - x->start);
    out->to = out->from + size;
    return true;
}

/* `sign` 1: it comes, -1: it goes. */
static inline void count_page(struct map *map, uint64_t page, int64_t bytes)
{
    bool was = map->page[page] > 0;
    map->page[page] += (uint32_t)bytes;
    map->held += (uint64_t)((map->page[page] > 0) - was);
}

static void count(struct map *map, const struct map_span *at, int64_t sign)
{
    uint64_t first = at->from >> map->page_shift, last = (at->to - 1) >> map->page_shift,
             row = at->from >> map->row_shift, last_row = (at->to - 1) >> map->row_shift;
    int64_t size = (int64_t)(at->to - at->from), row_bytes = (int64_t)1 << map->row_shift;
    map->used += (uint64_t)(sign * size);
    if (first == last) {
        count_page(map, first, sign * size);
    } else {
        count_page(map, first, sign * (int64_t)(((first + 1) << map->page_shift) - at->from));
        count_page(map, last, sign * (int64_t)(at->to - (last << map->page_shift)));
        map->held += (uint64_t)(sign * (int64_t)(last - first - 1));
    }
    if (row == last_row) {
        map->part[row] += sign * size;
    } else {
        map->part[row] += sign * (int64_t)(((row + 1) << map->row_shift) - at->from);
        map->part[last_row] += sign * (int64_t)(at->to - (last_row << map->row_shift));
        map->whole[row + 1] += sign * row_bytes;
        map->whole[last_row] -= sign * row_bytes;
    }
}

void map_add(struct map *map, uint32_t process, uint64_t address, uint64_t size)
{
    struct map_span at;
    if (map_find(map, process, address, size, &at)) {
        count(map, &at, 1);
        map->ever[at.from >> map->row_shift]++;
        map->ever[((at.to - 1) >> map->row_shift) + 1]--;
    }
}

void map_remove(struct map *map, uint32_t process, uint64_t address, uint64_t size)
{
    struct map_span at;
    if (map_find(map, process, address, size, &at)) {
        count(map, &at, -1);
    }
}

struct leaving {
    struct map *map;
    uint32_t process;
};

static bool leave(void *arg, const struct block *block)
{
    struct leaving *leaving = arg;
    map_remove(leaving->map, leaving->process, block->address, block->size);
    return true;
}

void map_leave(struct map *map, struct profile_process *process)
{
    if (map_shows(map, process->number)) {
        blocks_each(&process->live, leave, &(struct leaving){map, process->number});
    }
}

static uint8_t shade(bool ever, int64_t bytes, unsigned row_shift)
{
    if (bytes <= 0) {
        return ever ? 1 : 0;
    }
    uint64_t share = (uint64_t)((unsigned __int128)(uint64_t)bytes * 253 >> row_shift);
    return (uint8_t)(2 + (share < 253 ? share : 253));
}

void map_look(struct map *map, struct profile *p, uint32_t interval)
{
    uint64_t held = map->held << map->page_shift;
    map->holes[interval] = held > map->used ? held - map->used : 0; /* blocks of a broken trace may overlap */
    map->used_then[interval] = map->used;
    if (!map->ended) {
        owners_if_due(map, p, interval);
        map->ended = interval == map->plan->intervals - 1;
    }
}

void map_tick(struct map *map, struct profile *p, uint32_t interval)
{
    const struct plan *plan = map->plan;
    int64_t whole = 0, ever = 0;
    for (uint32_t row = 0; row < plan->rows; row++) {
        whole += map->whole[row];
        ever += map->ever[row];
        map->occupancy[(size_t)row * plan->intervals + interval] =
            shade(ever > 0, map->part[row] + whole, map->row_shift);
    }
    map_look(map, p, interval);
}
