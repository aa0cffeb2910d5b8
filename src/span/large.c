/* span/large.c - see span/large.h. A record a block, found through the address map; all records on one list.
 *
 * Freed mappings are kept, at most KEPT_BLOCKS, as long as they amount to no more than an eighth of what is live plus
 * the largest block freed so far, of up to 32 MiB: what the program let go of once may come again. (glibc's mmap
 * threshold grows by the same rule, with the same end.) Within that the oldest goes first.
 */
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

#define KEPT_BLOCKS   8
#define KEPT_ONE_MOST (32 * MIB)

static struct os_lock lock;
static struct large *all, *unused;
static size_t total_bytes, total_blocks;

static struct kept {
    void *at;
    size_t length;
} kept[KEPT_BLOCKS]; /* oldest first */
static size_t kept_count, kept_bytes, largest_freed;

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

/* -- kept mappings, with the lock held -- */

static struct kept kept_remove(size_t i)
{
    struct kept k = kept[i];
    for (kept_count--; i < kept_count; i++) {
        kept[i] = kept[i + 1];
    }
    kept_bytes -= k.length;
    return k;
}

/* The smallest one that is long enough, and not longer by more than an eighth. */
static void *kept_take(size_t length, size_t align, size_t *got)
{
    size_t best = kept_count;
    for (size_t i = 0; i < kept_count; i++) {
        bool fits = kept[i].length >= length && kept[i].length - length <= length / 8;
        if (fits && ((uintptr_t)kept[i].at & (align - 1)) == 0 &&
            (best == kept_count || kept[i].length < kept[best].length)) {
            best = i;
        }
    }
    if (best == kept_count) {
        return NULL;
    }
    struct kept k = kept_remove(best);
    *got = k.length;
    return k.at;
}

static size_t kept_drop_all(void)
{
    size_t bytes = kept_bytes;
    while (kept_count > 0) {
        struct kept k = kept_remove(0);
        os_unmap(k.at, k.length);
    }
    return bytes;
}

/* Keeps a mapping, or gives it back. */
static void keep(void *at, size_t length)
{
    largest_freed = size_max(largest_freed, size_min(length, KEPT_ONE_MOST));
    size_t bound = largest_freed + total_bytes / 8;
    if (length > bound) {
        os_unmap(at, length);
        return;
    }
    while (kept_count == KEPT_BLOCKS || kept_bytes + length > bound) {
        struct kept k = kept_remove(0);
        os_unmap(k.at, k.length);
    }
    kept[kept_count++] = (struct kept){at, length};
    kept_bytes += length;
}

/* -- blocks -- */

/* With the lock held: address space of at least *length bytes; *length becomes what it is. */
static void *take(size_t *length, size_t align, bool *zeroed)
{
    void *at = kept_take(*length, align, length);
    *zeroed = !at;
    if (!at) {
        at = os_map_aligned(*length, align);
    }
    if (!at && kept_drop_all() > 0) {
        at = os_map_aligned(*length, align);
    }
    return at;
}

void *large_alloc(size_t bytes, size_t align, uint32_t heap, bool *zeroed)
{
    size_t length = align_up(bytes, os_page);
    if (length < bytes) {
        errno = ENOMEM;
        return NULL;
    }
    os_lock(&lock);
    void *at = take(&length, size_max(align, SEGMENT_SIZE), zeroed);
    struct large *l = at ? new_record() : NULL;
    if (!l || !map_set(at, l)) {
        if (l) {
            l->next = unused;
            unused = l;
        }
        if (at) {
            os_unmap(at, length);
        }
        os_unlock(&lock);
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

/* With the lock held: takes a block off the books. Its mapping is the caller's to keep or give back. */
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
    keep(p, length);
    os_unlock(&lock);
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

size_t large_trim(void)
{
    os_lock(&lock);
    size_t bytes = kept_drop_all();
    os_unlock(&lock);
    return bytes;
}

struct large_totals large_totals(void)
{
    os_lock(&lock);
    struct large_totals totals = {total_bytes, total_blocks, kept_bytes};
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
    size_t kept_sum = 0;
    for (size_t i = 0; i < kept_count; i++) {
        CHECK(map_get(kept[i].at) == NULL, "kept mapping", kept[i].at);
        kept_sum += kept[i].length;
    }
    CHECK(kept_sum == kept_bytes && kept_count <= KEPT_BLOCKS, "kept mappings", kept);
    os_unlock(&lock);
    return true;
}

void large_lock(void) { os_lock(&lock); }

void large_unlock(void) { os_unlock(&lock); }

void large_lock_reset(void) { os_lock_reset(&lock); }
