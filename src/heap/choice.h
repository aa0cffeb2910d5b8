/* heap/choice.h - which blocks are chosen: to be sampled (heap/sample.h), or to be guarded (heap/guard.h).
 *
 *   the blocks of a class of a heap, in the order in which refills hand them out:   o o o o o X o o ...
 *                                                                   unsampled --->  5 more
 *
 * Two choices are made at once, each for itself: to be guarded, every block has the same chance; to be sampled, every byte has, so
 * a block of n bytes has that of 1 - exp(-n / mean), whatever came before it. (Poisson by bytes, as tcmalloc and jemalloc do it.)
 * Neither has a memory, so each class of each heap counts down to a next one of its own, and malloc and free know nothing of it:
 * where the chosen one comes before the end of a batch the batch is cut short, and the call that finds the list empty is the one.
 * What counts are the bytes of the class, known before the block is asked for; who is sampled says what its chance was, so that
 * estimates are unbiased whatever it asked for.
 *
 * Blocks that do not come from a refill - those of the commons, and those of more than SLAB_MAX bytes - are chosen one by one.
 * Never chosen: blocks of first-class heaps, and of a hardened process; and tagged ones to be guarded.
 *
 * A change is heard of where a heap next refills a list. A class above SMALL_MAX, whose blocks may go to and fro without, hears of
 * it after CHOICE_LOOK blocks at most.
 */
#ifndef HEAP_CHOICE_H
#define HEAP_CHOICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "heap/heap.h"

#define CHOICE_LOOK      (1 << 16)
#define CHOICE_MEAN_MOST ((size_t)1 << 30)

enum chosen { CHOSEN_NOT, CHOSEN_SAMPLE, CHOSEN_GUARD };

/* Each change has another number; 0: there has been none. */
extern atomic_uint choice_changes;
/* Blocks may be chosen, or are all to be seen (heap/site.h): so there is something to ask. */
extern atomic_bool choice_on;
static inline bool choice_is_on(void) { return unlikely(atomic_load_explicit(&choice_on, memory_order_relaxed)); }

/* One block of so many is guarded; one byte of so many is sampled: at most CHOICE_MEAN_MOST. 0 for none. */
void choice_set_guard(size_t rate);
void choice_set_sample(size_t mean);
size_t choice_sample_mean(void);

/* Every block passes by, one at a time. At the start only. */
void choice_see_all(void);

/* Tests: what is chosen comes from this number and not from the kernel. Before there is a heap. */
extern uint64_t choice_seed;

/* A list of class c of a heap is empty, and the block that is wanted may be the chosen one. */
static inline bool choice_is_due(const struct heap *h, unsigned c)
{
    return unlikely(h->classes[c].unsampled <= 0) ||
           unlikely(h->heard != atomic_load_explicit(&choice_changes, memory_order_relaxed));
}

/* Says which it is, and counts down to the next one. Its chance to be sampled goes to *chance. */
enum chosen choice_take(struct heap *h, unsigned c, double *chance) __attribute__((cold));

/* Whether one of so many bytes that comes from elsewhere, and is marked with that heap's id or 0, is to be sampled. */
bool choice_one(uint32_t heap_id, size_t bytes, double *chance) __attribute__((cold));

/* 1 - exp(-x) for x >= 0. */
double choice_chance(double x);

#endif
