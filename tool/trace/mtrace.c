/* Reads what glibc's mtrace() writes to the file that MALLOC_TRACE names:
 *
 *   = Start
 *   @ ./program:(main+0x1c)[0x11c9] + 0x55d0c8a5f2a0 0x10      malloc, calloc and their kin
 *   @ ./program:[0x11e0] < 0x55d0c8a5f2a0                      realloc gives this up,
 *   @ ./program:[0x11e0] > 0x55d0c8a5f2c0 0x20                 and has this
 *   @ ./program:[0x11e0] ! 0x55d0c8a5f2c0 0x20                 realloc failed
 *   @ ./program:[0x11ee] - 0x55d0c8a5f2c0                      free
 *   = End
 *
 * The place is the file's own address (glibc subtracts where it is loaded); only the innermost call is told. No threads, no times.
 * Blocks from before mtrace() are freed and reallocated as well: such frees are left out, and such reallocs taken as allocations.
 * An allocation where a block lives means that its free was not seen: it counts as lost, and the block as freed just before. Lines
 * that are none of these are an error; a last line without its end is left out.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/alive.h"
#include "trace/input.h"
#include "trace/tables.h"

struct reader {
    struct input *input;
    struct trace_about *about;
    struct tables tables;
    struct alive live;
    struct line line;
    uint32_t *stack_of; /* by the number of the text that names a place: node */
    uint32_t stack_of_room;
    uint64_t given_up;       /* by a realloc whose second line is to come; 0 none */
    struct trace_event kept; /* given out before what comes next; op 0: nothing */
};

static bool mtrace_is(const unsigned char *head, size_t bytes, const char *path)
{
    (void)path;
    return bytes >= 8 && memcmp(head, "= Start\n", 8) == 0;
}

static int no_memory(const struct reader *reader, struct trace_error *error)
{
    snprintf(error->line, sizeof error->line, "out of memory at line %llu", (unsigned long long)reader->line.number);
    return -1;
}

/* As the program was started, so maybe from where we are: then its whole path, for who looks for symbols. */
static uint32_t module_of(struct reader *reader, const char *path, size_t length)
{
    char given[PATH_MAX], whole[PATH_MAX];

    if (length < sizeof given && path[0] != '/' && memchr(path, '/', length)) {
        memcpy(given, path, length);
        given[length] = 0;
        if (realpath(given, whole)) {
            return tables_module_named(&reader->tables, whole, strlen(whole));
        }
    }
    return tables_module_named(&reader->tables, path, length);
}

/* FILE:(SYMBOL+0xOFFSET)[0xADDRESS], of which all but the address may be missing. TABLES_FULL: no memory. */
static uint32_t new_stack(struct reader *reader, struct word place)
{
    const char *end = place.text + place.length, *bracket = memrchr(place.text, '[', place.length);
    struct trace_frame frame = {.module = UINT32_MAX};

    if (bracket && end[-1] == ']') {
        word_hex((struct word){bracket + 1, (size_t)(end - bracket - 2)}, &frame.pc);
    }
    const char *stop = bracket ? bracket : end;
    const char *colon = memrchr(place.text, ':', (size_t)(stop - place.text));
    const char *open = memrchr(place.text, '(', (size_t)(stop - place.text));
    if (open && (!colon || open < colon)) { /* a colon within the symbol: the one before the parenthesis counts */
        colon = open > place.text && open[-1] == ':' ? open - 1 : NULL;
    }
    if (open && stop[-1] == ')') {
        const char *symbol_end = stop - 1;
        for (const char *at = open + 1; at + 2 < stop; at++) { /* less where glibc has found the one behind only */
            symbol_end = (at[0] == '+' || at[0] == '-') && at[1] == '0' && at[2] == 'x' ? at : symbol_end;
        }
        frame.function = tables_text(&reader->tables, open + 1, (size_t)(symbol_end - open - 1), NULL);
        if (!frame.function) {
            return TABLES_FULL;
        }
    }
    frame.offset = frame.pc;
    if (colon && colon > place.text) {
        frame.module = module_of(reader, place.text, (size_t)(colon - place.text));
        if (frame.module == TABLES_FULL) {
            return TABLES_FULL;
        }
    }
    uint32_t number = tables_frame(&reader->tables, &frame);
    return number == TABLES_FULL ? TABLES_FULL : tables_node(&reader->tables, 0, number);
}

static int find_stack(struct reader *reader, struct word place, uint32_t *stack)
{
    uint32_t number;

    if (!tables_text(&reader->tables, place.text, place.length, &number)) {
        return -1;
    }
    uint32_t *known = tables_slot(&reader->stack_of, &reader->stack_of_room, number);
    if (known && *known == 0) {
        uint32_t made = new_stack(reader, place);
        if (made == TABLES_FULL) {
            return -1;
        }
        *known = made;
    }
    *stack = known ? *known : 0;
    return known ? 0 : -1;
}

/* A block begins to live at event->address. Where one does already its free comes first. */
static int begins(struct reader *reader, struct trace_event *event)
{
    enum alive_answer old = alive_is(&reader->live, 1, event->address);

    if (old == ALIVE_YES && !(event->op == TRACE_REALLOC && event->old == event->address)) {
        reader->kept = *event;
        *event = (struct trace_event){.op = TRACE_FREE, .process = 1, .thread = 1, .address = event->address};
        reader->about->lost++;
        return 1;
    }
    if (old != ALIVE_YES) {
        alive_begins(&reader->live, 1, event->address);
    }
    return 1;
}

/* 1: an event; 0: nothing to tell. */
static int read_operation(struct reader *reader, char op, uint64_t address, uint64_t size, uint32_t stack,
                          struct trace_event *event)
{
    uint64_t gone = op == '>' ? reader->given_up : address;
    enum alive_answer old = alive_is(&reader->live, 1, gone);

    *event = (struct trace_event){.process = 1, .thread = 1, .address = address, .size = size, .stack = stack};
    switch (op) {
    case '-':
        event->op = TRACE_FREE;
        event->stack = 0;
        if (old == ALIVE_NO) {
            reader->about->unmatched++;
            return 0;
        }
        alive_ends(&reader->live, 1, gone);
        return 1;
    case '<':
        reader->given_up = address;
        return 0;
    case '!':
        event->op = TRACE_FAILED;
        event->call = TRACE_REALLOC_CALL;
        event->address = 0;
        return 1;
    case '>':
        event->op = TRACE_REALLOC;
        event->old = reader->given_up;
        reader->given_up = 0;
        if (gone && old != ALIVE_NO) {
            if (event->old != event->address) {
                alive_ends(&reader->live, 1, gone);
            }
            return begins(reader, event);
        }
        reader->about->unmatched++;
        event->old = 0;
        __attribute__((fallthrough));
    default:
        event->op = TRACE_ALLOC;
        event->call = op == '>' ? TRACE_REALLOC_CALL : TRACE_MALLOC;
        if (address == 0) {
            event->op = TRACE_FAILED;
            return 1;
        }
        return begins(reader, event);
    }
}

static int read_line(struct reader *reader, struct trace_event *event, struct trace_error *error)
{
    struct line_words words = line_words(&reader->line);
    struct word word, op;
    uint64_t address, size = 0;
    uint32_t stack = 0;

    if (!word_next(&words, &op) || word_is(op, "=")) {
        return 0;
    }
    if (word_is(op, "@")) {
        /* A path may hold blanks: the place ends with what comes before the operation. */
        const char *bracket = memrchr(words.at, ']', (size_t)(words.end - words.at));
        if (!bracket) {
            return line_wrong(error, &reader->line, words.at, "no place of the call:");
        }
        while (words.at < bracket && *words.at == ' ') {
            words.at++;
        }
        struct word place = {words.at, (size_t)(bracket + 1 - words.at)};
        words.at = bracket + 1;
        if (!word_next(&words, &op)) {
            return line_wrong(error, &reader->line, op.text, "no operation");
        }
        if (find_stack(reader, place, &stack) != 0) {
            return no_memory(reader, error);
        }
    }
    if (op.length != 1 || !strchr("+-<>!", op.text[0])) {
        return line_wrong(error, &reader->line, op.text, "what is");
    }
    if (!word_next(&words, &word) || (!word_hex(word, &address) && !word_is(word, "(nil)"))) {
        return line_wrong(error, &reader->line, word.text, "no address:");
    }
    if (word_is(word, "(nil)")) {
        address = 0;
    }
    if ((address == 0 && op.text[0] == '>') || (address >= ALIVE_ADDRESSES && strchr("+>", op.text[0]))) {
        return line_wrong(error, &reader->line, word.text, "a block at address");
    }
    if (strchr("+>!", op.text[0]) && (!word_next(&words, &word) || !word_number(word, &size))) {
        return line_wrong(error, &reader->line, word.text, "no size:");
    }
    return read_operation(reader, op.text[0], address, size, stack, event);
}

static int mtrace_next(void *state, struct trace_event *event, struct trace_error *error)
{
    struct reader *reader = state;
    int answer;

    if (reader->kept.op) {
        *event = reader->kept;
        reader->kept.op = 0;
        reader->about->events++;
        return 1; /* the address is live still: another block's now */
    }
    while ((answer = input_line(reader->input, &reader->line, error)) > 0) {
        if (!reader->line.ended) {
            reader->about->truncated = true;
            return 0;
        }
        answer = read_line(reader, event, error);
        if (answer != 0) {
            reader->about->events += answer > 0;
            return answer;
        }
    }
    return answer;
}

static void mtrace_close(void *state)
{
    struct reader *reader = state;

    if (reader->input) {
        input_close(reader->input);
    }
    tables_done(&reader->tables);
    alive_done(&reader->live);
    free(reader->stack_of);
    free(reader);
}

static void *mtrace_open(int fd, struct trace_about *about, struct trace_error *error)
{
    struct reader *reader = calloc(1, sizeof *reader);

    if (!reader) {
        snprintf(error->line, sizeof error->line, "out of memory");
        return NULL;
    }
    about->has_addresses = about->has_stacks = true;
    reader->about = about;
    reader->input = input_open(fd, about, error);
    if (!reader->input) {
        mtrace_close(reader);
        return NULL;
    }
    return reader;
}

static const struct trace_node *mtrace_nodes(const void *reader, uint32_t *count)
{
    return tables_nodes(&((const struct reader *)reader)->tables, count);
}

static const struct trace_frame *mtrace_frames(const void *reader, uint32_t *count)
{
    return tables_frames(&((const struct reader *)reader)->tables, count);
}

static const struct trace_module *mtrace_modules(const void *reader, uint32_t *count)
{
    return tables_modules(&((const struct reader *)reader)->tables, count);
}

const struct trace_format trace_format_mtrace = {
    .name = "mtrace",
    .is = mtrace_is,
    .open = mtrace_open,
    .next = mtrace_next,
    .nodes = mtrace_nodes,
    .frames = mtrace_frames,
    .modules = mtrace_modules,
    .close = mtrace_close,
};
