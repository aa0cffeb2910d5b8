/* replayer/order.h - how threads that replay one trace keep its order, where it matters (script.h says where, and why that ends).
 *
 *   block:   p, handed to t2 --tell t5--> handed to t5       who has the block owns p; a hand-over is one release, one acquire
 *   epoch:   left: threads that have steps in it --leave--> 0
 *
 * A hand-over names its receiver: others may wait for the same block already, whose turn comes later. It need not be taken back: before
 * a thread waits for a block again it has itself told it to another.
 *
 * Who waits looks a few times and then sleeps on the word itself (futex); who changes a word looks whether anybody sleeps. Both by
 * sequentially consistent accesses: either the sleeper sees the change or the changer sees the sleeper.
 */
#ifndef ALLOT_REPLAYER_ORDER_H
#define ALLOT_REPLAYER_ORDER_H

#include <stdatomic.h>
#include <stdint.h>

#include "replayer/script.h"

struct block {
    void *p;                 /* whose step on the block is next */
    uint32_t pages;          /* that were touched, of 4096 bytes: the same */
    _Atomic uint32_t handed; /* to the thread of that number, from 1 */
};

struct order {
    struct block *block;
    _Atomic uint32_t *left; /* of each epoch */
    _Atomic uint32_t sleepers;
};

/* Threads are numbered from 1. Where there is something to wait for, `paused` is called before. */
void order_wait(struct order *order, struct block *block, uint32_t self, void (*paused)(void *arg), void *arg);
void order_tell(struct order *order, struct block *block, uint32_t thread);

/* Until all epochs before `before` are done. *seen: up to where this thread knows that they are; 0 at first. */
void order_enter(struct order *order, uint32_t before, uint32_t *seen, void (*paused)(void *arg), void *arg);
void order_leave(struct order *order, uint32_t epoch);

#endif
