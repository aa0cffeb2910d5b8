/* page/plan.h - what has to be known of a trace before its course can be drawn: when it begins and ends, and where its blocks lie.
 *
 *   events --> begin, end         --> intervals       |----|----|----|----|     at most PLAN_INTERVALS, equally long
 *          --> a map a process    --> rows            (profile/heap_map.h)      at most PLAN_ROWS in all, equally high
 *
 * A pass of its own, which keeps nothing of the blocks: it costs what reading the trace costs. An interval has the events from the end of
 * the one before it on up to, but not at, its own end; the last one also those at its end. Rows are powers of two of pages; pages between two
 * ranges that are less than a row apart belong to the extent. Only processes that touch most pages have a map.
 *
 * Memory: extents of 32 bytes, PLAN_EXTENTS of the first 64 processes, a few of others: 160 MiB where there are as many processes as there can be,
 * which is given back when it has been read. Of the maps that stay what they have (heap_map.h), with PLAN_PAGES pages in all: 32 MiB.
 */
#ifndef ALLOT_PAGE_PLAN_H
#define ALLOT_PAGE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "profile/heap_map.h"
#include "profile/profile.h"

#define PLAN_INTERVALS 200
#define PLAN_ROWS      1024
#define PLAN_PROCESSES 8 /* that have extents */
#define PLAN_PAGE      4096
#define PLAN_PAGES     ((uint64_t)8 << 20) /* beyond, a page is twice that, and so on */
#define PLAN_EXTENTS   4096

struct plan {
    bool timed;
    uint64_t begin, end; /* of the events that count: ns, or numbers of events */
    uint32_t intervals;
    uint64_t ends[PLAN_INTERVALS];
    uint64_t row_bytes, page_bytes;
    uint32_t rows;      /* of all maps; 0: the trace has no addresses, or no blocks */
    uint32_t processes; /* that have maps, by number */
    uint32_t process[PLAN_PROCESSES];
    struct heap_map *map[PLAN_PROCESSES];
    uint32_t first_row[PLAN_PROCESSES];
};

/* False with `error` set. Takes of `wanted` what says which events count. Ended by plan_end in any case. */
bool plan_read(struct plan *plan, const char *path, const struct profile_wanted *wanted, struct trace_error *error);
void plan_end(struct plan *plan);

/* The interval that a time lies in; times outside are in the first and the last. */
uint32_t plan_interval(const struct plan *plan, uint64_t time);

#endif
