/* See map.h. */
#include <stdlib.h>

#include "page/map.h"
#include "page/owners.h"

struct map *map_begin(const struct plan *plan)
{
    struct map *map = plan->rows ? calloc(1, sizeof *map) : NULL;
    if (map) {
        map->plan = plan;
    }
    return map;
}

void map_end(struct map *map)
{
    if (map) {
        for (uint32_t i = 0; i < map->moments; i++) {
            free(map->moment[i].owner);
        }
        free(map->pin);
        free(map);
    }
}

/* Its map; NULL: it has none. */
static struct heap_map *map_of(struct map *map, uint32_t process)
{
    const struct plan *plan = map->plan;
    if (plan->process[map->in_hand] != process) {
        uint32_t i = 0;
        while (i < plan->processes && plan->process[i] != process) {
            i++;
        }
        if (i == plan->processes) {
            return NULL;
        }
        map->in_hand = i;
    }
    return plan->map[map->in_hand];
}

void map_add(struct map *map, uint32_t process, uint64_t address, uint64_t size)
{
    struct heap_map *of = map_of(map, process);
    if (of) {
        heap_map_take(of, address, size);
    }
}

void map_remove(struct map *map, uint32_t process, uint64_t address, uint64_t size)
{
    struct heap_map *of = map_of(map, process);
    if (of) {
        heap_map_give(of, address, size);
    }
}

static bool leave(void *arg, const struct block *block)
{
    heap_map_give(arg, block->address, block->size);
    return true;
}

void map_leave(struct map *map, struct profile_process *process)
{
    struct heap_map *of = map_of(map, process->number);
    if (of) {
        blocks_each(&process->live, leave, of);
    }
}

void map_look(struct map *map, struct profile *p, uint32_t interval)
{
    uint64_t holes = 0, used = 0;
    for (uint32_t i = 0; i < map->plan->processes; i++) {
        const struct heap_map *of = map->plan->map[i];
        holes += of->held * of->page_bytes > of->used ? heap_map_holes(of) : 0; /* else blocks overlap */
        used += of->used;
    }
    map->holes[interval] = holes;
    map->used_then[interval] = used;
    if (!map->ended) {
        owners_if_due(map, p, interval);
        map->ended = interval == map->plan->intervals - 1;
    }
}

void map_tick(struct map *map, struct profile *p, uint32_t interval)
{
    for (uint32_t i = 0; i < map->plan->processes; i++) {
        heap_map_column(map->plan->map[i]);
    }
    map_look(map, p, interval);
}
