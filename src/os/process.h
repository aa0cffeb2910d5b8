/* os/process.h - what the process and its threads go through: start, fork, the end of a thread, the end of all. */
#ifndef OS_PROCESS_H
#define OS_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

/* Who has steps in what follows: in a fork the first are the innermost, at a thread's end the last come first. */
enum os_floor { OS_FLOOR_HEAP, OS_FLOOR_POOL, OS_FLOOR_MOVE, OS_FLOOR_GC, OS_FLOORS };

/* The steps of a fork, registered once by each; `before` runs in the forking thread ahead of the fork, one of the others after
 * it. Registered at the first allocation, ahead of everybody else's handlers, these run innermost: other handlers may
 * allocate freely. A process of one thread, where libc knows that, takes `in_child` only, which may come in the middle of
 * what the thread was about: a signal's handler may fork. */
struct os_fork_steps {
    void (*before)(void);
    void (*in_parent)(void);
    void (*in_child)(void);
};
void os_on_fork(enum os_floor floor, struct os_fork_steps steps);

/* By the heap, and then by others: has `step` run when a thread that called os_watch_thread ends, among everybody's destructors. False
 * when libc has no key left; then threads end unseen, as does one first watched in libc's last round of destructors. */
bool os_on_thread_exit(enum os_floor floor, void (*step)(void));
void os_watch_thread(void);

/* Time that only goes forward, in milliseconds, a few of them late; costs next to nothing. */
uint64_t os_milliseconds(void);
uint64_t os_nanoseconds(void); /* exactly; what a clock of the system's costs */

/* That time in so many nanoseconds; UINT64_MAX: never, however many they are. */
static inline uint64_t os_deadline(uint64_t ns)
{
    uint64_t now = os_nanoseconds();
    return ns < UINT64_MAX - now ? now + ns : UINT64_MAX;
}

/* How many filters of system calls (seccomp) are set for the calling thread; -1 when nothing can be known. They are inherited
 * and added to, never taken away. */
int os_call_filters(void);
static inline bool os_calls_are_filtered(void) { return os_call_filters() != 0; }

/* The kernel's ids of the calling thread and of the process, as it sees them itself. */
int os_thread_id(void);
int os_process_id(void);

/* Which pid namespace the process is in, as a number that no other has meanwhile; 0: not known. */
uint64_t os_pid_namespace(void);

/* Whether a process of that id, as this one sees it, is there and has not ended; it may be another by now. */
bool os_process_lives(int pid);

/* Whether a thread of this process has gone; its id may be another's by now, also in another process. */
bool os_thread_is_gone(int tid);

/* The calling thread's name, as the system has it; and the path of the program's file, "" when it cannot be known. */
void os_thread_name(char name[16]);
void os_program(char *path, unsigned size);

/* The value of an environment variable, also before libc has set up `environ`: copied into `out`, cut to its size. Returns
 * its whole length, or -1 when it is not set. */
long os_getenv(const char *name, char *out, unsigned size);

/* The text of one of the kernel's files, cut to `size` - 1 bytes; false, and "", when there is none. */
bool os_read_text(const char *path, char *out, unsigned size);

/* Bytes that nobody else knows; from the kernel. */
void os_secret(void *out, unsigned length);

/* The program was started with more rights than its user has (setuid): the environment is not to be trusted. */
bool os_is_privileged(void);

#endif
