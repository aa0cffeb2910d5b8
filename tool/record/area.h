/* area.h - the collector's side of probe/ring.h: a file in memory that recorded processes map, and the clock they stamp with. */
#ifndef ALLOT_RECORD_AREA_H
#define ALLOT_RECORD_AREA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/ring.h"

#define AREA_CHUNKS 1024 /* 64 MiB of them; only what is written to is there */

struct area {
    struct ring_area *ring;
    int fd;
    size_t length;
    uint32_t chunks;
    uint64_t first, clock; /* as the area has them, which others could change */
    uint64_t inode;        /* by which its mappings are known in other processes, */
    bool named; /* or by the file's name, where that has one: what a mapping says of its inode may not be so */
    char name[64];
    unsigned shift;   /* a unit of time is so many clock ticks, as a power of two: at most 16 ns */
    uint64_t began;   /* clock */
    uint64_t unit_ns; /* nanoseconds << 32 of a unit */
};

/* 0 or -errno. Takes some milliseconds to find how fast the clock runs. `fd`: an empty file to have it in, which is taken, and has all its
 * memory at once, of as many chunks as there is room for; 0: none. */
int area_make(struct area *area, uint32_t flags, uint32_t patience_us, uint32_t chunks, int fd);
void area_done(struct area *area);

/* The clock now: no load that comes later in the program is done before. */
uint64_t area_clock(const struct area *area);

static inline struct ring_chunk *area_chunk(const struct area *area, uint32_t i)
{
    return (struct ring_chunk *)((char *)area->ring + area->first + (size_t)i * RING_CHUNK);
}

static inline uint64_t area_units(const struct area *area, uint64_t clock)
{
    return clock > area->began ? (clock - area->began) >> area->shift : 0;
}

#endif
