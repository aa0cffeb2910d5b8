/* common/random.h - the same sequence for the same seed. (Marsaglia, xorshift64*, 2003; Vigna, 2016.) */
#ifndef COMMON_RANDOM_H
#define COMMON_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state; /* not 0 */
};

static inline uint64_t random_next(struct random *r)
{
    r->state ^= r->state >> 12;
    r->state ^= r->state << 25;
    r->state ^= r->state >> 27;
    return r->state * 0x2545f4914f6cdd1d;
}

/* 0 <= result < n. */
static inline uint64_t random_below(struct random *r, uint64_t n) { return (random_next(r) >> 11) % n; }

#endif
