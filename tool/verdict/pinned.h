/* verdict/pinned.h - pages that few blocks keep from going back to the system, and whose these are.
 *
 *   time, in 16 windows:   | | | |#|=|=|=|=|=|=|=|=|=|=|=| |      # a burst   = what it left behind
 *   page:                  [b.......b]   held while one block has a byte in it:  held = used + holes
 *
 * Looked at is the moment at which most is held beyond twice of what is used, if that lasts for a whole window: pages that are emptied
 * one by one, as when all is freed in any order, are no matter. So the windows' least of it is compared, without the first and the last, and
 * without those after which less than three quarters of what is used is left.
 *
 * Reads the trace twice more, the second time up to that moment, where less than half of the peak was live later; it has to be a file. Bound:
 * 24 bytes of table for each block that lives at once and each page that one has a part of, twice that while a table grows, and no more
 * than 12 million of either: traces with more are not looked at.
 */
#ifndef ALLOT_VERDICT_PINNED_H
#define ALLOT_VERDICT_PINNED_H

#include "look.h"

#define PINNED_SITES 8

struct pinned {
    uint64_t time;       /* as the profile's; */
    uint32_t process;    /* its pages */
    uint64_t page_bytes; /* each */
    uint64_t held, used; /* bytes: of pages with a block, and of blocks in them */
    uint64_t blocks;
    struct pinned_by {
        uint32_t group; /* of look */
        uint32_t site;  /* the one of its sites that most pages are charged to */
        uint64_t blocks, used;
        uint64_t charged; /* bytes of pages by its share of what is used in each */
    } by[PINNED_SITES];   /* by charged - used, most first */
    unsigned count;
};

/* 1: found; 0: nothing that lasts, or the trace has no addresses; -1: no memory or disk, or the trace cannot be read again. */
int pinned_find(const struct look *look, struct pinned *out, struct trace_error *error);

#endif
