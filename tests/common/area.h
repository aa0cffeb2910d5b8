/* common/area.h - a collector for tests (probe/ring.h): an area that recorded processes join, and what they have written there, event by
 * event. It gives no chunk back unless told to. A broken rule of the format is a broken CHECK. */
#ifndef COMMON_AREA_H
#define COMMON_AREA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/ring.h"

struct area {
    int fd;
    char path[64]; /* for processes while this one lives */
    size_t bytes;
    struct ring_area *ring;
};

/* With a patience of 1 ms. It beats only when asked to. */
void area_open(struct area *area, uint32_t chunks, uint32_t flags);
void area_close(struct area *area);
void area_beat(struct area *area);

struct area_event {
    uint32_t process, thread;
    int32_t tid;
    uint64_t sequence, clock; /* of its chunk; and its own, whole */
    enum ring_op op;
    uint64_t address, size;
    uint32_t stack, align; /* align: the logarithm */
    const uint32_t *words; /* of others: what follows; until the chunk is given back */
    uint32_t count;
    char text[1024]; /* of RING_TEXT and RING_PROCESS */
};

struct area_events {
    size_t count, room;
    struct area_event *at;
};

/* All that has been written, by thread and in its order. */
void area_read(const struct area *area, struct area_events *out);
void area_sort_by_clock(struct area_events *events);
void area_free(struct area_events *events);

/* How many words have been written, of chunks that have not been given back. */
size_t area_words(const struct area *area);

/* Reads nothing and gives back every chunk that is done, or whose thread is gone; how many. */
size_t area_give_back(struct area *area);

/* Only those of a process and an op (RING_NONE: any), in the order of `events`; the next from `from` on, or NULL. */
const struct area_event *area_next(const struct area_events *events, uint32_t process, enum ring_op op, size_t *from);
size_t area_count(const struct area_events *events, uint32_t process, enum ring_op op);

/* Proves, of a process recorded from the start, in the order of the clocks: of one address at most one block is live, and what is freed
 * is. Returns how many live at the end. */
size_t area_replay(struct area_events *events, uint32_t process);

#endif
