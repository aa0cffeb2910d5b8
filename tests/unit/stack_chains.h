/* unit/stack_chains.h - calls of known functions, in an order that a seed chooses, to where a stack is looked at. Compiled once
 * without frame pointers and once with them.
 */
#ifndef STACK_CHAINS_H
#define STACK_CHAINS_H

#include <stdint.h>

/* What a call returns to, as its callee saw it; NULL: somebody else's functions are in between. */
enum { TRAIL_MOST = 256 };
struct trail {
    void *returns[TRAIL_MOST];
    unsigned depth;
    unsigned left; /* calls to go */
    uint64_t seed;
    void (*end)(struct trail *trail);
};

void chain_without_frame_pointers(struct trail *trail);
void chain_with_frame_pointers(struct trail *trail);

/* As its first act a function on the trail says what it returns to. */
#if defined(__aarch64__)
#define TRAIL_ENTER(trail) \
    ((trail)->returns[(trail)->depth++] = __builtin_extract_return_addr(__builtin_return_address(0)))
#else
#define TRAIL_ENTER(trail) ((trail)->returns[(trail)->depth++] = __builtin_return_address(0))
#endif

/* And as its last, which keeps its call from being its end. */
#define TRAIL_LEAVE(trail) ((trail)->depth--)

#endif
