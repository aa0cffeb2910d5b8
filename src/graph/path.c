/* graph/path.c - the shortest way to a block: breadth first from all roots at once, then from what heaps keep. O(edges), 8 bytes a
 * block. */
#include "graph/graph.h"

#include "graph/grow.h"

enum { KEPT = UINT32_MAX / 2 - 1 }; /* in place of a root's number */

struct search {
    const struct graph *g;
    uint32_t *from; /* of each block: 0 not seen; 1 + root * 2 + 1, or 1 + block * 2 before it */
    uint32_t *queue;
    size_t head, tail;
};

static void see(struct search *s, size_t block, uint32_t from)
{
    if (s->from[block] == 0) {
        s->from[block] = from;
        s->queue[s->tail++] = (uint32_t)block;
    }
}

static void go_on(struct search *s, size_t wanted)
{
    const struct graph *g = s->g;
    while (s->head < s->tail && s->from[wanted] == 0) {
        uint32_t at = s->queue[s->head++];
        for (uint64_t k = g->edges.first[at]; k < g->edges.first[at + 1]; k++) {
            see(s, g->edges.to[k] / 2, 1 + at * 2);
        }
    }
}

static void search(struct search *s, size_t wanted)
{
    const struct graph *g = s->g;
    for (size_t i = 0; i < g->roots && i < KEPT; i++) {
        see(s, g->root[i].block, 1 + (uint32_t)i * 2 + 1);
    }
    go_on(s, wanted);
    for (size_t i = 0; s->from[wanted] == 0 && i < g->blocks->count; i++) {
        if (graph_owner_keeps(g->blocks->owner[g->blocks->block[i].owner].kind)) {
            see(s, i, 1 + (uint32_t)KEPT * 2 + 1);
        }
    }
    go_on(s, wanted);
}

size_t graph_path(const struct graph *g, size_t block, size_t *path, size_t most, size_t *root)
{
    size_t blocks = g->blocks->count, length = 0;
    struct search s = {.g = g, .from = os_map(blocks * sizeof *s.from), .queue = os_map(blocks * sizeof *s.queue)};
    if (s.from && s.queue) {
        search(&s, block);
        if (s.from[block] != 0) {
            length = 1;
            size_t at = block;
            for (; (s.from[at] - 1) % 2 == 0; at = (s.from[at] - 1) / 2) {
                length++;
            }
            *root = (s.from[at] - 1) / 2 == KEPT ? GRAPH_NONE : (s.from[at] - 1) / 2;
            at = block;
            for (size_t i = length; i-- > 0; at = (s.from[at] - 1) / 2) {
                if (i < most) {
                    path[i] = at;
                }
            }
            length = size_min(length, most);
        }
    } else {
        length = SIZE_MAX;
    }
    grow_free(s.from, blocks, sizeof *s.from);
    grow_free(s.queue, blocks, sizeof *s.queue);
    return length;
}
