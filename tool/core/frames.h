/* core/frames.h - the stack of a block of a dead process in words, where its memory has kept the number of it (site.h): functions, files
 * and lines from the files of now, as symbols.h finds them. A stack is looked up once for each leak of it, a return address once. */
#ifndef ALLOT_CORE_FRAMES_H
#define ALLOT_CORE_FRAMES_H

#include "core/dead.h"
#include "symbols.h"

struct frames;
struct frames *frames_begin(const struct dead *dead); /* NULL: out of memory */
void frames_end(struct frames *frames);

/* Innermost first, FRAMES_MOST at most; *count of them, 0: not known. Good until the next call. */
enum { FRAMES_MOST = 256 };
const struct symbol_frame *frames_of(struct frames *frames, uint32_t site, size_t *count);

#endif
