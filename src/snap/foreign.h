/* snap/foreign.h - who points to whom in a process whose malloc is not ours, where the blocks are known to who records it.
 *
 *   list of blocks ---> graph/ <--- roots of this process (snap/self.h), less what is the malloc's:
 *                                   its memory around the blocks, and its records, which point to what is free
 *
 * Of glibc's malloc the memory is known: each arena's heaps, chunks mapped for themselves, and the main arena's record, by its
 * rings of free chunks. So verdicts are exact. Of another's it is what lies between blocks of one mapping, a MiB at most from one to
 * the next; its records, which may point to a block's beginning as to what is free, count as other memory does.
 */
#ifndef SNAP_FOREIGN_H
#define SNAP_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "graph/graph.h"

struct snap_foreign {
    uintptr_t malloc; /* where its code is */
    unsigned glibc;   /* 36: it is glibc's 2.36; 0: another's */
    /* All blocks, with the sizes asked for, while all threads stand; of memory that holds nothing (os/noscan.h), which is the caller's.
     * False with memory out. */
    bool (*list)(void *arg, struct graph_block **block, size_t *count);
    void *arg;
};

/* Tells of each block: its verdict, and of a definite one the bytes that go with it. All threads have gone on by then. `sp`: the
 * caller's stack from here on counts, with the registers on it (base/here.h). False: memory is out, or threads could not be listed. */
typedef void snap_tell(void *arg, const void *block, uint64_t retains, unsigned verdict);
bool snap_foreign_verdicts(const struct snap_foreign *of, uintptr_t sp, snap_tell *tell, void *arg);

#endif
