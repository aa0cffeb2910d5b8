/* core/core.h - a dead process as an image (graph/image.h): all that can be read of it, by its own addresses, and what each piece was.
 *
 *   core_open -> core_paint (the heap's ranges, by who walked it) ... -> core_settle -> image.range
 *
 * Memory is read by `image.at` from the start. The ranges are there once it is settled: painted over one another in the order of
 * enum core_layer, each piece being what was painted last:
 *
 *   memory   |.................other.................|   all that was dumped and may hold a pointer
 *   globals      |globals|                               by the modules' program headers
 *   heap                      |heap|      |heap|         by the walk
 *   dead                                |dead|           below stack pointers; stacks of threads that are no more
 *   stack                                    |stack|
 *   local                                          |tls|
 */
#ifndef ALLOT_CORE_CORE_H
#define ALLOT_CORE_CORE_H

#include "core/file.h"
#include "core/module.h"
#include "graph/image.h"

struct core_extent {
    uint64_t from, to;
    const unsigned char *at;
};

enum core_layer {
    CORE_LAYER_GLOBALS,
    CORE_LAYER_HEAP,
    CORE_LAYER_DEAD,
    CORE_LAYER_STACK,
    CORE_LAYER_LOCAL,
    CORE_LAYERS
};

struct core_paint {
    uint64_t from, to;
    enum image_kind kind;
    int tid;
    const char *name;
};
struct core_paints {
    struct core_paint *paint;
    size_t count, room;
};

enum core_missing_why { CORE_CUT, CORE_NOT_DUMPED };
struct core_missing {
    uint64_t from, to;
    enum core_missing_why why;
    const char *name;
};

struct core {
    struct image image; /* first, so that `at` finds the rest */
    struct core_file file;
    struct core_modules modules;
    struct core_extent *extent; /* memory that can be read, by address */
    size_t extents, last;       /* and where the last look-up was */
    struct core_paints layer[CORE_LAYERS];
    struct core_missing *missing; /* writable memory that cannot be read, by address */
    size_t missings;
    uint64_t missing_bytes;
    struct image_range *range;
    uint64_t
        *held; /* words for IMAGE_HELD (graph/image.h): the threads' dtvs, and what the loader's constants point to */
    size_t helds, held_room;
};

/* False with `error` set: what, where, what to do. `program` may be NULL: as the core names it. */
bool core_open(struct core *core, const char *path, const char *program, struct core_error *error);
/* The same of a core in memory, which stays the caller's. */
bool core_open_memory(struct core *core, const unsigned char *map, size_t bytes, struct core_error *error);
bool core_paint(struct core *core, enum core_layer layer, struct core_paint paint); /* false: out of memory */
/* Makes image.range, and makes it anew after more was painted. False: out of memory. */
bool core_settle(struct core *core);
void core_close(struct core *core);

/* Where so many bytes at an address can be read; NULL: they cannot. */
const void *core_at(const struct core *core, uint64_t address, uint64_t bytes);
/* The word there; 0 where it cannot be read. */
uint64_t core_word(const struct core *core, uint64_t address);
/* The extent that an address lies in, or NULL. */
const struct core_extent *core_extent_of(const struct core *core, uint64_t address);

#endif
