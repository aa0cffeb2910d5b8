/* span/large.c - see span/large.h. A record a block, found through the address map; all records on one list. */
#include "span/large.h"

#include <errno.h>

#include "base/bits.h"
#include "os/fault.h"
#include "os/lock.h"
#include "os/memory.h"
#include "span/map.h"
#include "span/segment.h"

struct large {
    void *at;
    size_t length; /* bytes, whole pages */
    uint32_t heap;
    struct large *next, *prev; /* on the list of all; or of unused records, by next */
};

static struct os_lock lock;
static struct large *all, *unused;
static size_t total_bytes, total_blocks;

static struct large *find(const void *p)
{
    if ((uintptr_t)p & (SEGMENT_SIZE - 1)) {
        return NULL;
    }
    void *what = map_get(p);
    return what == MAP_SEGMENT ? NULL : what;
}

/* With the lock held. */
static struct large *new_record(void)
{
    struct large *l = unused;
    if (l) {
        unused = l->next;
        return l;
    }
    return record_alloc(sizeof *l);
}

void *large_alloc(size_t bytes, size_t align, uint32_t heap)
{
    size_t length = align_up(bytes, os_page);
    if (length < bytes) {
        errno = ENOMEM;
        return NULL;
    }
    void *at = os_map_aligned(length, size_max(align, SEGMENT_SIZE));
    if (!at) {
        return NULL;
    }
    os_lock(&lock);
    struct large *l = new_record();
    if (!l || !map_set(at, l)) {
        if (l) {
            l->next = unused;
            unused = l;
        }
        os_unlock(&lock);
        os_unmap(at, length);
        errno = ENOMEM;
        return NULL;
    }
    *l = (struct large){.at = at, .length = length, .heap = heap, .next = all};
    if (all) {
        all->prev = l;
    }
    all = l;
    total_bytes += length;
    total_blocks++;
    os_unlock(&lock);
    return at;
}

/* With the lock held: takes a block off the books. The caller unmaps it. */
static size_t forget(struct large *l)
{
    size_t length = l->length;
    map_set(l->at, NULL);
    if (l->prev) {
        l->prev->next = l->next;
    } else {
        all = l->next;
    }
    if (l->next) {
        l->next->prev = l->prev;
    }
    total_bytes -= length;
    total_blocks--;
    l->next = unused;
    unused = l;
    return length;
}

size_t large_free(void *p)
{
    os_lock(&lock);
    struct large *l = find(p);
    if (!l) {
        os_unlock(&lock);
        allot_fault("free of what is no live block", "large block", p);
    }
    size_t length = forget(l);
    os_unlock(&lock);
    os_unmap(p, length);
    return length;
}

size_t large_length(const void *p)
{
    const struct large *l = find(p);
    return l ? l->length : 0;
}

uint32_t large_heap(const void *p)
{
    const struct large *l = find(p);
    return l ? l->heap : 0;
}

/* With the lock held. */
static void set_length(struct large *l, size_t length)
{
    total_bytes += length - l->length;
    l->length = length;
}

bool large_resize(void *p, size_t bytes)
{
    size_t length = align_up(bytes, os_page);
    struct large *l = find(p);
    if (!l || length < bytes || !os_resize(p, l->length, length)) {
        return false;
    }
    os_lock(&lock);
    set_length(l, length);
    os_unlock(&lock);
    return true;
}

void *large_move(void *p, size_t bytes)
{
    size_t length = align_up(bytes, os_page);
    struct large *l = find(p);
    if (!l || length < bytes) {
        errno = ENOMEM;
        return NULL;
    }
    /* The old address is off the books before the kernel may give it to somebody else, and the new one on them first,
     * so that nothing can fail once the pages have moved. */
    void *at = os_map_aligned(length, SEGMENT_SIZE);
    if (!at) {
        return NULL;
    }
    os_lock(&lock);
    if (!map_set(at, l)) {
        os_unlock(&lock);
        os_unmap(at, length);
        errno = ENOMEM;
        return NULL;
    }
    map_set(p, NULL);
    if (!os_move(p, l->length, at, length)) {
        map_set(p, l);
        map_set(at, NULL);
        os_unlock(&lock);
        os_unmap(at, length);
        errno = ENOMEM;
        return NULL;
    }
    l->at = at;
    set_length(l, length);
    os_unlock(&lock);
    return at;
}

size_t large_free_all(uint32_t heap)
{
    size_t bytes = 0;
    os_lock(&lock);
    for (struct large *l = all, *next; l; l = next) {
        next = l->next;
        if (l->heap == heap) {
            void *at = l->at;
            size_t length = forget(l);
            os_unmap(at, length);
            bytes += length;
        }
    }
    os_unlock(&lock);
    return bytes;
}

struct large_totals large_totals(void)
{
    os_lock(&lock);
    struct large_totals totals = {total_bytes, total_blocks};
    os_unlock(&lock);
    return totals;
}

int large_walk(int (*visit)(void *p, size_t bytes, uint32_t heap, void *arg), void *arg)
{
    for (struct large *l = all, *next; l; l = next) {
        next = l->next;
        int stop = visit(l->at, l->length, l->heap, arg);
        if (stop) {
            return stop;
        }
    }
    return 0;
}

bool large_check(void)
{
    size_t bytes = 0, blocks = 0;
    os_lock(&lock);
    for (struct large *l = all; l; l = l->next) {
        CHECK(find(l->at) == l, "large block", l->at);
        CHECK(!l->next || l->next->prev == l, "large block", l->at);
        bytes += l->length;
        blocks++;
    }
    CHECK(bytes == total_bytes && blocks == total_blocks, "large blocks", &total_bytes);
    os_unlock(&lock);
    return true;
}

void large_lock(void) { os_lock(&lock); }

void large_unlock(void) { os_unlock(&lock); }

void large_lock_reset(void) { os_lock_reset(&lock); }
