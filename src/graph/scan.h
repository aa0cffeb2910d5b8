/* graph/scan.h - what a block, or a range of a root, refers to: word by word of the memory, or edge by edge where those are there. */
#ifndef GRAPH_SCAN_H
#define GRAPH_SCAN_H

#include "base/bits.h"
#include "graph/graph.h"

#define GRAPH_SPAN_SHIFT  22
#define GRAPH_GRAIN_SHIFT 8

/* The block of an address within the index. */
static inline size_t graph_lookup(const struct graph *g, uintptr_t address)
{
    const struct graph_index *x = &g->index;
    const struct graph_block *block = g->blocks->block;
    size_t offset = address - x->from;
    uint32_t leaf = x->leaf_of[offset >> GRAPH_SPAN_SHIFT];
    if (leaf == 0) {
        return GRAPH_NONE;
    }
    enum { LEAF = 1 << (GRAPH_SPAN_SHIFT - GRAPH_GRAIN_SHIFT) };
    size_t i = x->first[(leaf - 1) * (size_t)LEAF + (offset >> GRAPH_GRAIN_SHIFT & (LEAF - 1))];
    if (i == 0 || block[--i].address > address) {
        return GRAPH_NONE;
    }
    while (i + 1 < g->blocks->count && block[i + 1].address <= address) {
        i++;
    }
    return address - block[i].address < size_max(block[i].size, 1) ? i : GRAPH_NONE;
}

struct scan {
    const struct graph *g;
    uintptr_t at, end;                 /* of what is still to be scanned */
    const uint64_t *first, *word, *to; /* of the piece of it that is at hand: its beginning, the next, its end */
    const uint32_t *edge, *edge_end;
    size_t unread;
    bool own, held;
};

struct scan_edge {
    size_t block;
    bool middle;
    uintptr_t address; /* of the word */
};

/* Words at [from, end) of the process, which can be read at `bytes`, or, when that is NULL, where the image says. */
static inline struct scan scan_memory(const struct graph *g, uintptr_t from, uintptr_t end, const void *bytes)
{
    struct scan s = {.g = g, .at = align_up(from, 8), .end = end & ~(uintptr_t)7, .own = g->image->own};
    if (bytes && s.at < s.end) {
        s.first = s.word = (const uint64_t *)((const char *)bytes + (s.at - from));
        s.to = s.word + (s.end - s.at) / 8;
        s.at = s.end;
    }
    return s;
}

static inline struct scan scan_block(const struct graph *g, size_t block)
{
    if (g->edges.first) {
        return (struct scan){
            .g = g, .edge = g->edges.to + g->edges.first[block], .edge_end = g->edges.to + g->edges.first[block + 1]};
    }
    const struct graph_block *b = &g->blocks->block[block];
    return scan_memory(g, b->address, b->address + b->size, NULL);
}

/* The next piece that can be read: the whole, or page by page. */
static inline bool scan_more(struct scan *s)
{
    while (s->at < s->end) {
        enum { PAGE = 4096 };
        size_t bytes = s->end - s->at;
        const void *here = image_at(s->g->image, s->at, bytes);
        if (!here) {
            bytes = size_min(bytes, PAGE - s->at % PAGE);
            here = image_at(s->g->image, s->at, bytes);
        }
        s->at += bytes;
        if (here) {
            s->first = s->word = here;
            s->to = s->word + bytes / 8;
            return true;
        }
        s->unread += bytes;
    }
    return false;
}

/* What an arena knows of the end of its block is no pointer to the block that begins there: `at`, `end` and what else may be the end
 * have the block itself beside them. `block` begins at the word before `next`. */
static inline bool is_arenas_end(const struct graph *g, size_t block, const uint64_t *first, const uint64_t *next,
                                 const uint64_t *to)
{
    if (block == 0) {
        return false;
    }
    const struct graph_block *b = &g->blocks->block[block - 1];
    if (next[-1] != b[1].address || b->address + b->size != next[-1] ||
        g->blocks->owner[b->owner].kind != GRAPH_ARENA) {
        return false;
    }
    return (next < to && next[0] == b->address) || (next + 1 < to && next[1] == b->address) ||
           (next - first >= 2 && next[-2] == b->address);
}

/* Whoever watches accesses (AddressSanitizer) would find each word that is nobody's. Not inlined there: it has to be left alone. */
#if defined(__SANITIZE_ADDRESS__)
#define SCAN_INLINE static __attribute__((noinline, no_sanitize_address, unused))
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SCAN_INLINE static __attribute__((noinline, no_sanitize("address"), unused))
#endif
#endif
#ifndef SCAN_INLINE
#define SCAN_INLINE static inline
#endif

SCAN_INLINE __attribute__((no_sanitize("thread"))) bool scan_next(struct scan *s, struct scan_edge *out)
{
    const struct graph *g = s->g;
    if (s->edge) {
        if (s->edge == s->edge_end) {
            return false;
        }
        *out = (struct scan_edge){*s->edge / 2, *s->edge & GRAPH_MIDDLE, 0};
        s->edge++;
        return true;
    }
    uintptr_t from = g->index.from, length = g->index.length;
    do {
        while (s->word < s->to) {
            uint64_t w = *s->word++;
            if (unlikely(w - from < length)) {
                size_t block = graph_lookup(g, w);
                if (block != GRAPH_NONE && !is_arenas_end(g, block, s->first, s->word, s->to)) {
                    bool middle = w != g->blocks->block[block].address && !s->held && !graph_is_beginning(g, block, w);
                    *out = (struct scan_edge){block, middle, s->at - 8 * (uintptr_t)(s->to - s->word + 1)};
                    return true;
                }
            }
        }
    } while (scan_more(s));
    return false;
}

/* -- roots: ranges of the image, or those that are given; thread: those of stacks and registers, else the others -- */

static inline bool is_root(const struct image_range *r) { return r->kind != IMAGE_HEAP && r->kind != IMAGE_CONSTANT; }
static inline bool is_threads(const struct image_range *r)
{
    return r->kind == IMAGE_STACK || r->kind == IMAGE_REGISTERS;
}

static inline struct scan scan_range(const struct graph *g, const struct image_range *r)
{
    struct scan s = scan_memory(g, r->from, r->to, r->bytes);
    s.held = r->kind == IMAGE_HELD;
    return s;
}

#endif
