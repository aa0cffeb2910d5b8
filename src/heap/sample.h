/* heap/sample.h - one byte of many is followed from its allocation to its end: what a heap profile is made of (sample=BYTES).
 *
 *   a block that is chosen                       what is known of it                  and of its stack
 *   a slot of a slab of the sample heaps -->     struct sample: size, weight, --->    struct sample_stack: blocks and bytes
 *   or a big block                               time, thread, stack                  had, live, at the peak; lifetimes
 *
 * A chosen block of up to SLAB_MAX bytes lies in a slab that no thread owns (as those of the commons), so that its free takes the
 * slow path and finds what is known: neither malloc nor free has an instruction for it. Of a big block the table is asked, where
 * it may be. What was chosen with a chance of p stands for 1 / p blocks of its size (heap/choice.h).
 *
 * A block of the same class is had for it as would have been without, so its usable size is the same, but where a class is tuned.
 * Realloc is the end of one block and the beginning of another, which is chosen or not for itself; where it leaves a small block
 * as it was it is neither. What was live before sampling began is not known.
 *
 * Equations, of each stack and of all: live = had - freed, of blocks and of bytes, each the sum of the weights.
 */
#ifndef HEAP_SAMPLE_H
#define HEAP_SAMPLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap/heap.h"

#define SAMPLE_MEAN ((size_t)512 * 1024) /* sample=on */

/* What stands for blocks, in blocks and in bytes: sums of weights. */
struct sample_sum {
    double blocks, bytes;
};

/* Of one stack, immortal. All but what never changes is the lock's. */
struct sample_stack {
    uint32_t number;            /* of the stack (probe/calls.h) */
    struct sample_stack *older; /* the chain of all */
    struct sample_stack *next;  /* of the same hash */
    uint64_t samples, live;     /* so many were chosen; and live */
    struct sample_sum had, freed;
    struct sample_sum at_peak; /* what was live of it when the whole was at its highest; true since: */
    uint64_t peak;             /* the number of that height; when another is the present one, all that is live was */
    /* Lifetimes of what was freed, in nanoseconds, weighted by blocks; and the weight of what was freed by the thread that had
     * had it. */
    double lifetime, lifetime_squared, same_thread;
    uint64_t shortest, longest;
    double listed; /* had.bytes when sample_list came by last */
};

/* Of one block, while it lives; and where they are, by its address. Also for who reads a core (heap/site.h). */
struct sample {
    struct sample *next; /* of the same hash, or of those that are free */
    const void *block;
    size_t bytes;   /* as it was asked for */
    double weight;  /* so many blocks does it stand for */
    uint64_t began; /* nanoseconds of CLOCK_MONOTONIC */
    int thread;     /* the kernel's id */
    struct sample_stack *stack;
};
enum { SAMPLE_BITS = 16 };
extern struct sample *_Atomic samples[1 << SAMPLE_BITS];
static inline size_t sample_hash(uintptr_t block) { return (block >> 4) * 0x9e3779b97f4a7c15u >> (64 - SAMPLE_BITS); }

/* 0 for none. False when it cannot be: in a hardened process. */
bool sample_set(size_t mean);

/* A block for the calling thread, of at most SLAB_MAX bytes, chosen with that chance. `flags`: ID_TAGGED, and then its tag's word
 * is part of the size; or 0. NULL when memory is out. */
void *sample_alloc(uint32_t flags, size_t size, double chance, bool *zeroed);

/* The end of one. */
void sample_free(void *p, struct slab *s);

/* A slot is one of these. */
extern atomic_bool sample_any;
static inline bool sample_may_have(const void *p)
{
    return unlikely(atomic_load_explicit(&sample_any, memory_order_relaxed)) && is_sample_heap(slab_owner(slab_of(p)));
}

/* A big block has been had, marked with that heap's id: it may be chosen. */
void sample_big(const void *p, size_t size, uint32_t heap_id);

/* A big block goes; or changes, whereupon it is lifted before, and put down after: at p then, `done` or as it was. */
void sample_forget_big(const void *p);
struct sample *sample_lift_big(const void *p);
void sample_resized(struct sample *sample, const void *p, bool done, size_t size, uint32_t heap_id);
static inline void sample_big_gone(const void *p)
{
    if (unlikely(atomic_load_explicit(&sample_any, memory_order_relaxed))) {
        sample_forget_big(p);
    }
}
static inline struct sample *sample_lift(const void *p)
{
    return unlikely(atomic_load_explicit(&sample_any, memory_order_relaxed)) ? sample_lift_big(p) : NULL;
}

/* The number of the stack of a live block that is sampled; 0: it is not. The second is for who holds the lock, or looks at a picture of
 * memory that was made while somebody did. */
uint32_t sample_stack_of(const void *p);
uint32_t sample_stack_of_locked(const void *p);

/* The chain of stacks, newest first; and what one amounts to now. */
const struct sample_stack *sample_stacks(void);
struct sample_stack sample_look(const struct sample_stack *stack);

/* The stacks that hold and allocate most: so many at most are written, and how many. One thread at a time. */
struct sample_listed {
    uint32_t number;
    uint64_t samples;
    struct sample_sum had, live;
    double recent; /* bytes since the last time */
};
size_t sample_list(struct sample_listed *out, size_t most, size_t *all);

/* All there ever was, as whole numbers; each by itself, at any time. */
struct sample_total {
    atomic_uint_fast64_t blocks, bytes, freed_blocks, freed_bytes, samples;
};
extern struct sample_total sample_total;

/* The two heaps get their ids: before any other but the commons. */
struct heap *sample_heap(unsigned index) __attribute__((cold));

/* Slabs of which nothing is out go back, and pages. Returns the bytes of these. */
size_t sample_trim(void);

void sample_lock(void);
void sample_unlock(void);
void sample_lock_reset(void);

#endif
