/* span/map.c - the address map, and the memory of records. See span/map.h. */
#include "span/map.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/bits.h"
#include "os/lock.h"
#include "os/memory.h"
#include "span/segment.h"

#define LEAF_BITS    13
#define LEAF_SIZE    ((size_t)1 << LEAF_BITS)
#define ADDRESS_BITS 48

_Static_assert(ADDRESS_BITS == SEGMENT_SHIFT + 2 * LEAF_BITS, "two levels cover the address space");

typedef _Atomic(void *) entry;
static _Atomic(entry *) root[LEAF_SIZE];

static struct os_lock lock;
static char *record_at, *record_end;

bool map_set(const void *at, void *what)
{
    uintptr_t index = (uintptr_t)at >> SEGMENT_SHIFT;
    if (index >> (2 * LEAF_BITS)) {
        errno = ENOMEM;
        return what == NULL;
    }
    _Atomic(entry *) *slot = &root[index >> LEAF_BITS];
    entry *leaf = atomic_load_explicit(slot, memory_order_acquire);
    if (!leaf) {
        entry *made = os_map(LEAF_SIZE * sizeof(entry));
        if (!made) {
            return what == NULL;
        }
        if (atomic_compare_exchange_strong(slot, &leaf, made)) {
            leaf = made;
        } else {
            os_unmap(made, LEAF_SIZE * sizeof(entry));
        }
    }
    atomic_store_explicit(&leaf[index % LEAF_SIZE], what, memory_order_release);
    return true;
}

void *map_get(const void *p)
{
    uintptr_t index = (uintptr_t)p >> SEGMENT_SHIFT;
    if (index >> (2 * LEAF_BITS)) {
        return NULL;
    }
    entry *leaf = atomic_load_explicit(&root[index >> LEAF_BITS], memory_order_acquire);
    return leaf ? atomic_load_explicit(&leaf[index % LEAF_SIZE], memory_order_acquire) : NULL;
}

void *record_alloc(size_t bytes)
{
    enum { CHUNK = 64 * 1024 };
    bytes = align_up(bytes, HEADER_SIZE);
    os_lock(&lock);
    if ((size_t)(record_end - record_at) < bytes) {
        char *chunk = os_map(CHUNK);
        if (!chunk) {
            os_unlock(&lock);
            return NULL;
        }
        record_at = chunk;
        record_end = chunk + CHUNK;
    }
    void *record = record_at;
    record_at += bytes;
    os_unlock(&lock);
    return record;
}

void record_lock(void) { os_lock(&lock); }

void record_unlock(void) { os_unlock(&lock); }

void record_lock_reset(void) { os_lock_reset(&lock); }
