/* pages/vector.h - numbers in a row, maybe more than fit in memory.
 *
 * What is longer than SPILL bytes lies in a file without a name, whose pages the system keeps in memory as it sees fit; a full disk is
 * an answer and no signal, as room in the file is reserved before it is used.
 */
#ifndef ALLOT_PAGES_VECTOR_H
#define ALLOT_PAGES_VECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VECTOR_SPILL ((size_t)256 << 20)

struct vector {
    uint32_t *at;
    size_t count, room; /* count: the owner's */
    int fd;             /* of the file + 1; 0: it is in memory */
};

/* Room for so many, where there are zeros at first: false with errno, and nothing has changed. */
bool vector_reserve(struct vector *v, size_t count);
void vector_end(struct vector *v);

static inline bool vector_add(struct vector *v, uint32_t number)
{
    if (__builtin_expect(v->count == v->room, 0) && !vector_reserve(v, v->count + 1)) {
        return false;
    }
    v->at[v->count++] = number;
    return true;
}

#endif
