/* heap/limit.h - how much the process may hold: what is in use of slabs, runs and large blocks, whole units and pages.
 *
 *   0 ---------------- soft - soft / 4 ---------------- soft ---------------- hard
 *   free memory is kept as    it is kept as long as both      nothing is kept,      ENOMEM
 *   experience says           fit below the soft limit        all heaps are swept
 *
 * The soft limit is what ALLOT_OPTIONS or allot_option says, or nine tenths of what the control group allows, whichever is
 * less: beyond it a program is slowed or killed, and one that gives back in time is not. The group is looked at when the
 * process has grown: small ones never pay for it.
 */
#ifndef HEAP_LIMIT_H
#define HEAP_LIMIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/bits.h"

extern atomic_size_t limit_held;   /* bytes in use */
extern atomic_size_t limit_notice; /* from how many on there is something to do */

bool limit_look(size_t bytes) __attribute__((cold));
void limit_relax(void) __attribute__((cold));
extern _Atomic bool limit_near; /* limit_notice is about a soft limit */

/* So many bytes more come into use. False, and nothing is counted, when that would be more than the hard limit. */
static inline bool limit_take(size_t bytes)
{
    size_t held = atomic_fetch_add_explicit(&limit_held, bytes, memory_order_relaxed) + bytes;
    return likely(held < atomic_load_explicit(&limit_notice, memory_order_relaxed)) || limit_look(bytes);
}

static inline void limit_give(size_t bytes)
{
    atomic_fetch_sub_explicit(&limit_held, bytes, memory_order_relaxed);
    if (unlikely(atomic_load_explicit(&limit_near, memory_order_relaxed))) {
        limit_relax();
    }
}

/* What was taken as `guess` bytes has become `now`. */
static inline void limit_adjust(size_t guess, size_t now)
{
    if (now > guess) {
        atomic_fetch_add_explicit(&limit_held, now - guess, memory_order_relaxed);
    } else if (now < guess) {
        limit_give(guess - now);
    }
}

/* Limits in bytes; SIZE_MAX for none. */
void limit_set_hard(size_t bytes);
void limit_set_soft(size_t bytes);
size_t limit_hard(void);
/* The one that counts: what was set, or what comes of the control group. */
size_t limit_soft(void);

#endif
