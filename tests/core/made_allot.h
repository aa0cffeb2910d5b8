/* core/made_allot.h - an allot heap in a core made by hand (made.h), by its records alone: one large block, at MADE_MAPPED, whose stack
 * was kept. Of the layout that this is built with, so what is made is never kept as a file. */
#ifndef TESTS_CORE_MADE_ALLOT_H
#define TESTS_CORE_MADE_ALLOT_H

#include "core/made.h"

enum { MADE_SITE = 2 }; /* of the block: called from MADE_PC + 8, by what was called from MADE_PC */
#define MADE_PC (MADE_LIBC + 0x100)

/* Before made_end. */
void made_allot(struct made *made);

#endif
