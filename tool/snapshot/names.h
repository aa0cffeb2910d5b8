/* snapshot/names.h - what things in a snapshot are called: classes by their vtables, variables by their addresses, calls by where they
 * return to; from the files that were mapped, or others with their build-ids. Names may be hostile: print them by words_put only. */
#ifndef ALLOT_SNAPSHOT_NAMES_H
#define ALLOT_SNAPSHOT_NAMES_H

#include "snapshot/snapshot.h"
#include "symbols.h"

#define SNAPSHOT_DEEPEST 256 /* frames of a stack that are looked at: those nearest to the allocation */

struct snapshot_names;
struct snapshot_names *snapshot_names_begin(const struct snapshot *s); /* NULL: out of memory */
void snapshot_names_end(struct snapshot_names *names);

/* A block's class, or NULL. Good until snapshot_names_end. */
const char *snapshot_type(struct snapshot_names *names, size_t block);
/* The frames of a block's stack, innermost first, given its site: how many were written, `most` at most; 0: it is not known. */
size_t snapshot_stack(struct snapshot_names *names, uint32_t site, struct symbol_frame *out, size_t most);
/* "pool \"conn\"", ...; NULL: the general heap. */
const char *snapshot_owner_name(const struct graph_owner *owner, char *out, size_t room);
const char *snapshot_owner(const struct snapshot *s, size_t block, char *out, size_t room);
/* What a root is, in words. */
void snapshot_root(struct snapshot_names *names, const struct graph_root *root, char *out, size_t room);
/* Where a way of graph_path begins: a root, or the heap that keeps its first block. */
void snapshot_beginning(struct snapshot_names *names, size_t root, size_t first, char *out, size_t room);

#endif
