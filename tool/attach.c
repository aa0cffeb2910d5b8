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

/* -- by the control page -- */

static int ask_page(int fd, const char *area, struct attach_answer *answer)
{
    char path[ALLOT_CONTROL_PATH] = "";
    uint64_t asked, answered = 0;
    int64_t error = 0;
    strcpy(path, area);
    if (!read_at(fd, &asked, sizeof asked, offsetof(struct allot_control, record_asked))) {
        return -EIO;
    }
    asked++;
    if (!write_at(fd, path, sizeof path, offsetof(struct allot_control, record_path)) ||
        !write_at(fd, &asked, sizeof asked, offsetof(struct allot_control, record_asked))) {
        return -EIO;
    }
    for (int ms = 0; ms < WAIT_MS && !answer->answered; ms++) {
        if (!read_at(fd, &answered, sizeof answered, offsetof(struct allot_control, record_answered)) ||
            !read_at(fd, &error, sizeof error, offsetof(struct allot_control, record_error))) {
            return -EIO;
        }
        answer->answered = answered == asked;
        answer->error = answer->answered ? (int)error : 0;
        if (!answer->answered) {
            usleep(1000);
        }
    }
    return 0;
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

static int ask_memory(pid_t pid, const char *area, struct attach_answer *answer)
{
    char name[64], path[REQUEST_PATH] = "";
    snprintf(name, sizeof name, "/proc/%d/mem", (int)pid);
    int mem = open(name, O_RDWR | O_CLOEXEC);
    if (mem < 0) {
        return errno == ENOENT ? -ESRCH : errno == EPERM ? -EACCES : -errno;
    }
    struct record_request request;
    uint64_t at = find_request(pid, mem, &request);
    int result = !at ? -ENOENT : request.version != REQUEST_VERSION || request.bytes != sizeof request ? -EPROTO : 0;
    if (result == 0) {
        strcpy(path, area);
        uint32_t asked = request.asked + 1, answered = request.answered;
        if (!write_at(mem, path, sizeof path, at + offsetof(struct record_request, path)) ||
            !write_at(mem, &asked, sizeof asked, at + offsetof(struct record_request, asked))) {
            result = errno == EPERM ? -EACCES : -errno;
        }
        for (int ms = 0; result == 0 && ms < WAIT_MS && !answer->answered; ms++) {
            if (!read_at(mem, &answered, sizeof answered, at + offsetof(struct record_request, answered)) ||
                !read_at(mem, &answer->error, sizeof answer->error, at + offsetof(struct record_request, error))) {
                result = -ESRCH;
            }
            answer->answered = (uint16_t)answered == (uint16_t)asked;
            if (!answer->answered) {
                usleep(1000);
            }
        }
        answer->error = answer->answered ? answer->error : 0;
    }
    close(mem);
    return result;
}

int attach_ask(pid_t pid, const char *area, struct attach_answer *answer)
{
    area = area ? area : "";
    *answer = (struct attach_answer){0};
    if (strlen(area) >= REQUEST_PATH) {
        return -ENAMETOOLONG;
    }
    int fd = strlen(area) < ALLOT_CONTROL_PATH ? control_open(pid) : -ENOENT;
    if (fd < 0) {
        return fd == -ESRCH ? fd : ask_memory(pid, area, answer);
    }
    int result = ask_page(fd, area, answer);
    close(fd);
    return result;
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
    default:
        return "it cannot be recorded";
    }
}
