/* span/map.h - what begins at a multiple of 4 MiB: nothing, a segment, or a large block.
 *
 * A radix tree of two levels over 48 bits of address, 8192 entries each. Reading takes no lock; an entry changes while
 * its address belongs to the one who changes it.
 */
#ifndef SPAN_MAP_H
#define SPAN_MAP_H

#include <stdbool.h>
#include <stddef.h>

struct large;

/* What to remember of an address: NULL (nothing), MAP_SEGMENT, or a large block's record. */
#define MAP_SEGMENT ((void *)1)

/* False, with ENOMEM, when the tree could not grow, or the address is beyond 48 bits. Clearing never fails. */
bool map_set(const void *at, void *what);

/* What begins at the multiple of 4 MiB at or below `p`. */
void *map_get(const void *p);

/* Records that live as long as the process: never given back. NULL with ENOMEM. `bytes` at most 32 KiB. */
void *record_alloc(size_t bytes);
void record_lock(void);
void record_unlock(void);
void record_lock_reset(void);

#endif
