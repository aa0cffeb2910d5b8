/* page/hash.h - a number all of whose bits depend on all of another's: for tables of pairs, whose numbers are small and close together. */
#ifndef ALLOT_PAGE_HASH_H
#define ALLOT_PAGE_HASH_H

#include <stdint.h>

static inline uint64_t page_hash(uint64_t key)
{
    key = (key ^ key >> 32) * 0x9e3779b97f4a7c15u;
    key = (key ^ key >> 29) * 0xbf58476d1ce4e5b9u;
    return key ^ key >> 32;
}

#endif
