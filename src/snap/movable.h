/* snap/movable.h - the objects of movable heaps, read through an image, by slot. What is purged is none. */
#ifndef SNAP_MOVABLE_H
#define SNAP_MOVABLE_H

#include "snap/owners.h"
#include "snap/read.h"

/* Those of one copy of the library: `first` is where it keeps the first of its heaps (os/owned.h), or NULL. */
void movables_walk(const struct reader *r, struct owners *o, const void *first,
                   void (*add)(void *arg, uintptr_t at, size_t size, uint32_t owner), void *arg);

/* What they lie in: no root, as what is there is objects, or was, but for what the program gave each heap. False: memory is out. */
bool movables_areas(const struct reader *r, const void *first, struct snap_areas *out);

#endif
