/* page/plan.h - what has to be known of a trace before its course can be drawn: when it begins and ends, and where its blocks lie.
 *
 *   events --> begin, end        --> intervals   |----|----|----|----|     at most PLAN_INTERVALS, equally long
 *          --> ranges of pages   --> extents     |rows|    |rows   |       at most PLAN_ROWS rows in all, equally high
 *
 * A pass of its own, which keeps nothing of the blocks: it costs what reading the trace costs. An interval has the events from the end of
 * the one before it on up to, but not at, its own end; the last one also those at its end. Rows are powers of two of pages; pages between two
 * ranges that are less than a row apart belong to the extent. Only of the processes that touch most pages there are extents.
 *
 * Memory: ranges of 16 bytes; TOUCHED_MOST of the first 64 processes, a few of others: 64 MiB where there are as many processes as there can be.
 */
#ifndef ALLOT_PAGE_PLAN_H
#define ALLOT_PAGE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "profile/profile.h"

#define PLAN_INTERVALS 200
#define PLAN_ROWS      1024
#define PLAN_PROCESSES 8 /* that have extents */
#define PLAN_PAGE      4096

struct plan_extent {
    uint64_t start, end; /* addresses; whole rows but for where the address space ends */
    uint32_t process, row, rows;
};

struct plan {
    bool timed;
    uint64_t begin, end; /* of the events that count: ns, or numbers of events */
    uint32_t intervals;
    uint64_t ends[PLAN_INTERVALS];
    uint64_t row_bytes;
    uint32_t rows, extents;               /* 0: the trace has no addresses, or no blocks */
    struct plan_extent extent[PLAN_ROWS]; /* by process, then by address */
    uint32_t process[PLAN_PROCESSES];     /* that have extents */
    uint32_t processes;
};

/* False with `error` set. Takes of `wanted` what says which events count. */
bool plan_read(struct plan *plan, const char *path, const struct profile_wanted *wanted, struct trace_error *error);

/* The interval that a time lies in; times outside are in the first and the last. */
uint32_t plan_interval(const struct plan *plan, uint64_t time);

#endif
