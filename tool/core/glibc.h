/* core/glibc.h - the heap of glibc's malloc in a dead process: its live blocks, what it holds besides, and where it is damaged.
 *
 *   main arena -> next -> next -> (main arena)                    a ring of arenas
 *     top of each: the end of its last heap                       heaps of the others: 64 MiB steps, chained backwards
 *   heap: | chunk | chunk | free | chunk | top |                  each chunk has its size, and whether the one before is in use
 *   | chunk |  | chunk |                                          mapped for themselves: found by their heads, no list has them
 *
 * What looks used but is kept for the next malloc (the threads' tcaches, the arenas' fast bins) is taken out. Layouts: glibc 2.30 to
 * 2.43, 64 bits. The main arena is found by its shape (glibc_find.c), so libc may be stripped, or be part of a static program.
 * A damaged chunk is named, and the walk goes on with the next place from which chunks follow one another.
 */
#ifndef ALLOT_CORE_GLIBC_H
#define ALLOT_CORE_GLIBC_H

#include "core/core.h"
#include "graph/graph.h"

/* struct malloc_state, by where its bins are, as what follows them has stayed the same: before them there are ten fast bins, or, since
 * 2.43, none. */
enum {
    ARENA_FASTBINS = 16, /* from its beginning */
    ARENA_FAST_COUNT = 10,
    ARENA_BINS_FAST = 112, /* the bins, with fast bins before them, */
    ARENA_BINS_PLAIN = 24, /* and without */
    ARENA_BIN_COUNT = 127,
    BINS_TOP = -16, /* from the bins on */
    BINS_NEXT = 2048,
    BINS_SYSTEM = 2072,
    BINS_END = 2088
};
enum { CHUNK_PREV_IN_USE = 1, CHUNK_MAPPED = 2, CHUNK_FLAGS = 7, CHUNK_HEAD = 16, CHUNK_LEAST = 32, CHUNK_ALIGN = 16 };

/* A block that is as long as a tcache: since 2.42 one of more lists, which says how many more each may have, not how many it has. */
enum { CACHE_CHUNK = 0x290, CACHE_LARGER_CHUNK = 0x300, CACHE_LARGEST_CHUNK = 0x310 };
struct glibc_cache {
    uint64_t at;
    bool larger;
    unsigned most; /* of a larger one: so many may be in each list */
};

enum { GLIBC_SAID = 16 }; /* damages that are told one by one */
struct glibc_damage {
    uint64_t address;
    char what[96];
};

struct glibc_sum {
    uint64_t blocks, bytes; /* bytes with the chunks' heads, as malloc_info and mallinfo2 count */
};

/* system bytes = used + tcache + fast + free + top + what arenas and heaps need for themselves, unless something is damaged. */
struct glibc_report {
    char version[16]; /* "2.36"; "": not known */
    uint64_t arenas;  /* 0: no heap of glibc's was found */
    uint64_t system;  /* bytes that the arenas have from the system */
    struct glibc_sum used, tcache, fast, free, top, mapped;
    uint64_t mapped_told; /* how many there should be by malloc's own count; UINT64_MAX: not known */
    uint64_t damages;
    struct glibc_damage damage[GLIBC_SAID];
};

/* A piece of memory that the heap has: chunks one after another, or one that was mapped for itself. */
struct glibc_region {
    uint64_t from, to; /* of a heap: up to the end of its top, or to its fence */
    uint64_t first;    /* the first chunk */
    uint64_t top;      /* the arena's top chunk where it is in here; 0: a fence ends it */
    bool mapped;
};

struct glibc {
    struct core *core;
    struct graph_blocks *blocks;
    struct glibc_report *report;
    uint64_t main_arena, base; /* base: where brk was when the heap began; 0: not known */
    uint64_t bins;             /* of an arena: from its beginning on */
    uint64_t *arena;
    size_t arenas;
    struct glibc_region *region; /* by address */
    size_t regions, region_room;
    uint64_t *kept; /* addresses that look used and are not */
    size_t kepts, kept_room;
    struct glibc_cache *cache; /* blocks that are as long as a tcache; those that are one */
    size_t caches, cache_room;
    bool out_of_memory;
};

/* Adds the heap's blocks to `blocks`, which grows (graph/grow.h) and has them by address afterwards, and paints its memory. True also where there is no
 * such heap: then report->arenas is 0. False: out of memory. `arena`: where the main arena should be, 0 for no idea. */
bool glibc_walk(struct core *core, uint64_t arena, struct graph_blocks *blocks, struct glibc_report *report);

/* -- among the files of this walk -- */
bool glibc_find_arena(struct glibc *g, uint64_t hint); /* main_arena and the ring: false, there is none */
void glibc_find_base(struct glibc *g);                 /* base, and what malloc counts itself */
void glibc_find_regions(struct glibc *g);
void glibc_take_out_kept(struct glibc *g); /* reads tcaches and fast bins, and takes their blocks off the list */
void glibc_damaged(struct glibc *g, uint64_t address, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool glibc_push(struct glibc *g, uint64_t **list, size_t *count, size_t *room, uint64_t word);

#endif
