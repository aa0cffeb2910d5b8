/* See proc.h. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "proc.h"

bool proc_read(pid_t pid, const char *name, char *out, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, size - 1);
    if (fd >= 0) {
        close(fd);
    }
    out[n > 0 ? n : 0] = 0;
    return n > 0;
}
