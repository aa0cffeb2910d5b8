/* See owners.h and map.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "page/hash.h"
#include "page/owners.h"

#define SEVERAL     UINT32_MAX
#define PAIRS_LEAST ((size_t)1 << 12)
#define PAIRS_MOST  ((size_t)1 << 20)
#define LASTING     16                  /* what is so for such a part of the time lasts */
#define FREE_LOOKS  ((uint64_t)1 << 20) /* blocks that may be looked at however few events there are */

struct pair {
    uint32_t row, site; /* site 0: the place is empty */
    uint64_t bytes;
};

struct walk {
    struct map *map;
    uint32_t process;
    struct map_pin *pin; /* NULL: not wanted */
    uint32_t *owner;     /* of pages: a site, or SEVERAL */
    struct pair *pair;   /* NULL: not wanted */
    size_t pairs, room;
    uint64_t filled; /* pages that blocks have all of, and */
    uint64_t
        crossed; /* rows: more than there are only where blocks overlap, as no program's do; then it is not worth the time */
    bool failed;
};

/* -- pages -- */

static void own(struct walk *w, uint64_t page, uint32_t site, uint64_t bytes)
{
    uint32_t *owner = &w->owner[page];
    *owner = *owner == 0 || *owner == site ? site : SEVERAL;
    if (w->map->page[page] > 0) { /* of a trace whose blocks overlap sums may be anything */
        w->pin[site].bytes += (double)bytes / w->map->page[page] * (double)((uint64_t)1 << w->map->page_shift);
    }
}

static void pin(struct walk *w, const struct map_span *at, uint32_t site)
{
    unsigned shift = w->map->page_shift;
    uint64_t first = at->from >> shift, last = (at->to - 1) >> shift;
    w->pin[site].used += at->to - at->from;
    w->pin[site].blocks++;
    if (first == last) {
        own(w, first, site, at->to - at->from);
        return;
    }
    own(w, first, site, ((first + 1) << shift) - at->from);
    own(w, last, site, at->to - (last << shift));
    w->filled += last - first - 1;
    for (uint64_t page = first + 1; page < last && w->filled <= map_pages(w->map); page++) {
        w->owner[page] = site;
    }
    w->pin[site].bytes += (double)((last - first - 1) << shift);
}

/* -- rows -- */

static struct pair *place_of(struct pair *pair, size_t room, uint32_t row, uint32_t site)
{
    size_t i = page_hash((uint64_t)row << 32 | site) & (room - 1);
    while (pair[i].site && (pair[i].row != row || pair[i].site != site)) {
        i = (i + 1) & (room - 1);
    }
    return &pair[i];
}

static void grow(struct walk *w)
{
    struct pair *grown = calloc(2 * w->room, sizeof *grown);
    if (!grown) {
        w->failed = true;
        return;
    }
    for (size_t i = 0; i < w->room; i++) {
        if (w->pair[i].site) {
            *place_of(grown, 2 * w->room, w->pair[i].row, w->pair[i].site) = w->pair[i];
        }
    }
    free(w->pair);
    w->pair = grown;
    w->room *= 2;
}

/* Where there are too many, those that come first are told apart. */
static void hold(struct walk *w, uint64_t row, uint32_t site, uint64_t bytes)
{
    struct pair *pair = place_of(w->pair, w->room, (uint32_t)row, site);
    if (pair->site == 0) {
        if (4 * (w->pairs + 1) > 3 * w->room) {
            if (w->room < PAIRS_MOST) {
                grow(w);
            }
            if (4 * (w->pairs + 1) > 3 * w->room) {
                return;
            }
            pair = place_of(w->pair, w->room, (uint32_t)row, site);
        }
        *pair = (struct pair){(uint32_t)row, site, 0};
        w->pairs++;
    }
    pair->bytes += bytes;
}

static void hold_rows(struct walk *w, const struct map_span *at, uint32_t site)
{
    unsigned shift = w->map->row_shift;
    w->crossed += (at->to - at->from) >> shift;
    for (uint64_t from = at->from; from < at->to && w->crossed <= w->map->plan->rows;) {
        uint64_t row = from >> shift, end = (row + 1) << shift;
        end = end < at->to ? end : at->to;
        hold(w, row, site, end - from);
        from = end;
    }
}

static bool before(const struct map_owner *a, const struct map_owner *b)
{
    return a->bytes != b->bytes ? a->bytes > b->bytes : a->site < b->site;
}

static void keep_moment(struct walk *w, uint32_t interval)
{
    struct map *map = w->map;
    struct map_owner(*owner)[MAP_OWNERS] = calloc(map->plan->rows, sizeof *owner);
    if (!owner) {
        w->failed = true;
        return;
    }
    for (size_t i = 0; i < w->room; i++) {
        struct map_owner one = {w->pair[i].site, w->pair[i].bytes}, *of = one.site ? owner[w->pair[i].row] : NULL;
        for (unsigned k = 0; of && k < MAP_OWNERS; k++) {
            if (of[k].site == 0 || before(&one, &of[k])) {
                struct map_owner pushed = of[k];
                of[k] = one;
                one = pushed;
            }
            if (one.site == 0) {
                break;
            }
        }
    }
    map->moment[map->moments++] = (struct map_moment){interval, owner};
}

/* -- all live blocks -- */

static bool tell(void *arg, const struct block *block)
{
    struct walk *w = arg;
    struct map_span at;
    if (!map_find(w->map, w->process, block->address, block->size, &at)) {
        return true;
    }
    if (w->pin) {
        pin(w, &at, block->site);
    }
    if (w->pair) {
        hold_rows(w, &at, block->site);
    }
    return true;
}

static void keep_pins(struct walk *w, const struct profile *p, uint32_t interval)
{
    struct map *map = w->map;
    uint64_t longest = 0;
    for (uint32_t i = 0; i < map->plan->extents; i++) {
        const struct plan_extent *x = &map->plan->extent[i];
        uint64_t first = ((uint64_t)x->row << map->row_shift) >> map->page_shift,
                 last = (((uint64_t)(x->row + x->rows) << map->row_shift) - 1) >> map->page_shift, empty = 0;
        bool some = false;
        for (uint64_t page = first; page <= last; page++) {
            uint32_t owner = w->owner[page];
            if (owner == 0) {
                empty++;
                continue;
            }
            longest = some && empty > longest ? empty : longest;
            some = true;
            empty = 0;
            w->pin[owner == SEVERAL ? 0 : owner].alone++; /* nobody's are not looked at */
        }
    }
    free(map->pin);
    map->pin = w->pin;
    map->pins = p->sites + 1;
    map->pin_interval = interval;
    map->pin_held = map->held;
    map->pin_used = map->used;
    map->pin_holes = map->holes[interval];
    map->pin_largest = longest << map->page_shift;
}

/* Of a look, in blocks: pages are gone over as well, but in a row. */
static uint64_t cost_of(const struct map *map, const struct profile *p) { return p->live_blocks + map_pages(map) / 8; }

static void look(struct map *map, struct profile *p, uint32_t interval, bool pins, bool moment)
{
    struct walk w = {.map = map, .room = PAIRS_LEAST};
    w.pin = pins ? calloc((size_t)p->sites + 1, sizeof *w.pin) : NULL;
    w.owner = pins ? calloc(map_pages(map), sizeof *w.owner) : NULL;
    w.pair = moment ? calloc(w.room, sizeof *w.pair) : NULL;
    w.failed = (pins && (!w.pin || !w.owner)) || (moment && !w.pair);
    for (uint32_t i = 0; i < p->processes && !w.failed; i++) {
        struct profile_process *process = p->process[i];
        w.process = process->number;
        if (process->live.budget && map_shows(map, process->number)) {
            w.failed = blocks_each(&process->live, tell, &w) < 0;
        }
    }
    map->looked_at += cost_of(map, p);
    if (moment && !w.failed) {
        keep_moment(&w, interval);
    }
    if (pins && !w.failed) {
        keep_pins(&w, p, interval);
        w.pin = NULL;
    }
    map->error = w.failed ? ENOMEM : map->error;
    free(w.pin);
    free(w.owner);
    free(w.pair);
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
    bool sparse = now.beyond > 0,
         moment = map->moments < MAP_MOMENTS && interval + 1 >= due && (so_far <= paid || interval == last);
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
