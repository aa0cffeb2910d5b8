/* See vector.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pages/vector.h"
#include "scratch.h"

#define LEAST ((size_t)1 << 16) /* bytes */

static void *map(size_t bytes, int fd)
{
    int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    return mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
}

/* A file that long, with all its room reserved. */
static int spill(int fd, size_t bytes)
{
    if (fd < 0 && (fd = scratch_open(NULL)) < 0) {
        return -1;
    }
    int error = posix_fallocate(fd, 0, (off_t)bytes);
    if (error) {
        errno = error;
        return -1;
    }
    return fd;
}

bool vector_reserve(struct vector *v, size_t count)
{
    size_t old = v->room * sizeof *v->at, bytes = old ? old : LEAST;
    while (bytes / sizeof *v->at < count) {
        bytes *= 2;
    }
    if (bytes == old) {
        return true;
    }
    int fd = v->fd - 1;
    if (bytes > VECTOR_SPILL) {
        fd = spill(fd, bytes);
        if (fd < 0) {
            return false;
        }
    }
    bool moves = !v->at || fd + 1 != v->fd;
    void *at = moves ? map(bytes, fd) : mremap(v->at, old, bytes, MREMAP_MAYMOVE);
    if (at == MAP_FAILED) {
        if (fd + 1 != v->fd) {
            close(fd);
        }
        return false;
    }
    if (moves && v->at) {
        memcpy(at, v->at, old);
        munmap(v->at, old);
    }
    *v = (struct vector){.at = at, .count = v->count, .room = bytes / sizeof *v->at, .fd = fd + 1};
    return true;
}

void vector_end(struct vector *v)
{
    if (v->at) {
        munmap(v->at, v->room * sizeof *v->at);
    }
    if (v->fd) {
        close(v->fd - 1);
    }
    *v = (struct vector){0};
}
