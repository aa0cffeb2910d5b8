/* See spool.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "replay/spool.h"
#include "scratch.h"

int spool_begin(struct spool *s)
{
    *s = (struct spool){.ops = -1, .times = -1};
    s->ops = scratch_open(NULL);
    s->times = s->ops < 0 ? -1 : scratch_open(NULL);
    int failed = s->times < 0 ? -errno : 0;
    if (failed) {
        spool_end(s);
    }
    return failed;
}

int spool_append(struct spool *s, const struct op *op, const uint64_t *time, uint32_t count)
{
    int failed = scratch_write(s->ops, op, count * sizeof *op, OPS_AT + s->count * sizeof *op);
    if (!failed && time) {
        failed = scratch_write(s->times, time, count * sizeof *time, s->count * sizeof *time);
    }
    s->count += failed ? 0 : count;
    return failed;
}

int spool_read(const struct spool *s, uint64_t from, struct op *op, uint64_t *time, uint32_t count)
{
    int failed = scratch_read(s->ops, op, count * sizeof *op, OPS_AT + from * sizeof *op);
    return failed || !time ? failed : scratch_read(s->times, time, count * sizeof *time, from * sizeof *time);
}

int spool_finish(struct spool *s, struct ops_head *head, int *fd)
{
    char buffer[1 << 16];
    memcpy(head->magic, OPS_MAGIC, sizeof head->magic);
    int failed = 0;
    for (uint64_t done = 0, all = head->times * sizeof(uint64_t); done < all && !failed;) {
        size_t bytes = all - done < sizeof buffer ? (size_t)(all - done) : sizeof buffer;
        failed = scratch_read(s->times, buffer, bytes, done);
        if (!failed) {
            failed = scratch_write(s->ops, buffer, bytes, OPS_AT + s->count * sizeof(struct op) + done);
        }
        done += bytes;
    }
    memset(buffer, 0, OPS_AT);
    memcpy(buffer, head, sizeof *head);
    if (!failed) {
        failed = scratch_write(s->ops, buffer, OPS_AT, 0);
    }
    if (!failed) {
        *fd = s->ops;
        s->ops = -1;
    }
    return failed;
}

void spool_end(struct spool *s)
{
    if (s->ops >= 0) {
        close(s->ops);
    }
    if (s->times >= 0) {
        close(s->times);
    }
    s->ops = s->times = -1;
}

/* -- the file, read -- */

static uint64_t file_bytes(const struct ops_head *head)
{
    return OPS_AT + head->count * sizeof(struct op) + head->times * sizeof(uint64_t);
}

int ops_open(int fd, struct ops *out)
{
    struct ops_head head;
    struct stat is;
    *out = (struct ops){.fd = -1};
    if (fstat(fd, &is) != 0) {
        return -errno;
    }
    if (is.st_size < OPS_AT || scratch_read(fd, &head, sizeof head, 0) != 0 ||
        memcmp(head.magic, OPS_MAGIC, sizeof head.magic) != 0 || head.count > UINT64_MAX / 64 ||
        (head.times && head.times != head.count) || file_bytes(&head) > (uint64_t)is.st_size) {
        return -EINVAL;
    }
    char *file = mmap(NULL, file_bytes(&head), PROT_READ, MAP_SHARED, fd, 0);
    if (file == MAP_FAILED) {
        return -errno;
    }
    *out = (struct ops){.op = (const struct op *)(file + OPS_AT),
                        .count = head.count,
                        .blocks = head.blocks,
                        .threads = head.threads,
                        .peak_live = head.peak_live,
                        .peak_at = head.peak_at,
                        .allocs = head.allocs,
                        .frees = head.frees,
                        .resizes = head.resizes,
                        .largest = head.largest,
                        .fd = fd};
    if (head.times) {
        out->time = (uint64_t *)(file + OPS_AT + head.count * sizeof(struct op));
    }
    return 0;
}

void ops_end(struct ops *ops)
{
    if (ops->op) {
        struct ops_head head = {.count = ops->count, .times = ops->time ? ops->count : 0};
        munmap((char *)(uintptr_t)ops->op - OPS_AT, file_bytes(&head));
        close(ops->fd);
    }
    *ops = (struct ops){.fd = -1};
}

int ops_make(const struct op *op, const uint64_t *time, uint64_t count, struct ops *out)
{
    struct spool spool;
    struct ops_head head = {.count = count, .times = time ? count : 0};
    uint64_t live = 0;
    uint64_t *size = NULL;
    int fd = -1, failed = spool_begin(&spool);
    for (uint64_t i = 0; i < count; i++) {
        head.blocks = op[i].block >= head.blocks ? op[i].block + 1u : head.blocks;
        head.threads = op[i].thread >= head.threads ? op[i].thread + 1u : head.threads;
    }
    if (!failed && head.blocks && !(size = calloc(head.blocks, sizeof *size))) {
        failed = -ENOMEM;
    }
    for (uint64_t i = 0; i < count && !failed; i++) {
        bool ends = op[i].kind == OP_FREE || op[i].kind == OP_LEFT;
        live -= size[op[i].block];
        size[op[i].block] = ends ? 0 : op[i].size;
        live += size[op[i].block];
        head.allocs += op[i].kind == OP_ALLOC;
        head.frees += op[i].kind == OP_FREE;
        head.resizes += op[i].kind == OP_RESIZE;
        head.largest = size[op[i].block] > head.largest ? size[op[i].block] : head.largest;
        if (live > head.peak_live) {
            head.peak_live = live;
            head.peak_at = i;
        }
    }
    for (uint64_t i = 0; i < count && !failed; i += 4096) {
        uint32_t n = count - i < 4096 ? (uint32_t)(count - i) : 4096;
        failed = spool_append(&spool, op + i, time ? time + i : NULL, n);
    }
    if (!failed) {
        failed = spool_finish(&spool, &head, &fd);
    }
    if (!failed && (failed = ops_open(fd, out))) {
        close(fd);
    }
    free(size);
    spool_end(&spool);
    return failed;
}
