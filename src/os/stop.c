/* os/stop.c - see os/stop.h. Costs a signal and two futex calls a thread; a thread that was created meanwhile is found when the list
 * is read again. */
#define _GNU_SOURCE
#include "os/stop.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "os/lock.h"
#include "os/memory.h"
#include "os/process.h"

/* Room for threads: kept for good, as a signal may be late, and longer ones take the place of shorter ones. */
static struct os_lock lock;
static struct os_thread *_Atomic all;
static size_t room;
static _Atomic size_t count;
static _Atomic unsigned round, gone; /* the last stop, and the last that is over */
static _Atomic unsigned came;
static _Atomic int stop_signal;

static long futex(_Atomic unsigned *word, int op, unsigned value, const struct timespec *time)
{
    return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, time, NULL, 0);
}

static void take_context(struct os_thread *t, ucontext_t *context)
{
#if defined(__x86_64__)
    t->sp = (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
    t->registers = (uintptr_t)&context->uc_mcontext.gregs;
    t->registers_bytes = sizeof context->uc_mcontext.gregs;
#elif defined(__aarch64__)
    t->sp = (uintptr_t)context->uc_mcontext.sp;
    t->registers = (uintptr_t)&context->uc_mcontext;
    t->registers_bytes = sizeof context->uc_mcontext;
#endif
    t->tp = (uintptr_t)__builtin_thread_pointer();
}

/* A signal may be late by any time, so whether this one is still wanted stands in the thread's entry: who takes `asked` out of it has
 * it until the thread goes on, and os_go waits for that. */
static void on_signal(int signal, siginfo_t *info, void *context)
{
    int saved = errno, tid = os_thread_id();
    struct os_thread *thread = atomic_load(&all);
    (void)signal;
    (void)info;
    for (size_t i = 0; i < atomic_load(&count); i++) {
        struct os_thread *t = &thread[i];
        if (atomic_load(&t->tid) == tid && atomic_exchange(&t->asked, false)) {
            unsigned own = t->round;
            take_context(t, context);
            atomic_store(&t->stopped, true);
            atomic_fetch_add(&came, 1);
            futex(&came, FUTEX_WAKE, INT32_MAX, NULL);
            for (unsigned seen; (int)((seen = atomic_load(&gone)) - own) < 0;) {
                futex(&gone, FUTEX_WAIT, seen, NULL);
            }
            break;
        }
    }
    errno = saved;
}

/* One that nobody has a handler for; once taken it stays ours, as one may still be on its way. */
static bool take_signal(void)
{
    int have = atomic_load(&stop_signal);
    struct sigaction now, ours = {.sa_flags = SA_SIGINFO | SA_RESTART};
    ours.sa_sigaction = on_signal;
    sigfillset(&ours.sa_mask);
    if (have && sigaction(have, NULL, &now) == 0 && now.sa_sigaction == on_signal) {
        return true;
    }
    for (int s = SIGRTMAX - 1; s > SIGRTMIN; s--) {
        if (sigaction(s, NULL, &now) == 0 && now.sa_handler == SIG_DFL && sigaction(s, &ours, NULL) == 0) {
            atomic_store(&stop_signal, s);
            return true;
        }
    }
    return false;
}

static void make_room(void)
{
    struct stat tasks;
    size_t threads = stat("/proc/self/task", &tasks) == 0 ? tasks.st_nlink : 0, wanted = 2 * threads + 64;
    struct os_thread *other = wanted > room ? os_map(2 * wanted * sizeof *other) : NULL;
    if (other) {
        room = 2 * wanted;
        atomic_store(&all, other);
    }
}

/* A file of the calling process's, by its path; the length that was read, 0: none. */
static size_t read_file(const char *path, char *out, size_t most)
{
    long fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    long got = fd < 0 ? 0 : syscall(SYS_read, fd, out, most - 1);
    if (fd >= 0) {
        syscall(SYS_close, fd);
    }
    out[got > 0 ? got : 0] = 0;
    return got > 0 ? (size_t)got : 0;
}

/* "/proc/self/task/TID/NAME" */
static void path_of(char path[64], int tid, const char *name)
{
    char digits[12], *at = digits + sizeof digits;
    for (*--at = 0; tid > 0; tid /= 10) {
        *--at = (char)('0' + tid % 10);
    }
    strcpy(path, "/proc/self/task/");
    strcat(strcat(strcat(path, at), "/"), name);
}

static struct os_thread *find(int tid)
{
    struct os_thread *thread = atomic_load(&all);
    for (size_t i = 0; i < atomic_load(&count); i++) {
        if (atomic_load(&thread[i].tid) == tid) {
            return &thread[i];
        }
    }
    return NULL;
}

/* Another one, asked to stop unless it is the caller. */
static bool add(int tid, uintptr_t sp)
{
    size_t n = atomic_load(&count);
    if (n == room) {
        return false;
    }
    struct os_thread *t = &atomic_load(&all)[n];
    char path[64];
    *t = (struct os_thread){.self = tid == os_thread_id(), .round = atomic_load(&round)};
    path_of(path, tid, "comm");
    size_t length = read_file(path, t->name, sizeof t->name);
    if (length && t->name[length - 1] == '\n') {
        t->name[length - 1] = 0;
    }
    if (t->self) {
        t->sp = sp;
        t->tp = (uintptr_t)__builtin_thread_pointer();
        atomic_store(&t->stopped, true);
    }
    atomic_store(&t->tid, tid);
    atomic_store(&t->asked, !t->self);
    atomic_store(&count, n + 1);
    if (!t->self) {
        syscall(SYS_tgkill, os_process_id(), tid, atomic_load(&stop_signal));
    }
    return true;
}

/* All that are not known yet. How many there were, or -errno. */
static int list(uintptr_t sp)
{
    struct entry {
        uint64_t inode;
        int64_t offset;
        unsigned short length;
        unsigned char type;
        char name[];
    };
    _Alignas(8) char buffer[4096];
    int found = 0;
    long fd = syscall(SYS_openat, AT_FDCWD, "/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC), got = 0;
    if (fd < 0) {
        return -errno;
    }
    while (found >= 0 && (got = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0) {
        for (long at = 0; at < got;) {
            const struct entry *e = (const struct entry *)(const void *)(buffer + at);
            int tid = 0;
            for (const char *c = e->name; *c >= '0' && *c <= '9'; c++) {
                tid = tid * 10 + (*c - '0');
            }
            if (tid && !find(tid)) {
                found = add(tid, sp) ? found + 1 : -ENOMEM;
            }
            if (found < 0) {
                break;
            }
            at += e->length;
        }
    }
    syscall(SYS_close, fd);
    return found;
}

/* It will not come: it has ended, which takes it off the list, or it blocks the signal. */
static bool is_hopeless(struct os_thread *t)
{
    char path[64], text[2048];
    path_of(path, atomic_load(&t->tid), "status");
    if (read_file(path, text, sizeof text) == 0 || strstr(text, "\nState:\tZ") || strstr(text, "\nState:\tX")) {
        atomic_store(&t->tid, 0);
        return true;
    }
    const char *mask = strstr(text, "\nSigBlk:\t");
    uint64_t blocked = 0;
    for (const char *c = mask ? mask + 9 : ""; *c && *c != '\n'; c++) {
        blocked = blocked << 4 | (unsigned)(*c <= '9' ? *c - '0' : *c - 'a' + 10);
    }
    return blocked >> (atomic_load(&stop_signal) - 1) & 1;
}

/* Waits for all; from the tenth millisecond on no longer for the hopeless. */
static void await(void)
{
    enum { STEP = 2, FIRST = 10 };
    for (unsigned waited = 0; waited < STOP_PATIENCE; waited += STEP) {
        unsigned seen = atomic_load(&came), missing = 0;
        for (size_t i = 0; i < atomic_load(&count); i++) {
            struct os_thread *t = &atomic_load(&all)[i];
            missing += atomic_load(&t->tid) && !atomic_load(&t->stopped) && (waited < FIRST || !is_hopeless(t));
        }
        if (!missing) {
            return;
        }
        struct timespec time = {.tv_nsec = STEP * 1000000};
        futex(&came, FUTEX_WAIT, seen, &time);
    }
}

struct os_threads os_stop(uintptr_t sp)
{
    enum { ROUNDS = 8 };
    os_lock(&lock);
    atomic_store(&count, 0);
    make_room();
    atomic_fetch_add(&round, 1);
    struct os_threads out = {.pid = os_process_id(), .trouble = take_signal() ? 0 : -EBUSY};
    int found = 1;
    for (unsigned i = 0; i < ROUNDS && found > 0; i++) { /* those who run may make others */
        found = list(sp);
        await();
    }
    out.thread = atomic_load(&all);
    out.count = atomic_load(&count);
    out.trouble = found < 0 ? found : out.trouble;
    return out;
}

/* Whom nobody waits for any more is not asked any more; who is about to wait does so first, as entries are used again. */
static void take_back(struct os_thread *t)
{
    if (t->self || atomic_exchange(&t->asked, false)) {
        return;
    }
    for (unsigned seen; seen = atomic_load(&came), !atomic_load(&t->stopped);) {
        futex(&came, FUTEX_WAIT, seen, NULL);
    }
}

void os_go(void)
{
    for (size_t i = 0; i < atomic_load(&count); i++) {
        take_back(&atomic_load(&all)[i]);
    }
    atomic_store(&gone, atomic_load(&round));
    futex(&gone, FUTEX_WAKE, INT32_MAX, NULL);
    os_unlock(&lock);
}

void os_stop_reset(void)
{
    atomic_store(&gone, atomic_load(&round));
    os_lock_reset(&lock);
}

/* -- a child that nobody hears of -- */

enum { STACK = 256 << 10 };

struct apart {
    void (*step)(void *arg, const void *stack, size_t bytes);
    void *arg;
    char *stack;
    int pid; /* or -errno */
};

/* Shares the memory of who made it, who waits till it ends; its child is the one. Without SIGCHLD, and with another parent than the
 * program's. */
static int between(void *arg)
{
    struct apart *apart = arg;
    long pid = syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
    if (pid == 0) {
        apart->step(apart->arg, apart->stack, STACK);
        syscall(SYS_exit_group, 0);
    }
    apart->pid = pid < 0 ? -errno : (int)pid;
    syscall(SYS_exit, 0);
    return 0;
}

int os_fork_apart(void (*step)(void *arg, const void *stack, size_t bytes), void *arg)
{
    struct apart apart = {step, arg, NULL, -EAGAIN};
    int saved = errno;
    char *stack = apart.stack = os_map(STACK);
    uint64_t every = UINT64_MAX, before; /* the two that glibc keeps for itself as well */
    if (!stack) {
        errno = saved;
        return -ENOMEM;
    }
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &every, &before, 8);
    int pid = clone(between, stack + STACK, CLONE_VM | CLONE_VFORK, &apart);
    if (pid > 0) {
        while (syscall(SYS_wait4, pid, NULL, __WALL, NULL) < 0 && errno == EINTR) {
        }
    } else {
        apart.pid = -errno;
    }
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, 8);
    os_unmap(stack, STACK);
    errno = saved;
    return apart.pid;
}
