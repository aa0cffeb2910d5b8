/* heaptrack's final file, format 3, event by event, as heaptrack_print and heaptrack_gui open it. A realloc is a free and an allocation, as
 * heaptrack itself has it; blocks from before recording come as allocations without a stack; several processes come as one.
 * Threads, addresses and marks have no place in it, and times are whole milliseconds.
 *
 * Memory: that of the trace's tables, and 24 to 48 bytes a live block.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "export/export.h"

#define PAGE 4096

struct writer {
    FILE *to;
    struct trace *trace;
    struct symbols *symbols;
    struct tables texts; /* numbered as strings of the file are */
    uint32_t texts_told, nodes_told, calls_told;
    uint32_t *call_of; /* by frame: its number in the file, 0 none yet */
    uint32_t call_room;
    struct live classes; /* by (stack + 1, size): the number of its allocation line, plus 1 */
    struct live blocks;  /* by (process, address): the same */
    uint64_t ms;
};

static bool string_of(struct writer *writer, const char *text, uint32_t *number)
{
    *number = 0;
    if (!text || !text[0]) {
        return true;
    }
    bool known = tables_text(&writer->texts, text, strlen(text), number);
    if (known && *number > writer->texts_told) {
        char *plain = export_plain(text);
        if (!plain) {
            return false;
        }
        fprintf(writer->to, "s %zx %s\n", strlen(plain), plain);
        free(plain);
        writer->texts_told = *number;
    }
    return known;
}

/* The line of a frame: its address, module, and who is called there. */
static bool put_call(struct writer *writer, const struct trace_frame *frame)
{
    uint32_t modules, module = 0, numbers[64][2];
    const struct trace_module *table = trace_modules(writer->trace, &modules);
    const struct trace_module *in = frame->module < modules ? &table[frame->module] : NULL;
    const struct symbol_frame *call = NULL;
    size_t count = 0;

    if (frame->function) {
        count = symbols_known(writer->symbols, frame->function, frame->file, frame->line, in ? in->path : NULL,
                              frame->offset, &call);
    } else {
        int known = in ? symbols_module(writer->symbols, in->path, in->build_id, in->build_id_bytes) : -1;
        count = symbols_find(writer->symbols, known, frame->offset, true, &call);
    }
    count = count < 64 ? count : 64;
    if (count == 0 || !string_of(writer, in ? in->path : NULL, &module)) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!string_of(writer, call[i].function, &numbers[i][0]) || !string_of(writer, call[i].file, &numbers[i][1])) {
            return false;
        }
    }
    fprintf(writer->to, "i %" PRIx64 " %" PRIx32, frame->pc ? frame->pc - 1 : 0, module);
    for (size_t i = 0; i < count && (call[0].function || call[0].file); i++) {
        fprintf(writer->to, " %" PRIx32 " %" PRIx32 " %" PRIx32, numbers[i][0], numbers[i][1], call[i].line);
    }
    fputc('\n', writer->to);
    return true;
}

static bool put_nodes(struct writer *writer)
{
    uint32_t nodes, frames;
    const struct trace_node *node = trace_nodes(writer->trace, &nodes);
    const struct trace_frame *frame = trace_frames(writer->trace, &frames);

    if (frames > writer->call_room) {
        uint32_t room = frames < 512 ? 1024 : frames < UINT32_MAX / 2 ? frames * 2 : frames;
        uint32_t *moved = reallocarray(writer->call_of, room, sizeof *moved);
        if (!moved) {
            return false;
        }
        memset(moved + writer->call_room, 0, (room - writer->call_room) * sizeof *moved);
        writer->call_of = moved;
        writer->call_room = room;
    }
    for (; writer->nodes_told < nodes; writer->nodes_told++) {
        const struct trace_node *this = &node[writer->nodes_told];
        if (writer->call_of[this->frame] == 0) {
            if (!put_call(writer, &frame[this->frame])) {
                return false;
            }
            writer->call_of[this->frame] = ++writer->calls_told;
        }
        fprintf(writer->to, "t %" PRIx32 " %" PRIx32 "\n", writer->call_of[this->frame], this->parent);
    }
    return true;
}

/* The line of each event: not by printf, which would take most of the time. */
static void put_line(FILE *to, char op, uint64_t number)
{
    char line[20], *at = line + sizeof line;

    *--at = '\n';
    do {
        *--at = "0123456789abcdef"[number & 15];
    } while (number >>= 4);
    *--at = ' ';
    *--at = op;
    fwrite_unlocked(at, 1, (size_t)(line + sizeof line - at), to);
}

static void put_free(struct writer *writer, uint32_t process, uint64_t address)
{
    struct live_slot *block = live_find(&writer->blocks, process, address);

    if (block) {
        put_line(writer->to, '-', block->value - 1);
        live_remove(&writer->blocks, block);
    }
}

static bool put_alloc(struct writer *writer, uint32_t process, uint64_t address, uint64_t size, uint32_t stack)
{
    struct live_slot *class = live_find(&writer->classes, stack + 1, size);

    if (!class) {
        class = live_add(&writer->classes, stack + 1, size, writer->classes.count + 1);
        if (!class) {
            return false;
        }
        fprintf(writer->to, "a %" PRIx64 " %" PRIx32 "\n", size, stack);
    }
    put_free(writer, process, address); /* of what lived there, where a free was not seen */
    put_line(writer->to, '+', class->value - 1);
    return live_add(&writer->blocks, process, address, class->value) != NULL;
}

static bool put_event(struct writer *writer, const struct trace_event *event)
{
    if (event->time / 1000000 > writer->ms) {
        writer->ms = event->time / 1000000;
        fprintf(writer->to, "c %" PRIx64 "\n", writer->ms);
    }
    switch (event->op) {
    case TRACE_REALLOC:
        put_free(writer, event->process, event->old);
        __attribute__((fallthrough));
    case TRACE_ALLOC:
    case TRACE_BEFORE:
        return put_nodes(writer) && put_alloc(writer, event->process, event->address, event->size, event->stack);
    case TRACE_FREE:
        put_free(writer, event->process, event->address);
        return true;
    case TRACE_COUNTERS:
        fprintf(writer->to, "R %" PRIx64 "\n", event->size / PAGE);
        return true;
    default:
        return true;
    }
}

int export_heaptrack(struct trace *trace, const struct profile_wanted *wanted, struct symbols *symbols, FILE *to,
                     struct trace_error *error)
{
    struct writer writer = {.to = to, .trace = trace, .symbols = symbols, .nodes_told = 1};
    struct trace_event event;
    const char *command = trace_about(trace)->command;
    uint64_t events = 0;
    int answer;

    fputs("v 10400 3\nX ", to);
    export_put(to, command ? command : "", 0, 0);
    fprintf(to, "\nI %x 0\n", PAGE);
    while ((answer = trace_next(trace, &event, error)) > 0) {
        if ((++events & 0xffff) == 0 && wanted->progress) {
            wanted->progress(trace_about(trace));
        }
        if ((wanted->process == 0 || event.process == wanted->process) && !put_event(&writer, &event)) {
            snprintf(error->line, sizeof error->line,
                     "out of memory, for the trace's blocks and stacks, export one process");
            answer = -1;
            break;
        }
    }
    if (answer == 0 && ferror(to)) {
        snprintf(error->line, sizeof error->line, "cannot write, the export, see whether there is room");
        answer = -1;
    }
    tables_done(&writer.texts);
    live_done(&writer.classes);
    live_done(&writer.blocks);
    free(writer.call_of);
    return answer;
}
