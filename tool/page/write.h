/* page/write.h - a page's data as JSON: the interface Report of web/src/data.ts, which says what each figure is. */
#ifndef ALLOT_PAGE_WRITE_H
#define ALLOT_PAGE_WRITE_H

#include "json.h"
#include "page/page.h"

/* Parts of a report; about, the verdict and the times are always there. */
enum page_part {
    PART_TABLES = 1, /* texts, frames, stacks, sites: what all others point into */
    PART_TIMELINE = 2,
    PART_SERIES = 4,
    PART_SIZES = 8,
    PART_LIFETIMES = 16,
    PART_THREADS = 32,
    PART_MAP = 64,
    PART_LEAKS = 128,
    PART_STRATEGIES = 256,
    PART_DIFF = 512,
    PART_ALL = 1023
};

void page_json(FILE *to, const struct page *page, unsigned parts);

/* -- for write.c -- */
void write_about(struct json *json, const char *key, const struct look *look);
void write_sites(struct json *json, const struct page *page);
void write_series(struct json *json, const struct page *page);
void write_map(struct json *json, const struct page *page);
void write_diff(struct json *json, const struct page *page);
void write_strategies(struct json *json, const struct page *page);
void write_advice(struct json *json, const struct page *page);

/* A column: `value` of each i below `count`. */
#define COLUMN(json, key, count, value)        \
    do {                                       \
        json_array(json, key);                 \
        for (size_t i = 0; i < (count); i++) { \
            json_number(json, NULL, value);    \
        }                                      \
        json_end(json);                        \
    } while (0)

#endif
