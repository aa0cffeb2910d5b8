/* os/fence.c - see os/fence.h. What is mapped here costs no memory and is not charged as any before it is opened. */
#define _GNU_SOURCE
#include "os/fence.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "os/memory.h"
#include "os/process.h"

static atomic_size_t areas_left;
static _Atomic(uintptr_t) next_hint; /* fenced mappings go below one another */

static size_t areas_most(void)
{
    enum { DEFAULT = 65530 };
    char text[32];
    os_read_text("/proc/sys/vm/max_map_count", text, sizeof text);
    size_t most = strtoul(text, NULL, 10);
    return most ? most : DEFAULT;
}

/* Somewhere in the upper half of what lies below where the kernel has room. */
static uintptr_t random_place(void)
{
    uint64_t random;
    void *room = mmap(NULL, os_page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED) {
        return 0;
    }
    munmap(room, os_page);
    os_secret(&random, sizeof random);
    return (uintptr_t)room / 2 + random % ((uintptr_t)room / 2);
}

void os_fence_init(void)
{
    int saved = errno;
    areas_left = areas_most() / 4;
    next_hint = random_place();
    os_map_below(random_place());
    errno = saved;
}

bool os_areas_take(size_t areas)
{
    size_t left = atomic_load_explicit(&areas_left, memory_order_relaxed);
    while (left >= areas) {
        if (atomic_compare_exchange_weak_explicit(&areas_left, &left, left - areas, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

void os_areas_give(size_t areas) { atomic_fetch_add_explicit(&areas_left, areas, memory_order_relaxed); }

static char *map(void *hint, size_t length, int flags)
{
    void *at = mmap(hint, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

/* Where it is wanted, or with as much more as an aligned place takes wherever that is, and what sticks out cut off. */
static char *map_around(size_t room, size_t align)
{
    size_t whole = room + 2 * os_page, wide = whole + align;
    uintptr_t below = atomic_load_explicit(&next_hint, memory_order_relaxed);
    if (below > whole + align) {
        char *wish = (char *)align_down(below - room - os_page, align) - os_page, *at = map(wish, whole, 0);
        if (!at || at == wish) {
            return at;
        }
        munmap(at, whole);
    }
    char *from = map(NULL, wide, 0);
    if (!from) {
        return NULL;
    }
    char *at = (char *)align_up((uintptr_t)from + os_page, align) - os_page;
    if (at > from) {
        munmap(from, (size_t)(at - from));
    }
    if (from + wide > at + whole) {
        munmap(at + whole, (size_t)(from + wide - (at + whole)));
    }
    return at;
}

void *os_map_fenced(size_t room, size_t align)
{
    bool fits = room < PTRDIFF_MAX && align < PTRDIFF_MAX - room - 2 * os_page;
    char *from = fits && !os_refused() ? map_around(room, align) : NULL;
    if (!from) {
        errno = ENOMEM;
        return NULL;
    }
    atomic_store_explicit(&next_hint, (uintptr_t)from, memory_order_relaxed);
    return from + os_page;
}

void os_unmap_fenced(void *at, size_t room)
{
    int saved = errno;
    if (munmap((char *)at - os_page, room + 2 * os_page) != 0) {
        os_fence(at, room);
    }
    errno = saved;
}

bool os_open(void *at, size_t length) { return !os_refused() && os_protect(at, length, true); }

bool os_shut(void *at, size_t length) { return os_protect(at, length, false); }

bool os_fence(void *at, size_t length)
{
    int saved = errno;
    bool done = map(at, length, MAP_FIXED) != NULL;
    if (!done) {
        madvise(at, length, MADV_DONTNEED);
    }
    os_count_back(length);
    errno = saved;
    return done;
}
