/* os/cgroup.h - the memory that the process's control group allows it. */
#ifndef OS_CGROUP_H
#define OS_CGROUP_H

#include <stddef.h>

/* Where the system says what groups the process is in, and where their files are; both are longer than a test would like. */
#define OS_CGROUP_SELF "/proc/self/cgroup"
#define OS_CGROUP_ROOT "/sys/fs/cgroup"

/* The least of memory.high and memory.max of the process's group and of all above it (version 2), or of memory.limit_in_bytes
 * (version 1), in bytes; SIZE_MAX when nothing limits it or nothing can be known. A few system calls for each level; no
 * cancellation point, and nothing is allocated. */
size_t os_cgroup_limit(const char *self, const char *root);

#endif
