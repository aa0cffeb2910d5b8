/* input.h - from bytes to the numbers a malloc is most likely to get wrong.
 *
 * Sizes crowd around zero, the edges of size classes, pages, slabs, runs and segments, and the ends of size_t. Past the
 * last byte everything reads as 0.
 */
#ifndef TESTS_INPUT_H
#define TESTS_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct input {
    const uint8_t *data;
    size_t size;
    size_t at;
};

static inline bool input_ended(const struct input *in) { return in->at >= in->size; }

uint8_t input_byte(struct input *in);
size_t input_u16(struct input *in);

/* Any size, also one that no system can grant. */
size_t input_size(struct input *in);

/* A size that can be granted many times over. */
size_t input_small_size(struct input *in);

/* A power of two up to 8 MiB. */
size_t input_align(struct input *in);

/* Whether no machine has an address space for `size` bytes. The sizes of input_size are either far beyond that or below
 * 128 MiB, so that every request has one right answer. */
static inline bool size_impossible(size_t size) { return size > (size_t)1 << 56; }

#endif
