/* See refs.h: which format a file has, and what all readers give their references to. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pages/reading.h"

#define HEAD 4096

static const struct {
    const char *name, *words;
} formats[REFS_FORMATS] = {
    [REFS_ANY] = {"", ""},
    [REFS_IDS] = {"ids", "one id a line"},
    [REFS_CSV] = {"csv", "a column of a table"},
    [REFS_ORACLE] = {"oracle", "libCacheSim's oracleGeneral"},
    [REFS_LACKEY] = {"lackey", "valgrind's lackey"},
};

const char *refs_format_words(enum refs_format format) { return formats[format].words; }
const char *refs_format_name(enum refs_format format) { return formats[format].name; }

enum refs_format refs_format_named(const char *name)
{
    enum refs_format format = REFS_ANY + 1;
    while (format < REFS_FORMATS && strcmp(name, formats[format].name) != 0) {
        format++;
    }
    return format;
}

/* -- what readers call -- */

/* What is dropped is marked, and goes when enough of it may be there. */
#define DROPPED UINT32_MAX
#define PACK    ((size_t)1 << 20)

static int by_place(const void *a, const void *b)
{
    const struct refs_recent *x = *(struct refs_recent *const *)a, *y = *(struct refs_recent *const *)b;
    return (x->at > y->at) - (x->at < y->at);
}

static void pack(struct refs *refs, size_t from)
{
    struct refs_recent *recent[REFS_WINDOW_MOST + 1];
    unsigned count = 0, next = 0;
    for (unsigned i = 0; i < refs->recents; i++) {
        if (refs->recent[i].at >= from) {
            recent[count++] = &refs->recent[i];
        }
    }
    qsort(recent, count, sizeof recent[0], by_place);
    size_t to = from;
    for (size_t i = from; i < refs->kept.count; i++) {
        if (refs->kept.at[i] != DROPPED) {
            for (; next < count && recent[next]->at == i; next++) {
                recent[next]->at = to;
            }
            refs->kept.at[to++] = refs->kept.at[i];
        }
    }
    refs->kept.count = refs->packed = to;
}

/* That page, now kept at the end, is the last one; its reference before goes if it may. */
static void reduce(struct refs *refs, uint32_t page)
{
    struct refs_recent *recent = refs->recent, now = {page, refs->kept.count - 1, refs->references, 0};
    unsigned i = 0, others = 0;
    while (i < refs->recents && recent[i].page != page) {
        i++;
    }
    if (i < refs->recents) {
        now.previous = recent[i].last;
        while (others < refs->recents && recent[others].last > recent[i].previous) {
            others++; /* with the page itself */
        }
        if (recent[i].previous && others <= refs->window) {
            refs->kept.at[recent[i].at] = DROPPED;
            now.previous = recent[i].previous;
        }
    } else if (refs->recents <= refs->window) {
        refs->recents++;
    } else {
        i--;
    }
    memmove(recent + 1, recent, i * sizeof *recent);
    recent[0] = now;
    if (refs->kept.count - refs->packed >= PACK) {
        pack(refs, refs->packed);
    }
}

static int fail(struct reading *r, const char *what, const char *todo)
{
    snprintf(r->error->line, sizeof r->error->line, "%s", what);
    r->todo = todo;
    return READING_FAILED;
}

static int add(struct reading *r, uint32_t page)
{
    struct refs *refs = r->refs;
    if (page == UINT32_MAX) {
        return fail(r, refs->ids.count >= IDS_MOST ? "more than a billion pages" : "no memory for that many pages",
                    "--limit takes only so many references");
    }
    refs->references++;
    if (refs->kept.count == REFS_MOST) {
        return fail(r, "more than 2,147,483,648 references", "--limit takes only so many");
    }
    if (!vector_add(&refs->kept, page)) {
        return fail(r, errno == ENOMEM ? "no memory for that many references" : "no room for that many references",
                    "set TMPDIR to a folder with room, or give --limit");
    }
    if (refs->window) {
        reduce(refs, page);
    }
    return refs->references == r->wanted->limit ? READING_ENOUGH : READING_ON;
}

int reading_add(struct reading *r, uint64_t id) { return add(r, ids_number(&r->refs->ids, id >> r->refs->page_shift)); }

int reading_add_text(struct reading *r, const char *text, size_t bytes)
{
    return add(r, ids_text(&r->refs->ids, text, bytes));
}

int reading_says_beyond(struct reading *r, const struct line *line, const char *at)
{
    r->todo = "give --table more bits";
    return line_wrong(r->error, line, at, "an address beyond the page table");
}

void reading_step(struct reading *r)
{
    if (++r->steps % 65536 == 0 && r->wanted->progress) {
        r->wanted->progress(r->path, r->about.read, r->about.bytes);
    }
}

int reading_line(struct reading *r, struct line *line)
{
    reading_step(r);
    int got = input_line(r->input, line, r->error);
    if (got > 0 && r->wanted->until && word_is((struct word){line->text, line->length}, r->wanted->until)) {
        r->ended = true;
        return 0;
    }
    return got;
}

/* -- one id a line -- */

int read_ids(struct reading *r)
{
    struct line line;
    int got, state = READING_ON;
    while (state == READING_ON && (got = reading_line(r, &line)) != 0) {
        if (got < 0) {
            return READING_FAILED;
        }
        struct line_words words = line_words(&line);
        struct word id, more;
        uint64_t number;
        if (!word_next(&words, &id)) {
            continue;
        }
        if (!word_number(id, &number)) {
            r->todo = "names are read as a table: --format csv --column 1";
            return line_wrong(r->error, &line, id.text, "no page's number");
        }
        if (word_next(&words, &more)) {
            return line_wrong(r->error, &line, more.text, "more than one number in a line:");
        }
        if (r->refs->addresses && reading_beyond(r, number)) {
            return reading_says_beyond(r, &line, id.text);
        }
        state = reading_add(r, number);
    }
    return state;
}

/* -- which format -- */

static enum refs_format recognise(struct reading *r)
{
    size_t bytes;
    const char *head = input_peek(r->input, HEAD, &bytes, r->error);
    if (r->error->line[0]) {
        return REFS_ANY;
    }
    if (bytes == 0) {
        fail(r, "an empty file", "give one with references");
        return REFS_ANY;
    }
    if (memchr(head, 0, bytes)) {
        if (is_oracle((const unsigned char *)head, bytes)) {
            return REFS_ORACLE;
        }
        fail(r, "no trace of references in a format that allot knows, at byte 0", "see allot pages --help");
        return REFS_ANY;
    }
    return is_lackey(head, bytes) ? REFS_LACKEY : is_csv(head, bytes) ? REFS_CSV : REFS_IDS;
}

static int read_as(struct reading *r)
{
    switch (r->refs->format) {
    case REFS_IDS:
        return read_ids(r);
    case REFS_CSV:
        return read_csv(r);
    case REFS_ORACLE:
        return read_oracle(r);
    case REFS_LACKEY:
        return read_lackey(r);
    default:
        return READING_FAILED;
    }
}

static int read_all(struct reading *r)
{
    struct refs *refs = r->refs;
    refs->format = r->wanted->format ? r->wanted->format : recognise(r);
    refs->addresses = r->wanted->addresses || refs->format == REFS_LACKEY;
    refs->page_shift = refs->addresses ? r->wanted->page_shift : 0;
    refs->window = r->wanted->window >= 0                                 ? (unsigned)r->wanted->window
                   : refs->format == REFS_LACKEY && !r->wanted->addresses ? REFS_WINDOW_OF_LACKEY
                                                                          : 0;
    int state = read_as(r);
    pack(refs, 0);
    if (state == READING_ON && r->about.truncated) {
        snprintf(r->error->line, sizeof r->error->line, "compressed data that ends early, at byte %llu",
                 (unsigned long long)r->about.read);
        r->todo = "get all of it";
        return READING_FAILED;
    }
    if (state != READING_FAILED && refs->references == 0) {
        return fail(r, "no reference in it", "give another file, or its --format");
    }
    return state;
}

/* What is left up to wanted->until, whatever it says. */
static void read_rest(struct reading *r)
{
    struct trace_error ignored, *error = r->error;
    struct line line;
    int got = 1;
    r->error = &ignored;
    while (got > 0 && !r->ended) {
        got = reading_line(r, &line);
    }
    r->error = error;
}

bool refs_read(struct refs *refs, int fd, const char *path, const struct refs_wanted *wanted, struct trace_error *error)
{
    struct trace_error what = {{0}};
    struct reading r = {.refs = refs, .wanted = wanted, .path = path, .error = &what};
    *refs = (struct refs){0};
    r.input = input_open(fd, &r.about, &what);
    bool read = r.input && read_all(&r) != READING_FAILED;
    if (r.input && wanted->until) {
        read_rest(&r);
    }
    if (r.input) {
        input_close(r.input);
    }
    if (!read) {
        size_t length = strlen(path);
        snprintf(error->line, sizeof error->line, "%.110s, %s, %.60s", what.line,
                 length > 80 ? path + length - 80 : path, r.todo ? r.todo : "mend it, or give its --format");
        refs_end(refs);
    }
    return read;
}

void refs_end(struct refs *refs)
{
    vector_end(&refs->kept);
    ids_end(&refs->ids);
    *refs = (struct refs){0};
}
