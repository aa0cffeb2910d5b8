/* profile/timeline.h - the course of a few figures over time, in at most TIMELINE_POINTS points whatever the time.
 *
 *   interval:  |----|----|----|----|  ...  when a time beyond the last comes, each two become one of twice the length
 *
 * Each point has the figures at its interval's end and the highest within.
 */
#ifndef ALLOT_PROFILE_TIMELINE_H
#define ALLOT_PROFILE_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>

#define TIMELINE_POINTS 1024

struct timeline_point {
    uint64_t live_bytes, live_blocks; /* at its end */
    uint64_t high;                    /* most bytes live in it */
    uint64_t resident, mapped;        /* at its end, as last heard */
    uint64_t allocs;                  /* in it */
};

struct timeline {
    uint64_t begin, length; /* of an interval */
    uint32_t count;         /* points written; the last one goes on */
    struct timeline_point point[TIMELINE_POINTS];
};

void timeline_begin(struct timeline *timeline, uint64_t begin, uint64_t length);
/* Makes the point that `time` lies in the last one, as those between then were. */
void timeline_go(struct timeline *timeline, uint64_t time);

/* The point that `time` lies in. Time does not go back. */
static inline struct timeline_point *timeline_at(struct timeline *timeline, uint64_t time)
{
    if (__builtin_expect(time - timeline->begin >= timeline->length * timeline->count, 0)) {
        timeline_go(timeline, time);
    }
    return &timeline->point[timeline->count - 1];
}

#endif
