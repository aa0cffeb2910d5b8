/* graph/scan.h - what blocks and roots refer to, a batch at a time.
 *
 *   words of blocks, of roots --> finds: may be an address of a block --> edges: of which block --> whoever visits them
 *                                 its cell of the index is asked for      its verdict is asked for
 *
 * Nearly every address leads to where nothing is in a cache, so each step asks for the memory that the next one reads, for all of the
 * batch: they are waited for together, not one after another. (C.-Y. Cher, A. Hosking, T. Vijaykumar, "Software Prefetching for
 * Mark-Sweep Garbage Collection", 2004.) A batch keeps the order of its words. 8 KiB, on whoever's stack.
 */
#ifndef GRAPH_SCAN_H
#define GRAPH_SCAN_H

#include "base/bits.h"
#include "graph/graph.h"

enum { SCAN_BATCH = 64 };

/* Words that lie side by side: of a block, or of a range. */
struct scan_piece {
    const uint64_t *first, *end;
    uintptr_t address; /* of the first, in its process */
    uint32_t from;     /* number of the block, or of the range */
    bool held;         /* all are as good as pointers to beginnings */
};
struct scan_find {
    uint64_t word;
    const uint64_t *at;
    uint32_t piece;
};

struct scan_edge {
    uint32_t block;
    uint32_t from;     /* as in its piece */
    uintptr_t address; /* of the word */
    bool middle;       /* no address of a beginning, nor what counts as one */
};

struct scan {
    const struct graph *g;
    void (*visit)(void *arg, const struct scan_edge *edge, size_t count);
    void *arg;
    size_t unread; /* bytes that the image does not have */
    size_t pieces, finds;
    struct scan_piece piece[SCAN_BATCH];
    struct scan_find find[SCAN_BATCH];
};

/* What is referred to by so many blocks, SCAN_BATCH at most; by a range of the image. Edges are visited when a batch is full,
 * and with scan_end all that are left. */
void scan_blocks(struct scan *s, const uint32_t *block, size_t count);
void scan_range(struct scan *s, const struct image_range *range, uint32_t number);
void scan_end(struct scan *s);

/* Roots are ranges of the image, or those that are given; a thread's: those of stacks and registers. */
static inline bool is_root(const struct image_range *r) { return r->kind != IMAGE_HEAP && r->kind != IMAGE_CONSTANT; }
static inline bool is_threads(const struct image_range *r)
{
    return r->kind == IMAGE_STACK || r->kind == IMAGE_REGISTERS;
}

#endif
