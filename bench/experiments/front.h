/* front.h - what a variant of the prototype heap offers the loads. */
#ifndef FRONT_H
#define FRONT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#pragma GCC visibility push(default)
void *x_malloc(size_t size); /* 0 to 1024 bytes */
void x_free(void *p);

/* remote.c: publishes what the calling thread has buffered. */
void x_flush(void);

/* Slow-path counts of the calling thread. */
struct front_stats {
    uint64_t refills;  /* a thread's head was empty */
    uint64_t picks;    /* ... and so was the current slab: another became current */
    uint64_t trips;    /* frees that crossed a threshold */
    uint64_t released; /* slabs that became empty */
    uint64_t slabs;    /* slabs cut from segments */
    uint64_t flushes;  /* TO_THREAD: lists looked at */
    uint64_t atomics;  /* remote.c: locked instructions to publish blocks, and to queue their slab */
};
struct front_stats x_stats(void);
#pragma GCC visibility pop

#endif
