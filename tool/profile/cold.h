/* profile/cold.h - live blocks that did not fit in memory: runs on disk, each in the order of keys (blocks.h).
 *
 *   run:  file   | 16 blocks | 16 blocks | ...       512 bytes each, read one at a time
 *         memory | first key | first key | ...       half of it; and a bit for each block: it was freed
 *
 * Three eighths of a byte a block stay in memory. Eight runs become one, so a block is looked for in seven at most. The files have no
 * name: nothing is left behind, however it ends.
 */
#ifndef ALLOT_PROFILE_COLD_H
#define ALLOT_PROFILE_COLD_H

#include <stdbool.h>
#include <stddef.h>

#include "blocks.h"

struct cold_run;

/* A run of at most so many blocks, which are then appended in order; NULL with errno. */
struct cold_run *cold_begin(size_t most, const char *folder);
int cold_append(struct cold_run *run, const struct block *block, size_t count); /* 0 or an errno */
/* Puts a run before *runs. 0 or an errno: then all is there still. */
int cold_put(struct cold_run **runs, struct cold_run *run, const char *folder);
/* 1: *out is the newest block of that address, which `take` marks as freed; 0: none; else -errno. */
int cold_find(struct cold_run *runs, uint64_t address, struct block *out, bool take);
/* Calls `visit` for each block that is not freed, once; runs become one first. 0; an errno; -1: visit said false. */
int cold_each(struct cold_run **runs, const char *folder, bool (*visit)(void *arg, const struct block *block),
              void *arg);
/* Bytes of memory that they take. */
size_t cold_memory(const struct cold_run *runs);
void cold_end(struct cold_run *runs);

#endif
