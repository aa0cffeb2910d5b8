/* loaded.h - which object lies at an address, where objects are loaded over one another: the one that was loaded last.
 *
 *   level 3:  |--A--|  |----B----|     |-C-|      pieces that do not overlap, sorted, of 8 objects at most
 *   level 1:      |--D--|                         of 2, all of them newer
 *   level 0:                 |E|                  of 1
 *
 * A new object is level 0; where that is taken both are laid over one another, the newer on top, and are level 1, and so on, as in a
 * counter in base two. So an object is moved log n times, and looked up in log n levels: n log n for all that a file has. All zero at
 * first.
 */
#ifndef ALLOT_TRACE_LOADED_H
#define ALLOT_TRACE_LOADED_H

#include <stdbool.h>
#include <stdint.h>

#define LOADED_LEVELS 32
#define LOADED_NONE   UINT32_MAX

struct loaded_piece {
    uint64_t start, end; /* [start, end), which is not empty */
    uint32_t object;
};
struct loaded {
    struct loaded_level {
        struct loaded_piece *piece;
        uint32_t pieces; /* 0: nothing lies there */
    } level[LOADED_LEVELS];
};

void loaded_done(struct loaded *loaded);
/* False: no memory, and all is as before. An empty object lies nowhere. */
bool loaded_add(struct loaded *loaded, uint64_t start, uint64_t end, uint32_t object);
/* Or LOADED_NONE. */
uint32_t loaded_find(const struct loaded *loaded, uint64_t address);

#endif
