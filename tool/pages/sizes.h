/* pages/sizes.h - for how many frames a trace is replayed. */
#ifndef ALLOT_PAGES_SIZES_H
#define ALLOT_PAGES_SIZES_H

#include "pages/curves.h"

/* "1000,0.1%,10%": counts, or shares of the pages rounded down to a frame at the least. They come in order, each once. How many; 0: *wrong,
 * a part of the text, is none, or NULL: there are too many. The text is taken apart. */
unsigned sizes_read(char *text, uint32_t pages, uint32_t frames[CURVES_FRAMES_MOST], const char **wrong);

/* Twenty, where that many differ: from a thousandth of the pages, and no less than the window, to all of them, each as much larger
 * than the one before. */
unsigned sizes_series(const struct refs *refs, uint32_t frames[CURVES_FRAMES_MOST]);

#endif
