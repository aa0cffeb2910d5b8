/* request.c - see request.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "control.h"
#include "heap/describe.h"
#include "reach.h"
#include "snap/format.h"
#include "snapshot/request.h"

enum { PIECE = 1 << 20, STEP_MS = 5, ANSWER_MS = 10000, SILENT_MS = 5000, STALE_MS = 60000 };

/* Where a process may be asked. */
struct asked {
    pid_t pid;
    int memory; /* /proc/PID/mem */
    uint64_t desc;
    int page; /* its control page, or negative */
    uint64_t number;
};

/* -- the descriptor, in its memory -- */

static bool read_at(int fd, void *out, size_t bytes, uint64_t at)
{
    return pread(fd, out, bytes, (off_t)at) == (ssize_t)bytes;
}

static bool is_desc(int memory, uint64_t at)
{
    struct core_desc d;
    return read_at(memory, &d, sizeof d, at) && memcmp(d.magic, CORE_DESC_MAGIC, sizeof d.magic) == 0 &&
           (uintptr_t)d.self == at && d.in_use && d.bytes == sizeof d && d.version == CORE_DESC_VERSION;
}

static uint64_t find_in(int memory, uint64_t from, uint64_t to, char *piece)
{
    const size_t overlap = sizeof(struct core_desc);
    for (uint64_t at = from; at < to; at += PIECE - overlap) {
        ssize_t got = pread(memory, piece, to - at < PIECE ? to - at : PIECE, (off_t)at);
        const char *end = piece + (got > 0 ? got : 0);
        for (const char *c = piece; (c = memmem(c, (size_t)(end - c), CORE_DESC_MAGIC, sizeof CORE_DESC_MAGIC - 1));
             c++) {
            if (is_desc(memory, at + (uint64_t)(c - piece))) {
                return at + (uint64_t)(c - piece);
            }
        }
        if (got <= 0 || to - at <= PIECE) {
            return 0;
        }
    }
    return 0;
}

/* In a file's writable data, where a library's or a static program's lies. */
static uint64_t find_desc(pid_t pid, int memory)
{
    char path[64], line[8192];
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    char *piece = malloc(PIECE);
    uint64_t found = 0;
    while (maps && piece && !found && fgets(line, sizeof line, maps)) {
        uint64_t from, to;
        char flags[8];
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s", &from, &to, flags) == 3 && strcmp(flags, "rw-p") == 0 &&
            strchr(line, '/')) {
            found = find_in(memory, from, to, piece);
        }
    }
    free(piece);
    if (maps) {
        fclose(maps);
    }
    return found;
}

/* -- the request -- */

static bool open_process(struct asked *a)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", (int)a->pid);
    a->page = control_open(a->pid);
    if (a->page == -ESRCH) {
        complain("no process %d, on the command line, give one that runs", (int)a->pid);
        return false;
    }
    a->memory = open(path, O_RDWR | O_CLOEXEC);
    if (a->memory < 0 && a->page < 0) {
        complain("process %d may not be looked into: %s, be its user, or root", (int)a->pid, strerror(errno));
        return false;
    }
    a->desc = a->memory >= 0 ? find_desc(a->pid, a->memory) : 0;
    if (!a->desc && a->page < 0) {
        complain("process %d has no heap of this version of allot, start it with allot run", (int)a->pid);
        return false;
    }
    return true;
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
    char room[CORE_DESC_PATH] = "";
    uint32_t asked;
    if (strlen(path) >= sizeof room ||
        !read_at(a->memory, &asked, sizeof asked, a->desc + offsetof(struct core_desc, asked))) {
        return false;
    }
    strcpy(room, path);
    a->number = asked + 1;
    asked++;
    return pwrite(a->memory, room, sizeof room, (off_t)(a->desc + offsetof(struct core_desc, path))) == sizeof room &&
           pwrite(a->memory, &asked, sizeof asked, (off_t)(a->desc + offsetof(struct core_desc, asked))) ==
               sizeof asked;
}

/* 1: answered, with *error; 0: not yet; -1: it is gone. */
static int answer(const struct asked *a, int *error)
{
    if (a->page >= 0) {
        struct allot_control page;
        if (control_read(a->page, &page) != 0 || page.snapshots_answered < a->number) {
            return 0;
        }
        *error = (int)page.snapshot_error;
        return 1;
    }
    uint32_t answered;
    int32_t said;
    if (!read_at(a->memory, &answered, sizeof answered, a->desc + offsetof(struct core_desc, answered)) ||
        !read_at(a->memory, &said, sizeof said, a->desc + offsetof(struct core_desc, error))) {
        return -1;
    }
    *error = said;
    return answered == (uint32_t)a->number;
}

static bool is_whole(int fd)
{
    struct stat file;
    struct snap_part last;
    return fstat(fd, &file) == 0 && file.st_size > (off_t)sizeof(struct snap_header) &&
           read_at(fd, &last, sizeof last, (uint64_t)file.st_size - sizeof last) && last.section == SNAP_END &&
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

static bool await_answer(const struct asked *a, void (*told)(const char *what))
{
    int error = 0, answered = 0;
    for (unsigned ms = 0; ms < ANSWER_MS && answered == 0; ms += STEP_MS) {
        pause_ms(STEP_MS);
        answered = answer(a, &error);
        if (ms == SILENT_MS) {
            told("it is silent so far: it answers when it next allocates");
        }
    }
    told(NULL);
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
    struct asked a = {.pid = pid, .memory = -1, .page = -1};
    struct reach file;
    if (!open_process(&a)) {
        return false;
    }
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
        done = await_answer(&a, told);
    }
    if (done) {
        told("the process writes");
        done = await_end(&a, *out);
        told(NULL);
    }
    reach_remove(&file);
    return done;
}
