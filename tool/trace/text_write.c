/* The trace, written line by line. */
#include <inttypes.h>
#include <string.h>

#include "trace/text.h"

const char *const text_verdicts[] = {"unknown", "reachable", "thread-only", "possible", "indirect", "definite"};

/* As one word: what would end it, and what is not plain ASCII, is written as %XX. Nothing at all is a lone %. */
static void write_word(FILE *to, const char *text)
{
    if (!text || !text[0]) {
        fputc('%', to);
        return;
    }
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c <= ' ' || c == '%' || c >= 0x7f) {
            fprintf(to, "%%%02x", c);
        } else {
            fputc(c, to);
        }
    }
}

static void write_labelled(FILE *to, const char *label, const char *text)
{
    fprintf(to, " %s=", label);
    write_word(to, text);
}

static void write_modules(struct text_writer *writer, const struct trace *trace)
{
    uint32_t count;
    const struct trace_module *modules = trace_modules(trace, &count);

    for (; writer->modules < count; writer->modules++) {
        const struct trace_module *module = &modules[writer->modules];
        fprintf(writer->to, "m %" PRIu32 " 0x%" PRIx64 " 0x%" PRIx64 " 0x%" PRIx64 " ", writer->modules + 1,
                module->start, module->end, module->bias);
        for (unsigned i = 0; i < module->build_id_bytes && i < sizeof module->build_id; i++) {
            fprintf(writer->to, "%02x", module->build_id[i]);
        }
        fprintf(writer->to, module->build_id_bytes ? " " : "- ");
        write_word(writer->to, module->path);
        fputc('\n', writer->to);
    }
}

static void write_frame(FILE *to, const struct trace_frame *frame, const struct trace_module *modules,
                        uint32_t module_count)
{
    if (frame->module < module_count) {
        fprintf(to, "#%" PRIu32 "+0x%" PRIx64, frame->module + 1, frame->offset);
        if (frame->pc != frame->offset + modules[frame->module].bias) {
            fprintf(to, " pc=0x%" PRIx64, frame->pc);
        }
    } else if (frame->pc) {
        fprintf(to, "0x%" PRIx64, frame->pc);
    } else {
        fputc('?', to);
    }
    if (frame->function) {
        write_labelled(to, "fn", frame->function);
    }
    if (frame->file) {
        write_labelled(to, "at", frame->file);
        fprintf(to, ":%" PRIu32, frame->line);
    }
}

static void write_nodes(struct text_writer *writer, const struct trace *trace)
{
    uint32_t nodes, frames, modules;
    const struct trace_node *node = trace_nodes(trace, &nodes);
    const struct trace_frame *frame = trace_frames(trace, &frames);
    const struct trace_module *module = trace_modules(trace, &modules);

    for (; writer->nodes < nodes; writer->nodes++) {
        fprintf(writer->to, "s %" PRIu32 " %" PRIu32 " ", writer->nodes, node[writer->nodes].parent);
        write_frame(writer->to, &frame[node[writer->nodes].frame], module, modules);
        fputc('\n', writer->to);
    }
}

void text_begin(struct text_writer *writer, FILE *to, const struct trace_about *about)
{
    *writer = (struct text_writer){.to = to, .addresses = about->has_addresses, .nodes = 1};
    fprintf(to, "allot-text 1%s%s%s\n", about->has_addresses ? " addresses" : "", about->has_times ? " times" : "",
            about->has_stacks ? " stacks" : "");
    if (about->command) {
        fputs("command ", to);
        write_word(to, about->command);
        fputc('\n', to);
    }
    if (about->began > 0) {
        fprintf(to, "began %" PRId64 "\n", about->began);
    }
}

static void write_id(const struct text_writer *writer, const char *before, uint64_t address)
{
    if (writer->addresses) {
        fprintf(writer->to, "%s0x%" PRIx64, before, address);
    } else {
        fprintf(writer->to, "%s%" PRIu64, before, text_id_of(address));
    }
}

static void write_call(FILE *to, const struct trace_event *event)
{
    if (event->call == TRACE_CALLOC) {
        fputs(" call=calloc", to);
    } else if (event->call == TRACE_REALLOC_CALL) {
        fputs(" call=realloc", to);
    } else if (event->call == TRACE_ALIGNED) {
        fprintf(to, " align=%" PRIu64, (uint64_t)1 << (event->align & 63));
    }
}

static void write_what(const struct text_writer *writer, const struct trace_event *event)
{
    FILE *to = writer->to;

    switch (event->op) {
    case TRACE_ALLOC:
        write_id(writer, "a ", event->address);
        fprintf(to, " %" PRIu64, event->size);
        write_call(to, event);
        break;
    case TRACE_FREE:
        write_id(writer, "f ", event->address);
        break;
    case TRACE_REALLOC:
        write_id(writer, "r ", event->old);
        fprintf(to, " %" PRIu64, event->size);
        if (event->address != event->old) {
            write_id(writer, " to=", event->address);
        }
        if (event->begun != event->time) {
            fprintf(to, " begun=%" PRIu64, event->begun);
        }
        break;
    case TRACE_FAILED:
        fprintf(to, "failed %" PRIu64, event->size);
        write_call(to, event);
        break;
    case TRACE_BEFORE:
        write_id(writer, "before ", event->address);
        fprintf(to, " %" PRIu64, event->size);
        break;
    case TRACE_VERDICT:
        write_id(writer, "verdict ", event->address);
        fprintf(to, " %s %" PRIu64, text_verdicts[event->verdict < TEXT_VERDICTS ? event->verdict : 0], event->size);
        break;
    case TRACE_PROCESS:
        fprintf(to, "process %" PRIu32 " %" PRIu64 " ", event->process, event->old);
        write_word(to, event->text);
        break;
    case TRACE_EXIT:
        fprintf(to, "exit %s", event->size == 1 ? "itself" : "unknown");
        break;
    case TRACE_THREAD:
        fputs("thread ", to);
        write_word(to, event->text);
        break;
    case TRACE_MARK:
        fputs("mark ", to);
        write_word(to, event->text);
        break;
    case TRACE_COUNTERS:
        fprintf(to, "counters %" PRIu64 " %" PRIu64, event->size, event->old);
        break;
    case TRACE_LOST:
        fprintf(to, "lost %" PRIu64, event->size);
        break;
    }
}

void text_event(struct text_writer *writer, const struct trace *trace, const struct trace_event *event)
{
    write_modules(writer, trace);
    write_nodes(writer, trace);
    write_what(writer, event);
    if (event->process != 1 && event->op != TRACE_PROCESS) {
        fprintf(writer->to, " p=%" PRIu32, event->process);
    }
    if (event->thread != 1) {
        fprintf(writer->to, " t=%" PRIu32, event->thread);
    }
    if (event->time != writer->time) {
        fprintf(writer->to, " @%" PRIu64, event->time);
        writer->time = event->time;
    }
    if (event->stack) {
        fprintf(writer->to, " s=%" PRIu32, event->stack);
    }
    fputc('\n', writer->to);
}

void text_end(struct text_writer *writer, const struct trace_about *about)
{
    if (about->waited_ns || about->collector_cpu_ns) {
        fprintf(writer->to, "cost %" PRIu64 " %" PRIu64 "\n", about->waited_ns, about->collector_cpu_ns);
    }
    if (about->truncated) {
        fputs("truncated\n", writer->to);
    }
}
