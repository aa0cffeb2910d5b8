/* See touched.h. */
#include <stdlib.h>
#include <string.h>

#include "page/touched.h"

#define ROOM_LEAST 16
#define GAP_LEAST  4096

void touched_join(struct touched *t, uint64_t gap)
{
    uint32_t kept = 0;
    t->gap = gap;
    for (uint32_t i = 1; i < t->count; i++) {
        if (t->range[i].start - t->range[kept].end < gap) {
            t->range[kept].end = t->range[i].end;
        } else {
            t->range[++kept] = t->range[i];
        }
    }
    t->count = t->count ? kept + 1 : 0;
    t->last = 0;
}

static bool make_room(struct touched *t)
{
    while (t->count >= t->most) {
        touched_join(t, t->gap < GAP_LEAST ? 2 * GAP_LEAST : 2 * t->gap);
    }
    if (t->count == t->room) {
        uint32_t room = t->room ? 2 * t->room : ROOM_LEAST < t->most ? ROOM_LEAST : t->most;
        struct touched_range *grown = realloc(t->range, room * sizeof *grown);
        if (!grown) {
            return false;
        }
        t->range = grown;
        t->room = room;
    }
    return true;
}

/* Ranges so far apart are one. */
static uint64_t reach(const struct touched *t) { return t->gap ? t->gap - 1 : 0; }

/* The first range that does not end before `start`, out of reach. */
static uint32_t find(const struct touched *t, uint64_t start)
{
    uint32_t from = 0, to = t->count;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (t->range[middle].end + reach(t) < start) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

bool touched_add(struct touched *t, uint64_t start, uint64_t end)
{
    if (t->last < t->count && start >= t->range[t->last].start && end <= t->range[t->last].end) {
        return true;
    }
    uint32_t at = find(t, start);
    if (at == t->count || end + reach(t) < t->range[at].start) {
        uint32_t before = t->count;
        if (!make_room(t)) {
            return false;
        }
        at = t->count == before ? at : find(t, start);
        if (at == t->count || end + reach(t) < t->range[at].start) {
            memmove(&t->range[at + 1], &t->range[at], (t->count - at) * sizeof *t->range);
            t->range[at] = (struct touched_range){start, end};
            t->count++;
        }
    }
    struct touched_range *r = &t->range[at];
    r->start = start < r->start ? start : r->start;
    r->end = end > r->end ? end : r->end;
    uint32_t behind = at + 1;
    while (behind < t->count && t->range[behind].start <= r->end + reach(t)) {
        r->end = t->range[behind].end > r->end ? t->range[behind].end : r->end;
        behind++;
    }
    memmove(&t->range[at + 1], &t->range[behind], (t->count - behind) * sizeof *t->range);
    t->count -= behind - at - 1;
    t->last = at;
    return true;
}
