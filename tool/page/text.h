/* page/text.h - a page's views as text, for a terminal or a file: what --view prints. */
#ifndef ALLOT_PAGE_TEXT_H
#define ALLOT_PAGE_TEXT_H

#include "page/page.h"
#include "words.h"

/* What sites can be measured by: of a flame graph, and the order of a table. */
enum measure {
    BY_PEAK_BYTES,
    BY_LEFT_BYTES,
    BY_COUNT,
    BY_BRIEF,
    BY_ALL_BYTES,
    BY_GROWN,
    BY_REALLOCATED,
    BY_ROUNDED,
    BY_PINNED,
    BY_LOST,
    MEASURES
};
struct measured {
    const char *name, *title;
    bool bytes; /* else a count */
};
extern const struct measured measures[MEASURES];
uint64_t measure_of(const struct page_site *site, enum measure by);

struct text_wanted {
    enum measure by;
    size_t top; /* rows; 0: all */
};

void text_timeline(const struct page *page, const struct text_wanted *wanted);
void text_flame(const struct page *page, const struct text_wanted *wanted);
void text_map(const struct page *page, const struct text_wanted *wanted);
void text_sizes(const struct page *page, const struct text_wanted *wanted);
void text_lifetimes(const struct page *page, const struct text_wanted *wanted);
void text_sites(const struct page *page, const struct text_wanted *wanted);
void text_leaks(const struct page *page, const struct text_wanted *wanted);
void text_diff(const struct page *page, const struct text_wanted *wanted);
void text_threads(const struct page *page, const struct text_wanted *wanted);

/* -- for those -- */
size_t text_width(void);     /* of a line; 100 where no terminal is known */
const char *text_bold(void); /* and back to plain */
const char *text_dim(void);
const char *text_plain(void);
void text_heading(const char *text);
struct words text_time(const struct page *page, uint64_t time);
struct words text_measure(const struct measured *measured, uint64_t value);
/* A frame of the catalogue in words; how many columns it took. */
size_t text_frame(const struct page *page, uint32_t frame, size_t width);
/* A bar of `part` of `most`, at most `longest` columns; no blanks behind it. */
void text_bar(uint64_t part, uint64_t most, size_t longest);
/* Values as a row of blocks of different heights, `columns` of them at most, each the most of those that it stands for. */
void text_sparks(const uint64_t *value, uint32_t count, uint32_t columns);
/* One cell of a map: 0 nothing yet, 1 empty, 2 .. 255 how full. */
void text_shade(unsigned shade);

#endif
