/* graph/grow.h - arrays that grow, in memory straight from the system: who looks at a heap does not allocate from it, and may be
 * the child of a fork that nobody prepared. O(1) each, amortised. Large ones are moved by the page, not copied, and are of huge
 * pages where the system has them: what looks at a heap jumps about in them, and would wait for page tables as often as for memory.
 */
#ifndef GRAPH_GROW_H
#define GRAPH_GROW_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/bits.h"
#include "os/memory.h"

#define GROW_LARGE (16 * MIB)

/* Zeroed memory for a table, or NULL. Given back by grow_free. */
static inline void *grow_map(size_t bytes)
{
    if (bytes < GROW_LARGE) {
        return os_map(bytes);
    }
    void *at = os_map_aligned(bytes, OS_HUGE_PAGE);
    if (at) {
        os_huge_pages(at, 0, bytes);
    }
    return at;
}

static inline void *grow_move(void *old, size_t bytes, size_t now)
{
    void *at = grow_map(now);
    if (at && bytes >= GROW_LARGE) {
        if (os_move(old, bytes, at, now)) {
            return at;
        }
        at = grow_map(now);
    }
    if (at && old) {
        memcpy(at, old, bytes);
        os_unmap(old, bytes);
    }
    return at;
}

/* Room for at least `count` items of `size` bytes in *array, which has room for *room. False: memory is out, nothing has changed. */
static inline bool grow(void **array, size_t *room, size_t count, size_t size)
{
    if (count <= *room) {
        return true;
    }
    size_t now = size_max(size_max(count, *room * 2), 65536 / size);
    void *other = now > SIZE_MAX / 2 / size ? NULL : grow_move(*array, *room * size, now * size);
    if (!other) {
        return false;
    }
    *array = other;
    *room = now;
    return true;
}

static inline void grow_free(void *array, size_t room, size_t size)
{
    if (array) {
        os_unmap(array, room * size);
    }
}

#endif
