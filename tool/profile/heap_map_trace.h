/* profile/heap_map_trace.h - a heap's map out of a trace: what lay where at a moment, and over time.
 *
 *   trace, once: where blocks ever lie --> rows      trace, once more: takes and gives, a column each interval, a look at the moment
 */
#ifndef ALLOT_PROFILE_HEAP_MAP_TRACE_H
#define ALLOT_PROFILE_HEAP_MAP_TRACE_H

#include "profile/heap_map.h"
#include "profile/profile.h"
#include "trace/trace.h"

enum heap_map_at { HEAP_MAP_AT_PEAK, HEAP_MAP_AT_END, HEAP_MAP_AT_TIME };

struct heap_map_wanted {
    uint32_t process;   /* 0: the one that held most */
    uint32_t rows_most; /* of the map */
    uint64_t page;      /* 0: 4096 */
    uint32_t
        columns; /* at so many times, at equal distances, from the trace's begin to its end; 0: at the moment only */
    enum heap_map_at at;      /* of the look: when most was live; when the process, or the trace, ended; or then: */
    uint64_t time;            /* as the profile has times */
    const uint32_t *groups;   /* of each of the profile's sites what stands for it in the look; NULL: its number */
    size_t memory_most;       /* bytes for live blocks, more goes to disk; 0: 256 MiB */
    trace_progress *progress; /* or NULL */
};

struct heap_map_trace {
    const struct profile_process *process;
    struct heap_map *map; /* with wanted.columns: after the last event that was read; else as of the moment */
    struct heap_map_look look;
    uint64_t time, blocks, bytes;                       /* when, and what was live then */
    uint64_t held;                                      /* pages that had some of it */
    uint64_t *column_time, *column_holes, *column_live; /* of each column */
};

/* `profile` is of the same trace, whole. False with `error` set: what, where, what to do. Ended by heap_map_trace_end in any case. */
bool heap_map_trace_read(const char *path, const struct profile *profile, const struct heap_map_wanted *wanted,
                         struct heap_map_trace *out, struct trace_error *error);
void heap_map_trace_end(struct heap_map_trace *t);

#endif
