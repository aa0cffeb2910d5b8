/* verdict/pinned.h - pages that few blocks keep from going back to the system, and whose these are: what the map of a trace (page/map.h) says
 * of its sites, by place.
 *
 *   time:                  | | | |#|=|=|=|=|=|=|=|=|=|=|=| |      # a burst   = what it left behind
 *   page:                  [b.......b]   held while one block has a byte in it:  held = used + holes
 *
 * The moment is the map's: at which most is held beyond twice of what is used, of what lasts for a sixteenth of the time.
 *
 * Who has no map reads the trace twice more for one, where less than half of the peak was live later; it has to be a file. Bound: a profile's
 * (profile.h) with less of a table, and the map's.
 */
#ifndef ALLOT_VERDICT_PINNED_H
#define ALLOT_VERDICT_PINNED_H

#include "look.h"

#define PINNED_SITES 8

struct pinned {
    uint64_t time;       /* as the profile's */
    uint64_t held, used; /* bytes: of pages with a block, and of blocks in them */
    struct pinned_by {
        uint32_t group; /* of look */
        uint32_t site;  /* the one of its sites that most pages are charged to */
        uint64_t blocks, used;
        uint64_t charged; /* bytes of pages by its share of what is used in each */
    } by[PINNED_SITES];   /* by charged - used, most first */
    unsigned count;       /* 0: nothing that lasts */
};

/* Of a map of the same trace, or NULL. False: out of memory. */
struct map;
bool pinned_of(const struct look *look, const struct map *map, struct pinned *out);

/* 1: looked for; 0: there is nothing to look for, or the trace has no addresses; -1: no memory or disk, or the trace cannot be read again. */
int pinned_find(const struct look *look, struct pinned *out, struct trace_error *error);

#endif
