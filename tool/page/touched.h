/* page/touched.h - which pages a process's blocks ever lay in: ranges in ascending order, none next to another.
 *
 *   |####|   |##|        |########|       at most `most`; would there be more, those that lie closest are one with what is between
 *
 * Adding what is known already is a look at the range that was last in hand, else a binary search.
 */
#ifndef ALLOT_PAGE_TOUCHED_H
#define ALLOT_PAGE_TOUCHED_H

#include <stdbool.h>
#include <stdint.h>

#define TOUCHED_MOST 4096

struct touched_range {
    uint64_t start, end;
};

struct touched {
    struct touched_range *range;
    uint32_t count, room, most; /* most: at least 4 */
    uint32_t last;
    uint64_t gap; /* ranges less than that apart are one, and those that touch */
};

/* False: out of memory. */
bool touched_add(struct touched *touched, uint64_t start, uint64_t end);
/* Ranges less than `gap` apart become one, also from now on. */
void touched_join(struct touched *touched, uint64_t gap);

#endif
