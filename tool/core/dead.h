/* core/dead.h - a dead process's heap, whole: the blocks of allot's malloc and of glibc's in one list, and who points to whom.
 *
 *   core --> image --> allot's heap by its descriptor \
 *                  --> glibc's by its shape           --> blocks --> graph: a verdict of each
 *
 * Both may be there: a program on allot's malloc has what its loader had from glibc's before.
 */
#ifndef ALLOT_CORE_DEAD_H
#define ALLOT_CORE_DEAD_H

#include "core/core.h"
#include "core/glibc.h"
#include "core/objects.h"
#include "core/site.h"
#include "graph/graph.h"
#include "snap/walk.h"

struct dead {
    struct core core;
    struct objects *objects;
    struct graph_blocks blocks; /* all of them; allot's owners, and behind them glibc's */
    struct graph graph;
    struct core_sites sites; /* of allot's blocks */
    bool marked;
    struct glibc_report glibc;
    struct glibc_sum allot;    /* blocks of allot's heap */
    bool on_allot;             /* the process had one */
    enum snap_trouble trouble; /* why that one could not be read */
    size_t unread;             /* pieces of its records that are not in the core */
};

/* Opens a core and walks its heaps. False with `error` set. `program` may be NULL. `told` hears what is being done, and may be
 * NULL. */
bool dead_open(struct dead *dead, const char *path, const char *program, void (*told)(const char *what),
               struct core_error *error);
/* The same of a core in memory, which stays the caller's. */
bool dead_open_memory(struct dead *dead, const unsigned char *map, size_t bytes, struct core_error *error);
/* A verdict of each block. False: out of memory. */
bool dead_mark(struct dead *dead);
void dead_close(struct dead *dead);

#endif
