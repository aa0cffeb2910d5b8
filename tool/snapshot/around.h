/* snapshot/around.h - what grows in a process beside its heap: threads by name, stacks by thread, descriptors by what they are. */
#ifndef ALLOT_SNAPSHOT_AROUND_H
#define ALLOT_SNAPSHOT_AROUND_H

#include "json.h"
#include "snapshot/snapshot.h"

/* Bytes of all threads' stacks that are in use. */
uint64_t around_stacks(const struct snapshot *s);

/* How they differ, on standard output; `json`: into the object that is open, NULL: as text. At most `top` of each (0: all). False: memory
 * is out. */
bool around_put(const struct snapshot *before, const struct snapshot *after, size_t top, struct json *json);

#endif
