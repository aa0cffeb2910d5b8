/* heap/checks.c - see heap/checks.h. A check costs about as much as there is, so the next one waits for as many calls. */
#include "heap/checks.h"

#ifdef ALLOT_CHECKS

#include "span/large.h"
#include "span/run.h"
#include "span/segment.h"

#define EVERY 256

/* Of the calling thread. */
static __thread size_t refills, bigs, refills_due = EVERY, bigs_due = EVERY;

/* The caller may use the heap. */
void checks_refill(const struct heap *h)
{
    if (++refills >= refills_due) {
        refills_due = refills + EVERY + heap_check(h) * 8;
    }
}

/* With no lock held. */
void checks_big(void)
{
    if (++bigs >= bigs_due) {
        segments_check();
        runs_check();
        large_check();
        bigs_due = bigs + EVERY + segments_count() * 8;
    }
}

__attribute__((destructor)) static void at_exit(void)
{
    if (front.heap) {
        heap_check(front.heap);
        segments_check();
        runs_check();
        large_check();
    }
}

#endif
