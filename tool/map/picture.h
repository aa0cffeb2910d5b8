/* map/picture.h - a heap at a moment, or over time, ready to be drawn: whoever draws it knows nothing of where it comes from.
 *
 *   trace | snapshot | core | process --> picture --> PNG (draw.c) | terminal (glyphs.c) | JSON (tell.c)
 */
#ifndef ALLOT_MAP_PICTURE_H
#define ALLOT_MAP_PICTURE_H

#include <sys/types.h>

#include "profile/heap_map_trace.h"

/* Sites that have a colour of their own: those that most pages are charged to, and then those that use least of theirs. All others
 * share one. */
enum { PICTURE_SITES = 7, PICTURE_BY_CHARGE = 4 };

struct picture_wanted {
    const char *path;    /* trace, snapshot or core; NULL: */
    pid_t pid;           /* of that process */
    uint32_t process;    /* of a trace with several; 0: the one that held most */
    enum heap_map_at at; /* of a trace */
    uint64_t time;
    uint32_t rows, columns; /* of its map at most; columns 0: not over time */
};

struct picture {
    char source[256]; /* "app.allot", "process 4711 (server)": printable */
    char moment[128]; /* "at its peak, 12.3 s"; "" */
    struct heap_map *map;
    uint64_t blocks, bytes, held; /* at the moment: live, and pages with some of it */
    struct heap_map_look look;
    char **label; /* of the look's sites: where they were allocated, or what is known instead; printable */
    size_t labels;
    uint32_t top[PICTURE_SITES]; /* indices of look.pin, by what they are charged with */
    uint32_t tops;
    bool timed;                                         /* times are ns; else events */
    uint64_t begin, end, time;                          /* of the columns; and the moment, with over time */
    uint64_t *column_time, *column_holes, *column_live; /* NULL: it is of one moment */
};

/* False: it is complained. `told` hears what is waited for; NULL: that is over. */
bool picture_make(const struct picture_wanted *wanted, struct picture *out, void (*told)(const char *what));
void picture_end(struct picture *p);

/* Among `top` the one that a site is; PICTURE_SITES: none. */
uint32_t picture_rank(const struct picture *p, uint32_t site);
const char *picture_label(const struct picture *p, uint32_t site);
/* Bytes that the pages hold besides what is in use. */
static inline uint64_t picture_holes(const struct picture *p)
{
    uint64_t held = p->held * p->map->page_bytes;
    return held > p->bytes ? held - p->bytes : 0;
}

/* Draws it into a file, whole or not at all. False: it is complained. */
struct draw_wanted {
    unsigned width, height; /* pixels */
    unsigned top;           /* sites beneath, as there is room */
    bool dark;
    const char *path;
};
bool picture_draw(const struct picture *p, const struct draw_wanted *wanted);
/* How many rows and columns of a map it can show. */
void picture_plot_size(const struct draw_wanted *wanted, bool time, uint32_t *rows, uint32_t *columns);

/* On standard output: as text, at most so many columns and lines for the map itself. */
struct glyphs_wanted {
    unsigned columns, lines;
    bool colour, utf8;
    unsigned top; /* sites beneath */
};
void picture_print(const struct picture *p, const struct glyphs_wanted *wanted);
void picture_tell(const struct picture *p);

#endif
