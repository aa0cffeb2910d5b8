/* snap/collected.h - objects of collected heaps as blocks: one owner for each type in each heap, "heap: type".
 *
 *   unit of a gc ----> its header says where slots are; the heap's record, which of them are not known to be dead
 *   own pages    ----> record * | header | object
 *
 * O(1) an object, and a search among the types of which objects have been seen.
 */
#ifndef SNAP_COLLECTED_H
#define SNAP_COLLECTED_H

#include "gc/gc.h"
#include "snap/owners.h"

/* An object, as it is found. */
typedef void collected_found(void *arg, uintptr_t object, size_t size, uint32_t owner);

/* The objects of a unit whose header can be read at `unit`, of the part with that id, and which is data of its process at `data`; of
 * a run or large block there. Nothing where the part is no such heap. */
void collected_unit(struct owners *o, const struct unit *unit, uintptr_t data, collected_found *found, void *arg);
void collected_pages(struct owners *o, uint32_t id, uintptr_t at, size_t bytes, collected_found *found, void *arg);

/* What is no root of what a heap keeps beside its objects; false: memory is out. */
bool collected_areas(const struct reader *r, struct snap_areas *out);

#endif
