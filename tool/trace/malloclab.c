/* Reads .rep files of malloc assignments and allocators' tests: four numbers, of which the second says how many blocks have names and
 * the third how many lines follow; then `a ID SIZE`, `r ID SIZE`, `f ID`. Blocks have numbers, not addresses; no threads, times or
 * stacks. A free of block -1 is free(NULL) and left out. Strict: more lines than announced and blocks that are not live are errors. */
#include <stdio.h>
#include <stdlib.h>

#include "trace/alive.h"
#include "trace/input.h"
#include "trace/tables.h"
#include "trace/text.h"

enum { HEAP_BYTES, IDS, LINES, WEIGHT, HEADER };

struct reader {
    struct input *input;
    struct trace_about *about;
    struct alive live;
    struct line line;
    uint64_t header[HEADER];
};

/* A line that holds one number and nothing else. */
static bool lone_number(struct line_words words, uint64_t *number)
{
    struct word word, other;
    return word_next(&words, &word) && word_number(word, number) && !word_next(&words, &other);
}

static bool malloclab_is(const unsigned char *head, size_t bytes, const char *path)
{
    (void)path;
    const char *at = (const char *)head, *end = at + bytes;

    for (int i = 0; i <= HEADER; i++) {
        const char *stop = at;
        while (stop < end && *stop != '\n' && *stop != '\r') {
            stop++;
        }
        struct line_words words = {at, stop};
        struct word word;
        uint64_t number;
        if (i < HEADER && !lone_number(words, &number)) {
            return false;
        }
        if (i == HEADER && at < end) {
            return word_next(&words, &word) && (word_is(word, "a") || word_is(word, "r") || word_is(word, "f"));
        }
        at = stop + (stop < end && *stop == '\r');
        at += at < end && *at == '\n';
    }
    return true; /* no lines at all */
}

static int wrong(const struct reader *reader, struct word word, const char *what, struct trace_error *error)
{
    return line_wrong(error, &reader->line, word.text, what);
}

static int read_event(struct reader *reader, struct line_words words, struct trace_event *event,
                      struct trace_error *error)
{
    struct word op, id, size, more;
    uint64_t number;

    word_next(&words, &op);
    bool frees = word_is(op, "f");
    if (!frees && !word_is(op, "a") && !word_is(op, "r")) {
        return wrong(reader, op, "what is", error);
    }
    if (!word_next(&words, &id) ||
        ((!word_number(id, &number) || number >= TEXT_IDS) && !(frees && word_is(id, "-1")))) {
        return wrong(reader, id, "no block's number:", error);
    }
    if (word_is(id, "-1")) {
        return 0;
    }
    *event = (struct trace_event){.process = 1, .thread = 1, .address = text_address_of(number)};
    if (number >= reader->header[IDS]) {
        return wrong(reader, id, "a number beyond those that line 2 announces:", error);
    }
    if (!frees && (!word_next(&words, &size) || !word_number(size, &event->size))) {
        return wrong(reader, size, "no size:", error);
    }
    if (word_next(&words, &more)) {
        return wrong(reader, more, "what is", error);
    }
    enum alive_answer old = alive_is(&reader->live, 1, event->address);
    if (op.text[0] == 'a') {
        event->op = TRACE_ALLOC;
        event->call = TRACE_MALLOC;
        if (old == ALIVE_YES) {
            return wrong(reader, id, "the block lives already:", error);
        }
        alive_begins(&reader->live, 1, event->address);
    } else if (old == ALIVE_NO) {
        return wrong(reader, id, "no such block is live:", error);
    } else if (frees) {
        event->op = TRACE_FREE;
        alive_ends(&reader->live, 1, event->address);
    } else {
        event->op = TRACE_REALLOC;
        event->old = event->address;
    }
    return 1;
}

static int malloclab_next(void *state, struct trace_event *event, struct trace_error *error)
{
    struct reader *reader = state;
    int answer;

    while ((answer = input_line(reader->input, &reader->line, error)) > 0) {
        struct line_words words = line_words(&reader->line);
        struct word word;
        if (!word_next(&words, &word)) {
            continue;
        }
        if (reader->header[LINES] == 0) {
            return wrong(reader, word, "more lines than line 3 announces:", error);
        }
        reader->header[LINES]--;
        answer = read_event(reader, line_words(&reader->line), event, error);
        if (answer != 0) {
            reader->about->events += answer > 0;
            return answer;
        }
    }
    reader->about->truncated |= answer == 0 && reader->header[LINES] > 0;
    return answer;
}

static void malloclab_close(void *state)
{
    struct reader *reader = state;

    if (reader->input) {
        input_close(reader->input);
    }
    alive_done(&reader->live);
    free(reader);
}

static int read_header(struct reader *reader, struct trace_error *error)
{
    for (int i = 0; i < HEADER; i++) {
        int answer = input_line(reader->input, &reader->line, error);
        if (answer == 0) {
            snprintf(error->line, sizeof error->line, "the header ends before line %d", i + 1);
        }
        if (answer <= 0) {
            return -1;
        }
        if (!lone_number(line_words(&reader->line), &reader->header[i])) {
            return line_wrong(error, &reader->line, reader->line.text, "no number of the header:");
        }
    }
    return 0;
}

static void *malloclab_open(int fd, struct trace_about *about, struct trace_error *error)
{
    struct reader *reader = calloc(1, sizeof *reader);

    if (!reader) {
        snprintf(error->line, sizeof error->line, "out of memory");
        return NULL;
    }
    reader->about = about;
    reader->input = input_open(fd, about, error);
    if (!reader->input || read_header(reader, error) != 0) {
        malloclab_close(reader);
        return NULL;
    }
    return reader;
}

static const struct tables no_tables;

static const struct trace_node *malloclab_nodes(const void *reader, uint32_t *count)
{
    (void)reader;
    return tables_nodes(&no_tables, count);
}

static const struct trace_frame *malloclab_frames(const void *reader, uint32_t *count)
{
    (void)reader;
    return tables_frames(&no_tables, count);
}

static const struct trace_module *malloclab_modules(const void *reader, uint32_t *count)
{
    (void)reader;
    return tables_modules(&no_tables, count);
}

const struct trace_format trace_format_malloclab = {
    .name = "malloclab",
    .is = malloclab_is,
    .open = malloclab_open,
    .next = malloclab_next,
    .nodes = malloclab_nodes,
    .frames = malloclab_frames,
    .modules = malloclab_modules,
    .close = malloclab_close,
};
