/* graph/grow.h - arrays that grow, in memory straight from the system: who looks at a heap does not allocate from it, and may be
 * the child of a fork that nobody prepared. O(1) each, amortised. */
#ifndef GRAPH_GROW_H
#define GRAPH_GROW_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "base/bits.h"
#include "os/memory.h"

/* Room for at least `count` items of `size` bytes in *array, which has room for *room. False: memory is out, nothing has changed. */
static inline bool grow(void **array, size_t *room, size_t count, size_t size)
{
    if (count <= *room) {
        return true;
    }
    size_t now = size_max(size_max(count, *room * 2), 65536 / size);
    void *other = now > SIZE_MAX / 2 / size ? NULL : os_map(now * size);
    if (!other) {
        return false;
    }
    if (*array) {
        memcpy(other, *array, *room * size);
        os_unmap(*array, *room * size);
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
