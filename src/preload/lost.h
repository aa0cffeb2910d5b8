/* preload/lost.h - at the end of a program on another malloc, whose blocks are listed (preload/blocks.h): a recorder is told who points to
 * them (snap/foreign.h). */
#ifndef PRELOAD_LOST_H
#define PRELOAD_LOST_H

#include "probe/record.h"

/* `sp`: the stack from here on counts (base/here.h). Not inlined: the caller's registers lie there. */
void lost_tell(struct recorder *r, uintptr_t other_malloc, uintptr_t sp) __attribute__((noinline));

#endif
