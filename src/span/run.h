/* span/run.h - page runs: blocks of 32 KiB to 2 MiB in whole pages of 4 KiB, cut from segments of their own. */
#ifndef SPAN_RUN_H
#define SPAN_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RUN_PAGE      ((size_t)4096)
#define RUN_MAX       ((size_t)2 << 20) /* longest run */
#define RUN_MAX_ALIGN ((size_t)1 << 20) /* largest alignment of one */

struct segment;

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

bool runs_check(void);

void runs_lock(void);
void runs_unlock(void);
void runs_lock_reset(void);

#endif
