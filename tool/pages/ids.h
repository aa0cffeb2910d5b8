/* pages/ids.h - pages by what a trace calls them: numbers, or texts, as they first come 0, 1, 2 ...
 *
 *   slot:  | 3 | 0 | - | 1 | - | ... |  --> number[3], or the text from start[3] to start[4]
 *
 * Open addressing, half full at most; the hash has a key that is new each time, so that no file can be made to fill one place.
 * A trace has numbers or texts, never both.
 */
#ifndef ALLOT_PAGES_IDS_H
#define ALLOT_PAGES_IDS_H

#include <stddef.h>
#include <stdint.h>

#define IDS_MOST ((uint32_t)1 << 30)

struct ids {
    uint32_t count;
    uint64_t *number; /* of each; of texts where each begins, and where the last one ends */
    char *text;

    uint32_t *slot; /* number + 1; 0: none */
    size_t slots, numbers, used, room;
    uint64_t key[2];
};

/* Which one it is; UINT32_MAX: out of memory, or more than IDS_MOST. */
uint32_t ids_number(struct ids *ids, uint64_t number);
uint32_t ids_text(struct ids *ids, const char *text, size_t bytes);
void ids_end(struct ids *ids);

#endif
