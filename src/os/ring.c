/* os/ring.c - see os/ring.h. By raw system calls, as there is no library that every system has. (Axboe, "Efficient IO with
 * io_uring", 2019.) */
#define _GNU_SOURCE
#include "os/ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#if __has_include(<linux/io_uring.h>) && defined(SYS_io_uring_setup)
#include <linux/io_uring.h>

static bool map_rings(struct ring *ring, const struct io_uring_params *of)
{
    size_t submissions = of->sq_off.array + of->sq_entries * sizeof(uint32_t);
    size_t completions = of->cq_off.cqes + of->cq_entries * sizeof(struct io_uring_cqe);
    ring->rings_bytes = submissions > completions ? submissions : completions;
    ring->entries_bytes = of->sq_entries * sizeof(struct io_uring_sqe);
    enum { PROTECTION = PROT_READ | PROT_WRITE, FLAGS = MAP_SHARED | MAP_POPULATE };
    ring->rings = mmap(NULL, ring->rings_bytes, PROTECTION, FLAGS, ring->fd, IORING_OFF_SQ_RING);
    if (ring->rings == MAP_FAILED) {
        return false;
    }
    ring->entries = mmap(NULL, ring->entries_bytes, PROTECTION, FLAGS, ring->fd, IORING_OFF_SQES);
    if (ring->entries == MAP_FAILED) {
        munmap(ring->rings, ring->rings_bytes);
        return false;
    }
    ring->head = (_Atomic uint32_t *)(ring->rings + of->sq_off.head);
    ring->tail = (_Atomic uint32_t *)(ring->rings + of->sq_off.tail);
    ring->index = (uint32_t *)(ring->rings + of->sq_off.array);
    ring->mask = *(uint32_t *)(ring->rings + of->sq_off.ring_mask);
    ring->done_head = (_Atomic uint32_t *)(ring->rings + of->cq_off.head);
    ring->done_tail = (_Atomic uint32_t *)(ring->rings + of->cq_off.tail);
    ring->done_mask = *(uint32_t *)(ring->rings + of->cq_off.ring_mask);
    ring->done = ring->rings + of->cq_off.cqes;
    return true;
}

bool ring_init(struct ring *ring)
{
    struct io_uring_params params = {0};
    *ring = (struct ring){.fd = (int)syscall(SYS_io_uring_setup, RING_SIZE, &params)};
    if (ring->fd < 0) {
        return false;
    }
    if (!(params.features & IORING_FEAT_SINGLE_MMAP) || !map_rings(ring, &params)) {
        close(ring->fd);
        return false;
    }
    return true;
}

void ring_done(struct ring *ring)
{
    munmap(ring->entries, ring->entries_bytes);
    munmap(ring->rings, ring->rings_bytes);
    close(ring->fd);
}

static void submit(struct ring *ring, struct ring_io *io, size_t count)
{
    uint32_t tail = atomic_load_explicit(ring->tail, memory_order_relaxed);
    for (size_t i = 0; i < count; i++, tail++) {
        struct io_uring_sqe *entry = (struct io_uring_sqe *)ring->entries + (tail & ring->mask);
        memset(entry, 0, sizeof *entry);
        entry->opcode = io[i].write ? IORING_OP_WRITEV : IORING_OP_READV;
        entry->fd = io[i].fd;
        entry->off = io[i].offset;
        entry->addr = (uintptr_t)io[i].vector;
        entry->len = io[i].count;
        entry->user_data = i;
        ring->index[tail & ring->mask] = tail & ring->mask;
        io[i].result = -EAGAIN;
    }
    atomic_store_explicit(ring->tail, tail, memory_order_release);
}

static size_t collect(struct ring *ring, struct ring_io *io)
{
    uint32_t head = atomic_load_explicit(ring->done_head, memory_order_relaxed);
    uint32_t tail = atomic_load_explicit(ring->done_tail, memory_order_acquire);
    size_t count = tail - head;
    for (; head != tail; head++) {
        const struct io_uring_cqe *done = (const struct io_uring_cqe *)ring->done + (head & ring->done_mask);
        io[done->user_data].result = done->res;
    }
    atomic_store_explicit(ring->done_head, head, memory_order_release);
    return count;
}

/* What the kernel has taken is waited for, whatever goes wrong, as it reads and writes the caller's memory. */
static void run(struct ring *ring, struct ring_io *io, size_t count)
{
    submit(ring, io, count);
    size_t taken = 0, done = 0;
    bool refused = false;
    while (done < taken || (taken < count && !refused)) {
        size_t more = refused ? 0 : count - taken;
        long n = syscall(SYS_io_uring_enter, ring->fd, more, more + taken - done, IORING_ENTER_GETEVENTS, NULL, 0);
        if (n >= 0) {
            taken += (size_t)n;
        } else if (errno != EINTR) {
            refused = true;
        }
        done += collect(ring, io);
    }
    atomic_store_explicit(ring->tail, atomic_load_explicit(ring->head, memory_order_acquire), memory_order_release);
}

bool ring_run(struct ring *ring, struct ring_io *io, size_t count)
{
    if (!os_try_lock(&ring->lock)) {
        return false;
    }
    run(ring, io, count);
    os_unlock(&ring->lock);
    return true;
}

#else

bool ring_init(struct ring *ring)
{
    (void)ring;
    return false;
}

void ring_done(struct ring *ring) { (void)ring; }

bool ring_run(struct ring *ring, struct ring_io *io, size_t count)
{
    (void)ring, (void)io, (void)count;
    return false;
}

#endif
