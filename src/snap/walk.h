/* snap/walk.h - every live block of an allot heap, exactly, read through an image: of this process, or of a dead one.
 *
 *   core_desc --> segments --> units: a slab's slots that are out, less what threads have at hand, held back, freed by others
 *                         \--> page runs                                                            = live blocks
 *             --> large blocks, guarded ones
 *             --> heaps, fronts, parts, tags: whose they are
 *             --> movable heaps: groups --> entries --> blocks, and those of the larger kind
 *
 * Objects of pools and caches are blocks as well, whose owner has their size; a block that an arena has had from this heap says
 * itself that it is one. Reads nothing but the image, takes no lock and allocates from the system only.
 *
 * Exact when no thread was in the middle of an allocation or a release; of one that was, the blocks that it moves (one, or
 * the few of a refill) may be found live that are not, or not found. In a forked child's memory that is the same.
 */
#ifndef SNAP_WALK_H
#define SNAP_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "graph/graph.h"
#include "graph/image.h"
#include "heap/describe.h"

enum snap_trouble { SNAP_OK, SNAP_NO_MEMORY, SNAP_NO_HEAP, SNAP_OTHER_VERSION };

/* The descriptor of the process's heap, by its magic in globals and other memory; 0: none is in use there. */
uintptr_t snap_find(const struct image *image);

/* Whether what stands there can be read by this code. */
enum snap_trouble snap_expect(const struct image *image, uintptr_t desc);

/* The site of a block, where somebody keeps it: a function of who calls, or NULL. */
typedef uint32_t snap_site(void *arg, const struct image *image, uintptr_t block);

/* That of one's own process, stopped by snap_stop (snap/self.h), or of a picture of it that was made then: kept (sites=1), or
 * sampled. */
snap_site snap_own_site;

struct snap_walk {
    const struct image *image;
    uintptr_t desc;
    snap_site *site;
    void *arg;
    struct graph_blocks *out; /* empty at first; see snap_walk_free */
    size_t missing;           /* of what was to be read, pieces that the image does not have */
};
enum snap_trouble snap_walk(struct snap_walk *walk);
void snap_walk_free(struct graph_blocks *blocks);

/* Memory that is the heap's, blocks or not, or of those who watch the program: no root. By address; joined where they touch. */
struct snap_area {
    uintptr_t from, to;
};
struct snap_areas {
    struct snap_area *area;
    size_t count, room;
};
enum snap_trouble snap_areas(const struct image *image, uintptr_t desc, struct snap_areas *out);
/* The same of what only watches a program on another malloc (os/noscan.h), by its magic. */
enum snap_trouble snap_noscan_areas(const struct image *image, struct snap_areas *out);

/* For who makes such a list: one more; what those keep who watch the program, by their struct at an address (os/noscan.h); in the
 * end, `had_memory`: nothing was missing, sorted and joined. */
bool snap_area_add(struct snap_areas *out, uintptr_t from, size_t bytes);
bool snap_noscan_add(const struct image *image, uintptr_t at, struct snap_areas *out);
enum snap_trouble snap_areas_settle(bool had_memory, struct snap_areas *out);

/* Sorts by the first member, an address, in place. O(n log n), no recursion. */
void snap_sort(void *items, size_t count, size_t bytes);

#endif
