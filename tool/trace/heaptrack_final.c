/* What heaptrack_interpret makes of a raw file: strings, calls, stacks and classes of allocations, by number. See heaptrack.c. */
#include <string.h>

#include "trace/heaptrack.h"
#include "trace/text.h"

int heaptrack_read_string(struct heaptrack *reader, struct line_words words)
{
    struct word string;

    if (reader->format < 3) { /* all that is left of the line */
        words.at += words.at < words.end;
        string = (struct word){words.at, (size_t)(words.end - words.at)};
    } else if (heaptrack_next_string(reader, &words, &string) != 0) {
        return -1;
    }
    if (heaptrack_more(reader, &reader->string, reader->strings, &reader->string_room, sizeof *reader->string) != 0) {
        return -1;
    }
    const char *text = heaptrack_kept(reader, string);
    reader->string[reader->strings] = text;
    reader->strings += text != NULL;
    return text ? 0 : -1;
}

/* NULL for string 0, which is none. */
static const char *string_of(const struct heaptrack *reader, uint64_t number)
{
    return number ? reader->string[number - 1] : NULL;
}

int heaptrack_read_call(struct heaptrack *reader, struct line_words words)
{
    struct trace_frame frame = {.module = UINT32_MAX};
    struct heaptrack_call call = {reader->tables.frames, 0};
    struct word word;
    uint64_t number;

    if (heaptrack_next_hex(reader, &words, UINT64_MAX, &frame.pc, "no address:") != 0 ||
        heaptrack_next_hex(reader, &words, reader->strings, &number, "no module:") != 0) {
        return -1;
    }
    frame.offset = frame.pc = heaptrack_behind(reader, frame.pc);
    if (number) {
        const char *path = string_of(reader, number);
        frame.module = tables_module_named(&reader->tables, path, strlen(path));
        if (frame.module == TABLES_FULL) {
            return heaptrack_no_memory(reader);
        }
    }
    for (struct line_words rest = words; call.count == 0 || word_next(&rest, &word); rest = words) {
        uint64_t function = 0, file = 0, line = 0;
        rest = words;
        if (word_next(&rest, &word) &&
            heaptrack_next_hex(reader, &words, reader->strings, &function, "no function:") != 0) {
            return -1;
        }
        rest = words;
        if (word_next(&rest, &word) && (heaptrack_next_hex(reader, &words, reader->strings, &file, "no file:") != 0 ||
                                        heaptrack_next_hex(reader, &words, UINT32_MAX, &line, "no line:") != 0)) {
            return -1;
        }
        frame.function = string_of(reader, function);
        frame.file = string_of(reader, file);
        frame.line = (uint32_t)line;
        if (tables_frame(&reader->tables, &frame) == TABLES_FULL) {
            return heaptrack_no_memory(reader);
        }
        call.count++;
    }
    if (heaptrack_more(reader, &reader->call, reader->calls, &reader->call_room, sizeof *reader->call) != 0) {
        return -1;
    }
    reader->call[reader->calls++] = call;
    return 0;
}

int heaptrack_read_stack(struct heaptrack *reader, struct line_words words)
{
    uint64_t number, parent;
    struct heaptrack_call call = {0, 0};

    if (heaptrack_next_hex(reader, &words, reader->calls, &number, "no call:") != 0 ||
        heaptrack_next_hex(reader, &words, reader->stacks, &parent, "no stack that this one was called from:") != 0 ||
        heaptrack_more(reader, &reader->stack, reader->stacks, &reader->stack_room, sizeof *reader->stack) != 0) {
        return -1;
    }
    if (number) {
        call = reader->call[number - 1];
    }
    uint32_t node = parent ? reader->stack[parent - 1] : 0;
    while (call.count > 0) {
        node = tables_node(&reader->tables, node, call.first + --call.count);
        if (node == TABLES_FULL) {
            return heaptrack_no_memory(reader);
        }
    }
    reader->stack[reader->stacks++] = node;
    return 0;
}

int heaptrack_read_class(struct heaptrack *reader, struct line_words words)
{
    struct heaptrack_class class = {0};
    uint64_t stack;

    if (heaptrack_next_hex(reader, &words, UINT64_MAX, &class.size, "no size:") != 0 ||
        heaptrack_next_hex(reader, &words, reader->stacks, &stack, "no stack:") != 0 ||
        heaptrack_more(reader, &reader->class, reader->classes, &reader->class_room, sizeof *reader->class) != 0) {
        return -1;
    }
    class.stack = stack ? reader->stack[stack - 1] : 0;
    reader->class[reader->classes++] = class;
    return 0;
}

int heaptrack_read_event(struct heaptrack *reader, struct line_words words, bool frees, struct trace_event *event)
{
    uint64_t number;

    if (heaptrack_next_hex(reader, &words, UINT32_MAX, &number, "no allocation:") != 0) {
        return -1;
    }
    if (number >= reader->classes) {
        return heaptrack_wrong(reader, reader->line.text + 1, "an allocation that was not described:");
    }
    struct heaptrack_class *class = &reader->class[number];
    *event = (struct trace_event){.op = TRACE_FREE, .process = 1, .thread = 1, .time = reader->time};
    uint32_t block = class->newest;
    if (frees) {
        if (!block) {
            reader->about->unmatched++;
            return 0;
        }
        class->newest = reader->older[block];
        reader->older[block] = reader->unused;
        reader->unused = block;
    } else {
        block = reader->unused;
        if (block) {
            reader->unused = reader->older[block];
        } else {
            reader->blocks += reader->blocks == 0; /* number 0 is none */
            if (heaptrack_more(reader, &reader->older, reader->blocks, &reader->block_room, sizeof *reader->older) !=
                0) {
                return -1;
            }
            block = reader->blocks++;
        }
        reader->older[block] = class->newest;
        class->newest = block;
        event->op = TRACE_ALLOC;
        event->call = TRACE_MALLOC;
        event->size = class->size;
        event->stack = class->stack;
    }
    event->address = text_address_of(block);
    return 1;
}
