/* gc/worklist.h - objects that have been reached and are still to be looked at: a stack that never grows.
 *
 *   | object | object | object, words from .. | ...        up to WORK_MOST entries, at a fixed place
 *
 * A push that finds it full is refused. Then the collector notes where such objects lie, and looks for them again when the stack
 * has run empty (of MARK: all marked objects of the units where that happened; mark.c). So the depth and the width of the user's
 * graph cost time at worst, never memory. (Boehm and Weiser, 1988; the bounded stack of the Boehm collector.)
 */
#ifndef GC_WORKLIST_H
#define GC_WORKLIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"

/* An entry is an object's address; or two, of which the upper has the lowest bit set: the object, and below it the word from which
 * on its tail is to be looked at. */
struct worklist {
    uintptr_t *at;
    size_t count, room;
};

struct gc;
bool worklist_init(struct gc *gc, struct worklist *list, size_t room);
void worklist_done(struct gc *gc, struct worklist *list);

/* False: it is full. */
static inline bool worklist_push(struct worklist *list, void *object)
{
    if (unlikely(list->count == list->room)) {
        return false;
    }
    list->at[list->count++] = (uintptr_t)object;
    return true;
}

static inline bool worklist_push_from(struct worklist *list, void *object, size_t from)
{
    if (unlikely(list->room - list->count < 2)) {
        return false;
    }
    list->at[list->count++] = from;
    list->at[list->count++] = (uintptr_t)object | 1;
    return true;
}

/* It is not empty. `from`: 0, or the word from which on. */
static inline void *worklist_pop(struct worklist *list, size_t *from)
{
    uintptr_t top = list->at[--list->count];
    *from = 0;
    if (unlikely(top & 1)) {
        *from = list->at[--list->count];
    }
    return (void *)(top & ~(uintptr_t)1);
}

#endif
