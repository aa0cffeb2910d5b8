/* core/range.h - what each piece of a dead process's memory was: fills image.range from the layers painted so far (core.h). */
#ifndef ALLOT_CORE_RANGE_H
#define ALLOT_CORE_RANGE_H

#include <stdbool.h>

struct core;
bool core_ranges_make(struct core *core); /* false: out of memory */

#endif
