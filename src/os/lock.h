/* os/lock.h - a lock of one word that needs nothing of libc: usable before libc is initialised, and reset by one store
 * in the child of a fork.
 *
 * 0: free, 1: held, 2: held and somebody may sleep. Unfair, not recursive. (Drepper, "Futexes Are Tricky", mutex 2.)
 */
#ifndef OS_LOCK_H
#define OS_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>

struct os_lock {
    atomic_int word;
};

void os_lock_wait(struct os_lock *lock);
void os_lock_wake(struct os_lock *lock);

static inline bool os_try_lock(struct os_lock *lock)
{
    int free = 0;
    return atomic_compare_exchange_strong_explicit(&lock->word, &free, 1, memory_order_acquire, memory_order_relaxed);
}

static inline void os_lock(struct os_lock *lock)
{
    if (!os_try_lock(lock)) {
        os_lock_wait(lock);
    }
}

static inline void os_unlock(struct os_lock *lock)
{
    if (atomic_exchange_explicit(&lock->word, 0, memory_order_release) == 2) {
        os_lock_wake(lock);
    }
}

/* Waits until the word is not `value` any more, or is told to look; and tells all who wait. */
void os_word_wait(atomic_int *word, int value);
void os_word_wake_all(atomic_int *word);

/* In the child of a fork, for a lock that the parent's forking thread held: nobody waits here. */
static inline void os_lock_reset(struct os_lock *lock) { atomic_store_explicit(&lock->word, 0, memory_order_relaxed); }

#endif
