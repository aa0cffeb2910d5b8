/* Writing a result beside its final name, then renaming it there. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "outfile.h"

/* Where the result of that name goes, and how. */
struct place {
    char path[PATH_MAX]; /* with symbolic links followed */
    bool rename;
    mode_t mode; /* of the new file, when renaming: the old one's */
};

static int find_place(const char *path, struct place *out)
{
    struct stat st;
    mode_t mask = umask(0);

    umask(mask);
    out->rename = true;
    out->mode = 0666 & ~mask;
    if ((size_t)snprintf(out->path, sizeof out->path, "%s", path) >= sizeof out->path) {
        return -ENAMETOOLONG;
    }
    if (stat(path, &st) != 0) {
        return errno == ENOENT && path[0] ? 0 : -errno;
    }
    if (S_ISDIR(st.st_mode)) {
        return -EISDIR;
    }
    /* /dev/stdout may lead to an ordinary file that others write too: never rename over that. */
    if (!S_ISREG(st.st_mode) || strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/proc/", 6) == 0) {
        out->rename = false;
    } else if (!realpath(path, out->path)) {
        return -errno;
    } else {
        out->mode = st.st_mode & 07777;
    }
    return 0;
}

int outfile_check(const char *path)
{
    struct place place;
    int error = find_place(path, &place);

    if (error) {
        return error;
    }
    if (!place.rename) {
        return access(place.path, W_OK) == 0 ? 0 : -errno;
    }
    char *slash = strrchr(place.path, '/');
    if (slash) {
        slash[slash == place.path] = '\0';
    }
    return access(slash ? place.path : ".", W_OK | X_OK) == 0 ? 0 : -errno;
}

int copy_whole(int from, int to)
{
    char bytes[16384];
    ssize_t length;

    for (off_t at = 0; (length = pread(from, bytes, sizeof bytes, at)) > 0; at += length) {
        for (ssize_t done = 0; done < length;) {
            ssize_t written = write(to, bytes + done, length - done);
            if (written >= 0) {
                done += written;
            } else if (errno == EAGAIN) {
                poll(&(struct pollfd){.fd = to, .events = POLLOUT}, 1, -1);
            } else if (errno != EINTR) {
                return -errno;
            }
        }
    }
    return length < 0 ? -errno : 0;
}

int outfile_write(const char *path, int from)
{
    struct place place;
    char beside[PATH_MAX + 8];
    int error = find_place(path, &place);

    if (error) {
        return error;
    }
    snprintf(beside, sizeof beside, "%s.XXXXXX", place.path);
    int to = place.rename ? mkostemp(beside, O_CLOEXEC) : open(place.path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY);
    if (to < 0) {
        return -errno;
    }
    error = copy_whole(from, to);
    if (!error && place.rename && fchmod(to, place.mode) != 0) {
        error = -errno;
    }
    if (close(to) != 0 && !error) {
        error = -errno;
    }
    if (place.rename) {
        if (!error && rename(beside, place.path) != 0) {
            error = -errno;
        }
        if (error) {
            unlink(beside);
        }
    }
    return error;
}
