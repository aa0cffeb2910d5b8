/* See owners.h and map.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "page/owners.h"

#define LASTING    16                  /* what is so for such a part of the time lasts */
#define FREE_LOOKS ((uint64_t)1 << 20) /* blocks that may be looked at however few events there are */
#define AT_ONCE    ((uint64_t)1 << 20) /* blocks that a look sorts; it asks for all again for as many more */

/* A look at all maps. */
struct found {
    struct heap_map_pin *pin; /* by site; NULL: not wanted */
    struct map_moment moment;
    uint64_t held, used, longest;
};

static bool keep_owners(struct found *f, const struct heap_map_look *look, uint32_t first_row)
{
    struct map_moment *m = &f->moment;
    struct heap_map_owner *grown = realloc(m->owner, (m->owners + look->owners + 1) * sizeof *grown);
    if (!grown) {
        return false;
    }
    m->owner = grown;
    for (size_t i = 0; i < look->owners; i++) {
        m->owner[m->owners] = look->owner[i];
        m->owner[m->owners++].row += first_row;
    }
    return true;
}

struct visiting {
    heap_map_visit *visit;
    void *to;
};

static bool visit_block(void *arg, const struct block *block)
{
    const struct visiting *v = arg;
    return v->visit(v->to, block->address, block->size, block->site);
}

static bool each_block(void *from, heap_map_visit *visit, void *to)
{
    return blocks_each(from, visit_block, &(struct visiting){visit, to}) > 0;
}

static bool look_at_one(const struct map *map, uint32_t number, struct profile_process *process, struct found *f,
                        bool moment)
{
    struct heap_map_look look;
    bool done = heap_map_look(map->plan->map[number], each_block, &process->live, &look);
    for (size_t i = 0; done && f->pin && i < look.pins; i++) {
        f->pin[look.pin[i].site] = look.pin[i];
    }
    done = done && (!moment || keep_owners(f, &look, map->plan->first_row[number]));
    f->held += look.held;
    f->used += look.used;
    f->longest = look.longest_run > f->longest ? look.longest_run : f->longest;
    heap_map_look_end(&look);
    return done;
}

/* The process of a map, while it has blocks; or NULL. */
static struct profile_process *process_of(const struct map *map, const struct profile *p, uint32_t number)
{
    uint32_t of = map->plan->process[number], i = of < p->process_index_room ? p->process_index[of] : 0;
    return i && p->process[i - 1]->live.budget ? p->process[i - 1] : NULL;
}

static void keep_pins(struct map *map, struct found *f, const struct profile *p, uint32_t interval)
{
    free(map->pin);
    map->pin = f->pin;
    map->pins = p->sites + 1;
    map->pin_interval = interval;
    map->pin_held = f->held;
    map->pin_used = f->used;
    map->pin_holes = f->held * map->plan->page_bytes - f->used;
    map->pin_largest = f->longest;
    f->pin = NULL;
}

/* Of a look, in blocks: pages are gone over as well, but in a row. */
static uint64_t cost_of(const struct map *map, const struct profile *p)
{
    return p->live_blocks * (1 + p->live_blocks / AT_ONCE) +
           map->plan->rows * (map->plan->row_bytes / map->plan->page_bytes) / 8;
}

static void look(struct map *map, struct profile *p, uint32_t interval, bool pins, bool moment)
{
    struct found f = {.pin = pins ? calloc((size_t)p->sites + 1, sizeof *f.pin) : NULL, .moment.interval = interval};
    bool done = !pins || f.pin;
    for (uint32_t i = 0; i < map->plan->processes && done; i++) {
        struct profile_process *process = process_of(map, p, i);
        done = !process || look_at_one(map, i, process, &f, moment);
    }
    map->looked_at += cost_of(map, p);
    if (moment && done) {
        map->moment[map->moments++] = f.moment;
        f.moment.owner = NULL;
    }
    if (pins && done) {
        keep_pins(map, &f, p, interval);
    }
    map->error = done ? map->error : p->budget.error ? p->budget.error : ENOMEM;
    free(f.pin);
    free(f.moment.owner);
}

/* What has lasted for so many intervals: holes, and whether pages were kept for less than half of them all the time. */
struct lasting {
    uint64_t holes;
    int64_t beyond; /* held - 2 * used, the least */
};

static struct lasting lasting(const struct map *map, uint32_t interval)
{
    uint32_t span = map->plan->intervals / LASTING, from = interval > span ? interval - span : 0;
    struct lasting out = {UINT64_MAX, INT64_MAX};
    for (uint32_t i = from; i <= interval; i++) {
        int64_t beyond = (int64_t)map->holes[i] - (int64_t)map->used_then[i];
        out.holes = map->holes[i] < out.holes ? map->holes[i] : out.holes;
        out.beyond = beyond < out.beyond ? beyond : out.beyond;
    }
    /* What is being given back one by one is no matter: its pages go with it. */
    bool stays = map->used_then[interval] >= map->used_then[from] / 4 * 3 && interval - from >= span;
    out.beyond = stays ? out.beyond : 0;
    return out;
}

void owners_if_due(struct map *map, struct profile *p, uint32_t interval)
{
    struct lasting now = lasting(map, interval);
    uint32_t last = map->plan->intervals - 1, due = (uint32_t)(((uint64_t)map->moments + 1) * (last + 1) / MAP_MOMENTS);
    uint64_t so_far = map->looked_at + cost_of(map, p), paid = FREE_LOOKS + p->events / 2;
    bool sparse = now.beyond > 0;
    if (map->pins_only && !sparse) {
        return;
    }
    bool moment =
        !map->pins_only && map->moments < MAP_MOMENTS && interval + 1 >= due && (so_far <= paid || interval == last);
    uint64_t value = sparse ? (uint64_t)now.beyond : now.holes, best = map->pin_value;
    bool pins = sparse != map->pin_sparse ? sparse
                : interval == last        ? value > best || !map->pin
                                          : value > best + best / 8 && (so_far <= paid || value / 2 > best);
    if (moment || pins) {
        look(map, p, interval, pins, moment);
    }
    if (pins) {
        map->pin_value = value;
        map->pin_sparse = sparse;
    }
}
