/* heap/two_level.c - see heap/two_level.h. O(1) but for a refill of 20 blocks; waste: rounding to 8 bytes.
 *
 * Not for programs that free most of what they took and go on: chunks are never given back, and a list's blocks serve
 * only their own size.
 */
#include "heap/two_level.h"

#include <stdint.h>

#include "base/bits.h"
#include "os/fault.h"

struct two_level_block {
    struct two_level_block *next;
};

static struct two_level_block **list_of(struct two_level *t, size_t size)
{
    return &t->list[(size - 1) / TWO_LEVEL_STEP];
}

static void push(struct two_level_block **list, void *p)
{
    struct two_level_block *b = p;
    b->next = *list;
    *list = b;
}

/* Makes [start, end) hold at least one block of `size`, or returns false. */
static bool open_chunk(struct two_level *t, size_t size)
{
    size_t left = (size_t)(t->end - t->start);
    if (left > 0) {
        push(list_of(t, left), t->start);
    }
    t->start = t->end = NULL;
    size_t bytes = 2 * size * TWO_LEVEL_BATCH + align_up(t->total >> 4, TWO_LEVEL_STEP);
    char *chunk = t->malloc(t->arg, bytes);
    if (chunk) {
        t->total += bytes;
        t->start = chunk;
        t->end = chunk + bytes;
        return true;
    }
    /* Out of memory: a freed block of this size or larger becomes the chunk. */
    for (size_t larger = size; larger <= TWO_LEVEL_MAX; larger += TWO_LEVEL_STEP) {
        struct two_level_block **list = list_of(t, larger);
        if (*list) {
            t->start = (char *)*list;
            t->end = t->start + larger;
            *list = (*list)->next;
            return true;
        }
    }
    return false;
}

static void *refill(struct two_level *t, size_t size)
{
    if ((size_t)(t->end - t->start) < size && !open_chunk(t, size)) {
        return NULL;
    }
    size_t count = size_min((size_t)(t->end - t->start) / size, TWO_LEVEL_BATCH);
    char *first = t->start;
    t->start += count * size;
    struct two_level_block **link = list_of(t, size);
    for (size_t i = 1; i < count; i++) {
        *link = (struct two_level_block *)(first + i * size);
        link = &(*link)->next;
    }
    *link = NULL;
    return first;
}

void *two_level_alloc(struct two_level *t, size_t size)
{
    size = align_up(size, TWO_LEVEL_STEP);
    struct two_level_block **list = list_of(t, size);
    if (!*list) {
        *list = atomic_exchange_explicit(&t->returned[list - t->list], NULL, memory_order_acquire);
    }
    if (!*list) {
        return refill(t, size);
    }
    void *p = *list;
    *list = (*list)->next;
    return p;
}

void two_level_free(struct two_level *t, void *p, size_t size) { push(list_of(t, size), p); }

void two_level_return(struct two_level *t, void *p, size_t size)
{
    _Atomic(struct two_level_block *) *returned = &t->returned[list_of(t, size) - t->list];
    struct two_level_block *b = p;
    b->next = atomic_load_explicit(returned, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(returned, &b->next, b, memory_order_release, memory_order_relaxed)) {
    }
}

bool two_level_check(const struct two_level *t)
{
    size_t listed = 0;
    for (unsigned i = 0; i < TWO_LEVEL_LISTS; i++) {
        size_t size = (i + 1) * (size_t)TWO_LEVEL_STEP;
        for (const struct two_level_block *b = t->list[i]; b; b = b->next) {
            CHECK((uintptr_t)b % TWO_LEVEL_STEP == 0, "two-level list", b);
            listed += size;
            CHECK(listed <= t->total, "two-level list", b);
        }
    }
    CHECK(t->start <= t->end && listed + (size_t)(t->end - t->start) <= t->total, "two-level chunk", t);
    return true;
}
