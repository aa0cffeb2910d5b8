/* probe/area.h - the collector's area, as a recorded process has it (probe/ring.h): joined, left, and chunks of it for its threads;
 * and the threads' recorders. For probe/record.c alone, which writes events.
 */
#ifndef PROBE_AREA_H
#define PROBE_AREA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "os/lock.h"
#include "probe/record.h"

/* The area, as it was joined; a child of fork has it too. */
struct joined {
    struct ring_area *area;
    size_t length;
    uint64_t first; /* of the area's words what must not change under us */
    uint32_t chunks, flags, clock;
    enum ring_begin begin;
    _Atomic uint32_t *bell;
    _Atomic uint32_t number; /* how many areas have been joined so far */
    _Atomic uint32_t serial; /* this process's there, or its parent's in a child that has none yet; 0: none */
};
extern struct joined joined __attribute__((visibility("hidden")));

/* All zero in a child. */
struct recorded {
    struct os_lock lock;      /* for its beginning */
    _Atomic uint32_t serial;  /* 0: it has not begun */
    _Atomic uint32_t threads; /* how many numbers have been given */
};
extern struct recorded *recorded __attribute__((visibility("hidden")));

/* 0 or -errno, as recorder_join. Nobody else does meanwhile. */
int area_join(const char *path, enum ring_begin begin, _Atomic uint32_t *bell);

/* Unmaps it when nobody records any more; where somebody has not heard of the end yet it stays. */
void area_unmap_unused(void);

/* Whether anybody collects yet. */
bool area_is_collected(void);

/* A chunk of which `owner` is in its owner word: waits for one, not for longer than the patience that there is; nor, once that was
 * over, at all until one has been given back. `for_long`: as long as there is a collector. NULL: there is none to be had. */
struct ring_chunk *area_take(struct recorder *r, uint64_t owner, bool for_long);

/* The recorder's chunk, if it has one, is the collector's. */
void area_let_go(struct recorder *r);

/* An event is lost; and all that are have been said. */
void area_lose(struct recorder *r);
void area_tell_lost(struct recorder *r);

/* A recorder's memory of its thread's last stack. */
void area_forget_stack(struct recorder *r);

#endif
