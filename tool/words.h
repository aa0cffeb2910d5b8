/* Figures and names as a reader wants them: few digits with their unit, and no name can tell a terminal what to do. */
#ifndef ALLOT_TOOL_WORDS_H
#define ALLOT_TOOL_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct words {
    char text[32];
};

struct words words_bytes(uint64_t bytes);                  /* 12.3 MiB */
struct words words_change(uint64_t before, uint64_t now);  /* +12.3 MiB */
struct words words_count(uint64_t count);                  /* 1234567 as 1,234,567 */
struct words words_ns(uint64_t ns);                        /* 3.41 s, 12.0 ms, 150 us */
struct words words_percent(uint64_t part, uint64_t whole); /* 44 %, 0.3 %; of nothing: 0 % */

/* "1 block", "2 blocks". */
const char *words_s(uint64_t count);

/* `text` in at most `width` columns (0: all of it), "..." at its end where it is longer. What is no printable character, be it
 * a broken one or one that turns the direction of text, is a question mark. How many columns it took. */
size_t words_put(FILE *to, const char *text, size_t width);

/* The last part of a path. */
const char *words_base(const char *path);

/* Bytes as people write them: 200M, 1.5G, 4096; units of 1024. False: it is none. */
bool words_read_bytes(const char *text, uint64_t *bytes);
/* A number, of digits only; one that is a part of a text, up to `end`; and one that is not 0 and may be hexadecimal: 0x7f0e0a4010.
 * False: it is none, or more than `most`. */
bool words_read_number(const char *text, uint64_t most, uint64_t *number);
bool words_read_part(const char *text, const char *end, uint64_t most, uint64_t *number);
bool words_read_address(const char *text, uint64_t *address);
/* A span of time: 1.5 (seconds), 20ms, 3us, 2s, 5min. */
bool words_read_ns(const char *text, uint64_t *ns);

/* Whether standard output is a terminal that is to have colours. */
bool words_colour(void);
/* Columns of the terminal that standard output is; 0: it is none. */
size_t words_columns(void);
/* Whether what is printed may hold more than ASCII. */
bool words_utf8(void);

/* One code point of UTF-8 at `text` (not its end) and its bytes in *length; -1 and 1 byte: it is none. */
int32_t words_decode(const char *text, size_t *length);
/* Whether a terminal shows it: false for control characters, those that turn the direction of text, and -1. */
bool words_printable(int32_t point);

#endif
