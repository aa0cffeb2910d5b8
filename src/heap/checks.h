/* heap/checks.h - a build that proves its equations as it goes (ALLOT_CHECKS, the debug preset): a slab's when it is released, a
 * heap's every so many refills and when its thread ends, those of the page heap every so many big blocks. What is
 * broken faults there, near to where it broke. Other builds have nothing of it. */
#ifndef HEAP_CHECKS_H
#define HEAP_CHECKS_H

#include "heap/heap.h"

#ifdef ALLOT_CHECKS

void checks_refill(const struct heap *h);
void checks_big(void);
#define CHECKS_ARE_ON 1

#else

static inline void checks_refill(const struct heap *h) { (void)h; }
static inline void checks_big(void) {}
#define CHECKS_ARE_ON 0

#endif

#endif
