/* graph/mark.c - verdicts of all blocks, by marking from the roots. Each block is looked at once, one that is lost twice; the stack has room
 * for each block once, as one is marked when it is pushed.
 *
 *   1  what globals, TLS and other memory lead to by pointers to beginnings      reachable
 *   2  what stacks and registers do, of the rest                                 thread-only
 *   3  what pointers into the middle lead to from any of these                   possible
 *   4  of the rest, in order of address, each with all that it leads to          definite, indirect
 *
 * Of blocks in a circle that nobody else leads to one is definite.
 */
#include "graph/graph.h"

#include "graph/grow.h"
#include "graph/scan.h"

#define MAYBE   0x80 /* of a verdict: something points into its middle */
#define SETTLED 0x40 /* of one that is lost: as it stays */

struct marker {
    struct graph *g;
    uint32_t *stack;
    size_t top;
    size_t unread;
};

static void push(struct marker *m, size_t block, unsigned verdict)
{
    m->g->verdict[block] = (uint8_t)verdict;
    m->stack[m->top++] = (uint32_t)block;
}

static inline void see(struct marker *m, const struct scan_edge *e, enum graph_verdict verdict)
{
    uint8_t *now = &m->g->verdict[e->block];
    if ((*now & ~MAYBE) == GRAPH_UNKNOWN) {
        if (!e->middle || verdict == GRAPH_POSSIBLE) {
            push(m, e->block, verdict);
        } else {
            *now |= MAYBE;
        }
    }
}

static void see_all(struct marker *m, struct scan *s, enum graph_verdict verdict)
{
    struct scan_edge e;
    while (scan_next(s, &e)) {
        see(m, &e, verdict);
    }
    m->unread += s->unread;
}

static void follow(struct marker *m, enum graph_verdict verdict)
{
    while (m->top) {
        struct scan s = scan_block(m->g, m->stack[--m->top]);
        see_all(m, &s, verdict);
    }
}

static void mark_from_roots(struct marker *m, bool threads, enum graph_verdict verdict)
{
    const struct graph *g = m->g;
    for (size_t i = 0; !g->root && g->image && i < g->ranges; i++) {
        if (is_root(&g->range[i]) && is_threads(&g->range[i]) == threads) {
            struct scan s = scan_range(g, &g->range[i]);
            see_all(m, &s, verdict);
            follow(m, verdict);
        }
    }
    for (size_t i = 0; i < g->roots; i++) {
        const struct graph_root *r = &g->root[i];
        if (is_threads(&g->range[r->range]) == threads) {
            struct scan_edge e = {r->block, r->middle, r->address};
            see(m, &e, verdict);
            follow(m, verdict);
        }
    }
}

static void mark_possible(struct marker *m)
{
    for (size_t i = 0; i < m->g->blocks->count; i++) {
        if (m->g->verdict[i] == (GRAPH_UNKNOWN | MAYBE)) {
            push(m, i, GRAPH_POSSIBLE);
            follow(m, GRAPH_POSSIBLE);
        }
    }
}

/* All that a lost block leads to, as far as that is open, goes with it. */
static void lead(struct marker *m, uint32_t leader, uint8_t own, uint8_t others, bool (*is_open)(uint8_t verdict))
{
    struct graph *g = m->g;
    push(m, leader, own);
    g->leader[leader] = leader;
    while (m->top) {
        struct scan s = scan_block(g, m->stack[--m->top]);
        struct scan_edge e;
        while (scan_next(&s, &e)) {
            if (is_open(g->verdict[e.block])) {
                push(m, e.block, others);
                g->leader[e.block] = leader;
            }
        }
        m->unread += s.unread;
    }
}

static bool is_unknown(uint8_t verdict) { return verdict == GRAPH_UNKNOWN; }
static bool is_lost_unsettled(uint8_t verdict) { return verdict >= GRAPH_INDIRECT && !(verdict & SETTLED); }

/* Twice: first in order of address, which finds a block for each of those that none before leads to. One of them may lead to one
 * before it, never to one behind it. So in the other order each that has not been reached by then is led to by none, and is
 * definite. */
static void find_lost(struct marker *m)
{
    struct graph *g = m->g;
    size_t count = g->blocks->count;
    for (size_t i = 0; i < count; i++) {
        g->verdict[i] &= (uint8_t)~MAYBE;
    }
    for (size_t i = 0; i < count; i++) {
        if (g->verdict[i] == GRAPH_UNKNOWN) {
            lead(m, (uint32_t)i, GRAPH_DEFINITE, GRAPH_INDIRECT, is_unknown);
        }
    }
    for (size_t i = count; i-- > 0;) {
        if (g->verdict[i] == GRAPH_DEFINITE) {
            lead(m, (uint32_t)i, GRAPH_DEFINITE | SETTLED, GRAPH_INDIRECT | SETTLED, is_lost_unsettled);
        }
    }
    for (size_t i = 0; i < count; i++) {
        g->verdict[i] &= (uint8_t)~SETTLED;
    }
}

bool graph_mark(struct graph *g)
{
    struct marker m = {.g = g};
    size_t count = g->blocks->count;
    if (count == 0) {
        return true;
    }
    g->verdict = g->verdict ? g->verdict : os_map(count * sizeof *g->verdict);
    g->leader = g->leader ? g->leader : os_map(count * sizeof *g->leader);
    m.stack = os_map(count * sizeof *m.stack);
    if (!g->verdict || !g->leader || !m.stack) {
        grow_free(m.stack, count, sizeof *m.stack);
        return false;
    }
    memset(g->verdict, GRAPH_UNKNOWN, count);
    mark_from_roots(&m, false, GRAPH_REACHABLE);
    mark_from_roots(&m, true, GRAPH_THREAD_ONLY);
    mark_possible(&m);
    find_lost(&m);
    g->unread = m.unread;
    grow_free(m.stack, count, sizeof *m.stack);
    return true;
}

void graph_sums(const struct graph *g, struct graph_sum sum[GRAPH_DEFINITE + 1])
{
    memset(sum, 0, (GRAPH_DEFINITE + 1) * sizeof *sum);
    for (size_t i = 0; i < g->blocks->count; i++) {
        struct graph_sum *of = &sum[g->verdict ? g->verdict[i] : GRAPH_UNKNOWN];
        of->blocks++;
        of->bytes += g->blocks->block[i].size;
    }
}
