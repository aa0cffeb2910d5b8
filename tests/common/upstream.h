/* common/upstream.h - an allocator to fill a part from, which counts, may be told to fail, and hands out addresses that are aligned
 * to what was asked for and to no more. For programs of one file. */
#ifndef COMMON_UPSTREAM_H
#define COMMON_UPSTREAM_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include <allot/allocator.h>

struct upstream {
    size_t taken, given, live, bytes; /* blocks, and bytes of those that are live */
    size_t last;                      /* bytes that were asked for last */
    long fail_after;                  /* so many more are granted; negative: all */
    bool can_resize;                  /* up to `room` bytes more than a block was taken with */
    size_t room;
};

#define UPSTREAM_ODD 4096

static void *upstream_take(void *self, size_t size, size_t align)
{
    struct upstream *u = self;
    u->last = size;
    if (u->fail_after == 0 || size > (size_t)1 << 40) { /* sanitizers take more for a crime */
        errno = ENOMEM;
        return NULL;
    }
    u->fail_after -= u->fail_after > 0;
    size_t room = size + u->room, length = (room + 2 * UPSTREAM_ODD - 1) / UPSTREAM_ODD * UPSTREAM_ODD;
    char *p = align <= UPSTREAM_ODD ? aligned_alloc(UPSTREAM_ODD, length) : NULL;
    if (!p) {
        errno = ENOMEM;
        return NULL;
    }
    *(size_t *)p = room;
    u->taken++;
    u->live++;
    u->bytes += size;
    return p + align;
}

static bool upstream_resize(void *self, void *p, size_t old, size_t now, size_t align)
{
    struct upstream *u = self;
    if (!u->can_resize || now > *(size_t *)((char *)p - align)) {
        return false;
    }
    u->bytes += now - old;
    return true;
}

static void upstream_give(void *self, void *p, size_t size, size_t align)
{
    struct upstream *u = self;
    u->given++;
    u->live--;
    u->bytes -= size;
    free((char *)p - align);
}

static inline struct allot_allocator upstream_allocator(struct upstream *u)
{
    static const struct allot_allocator_ops ops = {upstream_take, upstream_resize, upstream_give};
    return (struct allot_allocator){&ops, u};
}

#endif
