/* graph/graph.h - who points to whom: live blocks, what refers to them, and what nothing refers to any more.
 *
 *   roots: globals, TLS, stacks, registers ---> block ---> block ...        reachable
 *                                               block <--- nobody           definite    the root of a leak
 *                                               block <--- definite         indirect    goes with it
 *          ... only into its middle ----------> block                       possible
 *          a stack or register only ----------> block                       thread-only: in use just now
 *
 * Conservative: any aligned word that is an address within a block refers to it. Verdicts are memcheck's (M. Nethercote and others),
 * with its exceptions for interior pointers that are no accident; thread-only after chap.
 */
#ifndef GRAPH_GRAPH_H
#define GRAPH_GRAPH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "graph/image.h"

enum graph_verdict {
    GRAPH_UNKNOWN,
    GRAPH_REACHABLE,
    GRAPH_THREAD_ONLY,
    GRAPH_POSSIBLE,
    GRAPH_INDIRECT,
    GRAPH_DEFINITE,
};

/* One live block, or object of a part. */
struct graph_block {
    uintptr_t address;
    uint64_t size;  /* usable bytes; as asked for where that is known */
    uint32_t site;  /* a stack's number where the allocation was recorded, sampled or kept; 0: unknown */
    uint32_t owner; /* index into the block list's owners: the general heap, an arena, a pool, a tag ... */
};

/* Whose blocks they are. What an arena, a region or an overlay has is one block of its upstream and holds objects besides. A movable
 * heap's objects are held by it, as no address of theirs is anywhere. */
enum graph_owner_kind {
    GRAPH_MALLOC,
    GRAPH_HEAP,
    GRAPH_TAG,
    GRAPH_ARENA,
    GRAPH_POOL,
    GRAPH_CACHE,
    GRAPH_REGION,
    GRAPH_OVERLAY,
    GRAPH_MOVABLE,  /* a movable heap's: the program refers to them by number */
    GRAPH_GC,       /* a collected heap's, of one type: the heap knows who refers to them */
    GRAPH_EXPLICIT, /* of one where nothing goes by itself */
    GRAPH_OWNER_KINDS
};
struct graph_owner {
    enum graph_owner_kind kind;
    const char *name;    /* or NULL */
    size_t object_bytes; /* of a pool's, a cache's or a type's objects; 0: any */
};

/* Whose blocks are reachable as they are there, whether a pointer leads to them or not. */
static inline bool graph_owner_keeps(enum graph_owner_kind kind) { return kind == GRAPH_MOVABLE || kind == GRAPH_GC; }

static inline const char *graph_owner_kind_name(enum graph_owner_kind kind)
{
    static const char *const names[] = {"malloc", "heap",    "tag",     "arena", "pool",       "cache",
                                        "region", "overlay", "movable", "gc",    "explicit gc"};
    return names[kind];
}

/* A block list: by address, none overlaps another. Made by a walk (snap/ for allot's heap, the tool for glibc's), consumed here. */
struct graph_blocks {
    struct graph_block *block;
    size_t count, room;
    struct graph_owner *owner;
    size_t owners, owner_room;
    struct graph_names *names; /* those that had to be made up */
};

/* Room for names, a piece each time. */
struct graph_names {
    struct graph_names *next;
    size_t used;
    char text[];
};

/* -- the graph: made of blocks and an image, or read from a snapshot; then asked -- */

#define GRAPH_NONE SIZE_MAX

/* Which block an address lies in; see graph/index.h. */
struct graph_cell {
    uint64_t begins; /* a bit of each 16 bytes of its KiB: a block begins in them */
    uint32_t before; /* how many begin before that KiB */
    uint32_t what;   /* GRAPH_CELL_... of those that begin in it */
};
struct graph_index {
    uintptr_t from; /* a multiple of 4 MiB */
    size_t length;
    uint32_t *leaf_of; /* of each 4 MiB: number + 1 of its cells; 0: no block */
    uint32_t
        inside; /* that of those which are the same for all spans that blocks reach into and none begins in; 0: none yet */
    size_t reached; /* spans below are known to have a block, or none */
    size_t spans;
    struct graph_cell *cell;
    size_t leaves, room;
};

/* A word of a root that refers to a block. */
struct graph_root {
    uint64_t address; /* where the word is; 0: in a register */
    uint32_t block;
    uint32_t range : 31; /* of the image, or the snapshot: whose it is */
    uint32_t middle : 1; /* it is no address of a beginning, nor what counts as one */
};

/* From each block to others, or, turned round, to each from others: of block i those in to[first[i]] to to[first[i + 1]]. */
#define GRAPH_MIDDLE 1u /* of `to`: index * 2 + GRAPH_MIDDLE, into its middle */
struct graph_edges {
    uint64_t *first;
    uint32_t *to;
    size_t blocks, count, room; /* room: of `to` */
};

struct graph {
    const struct graph_blocks *blocks;
    const struct image_range *range; /* the image's, or the snapshot's */
    size_t ranges;
    const struct image *image; /* NULL: `edges` and `root` are all there is */
    struct graph_index index;  /* with an image */
    struct graph_edges edges;  /* where they were wanted, or given */
    struct graph_root *root;   /* likewise, by range */
    size_t roots, root_room;

    /* What graph_mark finds: */
    uint8_t *verdict; /* enum graph_verdict of each block */
    uint32_t *leader; /* of an indirect one the definite one that it goes with */
    size_t unread;    /* bytes of blocks that the image does not have */
};

struct graph_sum {
    uint64_t blocks, bytes;
};

/* All of these: false, or NULL, when memory is out; then what was there is still there. */

/* A graph over memory. `blocks` and `image` stay the caller's and have to last. */
bool graph_begin(struct graph *g, const struct graph_blocks *blocks, const struct image *image);
void graph_end(struct graph *g);

/* The block that an address lies in, or GRAPH_NONE. Of a graph over memory; and of any block list, by search. */
size_t graph_find(const struct graph *g, uintptr_t address);
size_t graph_block_at(const struct graph_blocks *blocks, uintptr_t address);

/* A verdict of every block. By words where there are no edges: some GB a second; else by edges. */
bool graph_mark(struct graph *g);
/* Of each definite block the bytes of all that goes with it, its own included; `led` has a zero for each block. */
void graph_led(const struct graph *g, uint64_t *led);
void graph_sums(const struct graph *g, struct graph_sum sum[GRAPH_DEFINITE + 1]);

/* Edges and roots of a graph over memory, from its words. */
bool graph_make_edges(struct graph *g);
/* The same turned round: freed by graph_free_edges. */
bool graph_turn_edges(const struct graph_edges *edges, struct graph_edges *out);
void graph_free_edges(struct graph_edges *edges);

/* Bytes that would go with each block, its own included: those of all that only it leads to. (Semi-NCA: L. Georgiadis, "Linear-Time
 * Algorithms for Dominators and Related Problems", 2005.) Of leaks as if each definite one were held by somebody, and of what a
 * heap keeps (graph_owner_keeps) likewise. Freed by graph_free_retained. After graph_mark, with edges. */
uint64_t *graph_retained(const struct graph *g);
void graph_free_retained(uint64_t *retained, const struct graph *g);

/* A shortest way from a root to a block: blocks from the one that the root refers to, up to this; how many, `most` at most, 0: there
 * is none. *root: index of the root; GRAPH_NONE: none leads there, but the first block's own heap keeps it (graph_owner_keeps). With
 * edges. SIZE_MAX: memory is out. */
size_t graph_path(const struct graph *g, size_t block, size_t *path, size_t most, size_t *root);

/* -- what counts as a beginning (graph/heuristic.c) -- */

/* Pointers into the middle that are no accident, as memcheck has them: a string behind its header, an array behind its count, a
 * second base class. */
bool graph_is_beginning(const struct graph *g, size_t block, uintptr_t address);
/* The vtable that the word at an address of the image points to, of a whole object or of a base at so many bytes: 0: it does not. */
uintptr_t graph_vtable(const struct image *image, uintptr_t word, size_t offset);

#endif
