/* Files for what does not fit in memory, or that another process is to read: without a name, gone with their descriptor. */
#ifndef ALLOT_TOOL_SCRATCH_H
#define ALLOT_TOOL_SCRATCH_H

#include <stddef.h>
#include <stdint.h>

/* A new one in `folder`; NULL: in TMPDIR, else /var/tmp. -1 with errno. */
int scratch_open(const char *folder);

/* All of it, or an error: 0 or -errno. What is not there to be read is -EIO. */
int scratch_write(int fd, const void *from, size_t bytes, uint64_t at);
int scratch_read(int fd, void *to, size_t bytes, uint64_t at);

#endif
