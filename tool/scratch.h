/* Files for what does not fit in memory, or that another process is to read: without a name, gone with their descriptor. And a folder that
 * other processes write to. */
#ifndef ALLOT_TOOL_SCRATCH_H
#define ALLOT_TOOL_SCRATCH_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A new one in `folder`; NULL: in TMPDIR, else /var/tmp. -1 with errno. */
int scratch_open(const char *folder);

/* All of it, or an error: 0 or -errno. What is not there to be read is -EIO. */
int scratch_write(int fd, const void *from, size_t bytes, uint64_t at);
int scratch_read(int fd, void *to, size_t bytes, uint64_t at);

/* A new folder in TMPDIR, or in /tmp where that one's path cannot stand in ALLOT_OPTIONS: processes put there what they see of
 * themselves at their end. False with errno; `out` is what could not be made. */
bool scratch_folder(char out[PATH_MAX]);

#endif
