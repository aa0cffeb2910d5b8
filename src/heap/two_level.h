/* heap/two_level.h - the allocator of the SGI STL, over any heap. (SGI STL, stl_alloc.h, 1997; Stroustrup's and
 * Koenig's node allocators before it.) */
#ifndef HEAP_TWO_LEVEL_H
#define HEAP_TWO_LEVEL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define TWO_LEVEL_STEP  8
#define TWO_LEVEL_MAX   128
#define TWO_LEVEL_LISTS (TWO_LEVEL_MAX / TWO_LEVEL_STEP)
#define TWO_LEVEL_BATCH 20

/*   lists    8  16  24 ... 128      blocks that were freed, by size
 *   chunk    [ handed out | start ........ end )
 *
 * `total` is the sum of all chunks: a new one has twice what a refill needs plus a sixteenth of it. What is left of a chunk
 * too small for the request goes to the list of its size, so nothing is lost; nothing goes back to malloc before reset.
 *
 * One thread uses the lists. What others free waits on lists of its own, which the user takes over whole when its own is
 * empty: no lock, so none that a fork could leave held. */
struct two_level {
    struct two_level_block *list[TWO_LEVEL_LISTS];
    _Atomic(struct two_level_block *) returned[TWO_LEVEL_LISTS]; /* freed by others */
    char *start, *end;
    size_t total;
    void *(*malloc)(void *arg, size_t size); /* the first level */
    void *arg;
};

/* A block of `size` bytes, 1 to TWO_LEVEL_MAX, aligned to 8. NULL when the first level has none and no list can help.
 */
void *two_level_alloc(struct two_level *t, size_t size);

/* Puts a block of the size that was asked for back on its list; the second form by a thread that is not the user. */
void two_level_free(struct two_level *t, void *p, size_t size);
void two_level_return(struct two_level *t, void *p, size_t size);

/* Proves that every listed block and the open chunk are whole. */
bool two_level_check(const struct two_level *t);

#endif
