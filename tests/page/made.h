/* page/made.h - made-up traces of page references, the same on every machine, and what a policy makes of one. */
#ifndef TESTS_PAGE_MADE_H
#define TESTS_PAGE_MADE_H

#include <stddef.h>
#include <stdint.h>

#include <allot/evict.h>

/* References to pages 0 .. pages - 1. Freed by made_free. */
struct made {
    uint32_t *page;
    size_t references, pages;
};

/* `references` drawn from `objects` by Zipf's law, numbered as they first come; after each `scan`, unless 0, a twentieth as many as there
 * are objects in order, never seen before or again. */
struct made made_zipf(size_t objects, double alpha, size_t references, uint64_t seed, size_t scan);
/* 0 .. pages - 1, again and again. */
struct made made_loop(size_t pages, size_t references);
/* Most of what is new, less of what is older, and every third one newer than all before: what lived is never hot again. */
struct made made_drift(size_t pages, size_t references, uint64_t seed);
/* Skewed draws from a window that moves on by half of its pages now and then. */
struct made made_shift(size_t pages, size_t references, uint64_t seed);
void made_free(struct made *trace);

/* How many references miss. Proves the policy's equations now and then. */
size_t made_misses(const struct made *trace, enum allot_evict_policy policy, size_t frames,
                   const struct allot_evict_opts *opts);

#endif
