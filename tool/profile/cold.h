/* profile/cold.h - live blocks that did not fit in memory: runs on disk, each in the order of keys (blocks.h).
 *
 *   run:  file   | 16 blocks | 16 blocks | ...       512 bytes each, read one at a time
 *         memory | first key | first key | ...       half of it; and a bit for each block: it was freed
 *
 * Three eighths of a byte a block stay in memory. Four runs become one, so a block is looked for in three at most. The files have no
 * name: nothing is left behind, however it ends.
 */
#ifndef ALLOT_PROFILE_COLD_H
#define ALLOT_PROFILE_COLD_H

#include <stdbool.h>
#include <stddef.h>

#include "blocks.h"

struct cold_run;

/* Adds `count` blocks, in order, as a run before *runs. 0 or an errno: then all is as it was. */
int cold_put(struct cold_run **runs, const struct block *block, size_t count, const char *folder);
/* 1: *out is the newest block of that address, which `take` marks as freed; 0: none; else -errno. */
int cold_find(struct cold_run *runs, uint64_t address, struct block *out, bool take);
void cold_end(struct cold_run *runs);

#endif
