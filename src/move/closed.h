/* move/closed.h - places that something has left, in debug modes: kept without access, so that an address that was kept faults, and
 * nothing else comes to lie there. The last ones, in a ring.
 */
#ifndef MOVE_CLOSED_H
#define MOVE_CLOSED_H

#include <stddef.h>

#include "os/memory.h"

struct closed {
    void *at;
    size_t length;
};

/* A mapping; where the system has no more mappings it is just unmapped. */
static inline void closed_add(struct closed *ring, size_t places, size_t *next, void *at, size_t length)
{
    os_purge(at, length);
    if (!os_protect(at, length, false)) {
        os_unmap(at, length);
        return;
    }
    struct closed *place = &ring[(*next)++ % places];
    if (place->at) {
        os_unmap(place->at, place->length);
    }
    *place = (struct closed){at, length};
}

static inline void closed_done(struct closed *ring, size_t places)
{
    for (size_t i = 0; i < places; i++) {
        if (ring[i].at) {
            os_unmap(ring[i].at, ring[i].length);
        }
    }
}

#endif
