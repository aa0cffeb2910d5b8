/* unit/stack_chains.c - see unit/stack_chains.h. CHAIN is the name under which this compilation of it is known. */
#include "unit/stack_chains.h"

#include <stdlib.h>
#include <string.h>

#include "common/check.h"

#define KEEP(p)  __asm__ volatile("" : : "r"(p) : "memory")
#define FRAME    __attribute__((noinline)) static
#define ENTER(t) TRAIL_ENTER(t)
#define LEAVE(t) TRAIL_LEAVE(t)

static void next(struct trail *trail);

FRAME void plain(struct trail *trail)
{
    ENTER(trail);
    next(trail);
    LEAVE(trail);
}

/* As many values live across the call as there are registers for, and more. */
FRAME void busy(struct trail *trail)
{
    ENTER(trail);
    size_t a = opaque(1), b = opaque(2), c = opaque(3), d = opaque(4), e = opaque(5), f = opaque(6), g = opaque(7);
    next(trail);
    CHECK(opaque(a) + opaque(b) + opaque(c) + opaque(d) + opaque(e) + opaque(f) + opaque(g) == 28);
    LEAVE(trail);
}

FRAME void large(struct trail *trail)
{
    ENTER(trail);
    char page[9000];
    KEEP(page);
    next(trail);
    KEEP(page);
    LEAVE(trail);
}

/* As large as is known only when it runs. */
FRAME void growing(struct trail *trail)
{
    ENTER(trail);
    char bytes[random_below(&trail->seed, 3000) + 1];
    KEEP(bytes);
    next(trail);
    KEEP(bytes);
    LEAVE(trail);
}

FRAME void aligned(struct trail *trail)
{
    ENTER(trail);
    _Alignas(64) char bytes[64];
    KEEP(bytes);
    next(trail);
    KEEP(bytes);
    LEAVE(trail);
}

FRAME void aligned_and_growing(struct trail *trail)
{
    ENTER(trail);
    _Alignas(128) char bytes[128];
    char more[random_below(&trail->seed, 500) + 1];
    KEEP(bytes);
    KEEP(more);
    next(trail);
    KEEP(bytes);
    KEEP(more);
    LEAVE(trail);
}

/* Arguments on the stack. */
FRAME size_t many(struct trail *trail, size_t b, size_t c, size_t d, size_t e, size_t f, size_t g, size_t h, size_t i)
{
    ENTER(trail);
    next(trail);
    LEAVE(trail);
    return b + c + d + e + f + g + h + i;
}

FRAME void calls_many(struct trail *trail)
{
    ENTER(trail);
    CHECK(many(trail, opaque(1), 2, 3, 4, 5, 6, 7, opaque(8)) == 36);
    LEAVE(trail);
}

/* Through a function of libc's: its frames are nobody's here. */
static __thread struct trail *through;

FRAME int compare(const void *a, const void *b)
{
    struct trail *trail = through;
    if (trail) {
        through = NULL;
        trail->returns[trail->depth++] = NULL;
        next(trail);
        LEAVE(trail);
    }
    return *(const char *)a - *(const char *)b;
}

FRAME void sorts(struct trail *trail)
{
    ENTER(trail);
    char letters[] = "unsorted";
    through = trail;
    qsort(letters, sizeof letters - 1, 1, compare);
    LEAVE(trail);
}

FRAME void searches(struct trail *trail)
{
    ENTER(trail);
    char letters[] = "aceg";
    through = trail;
    KEEP(bsearch("g", letters, sizeof letters - 1, 1, compare));
    LEAVE(trail);
}

__attribute__((noinline)) static void next(struct trail *trail)
{
    ENTER(trail);
    if (trail->left == 0 || trail->depth >= TRAIL_MOST - 8) {
        trail->end(trail);
    } else {
        static void (*const kinds[])(struct trail *) = {
            plain, busy, large, growing, aligned, aligned_and_growing, calls_many, sorts, searches};
        trail->left--;
        kinds[random_below(&trail->seed, sizeof kinds / sizeof kinds[0])](trail);
    }
    LEAVE(trail);
}

void CHAIN(struct trail *trail)
{
    ENTER(trail);
    next(trail);
    LEAVE(trail);
}
