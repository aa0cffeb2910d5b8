/* heap/share.h - the heap's figures on the control page (probe/control.h), when the option `share` asks for one.
 *
 * What is always current is stored when the process's total is told of a change, 64 KiB or a big block. The tables are filled when
 * a reader asks, by a thread that comes by a slow path with nothing half done: share_poll stands where that is so.
 */
#ifndef HEAP_SHARE_H
#define HEAP_SHARE_H

#include <stdbool.h>

#include "heap/describe.h"
#include "heap/recording.h"
#include "probe/control.h"

/* Turns sharing on or off; a privileged process never shares. 0 or -errno. */
int share_set(bool on);

/* Stores the current figures. Any thread, under any lock. */
void share_figures(void) __attribute__((cold));
static inline void share_note(void)
{
    if (control_on()) {
        share_figures();
    }
}

/* On slow paths, without a lock: answers who has asked, hears of recording, sees that the page can be found, shares one
 * in the child of a fork. */
void share_visit(void) __attribute__((cold));
static inline void share_poll(void)
{
    recording_notice();
    if (control_on()) {
        share_visit();
    }
    if (unlikely(snap_is_asked())) {
        snap_answer();
    }
}

/* For another process that looks on (heap/lease.h) and has asked in this one's memory: its lease and what it wants to know, on the page, or
 * on one of its own for as long as the lease lasts, by which nothing here costs more than before. 0 or -errno. */
int share_answer_lease(void);
/* With nothing half done: it may be over. */
void share_look_at_lease(void) __attribute__((cold));

void share_lock(void);
void share_unlock(void);
/* In the child of a fork. */
void share_lock_reset(void);

#endif
