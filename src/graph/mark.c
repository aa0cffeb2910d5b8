/* graph/mark.c - verdicts of all blocks, by marking from the roots. Each block is looked at once, one that is lost twice; the stack has room
 * for each block once, as one is marked when it is pushed.
 *
 *   1  what globals, TLS and other memory lead to by pointers to beginnings;
 *      what a movable heap has, collected objects, and what these lead to         reachable
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
    uint8_t verdict; /* of what is come upon */
    uint32_t leader; /* of what is lost: with whom it goes */
    struct scan scan;
};

static void push(struct marker *m, uint32_t block, uint8_t verdict)
{
    m->g->verdict[block] = verdict;
    m->stack[m->top++] = block;
}

/* All that the blocks on the stack lead to. */
static void follow(struct marker *m)
{
    while (m->top) {
        uint32_t batch[SCAN_BATCH];
        size_t count = size_min(m->top, SCAN_BATCH);
        m->top -= count;
        memcpy(batch, m->stack + m->top, count * sizeof *batch);
        scan_blocks(&m->scan, batch, count);
        scan_end(&m->scan);
    }
}

static void see(void *arg, const struct scan_edge *edge, size_t count)
{
    struct marker *m = arg;
    for (size_t i = 0; i < count; i++) {
        uint8_t *now = &m->g->verdict[edge[i].block];
        if ((*now & ~MAYBE) != GRAPH_UNKNOWN) {
            continue;
        }
        if (!edge[i].middle || m->verdict == GRAPH_POSSIBLE) {
            push(m, edge[i].block, m->verdict);
        } else {
            *now |= MAYBE;
        }
    }
}

static void mark_from_roots(struct marker *m, bool threads, enum graph_verdict verdict)
{
    const struct graph *g = m->g;
    m->verdict = (uint8_t)verdict;
    for (size_t i = 0; !g->root && g->image && i < g->ranges; i++) {
        if (is_root(&g->range[i]) && is_threads(&g->range[i]) == threads) {
            scan_range(&m->scan, &g->range[i], (uint32_t)i);
        }
    }
    scan_end(&m->scan);
    for (size_t i = 0; i < g->roots; i++) {
        const struct graph_root *r = &g->root[i];
        if (is_threads(&g->range[r->range]) == threads) {
            see(m, &(struct scan_edge){.block = r->block, .middle = r->middle}, 1);
        }
    }
    follow(m);
}

/* What a collected heap has, it has for somebody, or it goes by itself; what a movable one has is held by numbers. */
static void mark_kept(struct marker *m)
{
    const struct graph_blocks *blocks = m->g->blocks;
    bool any = false;
    for (size_t i = 0; i < blocks->owners; i++) {
        any = any || graph_owner_keeps(blocks->owner[i].kind);
    }
    m->verdict = GRAPH_REACHABLE;
    for (size_t i = 0; any && i < blocks->count; i++) {
        if (graph_owner_keeps(blocks->owner[blocks->block[i].owner].kind)) {
            see(m, &(struct scan_edge){.block = (uint32_t)i}, 1);
        }
    }
    follow(m);
}

static void mark_possible(struct marker *m)
{
    m->verdict = GRAPH_POSSIBLE;
    for (size_t i = 0; i < m->g->blocks->count; i++) {
        if (m->g->verdict[i] == (GRAPH_UNKNOWN | MAYBE)) {
            push(m, (uint32_t)i, GRAPH_POSSIBLE);
        }
    }
    follow(m);
}

/* All that a lost block leads to, as far as that is open, goes with it: what nobody has come upon; the second time what is lost and
 * not settled. */
static void take_along(void *arg, const struct scan_edge *edge, size_t count)
{
    struct marker *m = arg;
    for (size_t i = 0; i < count; i++) {
        uint8_t now = m->g->verdict[edge[i].block];
        if (m->verdict & SETTLED ? now >= GRAPH_INDIRECT && !(now & SETTLED) : now == GRAPH_UNKNOWN) {
            push(m, edge[i].block, m->verdict);
            m->g->leader[edge[i].block] = m->leader;
        }
    }
}

static void lead(struct marker *m, uint32_t leader, uint8_t settled)
{
    m->verdict = GRAPH_INDIRECT | settled;
    m->leader = leader;
    m->g->leader[leader] = leader;
    push(m, leader, GRAPH_DEFINITE | settled);
    follow(m);
}

/* Twice: first in order of address, which finds a block for each of those that none before leads to. One of them may lead to one
 * before it, never to one behind it. So in the other order each that has not been reached by then is led to by none, and is
 * definite. */
static void find_lost(struct marker *m)
{
    struct graph *g = m->g;
    size_t count = g->blocks->count;
    m->scan.visit = take_along;
    for (size_t i = 0; i < count; i++) {
        if (g->verdict[i] == GRAPH_UNKNOWN) {
            lead(m, (uint32_t)i, 0);
        }
    }
    for (size_t i = count; i-- > 0;) {
        if (g->verdict[i] == GRAPH_DEFINITE) {
            lead(m, (uint32_t)i, SETTLED);
        }
    }
    for (size_t i = 0; i < count; i++) {
        g->verdict[i] &= (uint8_t)~SETTLED;
    }
}

bool graph_mark(struct graph *g)
{
    struct marker m = {.g = g, .scan = {.g = g, .visit = see, .arg = &m}};
    size_t count = g->blocks->count;
    if (count == 0) {
        return true;
    }
    g->verdict = g->verdict ? g->verdict : grow_map(count * sizeof *g->verdict);
    g->leader = g->leader ? g->leader : os_map(count * sizeof *g->leader); /* read and written of lost ones only */
    m.stack = grow_map(count * sizeof *m.stack);
    if (!g->verdict || !g->leader || !m.stack) {
        grow_free(m.stack, count, sizeof *m.stack);
        return false;
    }
    memset(g->verdict, GRAPH_UNKNOWN, count);
    mark_from_roots(&m, false, GRAPH_REACHABLE);
    mark_kept(&m);
    mark_from_roots(&m, true, GRAPH_THREAD_ONLY);
    mark_possible(&m);
    find_lost(&m);
    g->unread = m.scan.unread;
    grow_free(m.stack, count, sizeof *m.stack);
    return true;
}

void graph_led(const struct graph *g, uint64_t *led)
{
    for (size_t i = 0; i < g->blocks->count; i++) {
        if (g->verdict[i] >= GRAPH_INDIRECT) {
            led[g->leader[i]] += g->blocks->block[i].size;
        }
    }
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
