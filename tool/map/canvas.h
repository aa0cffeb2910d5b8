/* map/canvas.h - pixels: rectangles, text, and a PNG of them. No fonts of the system: a server has none.
 *
 * Text is ASCII, of characters of 6 by 9 pixels times a scale; what is none is a question mark. What lies outside is not drawn.
 */
#ifndef ALLOT_MAP_CANVAS_H
#define ALLOT_MAP_CANVAS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "map/colour.h"

enum { FONT_WIDTH = 5, FONT_HEIGHT = 9, FONT_STEP = 6 };
extern const uint8_t font[95][FONT_HEIGHT];

struct canvas {
    int width, height, scale; /* scale: of text, 1 or more */
    struct colour *pixel;
};

bool canvas_begin(struct canvas *c, int width, int height, int scale, struct colour background); /* false: no memory */
void canvas_end(struct canvas *c);

void canvas_fill(struct canvas *c, int x, int y, int width, int height, struct colour colour);
/* From its left and upper corner; in at most so many pixels, "..." at its end where it is longer (0: all). How many it took. */
int canvas_text(struct canvas *c, int x, int y, int most, struct colour colour, const char *text);
int canvas_text_width(const struct canvas *c, const char *text);

/* 0 or an errno. */
int canvas_write(const struct canvas *c, FILE *to);

#endif
