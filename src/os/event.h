/* os/event.h - sleeping until something that lock-free code changes has changed. (An eventcount: Vyukov, 2008.)
 *
 *   who waits:    seen = os_event_expect(e);  it is as wanted? os_event_leave(e) : os_event_sleep(e, seen), and look again
 *   who changes:  changes it;  os_event_raise(e)
 *
 * Both the change and the look have to be sequentially consistent: either the one sees the sleeper, or the other the change.
 * Raising is one load while nobody waits. Spurious wake-ups are ordinary.
 */
#ifndef OS_EVENT_H
#define OS_EVENT_H

#include <stdatomic.h>
#include <stdint.h>

struct os_event {
    _Atomic uint32_t count, waiting;
};

static inline uint32_t os_event_expect(struct os_event *e)
{
    atomic_fetch_add(&e->waiting, 1);
    return atomic_load(&e->count);
}

static inline void os_event_leave(struct os_event *e) { atomic_fetch_sub(&e->waiting, 1); }

/* Leaves, after it was raised. errno stays. */
void os_event_sleep(struct os_event *e, uint32_t seen);
void os_event_wake(struct os_event *e);

static inline void os_event_raise(struct os_event *e)
{
    if (__builtin_expect(atomic_load(&e->waiting) != 0, 0)) {
        os_event_wake(e);
    }
}

#endif
