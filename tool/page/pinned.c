/* See page.h: who keeps pages, as the verdict wants it (verdict/pinned.h). */
#include <stdlib.h>
#include <string.h>

#include "page/page.h"
#include "verdict/pinned.h"

static int by_holes(const void *a, const void *b)
{
    const struct pinned_by *x = a, *y = b;
    uint64_t of_x = x->charged > x->used ? x->charged - x->used : 0,
             of_y = y->charged > y->used ? y->charged - y->used : 0;
    return of_x != of_y ? (of_x < of_y ? 1 : -1) : (x->group > y->group) - (x->group < y->group);
}

bool page_pinned(const struct page *page, struct pinned *out)
{
    const struct map *map = page->map;
    const struct look *look = &page->look;
    *out = (struct pinned){0};
    if (!map || !map->pin || !map->pin_sparse || (uint64_t)1 << map->page_shift != PLAN_PAGE) {
        return false;
    }
    struct pinned_by *by = calloc((size_t)look->groups + 1, sizeof *by);
    double *widest = calloc((size_t)look->groups + 1, sizeof *widest);
    for (uint32_t n = 1; by && widest && n < map->pins; n++) {
        const struct map_pin *pin = &map->pin[n];
        struct pinned_by *b = &by[look->group_of_site[n]];
        if (!(pin->bytes > 0 && pin->bytes < 1e18)) {
            continue;
        }
        b->group = look->group_of_site[n];
        b->blocks += pin->blocks;
        b->used += pin->used;
        b->charged += (uint64_t)pin->bytes;
        if (pin->bytes > widest[b->group]) {
            widest[b->group] = pin->bytes;
            b->site = n;
        }
    }
    if (by && widest) {
        qsort(by, look->groups, sizeof *by, by_holes);
        out->time = page->plan.ends[map->pin_interval];
        out->process = page->plan.process[0];
        out->page_bytes = (uint64_t)1 << map->page_shift;
        out->held = map->pin_held << map->page_shift;
        out->used = map->pin_used;
        while (out->count < PINNED_SITES && out->count < look->groups && by[out->count].charged > by[out->count].used) {
            out->blocks += by[out->count].blocks;
            out->by[out->count] = by[out->count];
            out->count++;
        }
    }
    free(by);
    free(widest);
    return out->count > 0;
}
