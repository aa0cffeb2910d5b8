/* advice/try.h - ops replayed with some places' blocks elsewhere, beside the model that stands for malloc.
 *
 *   op --> is it one of theirs?  --no-->  base: the model, as it was
 *                 | yes
 *                 +-- arena, cache, temporary   a part (advice/part.h)
 *                 +-- pool                      the model `pool`, those of the wanted size
 *                 +-- lifetime                  a second one of the base model
 *                 +-- realloc                   the base, with room for half as much again whenever a block has to grow
 *
 *   held = base's + the other's, after each op; calls = base's + those that the other leaves
 *
 * A block stays where it began, but that one which grows out of a pool moves to the base. The base alone is tried once, and all else is held
 * against it. Bound: 33 bytes a block number, and what two models take; one pass over the ops.
 */
#ifndef ALLOT_ADVICE_TRY_H
#define ALLOT_ADVICE_TRY_H

#include "advice/find.h"
#include "replay/replay.h"

struct tried {
    uint64_t peak_held, peak_op; /* bytes, and after which op */
    uint64_t calls;              /* of malloc, free and realloc; not those for what was left at the end */
    uint64_t moved;              /* blocks that went elsewhere */
    uint64_t their_frees;        /* calls of free for those */
    uint64_t their_resizes;      /* of realloc, that were still made */
    uint64_t op[REPLAY_MOMENTS], live[REPLAY_MOMENTS],
        held[REPLAY_MOMENTS]; /* at equal distances, but not at a process's end */
    uint32_t moments;
};

/* `candidate` NULL: the base alone. 1; 0: something was refused, or there is no such model: nothing is known; -1: no memory. */
int try_it(const struct ops *ops, const struct stacks *stacks, const char *base, const struct candidate *candidate,
           struct tried *out);

#endif
