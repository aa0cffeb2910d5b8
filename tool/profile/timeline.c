/* See timeline.h. */
#include "timeline.h"

void timeline_begin(struct timeline *t, uint64_t begin, uint64_t length)
{
    *t = (struct timeline){.begin = begin, .length = length, .count = 1};
}

static void halve(struct timeline *t)
{
    uint32_t kept = (t->count + 1) / 2;
    for (uint32_t i = 0; i < kept; i++) {
        struct timeline_point first = t->point[2 * i];
        if (2 * i + 1 < t->count) {
            const struct timeline_point *second = &t->point[2 * i + 1];
            uint64_t high = first.high > second->high ? first.high : second->high,
                     allocs = first.allocs + second->allocs;
            first = *second;
            first.high = high;
            first.allocs = allocs;
        }
        t->point[i] = first;
    }
    t->count = kept;
    t->length *= 2;
}

void timeline_go(struct timeline *t, uint64_t time)
{
    if (time < t->begin) {
        return;
    }
    while ((time - t->begin) / t->length >= TIMELINE_POINTS) {
        halve(t);
    }
    for (uint64_t last = (time - t->begin) / t->length; t->count <= last; t->count++) {
        struct timeline_point next = t->point[t->count - 1];
        next.high = next.live_bytes;
        next.allocs = 0;
        t->point[t->count] = next;
    }
}
