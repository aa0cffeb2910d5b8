/* top/rows.h - the tables of `allot top`, as text: sorted, each row its figures and a name. For the screen and for who reads a line at a time. */
#ifndef ALLOT_TOP_ROWS_H
#define ALLOT_TOP_ROWS_H

#include "json.h"
#include "top/feed.h"
#include "top/places.h"

enum rows_view { ROWS_SITES, ROWS_CLASSES, ROWS_THREADS, ROWS_TAGS, ROWS_VIEWS };
extern const char *const rows_names[ROWS_VIEWS];

/* By which figure, most first; a view that has none like that is sorted by what lives. */
enum rows_sort { ROWS_LIVE, ROWS_RATE, ROWS_BLOCKS, ROWS_TOTAL, ROWS_SINCE, ROWS_SORTS };
extern const char *const rows_sorts[ROWS_SORTS];

enum { ROWS_MOST = 128 };

struct rows_row {
    char figures[96]; /* in columns, under the heading's */
    char name[256];   /* printable */
    uint32_t site;    /* index of the feed's sites: the one that holds most of those that are one row */
};

struct rows {
    char heading[128];
    struct rows_row row[ROWS_MOST];
    size_t count;
    uint64_t all; /* how many there would be */
};

/* `narrow`: without what is left out first, so that names have room. */
void rows_make(struct rows *rows, struct feed *feed, struct places *places, enum rows_view view, enum rows_sort sort,
               bool narrow);
/* The same as arrays of the object that is open. */
void rows_tell(struct json *json, struct feed *feed, struct places *places, size_t most);

/* So much a second: "12.3 MiB/s"; "-": not known. */
struct rows_text {
    char text[32];
};
struct rows_text rows_rate_bytes(double rate);
struct rows_text rows_rate_count(double rate);

#endif
