/* place/bins.h - what nearly every call does with the lists of place/bins.c. The caller has the records at hand. */
#ifndef PLACE_BINS_H
#define PLACE_BINS_H

#include "place/region.h"

static inline uint32_t bins_bin(const struct region_state *s, uint64_t size)
{
    return bin_below(size >> s->shift, BINS_BITS);
}

/* The first list all of whose holes have so much, or any above it; the count of lists when there is none. */
static inline uint32_t bins_first_list(const struct region_state *s, uint64_t size)
{
    uint64_t units = size >> s->shift;
    return bin_next(s, bin_below(units + ((uint64_t)1 << bin_width(units, BINS_BITS)) - 1, BINS_BITS));
}

static inline void bins_push(struct region_state *s, struct region_node *nodes, uint32_t id, uint32_t bin)
{
    uint32_t head = s->heads[bin];
    nodes[id].link[0] = NONE;
    nodes[id].link[1] = head;
    s->heads[bin] = id;
    bin_mark_full(s, bin);
    if (head != NONE) {
        nodes[head].link[0] = id;
    }
}

static inline void bins_pull(struct region_state *s, struct region_node *nodes, uint32_t id, uint32_t bin)
{
    uint32_t before = nodes[id].link[0], behind = nodes[id].link[1];
    *(before == NONE ? &s->heads[bin] : &nodes[before].link[1]) = behind;
    if (behind != NONE) {
        nodes[behind].link[0] = before;
    } else if (before == NONE) {
        bin_mark_empty(s, bin);
    }
}

static inline void bins_insert(struct region_state *s, struct region_node *nodes, uint32_t id)
{
    bins_push(s, nodes, id, bins_bin(s, nodes[id].size));
}

static inline void bins_remove(struct region_state *s, struct region_node *nodes, uint32_t id)
{
    bins_pull(s, nodes, id, bins_bin(s, nodes[id].size));
}

/* A hole has other ends; it stays where it is in a list that is still its own. */
static inline void bins_change(struct region_state *s, struct region_node *nodes, uint32_t id, uint64_t at,
                               uint64_t size)
{
    struct region_node *n = &nodes[id];
    uint32_t was = bins_bin(s, n->size), bin = bins_bin(s, size);
    n->at = at;
    n->size = size;
    if (bin != was) {
        bins_pull(s, nodes, id, was);
        bins_push(s, nodes, id, bin);
    }
}

#endif
