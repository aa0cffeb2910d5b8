/* trace.h - what was recorded, event by event, wherever it comes from: allot's own files and those of others (formats in
 * docs/format.md). All that analyses a trace reads it through this, so it never sees a format.
 *
 * Events come in an order in which they can have happened: a block's allocation before its free, of one address at most one
 * block live at any time, each thread's in its own order. Reads in one go with bounded memory; to read again, open again.
 */
#ifndef ALLOT_TRACE_H
#define ALLOT_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum trace_op {
    TRACE_ALLOC = 1,
    TRACE_FREE,
    TRACE_REALLOC, /* `old` becomes `address`; both may be equal */
    TRACE_FAILED,  /* an allocation that gave NULL */
    TRACE_BEFORE,  /* a block that was live before recording began: size as far as known, no stack */
    TRACE_VERDICT, /* of a live block at the process's exit: verdict, retained bytes in `size`, 0: no more than its own */
    TRACE_PROCESS,  /* a process begins: text is its program, `old` its parent's number or 0, `size` its pid or 0 */
    TRACE_EXIT,     /* a process ends: by exit when `size` is 1, else it was killed or went on without us */
    TRACE_THREAD,   /* a thread's name: text */
    TRACE_MARK,     /* a moment that the program named: text */
    TRACE_COUNTERS, /* of the process at this time: resident bytes in `size`, mapped bytes in `old` */
    TRACE_LOST,     /* so many events are missing here: `size` */
};

enum trace_call { TRACE_MALLOC = 1, TRACE_CALLOC, TRACE_ALIGNED, TRACE_REALLOC_CALL };

struct trace_event {
    enum trace_op op;
    enum trace_call call;     /* of TRACE_ALLOC */
    uint32_t process, thread; /* their numbers in this trace, from 1; threads are numbered in their process */
    uint32_t stack;           /* 0: unknown; else a node's number */
    uint32_t align;           /* of TRACE_ALIGNED: log2 */
    uint32_t verdict;         /* enum graph_verdict */
    uint64_t time;            /* nanoseconds since the trace began; 0 for all where the format has none */
    uint64_t begun;           /* of TRACE_REALLOC: when `old` was given up; <= time */
    uint64_t address, size, old;
    const char *text; /* good until the next event is read */
};

/* Is told now and then how far reading has come. */
struct trace_about;
typedef void trace_progress(const struct trace_about *about);

/* The tree of stacks: a stack is a node, the innermost call, whose parent called it. Node 0 is nobody. Grows while events are
 * read: all that an event needs is there when it is given. */
struct trace_node {
    uint32_t parent, frame;
};
struct trace_frame {
    uint64_t pc;                 /* the address that the call returns to, as the process had it */
    uint32_t module;             /* index, or UINT32_MAX: unknown */
    uint64_t offset;             /* pc - bias: the address as in the module's file */
    const char *function, *file; /* where the format itself tells: else NULL, and to be found (tool/symbols.h) */
    uint32_t line;
};
struct trace_module {
    const char *path;
    uint64_t start, end, bias;
    unsigned char build_id[32];
    unsigned build_id_bytes;
};

/* Formats that are a profile already (about.is_profile) have one event, TRACE_PROCESS, and then the figures of each stack. */
struct trace_total {
    uint32_t stack;
    uint64_t allocs, bytes;
    uint64_t peak_blocks, peak_bytes; /* at the whole's peak */
    uint64_t own_peak_bytes;          /* at its own */
    uint64_t left_blocks, left_bytes; /* at the end */
};

/* What is known from the start, but for the figures at the end, which are whole when all has been read. */
struct trace_about {
    const char *format;  /* "allot", "text", "malloclab", "heaptrack", "mtrace", "dhat" */
    const char *command; /* the command line, or NULL */
    bool has_stacks, has_times, has_addresses, is_profile;
    int64_t began;        /* seconds since 1970, 0: unknown */
    uint64_t bytes, read; /* of the file, and of it read so far: progress */
    size_t memory;        /* that the reader takes now, where it may be much */
    uint64_t events, lost;
    uint64_t
        unmatched; /* frees of blocks that nothing is known of, left out: from before recording, of another malloc */
    uint64_t waited_ns;        /* that recorded threads waited for the recorder */
    uint64_t collector_cpu_ns; /* what recording took beside the program */
    bool truncated;            /* the file ends early: everything up to there was read */
};

/* One line: what is wrong, at which byte. */
struct trace_error {
    char line[256];
};

struct trace;
/* NULL with `error` set: `what, where, what to do`, as complain() wants it. */
struct trace *trace_open(const char *path, struct trace_error *error);
/* 1: *event is the next; 0: that was all; -1: the file is broken, `error` says where. */
int trace_next(struct trace *trace, struct trace_event *event, struct trace_error *error);
void trace_close(struct trace *trace);

const struct trace_about *trace_about(const struct trace *trace);
/* Tables of now; good until the next event is read. */
const struct trace_node *trace_nodes(const struct trace *trace, uint32_t *count);
const struct trace_frame *trace_frames(const struct trace *trace, uint32_t *count);
const struct trace_module *trace_modules(const struct trace *trace, uint32_t *count);
const struct trace_total *trace_totals(const struct trace *trace, uint32_t *count);

/* -- formats: each is one file with one of these; trace.c asks them in turn -- */
struct trace_format {
    const char *name;
    bool (*is)(const unsigned char *head, size_t bytes, const char *path); /* by the first 4 KiB at most */
    void *(*open)(int fd, struct trace_about *about, struct trace_error *error);
    int (*next)(void *reader, struct trace_event *event, struct trace_error *error);
    const struct trace_node *(*nodes)(const void *reader, uint32_t *count);
    const struct trace_frame *(*frames)(const void *reader, uint32_t *count);
    const struct trace_module *(*modules)(const void *reader, uint32_t *count);
    void (*close)(void *reader);
    const struct trace_total *(*totals)(const void *reader, uint32_t *count); /* NULL: it has events */
};
extern const struct trace_format trace_format_allot, trace_format_text, trace_format_malloclab, trace_format_heaptrack,
    trace_format_mtrace, trace_format_dhat;

#endif
