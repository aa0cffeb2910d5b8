/* trace_fuzz.c - libFuzzer reads files that are no traces, through all readers. What they give out has to keep the promises of
 * trace/trace.h, and, written as text and read back, to be the same once more. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "trace/live.h"
#include "trace/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MOST_EVENTS 100000

static void check(bool fine, const char *what)
{
    if (!fine) {
        fprintf(stderr, "broken promise: %s\n", what);
        abort();
    }
}

static void check_tables(const struct trace *trace, const struct trace_event *event)
{
    uint32_t nodes, frames, modules;
    const struct trace_node *node = trace_nodes(trace, &nodes);
    const struct trace_frame *frame = trace_frames(trace, &frames);
    const struct trace_module *module = trace_modules(trace, &modules);

    check(event->stack < nodes, "an event's stack is there");
    for (uint32_t at = event->stack; at; at = node[at].parent) {
        check(node[at].parent < at, "a parent comes before");
        check(node[at].frame < frames, "a node's frame is there");
        const struct trace_frame *of = &frame[node[at].frame];
        check(of->module == UINT32_MAX || (of->module < modules && module[of->module].path),
              "a frame's module is there");
    }
}

static void check_event(struct live *live, const struct trace_event *event)
{
    bool gives = event->op == TRACE_ALLOC || event->op == TRACE_BEFORE || event->op == TRACE_REALLOC;
    bool takes = event->op == TRACE_FREE || event->op == TRACE_REALLOC;

    check(event->process > 0 && event->thread > 0, "processes and threads count from 1");
    check(!event->text || strlen(event->text) < (1 << 20), "a text ends");
    if (takes) {
        struct live_slot *slot = live_find(live, event->process, event->op == TRACE_FREE ? event->address : event->old);
        check(slot || event->process > 1, "what is freed is live");
        if (slot) {
            live_remove(live, slot);
        }
    }
    if (gives) {
        check(!live_find(live, event->process, event->address), "one block at an address");
        live_add(live, event->process, event->address, 0);
    }
}

/* Reads the file to its end, or to what is wrong. What it was, as text, in *text; false: it was no trace at all. */
static bool read_file(int fd, char **text, size_t *length, bool *whole, bool *is_text)
{
    char path[32];
    struct trace_error error;
    struct trace_event event;
    struct live live = {0};
    struct text_writer writer;
    int answer, events = 0;

    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct trace *trace = trace_open(path, &error);
    if (!trace) {
        check(strlen(error.line) < sizeof error.line && error.line[0], "an error says something");
        return false;
    }
    FILE *to = open_memstream(text, length);
    text_begin(&writer, to, trace_about(trace));
    while ((answer = trace_next(trace, &event, &error)) > 0 && events++ < MOST_EVENTS) {
        check_tables(trace, &event);
        check_event(&live, &event);
        text_event(&writer, trace, &event);
    }
    check(answer >= 0 || strstr(error.line, "byte") || strstr(error.line, "memory"), "an error names the byte");
    text_end(&writer, trace_about(trace));
    fclose(to);
    uint32_t totals;
    trace_totals(trace, &totals);
    *whole = answer == 0;
    *is_text = strcmp(trace_about(trace)->format, "text") == 0;
    trace_close(trace);
    live_done(&live);
    return true;
}

static void refill(int fd, const void *data, size_t size)
{
    check(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size, "a file in memory");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd;
    char *first, *second;
    size_t first_length, second_length;
    bool whole, is_text;

    fd = fd ? fd : memfd_create("fuzz", MFD_CLOEXEC);
    refill(fd, data, size);
    if (!read_file(fd, &first, &first_length, &whole, &is_text)) {
        return 0;
    }
    if (first_length < 1 << 20) {
        refill(fd, first, first_length);
        check(read_file(fd, &second, &second_length, &whole, &is_text) && is_text && whole,
              "what is written can be read");
        check(first_length == second_length && memcmp(first, second, first_length) == 0,
              "what is read back is the same");
        free(second);
    }
    free(first);
    return 0;
}
