/* replayer/walk.c - see walk.h.
 *
 * A walk is compiled twice: with calls, and empty, where a block is a place in a scratch area that is warm. What the first takes above the
 * second is what calls cost, and what follows from where and how they placed blocks: the page faults and cache misses
 * of the first touch. Clocks are read where a thread begins, ends, waits for another or is fed, not around calls.
 */
#include <stdlib.h>
#include <time.h>

#include "replayer/walk.h"

#define AHEAD 8 /* steps: their blocks' words are on their way */

uint64_t walk_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void stop_clock(void *arg)
{
    struct walk *walk = arg;
    if (walk->began) {
        walk->ns += walk_clock() - walk->began;
        walk->pieces++;
        walk->began = 0;
    }
}

static void start_clock(struct walk *walk)
{
    if (!walk->untimed && !walk->began) {
        walk->began = walk_clock();
    }
}

static inline void touch(char *p, uint64_t from, uint64_t size, uintptr_t base, uintptr_t mask)
{
    for (uint64_t at = from; at < size; at += WALK_PAGE) {
        *(volatile char *)(base + (((uintptr_t)p + at) & mask)) = 0;
    }
}

static inline uint32_t pages_of(uint64_t size)
{
    uint64_t pages = (size + WALK_PAGE - 1) / WALK_PAGE;
    return pages < UINT32_MAX ? (uint32_t)pages : UINT32_MAX;
}

static void *allocate(const struct step *s)
{
    void *p;
    if (s->align == 0) {
        return malloc(s->size);
    }
    size_t align = (size_t)1 << s->align;
    return posix_memalign(&p, align < sizeof(void *) ? sizeof(void *) : align, s->size) == 0 ? p : NULL;
}

static inline __attribute__((always_inline)) void step(struct walk *walk, const struct step *s, struct block *block,
                                                       bool empty)
{
    uintptr_t base = empty ? (uintptr_t)walk->scratch : 0, mask = empty ? WALK_SCRATCH - 1 : UINTPTR_MAX;
    char *p;
    switch (s->kind) {
    case STEP_ALLOC:
        p = empty ? (char *)((uintptr_t)s->block * 64) : allocate(s);
        block->p = p;
        block->pages = 0;
        if (empty || p) {
            touch(p, 0, s->size, base, mask);
            block->pages = pages_of(s->size);
        } else {
            walk->refused += s->size > 0;
        }
        break;
    case STEP_FREE:
        if (!empty) {
            free(block->p);
        }
        break;
    case STEP_RESIZE:
        p = empty ? block->p : realloc(block->p, s->size ? s->size : 1);
        if (empty || p) {
            touch(p, (uint64_t)block->pages * WALK_PAGE, s->size, base, mask);
            block->p = p;
            block->pages = pages_of(s->size);
        } else {
            walk->refused++;
        }
        break;
    case STEP_MEASURE:
        if (walk->mode == REPLAY_RESIDENT) {
            walk->measure(walk);
        }
        break;
    case STEP_PAUSE:
        stop_clock(walk);
        walk->untimed = true;
        break;
    default:
        walk->untimed = false;
        start_clock(walk);
    }
}

static inline __attribute__((always_inline)) void walk_some(struct walk *walk, const struct step *s, uint32_t count,
                                                            bool empty)
{
    struct order *order = walk->order;
    for (uint32_t i = 0; i < count; i++, s++) {
        struct block *block = &order->block[s->block];
        __builtin_prefetch(&order->block[i + AHEAD < count ? s[AHEAD].block : 0]);
        if (s->enter) {
            order_enter(order, s->alone || s->epoch == 0 ? s->epoch : s->epoch - 1, &walk->seen, stop_clock, walk);
        }
        if (s->wait) {
            order_wait(order, block, walk->number, stop_clock, walk);
        }
        if (s->enter | s->wait) {
            start_clock(walk);
        }
        step(walk, s, block, empty);
        if (s->tell) {
            order_tell(order, block, (uint32_t)s->tell);
        }
        if (s->leave) {
            order_leave(order, s->epoch);
        }
    }
}

void walk_do(struct walk *walk)
{
    const struct step *s;
    for (uint32_t count; (count = walk->refill(walk, &s)) > 0;) {
        start_clock(walk);
        if (walk->mode == REPLAY_EMPTY) {
            walk_some(walk, s, count, true);
        } else {
            walk_some(walk, s, count, false);
        }
        stop_clock(walk);
    }
}
