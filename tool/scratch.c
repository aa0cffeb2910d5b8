/* See scratch.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "scratch.h"

int scratch_open(const char *folder)
{
    if (!folder) {
        folder = getenv("TMPDIR");
    }
    if (!folder || !*folder) {
        folder = "/var/tmp";
    }
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
        char path[4096];
        if ((size_t)snprintf(path, sizeof path, "%s/allot.XXXXXX", folder) >= sizeof path) {
            errno = ENAMETOOLONG;
        } else if ((fd = mkostemp(path, O_CLOEXEC)) >= 0) {
            unlink(path);
        }
    }
    return fd;
}

/* A comma ends an option, %p is a process's number there, and a process may work elsewhere. */
bool scratch_folder(char out[PATH_MAX])
{
    enum { MOST = 200 }; /* of the 255 bytes that there may be */
    const char *base = getenv("TMPDIR");
    char whole[PATH_MAX];
    bool fits = base && realpath(base, whole) && strlen(whole) <= MOST && !strpbrk(whole, ",%");
    snprintf(out, PATH_MAX, "%.*s/allot-leaks-XXXXXX", MOST, fits ? whole : "/tmp");
    return mkdtemp(out);
}

int scratch_write(int fd, const void *from, size_t bytes, uint64_t at)
{
    for (const char *p = from; bytes > 0;) {
        ssize_t written = pwrite(fd, p, bytes, (off_t)at);
        if (written < 0 && errno != EINTR) {
            return -errno;
        }
        if (written > 0) {
            p += written;
            at += (uint64_t)written;
            bytes -= (size_t)written;
        }
    }
    return 0;
}

int scratch_read(int fd, void *to, size_t bytes, uint64_t at)
{
    for (char *p = to; bytes > 0;) {
        ssize_t got = pread(fd, p, bytes, (off_t)at);
        if (got == 0 || (got < 0 && errno != EINTR)) {
            return got ? -errno : -EIO;
        }
        if (got > 0) {
            p += got;
            at += (uint64_t)got;
            bytes -= (size_t)got;
        }
    }
    return 0;
}
