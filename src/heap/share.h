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

void share_lock(void);
void share_unlock(void);
/* In the child of a fork. */
void share_lock_reset(void);

#endif
