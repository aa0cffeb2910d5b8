/* See canvas.h. Characters at twice their size have their corners rounded: of four pixels that one was, one at a corner takes after both
 * neighbours there when these are alike and the others are not (E. Johnston's EPX). */
#include <errno.h>
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "map/canvas.h"
#include "words.h"

bool canvas_begin(struct canvas *c, int width, int height, int scale, struct colour background)
{
    *c = (struct canvas){width, height, scale, malloc((size_t)width * (size_t)height * sizeof *c->pixel)};
    if (c->pixel) {
        canvas_fill(c, 0, 0, width, height, background);
    }
    return c->pixel;
}

void canvas_end(struct canvas *c) { free(c->pixel); }

void canvas_fill(struct canvas *c, int x, int y, int width, int height, struct colour colour)
{
    int right = x + width < c->width ? x + width : c->width, below = y + height < c->height ? y + height : c->height;
    for (int row = y > 0 ? y : 0; row < below; row++) {
        for (int at = x > 0 ? x : 0; at < right; at++) {
            c->pixel[(size_t)row * (size_t)c->width + (size_t)at] = colour;
        }
    }
}

/* -- text -- */

static bool dot(const uint8_t *glyph, int x, int y)
{
    return x >= 0 && x < FONT_WIDTH && y >= 0 && y < FONT_HEIGHT && (glyph[y] >> (FONT_WIDTH - 1 - x) & 1);
}

/* One of the four parts of a dot: `dx` and `dy` are -1 or 1. */
static bool part(const uint8_t *glyph, int x, int y, int dx, int dy)
{
    bool beside = dot(glyph, x + dx, y), above = dot(glyph, x, y + dy);
    bool other_beside = dot(glyph, x - dx, y), other_above = dot(glyph, x, y - dy);
    return beside == above && beside != other_beside && above != other_above ? beside : dot(glyph, x, y);
}

static void put_glyph(struct canvas *c, int x, int y, struct colour colour, const uint8_t *glyph)
{
    int scale = c->scale, half = scale / 2;
    for (int row = 0; row < FONT_HEIGHT; row++) {
        for (int at = 0; at < FONT_WIDTH; at++) {
            if (scale % 2) {
                if (dot(glyph, at, row)) {
                    canvas_fill(c, x + at * scale, y + row * scale, scale, scale, colour);
                }
                continue;
            }
            for (int of = 0; of < 4; of++) {
                int right = of & 1, below = of >> 1;
                if (part(glyph, at, row, right ? 1 : -1, below ? 1 : -1)) {
                    canvas_fill(c, x + at * scale + right * half, y + row * scale + below * half, half, half, colour);
                }
            }
        }
    }
}

static size_t characters(const char *text)
{
    size_t count = 0, length;
    for (; *text; text += length, count++) {
        words_decode(text, &length);
    }
    return count;
}

int canvas_text_width(const struct canvas *c, const char *text) { return (int)characters(text) * FONT_STEP * c->scale; }

int canvas_text(struct canvas *c, int x, int y, int most, struct colour colour, const char *text)
{
    size_t all = characters(text), room = most > 0 ? (size_t)(most / (FONT_STEP * c->scale)) : all;
    size_t shown = all <= room ? all : room > 3 ? room - 3 : 0, length;
    int at = x;
    for (size_t i = 0; i < (all <= room ? all : shown ? room : 0); i++, at += FONT_STEP * c->scale) {
        int32_t point = i < shown ? words_decode(text, &length) : '.';
        text += i < shown ? length : 0;
        put_glyph(c, at, y, colour, font[point >= 32 && point < 127 ? point - 32 : '?' - 32]);
    }
    return at - x;
}

/* -- as a file -- */

int canvas_write(const struct canvas *c, FILE *to)
{
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info || setjmp(png_jmpbuf(png))) {
        int error = info && errno ? errno : ENOMEM;
        png_destroy_write_struct(png ? &png : NULL, info ? &info : NULL);
        return error;
    }
    errno = 0;
    png_init_io(png, to);
    png_set_IHDR(png, info, (png_uint_32)c->width, (png_uint_32)c->height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (int row = 0; row < c->height; row++) {
        png_write_row(png, (png_const_bytep)&c->pixel[(size_t)row * (size_t)c->width]);
    }
    png_write_end(png, NULL);
    png_destroy_write_struct(&png, &info);
    return 0;
}
