/* pages/read_csv.c - one column of a table whose fields stand between commas, semicolons, tabs or bars.
 *
 *     version,time,op,size,lbn         <- a first line of names, where there is one
 *     1,5633898,2a,512,42932745
 *
 * An id is any text, compared byte by byte: what it means is not asked, but where it is an address.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pages/reading.h"

#define FIRST_LINES ((size_t)64 << 10) /* the first two lines are looked for in so many bytes */

static const char delimiters[] = ",;\t|";

struct table {
    char delimiter;
    unsigned column; /* from 1 */
};

/* The one that the line has most of; 0: none of them. */
static char delimiter_of(const char *line, size_t length)
{
    size_t count[sizeof delimiters] = {0}, best = 0;
    for (size_t i = 0; i < length; i++) {
        const char *at = line[i] ? strchr(delimiters, line[i]) : NULL;
        if (at) {
            count[at - delimiters]++;
        }
    }
    for (size_t i = 1; i < sizeof delimiters - 1; i++) {
        best = count[i] > count[best] ? i : best;
    }
    return count[best] ? delimiters[best] : 0;
}

bool is_csv(const char *head, size_t bytes)
{
    const char *end = memchr(head, '\n', bytes);
    return delimiter_of(head, end ? (size_t)(end - head) : bytes) != 0;
}

/* -- fields -- */

/* The field at *at, without blanks and quotes around it; *at is then behind its delimiter, or NULL: it was the last. False: its
 * quotes do not end. */
static bool next_field(char delimiter, const char **at, const char *end, struct word *field)
{
    const char *from = *at, *to;
    while (from < end && *from == ' ' && delimiter != ' ') {
        from++;
    }
    if (from < end && *from == '"') {
        to = ++from;
        while (to < end && (*to != '"' || (to + 1 < end && to[1] == '"'))) {
            to += *to == '"' ? 2 : 1;
        }
        if (to >= end) {
            return false;
        }
        *field = (struct word){from, (size_t)(to - from)};
        from = to + 1;
        to = memchr(from, delimiter, (size_t)(end - from));
    } else {
        to = memchr(from, delimiter, (size_t)(end - from));
        const char *last = to ? to : end;
        while (last > from && last[-1] == ' ') {
            last--;
        }
        *field = (struct word){from, (size_t)(last - from)};
    }
    *at = to ? to + 1 : NULL;
    return true;
}

static bool is_number(struct word field)
{
    uint64_t number;
    char *end, text[40];
    if (word_number(field, &number)) {
        return true;
    }
    if (field.length == 0 || field.length >= sizeof text) {
        return false;
    }
    memcpy(text, field.text, field.length);
    text[field.length] = '\0';
    strtod(text, &end);
    return !*end;
}

static bool has_number(char delimiter, const char *text, size_t length)
{
    struct word field;
    for (const char *at = text; at && next_field(delimiter, &at, text + length, &field);) {
        if (is_number(field)) {
            return true;
        }
    }
    return false;
}

/* -- the first line -- */

/* As it is compared: small letters and digits only. */
static void plain(char *out, size_t room, struct word name)
{
    size_t length = 0;
    for (size_t i = 0; i < name.length && length + 1 < room; i++) {
        if (isalnum((unsigned char)name.text[i])) {
            out[length++] = (char)tolower((unsigned char)name.text[i]);
        }
    }
    out[length] = '\0';
}

static bool is_name_of_ids(struct word name)
{
    static const char *const known[] = {"objid",   "objectid", "id",      "key",        "lbn",
                                        "lba",     "block",    "blockid", "page",       "pageid",
                                        "address", "addr",     "vaddr",   "pagenumber", "blocknumber"};
    char text[24];
    plain(text, sizeof text, name);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(text, known[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* The number of the column of that name, or of one that is called as ids are; 0: there is none. */
static unsigned column_named(const struct table *t, const struct line *line, const char *name)
{
    struct word field;
    unsigned column = 0;
    for (const char *at = line->text; at && next_field(t->delimiter, &at, line->text + line->length, &field);) {
        column++;
        if (name ? word_is(field, name) : is_name_of_ids(field)) {
            return column;
        }
    }
    return 0;
}

static int no_column(struct reading *r, const struct line *line)
{
    bool named = r->wanted->column;
    r->todo = named ? "name one that is there, or give its number" : "say which: --column NAME or --column 2";
    return line_wrong(r->error, line, line->text,
                      named ? "no column of that name among" : "no column that is called as ids are, among");
}

/* Which column it is, and whether the first line is one of names: 1, 0 or READING_FAILED. */
static int begin(struct reading *r, struct table *t)
{
    size_t bytes;
    const char *head = input_peek(r->input, FIRST_LINES, &bytes, r->error), *stop = head + bytes;
    const char *end = memchr(head, '\n', bytes), *second = end ? end + 1 : stop;
    struct line line = {.text = head, .length = (size_t)((end ? end : stop) - head), .number = 1};
    const char *wanted = r->wanted->column;
    char *rest;
    if (r->error->line[0]) {
        return READING_FAILED;
    }
    line.length -= line.length > 0 && line.text[line.length - 1] == '\r';
    t->delimiter = delimiter_of(line.text, line.length);
    t->delimiter = t->delimiter ? t->delimiter : ',';
    unsigned long number = wanted ? strtoul(wanted, &rest, 10) : 0;
    if (!number || *rest) {
        t->column = column_named(t, &line, wanted);
        return t->column ? 1 : no_column(r, &line);
    }
    t->column = number < FIRST_LINES ? (unsigned)number : FIRST_LINES;
    end = memchr(second, '\n', (size_t)(stop - second));
    return !has_number(t->delimiter, line.text, line.length) &&
           has_number(t->delimiter, second, (size_t)((end ? end : stop) - second));
}

/* -- the lines -- */

static int add_line(struct reading *r, const struct table *t, const struct line *line)
{
    const char *at = line->text, *end = line->text + line->length;
    struct word field = {0};
    for (unsigned column = 0; column < t->column; column++) {
        if (!at) {
            char what[60];
            snprintf(what, sizeof what, "no column %u", t->column);
            return line_wrong(r->error, line, end, what);
        }
        if (!next_field(t->delimiter, &at, end, &field)) {
            return line_wrong(r->error, line, line->text, "no end of quotes");
        }
    }
    if (!r->refs->addresses) {
        return reading_add_text(r, field.text, field.length);
    }
    uint64_t address;
    if (!word_number(field, &address)) {
        return line_wrong(r->error, line, field.text, "no address");
    }
    return reading_beyond(r, address) ? reading_says_beyond(r, line, field.text) : reading_add(r, address);
}

int read_csv(struct reading *r)
{
    struct table t = {0};
    struct line line;
    int got, state = READING_ON, names = begin(r, &t);
    if (names < 0) {
        return READING_FAILED;
    }
    while (state == READING_ON && (got = reading_line(r, &line)) != 0) {
        if (got < 0) {
            return READING_FAILED;
        }
        if (line.length > 0 && (line.number > 1 || !names)) {
            state = add_line(r, &t, &line);
        }
    }
    return state;
}
