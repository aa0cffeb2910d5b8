/* snapshot/leaks.h - the leaks of a snapshot, for leaks_print.h. */
#ifndef ALLOT_SNAPSHOT_LEAKS_H
#define ALLOT_SNAPSHOT_LEAKS_H

#include "leaks_print.h"
#include "snapshot/names.h"
#include "snapshot/recorded.h"

/* Each definite and possible block; of the others their sums, or with `all` each as well. Stacks that the snapshot does not have
 * come from `recorded`, unless it is NULL. False: memory is out. */
bool snapshot_leaks(const struct snapshot *s, struct leaks *leaks, struct recorded *recorded, bool all);

/* Who holds those that something leads to: "cache in app -> 0x7f.. 96 bytes, Session -> ...", a shortest way from a root. For the 64 groups
 * of most bytes. False: memory is out. */
bool snapshot_ways(const struct snapshot *s, struct leaks *leaks);

/* What a reader of them has to know; NULL: nothing. */
const char *snapshot_note(const struct snapshot *s);

#endif
