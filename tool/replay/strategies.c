/* replay/strategies.c - the models in words: how each places, and what a program has to do for it. */
#include <string.h>

#include "replay/comparison.h"

static const struct comparison_about all[] = {
    {"first", "the lowest hole that is long enough", USE_AS_IT_IS},
    {"next", "the next hole that is long enough, from the last one on", USE_AS_IT_IS},
    {"best", "the tightest hole, cut at the end that leaves its neighbours in peace", USE_AS_IT_IS},
    {"worst", "the largest hole", USE_AS_IT_IS},
    {"next-best", "the tightest hole, of equal ones the lowest", USE_AS_IT_IS},
    {"groups", "areas: the one whose smallest hole is smallest, the tightest hole in it", USE_AS_IT_IS},
    {"bins", "holes in lists by size, a hole of the first list that surely fits (TLSF)", USE_AS_IT_IS},
    {"buddy", "pieces of a power of two, split in halves and merged with their buddies", USE_AS_IT_IS},
    {"slab", "slots of one size class in a page run each, large blocks in pages", USE_AS_IT_IS},
    {"two-level", "lists of freed small blocks by size, never given back (the STL's allocator)", USE_AS_IT_IS},
    {"pool", "a pool for each size, slots given back by the page run", USE_AS_IT_IS},
    {"arena", "one after another, given back when all of them are dead", USE_TOGETHER},
    {"compact", "one after another, what lives is moved together when room is short", USE_HANDLES},
    {"pages", "pieces of a page anywhere, behind a page table", USE_TABLE},
    {"segments", "a segment for each block, in pages behind a table of its own", USE_TABLE},
    {"mcache", "a cache of each thread over a central heap, blocks above 32 KiB straight from it", USE_AS_IT_IS},
    {"allot", "allot's malloc: size classes in slabs of each thread, page runs, given back with age", USE_AS_IT_IS},
};

const struct comparison_about *comparison_about(const char *name)
{
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (strcmp(all[i].name, name) == 0) {
            return &all[i];
        }
    }
    return NULL;
}
