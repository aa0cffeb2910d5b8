/* os/event.c - see os/event.h. */
#define _GNU_SOURCE
#include "os/event.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

void os_event_sleep(struct os_event *e, uint32_t seen)
{
    int saved = errno;
    if (atomic_load(&e->count) == seen) {
        syscall(SYS_futex, &e->count, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
    }
    os_event_leave(e);
    errno = saved;
}

void os_event_wake(struct os_event *e)
{
    int saved = errno;
    atomic_fetch_add(&e->count, 1);
    syscall(SYS_futex, &e->count, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    errno = saved;
}
