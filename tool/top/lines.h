/* top/lines.h - the lines above the tables of `allot top`, the same on the screen and in a file. */
#ifndef ALLOT_TOP_LINES_H
#define ALLOT_TOP_LINES_H

#include "top/feed.h"

enum { LINES_LONGEST = 256 };

void lines_title(const struct feed *f, char out[LINES_LONGEST]);
void lines_held(const struct feed *f, char out[LINES_LONGEST]); /* live, peak, resident ... */
void lines_rates(const struct feed *f,
                 char out[LINES_LONGEST]); /* allocated and freed, processors; or that it is silent */
void lines_sampled(const struct feed *f, char out[LINES_LONGEST]);

/* Values as a row of block characters, or ASCII, `width` of them, scaled to `most`; each at most 4 bytes. */
void lines_bars(const uint64_t *value, size_t width, uint64_t most, bool utf8, char *out, size_t room);
/* Into so many values: the last of the history, what lives. 0 where there is none yet. How many are known. */
size_t lines_history(const struct feed *f, size_t width, uint64_t *out, uint64_t *most);
/* The heap's pieces, oldest first, in so many values of 0 to 255. How many: no more than there are pieces. */
size_t lines_strip(const struct feed *f, size_t width, uint64_t *out);

#endif
