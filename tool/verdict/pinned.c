/* See pinned.h. */
#include <stdlib.h>
#include <sys/stat.h>

#include "page/map.h"
#include "verdict/pinned.h"

#define WORTH_A_LOOK ((uint64_t)2 << 20) /* bytes at the peak */
#define LASTING      16                  /* what is so for such a part of the time lasts */
#define BLOCKS       ((size_t)280 << 20) /* bytes: the profile that is there has its sites already */

/* -- by place -- */

static int by_holes(const void *a, const void *b)
{
    const struct pinned_by *x = a, *y = b;
    uint64_t of_x = x->charged > x->used ? x->charged - x->used : 0,
             of_y = y->charged > y->used ? y->charged - y->used : 0;
    return of_x != of_y ? (of_x < of_y ? 1 : -1) : (x->group > y->group) - (x->group < y->group);
}

static void charge(const struct look *look, const struct map *map, struct pinned_by *by, uint64_t *widest)
{
    for (uint32_t n = 1; n < map->pins && n <= look->profile->sites; n++) {
        const struct heap_map_pin *pin = &map->pin[n];
        struct pinned_by *b = &by[look->group_of_site[n]];
        b->group = look->group_of_site[n];
        b->blocks += pin->blocks;
        b->used += pin->used;
        b->charged += pin->charged;
        if (pin->charged > widest[b->group]) {
            widest[b->group] = pin->charged;
            b->site = n;
        }
    }
}

bool pinned_of(const struct look *look, const struct map *map, struct pinned *out)
{
    *out = (struct pinned){0};
    if (!map || !map->pin || !map->pin_sparse || map->plan->page_bytes != PLAN_PAGE) {
        return true;
    }
    struct pinned_by *by = calloc((size_t)look->groups + 1, sizeof *by);
    uint64_t *widest = calloc((size_t)look->groups + 1, sizeof *widest);
    if (by && widest) {
        charge(look, map, by, widest);
        qsort(by, look->groups, sizeof *by, by_holes);
        out->time = map->plan->ends[map->pin_interval];
        out->held = map->pin_held * PLAN_PAGE;
        out->used = map->pin_used;
        while (out->count < PINNED_SITES && out->count < look->groups && by[out->count].charged > by[out->count].used) {
            out->by[out->count] = by[out->count];
            out->count++;
        }
    }
    bool done = by && widest;
    free(by);
    free(widest);
    return done;
}

/* -- a map, for who has none -- */

struct mapping {
    struct profile_watch watch; /* first: who is told has a pointer to this */
    struct map *map;
    uint32_t interval;
};

static void came(struct profile_watch *watch, struct profile *p, struct profile_process *process,
                 const struct trace_event *e, uint32_t site, const struct block *old)
{
    (void)p;
    (void)site;
    (void)old;
    map_add(((struct mapping *)watch)->map, process->number, e->address, e->size);
}

static void went(struct profile_watch *watch, struct profile *p, struct profile_process *process,
                 const struct trace_event *e, const struct block *block, enum profile_end how)
{
    (void)p;
    (void)e;
    (void)how;
    map_remove(((struct mapping *)watch)->map, process->number, block->address, block->size);
}

static void tick(struct profile_watch *watch, struct profile *p)
{
    struct mapping *m = (struct mapping *)watch;
    const struct plan *plan = m->map->plan;
    while (m->interval < plan->intervals - 1 && p->now >= plan->ends[m->interval]) {
        map_tick(m->map, p, m->interval++);
    }
    watch->next = m->interval < plan->intervals - 1 ? plan->ends[m->interval] : UINT64_MAX;
}

static void leaves(struct profile_watch *watch, struct profile *p, struct profile_process *process)
{
    struct mapping *m = (struct mapping *)watch;
    if (m->interval == m->map->plan->intervals - 1) {
        map_look(m->map, p, m->interval);
    } else if (process->live.budget) {
        map_leave(m->map, process);
    }
}

/* With `wanted` as the look at the same trace had it: then sites are the same. */
static bool read_map(struct map *map, const char *path, const struct profile_wanted *wanted, struct trace_error *error)
{
    struct mapping m = {.watch = {.tick = tick, .came = came, .went = went, .leaves = leaves}, .map = map};
    struct profile_wanted with = *wanted;
    with.watch = &m.watch;
    with.memory_most = BLOCKS;
    m.watch.next = map->plan->intervals > 1 ? map->plan->ends[0] : UINT64_MAX;
    struct trace *trace = trace_open(path, error);
    struct profile *p = trace ? profile_read(trace, &with, error) : NULL;
    for (; p && m.interval < map->plan->intervals; m.interval++) {
        map_tick(map, p, m.interval);
    }
    bool whole = p && !map->error;
    profile_end(p);
    if (trace) {
        trace_close(trace);
    }
    return whole;
}

/* It held much, and for as long as what lasts less than half of it later: pages that stay are behind a burst. And it is there still: what came
 * through a pipe is gone. */
static bool is_worth_it(const struct look *look)
{
    const struct profile *p = look->profile;
    const struct trace_about *about = trace_about(look->trace);
    const struct timeline *t = &p->timeline;
    struct stat is;
    uint32_t low = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        bool later = t->begin + (i + 1) * t->length > p->peak_time;
        low += later && t->point[i].live_bytes <= p->peak_bytes / 2;
    }
    return about->has_addresses && !about->is_profile && p->peak_bytes >= WORTH_A_LOOK && low >= t->count / LASTING &&
           stat(look->path, &is) == 0 && S_ISREG(is.st_mode);
}

int pinned_find(const struct look *look, struct pinned *out, struct trace_error *error)
{
    *out = (struct pinned){0};
    if (!is_worth_it(look)) {
        return 0;
    }
    struct profile_wanted wanted = look->profile->wanted;
    struct plan *plan = calloc(1, sizeof *plan);
    struct map *map = NULL;
    int found = -1;
    wanted.progress = look_progress(look->path);
    if (plan && plan_read(plan, look->path, &wanted, error)) {
        map = map_begin(plan);
        found = plan->rows == 0 ? 0 : -1;
    }
    if (map) {
        map->pins_only = true;
        found = read_map(map, look->path, &wanted, error) && pinned_of(look, map, out) ? 1 : -1;
    }
    look_progress_end();
    map_end(map);
    if (plan) {
        plan_end(plan);
    }
    free(plan);
    return found;
}
