/* Reads what valgrind's DHAT writes: a profile as JSON, of which there are the figures of each stack and no events but
 * that there was a process.
 *
 *   {"dhatFileVersion": 2, "mode": "heap", "cmd": "./program",
 *    "pps": [{"tb": bytes, "tbk": blocks, "mb": at its own peak, "gb", "gbk": at the whole's, "eb", "ebk": at the end,
 *             "fs": [calls, innermost first: indices of ftbl]}, ...],
 *    "ftbl": ["[root]", "0x10919A: main (a.c:7)", "0x4849F0B: f (in /usr/lib/libx.so)", "0x...: ???", ...]}
 *
 * Lifetimes and accesses are left out. Memory: some ten times the file, which is refused beyond MOST bytes.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/input.h"
#include "trace/live.h"
#include "trace/tables.h"

#define MOST ((uint64_t)256 << 20)

struct reader {
    struct tables tables;
    struct live nodes; /* by (frame, parent): the node */
    struct trace_total *total;
    uint32_t totals;
    struct trace_about *about;
    bool begun; /* the process is an event */
    /* while it is opened */
    struct input *input;
    struct trace_error *error;
    uint64_t taken;
    bool failed;
    uint32_t *frame; /* by index of ftbl: its frame, plus 1; 0 not made yet */
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

static int read_stack(struct reader *reader, const json_t *calls, const json_t *table, size_t number, uint32_t *stack)
{
    *stack = 0;
    for (size_t i = json_array_size(calls); i-- > 0;) {
        const json_t *entry = json_array_get(calls, i);
        json_int_t index = json_integer_value(entry);
        if (!json_is_integer(entry) || index < 0 || (size_t)index >= json_array_size(table)) {
            return wrong(reader, "a call that is not in ftbl", number);
        }
        if (index == 0) {
            continue; /* [root] */
        }
        uint32_t *frame = &reader->frame[index];
        if (*frame == 0) {
            const json_t *text = json_array_get(table, (size_t)index);
            if (!json_is_string(text)) {
                return wrong(reader, "a call that is no text in ftbl", number);
            }
            if (make_frame(reader, json_string_value(text), json_string_length(text)) != 0) {
                return -1;
            }
            *frame = reader->tables.frames;
        }
        if (is_valgrinds(reader, &reader->tables.frame[*frame - 1])) {
            continue;
        }
        struct live_slot *known = live_find(&reader->nodes, *frame, *stack);
        if (!known) {
            uint32_t node = tables_node(&reader->tables, *stack, *frame - 1);
            known = node == TABLES_FULL ? NULL : live_add(&reader->nodes, *frame, *stack, node);
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

static int read_point(struct reader *reader, const json_t *point, const json_t *table, size_t number)
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
        read_stack(reader, calls, table, number, &total.stack) != 0) {
        return -1;
    }
    reader->total[reader->totals++] = total;
    return 0;
}

static int read_profile(struct reader *reader, const json_t *root, struct trace_about *about)
{
    const json_t *points = json_object_get(root, "pps"), *table = json_object_get(root, "ftbl");
    const char *mode = json_string_value(json_object_get(root, "mode"));
    const json_t *command = json_object_get(root, "cmd");
    json_int_t version = json_integer_value(json_object_get(root, "dhatFileVersion"));

    if (version != 2 || !mode || strcmp(mode, "heap") != 0 || !json_is_array(points) || !json_is_array(table)) {
        snprintf(reader->error->line, sizeof reader->error->line,
                 "no heap profile of DHAT's version 2, with lists 'pps' and 'ftbl' (version %" PRIdMAX
                 ", mode '%.20s')",
                 (intmax_t)version, mode ? mode : "");
        return -1;
    }
    size_t count = json_array_size(points);
    reader->total = calloc(count + 1, sizeof *reader->total);
    reader->frame = calloc(json_array_size(table) + 1, sizeof *reader->frame);
    if (!reader->total || !reader->frame) {
        return no_memory(reader);
    }
    if (json_is_string(command)) {
        about->command = tables_text(&reader->tables, json_string_value(command), json_string_length(command), NULL);
    }
    for (size_t i = 0; i < count; i++) {
        if (read_point(reader, json_array_get(points, i), table, i) != 0) {
            return -1;
        }
    }
    return 0;
}

static size_t more_text(void *buffer, size_t room, void *state)
{
    struct reader *reader = state;
    ssize_t bytes = reader->taken > MOST ? 0 : input_read(reader->input, buffer, room, reader->error);

    if (reader->taken > MOST) {
        snprintf(reader->error->line, sizeof reader->error->line, "more than %" PRIu64 " MiB of JSON", MOST >> 20);
    }
    reader->failed |= bytes < 0 || reader->taken > MOST;
    reader->taken += bytes > 0 ? (uint64_t)bytes : 0;
    return bytes < 0 ? (size_t)-1 : (size_t)bytes;
}

static void dhat_close(void *state)
{
    struct reader *reader = state;

    tables_done(&reader->tables);
    live_done(&reader->nodes);
    free(reader->total);
    free(reader->frame);
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
    json_error_t why;
    json_t *root = json_load_callback(more_text, reader, JSON_REJECT_DUPLICATES, &why);
    input_close(reader->input);
    if (!root && !reader->failed) {
        snprintf(error->line, sizeof error->line, "broken JSON (%.60s) in line %d, byte %d", why.text, why.line,
                 why.position);
    }
    about->has_stacks = about->is_profile = true;
    int failed = root ? read_profile(reader, root, about) : -1;
    json_decref(root);
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
