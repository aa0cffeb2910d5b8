/* map/labels.h - texts as numbers: equal ones have one. For the places of blocks, which many stacks share. */
#ifndef ALLOT_MAP_LABELS_H
#define ALLOT_MAP_LABELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "symbols.h"

struct labels {
    char **text;
    size_t count, room;
    uint32_t *index; /* by text: number and 1 */
    size_t index_room;
};

/* The number of a text; UINT32_MAX: out of memory. */
uint32_t labels_of(struct labels *l, const char *text);
/* The place of a stack, innermost frame first, of what is printable. */
uint32_t labels_of_stack(struct labels *l, const struct symbol_frame *frame, size_t count);
void labels_end(struct labels *l);

#endif
