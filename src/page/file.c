/* page/file.c - a file as a store: pread and pwrite, their vector forms, and io_uring where there are many transfers (os/ring.h).
 *
 * A transfer that the system cuts short is gone on with; what is beyond the file's end is zeros. A page that is written beyond it
 * makes the file longer, holes in between. Interrupted calls are called again.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <allot/malloc.h>

#include "os/ring.h"
#include "page/pager.h"
#include "page/store.h"

enum { VECTOR = 64 };

struct file {
    int fd;
    bool has_ring;
    struct ring ring;
};

/* Where in a transfer we are: so many bytes of it are done. */
struct progress {
    void *const *at;
    size_t size, bytes, done;
    uint64_t offset; /* in the file, of its first byte */
};

static int vector_of(const struct progress *t, struct iovec vector[VECTOR])
{
    size_t done = t->done;
    int n = 0;
    for (; n < VECTOR && done < t->bytes; n++) {
        size_t in = done % t->size;
        vector[n] = (struct iovec){(char *)t->at[done / t->size] + in, t->size - in};
        done += t->size - in;
    }
    return n;
}

static void fill_with_zeros(struct progress *t)
{
    while (t->done < t->bytes) {
        size_t in = t->done % t->size;
        memset((char *)t->at[t->done / t->size] + in, 0, t->size - in);
        t->done += t->size - in;
    }
}

static ssize_t once(int fd, const struct progress *t, bool write)
{
    struct iovec vector[VECTOR];
    int n = vector_of(t, vector);
    off_t offset = (off_t)(t->offset + t->done);
    if (n == 1) {
        return write ? pwrite(fd, vector->iov_base, vector->iov_len, offset)
                     : pread(fd, vector->iov_base, vector->iov_len, offset);
    }
    return write ? pwritev(fd, vector, n, offset) : preadv(fd, vector, n, offset);
}

/* What a call has returned: 1: the transfer goes on, 0: it is done, or what is wrong. */
static int advance(struct progress *t, ssize_t result, bool write)
{
    if (result < 0) {
        return result == -EINTR || result == -EAGAIN ? 1 : (int)result;
    }
    if (result == 0 && write) {
        return -EIO;
    }
    t->done += (size_t)result;
    if (result == 0) {
        fill_with_zeros(t);
    }
    return t->done < t->bytes;
}

static int finish(int fd, struct progress *t, bool write)
{
    int more = 1;
    while (more > 0) {
        ssize_t n = once(fd, t, write);
        more = advance(t, n < 0 ? -errno : n, write);
    }
    return more;
}

static bool begin(struct progress *t, uint64_t page, size_t size, void *const *at, size_t count)
{
    *t = (struct progress){.at = at, .size = size, .bytes = size * count, .offset = page * size};
    return page <= (uint64_t)INT64_MAX / size - count;
}

static int transfer(struct file *f, uint64_t page, size_t size, void *const *at, size_t count, bool write)
{
    struct progress t;
    int saved = errno;
    int wrong = begin(&t, page, size, at, count) ? finish(f->fd, &t, write) : -EFBIG;
    errno = saved;
    return wrong;
}

static int file_read(void *self, uint64_t page, size_t size, void *const *into, size_t count)
{
    return transfer(self, page, size, into, count, false);
}

static int file_write(void *self, uint64_t page, size_t size, void *const *from, size_t count)
{
    return transfer(self, page, size, from, count, true);
}

static int file_sync(void *self)
{
    struct file *f = self;
    int saved = errno, wrong;
    do {
        wrong = fdatasync(f->fd) ? -errno : 0;
    } while (wrong == -EINTR);
    wrong = wrong == -EINVAL || wrong == -EROFS ? 0 : wrong; /* what has no disk under it */
    errno = saved;
    return wrong;
}

/* -- many -- */

static void one_by_one(struct file *f, struct allot_store_io *io, size_t count, size_t size, bool write)
{
    for (size_t i = 0; i < count; i++) {
        io[i].result = transfer(f, io[i].page, size, io[i].at, io[i].count, write);
    }
}

/* Whether the ring took them: as many as it holds at once. What it did in part is gone on with. */
static bool by_ring(struct file *f, struct allot_store_io *io, size_t count, size_t size, bool write)
{
    struct progress t[RING_SIZE];
    struct iovec vector[RING_SIZE][VECTOR];
    struct ring_io call[RING_SIZE];
    for (size_t i = 0; i < count; i++) {
        if (!begin(&t[i], io[i].page, size, io[i].at, io[i].count)) {
            return false;
        }
        call[i] = (struct ring_io){.fd = f->fd, .write = write, .vector = vector[i], .offset = t[i].offset};
        call[i].count = (unsigned)vector_of(&t[i], vector[i]);
    }
    if (!ring_run(&f->ring, call, count)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        int more = advance(&t[i], call[i].result, write);
        io[i].result = more > 0 ? finish(f->fd, &t[i], write) : more;
    }
    return true;
}

static void file_many(void *self, struct allot_store_io *io, size_t count, size_t size, bool write)
{
    struct file *f = self;
    int saved = errno;
    while (count > 0) {
        size_t n = size_min(count, RING_SIZE);
        if (n < 2 || !by_ring(f, io, n, size, write)) {
            one_by_one(f, io, n, size, write);
        }
        io += n;
        count -= n;
    }
    errno = saved;
}

/* -- begin and end -- */

int allot_store_file(struct allot_store *store, int fd, unsigned how)
{
    int saved = errno;
    struct file *f = allot_calloc(1, sizeof *f);
    *store = (struct allot_store){0};
    if (f) {
        f->fd = fd;
        f->has_ring = !(how & ALLOT_STORE_PLAIN) && ring_init(&f->ring);
        *store = (struct allot_store){file_read, file_write, file_sync, f->has_ring ? file_many : NULL, f};
    }
    errno = saved;
    return f ? 0 : -ENOMEM;
}

void store_file_done(struct allot_store *store)
{
    struct file *f = store->self;
    if (f->has_ring) {
        ring_done(&f->ring);
    }
    allot_free(f);
}

bool store_is_file(const struct allot_store *store) { return store->read == file_read; }
