/* allot_fuzz.c - libFuzzer writes allot's own traces: its bytes are a file as they stand, or the frames of one, packed and with right
 * checksums, so that what is behind these is reached. Reading it ends, and what it says holds together. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "record/writer.h"
#include "trace/behind.h"
#include "trace/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool fine, const char *what)
{
    if (!fine) {
        fprintf(stderr, "broken promise: %s\n", what);
        abort();
    }
}

/* kind, process, thread, since, count (2), bytes (2), payload; and again. Behind the first end there is a tail. */
static int write_frames(const uint8_t *data, size_t size)
{
    struct writer writer;
    uint64_t end = 0;
    struct file_head head = {.unit = (uint64_t)3 << 32};
    int fd = memfd_create("fuzz", MFD_CLOEXEC);

    check(fd >= 0 && writer_open(&writer, dup(fd), &head, ""), "a file");
    while (size > 8) {
        size_t bytes = data[6] | (size_t)data[7] << 8;
        struct file_frame frame = {.kind = 1 + data[0] % 5,
                                   .process = 1 + data[1] % 4,
                                   .thread = data[2] % 4,
                                   .since = data[3],
                                   .first = data[3],
                                   .count = data[4] | (uint32_t)data[5] << 8};
        data += 8;
        size -= 8;
        bytes = bytes < size ? bytes : size;
        uint64_t at = writer.at;
        writer_frame(&writer, frame, &(struct part){data, bytes}, 1);
        if (frame.kind == FILE_KIND_END && !end) {
            struct file_tail tail = {at, FILE_TAIL};
            check(write(fd, &tail, sizeof tail) == sizeof tail, "a file");
            writer.at += sizeof tail;
            end = at;
        }
        data += bytes;
        size -= bytes;
    }
    writer_close(&writer, end);
    return fd;
}

static bool visit(void *arg, int fd)
{
    (void)arg;
    check(lseek(fd, 0, SEEK_END) >= 0, "a snapshot is a file");
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trace_about about = {0};
    struct trace_error error;
    struct trace_event event;
    int answer, fd;
    uint64_t time = 0;

    if (size == 0) {
        return 0;
    }
    if (data[0] % 4 == 0) {
        fd = memfd_create("fuzz", MFD_CLOEXEC);
        check(fd >= 0 && write(fd, data + 1, size - 1) == (ssize_t)size - 1, "a file");
    } else {
        fd = write_frames(data + 1, size - 1);
    }
    void *reader = trace_format_allot.open(fd, &about, &error);
    if (reader) {
        while ((answer = trace_format_allot.next(reader, &event, &error)) > 0) {
            uint32_t nodes, frames, modules;
            const struct trace_node *node = trace_format_allot.nodes(reader, &nodes);
            const struct trace_frame *frame = trace_format_allot.frames(reader, &frames);
            trace_format_allot.modules(reader, &modules);
            check(event.stack < nodes, "an event's stack is there");
            for (uint32_t at = event.stack; at; at = node[at].parent) {
                check(node[at].parent < at && node[at].frame < frames, "a node's parent and frame are there");
                check(frame[node[at].frame].module == UINT32_MAX || frame[node[at].frame].module < modules,
                      "a frame's module is there");
            }
            check(event.time >= time && event.begun <= event.time, "time goes on");
            check(event.op > 0 && event.op <= TRACE_LOST && event.process > 0 && event.thread > 0, "an event is one");
            time = event.time;
        }
        check(answer == 0 || strstr(error.line, " byte "), "an error names the byte");
        trace_format_allot.close(reader);
    } else {
        check(strstr(error.line, " byte "), "an error names the byte");
    }
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    check(behind_each(path, visit, NULL) == 0, "there is room for snapshots");
    close(fd);
    return 0;
}
