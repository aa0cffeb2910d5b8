/* load.h - what both loads share: random sizes, time, resident memory, and using a block as a program does. */
#ifndef LOAD_H
#define LOAD_H

#include "front.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t next_random(uint64_t *rng)
{
    *rng ^= *rng << 13;
    *rng ^= *rng >> 7;
    return *rng ^= *rng << 17;
}

/* Sizes as programs have them: 40 % to 64, 30 % to 128, 20 % to 256, 10 % to 1024 bytes; 147 on average. */
static inline unsigned mixed_size(uint64_t r)
{
    static const unsigned short from[10] = {1, 1, 1, 1, 65, 65, 65, 129, 129, 257};
    static const unsigned short span[10] = {64, 64, 64, 64, 64, 64, 64, 128, 128, 768};
    unsigned i = (unsigned)(r >> 32) % 10;
    return from[i] + (unsigned)(r >> 40) % span[i];
}

/* CPU time of the thread in ns: a neighbour on the other core disturbs it least. */
static inline double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Resident anonymous memory: the heap's, the load's tables, and about 100 KiB of the C library's. From smaps_rollup, as
 * the counters in statm and status may lag by many pages. */
static inline unsigned long resident_kib(void)
{
    unsigned long kib = 0;
    char line[128];
    FILE *f = fopen("/proc/self/smaps_rollup", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "Anonymous: %lu", &kib) == 1)
            break;
    if (!f || kib == 0)
        exit(1);
    fclose(f);
    return kib;
}

/* Writes a word in every cache line of a block: its size, masked with its address. */
static inline void *take(size_t size)
{
    uint64_t *p = x_malloc(size), mark = size ^ (uintptr_t)p;
    for (size_t at = 0; at < size; at += 64)
        p[at / 8] = mark;
    return p;
}

/* Reads them again; 0 if no other block's owner wrote there. */
static inline uint64_t look(const uint64_t *p)
{
    uint64_t mark = *p, wrong = 0;
    for (size_t at = 0, size = mark ^ (uintptr_t)p; at < size; at += 64)
        wrong |= p[at / 8] ^ mark;
    return wrong;
}

#endif
