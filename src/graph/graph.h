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
    uint64_t size;    /* usable bytes; as asked for where that is known */
    uint32_t site;    /* a stack's number where the allocation was recorded, sampled or kept; 0: unknown */
    uint32_t owner;   /* index into the block list's owners: the general heap, an arena, a pool, a tag ... */
};

/* Whose blocks they are. An arena's or a region's piece is one block of its upstream and holds objects besides. */
enum graph_owner_kind { GRAPH_MALLOC, GRAPH_HEAP, GRAPH_TAG, GRAPH_ARENA, GRAPH_POOL, GRAPH_CACHE, GRAPH_REGION };
struct graph_owner {
    enum graph_owner_kind kind;
    const char *name;    /* or NULL */
    size_t object_bytes; /* of a pool's or cache's objects; 0: any */
};

/* A block list: by address, none overlaps another. Made by a walk (snap/ for allot's heap, the tool for glibc's), consumed here. */
struct graph_blocks {
    struct graph_block *block;
    size_t count, room;
    struct graph_owner *owner;
    size_t owners;
};

#endif
