/* map/colour.h - what the pictures of heaps are coloured with, on paper and on a terminal. */
#ifndef ALLOT_MAP_COLOUR_H
#define ALLOT_MAP_COLOUR_H

#include <stdbool.h>
#include <stdint.h>

struct colour {
    uint8_t r, g, b;
};

/* Of a row by how full it is (HEAP_MAP_...): dark and bluish is nearly empty, bright is full; nothing yet and empty are apart from it. */
struct colour colour_of_level(uint8_t level, bool dark);
/* Of a site by its rank (picture_rank); told apart also by those who do not see all colours. */
struct colour colour_of_rank(uint32_t rank, bool dark);
/* The nearest among the 256 of a terminal. */
unsigned colour_of_terminal(struct colour c);

#endif
