/* os/stop.h - stops all other threads of this process for a moment, with their registers in memory; and a child that is a picture of
 * the process at that moment, of which nobody hears.
 *
 *   os_stop:  a real-time signal to each ---> its handler: registers lie on its stack, waits     (as the Boehm collector does)
 *   os_go:    they go on
 *
 * A thread that blocks the signal, or does not come within STOP_PATIENCE, runs on: its registers are not known. Between the two
 * calls take no lock that a thread may hold, and call nothing of libc's that does. System calls of the stopped that wait
 * may return EINTR, as after any signal. One stop at a time: others wait.
 */
#ifndef OS_STOP_H
#define OS_STOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STOP_PATIENCE 200 /* milliseconds */

struct os_thread {
    _Atomic int tid;
    _Atomic bool asked; /* to stop, by a signal that it has not had yet */
    _Atomic bool stopped;
    bool self;
    unsigned round;         /* of which stop this is */
    uintptr_t sp;           /* 0: not known */
    uintptr_t tp;           /* its thread pointer; 0: not known */
    uintptr_t registers;    /* where they lie, */
    size_t registers_bytes; /* so many; 0: not known */
    char name[16];
};

struct os_threads {
    struct os_thread *thread;
    size_t count;
    int pid;     /* the process's */
    int trouble; /* 0 or -errno: not all could be listed, or none stopped */
};

/* `sp`: where the caller's own stack is in use from, its registers there. Also when there is trouble os_go has to follow. */
struct os_threads os_stop(uintptr_t sp);
void os_go(void);

/* Runs `step` in a child that has all this process's memory as it is now, and nothing else: no handlers ran, other threads are not
 * there, nobody is told when it ends, and nobody has to wait for it. It has all signals blocked and a stack of its own, as `step` is told; it ends
 * when `step` returns. Its id, or -errno. */
int os_fork_apart(void (*step)(void *arg, const void *stack, size_t bytes), void *arg);

/* In the child of a fork. */
void os_stop_reset(void);

#endif
