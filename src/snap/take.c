/* snap/take.c - a snapshot: all threads stand still, a child is made that nobody hears of, they go on; the child looks at its picture
 * of the memory, and writes. The pause is that of a fork: it grows with the page tables, some ms for a GB in small pages. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <allot/snapshot.h>

#include "base/here.h"
#include "heap/instance.h"
#include "heap/share.h"
#include "os/lock.h"
#include "os/memory.h"
#include "snap/write.h"

struct job {
    const struct os_threads *threads;
    int fd;
    _Atomic int *done; /* shared with who waits: 1, or -errno; NULL: nobody does */
};

static void in_child(void *arg, const void *stack, size_t bytes)
{
    const struct job *job = arg;
    struct snap_self self;
    int error = -ENOMEM;
    syscall(SYS_prctl, 15 /* PR_SET_NAME */, "allot-snapshot", 0, 0, 0);
    if (snap_self_begin(&self, job->threads, stack, bytes)) {
        error = snap_write(job->fd, &self, 0);
    }
    if (job->done) {
        atomic_store(job->done, error ? error : 1);
        syscall(SYS_futex, job->done, FUTEX_WAKE, 1, NULL, NULL, 0);
    }
}

/* Not inlined: the caller's registers lie in this frame. */
static int __attribute__((noinline)) take(int fd, _Atomic int *done, int *pid)
{
    struct os_threads threads = snap_stop(stack_with_registers());
    struct job job = {&threads, fd, done};
    *pid = os_fork_apart(in_child, &job);
    snap_go();
    return *pid < 0 ? *pid : 0;
}

static int open_output(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0600);
    return fd < 0 ? -errno : fd;
}

int snap_take(const char *path)
{
    int saved = errno, pid, fd = open_output(path), error = fd < 0 ? fd : take(fd, NULL, &pid);
    if (fd >= 0) {
        close(fd);
    }
    errno = saved;
    return error;
}

void snap_answer(void)
{
    static struct os_lock lock;
    if (!os_try_lock(&lock)) {
        return;
    }
    uint32_t asked = atomic_load_explicit(&own_core_desc.asked, memory_order_acquire);
    if (asked != atomic_load_explicit(&own_core_desc.answered, memory_order_relaxed)) {
        uint32_t change = asked ^ atomic_load_explicit(&own_core_desc.answered, memory_order_relaxed);
        own_core_desc.path[CORE_DESC_PATH - 1] = 0;
        if (change >> 16) {
            own_core_desc.page_error = share_answer_lease();
        }
        if (change & 0xffff) {
            own_core_desc.error = snap_take(own_core_desc.path);
        }
        atomic_store_explicit(&own_core_desc.answered, asked, memory_order_release);
    }
    os_unlock(&lock);
}

/* The child has ended without a word. */
static bool is_gone(int pid) { return syscall(SYS_kill, pid, 0) != 0 && errno == ESRCH; }

int allot_snapshot(const char *path)
{
    const struct instance *first = instance_in_use();
    if (first) {
        return first->snapshot(path);
    }
    int saved = errno, pid, fd = open_output(path);
    _Atomic int *done = mmap(NULL, os_page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int error = fd < 0 ? fd : done == MAP_FAILED ? -ENOMEM : 0;
    error = error ? error : take(fd, done, &pid);
    while (!error && atomic_load(done) == 0) {
        struct timespec look = {.tv_nsec = 100000000};
        syscall(SYS_futex, done, FUTEX_WAIT, 0, &look, NULL, 0);
        error = atomic_load(done) == 0 && is_gone(pid) ? -EIO : 0;
    }
    error = error ? error : atomic_load(done) < 0 ? atomic_load(done) : 0;
    if (done != MAP_FAILED) {
        munmap((void *)done, os_page);
    }
    struct stat file;
    if (error && fd >= 0 && fstat(fd, &file) == 0 && S_ISREG(file.st_mode)) {
        unlink(path);
    }
    if (fd >= 0) {
        close(fd);
    }
    errno = saved;
    return error;
}
