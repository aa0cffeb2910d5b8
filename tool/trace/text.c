/* Reads the text of docs/format.md. Strict: what it does not understand, and what cannot have happened, is an error. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/text.h"
#include "trace/text_reader.h"

#define PEEK       ((size_t)64 << 10)
#define MOST_TASKS ((uint64_t)1 << 22) /* processes, and threads of one: as many as Linux can have */

/* -- events -- */

static int read_option(struct text_reader *reader, struct word word, struct trace_event *event, bool *moves)
{
    struct word value;
    uint64_t number;

    if (text_labelled(word, "@", &value)) {
        if (!word_number(value, &event->time)) {
            return text_wrong(reader, word.text, "no time:");
        }
        return event->time >= reader->time ? 0 : text_wrong(reader, word.text, "time runs backwards to");
    }
    if (text_labelled(word, "to=", &value)) {
        *moves = true;
        return text_read_id(reader, value, &event->address);
    }
    if (word_is(word, "call=calloc") || word_is(word, "call=realloc")) {
        event->call = word.text[5] == 'c' ? TRACE_CALLOC : TRACE_REALLOC_CALL;
        return 0;
    }
    const char *equals = memchr(word.text, '=', word.length);
    value = equals ? (struct word){equals + 1, word.length - (size_t)(equals + 1 - word.text)} : (struct word){0};
    if (!equals || !word_number(value, &number)) {
        return text_wrong(reader, word.text, "what is");
    }
    struct word label = {word.text, (size_t)(equals - word.text)};
    if (word_is(label, "t") && number >= 1 && number <= MOST_TASKS) {
        event->thread = (uint32_t)number;
    } else if (word_is(label, "p") && number >= 1 && number <= MOST_TASKS) {
        event->process = (uint32_t)number;
    } else if (word_is(label, "s") && number < (reader->tables.nodes ? reader->tables.nodes : 1)) {
        event->stack = (uint32_t)number;
    } else if (word_is(label, "begun")) {
        event->begun = number;
    } else if (word_is(label, "align") && number && (number & (number - 1)) == 0) {
        event->call = TRACE_ALIGNED;
        event->align = (uint32_t)__builtin_ctzll(number);
    } else {
        return text_wrong(reader, word.text, "what is");
    }
    return 0;
}

static int read_options(struct text_reader *reader, struct line_words *words, struct trace_event *event)
{
    struct word word;
    bool moves = false, called = event->op == TRACE_ALLOC || event->op == TRACE_FAILED;

    while (word_next(words, &word)) {
        if (read_option(reader, word, event, &moves) != 0) {
            return -1;
        }
        if ((moves && event->op != TRACE_REALLOC) || (event->begun != UINT64_MAX && event->op != TRACE_REALLOC) ||
            (event->call != TRACE_MALLOC && !called)) {
            return text_wrong(reader, word.text, "that does not belong to it:");
        }
    }
    if (!called) {
        event->call = 0;
    }
    if (event->op != TRACE_REALLOC) {
        event->begun = 0;
    } else if (event->begun == UINT64_MAX) {
        event->begun = event->time;
    } else if (event->begun > event->time) {
        return text_wrong(reader, reader->line.text, "it ends before it began:");
    }
    reader->time = event->time;
    return 0;
}

static int check_blocks(struct text_reader *reader, const struct trace_event *event)
{
    uint64_t given_up = event->op == TRACE_REALLOC ? event->old : event->address;
    enum alive_answer old = alive_is(&reader->live, event->process, given_up);

    /* A process that was forked off has blocks of its parent. */
    if (old == ALIVE_NO && event->op != TRACE_ALLOC && event->op != TRACE_BEFORE && event->process == 1) {
        return text_wrong(reader, reader->id, "no such block is live:");
    }
    if (event->op == TRACE_VERDICT) {
        return 0;
    }
    if (old == ALIVE_YES && (event->op == TRACE_FREE || event->op == TRACE_REALLOC)) {
        alive_ends(&reader->live, event->process, given_up);
    }
    if (event->op == TRACE_FREE) {
        return 0;
    }
    if (alive_is(&reader->live, event->process, event->address) == ALIVE_YES) {
        return text_wrong(reader, reader->id, "a block lives there already:");
    }
    alive_begins(&reader->live, event->process, event->address);
    return 0;
}

static int read_block(struct text_reader *reader, enum trace_op op, struct line_words *words, struct trace_event *event)
{
    event->op = op;
    if (text_next_id(reader, words, &event->address) != 0) {
        return -1;
    }
    event->old = op == TRACE_REALLOC ? event->address : 0;
    if (op == TRACE_VERDICT) {
        struct word word;
        if (text_next_word(reader, words, &word, "no verdict") != 0) {
            return -1;
        }
        while (event->verdict < TEXT_VERDICTS && !word_is(word, text_verdicts[event->verdict])) {
            event->verdict++;
        }
        if (event->verdict == TEXT_VERDICTS) {
            return text_wrong(reader, word.text, "no verdict:");
        }
    }
    if (op != TRACE_FREE && text_next_number(reader, words, UINT64_MAX, &event->size, "no size:") != 0) {
        return -1;
    }
    return read_options(reader, words, event) == 0 ? check_blocks(reader, event) : -1;
}

static int read_process(struct text_reader *reader, struct line_words *words, struct trace_event *event)
{
    uint64_t number;

    event->op = TRACE_PROCESS;
    if (text_next_number(reader, words, MOST_TASKS, &number, "no process's number:") != 0 ||
        text_next_number(reader, words, MOST_TASKS, &event->old, "no process that this one comes from:") != 0 ||
        text_next_text(reader, words, "no program") != 0) {
        return -1;
    }
    if (number == 0) {
        return text_wrong(reader, reader->line.text, "no process is number 0:");
    }
    event->process = (uint32_t)number;
    event->text = reader->text;
    return read_options(reader, words, event);
}

/* The others that are events; 0: `op` is none. */
static int read_other(struct text_reader *reader, struct word op, struct line_words *words, struct trace_event *event)
{
    struct word word;
    int failed = 0;

    if (word_is(op, "failed")) {
        event->op = TRACE_FAILED;
        failed = text_next_number(reader, words, UINT64_MAX, &event->size, "no size:");
    } else if (word_is(op, "mark") || word_is(op, "thread")) {
        event->op = op.text[0] == 'm' ? TRACE_MARK : TRACE_THREAD;
        failed = text_next_text(reader, words, "no name");
        event->text = reader->text;
    } else if (word_is(op, "exit")) {
        event->op = TRACE_EXIT;
        failed = text_next_word(reader, words, &word, "no way of exit");
        event->size = word_is(word, "itself");
        if (!failed && !event->size && !word_is(word, "unknown")) {
            return text_wrong(reader, word.text, "no way of exit:");
        }
    } else if (word_is(op, "counters")) {
        event->op = TRACE_COUNTERS;
        failed = text_next_number(reader, words, UINT64_MAX, &event->size, "no resident bytes:") ||
                 text_next_number(reader, words, UINT64_MAX, &event->old, "no mapped bytes:");
    } else if (word_is(op, "lost")) {
        event->op = TRACE_LOST;
        failed = text_next_number(reader, words, UINT64_MAX, &event->size, "no count:");
        reader->about->lost += event->size;
    } else {
        return 0;
    }
    return failed || read_options(reader, words, event) != 0 ? -1 : 1;
}

/* What is no event. 0: done. */
static int read_about(struct text_reader *reader, struct word op, struct line_words *words)
{
    struct trace_about *about = reader->about;
    uint64_t number;

    if (op.text[0] == '#' || word_is(op, "allot-text")) { /* the latter was seen when the file was opened */
        return 0;
    }
    if (word_is(op, "s")) {
        return text_read_node(reader, words);
    }
    if (word_is(op, "m")) {
        return text_read_module(reader, words);
    }
    if (word_is(op, "command")) {
        struct word word;
        return text_next_word(reader, words, &word, "no command") == 0 && (about->command = text_kept(reader, word))
                   ? 0
                   : -1;
    }
    if (word_is(op, "began")) {
        if (text_next_number(reader, words, INT64_MAX, &number, "no time:") != 0) {
            return -1;
        }
        about->began = (int64_t)number;
        return 0;
    }
    if (word_is(op, "cost")) {
        return text_next_number(reader, words, UINT64_MAX, &about->waited_ns, "no time:") ||
                       text_next_number(reader, words, UINT64_MAX, &about->collector_cpu_ns, "no time:")
                   ? -1
                   : 0;
    }
    if (word_is(op, "truncated")) {
        about->truncated = true;
        return 0;
    }
    return text_wrong(reader, op.text, "what is");
}

static int read_event(struct text_reader *reader, struct word op, struct line_words *words, struct trace_event *event)
{
    static const struct {
        const char *name;
        enum trace_op op;
    } blocks[] = {{"a", TRACE_ALLOC},
                  {"f", TRACE_FREE},
                  {"r", TRACE_REALLOC},
                  {"before", TRACE_BEFORE},
                  {"verdict", TRACE_VERDICT}};

    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        if (word_is(op, blocks[i].name)) {
            return read_block(reader, blocks[i].op, words, event) == 0 ? 1 : -1;
        }
    }
    if (word_is(op, "process")) {
        return read_process(reader, words, event) == 0 ? 1 : -1;
    }
    return read_other(reader, op, words, event);
}

static int text_next(void *state, struct trace_event *event, struct trace_error *error)
{
    struct text_reader *reader = state;
    int answer;

    reader->error = error;
    while ((answer = input_line(reader->input, &reader->line, error)) > 0) {
        struct line_words words = line_words(&reader->line);
        struct word op;
        if (!word_next(&words, &op)) {
            continue;
        }
        *event = (struct trace_event){
            .call = TRACE_MALLOC, .process = 1, .thread = 1, .time = reader->time, .begun = UINT64_MAX};
        answer = read_event(reader, op, &words, event);
        if (answer == 0) {
            answer = read_about(reader, op, &words);
        }
        if (answer != 0) {
            reader->about->events += answer > 0;
            return answer;
        }
    }
    if (answer == 0) {
        tables_settle(&reader->tables);
    }
    return answer;
}

/* -- opening -- */

static bool is_event(struct word op)
{
    return word_is(op, "a") || word_is(op, "f") || word_is(op, "r") || word_is(op, "before");
}

static bool text_is(const unsigned char *head, size_t bytes, const char *path)
{
    (void)path;
    const char *at = (const char *)head, *end = at + bytes;

    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        struct line_words words = {at, newline ? newline : end};
        struct word op, id;
        uint64_t number;
        if (word_next(&words, &op) && op.text[0] != '#') {
            return word_is(op, "allot-text") || ((is_event(op) || word_is(op, "s") || word_is(op, "m")) &&
                                                 word_next(&words, &id) && word_number(id, &number));
        }
        if (!newline) {
            return op.length > 0 && bytes > 1;
        }
        at = newline + 1;
    }
    return false;
}

/* What the file holds, by its first line, or by the lines at its beginning. */
static void look_ahead(struct text_reader *reader)
{
    size_t bytes;
    const char *at = input_peek(reader->input, PEEK, &bytes, NULL), *end = at + bytes, *newline;
    struct trace_about *about = reader->about;
    struct trace_error ignored;       /* met again, and told, when that line is read */
    bool said = false, known = false; /* what it says; what its first block is */

    reader->error = &ignored;
    for (; at < end && (newline = memchr(at, '\n', (size_t)(end - at))); at = newline + 1) {
        struct line_words words = {at, newline};
        struct word op, word;
        if (!word_next(&words, &op)) {
            continue;
        }
        reader->line = (struct line){.text = at, .length = (size_t)(newline - at)};
        if (word_is(op, "command") || word_is(op, "began")) {
            read_about(reader, op, &words);
            continue;
        }
        bool says = word_is(op, "allot-text");
        about->has_stacks |= word_is(op, "s") && !said;
        bool id = is_event(op) && !known;
        known |= id;
        for (; !said && word_next(&words, &word); id = false) {
            about->has_addresses |=
                (id && word.length > 2 && word.text[1] == 'x') || (says && word_is(word, "addresses"));
            about->has_times |= word.text[0] == '@' || (says && word_is(word, "times"));
            about->has_stacks |= says && word_is(word, "stacks");
        }
        said |= says;
    }
    reader->error = NULL;
}

static void text_close(void *state)
{
    struct text_reader *reader = state;

    if (reader->input) {
        input_close(reader->input);
    }
    tables_done(&reader->tables);
    alive_done(&reader->live);
    free(reader->text);
    free(reader);
}

static void *text_open(int fd, struct trace_about *about, struct trace_error *error)
{
    struct text_reader *reader = calloc(1, sizeof *reader);

    if (!reader) {
        snprintf(error->line, sizeof error->line, "out of memory");
        return NULL;
    }
    reader->about = about;
    reader->input = input_open(fd, about, error);
    if (!reader->input) {
        text_close(reader);
        return NULL;
    }
    look_ahead(reader);
    return reader;
}

static const struct trace_node *text_nodes(const void *reader, uint32_t *count)
{
    return tables_nodes(&((const struct text_reader *)reader)->tables, count);
}

static const struct trace_frame *text_frames(const void *reader, uint32_t *count)
{
    return tables_frames(&((const struct text_reader *)reader)->tables, count);
}

static const struct trace_module *text_modules(const void *reader, uint32_t *count)
{
    return tables_modules(&((const struct text_reader *)reader)->tables, count);
}

const struct trace_format trace_format_text = {
    .name = "text",
    .is = text_is,
    .open = text_open,
    .next = text_next,
    .nodes = text_nodes,
    .frames = text_frames,
    .modules = text_modules,
    .close = text_close,
};
