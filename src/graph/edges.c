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

struct maker {
    struct graph *g;
    struct graph_edges out;
    size_t next; /* of the blocks whose edges begin further on, the first */
    bool no_memory;
};

static void add_roots(void *arg, const struct scan_edge *edge, size_t count)
{
    struct maker *m = arg;
    struct graph *g = m->g;
    if (!grow((void **)&g->root, &g->root_room, g->roots + count, sizeof *g->root)) {
        m->no_memory = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        enum image_kind kind = g->range[edge[i].from].kind;
        g->root[g->roots++] =
            (struct graph_root){.address = kind == IMAGE_REGISTERS || kind == IMAGE_HELD ? 0 : edge[i].address,
                                .block = edge[i].block,
                                .range = edge[i].from & 0x7fffffff,
                                .middle = edge[i].middle};
    }
}

static void add_edges(void *arg, const struct scan_edge *edge, size_t count)
{
    struct maker *m = arg;
    struct graph_edges *out = &m->out;
    if (!grow((void **)&out->to, &out->room, out->count + count, sizeof *out->to)) {
        m->no_memory = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        while (m->next <= edge[i].from) {
            out->first[m->next++] = out->count;
        }
        out->to[out->count++] = edge[i].block * 2 + (edge[i].middle ? GRAPH_MIDDLE : 0);
    }
}

static void make_edges(struct maker *m)
{
    struct scan scan = {.g = m->g, .visit = add_edges, .arg = m};
    for (size_t i = 0; i < m->out.blocks && !m->no_memory; i += SCAN_BATCH) {
        uint32_t batch[SCAN_BATCH];
        size_t count = size_min(SCAN_BATCH, m->out.blocks - i);
        for (size_t k = 0; k < count; k++) {
            batch[k] = (uint32_t)(i + k);
        }
        scan_blocks(&scan, batch, count);
    }
    scan_end(&scan);
    while (m->next <= m->out.blocks) {
        m->out.first[m->next++] = m->out.count;
    }
    m->g->unread = scan.unread;
}

static void make_roots(struct maker *m)
{
    struct scan scan = {.g = m->g, .visit = add_roots, .arg = m};
    m->g->roots = 0;
    for (size_t i = 0; i < m->g->ranges && !m->no_memory; i++) {
        if (is_root(&m->g->range[i])) {
            scan_range(&scan, &m->g->range[i], (uint32_t)i);
        }
    }
    scan_end(&scan);
}

bool graph_make_edges(struct graph *g)
{
    struct maker m = {.g = g, .out = {.blocks = g->blocks->count}};
    graph_free_edges(&g->edges);
    m.out.first = grow_map((m.out.blocks + 1) * sizeof *m.out.first);
    m.no_memory = !m.out.first || !grow((void **)&m.out.to, &m.out.room, 1, sizeof *m.out.to);
    if (!m.no_memory) {
        make_edges(&m);
        make_roots(&m);
    }
    if (m.no_memory) {
        graph_free_edges(&m.out);
        return false;
    }
    g->edges = m.out;
    return true;
}

bool graph_turn_edges(const struct graph_edges *e, struct graph_edges *out)
{
    *out = (struct graph_edges){.blocks = e->blocks, .count = e->count};
    out->first = grow_map((e->blocks + 1) * sizeof *out->first);
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
