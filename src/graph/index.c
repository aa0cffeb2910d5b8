/* graph/index.c - from an address to its block: two loads, and a step for each block that begins in the same 256 bytes before it.
 * Costs a 64th of the memory that blocks lie in, and nothing for what lies between. */
#include "graph/graph.h"

#include "graph/grow.h"
#include "graph/scan.h"

enum { LEAF = 1 << (GRAPH_SPAN_SHIFT - GRAPH_GRAIN_SHIFT) };

static uint32_t *leaf(struct graph_index *x, size_t *leaves, uintptr_t address)
{
    uint32_t *number = &x->leaf_of[(address - x->from) >> GRAPH_SPAN_SHIFT];
    if (*number == 0) {
        if (!grow((void **)&x->first, &x->room, (*leaves + 1) * LEAF, sizeof *x->first)) {
            return NULL;
        }
        *number = (uint32_t)++ * leaves;
    }
    return &x->first[(*number - 1) * (size_t)LEAF];
}

static bool enter(struct graph_index *x, size_t *leaves, const struct graph_block *b, uint32_t number)
{
    const uintptr_t grain = (uintptr_t)1 << GRAPH_GRAIN_SHIFT;
    uintptr_t last = b->address + size_max(b->size, 1) - 1;
    for (uintptr_t at = b->address & ~(grain - 1); at <= last; at += grain) {
        uint32_t *of = leaf(x, leaves, at);
        if (!of) {
            return false;
        }
        of += at >> GRAPH_GRAIN_SHIFT & (LEAF - 1);
        *of = *of ? *of : number;
    }
    return true;
}

static bool make_index(struct graph_index *x, const struct graph_blocks *blocks)
{
    const uintptr_t span = (uintptr_t)1 << GRAPH_SPAN_SHIFT;
    if (blocks->count == 0) {
        return true;
    }
    const struct graph_block *last = &blocks->block[blocks->count - 1];
    x->from = blocks->block[0].address & ~(span - 1);
    x->length = last->address + size_max(last->size, 1) - x->from;
    x->spans = (x->length >> GRAPH_SPAN_SHIFT) + 1;
    x->leaf_of = os_map(x->spans * sizeof *x->leaf_of);
    size_t leaves = 0;
    for (size_t i = 0; x->leaf_of && i < blocks->count; i++) {
        if (!enter(x, &leaves, &blocks->block[i], (uint32_t)i + 1)) {
            return false;
        }
    }
    return x->leaf_of;
}

bool graph_begin(struct graph *g, const struct graph_blocks *blocks, const struct image *image)
{
    os_memory_init();
    *g = (struct graph){.blocks = blocks, .image = image, .range = image->range, .ranges = image->ranges};
    if (blocks->count >= UINT32_MAX / 2 || !make_index(&g->index, blocks)) {
        graph_end(g);
        return false;
    }
    return true;
}

void graph_end(struct graph *g)
{
    grow_free(g->index.leaf_of, g->index.spans, sizeof *g->index.leaf_of);
    grow_free(g->index.first, g->index.room, sizeof *g->index.first);
    graph_free_edges(&g->edges);
    grow_free(g->root, g->root_room, sizeof *g->root);
    if (g->blocks->count) {
        grow_free(g->verdict, g->blocks->count, sizeof *g->verdict);
        grow_free(g->leader, g->blocks->count, sizeof *g->leader);
    }
    *g = (struct graph){.blocks = g->blocks};
}

size_t graph_find(const struct graph *g, uintptr_t address)
{
    return address - g->index.from < g->index.length ? graph_lookup(g, address) : GRAPH_NONE;
}

size_t graph_block_at(const struct graph_blocks *blocks, uintptr_t address)
{
    size_t from = 0, to = blocks->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (blocks->block[middle].address <= address) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    const struct graph_block *b = from ? &blocks->block[from - 1] : NULL;
    return b && address - b->address < size_max(b->size, 1) ? from - 1 : GRAPH_NONE;
}
