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

/* That line of one block, to be freed: of one that is reachable, or of an indirect one, from what it goes with. NULL: nobody leads to it. */
char *snapshot_way(const struct snapshot *s, struct snapshot_names *names, size_t block);

/* What a reader of them has to know; NULL: nothing. */
const char *snapshot_note(const struct snapshot *s);

#endif
