/* protocol/os/lock.h - stands before the real os/lock.h: to take a lock is one step, possible when it is free. So it is
 * assumed that os_lock excludes and wakes; unit.lock tests that. */
#ifndef OS_LOCK_H
#define OS_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>

struct os_lock {
    atomic_int word;
};

bool os_try_lock(struct os_lock *lock);
void os_lock(struct os_lock *lock);
void os_unlock(struct os_lock *lock);
void os_lock_reset(struct os_lock *lock);

/* Of collected heaps, of which no scenario has any. */
void os_word_wait(atomic_int *word, int value);
void os_word_wake_all(atomic_int *word);

#endif
