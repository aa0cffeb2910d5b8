/* replayer/walk.h - one thread's steps, done: calls of malloc, and a byte written to each page of what it gave. */
#ifndef ALLOT_REPLAYER_WALK_H
#define ALLOT_REPLAYER_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "replayer/order.h"

#define WALK_PAGE 4096 /* touched at this distance, which is a page or less anywhere */

/* What a walk is fed from: `steps` next ones of the thread, in a buffer of its own; 0: that was all. */
struct walk;
typedef uint32_t walk_refill(struct walk *walk, const struct step **steps);

struct walk {
    struct order *order;
    uint32_t number; /* of the thread, from 1 */
    enum replayer_mode mode;
    walk_refill *refill;
    void (*measure)(struct walk *walk); /* STEP_MEASURE of REPLAY_RESIDENT */
    void *arg;                          /* of who refills and measures */
    char *scratch;                      /* REPLAY_EMPTY: WALK_SCRATCH bytes, written to in place of blocks */

    uint32_t seen;       /* order_enter's */
    uint64_t began;      /* when the clock was started; 0: it stands */
    bool untimed;        /* between STEP_PAUSE and STEP_RESUME */
    uint64_t ns, pieces; /* of the thread's processor time, in pieces between waits */
    uint64_t refused;
};
#define WALK_SCRATCH ((uintptr_t)1 << 20) /* a cache has it */

/* Nanoseconds of processor time that this thread has had. */
uint64_t walk_clock(void);
void walk_do(struct walk *walk);

#endif
