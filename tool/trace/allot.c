/* allot's own traces: the threads' events, each in its own order, put into one in which they can have happened.
 *
 *   heap of streams, by the time of the next event of each; of equal times by process and thread
 *
 * Times are in units of up to 16 ns, so events of two threads may have the same. Then an allocation waits while another thread
 * that has an event of this time gives up its address: what gave it up came before (probe/ring.h). A realloc gives up its old block at
 * one time and has the new one at another; when somebody else has the old one in between, it is a free and an allocation.
 *
 * Bound: for each event one comparison while a thread goes on alone, log2 of the threads where they change; memory for the frames
 * being read, 20 bytes an event of them, and nothing for those that are not, but their places.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/allot.h"

enum {
    AHEAD = 16,        /* events of one time looked through for an address */
    PLACES = 1u << 20, /* frames between two values of `since` at most */
    BUCKETS = 1024,
};
#define OPEN_MOST ((size_t)256 << 20) /* bytes of frames being read */

struct waiting_frame {
    struct waiting_frame *next;
    uint64_t at;
    struct file_frame head;
};

struct stream {
    struct stream *bucket_next;
    uint32_t process, thread;
    struct waiting_frame *first, **last;
    unsigned char *raw;    /* the frame being read, */
    unsigned char *before; /* and the one before, as long as one of its events is ahead; or NULL */
    uint64_t at;           /* of the frame being read */
    size_t memory, memory_before;
    struct unpacker unpacker;
    struct file_event ahead[AHEAD]; /* ring: those that have been unpacked */
    unsigned ahead_first, ahead_count;
    uint64_t reached; /* time of the last event unpacked */
    uint64_t old;     /* of a realloc that has begun; 0: none */
    uint64_t old_time;
    bool old_is_gone; /* somebody else has it: its free has been told */
};

struct reader {
    struct frames frames;
    struct file_head head;
    char *command;
    struct table_state state;
    struct stream *bucket[BUCKETS];
    struct stream **heap; /* those that have an event */
    uint32_t streams, heap_room;
    uint32_t places;
    size_t open;            /* bytes of frames being read */
    struct file_frame next; /* the first frame not seen yet, when `more` */
    bool more;
    unsigned resizing; /* streams with `old` */
    struct stream **resizer;
    uint32_t resizer_room;
    struct trace_event told; /* to be given after the one that is given now */
    bool has_told;
    char *text; /* of the event given */
    size_t text_room;
    uint64_t events, lost;
};

static bool is(const unsigned char *head, size_t bytes, const char *path)
{
    (void)path;
    return bytes >= 8 && memcmp(head, FILE_MAGIC, 8) == 0;
}

/* -- streams -- */

static struct file_event *next_of(struct stream *s) { return &s->ahead[s->ahead_first]; }

static bool is_before(struct stream *a, struct stream *b)
{
    uint64_t one = next_of(a)->time, other = next_of(b)->time;
    if (one != other) {
        return one < other;
    }
    /* What the collector says of a process comes after what its threads did. */
    uint64_t first = (uint64_t)a->process << 32 | (a->thread - 1),
             second = (uint64_t)b->process << 32 | (b->thread - 1);
    return first < second;
}

static void sift_down(struct reader *r, uint32_t at)
{
    struct stream *s = r->heap[at];
    for (uint32_t child; (child = 2 * at + 1) < r->streams; at = child) {
        if (child + 1 < r->streams && is_before(r->heap[child + 1], r->heap[child])) {
            child++;
        }
        if (!is_before(r->heap[child], s)) {
            break;
        }
        r->heap[at] = r->heap[child];
    }
    r->heap[at] = s;
}

static void sift_up(struct reader *r, uint32_t at)
{
    struct stream *s = r->heap[at];
    for (; at > 0 && is_before(s, r->heap[(at - 1) / 2]); at = (at - 1) / 2) {
        r->heap[at] = r->heap[(at - 1) / 2];
    }
    r->heap[at] = s;
}

static void close_before(struct reader *r, struct stream *s)
{
    free(s->before);
    s->before = NULL;
    r->open -= s->memory_before;
    s->memory_before = 0;
}

static void close_frame(struct reader *r, struct stream *s)
{
    free(s->raw);
    s->raw = NULL;
    r->open -= s->memory;
    s->memory = 0;
    close_before(r, s);
}

static int open_frame(struct reader *r, struct stream *s, struct trace_error *error)
{
    struct waiting_frame *frame = s->first;

    s->at = frame->at;
    s->raw = frames_unpack(&r->frames, frame->at, &frame->head, error);
    if (!s->raw) {
        return -1;
    }
    const char *wrong = unpacker_begin(&s->unpacker, s->raw, frame->head.raw, frame->head.count, frame->head.first);
    s->memory = frame->head.raw + unpacker_memory(&s->unpacker);
    r->open += s->memory;
    if (!wrong && r->open > OPEN_MOST) {
        wrong = "too many threads at once";
    }
    if (wrong) {
        return frames_wrong(error, frame->at, wrong);
    }
    s->first = frame->next;
    if (!s->first) {
        s->last = &s->first;
    }
    r->places--;
    free(frame);
    return 1;
}

/* One event more in `ahead`, if there is one to be had: 1, 0, -1. Notes point into their frame, so that is kept as long. */
static int look_ahead(struct reader *r, struct stream *s, struct trace_error *error)
{
    struct file_event *e = &s->ahead[(s->ahead_first + s->ahead_count) % AHEAD];
    const char *wrong = NULL;
    int got;

    while (!s->raw || (got = unpacker_next(&s->unpacker, e, &wrong)) == 0) {
        if (!s->first || (s->ahead_count > 0 && s->before)) {
            return 0;
        }
        if (s->ahead_count > 0) {
            s->before = s->raw;
            s->memory_before = s->memory;
            s->raw = NULL;
        } else {
            close_frame(r, s);
        }
        if (open_frame(r, s, error) < 0) {
            return -1;
        }
    }
    if (got < 0) {
        return frames_wrong(error, s->at, wrong);
    }
    if (e->time < s->reached) {
        return frames_wrong(error, s->at, "time goes back");
    }
    uint32_t nodes;
    tables_nodes(&r->state.tables, &nodes);
    if (e->stack >= nodes) {
        return frames_wrong(error, s->at, "a stack that has not been told of");
    }
    s->reached = e->time;
    s->ahead_count++;
    return 1;
}

static struct stream **bucket_of(struct reader *r, uint32_t process, uint32_t thread)
{
    struct stream **link = &r->bucket[(process * 0x9e3779b1u + thread * 0x85ebca6bu) >> 22];
    while (*link && ((*link)->process != process || (*link)->thread != thread)) {
        link = &(*link)->bucket_next;
    }
    return link;
}

/* The stream's first event has been given: it goes to its place in the heap, or waits for frames that come. */
static int advance(struct reader *r, struct stream *s, struct trace_error *error)
{
    s->ahead_first = (s->ahead_first + 1) % AHEAD;
    if (--s->ahead_count == 0) {
        if (s->before) {
            close_before(r, s);
        }
        int got = look_ahead(r, s, error);
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            r->heap[0] = r->heap[--r->streams];
            close_frame(r, s);
            unpacker_done(&s->unpacker);
            if (!s->old) {
                *bucket_of(r, s->process, s->thread) = s->bucket_next;
                free(s);
            }
            if (r->streams == 0) {
                return 0;
            }
        }
    }
    sift_down(r, 0);
    return 0;
}

/* -- frames -- */

static int add_frame(struct reader *r, uint64_t at, const struct file_frame *head, struct trace_error *error)
{
    if (r->places >= PLACES) {
        return frames_wrong(error, at, "too many frames without an order");
    }
    struct stream **link = bucket_of(r, head->process, head->thread), *s = *link;
    struct waiting_frame *frame = malloc(sizeof *frame);
    if (!s && frame && (s = calloc(1, sizeof *s))) {
        s->process = head->process;
        s->thread = head->thread;
        s->last = &s->first;
        *link = s;
    }
    if (!frame || !s) {
        free(frame);
        return frames_wrong(error, at, "no memory for the frame");
    }
    *frame = (struct waiting_frame){NULL, at, *head};
    *s->last = frame;
    s->last = &frame->next;
    r->places++;
    if (s->ahead_count > 0) {
        return 0;
    }
    int got = look_ahead(r, s, error);
    if (got <= 0) {
        return got;
    }
    if (!model_more((void **)&r->heap, &r->heap_room, r->streams + 1, sizeof *r->heap)) {
        return frames_wrong(error, at, "no memory");
    }
    r->heap[r->streams++] = s;
    sift_up(r, r->streams - 1);
    return 0;
}

static void read_end(struct reader *r, const unsigned char *raw, size_t bytes)
{
    const unsigned char *at = raw, *end = raw + bytes;
    uint64_t number[4];

    for (unsigned i = 0; i < 4; i++) {
        at = at ? file_get_number(at, end, &number[i]) : NULL;
    }
    if (at) {
        r->frames.about->lost = number[1];
        r->frames.about->waited_ns = number[2];
        r->frames.about->collector_cpu_ns = number[3];
    }
    r->frames.about->truncated = false;
}

/* Takes the frame that is next, and looks at the one after. */
static int take_frame(struct reader *r, struct trace_error *error)
{
    struct file_frame head = r->next;
    uint64_t at = r->frames.at;
    int result = 0;

    if (head.kind == FILE_KIND_EVENTS) {
        result = head.count && head.process ? add_frame(r, at, &head, error)
                                            : frames_wrong(error, at, "a frame of no events");
    } else if (head.kind != FILE_KIND_KEY) {
        unsigned char *raw = frames_unpack(&r->frames, at, &head, error);
        if (!raw) {
            return -1;
        }
        if (head.kind == FILE_KIND_END) {
            read_end(r, raw, head.raw);
            r->frames.about->read = r->frames.about->bytes;
            r->more = false;
            free(raw);
            return 0;
        }
        const char *wrong = tables_unpack(&r->state, raw, head.raw, head.count);
        free(raw);
        if (wrong) {
            return frames_wrong(error, at, wrong);
        }
    }
    if (result < 0) {
        return -1;
    }
    r->frames.at += sizeof head + head.bytes;
    uint64_t since = head.since;
    int got = frames_peek(&r->frames, &r->next, error);
    r->more = got == 1;
    if (r->more && r->next.since < since) {
        return frames_wrong(error, r->frames.at, "time goes back");
    }
    return got < 0 ? -1 : 0;
}

/* -- order -- */

static bool takes_address(const struct file_event *e) { return e->op <= FILE_REALLOC_TO || e->op == FILE_BEFORE; }

static bool gives_address(const struct file_event *e) { return e->op == FILE_FREE || e->op == FILE_REALLOC_FROM; }

/* Of the events that a stream has at that time, the first one about the address gives it up: 1, 0, -1. */
static int gives_up(struct reader *r, struct stream *s, uint64_t time, uint64_t address, struct trace_error *error)
{
    for (unsigned i = 0; i < AHEAD; i++) {
        if (i == s->ahead_count) {
            int got = look_ahead(r, s, error);
            if (got <= 0) {
                return got;
            }
        }
        const struct file_event *e = &s->ahead[(s->ahead_first + i) % AHEAD];
        if (e->time != time) {
            return 0;
        }
        if (e->address == address && (takes_address(e) || gives_address(e))) {
            return gives_address(e);
        }
    }
    return 0;
}

/* Another stream, below `at` in the heap, has to go before the first one. Returns its index, 0: none has to; -1. */
static int64_t who_gives_up(struct reader *r, uint32_t at, const struct stream *first, uint64_t address, uint64_t time,
                            struct trace_error *error)
{
    if (at >= r->streams || next_of(r->heap[at])->time != time) {
        return 0;
    }
    struct stream *s = r->heap[at];
    if (s != first && s->process == first->process) {
        int got = gives_up(r, s, time, address, error);
        if (got != 0) {
            return got < 0 ? -1 : (int64_t)at;
        }
    }
    int64_t found = who_gives_up(r, 2 * at + 1, first, address, time, error);
    return found ? found : who_gives_up(r, 2 * at + 2, first, address, time, error);
}

/* Puts the stream to the top whose event is to come next. */
static int settle(struct reader *r, struct trace_error *error)
{
    uint64_t time = next_of(r->heap[0])->time;

    for (unsigned tries = 0; tries < AHEAD && r->streams > 1; tries++) {
        bool tied = next_of(r->heap[1])->time == time || (r->streams > 2 && next_of(r->heap[2])->time == time);
        if (!tied || !takes_address(next_of(r->heap[0]))) {
            return 0;
        }
        int64_t other = who_gives_up(r, 1, r->heap[0], next_of(r->heap[0])->address, time, error);
        if (other == 0) {
            other = who_gives_up(r, 2, r->heap[0], next_of(r->heap[0])->address, time, error);
        }
        if (other <= 0) {
            return (int)other;
        }
        /* Equal times: either order is one of the heap. */
        struct stream *s = r->heap[0];
        r->heap[0] = r->heap[other];
        r->heap[other] = s;
    }
    return 0;
}

/* -- events -- */

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
static uint32_t thread_of(const struct stream *s) { return s->thread ? s->thread : 1; }

static void stop_resizing(struct reader *r, struct stream *s)
{
    for (unsigned i = 0; i < r->resizing; i++) {
        if (r->resizer[i] == s) {
            r->resizer[i] = r->resizer[--r->resizing];
            break;
        }
    }
    s->old = 0;
}

/* Somebody has been given a block that a realloc elsewhere, not done yet, has given up: that is a free, told first. */
static bool split_realloc(struct reader *r, const struct stream *taker, uint64_t address, uint64_t time,
                          struct trace_event *out)
{
    for (unsigned i = 0; i < r->resizing; i++) {
        struct stream *s = r->resizer[i];
        if (s->old == address && s->process == taker->process && s != taker && !s->old_is_gone) {
            s->old_is_gone = true;
            *out = (struct trace_event){
                .op = TRACE_FREE, .process = s->process, .thread = thread_of(s), .time = time, .address = address};
            return true;
        }
    }
    return false;
}

/* What an event of the file is: 1; nothing that is told: 0; -1. */
static int translate(struct reader *r, struct stream *s, const struct file_event *e, struct trace_event *out)
{
    static const unsigned char call[] = {
        [FILE_MALLOC] = TRACE_MALLOC,
        [FILE_CALLOC] = TRACE_CALLOC,
        [FILE_ALIGNED] = TRACE_ALIGNED,
        [FILE_REALLOC_TO] = TRACE_REALLOC_CALL,
    };
    uint64_t time = (uint64_t)((__uint128_t)e->time * r->head.unit >> 32);

    *out = (struct trace_event){.process = s->process,
                                .thread = thread_of(s),
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
        if (s->old) {
            stop_resizing(r, s);
        }
        if (e->address == 0) {
            return 0;
        }
        if (!model_more((void **)&r->resizer, &r->resizer_room, r->resizing + 1, sizeof(struct stream *))) {
            return -1;
        }
        r->resizer[r->resizing++] = s;
        s->old = e->address;
        s->old_time = time;
        s->old_is_gone = false;
        return 0;
    case FILE_REALLOC_TO: {
        uint64_t old = s->old;
        bool gone = s->old_is_gone;
        if (old) {
            stop_resizing(r, s);
        }
        if (old && old == e->address && e->size == 0) {
            return 0; /* it failed: the block is as it was */
        }
        out->op = old && !gone ? TRACE_REALLOC : TRACE_ALLOC;
        out->call = out->op == TRACE_ALLOC ? TRACE_REALLOC_CALL : 0;
        if (out->op == TRACE_REALLOC) {
            out->old = old;
            out->begun = s->old_time;
        }
        return 1;
    }
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

    if (r->has_told) {
        *event = r->told;
        r->has_told = false;
        return 1;
    }
    for (;;) {
        while (r->more && (r->streams == 0 || r->next.since <= next_of(r->heap[0])->time)) {
            if (take_frame(r, error) < 0) {
                return -1;
            }
        }
        if (r->streams == 0) {
            if (r->frames.about->lost < r->lost) {
                r->frames.about->lost = r->lost;
            }
            return 0;
        }
        if (r->streams > 1 && settle(r, error) < 0) {
            return -1;
        }
        struct stream *s = r->heap[0];
        struct file_event e = *next_of(s);
        struct trace_event split, out;
        bool is_split = false;
        if (unlikely(r->resizing > 0) && takes_address(&e)) {
            uint64_t time = (uint64_t)((__uint128_t)e.time * r->head.unit >> 32);
            is_split = split_realloc(r, s, e.address, time, &split);
        }
        int got = translate(r, s, &e, &out);
        if (got < 0) {
            return frames_wrong(error, s->at, "a broken note");
        }
        if (advance(r, s, error) < 0) {
            return -1;
        }
        if (is_split) {
            r->told = out;
            r->has_told = got == 1;
            *event = split;
            r->frames.about->events++;
            return 1;
        }
        if (got == 1) {
            r->frames.about->events += out.op <= TRACE_BEFORE;
            *event = out;
            return 1;
        }
    }
}

static void close_reader(void *reader)
{
    struct reader *r = reader;

    for (unsigned i = 0; i < BUCKETS; i++) {
        while (r->bucket[i]) {
            struct stream *s = r->bucket[i];
            r->bucket[i] = s->bucket_next;
            while (s->first) {
                struct waiting_frame *next = s->first->next;
                free(s->first);
                s->first = next;
            }
            free(s->raw);
            free(s->before);
            unpacker_done(&s->unpacker);
            free(s);
        }
    }
    frames_close(&r->frames);
    table_state_done(&r->state);
    free(r->heap);
    free(r->resizer);
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
    if (!frames_open(&r->frames, fd, about, &r->head, &r->command, error)) {
        free(r);
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
    int got = frames_peek(&r->frames, &r->next, error);
    if (got < 0) {
        close_reader(r);
        return NULL;
    }
    r->more = got == 1;
    return r;
}

static const struct trace_node *nodes(const void *reader, uint32_t *count)
{
    return tables_nodes(&((const struct reader *)reader)->state.tables, count);
}

static const struct trace_frame *frames(const void *reader, uint32_t *count)
{
    return tables_frames(&((const struct reader *)reader)->state.tables, count);
}

static const struct trace_module *modules(const void *reader, uint32_t *count)
{
    return tables_modules(&((const struct reader *)reader)->state.tables, count);
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
