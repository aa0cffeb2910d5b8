/* columns.h - a frame of events, packed and unpacked: a column for each kind of thing, so that like stands beside like.
 *
 *   raw payload: | bytes of each column, 4 bytes each | column 0 | column 1 | ...
 *
 * What goes where is told in docs/format.md; what is expected, and so not written, in model.h.
 */
#ifndef ALLOT_TRACE_COLUMNS_H
#define ALLOT_TRACE_COLUMNS_H

#include "trace/file.h"
#include "trace/model.h"

enum column {
    COLUMN_EVENT,      /* a byte an event */
    COLUMN_TIME,       /* a byte an event: time since the one before; 255: and more */
    COLUMN_TIME_MORE,  /* numbers */
    COLUMN_SIZE,       /* numbers */
    COLUMN_STACK_LOW,  /* lower byte of the stack's index in the frame */
    COLUMN_STACK_HIGH, /* and the upper one */
    COLUMN_STACK_NEW,  /* numbers: node, as the difference to the last one here; zigzag */
    COLUMN_AGE,        /* numbers */
    COLUMN_FAR,        /* numbers: address, as the difference to the last one here; zigzag */
    COLUMN_AGO,        /* a byte: place among the freed ones */
    COLUMN_FRESH,      /* numbers: address, as the difference to the last fresh one of its class; zigzag */
    COLUMN_EXTRA,      /* a byte */
    COLUMN_NOTE,       /* bytes as a number, then these */
    COLUMNS,
};

struct column_bytes {
    unsigned char *bytes;
    uint32_t used, room;
};

/* Who writes a frame. All zero at first. */
struct packer {
    struct model model;
    struct column_bytes column[COLUMNS];
    uint32_t *block_at; /* hash of address -> block of the frame; the newest of an address counts */
    uint32_t *stack_at; /* hash of node -> index */
    uint32_t block_mask, stack_mask, block_room, stack_room; /* how much of them is in use; and there */
    uint32_t events;
    uint32_t block; /* of the frame, that the last event was about; 0: none of it */
    uint64_t first; /* what times are counted from */
};

/* A new frame, whose times are counted from `first`; packer_add begins it itself as needed. False: no memory. */
bool packer_begin(struct packer *packer, uint64_t first);
/* False: no memory; the event is not in, and the packer is to be given up. Times do not go back; events->events < FILE_EVENTS. */
bool packer_add(struct packer *packer, const struct file_event *event);
/* An event about this address is to come soon. */
void packer_prefetch(const struct packer *packer, uint64_t address);
/* The raw payload's bytes; and the columns put behind one another. */
size_t packer_bytes(const struct packer *packer);
void packer_done(struct packer *packer);

/* Who reads one: all events of a raw payload, which stays where it is meanwhile. */
struct unpacker {
    struct model model;
    const unsigned char *at[COLUMNS], *end[COLUMNS];
    uint32_t left;
};

/* What is wrong with it, or NULL. */
const char *unpacker_begin(struct unpacker *unpacker, const unsigned char *raw, size_t bytes, uint32_t events,
                           uint64_t first);
/* 1, 0 at the end; -1 and *wrong. */
int unpacker_next(struct unpacker *unpacker, struct file_event *event, const char **wrong);
size_t unpacker_memory(const struct unpacker *unpacker);
void unpacker_done(struct unpacker *unpacker);

#endif
