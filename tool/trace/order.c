/* order.c - see order.h.
 *
 *   heap of streams, by the time of the next event of each; of equal times by process and thread
 *
 * Bound: for each event one comparison while a thread goes on alone, log2 of the threads where they change; memory for the frames
 * being read, 20 bytes an event of them, and nothing for those that are not, but their places.
 */
#include <stdlib.h>
#include <string.h>

#include "trace/order.h"

enum {
    AHEAD = 16,        /* events of one time looked through for an address */
    PLACES = 1u << 20, /* frames between two values of `since` at most */
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
};

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

static void sift_down(struct order *o, uint32_t at)
{
    struct stream *s = o->heap[at];
    for (uint32_t child; (child = 2 * at + 1) < o->streams; at = child) {
        if (child + 1 < o->streams && is_before(o->heap[child + 1], o->heap[child])) {
            child++;
        }
        if (!is_before(o->heap[child], s)) {
            break;
        }
        o->heap[at] = o->heap[child];
    }
    o->heap[at] = s;
}

static void sift_up(struct order *o, uint32_t at)
{
    struct stream *s = o->heap[at];
    for (; at > 0 && is_before(s, o->heap[(at - 1) / 2]); at = (at - 1) / 2) {
        o->heap[at] = o->heap[(at - 1) / 2];
    }
    o->heap[at] = s;
}

static void close_before(struct order *o, struct stream *s)
{
    free(s->before);
    s->before = NULL;
    o->open -= s->memory_before;
    s->memory_before = 0;
}

static void close_frame(struct order *o, struct stream *s)
{
    free(s->raw);
    s->raw = NULL;
    o->open -= s->memory;
    s->memory = 0;
    close_before(o, s);
}

static int open_frame(struct order *o, struct stream *s, struct trace_error *error)
{
    struct waiting_frame *frame = s->first;

    s->at = frame->at;
    s->raw = frames_unpack(&o->frames, frame->at, &frame->head, error);
    if (!s->raw) {
        return -1;
    }
    const char *wrong = unpacker_begin(&s->unpacker, s->raw, frame->head.raw, frame->head.count, frame->head.first);
    s->memory = frame->head.raw + unpacker_memory(&s->unpacker);
    o->open += s->memory;
    if (!wrong && o->open > OPEN_MOST) {
        wrong = "too many threads at once";
    }
    if (wrong) {
        return frames_wrong(error, frame->at, wrong);
    }
    s->first = frame->next;
    if (!s->first) {
        s->last = &s->first;
    }
    o->places--;
    free(frame);
    return 1;
}

/* One event more in `ahead`, if there is one to be had: 1, 0, -1. Notes point into their frame, so that is kept as long. */
static int look_ahead(struct order *o, struct stream *s, struct trace_error *error)
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
            close_frame(o, s);
        }
        if (open_frame(o, s, error) < 0) {
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
    tables_nodes(&o->state.tables, &nodes);
    if (e->stack >= nodes) {
        return frames_wrong(error, s->at, "a stack that has not been told of");
    }
    s->reached = e->time;
    s->ahead_count++;
    return 1;
}

static struct stream **bucket_of(struct order *o, uint32_t process, uint32_t thread)
{
    struct stream **link = &o->bucket[(process * 0x9e3779b1u + thread * 0x85ebca6bu) >> 22];
    while (*link && ((*link)->process != process || (*link)->thread != thread)) {
        link = &(*link)->bucket_next;
    }
    return link;
}

/* The stream's first event has been given: it goes to its place in the heap, or waits for frames that come. */
static int advance(struct order *o, struct stream *s, struct trace_error *error)
{
    s->ahead_first = (s->ahead_first + 1) % AHEAD;
    if (--s->ahead_count == 0) {
        if (s->before) {
            close_before(o, s);
        }
        int got = look_ahead(o, s, error);
        if (got < 0) {
            return -1;
        }
        if (got == 0) {
            o->heap[0] = o->heap[--o->streams];
            close_frame(o, s);
            unpacker_done(&s->unpacker);
            *bucket_of(o, s->process, s->thread) = s->bucket_next;
            free(s);
            if (o->streams == 0) {
                return 0;
            }
        }
    }
    sift_down(o, 0);
    return 0;
}

/* -- frames -- */

static int add_frame(struct order *o, uint64_t at, const struct file_frame *head, struct trace_error *error)
{
    if (o->places >= PLACES) {
        return frames_wrong(error, at, "too many frames without an order");
    }
    struct stream **link = bucket_of(o, head->process, head->thread), *s = *link;
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
    o->places++;
    if (s->ahead_count > 0) {
        return 0;
    }
    int got = look_ahead(o, s, error);
    if (got <= 0) {
        return got;
    }
    if (!model_more((void **)&o->heap, &o->heap_room, o->streams + 1, sizeof *o->heap)) {
        return frames_wrong(error, at, "no memory");
    }
    o->heap[o->streams++] = s;
    sift_up(o, o->streams - 1);
    return 0;
}

static void read_end(struct order *o, const unsigned char *raw, size_t bytes)
{
    const unsigned char *at = raw, *end = raw + bytes;
    uint64_t number[4];

    for (unsigned i = 0; i < 4; i++) {
        at = at ? file_get_number(at, end, &number[i]) : NULL;
    }
    if (at) {
        o->frames.about->lost = number[1];
        o->frames.about->waited_ns = number[2];
        o->frames.about->collector_cpu_ns = number[3];
    }
    o->frames.about->truncated = false;
}

/* Takes the frame that is next, and looks at the one after. */
static int take_frame(struct order *o, struct trace_error *error)
{
    struct file_frame head = o->next;
    uint64_t at = o->frames.at;
    int result = 0;

    if (head.kind == FILE_KIND_EVENTS) {
        result = head.count && head.process ? add_frame(o, at, &head, error)
                                            : frames_wrong(error, at, "a frame of no events");
    } else if (head.kind == FILE_KIND_SNAPSHOT) {
        result = frames_wrong(error, at, "a snapshot among events");
    } else if (head.kind != FILE_KIND_KEY) {
        unsigned char *raw = frames_unpack(&o->frames, at, &head, error);
        if (!raw) {
            return -1;
        }
        if (head.kind == FILE_KIND_END) {
            read_end(o, raw, head.raw);
            o->frames.about->read = o->frames.about->bytes;
            o->more = false;
            free(raw);
            return 0;
        }
        const char *wrong = tables_unpack(&o->state, raw, head.raw, head.count);
        free(raw);
        if (wrong) {
            return frames_wrong(error, at, wrong);
        }
    }
    if (result < 0) {
        return -1;
    }
    o->frames.about->memory = o->open + tables_memory(&o->state.tables);
    o->frames.at += sizeof head + head.bytes;
    uint64_t since = head.since;
    int got = frames_peek(&o->frames, &o->next, error);
    o->more = got == 1;
    if (o->more && o->next.since < since) {
        return frames_wrong(error, o->frames.at, "time goes back");
    }
    return got < 0 ? -1 : 0;
}

/* -- of equal times -- */

static bool gives_address(const struct file_event *e) { return e->op == FILE_FREE || e->op == FILE_REALLOC_FROM; }

/* Of the events that a stream has at that time, the first one about the address gives it up: 1, 0, -1. */
static int gives_up(struct order *o, struct stream *s, uint64_t time, uint64_t address, struct trace_error *error)
{
    for (unsigned i = 0; i < AHEAD; i++) {
        if (i == s->ahead_count) {
            int got = look_ahead(o, s, error);
            if (got <= 0) {
                return got;
            }
        }
        const struct file_event *e = &s->ahead[(s->ahead_first + i) % AHEAD];
        if (e->time != time) {
            return 0;
        }
        if (e->address == address && (order_takes_address(e) || gives_address(e))) {
            return gives_address(e);
        }
    }
    return 0;
}

/* Another stream, below `at` in the heap, has to go before the first one. Returns its index, 0: none has to; -1. */
static int64_t who_gives_up(struct order *o, uint32_t at, const struct stream *first, uint64_t address, uint64_t time,
                            struct trace_error *error)
{
    if (at >= o->streams || next_of(o->heap[at])->time != time) {
        return 0;
    }
    struct stream *s = o->heap[at];
    if (s != first && s->process == first->process) {
        int got = gives_up(o, s, time, address, error);
        if (got != 0) {
            return got < 0 ? -1 : (int64_t)at;
        }
    }
    int64_t found = who_gives_up(o, 2 * at + 1, first, address, time, error);
    return found ? found : who_gives_up(o, 2 * at + 2, first, address, time, error);
}

/* Puts the stream to the top whose event is to come next. */
static int settle(struct order *o, struct trace_error *error)
{
    uint64_t time = next_of(o->heap[0])->time;

    for (unsigned tries = 0; tries < AHEAD && o->streams > 1; tries++) {
        bool tied = next_of(o->heap[1])->time == time || (o->streams > 2 && next_of(o->heap[2])->time == time);
        if (!tied || !order_takes_address(next_of(o->heap[0]))) {
            return 0;
        }
        int64_t other = who_gives_up(o, 1, o->heap[0], next_of(o->heap[0])->address, time, error);
        if (other == 0) {
            other = who_gives_up(o, 2, o->heap[0], next_of(o->heap[0])->address, time, error);
        }
        if (other <= 0) {
            return (int)other;
        }
        /* Equal times: either order is one of the heap. */
        struct stream *s = o->heap[0];
        o->heap[0] = o->heap[other];
        o->heap[other] = s;
    }
    return 0;
}

/* -- what is offered -- */

int order_open(struct order *o, int fd, struct trace_about *about, struct file_head *head, char **command,
               struct trace_error *error)
{
    if (!frames_open(&o->frames, fd, about, head, command, error)) {
        return -1;
    }
    int got = frames_peek(&o->frames, &o->next, error);
    o->more = got == 1;
    return got < 0 ? -1 : 0;
}

int order_next(struct order *o, struct order_event *event, struct trace_error *error)
{
    if (o->given && advance(o, o->heap[0], error) < 0) {
        return -1;
    }
    o->given = false;
    while (o->more && (o->streams == 0 || o->next.since <= next_of(o->heap[0])->time)) {
        if (take_frame(o, error) < 0) {
            return -1;
        }
    }
    if (o->streams == 0) {
        return 0;
    }
    if (o->streams > 1 && settle(o, error) < 0) {
        return -1;
    }
    const struct stream *s = o->heap[0];
    *event = (struct order_event){*next_of(o->heap[0]), s->process, s->thread, s->at};
    o->given = true;
    return 1;
}

void order_close(struct order *o)
{
    for (unsigned i = 0; i < ORDER_BUCKETS; i++) {
        while (o->bucket[i]) {
            struct stream *s = o->bucket[i];
            o->bucket[i] = s->bucket_next;
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
    frames_close(&o->frames);
    table_state_done(&o->state);
    free(o->heap);
}
