/* Reads what valgrind's DHAT writes: a profile as JSON, of which there are the figures of each stack and no events but
 * that there was a process.
 *
 *   {"dhatFileVersion": 2, "mode": "heap", "cmd": "./program",
 *    "pps": [{"tb": bytes, "tbk": blocks, "mb": at its own peak, "gb", "gbk": at the whole's, "eb", "ebk": at the end,
 *             "fs": [calls, innermost first: indices of ftbl]}, ...],
 *    "ftbl": ["[root]", "0x10919A: main (a.c:7)", "0x4849F0B: f (in /usr/lib/libx.so)", "0x...: ???", ...]}
 *
 * Lifetimes and accesses are left out. Memory: the text, which is refused beyond MOST bytes, and the stacks; of all that it says one
 * piece at a time becomes values (pieces.h), which would take some sixteen times its bytes.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/input.h"
#include "trace/live.h"
#include "trace/pieces.h"
#include "trace/tables.h"

#define MOST         ((uint64_t)192 << 20)
#define ENTRIES_MOST (2u << 20) /* of pps, and of ftbl */

struct call {
    uint32_t at, end; /* in the text */
    uint32_t frame;   /* plus 1; 0: not made yet */
};

struct reader {
    struct tables tables;
    struct live nodes; /* by (frame, parent): the node */
    struct trace_total *total;
    uint32_t totals, total_room;
    struct trace_about *about;
    bool begun; /* the process is an event */
    /* while it is opened */
    struct input *input;
    struct trace_error *error;
    char *text;
    size_t length;
    struct call *call; /* ftbl */
    uint32_t calls, call_room;
};

static bool dhat_is(const unsigned char *head, size_t bytes, const char *path)
{
    static const char mark[] = "\"dhatFileVersion\"";
    (void)path;
    size_t at = 0;

    while (at < bytes && (head[at] == ' ' || head[at] == '\n' || head[at] == '\r' || head[at] == '\t')) {
        at++;
    }
    return at < bytes && head[at] == '{' && memmem(head, bytes, mark, sizeof mark - 1);
}

static int wrong(struct reader *reader, const char *what, size_t number)
{
    snprintf(reader->error->line, sizeof reader->error->line, "%s, pps[%zu]", what, number);
    return -1;
}

static int no_memory(struct reader *reader)
{
    snprintf(reader->error->line, sizeof reader->error->line, "out of memory");
    return -1;
}

/* `0x10919A: FUNCTION (FILE:LINE)` or `... (in MODULE)`; a function may have parentheses of its own. */
static int make_frame(struct reader *reader, const char *text, size_t length)
{
    struct trace_frame frame = {.module = UINT32_MAX};
    const char *end = text + length, *colon = memmem(text, length, ": ", 2), *function = text;

    if (colon && word_hex((struct word){text, (size_t)(colon - text)}, &frame.pc)) {
        function = colon + 2;
    }
    const char *function_end = end;
    if (end > function && end[-1] == ')') {
        const char *open = end - 1;
        while (open > function && !(open[0] == '(' && open[-1] == ' ')) {
            open--;
        }
        if (open > function) {
            struct word place = {open + 1, (size_t)(end - 1 - (open + 1))};
            const char *line = memrchr(place.text, ':', place.length);
            uint64_t number;
            function_end = open - 1;
            if (place.length > 3 && memcmp(place.text, "in ", 3) == 0) {
                frame.module = tables_module_named(&reader->tables, place.text + 3, place.length - 3);
                if (frame.module == TABLES_FULL) {
                    return no_memory(reader);
                }
            } else if (line && word_number((struct word){line + 1, (size_t)(end - 1 - (line + 1))}, &number) &&
                       number <= UINT32_MAX) {
                frame.line = (uint32_t)number;
                frame.file = tables_text(&reader->tables, place.text, (size_t)(line - place.text), NULL);
                if (!frame.file) {
                    return no_memory(reader);
                }
            }
        }
    }
    if (function_end > function && memcmp(function, "???", function_end - function < 3 ? 1 : 3) != 0) {
        frame.function = tables_text(&reader->tables, function, (size_t)(function_end - function), NULL);
        if (!frame.function) {
            return no_memory(reader);
        }
    }
    frame.offset = frame.pc;
    return tables_frame(&reader->tables, &frame) == TABLES_FULL ? no_memory(reader) : 0;
}

/* valgrind's own malloc stands in every stack: it is left out. */
static bool is_valgrinds(const struct reader *reader, const struct trace_frame *frame)
{
    return (frame->file && strcmp(frame->file, "vg_replace_malloc.c") == 0) ||
           (frame->module < reader->tables.modules && strstr(reader->tables.module[frame->module].path, "/vgpreload_"));
}

/* What is wrong at a place of the text, with its line. */
static int broken(struct reader *reader, const char *at, const char *why)
{
    uint64_t line = 1;

    for (const char *c = reader->text; c < at && (c = memchr(c, '\n', (size_t)(at - c))); c++) {
        line++;
    }
    snprintf(reader->error->line, sizeof reader->error->line, "broken JSON (%.60s) in line %" PRIu64 ", byte %td", why,
             line, at - reader->text);
    return -1;
}

/* NULL: said. */
static json_t *value_of(struct reader *reader, struct piece piece)
{
    json_error_t why;
    json_t *value =
        json_loadb(piece.at, (size_t)(piece.end - piece.at), JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &why);

    if (!value) {
        broken(reader, piece.at + (why.position > 0 ? why.position : 0), why.text);
    }
    return value;
}

static int make_call(struct reader *reader, struct call *call, size_t number)
{
    json_t *text = value_of(reader, (struct piece){reader->text + call->at, reader->text + call->end});
    int failed = -1;

    if (text && !json_is_string(text)) {
        wrong(reader, "a call that is no text in ftbl", number);
    } else if (text) {
        failed = make_frame(reader, json_string_value(text), json_string_length(text));
        call->frame = reader->tables.frames;
    }
    json_decref(text);
    return failed;
}

static int read_stack(struct reader *reader, const json_t *calls, size_t number, uint32_t *stack)
{
    *stack = 0;
    for (size_t i = json_array_size(calls); i-- > 0;) {
        const json_t *entry = json_array_get(calls, i);
        json_int_t index = json_integer_value(entry);
        if (!json_is_integer(entry) || index < 0 || (uint64_t)index >= reader->calls) {
            return wrong(reader, "a call that is not in ftbl", number);
        }
        if (index == 0) {
            continue; /* [root] */
        }
        struct call *call = &reader->call[index];
        if (call->frame == 0 && make_call(reader, call, number) != 0) {
            return -1;
        }
        if (is_valgrinds(reader, &reader->tables.frame[call->frame - 1])) {
            continue;
        }
        struct live_slot *known = live_find(&reader->nodes, call->frame, *stack);
        if (!known) {
            uint32_t node = tables_node(&reader->tables, *stack, call->frame - 1);
            known = node == TABLES_FULL ? NULL : live_add(&reader->nodes, call->frame, *stack, node);
        }
        if (!known) {
            return no_memory(reader);
        }
        *stack = (uint32_t)known->value;
    }
    return 0;
}

static int read_figure(struct reader *reader, const json_t *point, const char *name, bool needed, size_t number,
                       uint64_t *figure)
{
    const json_t *value = json_object_get(point, name);

    if (!value && !needed) {
        return 0;
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        char what[64];
        snprintf(what, sizeof what, "no number '%s'", name);
        return wrong(reader, what, number);
    }
    *figure = (uint64_t)json_integer_value(value);
    return 0;
}

/* Room for one more of `each` bytes. */
static int more(struct reader *reader, void *array, uint32_t count, uint32_t *room, size_t each)
{
    if (count == ENTRIES_MOST) {
        snprintf(reader->error->line, sizeof reader->error->line, "more than %u stacks or calls", ENTRIES_MOST);
        return -1;
    }
    uint32_t wanted = *room ? *room + *room / 2 : 1024;
    void *moved = count < *room ? *(void **)array : reallocarray(*(void **)array, wanted, each);

    if (!moved) {
        return no_memory(reader);
    }
    *room = count < *room ? *room : wanted;
    *(void **)array = moved;
    return 0;
}

static int read_point(struct reader *reader, const json_t *point, size_t number)
{
    struct trace_total total = {0};
    const json_t *calls = json_object_get(point, "fs");

    if (!json_is_array(calls)) {
        return wrong(reader, "no list 'fs'", number);
    }
    if (read_figure(reader, point, "tb", true, number, &total.bytes) != 0 ||
        read_figure(reader, point, "tbk", true, number, &total.allocs) != 0 ||
        read_figure(reader, point, "mb", false, number, &total.own_peak_bytes) != 0 ||
        read_figure(reader, point, "gb", false, number, &total.peak_bytes) != 0 ||
        read_figure(reader, point, "gbk", false, number, &total.peak_blocks) != 0 ||
        read_figure(reader, point, "eb", false, number, &total.left_bytes) != 0 ||
        read_figure(reader, point, "ebk", false, number, &total.left_blocks) != 0 ||
        read_stack(reader, calls, number, &total.stack) != 0 ||
        more(reader, &reader->total, reader->totals, &reader->total_room, sizeof *reader->total) != 0) {
        return -1;
    }
    reader->total[reader->totals++] = total;
    return 0;
}

static int read_points(struct reader *reader, struct piece list)
{
    struct pieces rest = {list.at, list.end, 0};
    struct piece key, piece;
    int got;

    for (size_t i = 0; (got = pieces_next(&rest, &key, &piece)) > 0; i++) {
        json_t *point = value_of(reader, piece);
        int failed = point ? read_point(reader, point, i) : -1;
        json_decref(point);
        if (failed) {
            return -1;
        }
    }
    return got < 0 ? broken(reader, rest.at, "an entry of pps, a comma or an end is missing") : 0;
}

static int read_calls(struct reader *reader, struct piece list)
{
    struct pieces rest = {list.at, list.end, 0};
    struct piece key, piece;
    int got;

    while ((got = pieces_next(&rest, &key, &piece)) > 0) {
        if (more(reader, &reader->call, reader->calls, &reader->call_room, sizeof *reader->call) != 0) {
            return -1;
        }
        reader->call[reader->calls++] =
            (struct call){(uint32_t)(piece.at - reader->text), (uint32_t)(piece.end - reader->text), 0};
    }
    return got < 0 ? broken(reader, rest.at, "an entry of ftbl, a comma or an end is missing") : 0;
}

static int read_profile(struct reader *reader, struct trace_about *about)
{
    enum { VERSION, MODE, COMMAND, POINTS, TABLE, KEYS };
    static const char *const keys[] = {"dhatFileVersion", "mode", "cmd", "pps", "ftbl"};
    const char *end = reader->text + reader->length;
    struct pieces rest = {reader->text, end, 0};
    struct piece key, value, found[KEYS] = {0};
    json_t *of[POINTS] = {0};
    int got, failed = -1;

    while ((got = pieces_next(&rest, &key, &value)) > 0) {
        for (int i = 0; i < KEYS; i++) {
            size_t length = (size_t)(key.end - key.at);
            if (length == strlen(keys[i]) && memcmp(key.at, keys[i], length) == 0) {
                if (found[i].at) {
                    return broken(reader, key.at, "a key that comes twice");
                }
                found[i] = value;
            }
        }
    }
    if (got < 0 || rest.close != '}' || pieces_skip(rest.at, end) < end) {
        return broken(reader, rest.at, "a key, a value, a comma or an end is missing");
    }
    for (int i = 0; i < POINTS; i++) {
        of[i] = found[i].at ? value_of(reader, found[i]) : NULL;
        if (found[i].at && !of[i]) {
            goto done;
        }
    }
    const char *mode = json_string_value(of[MODE]);
    json_int_t version = json_integer_value(of[VERSION]);
    if (version != 2 || !mode || strcmp(mode, "heap") != 0 || !found[POINTS].at || *found[POINTS].at != '[' ||
        !found[TABLE].at || *found[TABLE].at != '[') {
        snprintf(reader->error->line, sizeof reader->error->line,
                 "no heap profile of DHAT's version 2, with lists 'pps' and 'ftbl' (version %" PRIdMAX
                 ", mode '%.20s')",
                 (intmax_t)version, mode ? mode : "");
        goto done;
    }
    if (json_is_string(of[COMMAND])) {
        about->command =
            tables_text(&reader->tables, json_string_value(of[COMMAND]), json_string_length(of[COMMAND]), NULL);
    }
    failed = read_calls(reader, found[TABLE]) != 0 || read_points(reader, found[POINTS]) != 0 ? -1 : 0;
done:
    for (int i = 0; i < POINTS; i++) {
        json_decref(of[i]);
    }
    return failed;
}

static int read_text(struct reader *reader)
{
    size_t room = 0;

    for (;;) {
        if (reader->length == room) {
            room += room / 2 + ((size_t)1 << 20);
            char *moved = realloc(reader->text, room);
            if (!moved) {
                return no_memory(reader);
            }
            reader->text = moved;
        }
        ssize_t got = input_read(reader->input, reader->text + reader->length, room - reader->length, reader->error);
        if (got <= 0) {
            return (int)got;
        }
        reader->length += (size_t)got;
        if (reader->length > MOST) {
            snprintf(reader->error->line, sizeof reader->error->line, "more than %" PRIu64 " MiB of JSON", MOST >> 20);
            return -1;
        }
    }
}

static void dhat_close(void *state)
{
    struct reader *reader = state;

    tables_done(&reader->tables);
    live_done(&reader->nodes);
    free(reader->total);
    free(reader->call);
    free(reader->text);
    free(reader);
}

static void *dhat_open(int fd, struct trace_about *about, struct trace_error *error)
{
    struct reader *reader = calloc(1, sizeof *reader);

    if (!reader) {
        snprintf(error->line, sizeof error->line, "out of memory");
        return NULL;
    }
    reader->about = about;
    reader->error = error;
    reader->input = input_open(fd, about, error);
    if (!reader->input) {
        dhat_close(reader);
        return NULL;
    }
    about->has_stacks = about->is_profile = true;
    int failed = read_text(reader) != 0 || read_profile(reader, about) != 0;
    input_close(reader->input);
    free(reader->text);
    free(reader->call);
    reader->text = NULL;
    reader->call = NULL;
    if (failed) {
        dhat_close(reader);
        return NULL;
    }
    return reader;
}

static int dhat_next(void *state, struct trace_event *event, struct trace_error *error)
{
    struct reader *reader = state;

    (void)error;
    if (reader->begun) {
        return 0;
    }
    reader->begun = true;
    reader->about->events++;
    *event = (struct trace_event){.op = TRACE_PROCESS, .process = 1, .thread = 1, .text = reader->about->command};
    return 1;
}

static const struct trace_total *dhat_totals(const void *state, uint32_t *count)
{
    const struct reader *reader = state;

    *count = reader->totals;
    return reader->total;
}

static const struct trace_node *dhat_nodes(const void *reader, uint32_t *count)
{
    return tables_nodes(&((const struct reader *)reader)->tables, count);
}

static const struct trace_frame *dhat_frames(const void *reader, uint32_t *count)
{
    return tables_frames(&((const struct reader *)reader)->tables, count);
}

static const struct trace_module *dhat_modules(const void *reader, uint32_t *count)
{
    return tables_modules(&((const struct reader *)reader)->tables, count);
}

const struct trace_format trace_format_dhat = {
    .name = "dhat",
    .is = dhat_is,
    .open = dhat_open,
    .next = dhat_next,
    .nodes = dhat_nodes,
    .frames = dhat_frames,
    .modules = dhat_modules,
    .close = dhat_close,
    .totals = dhat_totals,
};
