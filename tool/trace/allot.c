/* allot's own traces: what the events of their threads, in order (order.h), are to who reads traces.
 *
 * A realloc gives up its old block at one time and has the new one at another; when somebody else has the old one in between, it
 * is a free and an allocation.
 */
#include <stdlib.h>
#include <string.h>

#include "trace/order.h"

/* A realloc that has begun, of one thread. */
struct resizing {
    uint32_t process, thread;
    uint64_t old, time;
    bool is_gone; /* somebody else has it: its free has been told */
};

struct reader {
    struct order order;
    struct file_head head;
    char *command;
    struct resizing *resizing;
    uint32_t resizings, resizing_room;
    struct trace_event told; /* to be given after the one that is given now */
    bool has_told;
    char *text; /* of the event given */
    size_t text_room;
    uint64_t lost;
};

static bool is(const unsigned char *head, size_t bytes, const char *path)
{
    (void)path;
    return bytes >= 8 && memcmp(head, FILE_MAGIC, 8) == 0;
}

static bool set_text(struct reader *r, const unsigned char *bytes, size_t length)
{
    if (length + 1 > r->text_room) {
        free(r->text);
        r->text = malloc(length + 1);
        r->text_room = r->text ? length + 1 : 0;
        if (!r->text) {
            return false;
        }
    }
    memcpy(r->text, bytes, length);
    r->text[length] = 0;
    return true;
}

/* 1: it is an event; 0: it is not one; -1: it is broken. */
static int from_note(struct reader *r, const struct file_event *e, struct trace_event *out)
{
    static const unsigned char numbers[] = {
        [FILE_NOTE_PROCESS] = 3,  [FILE_NOTE_EXIT] = 1, [FILE_NOTE_THREAD] = 1,
        [FILE_NOTE_COUNTERS] = 2, [FILE_NOTE_LOST] = 1, [FILE_NOTE_MARK] = 0,
    };
    const unsigned char *at = e->note + 1, *end = e->note + e->note_bytes;
    unsigned kind = e->note[0];
    uint64_t number[3] = {0};

    if (kind < FILE_NOTE_PROCESS || kind > FILE_NOTE_LOST) {
        return 0; /* of a later allot */
    }
    for (unsigned i = 0; i < numbers[kind]; i++) {
        at = file_get_number(at, end, &number[i]);
        if (!at) {
            return -1;
        }
    }
    switch ((enum file_note)kind) {
    case FILE_NOTE_PROCESS:
        out->op = TRACE_PROCESS;
        out->old = number[0];
        out->size = number[2];
        break;
    case FILE_NOTE_EXIT:
        out->op = TRACE_EXIT;
        out->size = number[0];
        return 1;
    case FILE_NOTE_THREAD:
        out->op = TRACE_THREAD;
        break;
    case FILE_NOTE_MARK:
        out->op = TRACE_MARK;
        break;
    case FILE_NOTE_COUNTERS:
        out->op = TRACE_COUNTERS;
        out->size = number[0];
        out->old = number[1];
        return 1;
    case FILE_NOTE_LOST:
        out->op = TRACE_LOST;
        out->size = number[0];
        r->lost += number[0];
        return 1;
    }
    if (!set_text(r, at, (size_t)(end - at))) {
        return -1;
    }
    out->text = r->text;
    return 1;
}

/* What the collector says of a process is of no thread of it: as of the first. */
static uint32_t thread_of(uint32_t thread) { return thread ? thread : 1; }

static uint64_t time_of(const struct reader *r, const struct file_event *e)
{
    return (uint64_t)((__uint128_t)e->time * r->head.unit >> 32);
}

/* -- reallocs -- */

/* The one that the thread has begun; NULL: none. */
static struct resizing *resizing_of(struct reader *r, const struct order_event *e)
{
    for (uint32_t i = 0; i < r->resizings; i++) {
        if (r->resizing[i].process == e->process && r->resizing[i].thread == e->thread) {
            return &r->resizing[i];
        }
    }
    return NULL;
}

static void stop_resizing(struct reader *r, struct resizing *one)
{
    if (one) {
        *one = r->resizing[--r->resizings];
    }
}

/* False: no memory. */
static bool begin_resizing(struct reader *r, const struct order_event *e)
{
    stop_resizing(r, resizing_of(r, e));
    if (e->event.address == 0) {
        return true;
    }
    if (!model_more((void **)&r->resizing, &r->resizing_room, r->resizings + 1, sizeof *r->resizing)) {
        return false;
    }
    r->resizing[r->resizings++] =
        (struct resizing){e->process, e->thread, e->event.address, time_of(r, &e->event), false};
    return true;
}

/* 1: *out is what became of the block; 0: it stays as it is, since there is no memory for it. */
static int end_resizing(struct reader *r, const struct order_event *e, struct trace_event *out)
{
    struct resizing *one = resizing_of(r, e), was = one ? *one : (struct resizing){0};

    stop_resizing(r, one);
    if (one && was.old == e->event.address && e->event.size == 0) {
        return 0;
    }
    out->op = one && !was.is_gone ? TRACE_REALLOC : TRACE_ALLOC;
    out->call = out->op == TRACE_ALLOC ? TRACE_REALLOC_CALL : 0;
    if (out->op == TRACE_REALLOC) {
        out->old = was.old;
        out->begun = was.time;
    }
    return 1;
}

/* Somebody has been given a block that a realloc elsewhere, not done yet, has given up: that is a free, told first. */
static bool split_resizing(struct reader *r, const struct order_event *taker, struct trace_event *out)
{
    for (uint32_t i = 0; i < r->resizings; i++) {
        struct resizing *one = &r->resizing[i];
        if (one->old == taker->event.address && one->process == taker->process && one->thread != taker->thread &&
            !one->is_gone) {
            one->is_gone = true;
            *out = (struct trace_event){.op = TRACE_FREE,
                                        .process = one->process,
                                        .thread = thread_of(one->thread),
                                        .time = time_of(r, &taker->event),
                                        .address = one->old};
            return true;
        }
    }
    return false;
}

/* -- events -- */

/* What an event of the file is: 1; nothing that is told: 0; -1. */
static int translate(struct reader *r, const struct order_event *from, struct trace_event *out)
{
    static const unsigned char call[] = {
        [FILE_MALLOC] = TRACE_MALLOC,
        [FILE_CALLOC] = TRACE_CALLOC,
        [FILE_ALIGNED] = TRACE_ALIGNED,
    };
    const struct file_event *e = &from->event;
    uint64_t time = time_of(r, e);

    *out = (struct trace_event){.process = from->process,
                                .thread = thread_of(from->thread),
                                .time = time,
                                .begun = time,
                                .stack = e->stack,
                                .address = e->address,
                                .size = e->size};
    switch (e->op) {
    case FILE_ALIGNED:
        out->align = e->extra;
        /* fallthrough */
    case FILE_MALLOC:
    case FILE_CALLOC:
        out->op = TRACE_ALLOC;
        out->call = (enum trace_call)call[e->op];
        return 1;
    case FILE_FREE:
        out->op = TRACE_FREE;
        return 1;
    case FILE_REALLOC_FROM:
        return begin_resizing(r, from) ? 0 : -1;
    case FILE_REALLOC_TO:
        return end_resizing(r, from, out);
    case FILE_FAILED:
        out->op = TRACE_FAILED;
        return 1;
    case FILE_BEFORE:
        out->op = TRACE_BEFORE;
        return 1;
    case FILE_VERDICT:
        out->op = TRACE_VERDICT;
        out->verdict = e->extra;
        return 1;
    default:
        return from_note(r, e, out);
    }
}

static int next(void *reader, struct trace_event *event, struct trace_error *error)
{
    struct reader *r = reader;
    struct trace_about *about = r->order.frames.about;
    struct order_event e;
    int got;

    if (r->has_told) {
        *event = r->told;
        r->has_told = false;
        return 1;
    }
    while ((got = order_next(&r->order, &e, error)) > 0) {
        bool is_split = unlikely(r->resizings > 0) && order_takes_address(&e.event) && split_resizing(r, &e, &r->told);
        got = translate(r, &e, event);
        if (got < 0) {
            return frames_wrong(error, e.at, "a broken note");
        }
        about->events += is_split + (got && event->op <= TRACE_BEFORE);
        if (is_split) {
            struct trace_event split = r->told;
            r->told = *event;
            r->has_told = got == 1;
            *event = split;
            return 1;
        }
        if (got == 1) {
            return 1;
        }
    }
    if (got == 0 && about->lost < r->lost) {
        about->lost = r->lost;
    }
    return got;
}

static void close_reader(void *reader)
{
    struct reader *r = reader;

    order_close(&r->order);
    free(r->resizing);
    free(r->text);
    free(r->command);
    free(r);
}

static void *open_reader(int fd, struct trace_about *about, struct trace_error *error)
{
    struct reader *r = calloc(1, sizeof *r);

    if (!r) {
        frames_wrong(error, 0, "no memory");
        return NULL;
    }
    if (order_open(&r->order, fd, about, &r->head, &r->command, error) < 0) {
        close_reader(r);
        return NULL;
    }
    /* Its words, with blanks between them. */
    for (uint32_t i = 0; i + 1 < r->head.command_bytes; i++) {
        r->command[i] = r->command[i] ? r->command[i] : ' ';
    }
    about->command = r->head.command_bytes ? r->command : NULL;
    about->has_stacks = r->head.flags & FILE_STACKS;
    about->has_times = about->has_addresses = true;
    about->began = r->head.began;
    return r;
}

static const struct trace_node *nodes(const void *reader, uint32_t *count)
{
    return tables_nodes(&((const struct reader *)reader)->order.state.tables, count);
}

static const struct trace_frame *frames(const void *reader, uint32_t *count)
{
    return tables_frames(&((const struct reader *)reader)->order.state.tables, count);
}

static const struct trace_module *modules(const void *reader, uint32_t *count)
{
    return tables_modules(&((const struct reader *)reader)->order.state.tables, count);
}

const struct trace_format trace_format_allot = {
    .name = "allot",
    .is = is,
    .open = open_reader,
    .next = next,
    .nodes = nodes,
    .frames = frames,
    .modules = modules,
    .close = close_reader,
};
