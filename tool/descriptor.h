/* The descriptor of allot's heap in a process that runs (heap/describe.h), found in its memory: where it may be asked for things, without
 * ptrace and without stopping it. */
#ifndef ALLOT_TOOL_DESCRIPTOR_H
#define ALLOT_TOOL_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "heap/describe.h"

/* Of the copy of the library that is the process's heap; `memory` is /proc/PID/mem. 0: it has none of this version; *other: but it has one
 * of another; errno other than 0: it cannot be told. */
uint64_t descriptor_find(pid_t pid, int memory, bool *other);

bool descriptor_read(int memory, void *out, size_t bytes, uint64_t at);

/* Asks for a snapshot, to be written to that path; NULL: for a look at the control page. 0 or -errno; *number is what the answer will be. */
int descriptor_ask(int memory, uint64_t desc, const char *path, uint16_t *number);
/* Of a snapshot, or of the page. 1: answered, with *error; 0: not yet; -1: the process is gone. */
int descriptor_answer(int memory, uint64_t desc, bool page, uint16_t number, int *error);

#endif
