/* os/process.c - see os/process.h. */
#define _GNU_SOURCE
#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* What libc may have: musl has none of these. */
extern char __libc_single_threaded __attribute__((weak));
extern void _IO_list_lock(void) __attribute__((weak));
extern void _IO_list_unlock(void) __attribute__((weak));

static _Atomic(struct os_fork_steps *) fork_steps[OS_FLOORS];
/* By the thread that forks; written and read while the steps hold others back. */
static bool steps_taken[OS_FLOORS], any_taken;

/* The only thread there is needs no one held back; and it may have been in the middle of a step of its own, when a signal
 * came whose handler forks. */
static bool alone(void)
{
    if (&__libc_single_threaded) {
        return __libc_single_threaded;
    }
    struct stat tasks; /* musl has no word for it; the kernel's folder has two links and one for each thread */
    int saved = errno;
    bool one = stat("/proc/self/task", &tasks) == 0 && tasks.st_nlink == 3;
    errno = saved;
    return one;
}

/* glibc's fork takes the lock of its list of streams after these steps. A thread that flushes all streams has that lock
 * while it waits for the lock of one, and the thread that has this one may be growing its buffer, and so waiting for us:
 * all three would wait for ever. So the list's lock comes first here; the thread that has it may take it again. */
static void before_fork(void)
{
    if (alone()) {
        return;
    }
    if (_IO_list_lock && _IO_list_unlock) {
        _IO_list_lock();
    }
    for (unsigned i = OS_FLOORS; i-- > 0;) {
        const struct os_fork_steps *steps = atomic_load(&fork_steps[i]);
        if (steps) {
            steps->before();
        }
        steps_taken[i] = steps;
    }
    any_taken = true;
}

static void after_fork_in_parent(void)
{
    if (!any_taken) {
        return;
    }
    any_taken = false;
    for (unsigned i = 0; i < OS_FLOORS; i++) {
        bool taken = steps_taken[i];
        steps_taken[i] = false;
        if (taken) {
            atomic_load(&fork_steps[i])->in_parent();
        }
    }
    if (_IO_list_lock && _IO_list_unlock) {
        _IO_list_unlock();
    }
}

/* glibc has reset the list's lock before. */
static void after_fork_in_child(void)
{
    any_taken = false;
    for (unsigned i = 0; i < OS_FLOORS; i++) {
        const struct os_fork_steps *steps = atomic_load(&fork_steps[i]);
        steps_taken[i] = false;
        if (steps) {
            steps->in_child();
        }
    }
}

/* glibc has pthread_atfork in each program and library, at its very end: far from all else that is run at the start, which would
 * be 64 KiB more in memory for a call of what it calls. */
static void at_fork(void)
{
#ifdef __GLIBC__
    extern int __register_atfork(void (*)(void), void (*)(void), void (*)(void), void *object);
    __register_atfork(before_fork, after_fork_in_parent, after_fork_in_child, NULL);
#else
    pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
#endif
}

void os_on_fork(enum os_floor floor, struct os_fork_steps steps)
{
    static struct os_fork_steps of[OS_FLOORS];
    of[floor] = steps;
    atomic_store(&fork_steps[floor], &of[floor]);
    static atomic_flag registered = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&registered)) {
        at_fork();
    }
}

static pthread_key_t key;
static bool have_key;
static void (*_Atomic exit_steps[OS_FLOORS])(void);

/* libc calls the destructors of all keys in rounds, as long as some key was set again, PTHREAD_DESTRUCTOR_ITERATIONS (4)
 * rounds at most. Nobody can tell which round it is, so the step is not put off: a thread that was first watched in the
 * third would then end unseen. What other destructors still free or allocate does without a heap of the thread's. */
static void thread_ends(void *value)
{
    (void)value;
    for (unsigned i = OS_FLOORS; i-- > 0;) {
        void (*step)(void) = atomic_load(&exit_steps[i]);
        if (step) {
            step();
        }
    }
}

bool os_on_thread_exit(enum os_floor floor, void (*step)(void))
{
    atomic_store(&exit_steps[floor], step);
    if (floor == OS_FLOOR_HEAP) {
        have_key = pthread_key_create(&key, thread_ends) == 0;
    }
    return have_key;
}

void os_watch_thread(void)
{
    if (have_key) {
        pthread_setspecific(key, (void *)1);
    }
}

uint64_t os_milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t os_nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* By raw system calls: libc's open and read are cancellation points. */
bool os_read_text(const char *path, char *out, unsigned size)
{
    int saved = errno;
    long fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    long length = fd >= 0 ? syscall(SYS_read, fd, out, size - 1) : -1;
    if (fd >= 0) {
        syscall(SYS_close, fd);
    }
    errno = saved;
    out[length > 0 ? length : 0] = 0;
    return length > 0;
}

int os_call_filters(void)
{
    char text[4096];
    os_read_text("/proc/thread-self/status", text, sizeof text);
    static const char mode[] = "\nSeccomp:\t", filters[] = "\nSeccomp_filters:\t"; /* the latter since Linux 5.9 */
    const char *at = strstr(text, filters);
    if (at) {
        return atoi(at + sizeof filters - 1);
    }
    at = strstr(text, mode);
    return at ? atoi(at + sizeof mode - 1) : -1;
}

int os_thread_id(void) { return (int)syscall(SYS_gettid); }

int os_process_id(void) { return (int)syscall(SYS_getpid); }

uint64_t os_pid_namespace(void)
{
    int saved = errno;
    struct stat of;
    uint64_t number = stat("/proc/self/ns/pid", &of) == 0 ? of.st_ino : 0;
    errno = saved;
    return number;
}

bool os_process_lives(int pid)
{
    int saved = errno, fd = (int)syscall(SYS_pidfd_open, pid, 0);
    bool lives = fd >= 0 ? poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 0) == 0
                         : errno != ESRCH && (syscall(SYS_kill, pid, 0) == 0 || errno == EPERM);
    if (fd >= 0) {
        close(fd);
    }
    errno = saved;
    return lives;
}

bool os_thread_is_gone(int tid)
{
    int saved = errno;
    bool gone = syscall(SYS_tgkill, os_process_id(), tid, 0) != 0 && errno == ESRCH;
    errno = saved;
    return gone;
}

void os_thread_name(char name[16])
{
    int saved = errno;
    if (prctl(PR_GET_NAME, name) != 0) {
        name[0] = 0;
    }
    errno = saved;
}

void os_program(char *path, unsigned size)
{
    int saved = errno;
    ssize_t n = readlink("/proc/self/exe", path, size - 1);
    path[n > 0 ? n : 0] = 0;
    errno = saved;
}

/* The kernel's copy of the environment the program was started with. Read a piece at a time: the name may lie anywhere. */
static long getenv_from_kernel(const char *name, char *out, unsigned size)
{
    int fd = open("/proc/self/environ", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    size_t matched = 0, wanted = strlen(name);
    long length = -1; /* of the value, once the name is found */
    bool candidate = true, ended = false;
    char piece[512];
    for (ssize_t n; !ended && (n = read(fd, piece, sizeof piece)) > 0;) {
        for (ssize_t i = 0; i < n && !ended; i++) {
            char c = piece[i];
            if (length >= 0 && c == 0) {
                ended = true;
            } else if (length >= 0) {
                out[length < (long)size - 1 ? length : (long)size - 1] = c;
                length++;
            } else if (c == 0) {
                matched = 0;
                candidate = true;
            } else if (candidate && matched == wanted && c == '=') {
                length = 0;
            } else if (candidate && matched < wanted && c == name[matched]) {
                matched++;
            } else {
                candidate = false;
            }
        }
    }
    close(fd);
    if (length >= 0) {
        out[length < (long)size - 1 ? length : (long)size - 1] = 0;
    }
    return length;
}

long os_getenv(const char *name, char *out, unsigned size)
{
    if (!environ) {
        return getenv_from_kernel(name, out, size);
    }
    size_t wanted = strlen(name);
    for (char **entry = environ; *entry; entry++) {
        if (strncmp(*entry, name, wanted) == 0 && (*entry)[wanted] == '=') {
            const char *value = *entry + wanted + 1;
            size_t length = strlen(value), copied = length < size ? length : size - 1;
            memcpy(out, value, copied);
            out[copied] = 0;
            return (long)length;
        }
    }
    return -1;
}

bool os_is_privileged(void) { return getauxval(AT_SECURE) != 0; }

/* Where the call is not to be had (a filter of system calls), what the kernel gave the process at its start has to do. */
void os_secret(void *out, unsigned length)
{
    int saved = errno;
    unsigned char *at = out;
    unsigned got = 0;
    for (ssize_t n; got < length && (n = getrandom(at + got, length - got, 0)) != -1;) {
        got += (unsigned)n;
    }
    const unsigned char *given = (const unsigned char *)getauxval(AT_RANDOM); /* 16 bytes */
    for (unsigned i = got; given && i < length; i++) {
        at[i] = (unsigned char)(given[i % 16] * (2 * i + 1) + i);
    }
    errno = saved;
}
