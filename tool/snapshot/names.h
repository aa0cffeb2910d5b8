/* snapshot/names.h - what things in a snapshot are called: classes by their vtables, variables by their addresses, from the files that
 * were mapped, as they are now. Names may be hostile: print them by words_put only. */
#ifndef ALLOT_SNAPSHOT_NAMES_H
#define ALLOT_SNAPSHOT_NAMES_H

#include "snapshot/snapshot.h"

struct snapshot_names;
struct snapshot_names *snapshot_names_begin(const struct snapshot *s); /* NULL: out of memory */
void snapshot_names_end(struct snapshot_names *names);

/* A block's class, or NULL. Good until snapshot_names_end. */
const char *snapshot_type(struct snapshot_names *names, size_t block);
/* "pool \"conn\"", ...; NULL: the general heap. */
const char *snapshot_owner(const struct snapshot *s, size_t block, char *out, size_t room);
/* What a root is, in words. */
void snapshot_root(struct snapshot_names *names, const struct graph_root *root, char *out, size_t room);

#endif
