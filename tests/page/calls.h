/* page/calls.h - the pager beside a plain array: whatever is asked of it, by whatever policy, over a store that fails now and then,
 * each page reads as it was written last; and what was refused has changed nothing. A pager ends and begins again over its store in
 * between, with other frames and another policy.
 *
 * What is asked is drawn at random, or is what a fuzzer's bytes say. Where it differs the process says so and aborts.
 */
#ifndef PAGE_CALLS_H
#define PAGE_CALLS_H

#include <stddef.h>
#include <stdint.h>

struct calls_source {
    uint64_t random;
    const uint8_t *bytes; /* `left` of them; NULL: at random */
    size_t left;
};

/* So many steps, or until the bytes are at their end. How many calls were refused. */
size_t calls_play(struct calls_source from, size_t steps);

#endif
