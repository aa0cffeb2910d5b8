/* snapshot/growth.h - two snapshots of one process, or of one program: what has grown. Reachable growth is no leak, and is told apart
 * from what leaked meanwhile; and threads, their stacks, and descriptors, which grow as well.
 *
 * Blocks are one kind when site, owner, class and, without site and class, their size are the same.
 */
#ifndef ALLOT_SNAPSHOT_GROWTH_H
#define ALLOT_SNAPSHOT_GROWTH_H

#include "snapshot/names.h"

/* On standard output: kinds that grew most, `top` at most (0: all). False: memory is out. */
bool snapshot_growth(const struct snapshot *before, const struct snapshot *after, size_t top, bool json);

/* Of two files: the status to end with, what is wrong is complained about. */
int snapshot_growth_of(const char *const path[2], size_t top, bool json);

#endif
