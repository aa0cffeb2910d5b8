/* Leaks in words, wherever they were found: in a recorded trace, a live process or the core of a dead one. Those who find them
 * add them one by one; here they are grouped by where they were allocated, suppressed, put in order and printed.
 *
 *   leaks_begin -> leaks_suppress ... -> leaks_add ... -> leaks_print -> leaks_failed -> leaks_end
 *
 * Two leaks are of one group when they have the same verdict and the same stack, or without stacks the same type and owner.
 */
#ifndef ALLOT_TOOL_LEAKS_PRINT_H
#define ALLOT_TOOL_LEAKS_PRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "graph/graph.h"
#include "symbols.h"

struct leak {
    enum graph_verdict verdict;       /* GRAPH_UNKNOWN: never freed, and nobody looked who points to it */
    uint64_t count;                   /* how many such blocks this stands for */
    uint64_t bytes;                   /* theirs */
    uint64_t retained;                /* theirs and of all that only they lead to; 0: not known */
    const struct symbol_frame *frame; /* where it was allocated, innermost first */
    size_t frames;                    /* 0: not known */
    const char *type;                 /* class by its vtable, symbol, container: or NULL */
    const char *owner;                /* "arena NAME", "pool NAME" ...; NULL: the general heap */
    uint64_t address;                 /* of one of them; 0: not known */
    const char *path;                 /* who points to it: one line; or NULL */
    uint32_t process;                 /* number in the trace, or pid; 0: there is one only */
};

struct leaks_wanted {
    bool json, colour;
    bool reachable;     /* what is reachable, thread-only and indirect as well; else only their sums */
    bool suppressions;  /* a suppression for each group, in LSan's syntax */
    size_t top;         /* groups at most of each verdict; 0: all */
    const char *source; /* what was looked at: "trace app.allot", "process 4711" ... */
    const char *note;   /* one sentence before the groups; or NULL */
};

struct leaks;
struct leaks *leaks_begin(void); /* NULL: out of memory */
void leaks_end(struct leaks *leaks);

/* Reads a file of suppressions, LSan's (`leak:PATTERN` lines) or memcheck's ({ ... } blocks), as it finds them. False and it is
 * complained: it cannot be read, or a line is neither. */
bool leaks_suppress(struct leaks *leaks, const char *path);

/* All is copied. False: out of memory. */
bool leaks_add(struct leaks *leaks, const struct leak *leak);

/* Each group: figures are sums, texts good until leaks_end. */
void leaks_each(const struct leaks *leaks, void (*tell)(void *arg, const struct leak *leak), void *arg);

/* Says who holds blocks that something leads to: `way` gives the line for a group's address, to be freed here; NULL: it has none. Of the
 * `most` groups with most bytes, as each way costs a search. */
void leaks_hold(struct leaks *leaks, size_t most, char *(*way)(void *arg, uintptr_t address), void *arg);

/* On standard output, worst first. Nothing can be added after. */
void leaks_print(struct leaks *leaks, const struct leaks_wanted *wanted);

/* LSan's line that suppresses it: the function of its place without what it takes, else its module; without a stack its class or owner. False:
 * it has none of them. */
bool leaks_suppression(const struct leak *leak, char *out, size_t room);

/* Blocks that are lost, and not suppressed: definite; where nobody looked who points where, never freed. What an exit status is
 * made of. */
uint64_t leaks_failed(const struct leaks *leaks);

#endif
