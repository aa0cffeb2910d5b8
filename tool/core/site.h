/* core/site.h - where the live blocks of a dead process were allocated, as far as its memory has it: with sites=1 each block's stack,
 * with sample=BYTES those that were sampled (heap/site.h, heap/sample.h); and the tree of stacks, caller by caller.
 *
 *   block --> its entry among the slots', or its sample --> number --> node: pc, caller's number --> node ...
 *
 * Read through the image and believed as little as the rest of it: what is not there, or leads round, is not known.
 */
#ifndef ALLOT_CORE_SITE_H
#define ALLOT_CORE_SITE_H

#include "core/core.h"
#include "heap/site.h"

struct core_sample {
    uintptr_t block; /* first: snap_sort */
    uint32_t site;
};

struct core_sites {
    const struct core *core;
    const struct site_desc *desc; /* NULL: nothing is known of any block */
    bool kept;                    /* each block's, else those that were sampled */
    struct core_sample *sample;   /* by block */
    size_t samples, room;
};

/* The description in the core that belongs to a heap: of the same copy of the library as its descriptor. False: out of memory. */
bool core_sites_begin(struct core_sites *sites, const struct core *core, uintptr_t heap);
void core_sites_end(struct core_sites *sites);

/* The number of a block's stack; 0: not known. As snap_walk asks (snap/walk.h): `sites` is a struct core_sites. */
uint32_t core_site_of(void *sites, const struct image *image, uintptr_t block);

/* What a number is: the address that a call returns to, and the number of what called it, less than its own. False: there is none such.
 * *loaded: the object that it lay in then is the one that lies there now. */
bool core_site_frame(const struct core_sites *sites, uint32_t number, uint32_t *caller, uint64_t *pc, bool *loaded);

#endif
