/* allot dump - a trace of any format as text or as JSON, event by event. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "json.h"
#include "outfile.h"
#include "trace/text.h"
#include "trace/trace.h"

static const char help[] =
    "usage: allot dump [--json] [-o FILE] TRACE\n"
    "\n"
    "Writes TRACE as text, one event a line: a file that allot reads too. TRACE is allot's own, its\n"
    "text, or of heaptrack, mtrace, DHAT or malloclab (.rep), packed by gzip, xz or zstd or not.\n"
    "\n"
    "  -j, --json           one line of JSON for each event instead\n"
    "  -o, --output=FILE    into FILE, which is replaced as a whole\n"
    "  -h, --help           this text\n"
    "\n"
    "Examples:\n"
    "  allot dump allot.python3.4711.allot | less\n"
    "  allot dump --json server.allot | jq 'select(.op == \"mark\")'\n"
    "  allot dump -o server.text server.allot\n"
    "  allot dump server.text > again.text\n";

struct request {
    const char *trace, *output;
    bool json, help;
};

static bool parse(int argc, char **argv, struct request *out)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {"output", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, ":jo:h", options, NULL)) != -1) {
        switch (option) {
        case 'j':
            out->json = true;
            break;
        case 'o':
            out->output = optarg;
            break;
        case 'h':
            fputs(help, stdout);
            out->help = true;
            return true;
        default:
            complain_option("dump", option, argv);
            return false;
        }
    }
    if (optind + 1 != argc) {
        complain("dump: one trace is wanted, on the command line, see allot dump --help");
        return false;
    }
    out->trace = argv[optind];
    return true;
}

static const char *const op_names[] = {
    [TRACE_ALLOC] = "alloc",   [TRACE_FREE] = "free",       [TRACE_REALLOC] = "realloc",   [TRACE_FAILED] = "failed",
    [TRACE_BEFORE] = "before", [TRACE_VERDICT] = "verdict", [TRACE_PROCESS] = "process",   [TRACE_EXIT] = "exit",
    [TRACE_THREAD] = "thread", [TRACE_MARK] = "mark",       [TRACE_COUNTERS] = "counters", [TRACE_LOST] = "lost",
};
static const char *const call_names[] = {
    [TRACE_MALLOC] = "malloc",
    [TRACE_CALLOC] = "calloc",
    [TRACE_ALIGNED] = "aligned",
    [TRACE_REALLOC_CALL] = "realloc",
};

static void json_address(struct json *j, const char *key, uint64_t address)
{
    char text[24];

    snprintf(text, sizeof text, "0x%" PRIx64, address);
    json_text(j, key, text);
}

static void json_stack(struct json *j, const struct trace *trace, uint32_t stack)
{
    enum { DEEPEST = 1024 };
    uint32_t nodes, frames, modules;
    const struct trace_node *node = trace_nodes(trace, &nodes);
    const struct trace_frame *frame = trace_frames(trace, &frames);
    const struct trace_module *module = trace_modules(trace, &modules);

    json_array(j, "stack");
    for (unsigned deep = 0; stack && stack < nodes && deep < DEEPEST; stack = node[stack].parent, deep++) {
        const struct trace_frame *f = &frame[node[stack].frame];
        json_object(j, NULL);
        if (f->pc) {
            json_address(j, "pc", f->pc);
        }
        if (f->module < modules) {
            json_text(j, "module", module[f->module].path);
            json_address(j, "offset", f->offset);
        }
        if (f->function) {
            json_text(j, "function", f->function);
        }
        if (f->file) {
            json_text(j, "file", f->file);
            json_number(j, "line", f->line);
        }
        json_end(j);
    }
    json_end(j);
}

static void json_event(FILE *to, const struct trace *trace, const struct trace_event *e)
{
    struct json j;

    json_begin(&j, to);
    json_object(&j, NULL);
    json_text(&j, "op", op_names[e->op]);
    json_number(&j, "time", e->time);
    json_number(&j, "process", e->process);
    json_number(&j, "thread", e->thread);
    switch (e->op) {
    case TRACE_ALLOC:
        json_text(&j, "call", call_names[e->call]);
        if (e->call == TRACE_ALIGNED) {
            json_number(&j, "align", (uint64_t)1 << (e->align & 63));
        }
        break;
    case TRACE_REALLOC:
        json_address(&j, "old", e->old);
        json_number(&j, "begun", e->begun);
        break;
    case TRACE_VERDICT:
        json_text(&j, "verdict", e->verdict < TEXT_VERDICTS ? text_verdicts[e->verdict] : text_verdicts[0]);
        break;
    case TRACE_PROCESS:
        json_number(&j, "parent", e->old);
        break;
    case TRACE_COUNTERS:
        json_number(&j, "resident", e->size);
        json_number(&j, "mapped", e->old);
        break;
    case TRACE_EXIT:
        json_flag(&j, "by_exit", e->size == 1);
        break;
    case TRACE_LOST:
        json_number(&j, "events", e->size);
        break;
    default:
        break;
    }
    if (e->op <= TRACE_VERDICT) {
        json_address(&j, "address", e->address);
        if (e->op != TRACE_FREE) {
            json_number(&j, "size", e->size);
        }
        if (e->op != TRACE_FREE && e->op != TRACE_BEFORE && e->stack) {
            json_stack(&j, trace, e->stack);
        }
    }
    if (e->text) {
        json_text(&j, "text", e->text);
    }
    json_end(&j);
    fputc('\n', to);
}

/* How far we are, on a terminal, twice a second from the first second on. */
static void progress(const struct trace_about *about, bool at_end)
{
    static uint64_t calls;
    static time_t began, said;
    time_t now;

    if (at_end ? said == 0 : ++calls % 65536 != 0 || !isatty(STDERR_FILENO)) {
        return;
    }
    if (at_end) {
        fprintf(stderr, "\r\033[K");
        return;
    }
    now = time(NULL);
    began = began ? began : now;
    if (now > began + 1 && now != said && about->bytes) {
        said = now;
        fprintf(stderr, "\r%3.0f %%", 100.0 * (double)about->read / (double)about->bytes);
    }
}

/* The exit status; -1 with errno: it cannot be written. */
static int write_events(struct trace *trace, const struct request *request, FILE *to)
{
    const struct trace_about *about = trace_about(trace);
    struct trace_error error;
    struct trace_event event;
    struct text_writer writer;
    int got;

    if (!request->json) {
        text_begin(&writer, to, about);
    }
    while ((got = trace_next(trace, &event, &error)) == 1) {
        if (request->json) {
            json_event(to, trace, &event);
        } else {
            text_event(&writer, trace, &event);
        }
        if (ferror(to)) {
            return -1;
        }
        progress(about, false);
    }
    progress(about, true);
    if (got == 0 && !request->json) {
        text_end(&writer, about);
    }
    if (got < 0) {
        complain("%s", error.line);
    }
    return got < 0 ? 1 : 0;
}

/* To standard output as it comes; into a file by way of one without a name, so that it is whole or not there. */
static int dump(struct trace *trace, const struct request *request)
{
    FILE *to = request->output ? tmpfile() : stdout;
    int error = request->output ? outfile_check(request->output) : 0;

    if (!to || error) {
        complain("cannot write, %s, %s", request->output ? request->output : "standard output",
                 error ? strerror(-error) : strerror(errno));
        return 1;
    }
    int status = write_events(trace, request, to);
    if (status < 0 || fflush(to) != 0 || ferror(to)) {
        complain("cannot write, %s, %m", request->output ? request->output : "standard output");
        return 1;
    }
    if (status == 0 && request->output && (error = outfile_write(request->output, fileno(to))) != 0) {
        complain("cannot write, %s, %s", request->output, strerror(-error));
        return 1;
    }
    return status;
}

int command_dump(int argc, char **argv)
{
    struct request request = {0};
    struct trace_error error;

    if (!parse(argc, argv, &request)) {
        return EXIT_USAGE;
    }
    if (request.help) {
        return 0;
    }
    struct trace *trace = trace_open(request.trace, &error);
    if (!trace) {
        complain("%s", error.line);
        return 1;
    }
    int status = dump(trace, &request);
    trace_close(trace);
    return status;
}
