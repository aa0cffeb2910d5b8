/* model.h - a region and an oracle do the same, step by step, as bytes say; where they differ the process says so and aborts. */
#ifndef TESTS_PLACE_MODEL_H
#define TESTS_PLACE_MODEL_H

#include <stddef.h>
#include <stdint.h>

/* The first byte is the rule (modulo 8), what follows the options and the steps. `large`: regions of thousands of units, which are looked
 * through only now and then. */
void place_model(const uint8_t *data, size_t size, int large);

/* What to say of the run where it differs. */
extern char place_run[64];

/* What the last one did. */
struct place_steps {
    uint64_t steps, taken, refused, claimed, resized, moved, saved, out_of_records;
};
extern struct place_steps place_steps;

#endif
