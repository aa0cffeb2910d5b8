/* span/run.h - page runs: blocks of 32 KiB to 2 MiB in whole pages of 4 KiB, cut from segments of their own. */
#ifndef SPAN_RUN_H
#define SPAN_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "span/segment.h"

#define RUN_PAGE      ((size_t)4096)
#define RUN_MAX       ((size_t)2 << 20) /* longest run */
#define RUN_MAX_ALIGN ((size_t)1 << 20) /* largest alignment of one */

/* A run of `bytes`, rounded up to whole pages and aligned, marked as `heap`'s; *zeroed tells whether all of it is zero.
 * NULL with ENOMEM. */
void *run_alloc(size_t bytes, size_t align, uint32_t heap, bool *zeroed);

/* `run` is where a run begins: anything else faults. Returns its length in bytes. */
size_t run_free(void *run);

/* The length in bytes of the run that begins at `p`, and whose it is; 0 when none does. No lock: the caller owns the
 * run. */
size_t run_length(const void *p);
uint32_t run_heap(const void *p);

/* Makes a run `bytes` long, rounded up to pages, where it stands. False, and unchanged, when what follows is taken. */
bool run_resize(void *run, size_t bytes);

/* Frees every run of `heap`. Returns the bytes freed. */
size_t runs_free_all(uint32_t heap);

/* Purges free pages that are too many, as run_free does: after a thread in haste. */
void runs_catch_up(void);

/* Purges free pages. Returns the bytes that were covered. */
size_t runs_trim(void);

/* Bytes in live runs, and their number. */
struct run_totals {
    size_t bytes, runs;
};
struct run_totals runs_totals(void);

/* Bytes of free pages that may be resident, without waiting for anybody: true at some moment. */
size_t runs_kept(void);

/* Calls `visit` for each run of a segment of runs, in order of address; stops at a value other than 0 and returns it.
 */
int runs_walk(struct segment *segment, int (*visit)(void *run, size_t bytes, uint32_t heap, void *arg), void *arg);

/* -- for who reads it from an image of the process (snap/walk.h); changed in run.c alone -- */

#define RUN_PAGES      (SEGMENT_SIZE / RUN_PAGE)
#define RUN_FIRST_PAGE (UNIT_SIZE / RUN_PAGE)

/* The links of a hole lie in its first page's place. */
struct run_hole {
    struct run_hole *next, *prev;
};

/* In unit 0 of a segment of runs, where other segments have their bitmaps. Zero is what it is given and given back as.
 */
struct run_map {
    uint64_t dirty[RUN_PAGES / 64];
    uint16_t length[RUN_PAGES]; /* at the first page of a run: its pages; else 0 */
    uint16_t hole[RUN_PAGES];   /* at the first and last page of a hole: its pages; else 0 */
    uint32_t heap[RUN_PAGES];   /* at the first page of a run: whose it is */
    struct run_hole link[RUN_PAGES];
};

static inline struct run_map *run_map_of(struct segment *segment)
{
    return (struct run_map *)((char *)segment + HEADER_SIZE * UNITS);
}

bool runs_check(void);

void runs_lock(void);
void runs_unlock(void);
void runs_lock_reset(void);

#endif
