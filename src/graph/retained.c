/* graph/retained.c - what would go with a block: the sizes of all that it dominates. Semi-NCA, over blocks in the order in which a
 * walk from the roots first comes by; 24 bytes a block and 4 an edge besides what is returned. No recursion; nearly linear.
 *
 *   number 0: nobody, from whom all roots, all definite leaks and all that a heap itself keeps are reached; 1 ...: blocks
 */
#include "graph/graph.h"

#include "graph/grow.h"

struct tree {
    const struct graph *g;
    struct graph_edges in;
    size_t blocks, count; /* count: numbers given, 0 included */
    uint32_t *number;     /* of each block; 0: nobody leads there */
    uint32_t *block;      /* of each number */
    uint32_t *parent;     /* of each number, in the walk's tree; then in what is left of it by path compression */
    uint32_t *semi, *label, *dominator;
    uint32_t *stack;
    uint64_t *next; /* of each number: the edge to be followed next */
    uint8_t *top;   /* of each block: nobody's as well, as a root refers to it */
};

static void number(struct tree *t, uint32_t block, uint32_t parent, size_t *depth)
{
    uint32_t n = (uint32_t)t->count++;
    t->number[block] = n;
    t->block[n] = block;
    t->parent[n] = t->semi[n] = t->dominator[n] = parent;
    t->semi[n] = t->label[n] = n;
    t->next[n] = t->g->edges.first[block];
    t->stack[(*depth)++] = n;
}

static void walk(struct tree *t, uint32_t block)
{
    const struct graph_edges *e = &t->g->edges;
    size_t depth = 0;
    t->top[block] = 1;
    if (t->number[block]) {
        return;
    }
    number(t, block, 0, &depth);
    while (depth) {
        uint32_t n = t->stack[depth - 1];
        uint32_t to = UINT32_MAX;
        while (t->next[n] < e->first[t->block[n] + 1] && to == UINT32_MAX) {
            uint32_t seen = e->to[t->next[n]++] / 2;
            to = t->number[seen] ? UINT32_MAX : seen;
        }
        if (to == UINT32_MAX) {
            depth--;
        } else {
            number(t, to, n, &depth);
        }
    }
}

/* The number with the least semi on the way from n up to what is not linked yet: those above `from` are. */
static uint32_t least(struct tree *t, uint32_t n, uint32_t from)
{
    size_t depth = 0;
    if (n <= from) {
        return n;
    }
    for (uint32_t at = n; t->parent[at] > from; at = t->parent[at]) {
        t->stack[depth++] = at;
    }
    while (depth) {
        uint32_t at = t->stack[--depth], up = t->parent[at];
        if (t->semi[t->label[up]] < t->semi[t->label[at]]) {
            t->label[at] = t->label[up];
        }
        t->parent[at] = t->parent[up];
    }
    return t->label[n];
}

static void find_semis(struct tree *t)
{
    for (uint32_t n = (uint32_t)t->count - 1; n > 0; n--) {
        uint32_t block = t->block[n], best = t->top[block] ? 0 : t->dominator[n];
        for (uint64_t k = t->in.first[block]; k < t->in.first[block + 1]; k++) {
            uint32_t from = t->number[t->in.to[k] / 2];
            if (from) {
                uint32_t semi = t->semi[least(t, from, n)];
                best = semi < best ? semi : best;
            }
        }
        t->semi[n] = best;
    }
}

static bool begin(struct tree *t)
{
    size_t n = t->blocks + 1;
    uint32_t **const tables[] = {&t->number, &t->block, &t->parent, &t->semi, &t->label, &t->dominator, &t->stack};
    bool done = graph_turn_edges(&t->g->edges, &t->in);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        *tables[i] = os_map(n * sizeof **tables[i]);
        done = done && *tables[i];
    }
    t->next = os_map(n * sizeof *t->next);
    t->top = os_map(n);
    return done && t->next && t->top;
}

static void end(struct tree *t)
{
    size_t n = t->blocks + 1;
    uint32_t *const tables[] = {t->number, t->block, t->parent, t->semi, t->label, t->dominator, t->stack};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        grow_free(tables[i], n, sizeof *tables[i]);
    }
    grow_free(t->next, n, sizeof *t->next);
    grow_free(t->top, n, 1);
    graph_free_edges(&t->in);
}

static void add_up(struct tree *t, uint64_t *retained)
{
    for (size_t i = 0; i < t->blocks; i++) {
        retained[i] = t->g->blocks->block[i].size;
    }
    for (uint32_t n = 1; n < t->count; n++) {
        uint32_t d = t->dominator[n];
        while (d > t->semi[n]) {
            d = t->dominator[d];
        }
        t->dominator[n] = d;
    }
    for (uint32_t n = (uint32_t)t->count - 1; n > 0; n--) {
        if (t->dominator[n]) {
            retained[t->block[t->dominator[n]]] += retained[t->block[n]];
        }
    }
}

uint64_t *graph_retained(const struct graph *g)
{
    struct tree t = {.g = g, .blocks = g->blocks->count, .count = 1};
    uint64_t *retained = os_map((t.blocks + 1) * sizeof *retained);
    if (!retained || !begin(&t)) {
        grow_free(retained, t.blocks + 1, sizeof *retained);
        end(&t);
        return NULL;
    }
    for (size_t i = 0; i < g->roots; i++) {
        walk(&t, g->root[i].block);
    }
    for (uint32_t i = 0; i < t.blocks; i++) {
        if (g->verdict[i] == GRAPH_DEFINITE || graph_owner_keeps(g->blocks->owner[g->blocks->block[i].owner].kind)) {
            walk(&t, i);
        }
    }
    find_semis(&t);
    add_up(&t, retained);
    end(&t);
    return retained;
}

void graph_free_retained(uint64_t *retained, const struct graph *g)
{
    grow_free(retained, g->blocks->count + 1, sizeof *retained);
}
