/* probe/control.h - this process's control page, from the inside: see include/allot/control.h for what it is.
 *
 *   control_cell -> | page, look | -> | identity | asked | answered, sequence | now | tables |
 *   NULL: not shared  private, forgotten     shared with readers
 *                     by a forked child
 *
 * The page is the process's own: the child of a fork must not write to its parent's, which it has inherited. The cell on the way
 * there is zero in every child, so it finds no page, and shares one of its own when it next comes by.
 */
#ifndef PROBE_CONTROL_H
#define PROBE_CONTROL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <allot/control.h>

#include "base/bits.h"

struct control_cell {
    _Atomic(struct allot_control *) page; /* NULL in a forked child that has none yet */
    _Atomic bool look;                    /* whether the page can still be found is to be looked at */
};

extern _Atomic(struct control_cell *) control_cell;

/* All that a process without a control page pays. */
static inline bool control_on(void)
{
    return unlikely(atomic_load_explicit(&control_cell, memory_order_relaxed) != NULL);
}

/* The page, or NULL while there is none. */
static inline struct allot_control *control_page(void)
{
    struct control_cell *cell = atomic_load_explicit(&control_cell, memory_order_acquire);
    return cell ? atomic_load_explicit(&cell->page, memory_order_acquire) : NULL;
}

/* Shares a page, all zero but for its identity: 0 or -errno. Nobody else does meanwhile. Also anew, for what cannot be found any
 * more or is the parent's. */
int control_share(void);

/* The same, but nothing here knows of it: it is for who asked for it in another way, and `by_memory` says so. NULL and *error. */
struct allot_control *control_share_apart(int *error);

/* Nobody finds it any more, and it is not kept up to date. */
void control_end(void);

/* In the child of a fork: what it has inherited is not to be found under its id. */
void control_forked(void);

static inline void control_set(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_RELAXED); }

/* Whether somebody has asked and not been answered; says what is answered when the tables are written. */
static inline bool control_is_asked(const struct allot_control *page, uint64_t *asked)
{
    *asked = __atomic_load_n(&page->asked, __ATOMIC_RELAXED);
    return *asked != __atomic_load_n(&page->answered, __ATOMIC_RELAXED);
}

/* Whether somebody has asked for recording since this was called last, and with which area; and that it has begun, or -errno. */
extern uint64_t control_record_heard;
static inline bool control_is_record_due(const struct allot_control *page)
{
    return __atomic_load_n(&page->record_asked, __ATOMIC_RELAXED) !=
           __atomic_load_n(&control_record_heard, __ATOMIC_RELAXED);
}
bool control_is_record_asked(const struct allot_control *page, char path[ALLOT_CONTROL_PATH]);
void control_answer_record(struct allot_control *page, int error);
static inline bool control_snapshot_is_asked(const struct allot_control *page, uint64_t *asked)
{
    *asked = __atomic_load_n(&page->snapshots_asked, __ATOMIC_ACQUIRE);
    return *asked != __atomic_load_n(&page->snapshots_answered, __ATOMIC_RELAXED);
}

static inline bool control_lease_is_renewed(const struct allot_control *page)
{
    return __atomic_load_n(&page->lease, __ATOMIC_ACQUIRE) != __atomic_load_n(&page->lease_heard, __ATOMIC_RELAXED);
}

/* Writes the tables: one thread at a time. */
void control_answer(struct allot_control *page, const struct allot_control_tables *tables, uint64_t asked);

#endif
