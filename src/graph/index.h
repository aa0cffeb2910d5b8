/* graph/index.h - from an address to its block, by a word of bits.
 *
 *   leaf of each 4 MiB --> cells, of a KiB each:   | a bit of each 16 bytes: a block begins here | how many begin before the KiB |
 *
 * The bits up to the address's, counted, and those before: that is the block. Whether it begins just there its bit tells, so of a
 * pointer to a beginning nothing else is read, and four cells share a line of the cache. Of others the block itself tells
 * whether it reaches that far. Blocks that do not begin at multiples of 16 are searched for, within their KiB. Costs a 64th of
 * the memory that blocks begin in, and nothing for what lies between: the inside of a long block has cells that say so for all, and
 * who asks there searches.
 */
#ifndef GRAPH_INDEX_H
#define GRAPH_INDEX_H

#include "base/bits.h"
#include "graph/graph.h"

#define GRAPH_SPAN_SHIFT 22
#define GRAPH_CELL_SHIFT 10
#define GRAPH_LEAF       ((size_t)1 << (GRAPH_SPAN_SHIFT - GRAPH_CELL_SHIFT))

enum {
    GRAPH_CELL_UNEVEN = 1 /* begins at no multiple of 16 */,
    GRAPH_CELL_ARENA = 2 /* begins where one of an arena's ends */,
    GRAPH_CELL_INSIDE = 4 /* none begins in its 4 MiB */
};

struct graph_found {
    size_t block;
    bool beginning, arena; /* arena: see GRAPH_CELL_ARENA */
};

/* The cell of an offset into the index, or NULL: no block is near. */
static inline const struct graph_cell *graph_cell_at(const struct graph_index *x, uintptr_t offset)
{
    uint32_t leaf = x->leaf_of[offset >> GRAPH_SPAN_SHIFT];
    return leaf ? &x->cell[(leaf - 1) * GRAPH_LEAF + (offset >> GRAPH_CELL_SHIFT & (GRAPH_LEAF - 1))] : NULL;
}

/* How many blocks of a list begin up to an address, of which it is known that `from` do, and `to` at most. */
static inline size_t graph_begin_up_to(const struct graph_blocks *blocks, uintptr_t address, size_t from, size_t to)
{
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (blocks->block[middle].address <= address) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from;
}

/* The block of an address, whose cell this is. */
static inline struct graph_found graph_lookup(const struct graph *g, const struct graph_cell *cell, uintptr_t address)
{
    const struct graph_blocks *blocks = g->blocks;
    uint64_t begun = cell->begins << (63 - (address >> 4 & 63));
    struct graph_found found = {.arena = cell->what & GRAPH_CELL_ARENA};
    size_t count = cell->before + count_bits(begun);
    if (unlikely(cell->what & GRAPH_CELL_INSIDE)) {
        count = graph_begin_up_to(blocks, address, 0, blocks->count);
    } else if (unlikely(cell->what & GRAPH_CELL_UNEVEN)) {
        size_t most = size_min(cell->before + ((size_t)1 << GRAPH_CELL_SHIFT), blocks->count);
        count = graph_begin_up_to(blocks, address, cell->before, most);
    } else if (begun >> 63 && address % 16 == 0) {
        found.block = count - 1;
        found.beginning = true;
        return found;
    }
    const struct graph_block *b = count ? &blocks->block[count - 1] : NULL;
    found.block = b && address - b->address < size_max(b->size, 1) ? count - 1 : GRAPH_NONE;
    found.beginning = b && address == b->address;
    return found;
}

#endif
