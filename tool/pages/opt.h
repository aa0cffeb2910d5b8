/* pages/opt.h - Belady's optimum: of the pages that are there the one goes that is used again last, or never. (Belady, "A study of
 * replacement algorithms for a virtual-storage computer", 1966; that no policy misses less: Mattson et al. 1970)
 *
 * When each page is used next is known from a walk backwards, once for all sizes:
 *
 *     kept:   a  b  a  c  b            next[i]: the number of the next reference to the same page; of its last one n + page: never, and
 *     i:      0  1  2  3  4            all of these are different
 *     next:   2  4  5  7  6    n = 5
 *
 * The pages that are there are a set of such numbers, a bit each, with a bit above for each 64 of them, and so on: the largest is
 * found in as many steps as there are levels (4 for a million references), and so is a number put in or out. No heap, no search.
 * A page that is fetched always enters, as pagers do: no bypass.
 */
#ifndef ALLOT_PAGES_OPT_H
#define ALLOT_PAGES_OPT_H

#include <stdbool.h>
#include <stdint.h>

#include "pages/refs.h"

/* next[] as above; false with errno. */
bool opt_next(const struct refs *refs, struct vector *next);

enum { OPT_LEVELS = 6 };
struct opt {
    unsigned levels;
    uint64_t *level[OPT_LEVELS], *memory; /* level[0]: a bit for each number */
};

/* A set of numbers below `numbers`, empty; false: out of memory. */
bool opt_begin(struct opt *opt, uint64_t numbers);
void opt_end(struct opt *opt);

static inline void opt_put(struct opt *opt, uint32_t number)
{
    for (unsigned l = 0; l < opt->levels; l++, number /= 64) {
        uint64_t *word = &opt->level[l][number / 64], was = *word;
        *word = was | (uint64_t)1 << number % 64;
        if (was) {
            return;
        }
    }
}

static inline void opt_take(struct opt *opt, uint32_t number)
{
    for (unsigned l = 0; l < opt->levels; l++, number /= 64) {
        uint64_t *word = &opt->level[l][number / 64];
        *word &= ~((uint64_t)1 << number % 64);
        if (*word) {
            return;
        }
    }
}

/* The largest; there is one. */
static inline uint32_t opt_last(const struct opt *opt)
{
    uint32_t at = 0;
    for (unsigned l = opt->levels; l-- > 0;) {
        at = at * 64 + (63 - (uint32_t)__builtin_clzll(opt->level[l][at]));
    }
    return at;
}

#endif
