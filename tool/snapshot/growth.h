/* snapshot/growth.h - two snapshots of one process, or of one program: what has grown. Reachable growth - a container that grows - is no
 * leak, and is told apart from what leaked meanwhile, with what holds it; and so are threads, their stacks, and descriptors.
 *
 * Blocks are one kind when stack, owner, class and, without stack and class, their size are the same. Stacks are the same when
 * function, file and line of all their calls are: in another process or build as well.
 */
#ifndef ALLOT_SNAPSHOT_GROWTH_H
#define ALLOT_SNAPSHOT_GROWTH_H

#include "snapshot/names.h"

/* On standard output: kinds that grew most, `top` at most (0: all). False: memory is out. */
bool snapshot_growth(const struct snapshot *before, const struct snapshot *after, size_t top, bool json);

/* Of two files: the status to end with, what is wrong is complained about. */
int snapshot_growth_of(const char *const path[2], size_t top, bool json);

#endif
