/* writer.h - frames of a trace file (trace/file.h), packed and put behind one another. */
#ifndef ALLOT_RECORD_WRITER_H
#define ALLOT_RECORD_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/file.h"

/* All zero at first. `error`: the first -errno; nothing is written from then on. */
struct writer {
    int fd;
    int error;
    uint64_t at; /* bytes written */
    struct ZSTD_CCtx_s *zstd;
    unsigned char *buffer;
    size_t room;
};

static inline void writer_fail(struct writer *writer, int error)
{
    writer->error = writer->error ? writer->error : error;
}

struct part {
    const void *bytes;
    size_t length;
};

/* Takes the descriptor, of an empty file, and writes the head. False with `error` set. */
bool writer_open(struct writer *writer, int fd, const struct file_head *head, const char *command);
/* Takes the descriptor, of a file that has been written, to put frames behind its end. False: no memory. */
bool writer_continue(struct writer *writer, int fd);
/* Writes a frame of the parts behind one another; `frame` has all that is not of their packing. */
void writer_frame(struct writer *writer, struct file_frame frame, const struct part *parts, size_t count);
/* Writes the tail, which says where the last frame, the end frame, begins; and closes. */
void writer_close(struct writer *writer, uint64_t end);

#endif
