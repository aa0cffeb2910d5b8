/* What the kernel says of a process. */
#ifndef ALLOT_TOOL_PROC_H
#define ALLOT_TOOL_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A small file of /proc/PID, as far as it fits in; what was read ends with 0. False: nothing was. */
bool proc_read(pid_t pid, const char *name, char *out, size_t size);

#endif
