/* build.h - small traces by hand: events of threads, put into frames as they are told to. */
#ifndef TRACE_BUILD_H
#define TRACE_BUILD_H

#include "record/writer.h"
#include "trace/columns.h"
#include "trace/trace.h"

struct build {
    struct writer writer;
    int fd; /* of the file, in memory; stays open */
    uint64_t since;
    struct packer packer;
    uint32_t process, thread;
};

/* A unit of time is a nanosecond. */
void build_begin(struct build *build);
/* Of this thread, in one frame until the next call of this or build_since. */
void build_thread(struct build *build, uint32_t process, uint32_t thread);
void build_event(struct build *build, enum file_op op, uint64_t time, uint64_t address, uint64_t size, uint32_t stack);
void build_note(struct build *build, uint64_t time, enum file_note kind, uint64_t number, const char *text);
/* No event is earlier from here on. */
void build_since(struct build *build, uint64_t since);
/* A frame of tables with so many nodes, each below the one before, of one module. Once. */
void build_nodes(struct build *build, uint32_t nodes);
/* The end frame and the tail, if wanted; the descriptor is for the caller to close. */
int build_end(struct build *build, bool ended);

/* Opens what a descriptor holds. */
struct trace *build_open(int fd, struct trace_error *error);

#endif
