/* allot.h - allot's own files frame by frame: whole ones, unpacked, and the tables of stacks that are in them. */
#ifndef ALLOT_TRACE_ALLOT_H
#define ALLOT_TRACE_ALLOT_H

#include "trace/columns.h"
#include "trace/tables.h"

/* A file, and where we are in it. */
struct frames {
    int fd;
    uint64_t size, at;
    struct trace_about *about;
    struct ZSTD_DCtx_s *zstd;
    unsigned char *packed; /* FILE_PAYLOAD of it at most */
    size_t packed_room;
};

/* Reads the head: its command line goes to *command, to be freed. False with `error` set. */
bool frames_open(struct frames *frames, int fd, struct trace_about *about, struct file_head *head, char **command,
                 struct trace_error *error);
void frames_close(struct frames *frames);
/* The next frame's head; 1, 0 at the end of the file (about->truncated: before it should), -1. */
int frames_peek(struct frames *frames, struct file_frame *head, struct trace_error *error);
/* Unpacks a frame that stands at `at`: NULL with `error` set. To be freed. */
unsigned char *frames_unpack(struct frames *frames, uint64_t at, const struct file_frame *head,
                             struct trace_error *error);
/* `what is wrong at byte N`. Returns -1. */
int frames_wrong(struct trace_error *error, uint64_t at, const char *what);

/* A frame of tables, added to what was before. */
struct table_state {
    struct tables tables;
    uint32_t *next; /* of each frame: that of the last node below one with it, plus 1 */
    uint32_t next_room, fresh;
};
/* What is wrong with it, or NULL. */
const char *tables_unpack(struct table_state *state, const unsigned char *raw, size_t bytes, uint32_t nodes);
void table_state_done(struct table_state *state);

#endif
