/* place/image.c - a region as bytes, and a region made again from what it has taken.
 *
 *   image:  | head | spans | taken ranges ... |      in order of offset, each with its number
 *
 * Holes, chain and index follow from the two, so an image holds nothing that could contradict itself but ranges that overlap, which
 * are found. The same is what saves a shared region from a process that ended in the middle of a change: a range is taken, or not,
 * by one store (region_mark_taken), and all else is made again. O(n log n), in place.
 */
#include <errno.h>
#include <string.h>

#include "place/region.h"

static uint32_t merged(struct allot_region *r, uint32_t a, uint32_t b)
{
    uint32_t first, *link = &first;
    while (a != NONE && b != NONE) {
        uint32_t *lower = node_of(r, a)->at <= node_of(r, b)->at ? &a : &b;
        *link = *lower;
        link = &node_of(r, *lower)->next;
        *lower = *link;
    }
    *link = a != NONE ? a : b;
    return first;
}

/* A list by offset, through `next`: run i holds 2^i nodes, or none. (Knuth 3, 5.2.4.) */
static uint32_t sorted(struct allot_region *r, uint32_t list)
{
    enum { RUNS = 33 };
    uint32_t runs[RUNS], all = NONE;
    for (unsigned i = 0; i < RUNS; i++) {
        runs[i] = NONE;
    }
    while (list != NONE) {
        uint32_t run = list;
        unsigned i = 0;
        list = node_of(r, run)->next;
        node_of(r, run)->next = NONE;
        for (; runs[i] != NONE; i++) {
            run = merged(r, runs[i], run);
            runs[i] = NONE;
        }
        runs[i] = run;
    }
    for (unsigned i = 0; i < RUNS; i++) {
        all = merged(r, runs[i], all);
    }
    return all;
}

static bool chain_hole(struct allot_region *r, uint64_t at, uint64_t end)
{
    struct region_state *s = state_of(r);
    if (at == end) {
        return true;
    }
    uint64_t pieces = s->fit == ALLOT_BUDDY ? buddy_pieces(at, end - at, s->unit) : 1;
    if (!region_ensure(r, pieces, 0)) {
        return false;
    }
    uint32_t id = region_new_node(r);
    *node_of(r, id) = (struct region_node){.at = at, .size = end - at, .link = {NONE, NONE}};
    region_chain(r, id, s->last);
    region_insert_hole(r, id);
    return true;
}

/* What is taken of [at, end) goes to the chain, and holes where nothing is: the list that is left, or false. */
static bool chain_span(struct allot_region *r, uint64_t at, uint64_t end, uint32_t *taken)
{
    struct region_state *s = state_of(r);
    bool more = false; /* the last one was part of a claim that goes on */
    for (uint32_t id; (id = *taken) != NONE && node_of(r, id)->at < end;) {
        struct region_node *n = node_of(r, id);
        bool part = n->link[1] & PIECE_PART;
        *taken = n->next;
        if (n->at < at || n->size == 0 || n->size > end - n->at || ((n->at | n->size) & (s->unit - 1))) {
            return false;
        }
        if (part && !(more && n->at == at)) {
            region_drop_node(r, id); /* of a claim that was not made in the end, or is given back */
            more = false;
            continue;
        }
        uint64_t from = n->at, to = node_end(n);
        more = n->link[1] & PIECE_MORE;
        if (!chain_hole(r, at, from)) {
            return false;
        }
        region_chain(r, id, s->last);
        s->used += to - from;
        s->count += !part;
        at = to;
    }
    return chain_hole(r, at, end);
}

bool region_rebuild(struct allot_region *r)
{
    struct region_state *s = state_of(r);
    uint32_t taken = NONE, spans = NONE;
    s->unused_nodes = NONE;
    s->nunused = s->nspans = 0;
    for (uint32_t id = s->fresh_nodes; id-- > 0;) {
        struct region_node *n = node_of(r, id);
        if (n->link[0] == NODE_TAKEN || n->link[0] == NODE_SPAN) {
            uint32_t *list = n->link[0] == NODE_TAKEN ? &taken : &spans;
            n->next = *list;
            *list = id;
            s->nspans += n->link[0] == NODE_SPAN;
        } else {
            region_drop_node(r, id);
        }
    }
    taken = sorted(r, taken);
    s->spans = spans = sorted(r, spans);
    s->first = s->last = s->finger = NONE;
    s->held = s->used = s->count = 0;
    region_empty_index(r);
    while (spans != NONE) {
        /* Spans that touch are one: a range may lie in both. */
        uint64_t at = node_of(r, spans)->at, end = at;
        for (; spans != NONE && node_of(r, spans)->at == end; spans = node_of(r, spans)->next) {
            end += node_of(r, spans)->size;
        }
        s->held += end - at;
        if ((spans != NONE && node_of(r, spans)->at < end) || !chain_span(r, at, end, &taken)) {
            return false;
        }
    }
    s->peak = s->held;
    return taken == NONE;
}

/* -- bytes -- */

#define IMAGE_MAGIC   0x6e6f6967654c4c41u /* "ALLegion" */
#define IMAGE_VERSION 1

struct image_head {
    uint64_t magic, sum; /* of all that follows */
    uint32_t version, fit;
    uint64_t unit, threshold, cursor, base, area, refused;
    uint32_t areas, nodes; /* numbers are below `nodes` */
    uint64_t spans, taken; /* how many follow */
};

struct image_range {
    uint64_t at, size;
    uint32_t id, piece;
};

/* FNV-1a, of words. */
static uint64_t sum_of(const void *image, size_t length)
{
    uint64_t sum = 0xcbf29ce484222325u;
    for (size_t at = 0; at + 4 <= length; at += 4) {
        uint32_t word;
        memcpy(&word, (const char *)image + at, 4);
        sum = (sum ^ word) * 0x100000001b3u;
    }
    return sum;
}

static char *put_range(char *to, const struct region_node *n, uint32_t id, uint32_t piece)
{
    struct image_range range = {n->at, n->size, id, piece};
    memcpy(to, &range, sizeof range);
    return to + sizeof range;
}

size_t allot_region_save(struct allot_region *r, void *image, size_t length)
{
    region_lock(r);
    const struct region_state *s = state_of(r);
    struct image_head head = {.magic = IMAGE_MAGIC,
                              .version = IMAGE_VERSION,
                              .fit = s->fit,
                              .unit = s->unit,
                              .threshold = s->threshold,
                              .cursor = s->cursor,
                              .base = s->base,
                              .area = s->area,
                              .refused = s->refused,
                              .areas = s->areas,
                              .nodes = s->fresh_nodes,
                              .spans = s->nspans};
    for (uint32_t id = s->first; id != NONE; id = node_of(r, id)->next) {
        head.taken += node_of(r, id)->link[0] == NODE_TAKEN;
    }
    size_t wanted = sizeof head + (head.spans + head.taken) * sizeof(struct image_range);
    if (wanted <= length) {
        char *to = (char *)image + sizeof head;
        for (uint32_t id = s->spans; id != NONE; id = node_of(r, id)->next) {
            to = put_range(to, node_of(r, id), id, 0);
        }
        for (uint32_t id = s->first; id != NONE; id = node_of(r, id)->next) {
            const struct region_node *n = node_of(r, id);
            if (n->link[0] == NODE_TAKEN) {
                to = put_range(to, n, id, n->link[1]);
            }
        }
        memcpy(image, &head, sizeof head);
        size_t summed = offsetof(struct image_head, version);
        head.sum = sum_of((char *)image + summed, wanted - summed);
        memcpy(image, &head, sizeof head);
    }
    region_unlock(r);
    return wanted;
}

/* Puts the ranges where their numbers say; false when one is taken twice. */
static bool place_ranges(struct allot_region *r, const struct image_head *head, const char *from)
{
    struct region_state *s = state_of(r);
    for (uint64_t i = 0; i < head->spans + head->taken; i++) {
        struct image_range range;
        memcpy(&range, from + i * sizeof range, sizeof range);
        struct region_node *n = node_of(r, range.id);
        uint64_t end = OFFSETS_END;
        bool pieces = s->fit == ALLOT_BUDDY && range.piece <= (PIECE_MORE | PIECE_PART);
        if (range.id >= head->nodes || n->link[0] != NODE_UNUSED || range.size > end || range.at > end - range.size ||
            range.size == 0 || ((range.at | range.size) & (s->unit - 1)) || (range.piece && !pieces)) {
            return false;
        }
        bool block = (range.size & (range.size - 1)) == 0 && (range.at & (range.size - 1)) == 0;
        if (i >= head->spans && s->fit == ALLOT_BUDDY && !block) {
            return false;
        }
        if (i < head->spans) {
            region_tell_owned(s, range.at, range.size);
        }
        *n = (struct region_node){
            .at = range.at, .size = range.size, .link = {i < head->spans ? NODE_SPAN : NODE_TAKEN, range.piece}};
    }
    return true;
}

static int load(struct allot_region *r, const struct image_head *head, const char *from)
{
    struct region_state *s = state_of(r);
    if (!region_ensure(r, head->nodes, head->spans + head->taken)) {
        return -ENOMEM;
    }
    for (uint32_t id = 0; id < head->nodes; id++) {
        node_of(r, id)->link[0] = NODE_UNUSED;
    }
    s->fresh_nodes = head->nodes;
    s->cursor = head->cursor;
    s->base = head->base;
    s->area = head->area;
    s->refused = head->refused;
    s->nspans = (uint32_t)head->spans;
    /* As many blocks as the tree by offset may want. */
    s->count = head->taken;
    if (!place_ranges(r, head, from)) {
        return -EINVAL;
    }
    uint64_t taken = head->taken, count = 0;
    if (!region_rebuild(r)) {
        return -EINVAL;
    }
    for (uint32_t id = s->first; id != NONE; id = node_of(r, id)->next) {
        count += node_of(r, id)->link[0] == NODE_TAKEN;
    }
    return count == taken ? 0 : -EINVAL; /* else there were pieces of no claim */
}

int allot_region_load(struct allot_region *r, const void *image, size_t length, const struct allot_region_opts *opts)
{
    static const struct allot_region_opts defaults;
    struct image_head head;
    *r = (struct allot_region){0};
    if (length < sizeof head) {
        return -EINVAL;
    }
    memcpy(&head, image, sizeof head);
    uint64_t room = (length - sizeof head) / sizeof(struct image_range);
    size_t summed = offsetof(struct image_head, version);
    if (head.magic != IMAGE_MAGIC || head.version != IMAGE_VERSION || head.nodes > NONE || head.spans > room ||
        head.taken > room - head.spans || head.spans + head.taken > head.nodes || head.fit > ALLOT_BUDDY ||
        head.area == 0 || head.cursor > OFFSETS_END || head.unit == 0 || (head.base & (head.unit - 1))) {
        return -EINVAL;
    }
    size_t bytes = sizeof head + (head.spans + head.taken) * sizeof(struct image_range);
    if (bytes != length || sum_of((const char *)image + summed, bytes - summed) != head.sum) {
        return -EINVAL;
    }
    struct allot_region_opts o = opts ? *opts : defaults;
    o.fit = (enum allot_fit)head.fit;
    o.unit = head.unit;
    o.areas = o.fit == ALLOT_GROUPS ? head.areas : 0;
    o.threshold = head.threshold;
    uint64_t size = 0;
    for (uint64_t i = 0; i < head.spans; i++) {
        struct image_range span;
        memcpy(&span, (const char *)image + sizeof head + i * sizeof span, sizeof span);
        size = span.size > size ? span.size : size;
    }
    int failed = region_make(r, size, &o);
    if (!failed && (failed = load(r, &head, (const char *)image + sizeof head))) {
        allot_region_done(r);
    }
    return failed;
}
