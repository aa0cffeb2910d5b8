/* collector.h - how events come from the area into the file: what the parts of the collector share.
 *
 *   round:   the clock is read; then every chunk up to what has been written there; what says no more than that is done again,
 *            until nobody waits for a node that another thread tells of
 *   flush:   nodes, then each thread's events since the last flush, are written as frames; then `since` is the clock of that round
 *
 * So no frame that is written later has an earlier event: what has such a stamp (its thread was held up between looking at the clock
 * and saying so) gets `since` instead. It is still in order: nobody could see what it did before it was said. Who reads the file
 * needs to hold only what lies between two values of `since`.
 *
 * Bounds: rounds are at most TICK apart and flushes FLUSH, so what was written is in the file TICK + FLUSH and the time of a round
 * later. In a round at most the area's 64 MiB are read. Per thread 3 MiB at most, 12 MiB a process at most for what is live, for each node 20
 * bytes.
 */
#ifndef ALLOT_RECORD_COLLECTOR_H
#define ALLOT_RECORD_COLLECTOR_H

#include <pthread.h>

#include "record/collect.h"
#include "record/source.h"

#define TELL_PARTS 16       /* of the area: who waits for a chunk is told when one such part is free */
#define TICK_NS    4000000  /* between two looks while there is something */
#define IDLE_NS    12000000 /* and while there is nothing */
#define FLUSH_NS   20000000
#define LOOK_NS    100000000   /* between two looks at who is gone, and at what they have */
#define KEY_BYTES  (64u << 20) /* of events as they stand in the area, between key frames */
#define GONE       256 /* processes that are gone whose nodes are kept: a child may not have said anything yet */

struct collector {
    struct area area;
    char path[64];
    struct writer writer;
    struct nodes *nodes;
    struct process *processes;
    struct {
        uint32_t number;
        struct node_map *map;
    } gone[GONE];
    uint32_t gone_next;
    uint32_t untold;        /* chunks given back, of which who waits for one has not been told, */
    uint32_t tell_at;       /* at most so many */
    struct thread **reader; /* of each chunk: who reads it; NULL: nobody yet */
    pthread_t thread;
    _Atomic bool stop;
    _Atomic uint32_t living; /* processes */

    uint64_t since; /* of frames that are written, units */
    uint64_t round; /* the clock of the last whole round, units */
    uint64_t flushed_ns, looked_ns;
    uint64_t events;
    uint64_t raw;     /* bytes read since the last key frame */
    uint64_t damaged; /* events that could not be read */
    bool blocks_off;  /* there is no memory to count them */
    uint64_t *key;    /* where key frames begin */
    uint32_t keys, key_room;
    unsigned seen, left;
    uint64_t cpu_ns;
};

/* -- drain.c: words into events -- */
enum { DRAINED = 1, DRAINED_WAITS = 2 /* for a node that another thread tells of */ };
/* Takes what its chunks hold; these bits say what came of it. `forced`: what it waits for will not be told. */
unsigned drain(struct collector *collector, struct thread *thread, bool forced);
/* A thread has this name from then on; nothing is said where it has it already. */
void name_thread(struct collector *collector, struct thread *thread, uint64_t time, const char *name, size_t length);
/* Chunk i is nobody's. Who waits for one is told when there are some: to wait and to be woken takes as long as to fill a chunk. */
void give_back(struct collector *collector, uint32_t i);
/* Of all that have been given back. */
void tell_of_free(struct collector *collector);

/* -- births.c: what is live of what frames have -- */
/* Counts an event that the thread's packer has just taken. */
void births_count(struct collector *collector, struct thread *thread, const struct file_event *event);
/* Its frame ends. */
void births_end(struct collector *collector, struct thread *thread);

/* -- flush.c: events into frames -- */
void add_event(struct collector *collector, struct thread *thread, struct file_event *event);
void add_note(struct collector *collector, struct process *process, const unsigned char *note, size_t bytes);
void flush_all(struct collector *collector);
void write_key(struct collector *collector);
void write_end(struct collector *collector);

/* -- collect.c -- */
struct process *find_process(struct collector *collector, uint32_t number);
/* Its nodes, also when it is gone; NULL: not known. */
struct node_map *find_nodes(struct collector *collector, uint32_t number);

#endif
