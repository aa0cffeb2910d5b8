/* os/ring.h - several reads and writes of files at once, by one call of the system (io_uring), where it has it and lets us.
 *
 *   one_batch:  vector, vector, ... --> submission ring --enter: all of them, until all are done--> completion ring --> results
 *
 * Nothing is under way between two calls. One thread at a time; another one is told to do without.
 */
#ifndef OS_RING_H
#define OS_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "os/lock.h"

enum { RING_SIZE = 32 };

struct ring {
    struct os_lock lock;
    int fd;
    char *rings, *entries; /* mappings */
    size_t rings_bytes, entries_bytes;
    _Atomic uint32_t *head, *tail; /* of submissions: the kernel's, and ours; */
    uint32_t *index, mask;
    _Atomic uint32_t *done_head, *done_tail; /* and of completions */
    uint32_t done_mask;
    void *done;
};

/* Whether there is one. errno may change, here and below. */
bool ring_init(struct ring *ring);
void ring_done(struct ring *ring);

struct ring_io {
    int fd;
    bool write;
    const struct iovec *vector;
    unsigned count;
    uint64_t offset;
    long result; /* out: bytes, or -errno; -EAGAIN for what was not begun */
};

/* Up to RING_SIZE. False: another thread is about it, and nothing was done. */
bool ring_run(struct ring *ring, struct ring_io *io, size_t count);

#endif
