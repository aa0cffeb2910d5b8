/* See behind.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scratch.h"
#include "trace/allot.h"
#include "trace/behind.h"

#define BYTES_MOST ((uint64_t)4 << 30) /* of one, unpacked */

/* Where the end frame begins, by the file's tail; 0: it has none. */
static uint64_t find_end(int fd)
{
    struct stat st;
    struct file_tail tail;
    bool is = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_size > sizeof tail &&
              scratch_read(fd, &tail, sizeof tail, (uint64_t)st.st_size - sizeof tail) == 0 &&
              memcmp(tail.magic, FILE_TAIL, sizeof tail.magic) == 0;
    return is && tail.end < (uint64_t)st.st_size ? tail.end : 0;
}

/* Goes behind the end frame and the first tail. False: they are not there. */
static bool pass_end(struct frames *f, uint64_t end)
{
    struct file_frame head;
    struct file_tail tail;
    struct trace_error error;
    f->at = end;
    if (frames_peek(f, &head, &error) <= 0 || head.kind != FILE_KIND_END) {
        return false;
    }
    f->at += sizeof head + head.bytes;
    bool has_tail =
        scratch_read(f->fd, &tail, sizeof tail, f->at) == 0 && memcmp(tail.magic, FILE_TAIL, sizeof tail.magic) == 0;
    f->at += sizeof tail;
    return has_tail;
}

/* Unpacks the next one into the file. 1: it is whole; 0: there is none; -errno. */
static int unpack(struct frames *f, int to)
{
    struct file_frame head;
    struct trace_error error;
    uint64_t bytes = 0;
    while (frames_peek(f, &head, &error) > 0 && head.kind == FILE_KIND_SNAPSHOT && bytes + head.raw <= BYTES_MOST) {
        unsigned char *raw = frames_unpack(f, f->at, &head, &error);
        int failed = raw ? scratch_write(to, raw, head.raw, bytes) : 0;
        free(raw);
        if (failed || !raw) {
            return failed;
        }
        bytes += head.raw;
        f->at += sizeof head + head.bytes;
        if (head.count == 1) {
            return 1;
        }
    }
    return 0;
}

int behind_each(const char *path, bool (*visit)(void *arg, int fd), void *arg)
{
    struct frames f;
    struct trace_about about = {0};
    struct trace_error error;
    struct file_head head;
    char *command;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), got = 1;
    uint64_t end = fd >= 0 ? find_end(fd) : 0;
    bool more = end && frames_open(&f, fd, &about, &head, &command, &error);
    if (more) {
        more = pass_end(&f, end);
        while (more && got > 0) {
            int to = scratch_open(NULL);
            got = to < 0 ? -errno : unpack(&f, to);
            more = got > 0 && visit(arg, to);
            if (to >= 0) {
                close(to);
            }
        }
        free(command);
        frames_close(&f);
    }
    if (fd >= 0) {
        close(fd);
    }
    return got < 0 ? got : 0;
}
