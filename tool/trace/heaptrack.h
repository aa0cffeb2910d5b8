/* heaptrack.h - one of heaptrack's files while it is read: for heaptrack.c, and heaptrack_final.c, which has what only final
 * files have. */
#ifndef ALLOT_TRACE_HEAPTRACK_H
#define ALLOT_TRACE_HEAPTRACK_H

#include "trace/alive.h"
#include "trace/input.h"
#include "trace/live.h"
#include "trace/loaded.h"
#include "trace/tables.h"
#include "trace/trace.h"

struct heaptrack_call { /* of a final file: frames [first, first + count), innermost first */
    uint32_t first, count;
};
struct heaptrack_class { /* of a final file: blocks of one size and stack */
    uint64_t size;
    uint32_t stack, newest; /* a block, 0: none lives */
};

struct heaptrack {
    struct input *input;
    struct trace_about *about;
    struct tables tables;
    struct line line;
    struct trace_error *error; /* of the call under way */
    bool final;
    uint64_t format, time, page;
    /* raw */
    const char *program;
    struct alive live;       /* blocks by address */
    struct live frames;      /* frame, plus 1, by pc; of the modules as they are now */
    struct live modules;     /* module, plus 1, by a hash of what is known of it */
    struct loaded loaded;    /* modules as they are now */
    struct trace_event kept; /* given out before what comes next; op 0: nothing */
    /* final */
    const char **string;
    struct heaptrack_call *call;
    uint32_t *stack; /* node by their number of it */
    struct heaptrack_class *class;
    uint32_t *older; /* by block: the next of its class that lives, or of those that do not */
    uint32_t strings, string_room, calls, call_room, stacks, stack_room, classes, class_room, blocks, block_room;
    uint32_t unused; /* a block that does not live, 0: none */
};

/* Since format 3 addresses are of a byte within the call, before of the one behind it. */
static inline uint64_t heaptrack_behind(const struct heaptrack *reader, uint64_t ip)
{
    return ip + (reader->format >= 3 && ip ? 1 : 0);
}

/* All of these return 0, or -1 with the error said. */
int heaptrack_wrong(struct heaptrack *reader, const char *at, const char *what);
int heaptrack_no_memory(struct heaptrack *reader);
/* Room for one more in *array, a pointer to elements of `bytes`. */
int heaptrack_more(struct heaptrack *reader, void *array, uint32_t count, uint32_t *room, size_t bytes);
int heaptrack_next_hex(struct heaptrack *reader, struct line_words *words, uint64_t most, uint64_t *number,
                       const char *what);
/* With its length before it since format 3; else up to a blank. */
int heaptrack_next_string(struct heaptrack *reader, struct line_words *words, struct word *string);
/* NULL: said. */
const char *heaptrack_kept(struct heaptrack *reader, struct word word);

/* The rest of a line of a final file that begins with s, i, t, a, or + and -, which answers 1 where that is an event. */
int heaptrack_read_string(struct heaptrack *reader, struct line_words words);
int heaptrack_read_call(struct heaptrack *reader, struct line_words words);
int heaptrack_read_stack(struct heaptrack *reader, struct line_words words);
int heaptrack_read_class(struct heaptrack *reader, struct line_words words);
int heaptrack_read_event(struct heaptrack *reader, struct line_words words, bool frees, struct trace_event *event);

#endif
