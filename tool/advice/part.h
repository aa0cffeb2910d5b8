/* advice/part.h - what some places' blocks are tried in where that is no strategy of its own: the library's arena, and buffers
 * that are kept.
 *
 *   arena  struct allot_arena in blocks of 64 KiB, reset when all that was made in it is dead; until then what dies stays
 *   kept   a stack of buffers for each place: the last that was given back is taken, and made longer where it is too short
 *
 * Blocks are not written to: what is held is address space, and what is counted is exact. `calls` are those of malloc, free and realloc
 * that the program would still make: of the arena what is made in it, and its resets, of what is kept those that make a buffer or make it longer.
 *
 * Bound: 4 bytes a block number; 16 a kept buffer; the arena's blocks, of which only the first bytes are touched.
 */
#ifndef ALLOT_ADVICE_PART_H
#define ALLOT_ADVICE_PART_H

#include "advice/find.h"

struct part;

/* Of a candidate for an arena, a cache, or a buffer. NULL: no memory. */
struct part *part_begin(const struct candidate *candidate, const struct ops *ops);
void part_end(struct part *part);

/* `place`: which of the candidate's groups asks. False: no memory. */
bool part_take(struct part *part, unsigned place, uint32_t block, uint64_t size, uint32_t align);
bool part_resize(struct part *part, uint32_t block, uint64_t was, uint64_t size);
/* `left`: at the process's end, which is no call. */
void part_give(struct part *part, uint32_t block, bool left);

uint64_t part_held(const struct part *part);  /* bytes */
uint64_t part_calls(const struct part *part); /* so far */

#endif
