/* adapters/ration.h - an allot_allocator that counts what goes through it, and fails when told to: at the n-th request, and then
 * at every further one or at that alone. What is given back is checked against nothing but the sums; the heap behind it, which
 * is told the sizes, sees the rest. */
#ifndef ADAPTERS_RATION_H
#define ADAPTERS_RATION_H

#include <errno.h>

#include <allot/allocator.h>

struct ration {
    struct allot_allocator from;
    long left;            /* requests that are still served; less than 0: all */
    bool once;            /* the one that is not is the only one */
    size_t taken;         /* requests served, altogether */
    size_t blocks, bytes; /* live */
    size_t failed;
};

/* Whether this request is to be served. */
static inline bool ration_allows(struct ration *r)
{
    if (r->left == 0) {
        r->failed++;
        r->left = r->once ? -1 : 0;
        errno = ENOMEM;
        return false;
    }
    r->left -= r->left > 0;
    r->taken++;
    return true;
}

static inline void *ration_take(void *self, size_t size, size_t align)
{
    struct ration *r = (struct ration *)self;
    void *p = ration_allows(r) ? allot_take(r->from, size, align) : NULL;
    if (p) {
        r->blocks++;
        r->bytes += size;
    }
    return p;
}

static inline bool ration_resize(void *self, void *p, size_t old, size_t now, size_t align)
{
    struct ration *r = (struct ration *)self;
    bool resized = allot_resize(r->from, p, old, now, align);
    r->bytes += resized ? now - old : 0;
    return resized;
}

static inline void ration_give(void *self, void *p, size_t size, size_t align)
{
    struct ration *r = (struct ration *)self;
    r->blocks--;
    r->bytes -= size;
    allot_give(r->from, p, size, align);
}

static inline struct allot_allocator ration_allocator(struct ration *r)
{
    static const struct allot_allocator_ops ops = {ration_take, ration_resize, ration_give};
    struct allot_allocator made = {&ops, r};
    return made;
}

#endif
