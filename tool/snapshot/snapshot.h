/* snapshot/snapshot.h - a snapshot's file (docs/format.md), read whole and held to its rules: what is given out of it is safe to use.
 *
 *   file --> sections --> blocks, roots, edges --> graph: verdicts, retained bytes, ways
 */
#ifndef ALLOT_SNAPSHOT_SNAPSHOT_H
#define ALLOT_SNAPSHOT_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "graph/graph.h"
#include "snap/format.h"

struct snapshot_error {
    char line[256]; /* what, at which byte, what to do */
};

struct snapshot {
    struct snap_header header;
    const char *command; /* its first word; "" when that is not known */
    const struct snap_mapping *mapping;
    const struct snap_thread *thread;
    const struct snap_descriptor *descriptor;
    const struct snap_type *type;     /* by block */
    const struct snap_object *object; /* by address */
    const struct snap_frame *frame;   /* by number */
    size_t mappings, threads, descriptors, types, objects, frames;
    const char *names; /* all that names an offset is within, and ended */
    struct graph_blocks blocks;
    struct graph graph; /* with edges and roots, marked */

    struct image_range *range;
    unsigned char *bytes; /* the file */
    size_t length;
};

/* False with `error` set. */
bool snapshot_open(struct snapshot *s, const char *path, struct snapshot_error *error);
/* The same of a file in memory, which is copied. */
bool snapshot_read(struct snapshot *s, const unsigned char *bytes, size_t length, struct snapshot_error *error);
void snapshot_close(struct snapshot *s);

/* The file begins as a snapshot does. */
bool snapshot_is(const unsigned char *head, size_t bytes);

/* The vtable of a block's class; 0: it has none that was found. */
uint64_t snapshot_vtable(const struct snapshot *s, size_t block);

/* The frame of that number, or NULL. From a block's site on by callers, each less than the one before, that is its stack. */
const struct snap_frame *snapshot_frame(const struct snapshot *s, uint32_t number);

#endif
