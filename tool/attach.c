/* See attach.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "attach.h"
#include "control.h"
#include "probe/request.h"

enum { WAIT_MS = 200, PIECE = 65536 };

static bool read_at(int fd, void *out, size_t size, uint64_t at)
{
    return pread(fd, out, size, (off_t)at) == (ssize_t)size;
}

static bool write_at(int fd, const void *from, size_t size, uint64_t at)
{
    return pwrite(fd, from, size, (off_t)at) == (ssize_t)size;
}

/* -- through its memory -- */

/* The request in a piece of its memory that lies at `from`; at its end, where one may begin, are bytes of the next piece. 0: none. */
static uint64_t find_in(int mem, const char *bytes, size_t length, uint64_t from, struct record_request *out)
{
    const char *at = bytes, *end = bytes + length;
    while ((at = memmem(at, (size_t)(end - at), REQUEST_MAGIC, sizeof out->magic))) {
        uint64_t address = from + (uint64_t)(at - bytes);
        if (read_at(mem, out, sizeof *out, address) && out->self == address) {
            return address;
        }
        at++;
    }
    return 0;
}

static uint64_t find_between(int mem, uint64_t from, uint64_t to, struct record_request *out)
{
    static char piece[PIECE + sizeof out->magic];
    for (uint64_t at = from; at < to; at += PIECE) {
        size_t length = to - at < sizeof piece ? (size_t)(to - at) : sizeof piece;
        ssize_t n = pread(mem, piece, length, (off_t)at);
        uint64_t found = n > 0 ? find_in(mem, piece, (size_t)n, at, out) : 0;
        if (found) {
            return found;
        }
    }
    return 0;
}

/* Looks through the writable data of all that is loaded. The copy that is used, else one that may come to be. */
static uint64_t find_request(pid_t pid, int mem, struct record_request *out)
{
    enum { LONGEST = 256 << 20 };
    char path[64], line[512];
    uint64_t any = 0;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "re");
    while (maps && fgets(line, sizeof line, maps)) {
        uint64_t from, to, inode;
        char rights[5];
        struct record_request found;
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*x %*x:%*x %" SCNu64, &from, &to, rights, &inode) != 4 ||
            strcmp(rights, "rw-p") != 0 || inode == 0 || to - from > LONGEST) {
            continue;
        }
        uint64_t at = find_between(mem, from, to, &found);
        if (at && (found.used || !any)) {
            any = at;
            *out = found;
            if (found.used) {
                break;
            }
        }
    }
    if (maps) {
        fclose(maps);
    }
    return any;
}

static int open_memory(pid_t pid, struct attach *out)
{
    char name[64];
    snprintf(name, sizeof name, "/proc/%d/mem", (int)pid);
    int mem = open(name, O_RDWR | O_CLOEXEC);
    if (mem < 0) {
        return errno == ENOENT ? -ESRCH : errno == EPERM ? -EACCES : -errno;
    }
    struct record_request request;
    uint64_t at = find_request(pid, mem, &request);
    int error = !at ? -ENOENT : request.version != REQUEST_VERSION || request.bytes != sizeof request ? -EPROTO : 0;
    if (error) {
        close(mem);
        return error;
    }
    *out = (struct attach){.fd = mem,
                           .path_at = at + offsetof(struct record_request, path),
                           .asked_at = at + offsetof(struct record_request, asked),
                           .answered_at = at + offsetof(struct record_request, answered),
                           .error_at = at + offsetof(struct record_request, error)};
    return 0;
}

/* -- either -- */

int attach_open(pid_t pid, const char *area, struct attach *out)
{
    if (strlen(area) >= REQUEST_PATH) {
        return -ENAMETOOLONG;
    }
    int fd = strlen(area) < ALLOT_CONTROL_PATH ? control_open(pid) : -ENOENT;
    if (fd < 0) {
        return fd == -ESRCH ? fd : open_memory(pid, out);
    }
    *out = (struct attach){.fd = fd,
                           .page = true,
                           .path_at = offsetof(struct allot_control, record_path),
                           .asked_at = offsetof(struct allot_control, record_asked),
                           .answered_at = offsetof(struct allot_control, record_answered),
                           .error_at = offsetof(struct allot_control, record_error)};
    return 0;
}

void attach_close(struct attach *a) { close(a->fd); }

static size_t path_room(const struct attach *a) { return a->page ? ALLOT_CONTROL_PATH : REQUEST_PATH; }

static size_t word_bytes(const struct attach *a) { return a->page ? sizeof(uint64_t) : sizeof(uint32_t); }

/* The upper half of the word in memory counts something else. */
static bool is_number(const struct attach *a, uint64_t number)
{
    return a->page ? number == a->asked : (uint16_t)number == (uint16_t)a->asked;
}

int attach_look(const struct attach *a, struct attach_answer *out)
{
    char path[REQUEST_PATH] = "";
    uint64_t answered = 0;
    *out = (struct attach_answer){0};
    if (!read_at(a->fd, &answered, word_bytes(a), a->answered_at) ||
        !read_at(a->fd, &out->error, sizeof out->error, a->error_at) ||
        !read_at(a->fd, path, path_room(a), a->path_at)) {
        return -ESRCH;
    }
    out->answered = is_number(a, answered);
    out->taken = strncmp(path, a->path, path_room(a)) != 0;
    out->error = out->answered ? out->error : 0;
    return 0;
}

int attach_ask(struct attach *a, const char *area, struct attach_answer *answer)
{
    memset(a->path, 0, sizeof a->path);
    strcpy(a->path, area ? area : "");
    *answer = (struct attach_answer){0};
    a->asked = 0;
    if (!read_at(a->fd, &a->asked, word_bytes(a), a->asked_at)) {
        return -ESRCH;
    }
    a->asked++;
    errno = EIO;
    if (!write_at(a->fd, a->path, path_room(a), a->path_at) ||
        !write_at(a->fd, &a->asked, word_bytes(a), a->asked_at)) {
        return errno == EPERM ? -EACCES : -errno;
    }
    int error = attach_look(a, answer);
    for (int ms = 0; ms < WAIT_MS && !error && !answer->answered && !answer->taken; ms++) {
        usleep(1000);
        error = attach_look(a, answer);
    }
    return error;
}

const char *attach_why(int error, bool answered)
{
    if (answered && (error == -ENOENT || error == -EACCES)) {
        return "it cannot open the recorder's memory: record it from where it sees the same files";
    }
    switch (-error) {
    case ESRCH:
        return "there is no such process, or its recorder has ended";
    case EACCES:
        return "it may not be looked into: be the same user, or root; or start it with `allot run --share`";
    case ENOENT:
        return "it does not run on allot's malloc: start it with `allot run` or `allot record`";
    case EPROTO:
        return "it runs on another version of allot";
    case EBUSY:
        return "it is recorded already";
    case EALREADY:
        return "another recorder has asked it in the same moment, and was heard: wait for that one's end";
    default:
        return "it cannot be recorded";
    }
}
