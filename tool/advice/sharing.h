/* advice/sharing.h - lines of the cache that hold live blocks of different threads: where two processors write, they take it from each other.
 *
 *   64 bytes:   [ block of thread 1 | block of thread 2 |   ]     shared, from the second's allocation to the first free of the two
 *
 * Counted by addresses as the trace has them: blocks that are made into such a line, and how many such lines there are at once. A second count
 * has some places' blocks in pools of each thread, whose slabs are one thread's alone: these lie in no shared line any more.
 *
 * Whether both threads write to them is not in a trace. Bound: two tables (verdict/table.h); traces with more blocks at once are not counted.
 */
#ifndef ALLOT_ADVICE_SHARING_H
#define ALLOT_ADVICE_SHARING_H

#include "verdict/stacks.h"

struct sharing {
    uint64_t blocks; /* that were made into a line with a live one of another thread */
    uint64_t lines;  /* such lines at once, at most */
    uint64_t *of;    /* of those blocks, by place: look->groups and one; ended with free() */
    uint64_t all;    /* blocks in all */
};

/* `elsewhere`: places whose blocks are each thread's own. 1; 0: the trace has no addresses, is no file, or has too many blocks; -1: no memory, or
 * it cannot be read again. */
int sharing_count(const struct look *look, const struct stacks *stacks, const uint32_t *elsewhere, unsigned places,
                  struct sharing *out, struct trace_error *error);

#endif
