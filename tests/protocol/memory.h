/* memory.h - what threads read and write. See memory.c. */
#ifndef PROTOCOL_MEMORY_H
#define PROTOCOL_MEMORY_H

#include "explore.h"

/* From here on all that is written is noted: memory_restore makes it as it was. */
void memory_watch(void);
void memory_begin(void); /* an execution */
void memory_restore(void);

/* The number of what an atomic operation of so many bytes is about; less than PLACES, in this execution. */
uint8_t memory_place(void *at, unsigned size);

/* How many values the thread may read in an operation, and doing it with one of them; 0 is the newest. Returns what was
 * read, or of a lock whether it was taken. */
unsigned memory_choices(unsigned thread, const struct op *op);
uint64_t memory_do(unsigned thread, const struct op *op, unsigned choice);
bool memory_is_locked(const struct op *op);

/* As the only thread that there is. */
uint64_t memory_do_alone(const struct op *op);

/* The thread sees the newest values of all places, as the child of a fork does. All else that others wrote, and it has not
 * heard of, they may have been in the middle of writing. */
void memory_see_newest(unsigned thread);

/* The running thread reads or writes without an atomic. */
void memory_touch(const void *at, size_t bytes, bool write);

#endif
