/* Reads heaptrack's files, of versions 1 to 3, packed or not. All numbers are hexadecimal.
 *
 *   raw, from `heaptrack -r`             final, after heaptrack_interpret
 *   x EXE                                s STRING                         strings, from 1
 *   m PATH BIAS VADDR MEMSZ ...  m -     i IP MODULE [FUNCTION FILE LINE]...  a call, and those inlined there, innermost first
 *   t IP PARENT                          t I PARENT                       stacks, from 1
 *   + SIZE T ADDRESS                     a SIZE T    + A                  allocations of A's size and stack
 *   - ADDRESS                            - A
 *   both: v VERSION FORMAT, X COMMAND, I PAGE PAGES, c MILLISECONDS (each 10 ms), R PAGES, S SUPPRESSION, A (attached), # comment
 *
 * Neither has threads or reallocs (they are a free and an allocation). A final file has no addresses: blocks have numbers, and a free
 * is of the newest block of its size and stack. In raw files a free of an unknown block is left out (recording began later) and
 * counted; an allocation where a block lives means that its free was not seen: it counts as lost, and the block as freed just before.
 * All else that does not fit is an error; a last line without its end is left out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/heaptrack.h"

#define NEWEST_FORMAT 3
#define MOST_MODULES  65536
#define PEEK          ((size_t)64 << 10) /* the command line is in it */

int heaptrack_wrong(struct heaptrack *reader, const char *at, const char *what)
{
    return line_wrong(reader->error, &reader->line, at, what);
}

int heaptrack_no_memory(struct heaptrack *reader)
{
    snprintf(reader->error->line, sizeof reader->error->line, "out of memory at line %llu",
             (unsigned long long)reader->line.number);
    return -1;
}

int heaptrack_more(struct heaptrack *reader, void *array, uint32_t count, uint32_t *room, size_t bytes)
{
    if (count < *room) {
        return 0;
    }
    uint32_t wanted = *room ? *room * 2 : 256;
    void *moved = *room < UINT32_MAX / 4 ? reallocarray(*(void **)array, wanted, bytes) : NULL;
    if (!moved) {
        return heaptrack_no_memory(reader);
    }
    *(void **)array = moved;
    *room = wanted;
    return 0;
}

int heaptrack_next_hex(struct heaptrack *reader, struct line_words *words, uint64_t most, uint64_t *number,
                       const char *what)
{
    struct word word;
    return word_next(words, &word) && word_hex(word, number) && *number <= most
               ? 0
               : heaptrack_wrong(reader, word.text, what);
}

int heaptrack_next_string(struct heaptrack *reader, struct line_words *words, struct word *string)
{
    uint64_t length;

    if (reader->format < 3) {
        return word_next(words, string) ? 0 : heaptrack_wrong(reader, string->text, "no text");
    }
    const char *start = words->at;
    if (heaptrack_next_hex(reader, words, UINT64_MAX, &length, "no text's length:") != 0) {
        return -1;
    }
    if (words->at < words->end) {
        words->at++;
    }
    if (length > (uint64_t)(words->end - words->at)) {
        return heaptrack_wrong(reader, start, "a text beyond the line's end:");
    }
    *string = (struct word){words->at, (size_t)length};
    words->at += length;
    return 0;
}

const char *heaptrack_kept(struct heaptrack *reader, struct word word)
{
    const char *text = tables_text(&reader->tables, word.text, word.length, NULL);
    if (!text) {
        heaptrack_no_memory(reader);
    }
    return text;
}

/* -- raw -- */

static bool same_module(const struct trace_module *a, const struct trace_module *b)
{
    return a->path == b->path && a->bias == b->bias && a->start == b->start && a->end == b->end;
}

/* Where the path lies in memory is in it, which no file can know: who writes one cannot choose modules of one hash. */
static uint64_t hash_of(const struct trace_module *module)
{
    const uint64_t word[] = {(uintptr_t)module->path, module->bias, module->start, module->end};
    uint64_t hash = 0;
    for (unsigned i = 0; i < 4; i++) {
        hash = (hash ^ word[i]) * 0xff51afd7ed558ccd;
        hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53;
        hash ^= hash >> 33;
    }
    return hash;
}

/* The same list comes again whenever an object was loaded or unloaded. */
static int load_module(struct heaptrack *reader, const struct trace_module *module)
{
    uint64_t hash = hash_of(module);
    struct live_slot *slot;

    while ((slot = live_find(&reader->modules, 1, hash)) &&
           !same_module(&reader->tables.module[slot->value - 1], module)) {
        hash++;
    }
    if (!slot && reader->tables.modules == MOST_MODULES) {
        return heaptrack_wrong(reader, reader->line.text, "more objects than anybody loads:");
    }
    if (!slot) {
        uint32_t number = tables_module(&reader->tables, module);
        slot = number == TABLES_FULL ? NULL : live_add(&reader->modules, 1, hash, (uint64_t)number + 1);
    }
    /* The address that is told of a call is behind it: of those in [start, end) they are start + 1 to end. */
    if (!slot || !loaded_add(&reader->loaded, module->start, module->end, (uint32_t)slot->value - 1)) {
        return heaptrack_no_memory(reader);
    }
    live_done(&reader->frames);
    return 0;
}

static int read_module(struct heaptrack *reader, struct line_words words)
{
    struct word path;
    struct trace_module module = {.start = UINT64_MAX};

    if (heaptrack_next_string(reader, &words, &path) != 0) {
        return -1;
    }
    if (word_is(path, "-")) {
        loaded_done(&reader->loaded);
        live_done(&reader->frames);
        return 0;
    }
    if (heaptrack_next_hex(reader, &words, UINT64_MAX, &module.bias, "no address:") != 0) {
        return -1;
    }
    module.path = word_is(path, "x") && reader->program ? reader->program : heaptrack_kept(reader, path);
    if (!module.path) {
        return -1;
    }
    for (struct line_words rest = words; word_next(&rest, &path); words = rest) {
        uint64_t vaddr, size, start, end;
        rest = words;
        if (heaptrack_next_hex(reader, &rest, UINT64_MAX, &vaddr, "no address:") != 0 ||
            heaptrack_next_hex(reader, &rest, UINT64_MAX, &size, "no size:") != 0) {
            return -1;
        }
        if (__builtin_add_overflow(module.bias, vaddr, &start) || __builtin_add_overflow(start, size, &end)) {
            return heaptrack_wrong(reader, words.at, "a segment beyond all addresses:");
        }
        module.start = start < module.start ? start : module.start;
        module.end = end > module.end ? end : module.end;
    }
    if (module.end == 0) {
        module.start = 0;
    }
    return load_module(reader, &module);
}

static int frame_at(struct heaptrack *reader, uint64_t pc, uint32_t *number)
{
    struct live_slot *slot = live_find(&reader->frames, 1, pc);

    if (slot) {
        *number = (uint32_t)slot->value - 1;
        return 0;
    }
    struct trace_frame frame = {.pc = pc, .module = UINT32_MAX, .offset = pc};
    uint32_t module = pc ? loaded_find(&reader->loaded, pc - 1) : LOADED_NONE; /* pc is behind the call */
    if (module != LOADED_NONE) {
        frame.module = module;
        frame.offset = pc - reader->tables.module[module].bias;
    }
    *number = tables_frame(&reader->tables, &frame);
    return *number != TABLES_FULL && live_add(&reader->frames, 1, pc, (uint64_t)*number + 1)
               ? 0
               : heaptrack_no_memory(reader);
}

static int read_raw_stack(struct heaptrack *reader, struct line_words words)
{
    uint64_t ip, parent;
    uint32_t frame, count;

    tables_nodes(&reader->tables, &count);
    if (heaptrack_next_hex(reader, &words, UINT64_MAX, &ip, "no address:") != 0 ||
        heaptrack_next_hex(reader, &words, count - 1, &parent, "no stack that this one was called from:") != 0 ||
        frame_at(reader, heaptrack_behind(reader, ip), &frame) != 0) {
        return -1;
    }
    return tables_node(&reader->tables, (uint32_t)parent, frame) == TABLES_FULL ? heaptrack_no_memory(reader) : 0;
}

static int read_raw_alloc(struct heaptrack *reader, struct line_words words, struct trace_event *event)
{
    uint64_t stack;
    uint32_t count;

    tables_nodes(&reader->tables, &count);
    *event =
        (struct trace_event){.op = TRACE_ALLOC, .call = TRACE_MALLOC, .process = 1, .thread = 1, .time = reader->time};
    if (heaptrack_next_hex(reader, &words, UINT64_MAX, &event->size, "no size:") != 0 ||
        heaptrack_next_hex(reader, &words, count - 1, &stack, "no stack:") != 0 ||
        heaptrack_next_hex(reader, &words, ALIVE_ADDRESSES - 1, &event->address, "no address:") != 0) {
        return -1;
    }
    if (event->address == 0) {
        return heaptrack_wrong(reader, reader->line.text, "an allocation at address 0:");
    }
    event->stack = (uint32_t)stack;
    if (alive_is(&reader->live, 1, event->address) == ALIVE_YES) {
        reader->kept = *event;
        *event = (struct trace_event){
            .op = TRACE_FREE, .process = 1, .thread = 1, .time = reader->time, .address = event->address};
        reader->about->lost++;
        return 1;
    }
    alive_begins(&reader->live, 1, event->address);
    return 1;
}

static int read_raw_free(struct heaptrack *reader, struct line_words words, struct trace_event *event)
{
    *event = (struct trace_event){.op = TRACE_FREE, .process = 1, .thread = 1, .time = reader->time};
    if (heaptrack_next_hex(reader, &words, UINT64_MAX, &event->address, "no address:") != 0) {
        return -1;
    }
    if (alive_is(&reader->live, 1, event->address) == ALIVE_NO) {
        reader->about->unmatched++;
        return 0;
    }
    alive_ends(&reader->live, 1, event->address);
    return 1;
}

/* -- both -- */

static int read_time(struct heaptrack *reader, struct line_words words)
{
    uint64_t ms;

    if (heaptrack_next_hex(reader, &words, UINT64_MAX / 1000000, &ms, "no time:") != 0) {
        return -1;
    }
    if (ms * 1000000 < reader->time) {
        return heaptrack_wrong(reader, words.at, "time runs backwards");
    }
    reader->time = ms * 1000000;
    return 0;
}

static int read_resident(struct heaptrack *reader, struct line_words words, struct trace_event *event)
{
    *event = (struct trace_event){.op = TRACE_COUNTERS, .process = 1, .thread = 1, .time = reader->time};
    if (heaptrack_next_hex(reader, &words, UINT64_MAX, &event->size, "no pages:") != 0 ||
        __builtin_mul_overflow(event->size, reader->page, &event->size)) {
        return heaptrack_wrong(reader, words.at, "no pages");
    }
    return 1;
}

static int read_common(struct heaptrack *reader, struct word op, struct line_words words, struct trace_event *event)
{
    struct word program;

    switch (op.text[0]) {
    case 'v': /* seen when the file was opened */
    case 'X':
    case 'S':
    case 'A':
    case '#':
        return 0;
    case 'x':
        if (reader->final) {
            return heaptrack_wrong(reader, op.text, "in a file that is not raw:");
        }
        return heaptrack_next_string(reader, &words, &program) == 0 &&
                       (reader->program = heaptrack_kept(reader, program))
                   ? 0
                   : -1;
    case 'I':
        return heaptrack_next_hex(reader, &words, (uint64_t)1 << 30, &reader->page, "no page size:");
    case 'c':
        return read_time(reader, words);
    case 'R':
        return read_resident(reader, words, event);
    default:
        return heaptrack_wrong(reader, op.text, "what is");
    }
}

static int read_line(struct heaptrack *reader, struct trace_event *event)
{
    struct line_words words = line_words(&reader->line);
    struct word op;

    if (!word_next(&words, &op)) {
        return 0;
    }
    if (op.length != 1 && op.text[0] != '#') {
        return heaptrack_wrong(reader, op.text, "what is");
    }
    if (op.text[0] == '+') {
        return reader->final ? heaptrack_read_event(reader, words, false, event) : read_raw_alloc(reader, words, event);
    }
    if (op.text[0] == '-') {
        return reader->final ? heaptrack_read_event(reader, words, true, event) : read_raw_free(reader, words, event);
    }
    if (op.text[0] == 't') {
        return reader->final ? heaptrack_read_stack(reader, words) : read_raw_stack(reader, words);
    }
    if (op.text[0] == 'm' && !reader->final) {
        return read_module(reader, words);
    }
    if (reader->final && op.text[0] == 's') {
        return heaptrack_read_string(reader, words);
    }
    if (reader->final && op.text[0] == 'i') {
        return heaptrack_read_call(reader, words);
    }
    if (reader->final && op.text[0] == 'a') {
        return heaptrack_read_class(reader, words);
    }
    return read_common(reader, op, words, event);
}

static int heaptrack_next(void *state, struct trace_event *event, struct trace_error *error)
{
    struct heaptrack *reader = state;
    int answer;

    if (reader->kept.op) {
        *event = reader->kept;
        reader->kept.op = 0;
        reader->about->events++;
        return 1; /* the address is live still: another block's now */
    }
    reader->error = error;
    while ((answer = input_line(reader->input, &reader->line, error)) > 0) {
        if (!reader->line.ended) {
            reader->about->truncated = true;
            return 0;
        }
        answer = read_line(reader, event);
        if (answer != 0) {
            reader->about->events += answer > 0;
            return answer;
        }
    }
    return answer;
}

/* -- opening -- */

static bool heaptrack_is(const unsigned char *head, size_t bytes, const char *path)
{
    (void)path;
    const char *end = memchr(head, '\n', bytes);
    struct line_words words = {(const char *)head, end};
    struct word word;
    uint64_t number;

    return end && word_next(&words, &word) && word_is(word, "v") && word_next(&words, &word) && word_hex(word, &number);
}

/* The version, whether it is a raw file and of which command: from the first lines, taken again when they are read. */
static int look_ahead(struct heaptrack *reader)
{
    size_t bytes;
    const char *at = input_peek(reader->input, PEEK, &bytes, NULL), *end = at + bytes, *newline;
    bool known = false, raw = false;
    uint64_t version;

    for (; at < end && !known && (newline = memchr(at, '\n', (size_t)(end - at))); at = newline + 1) {
        struct line_words words = {at, newline};
        struct word op, word;
        if (!word_next(&words, &op) || op.length != 1) {
            continue;
        }
        if (op.text[0] == 'v') {
            if (!word_next(&words, &word) || !word_hex(word, &version)) {
                version = 0;
            }
            if (!word_next(&words, &word) || !word_hex(word, &reader->format)) {
                reader->format = version == 0x10200; /* which wrote format 1 and did not say so */
            }
            if (reader->format == 0 || reader->format > NEWEST_FORMAT) {
                snprintf(reader->error->line, sizeof reader->error->line,
                         "heaptrack's format %llu is none of 1 to %d that are read", (unsigned long long)reader->format,
                         NEWEST_FORMAT);
                return -1;
            }
        } else if (op.text[0] == 'X') {
            words.at += words.at < words.end;
            reader->about->command = tables_text(&reader->tables, words.at, (size_t)(words.end - words.at), NULL);
        } else {
            raw |= op.text[0] == 'x';
            known = strchr("msiat+", op.text[0]);
            reader->final = known && !raw && op.text[0] != 'm';
        }
    }
    return 0;
}

static void heaptrack_close(void *state)
{
    struct heaptrack *reader = state;

    if (reader->input) {
        input_close(reader->input);
    }
    tables_done(&reader->tables);
    alive_done(&reader->live);
    live_done(&reader->frames);
    live_done(&reader->modules);
    loaded_done(&reader->loaded);
    free(reader->string);
    free(reader->call);
    free(reader->stack);
    free(reader->class);
    free(reader->older);
    free(reader);
}

static void *heaptrack_open(int fd, struct trace_about *about, struct trace_error *error)
{
    struct heaptrack *reader = calloc(1, sizeof *reader);

    if (!reader) {
        snprintf(error->line, sizeof error->line, "out of memory");
        return NULL;
    }
    reader->about = about;
    reader->error = error;
    reader->page = 4096;
    reader->input = input_open(fd, about, error);
    if (!reader->input || look_ahead(reader) != 0) {
        heaptrack_close(reader);
        return NULL;
    }
    about->has_addresses = !reader->final;
    about->has_stacks = about->has_times = true;
    return reader;
}

static const struct trace_node *heaptrack_nodes(const void *reader, uint32_t *count)
{
    return tables_nodes(&((const struct heaptrack *)reader)->tables, count);
}

static const struct trace_frame *heaptrack_frames(const void *reader, uint32_t *count)
{
    return tables_frames(&((const struct heaptrack *)reader)->tables, count);
}

static const struct trace_module *heaptrack_modules(const void *reader, uint32_t *count)
{
    return tables_modules(&((const struct heaptrack *)reader)->tables, count);
}

const struct trace_format trace_format_heaptrack = {
    .name = "heaptrack",
    .is = heaptrack_is,
    .open = heaptrack_open,
    .next = heaptrack_next,
    .nodes = heaptrack_nodes,
    .frames = heaptrack_frames,
    .modules = heaptrack_modules,
    .close = heaptrack_close,
};
