/* graph/scan.c - see graph/scan.h. Words of memory are looked at one by one, kept edges are taken as they are. */
#include "graph/scan.h"

#include "graph/index.h"

/* Whoever watches accesses (AddressSanitizer) would find each word that is nobody's. Not inlined there: it has to be left alone. */
#if defined(__SANITIZE_ADDRESS__)
#define UNWATCHED __attribute__((noinline, no_sanitize_address, no_sanitize("thread")))
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNWATCHED __attribute__((noinline, no_sanitize("address"), no_sanitize("thread")))
#endif
#endif
#ifndef UNWATCHED
#define UNWATCHED __attribute__((no_sanitize("thread")))
#endif

enum { LINE = 64 };

/* What an arena knows of the end of its block is no pointer to the block that begins there: `at`, `end` and what else may be the end
 * have the block itself beside them. */
UNWATCHED static bool is_arenas_end(const struct graph *g, size_t block, const struct scan_find *find,
                                    const struct scan_piece *p)
{
    const struct graph_block *b = &g->blocks->block[block - 1];
    const uint64_t *next = find->at + 1;
    if (b->address + b->size != find->word || g->blocks->owner[b->owner].kind != GRAPH_ARENA) {
        return false;
    }
    return (next < p->end && next[0] == b->address) || (next + 1 < p->end && next[1] == b->address) ||
           (find->at > p->first && find->at[-1] == b->address);
}

/* From finds to edges, and on to who visits them. */
static void settle(struct scan *s)
{
    const struct graph *g = s->g;
    struct scan_edge edge[SCAN_BATCH];
    size_t edges = 0;
    for (size_t i = 0; i < s->finds; i++) {
        const struct scan_find *find = &s->find[i];
        const struct scan_piece *p = &s->piece[find->piece];
        const struct graph_cell *cell = graph_cell_at(&g->index, find->word - g->index.from);
        struct graph_found found = graph_lookup(g, cell, find->word);
        if (found.block == GRAPH_NONE ||
            (found.arena && found.beginning && found.block > 0 && is_arenas_end(g, found.block, find, p))) {
            continue;
        }
        if (g->verdict) {
            __builtin_prefetch(&g->verdict[found.block], 1);
        }
        edge[edges++] = (struct scan_edge){.block = (uint32_t)found.block,
                                           .from = p->from,
                                           .address = p->address + 8 * (uintptr_t)(find->at - p->first),
                                           .middle = !found.beginning && !p->held &&
                                                     !graph_is_beginning(g, found.block, find->word)};
    }
    s->finds = s->pieces = 0;
    if (edges) {
        s->visit(s->arg, edge, edges);
    }
}

UNWATCHED static void scan_piece(struct scan *s, const struct scan_piece *p)
{
    const struct graph_index *x = &s->g->index;
    if (s->pieces == SCAN_BATCH) {
        settle(s);
    }
    s->piece[s->pieces++] = *p;
    for (const uint64_t *at = p->first; at < p->end; at++) {
        uint64_t word = *at, offset = word - x->from;
        if (likely(offset >= x->length)) {
            continue;
        }
        const struct graph_cell *cell = graph_cell_at(x, offset);
        if (!cell) {
            continue;
        }
        if (s->finds == SCAN_BATCH) {
            settle(s);
            s->piece[s->pieces++] = *p;
        }
        __builtin_prefetch(cell);
        s->find[s->finds++] = (struct scan_find){word, at, (uint32_t)s->pieces - 1};
    }
}

/* Words at [from, to) of the process; at `bytes`, or, when that is NULL, where the image says: the whole, or page by page. */
static void scan_memory(struct scan *s, uintptr_t from, uintptr_t to, const void *bytes, struct scan_piece p)
{
    enum { PAGE = 4096 };
    uintptr_t at = align_up(from, 8), end = to & ~(uintptr_t)7;
    while (at < end) {
        size_t length = end - at;
        const void *here = bytes ? (const char *)bytes + (at - from) : image_at(s->g->image, at, length);
        if (!here) {
            length = size_min(length, PAGE - at % PAGE);
            here = image_at(s->g->image, at, length);
        }
        if (here) {
            p.first = here;
            p.end = p.first + length / 8;
            p.address = at;
            scan_piece(s, &p);
        } else {
            const struct image *image = s->g->image;
            uintptr_t next = image->next ? image->next(image, at) & ~(uintptr_t)7 : at;
            length = size_max(length, next > at ? size_min(next - at, end - at) : 0);
            s->unread += length;
        }
        at += length;
    }
}

void scan_range(struct scan *s, const struct image_range *r, uint32_t number)
{
    scan_memory(s, r->from, r->to, r->bytes, (struct scan_piece){.from = number, .held = r->kind == IMAGE_HELD});
}

/* Kept edges: what a block's are is known by its number. */
static void scan_edges(struct scan *s, const uint32_t *block, size_t count)
{
    const struct graph_edges *e = &s->g->edges;
    struct scan_edge edge[SCAN_BATCH];
    size_t edges = 0;
    for (size_t i = 0; i < count; i++) {
        __builtin_prefetch(&e->first[block[i]]);
    }
    for (size_t i = 0; i < count; i++) {
        __builtin_prefetch(&e->to[e->first[block[i]]]);
    }
    for (size_t i = 0; i < count; i++) {
        for (uint64_t k = e->first[block[i]]; k < e->first[block[i] + 1]; k++) {
            if (edges == SCAN_BATCH) {
                s->visit(s->arg, edge, edges);
                edges = 0;
            }
            __builtin_prefetch(&s->g->verdict[e->to[k] / 2], 1);
            edge[edges++] =
                (struct scan_edge){.block = e->to[k] / 2, .from = block[i], .middle = e->to[k] & GRAPH_MIDDLE};
        }
    }
    s->visit(s->arg, edge, edges);
}

static void scan_words(struct scan *s, const uint32_t *block, size_t count)
{
    const struct graph_block *all = s->g->blocks->block;
    const char *here[SCAN_BATCH];
    for (size_t i = 0; i < count; i++) {
        __builtin_prefetch(&all[block[i]]);
    }
    for (size_t i = 0; i < count; i++) {
        const struct graph_block *b = &all[block[i]];
        here[i] = image_at(s->g->image, b->address, b->size);
        if (here[i]) {
            __builtin_prefetch(here[i]);
            __builtin_prefetch(here[i] + (b->size > LINE ? LINE : 0));
        }
    }
    for (size_t i = 0; i < count; i++) {
        const struct graph_block *b = &all[block[i]];
        scan_memory(s, b->address, b->address + b->size, here[i], (struct scan_piece){.from = block[i]});
    }
}

void scan_blocks(struct scan *s, const uint32_t *block, size_t count)
{
    (s->g->edges.first ? scan_edges : scan_words)(s, block, count);
}

void scan_end(struct scan *s) { settle(s); }
