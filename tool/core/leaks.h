/* core/leaks.h - what a dead process has lost, for leaks_print. */
#ifndef ALLOT_CORE_LEAKS_H
#define ALLOT_CORE_LEAKS_H

#include "core/dead.h"
#include "leaks_print.h"

/* Each lost block one by one, with the bytes of what it leads to; of the others their sums, or with `all` one by one as well. After
 * dead_mark. False: out of memory. */
bool dead_leaks(const struct dead *dead, struct leaks *leaks, bool all);

#endif
