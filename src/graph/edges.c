/* graph/edges.c - edges kept: 4 bytes each, and 8 a block; turned round by counting. */
#include "graph/graph.h"

#include "graph/grow.h"
#include "graph/scan.h"

void graph_free_edges(struct graph_edges *e)
{
    grow_free(e->first, e->blocks + 1, sizeof *e->first);
    grow_free(e->to, e->room, sizeof *e->to);
    *e = (struct graph_edges){0};
}

static bool add_root(struct graph *g, const struct scan_edge *e, size_t range)
{
    if (!grow((void **)&g->root, &g->root_room, g->roots + 1, sizeof *g->root)) {
        return false;
    }
    g->root[g->roots++] = (struct graph_root){
        .address = g->range[range].kind == IMAGE_REGISTERS || g->range[range].kind == IMAGE_HELD ? 0 : e->address,
        .block = (uint32_t)e->block,
        .range = (uint32_t)range & 0x7fffffff,
        .middle = e->middle};
    return true;
}

static bool make_roots(struct graph *g)
{
    g->roots = 0;
    for (size_t i = 0; i < g->ranges; i++) {
        if (!is_root(&g->range[i])) {
            continue;
        }
        struct scan s = scan_range(g, &g->range[i]);
        struct scan_edge e;
        while (scan_next(&s, &e)) {
            if (!add_root(g, &e, i)) {
                return false;
            }
        }
    }
    return true;
}

bool graph_make_edges(struct graph *g)
{
    struct graph_edges out = {.blocks = g->blocks->count};
    out.first = os_map((out.blocks + 1) * sizeof *out.first);
    bool done = out.first && grow((void **)&out.to, &out.room, 1, sizeof *out.to);
    graph_free_edges(&g->edges);
    g->unread = 0;
    for (size_t i = 0; done && i < out.blocks; i++) {
        struct scan s = scan_block(g, i);
        struct scan_edge e;
        out.first[i] = out.count;
        while (done && scan_next(&s, &e)) {
            done = grow((void **)&out.to, &out.room, out.count + 1, sizeof *out.to);
            if (done) {
                out.to[out.count++] = (uint32_t)e.block * 2 + (e.middle ? GRAPH_MIDDLE : 0);
            }
        }
        g->unread += s.unread;
    }
    if (!done || !make_roots(g)) {
        graph_free_edges(&out);
        return false;
    }
    out.first[out.blocks] = out.count;
    g->edges = out;
    return true;
}

bool graph_turn_edges(const struct graph_edges *e, struct graph_edges *out)
{
    *out = (struct graph_edges){.blocks = e->blocks, .count = e->count};
    out->first = os_map((e->blocks + 1) * sizeof *out->first);
    if (!out->first || !grow((void **)&out->to, &out->room, size_max(e->count, 1), sizeof *out->to)) {
        graph_free_edges(out);
        return false;
    }
    /* first[i + 1] counts, then is where the next of block i goes, and ends as where those of i + 1 begin. */
    for (size_t k = 0; k < e->count; k++) {
        out->first[e->to[k] / 2 + 1]++;
    }
    uint64_t before = 0;
    for (size_t i = 0; i < e->blocks; i++) {
        uint64_t count = out->first[i + 1];
        out->first[i + 1] = before;
        before += count;
    }
    for (size_t i = 0; i < e->blocks; i++) {
        for (uint64_t k = e->first[i]; k < e->first[i + 1]; k++) {
            out->to[out->first[e->to[k] / 2 + 1]++] = (uint32_t)i * 2 + (e->to[k] & GRAPH_MIDDLE);
        }
    }
    return true;
}
