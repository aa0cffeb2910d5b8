/* What the planted programs share. Each does some work of a kind that people do, with one flaw in one function, or (told "well") without.
 *
 *     PROGRAM badly | well
 *
 * The line of the flaw has a comment `PLANTED`, which the test looks for; the sum that is printed keeps the work from being optimized
 * away, and is the same either way.
 */
#ifndef PLANT_H
#define PLANT_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define NOINLINE __attribute__((noinline))

static inline int plant_is_well(int argc, char **argv)
{
    if (argc != 2 || (strcmp(argv[1], "badly") != 0 && strcmp(argv[1], "well") != 0)) {
        fprintf(stderr, "usage: %s badly|well\n", argv[0]);
        return -1;
    }
    return strcmp(argv[1], "well") == 0;
}

static inline uint32_t plant_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

#endif
