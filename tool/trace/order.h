/* order.h - the events of a file's threads, each in its own order, put into one in which they can have happened.
 *
 *   frames --> streams: thread 1 | frame being read, frames to come |         merge ---> events
 *                       thread 2 | ...                              |
 *
 * A frame waits as its place in the file until its thread gets there; only then it is unpacked. An event may go when no frame
 * that has not been seen yet can have an earlier one (`since`). Times are in units of up to 16 ns, so events of two threads may
 * have the same. Then an allocation waits while another thread that has an event of this time gives up its address: what gave it
 * up came before (probe/ring.h).
 */
#ifndef ALLOT_TRACE_ORDER_H
#define ALLOT_TRACE_ORDER_H

#include "trace/allot.h"

#define ORDER_BUCKETS 1024

struct stream;
struct order { /* all zero at first */
    struct frames frames;
    struct table_state state;
    struct stream *bucket[ORDER_BUCKETS];
    struct stream **heap; /* those that have an event */
    uint32_t streams, heap_room;
    uint32_t places;        /* frames that wait */
    size_t open;            /* bytes of frames being read */
    struct file_frame next; /* the first frame not seen yet, when `more` */
    bool more;
    bool given; /* the event at the heap's top: it leaves when the next is asked for */
};

struct order_event {
    struct file_event event; /* its note is good until the next is asked for */
    uint32_t process, thread;
    uint64_t at; /* its frame's place in the file */
};

/* Reads the head: its command line goes to *command, to be freed. 0; -1 with `error` set. order_close in either case. */
int order_open(struct order *order, int fd, struct trace_about *about, struct file_head *head, char **command,
               struct trace_error *error);
/* 1: *event is the next; 0: that was all; -1. */
int order_next(struct order *order, struct order_event *event, struct trace_error *error);
void order_close(struct order *order);

static inline bool order_takes_address(const struct file_event *e)
{
    return e->op <= FILE_REALLOC_TO || e->op == FILE_BEFORE;
}

#endif
