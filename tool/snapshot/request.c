/* request.c - see request.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "command.h"
#include "control.h"
#include "descriptor.h"
#include "ends.h"
#include "reach.h"
#include "snap/format.h"
#include "snapshot/request.h"

enum { STEP_MS = 5, ANSWER_MS = 10000, SILENT_MS = 5000, STALE_MS = 60000 };

/* Where a process may be asked. */
struct asked {
    pid_t pid;
    int process; /* its pidfd */
    int memory;  /* /proc/PID/mem */
    uint64_t desc;
    int page; /* its control page, or negative */
    uint64_t number;
};

/* -- the request -- */

static bool open_process(struct asked *a)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", (int)a->pid);
    a->process = (int)syscall(SYS_pidfd_open, a->pid, 0);
    a->page = control_open(a->pid);
    if (a->page == -ESRCH) {
        complain("no process %d, on the command line, give one that runs", (int)a->pid);
        return false;
    }
    a->memory = open(path, O_RDWR | O_CLOEXEC);
    bool other = false;
    a->desc = a->memory >= 0 ? descriptor_find(a->pid, a->memory, &other) : 0;
    if (!a->desc && errno && a->page < 0) {
        complain("process %d cannot be looked into: %s, %s", (int)a->pid, strerror(errno),
                 errno == EMFILE ? "raise ulimit -n" : "be its user, or root");
        return false;
    }
    if (!a->desc && a->page < 0) {
        complain(other ? "process %d runs on another version of allot, use that one's command"
                       : "process %d does not run on allot's malloc, start it with allot run",
                 (int)a->pid);
        return false;
    }
    return true;
}

static void close_process(struct asked *a)
{
    const int open[] = {a->process, a->memory, a->page};
    for (unsigned i = 0; i < sizeof open / sizeof open[0]; i++) {
        if (open[i] >= 0) {
            close(open[i]);
        }
    }
}

static bool ask_by_page(struct asked *a, const char *path)
{
    struct allot_control page;
    if (control_read(a->page, &page) != 0 || strlen(path) >= sizeof page.snapshot_path) {
        return false;
    }
    char room[sizeof page.snapshot_path] = "";
    strcpy(room, path);
    a->number = page.snapshots_asked + 1;
    return pwrite(a->page, room, sizeof room, offsetof(struct allot_control, snapshot_path)) == sizeof room &&
           pwrite(a->page, &a->number, sizeof a->number, offsetof(struct allot_control, snapshots_asked)) ==
               sizeof a->number;
}

static bool ask_by_memory(struct asked *a, const char *path)
{
    uint16_t number = 0;
    int error = descriptor_ask(a->memory, a->desc, path, &number);
    a->number = number;
    errno = -error;
    return error == 0;
}

/* Nobody waits for it any more, and by the time that the process comes by, what is there may be another's: it finds no path, unless
 * somebody else has asked since. False: the process is gone. */
static bool withdraw(const struct asked *a, const char *path)
{
    bool page = a->page >= 0;
    uint64_t at = page ? offsetof(struct allot_control, snapshot_path) : a->desc + offsetof(struct core_desc, path);
    int in = page ? a->page : a->memory;
    char now[CORE_DESC_PATH];
    size_t bytes = strlen(path) + 1;
    return descriptor_read(in, now, bytes, at) && (memcmp(now, path, bytes) != 0 || pwrite(in, "", 1, (off_t)at) == 1);
}

/* 1: answered, with *error; 0: not yet; -1: it is gone. */
static int answer(const struct asked *a, int *error)
{
    if (a->page >= 0) {
        struct allot_control page;
        if (control_read(a->page, &page) != 0 || page.snapshots_answered < a->number) {
            bool gone = poll(&(struct pollfd){.fd = a->process, .events = POLLIN}, 1, 0) == 1;
            return gone ? -1 : 0; /* its page stays as long as it is open here */
        }
        *error = (int)page.snapshot_error;
        return 1;
    }
    return descriptor_answer(a->memory, a->desc, false, (uint16_t)a->number, error);
}

static bool is_whole(int fd)
{
    struct stat file;
    struct snap_part last;
    return fstat(fd, &file) == 0 && file.st_size > (off_t)sizeof(struct snap_header) &&
           descriptor_read(fd, &last, sizeof last, (uint64_t)file.st_size - sizeof last) && last.section == SNAP_END &&
           last.bytes == 0;
}

static void pause_ms(unsigned ms) { usleep(ms * 1000); }

/* The process has answered; its child writes. */
static bool await_end(const struct asked *a, int fd)
{
    off_t size = -1;
    for (unsigned still = 0; still < STALE_MS; still += STEP_MS) {
        struct stat file;
        if (is_whole(fd)) {
            return true;
        }
        if (fstat(fd, &file) == 0 && file.st_size != size) {
            size = file.st_size;
            still = 0;
        }
        pause_ms(STEP_MS);
    }
    complain("process %d has not written all of its snapshot, is its disk full?, take another", (int)a->pid);
    return false;
}

static bool await_answer(const struct asked *a, const char *path, const sigset_t *ends, void (*told)(const char *what))
{
    int error = 0, answered = 0;
    bool ended = false;
    for (unsigned ms = 0; ms < ANSWER_MS && answered == 0 && !ended; ms += STEP_MS) {
        pause_ms(STEP_MS);
        answered = answer(a, &error);
        ended = ends_asked(ends);
        if (ms == SILENT_MS) {
            told("it is silent so far: it answers when it next allocates");
        }
    }
    told(NULL);
    if (answered == 0 && !withdraw(a, path)) {
        answered = -1;
    }
    if (ended) {
        return false; /* without a word */
    }
    if (answered < 0) {
        complain("process %d has ended, before it answered, give one that runs", (int)a->pid);
    } else if (answered == 0) {
        complain("process %d does not answer, it has not allocated for %d s, ask when it does something", (int)a->pid,
                 ANSWER_MS / 1000);
    } else if (error) {
        complain("process %d cannot write a snapshot: %s, see that it may", (int)a->pid, strerror(-error));
    }
    return answered > 0 && error == 0;
}

/* A file that the process can open by this path. */
static int make_file(pid_t pid, struct reach *out)
{
    if (!reach_is_near(pid)) {
        return reach_make(pid, "allot-snap", false, out);
    }
    *out = (struct reach){.fd = memfd_create("allot.snapshot", MFD_CLOEXEC)};
    snprintf(out->path, sizeof out->path, "/proc/%d/fd/%d", (int)getpid(), out->fd);
    return out->fd < 0 ? -errno : 0;
}

bool snapshot_request(pid_t pid, int *out, void (*told)(const char *what))
{
    struct asked a = {.pid = pid, .process = -1, .memory = -1, .page = -1};
    struct reach file;
    sigset_t ends, before;
    if (!open_process(&a)) {
        close_process(&a);
        return false;
    }
    ends_block(&ends, &before);
    int error = make_file(pid, &file);
    bool done = error == 0;
    *out = done ? file.fd : -1;
    if (!done) {
        complain("no file for process %d to write to: %s, see that its /tmp can be written", (int)pid,
                 strerror(-error));
    } else if (!(a.page >= 0 ? ask_by_page(&a, file.path) : ask_by_memory(&a, file.path))) {
        complain("process %d cannot be asked: %s, be its user, or root", (int)pid, strerror(errno));
        done = false;
    }
    if (done) {
        told("asking the process");
        done = await_answer(&a, file.path, &ends, told);
    }
    if (!done) {
        reach_remove(&file);
    }
    sigprocmask(SIG_SETMASK, &before, NULL); /* who was asked to end does so here */
    if (done) {
        told("the process writes");
        done = await_end(&a, *out);
        told(NULL);
    }
    reach_remove(&file);
    close_process(&a);
    if (!done && *out >= 0) {
        close(*out);
    }
    return done;
}
