/* core/range.h - what each piece of a dead process's memory was: fills image.range from the layers painted so far (core.h). */
#ifndef ALLOT_CORE_RANGE_H
#define ALLOT_CORE_RANGE_H

#include <stdbool.h>
#include <stdint.h>

/* An image_kind of our own, in no range: memory that holds nothing that counts. */
enum { CORE_DEAD = -1 };

struct core;
bool core_ranges_make(struct core *core); /* false: out of memory */
/* A thread's table of thread-local memory, to which a thread points by its middle: whether that is one, and holds it if it is. */
bool core_is_dtv(const struct core *core, uint64_t dtv);
bool core_hold_dtv(struct core *core, uint64_t dtv);

#endif
