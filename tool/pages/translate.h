/* pages/translate.h - addresses to frames, as a processor does it: a multi-level page table, and a TLB before it.
 *
 *   address:  | index 0 | index 1 | ... | index n-1 | offset |     bits of each level, the root's first; 8 bytes an entry
 *                  |         |               |
 *      root ------>+--> node-+--> ... leaf --+--> frame, or: not there, a fault
 *
 * A reference is looked for in the TLB first: `entries` page numbers, in sets of `ways` by the number's rest, the one that was used
 * longest ago goes. Where it is not there the table is walked: one read a level, and as many as there are nodes where a page was never
 * touched. Where the page has no frame that is a fault: it gets one, its entry is filled in and the TLB has it. A page that is let go
 * leaves the TLB. Nodes of the table stay.
 *
 *     references = hits + walks;   walks >= faults;   faults = the policy's misses
 *
 * Nodes come and stay in the order in which pages are first touched, whatever the policy: so the table is built once, and what a first
 * walk reads is kept of each page. The TLB is each replay's own.
 */
#ifndef ALLOT_PAGES_TRANSLATE_H
#define ALLOT_PAGES_TRANSLATE_H

#include <stdbool.h>
#include <stdint.h>

#include "pages/refs.h"

enum { TRANSLATE_LEVELS_MOST = 8, TRANSLATE_BITS_MOST = 20, TRANSLATE_WAYS_MOST = 1024 };

struct translate_shape {
    unsigned levels;
    unsigned bits[TRANSLATE_LEVELS_MOST]; /* of each level, the root's first */
    unsigned page_shift;
    uint32_t entries, ways; /* of the TLB; entries / ways, its sets, is a power of two */
};

unsigned translate_address_bits(const struct translate_shape *shape);

struct translate_table {
    struct translate_shape shape;
    uint64_t nodes[TRANSLATE_LEVELS_MOST]; /* of each level */
    uint64_t bytes;                        /* of all of them, 8 an entry */
    uint8_t *first;                        /* of each page: entries that its first walk reads */
};

/* Addresses fit the shape. False: out of memory, of which it takes 2 GiB at most. */
bool translate_table(struct translate_table *table, const struct refs *refs, const struct translate_shape *shape);
void translate_table_end(struct translate_table *table);

struct translate_counts {
    uint64_t hits, walks, reads, faults;
};

struct tlb {
    uint32_t sets, ways;
    uint32_t *page; /* + 1, by sets, the last used first; 0: none */
};

bool tlb_begin(struct tlb *tlb, const struct translate_shape *shape);
void tlb_end(struct tlb *tlb);

/* The page, whose number is that, is used: whether it was there. It is now. */
static inline bool tlb_use(struct tlb *tlb, uint32_t page, uint64_t number)
{
    uint32_t *set = tlb->page + (number & (tlb->sets - 1)) * tlb->ways, i = 0, moved = page + 1;
    bool found = false;
    for (; i < tlb->ways && !found; i++) {
        uint32_t there = set[i];
        set[i] = moved;
        found = there == page + 1;
        moved = there;
    }
    return found;
}

void tlb_drop(struct tlb *tlb, uint32_t page, uint64_t number);

#endif
