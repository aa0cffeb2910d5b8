/* graph/index.c - the index of a block list, made in one pass over it, and one over its cells; see graph/index.h. */
#include "graph/index.h"

#include "graph/grow.h"

/* The number of new cells; 0: memory is out. */
static uint32_t new_leaf(struct graph_index *x)
{
    return grow((void **)&x->cell, &x->room, (x->leaves + 1) * GRAPH_LEAF, sizeof *x->cell) ? (uint32_t)++x->leaves : 0;
}

/* The leaf of a span that a block begins in, made if need be; spans come in order, so leaves are in order too. NULL: memory is out. */
static struct graph_cell *leaf(struct graph_index *x, size_t span)
{
    uint32_t *number = &x->leaf_of[span];
    if (*number == 0 || *number == x->inside) {
        uint32_t new = new_leaf(x);
        if (!new) {
            return NULL;
        }
        *number = new;
    }
    return &x->cell[(*number - 1) * GRAPH_LEAF];
}

/* Spans up to `last` have a block, which begins in one before. */
static bool reach(struct graph_index *x, size_t first, size_t last)
{
    if (!x->inside) {
        x->inside = new_leaf(x);
        for (size_t i = 0; x->inside && i < GRAPH_LEAF; i++) {
            x->cell[(x->inside - 1) * GRAPH_LEAF + i].what = GRAPH_CELL_INSIDE;
        }
    }
    for (size_t span = size_max(first, x->reached); span <= last; span++) {
        x->leaf_of[span] = x->inside;
    }
    x->reached = size_max(x->reached, last + 1);
    return x->inside;
}

/* `before` counts those of the cell itself until all are in. */
static bool enter(struct graph_index *x, const struct graph_block *b, bool after_arena)
{
    uintptr_t from = b->address - x->from, to = from + size_max(b->size, 1) - 1;
    size_t first = from >> GRAPH_SPAN_SHIFT, last = to >> GRAPH_SPAN_SHIFT;
    x->reached = size_max(x->reached, first + 1);
    if (last > first && !reach(x, first + 1, last)) {
        return false;
    }
    struct graph_cell *cells = leaf(x, first);
    if (!cells) {
        return false;
    }
    struct graph_cell *cell = &cells[from >> GRAPH_CELL_SHIFT & (GRAPH_LEAF - 1)];
    uint64_t bit = (uint64_t)1 << (from >> 4 & 63);
    bool uneven = from % 16 != 0 || cell->begins & bit;
    cell->begins |= bit;
    cell->before++;
    cell->what |= (uneven ? GRAPH_CELL_UNEVEN : 0) | (after_arena ? GRAPH_CELL_ARENA : 0);
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
    for (size_t i = 0; x->leaf_of && i < blocks->count; i++) {
        const struct graph_block *b = &blocks->block[i], *one_before = i ? b - 1 : NULL;
        bool after_arena = one_before && one_before->address + one_before->size == b->address &&
                           blocks->owner[one_before->owner].kind == GRAPH_ARENA;
        if (!enter(x, b, after_arena)) {
            return false;
        }
    }
    uint32_t before = 0;
    for (size_t i = 0; i < x->leaves * GRAPH_LEAF; i++) {
        uint32_t own = x->cell[i].before;
        x->cell[i].before = before;
        before += own;
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
    grow_free(g->index.cell, g->index.room, sizeof *g->index.cell);
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
    uintptr_t offset = address - g->index.from;
    const struct graph_cell *cell = offset < g->index.length ? graph_cell_at(&g->index, offset) : NULL;
    return cell ? graph_lookup(g, cell, address).block : GRAPH_NONE;
}

size_t graph_block_at(const struct graph_blocks *blocks, uintptr_t address)
{
    size_t count = graph_begin_up_to(blocks, address, 0, blocks->count);
    const struct graph_block *b = count ? &blocks->block[count - 1] : NULL;
    return b && address - b->address < size_max(b->size, 1) ? count - 1 : GRAPH_NONE;
}
