/* snap/movable.h - the objects of movable heaps, read through an image, by slot. What is purged is none. */
#ifndef SNAP_MOVABLE_H
#define SNAP_MOVABLE_H

#include "snap/owners.h"
#include "snap/read.h"

/* Those of one copy of the library: `first` is where it keeps the first of its heaps (os/owned.h), or NULL. */
void movables_walk(const struct reader *r, struct owners *o, const void *first,
                   void (*add)(void *arg, uintptr_t at, size_t size, uint32_t owner), void *arg);

#endif
