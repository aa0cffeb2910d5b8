/* advice/find.h - which places' blocks could do better elsewhere: candidates, each of which has yet to be tried.
 *
 *   of each place, in one pass over the ops:
 *       bursts    live blocks rise, and fall to a sixteenth:  /\  /\    together: those still live when the burst's last one was made
 *       sizes     the eight most frequent, by Misra and Gries: none of a ninth of all is missed
 *       turnover  allocations for each block that lived at once; lives, in ops
 *       mates     a block made within 2 ops of another by the same thread, and freed beside it: an object of several blocks
 *
 * A place is for an arena when nine of ten blocks are in bursts, nine of ten of those die after the last was made, and no more than one of
 * a hundred stays; places whose bursts end at the same ops share one. Bound: 32 bytes a block number, 600 a place.
 */
#ifndef ALLOT_ADVICE_FIND_H
#define ALLOT_ADVICE_FIND_H

#include "advice/advice.h"
#include "verdict/stacks.h"

struct candidate {
    enum advice_kind kind; /* any but ADVICE_STRATEGY and ADVICE_SHARING */
    uint32_t group[ADVICE_SITES], groups;
    uint64_t size;   /* of a pool's blocks */
    uint64_t blocks; /* made at those places */
    uint64_t bursts; /* of an arena */
    uint64_t most;   /* that lived at once, at the first place */
};

/* At most ADVICE_TRIED, those of most blocks of each kind: how many; -1: no memory. */
int find_candidates(const struct look *look, const struct ops *ops, const struct stacks *stacks, struct candidate *out);

#endif
