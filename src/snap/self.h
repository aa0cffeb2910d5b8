/* snap/self.h - this process as an image: its roots, piece by piece.
 *
 *   mapping of a thread's stack:   | guard | unused | sp - 128 .... stack | static TLS, thread | rest
 *                                            no root   IMAGE_STACK          IMAGE_TLS            IMAGE_OTHER
 *   an object's:                   | read only: IMAGE_CONSTANT | written: IMAGE_GLOBALS, and what follows without a name: .bss
 *   the heap's own:                IMAGE_HEAP, no root
 *   stacks of threads that have ended, which the C library keeps; memory of allot's observers: none
 *   else, writable:                IMAGE_OTHER, as far as something is there
 *
 * Taken while all other threads stand (os/stop.h), or in the child that is a picture of that. The list of mappings is read before
 * anything is found, so what is allocated for the finding is none of it.
 */
#ifndef SNAP_SELF_H
#define SNAP_SELF_H

#include "graph/image.h"
#include "os/maps.h"
#include "os/stop.h"
#include "snap/walk.h"

struct snap_self {
    struct image image;
    struct os_maps maps;
    struct os_threads threads;
    struct snap_areas areas;
    struct image_range *range;
    size_t ranges, room;
    uintptr_t *held; /* see IMAGE_HELD */
    size_t helds, held_room;
    int pid;
    unsigned unstopped; /* threads of which no registers are known: their stacks are scanned as a whole */
};

/* All other threads stand (os/stop.h), and none is in the middle of a sample's change, which are read without their lock. */
struct os_threads snap_stop(uintptr_t sp);
void snap_go(void);

/* Fills in self->areas, by `own`, this process's memory as it is, and by self->maps. False with memory out. */
typedef bool snap_find_areas(void *arg, struct snap_self *self, const struct image *own);

/* `apart`, NULL: none, is the stack of a child that looks at its own memory. False with memory out; freed also then. */
bool snap_self_make(struct snap_self *self, const struct os_threads *threads, const void *apart, size_t apart_bytes,
                    snap_find_areas *find, void *arg);
/* The same with the areas of this process's allot heap (snap/own.c). */
bool snap_self_begin(struct snap_self *self, const struct os_threads *threads, const void *apart, size_t apart_bytes);
void snap_self_end(struct snap_self *self);

/* The copy of this library that is the process's heap; NULL: none has begun. */
const struct core_desc *snap_self_desc(void);

#endif
