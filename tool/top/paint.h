/* top/paint.h - the live view as it is at the moment, and its lines on the screen: for screen.c and paint.c only. */
#ifndef ALLOT_TOP_PAINT_H
#define ALLOT_TOP_PAINT_H

#include <curses.h>
#include <stdio.h>
#include <sys/types.h>

#include "top/screen.h"

enum { PAIR_DIM = 1, PAIR_ACCENT, PAIR_WARN, PAIR_LEVEL, LEVELS = 16 };

struct screen {
    struct feed *feed;
    struct places *places;
    const struct screen_wanted *wanted;
    SCREEN *terminal;
    FILE *out;
    bool utf8, colour, paused, done;
    double every;
    enum rows_view view;
    enum rows_sort sort;
    struct rows rows;
    size_t row, top;   /* the chosen row, and the first that is shown */
    char said[256];    /* below, in place of the keys */
    int errors;        /* standard error, meanwhile; */
    off_t errors_read; /* of it */
    char *snapshot[2]; /* files, the last one last */
    unsigned taken;
    char *pager; /* a text over everything; NULL: none */
    size_t pager_top, pager_lines;
};

/* All of it, anew. */
void paint(struct screen *s);

/* Line number `line` of a text, from 0. */
const char *paint_line(const char *text, size_t line);

#endif
