/* pattern.h - contents that prove whose a block is.
 *
 * Each byte follows from a tag and its offset alone, so any prefix of a block can be checked after it has moved. Dense
 * in the first 64 KiB; up to 256 KiB one word a page, then about one in 15 pages, and always the last 16 bytes: a test of
 * huge blocks neither takes their memory nor the time to write it.
 */
#ifndef TESTS_PATTERN_H
#define TESTS_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes the pattern of `tag` over `size` bytes. */
void pattern_fill(void *p, size_t size, uint64_t tag);

/* Whether the first `size` bytes hold it. `whole`: they are all that was filled, so the last bytes are checked too. */
bool pattern_holds(const void *p, size_t size, uint64_t tag, bool whole);

/* Whether `size` bytes are zero; beyond 1 MiB only one word in some pages is looked at. */
bool pattern_zero(const void *p, size_t size);

#endif
