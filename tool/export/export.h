/* export.h - a profile for other people's programs: each file here writes one format, from the figures of all sites
 * (profile/profile.h), with names (symbols.h), or, where the format is one of events, from the trace itself.
 *
 *   site --> its calls, innermost first, with those that were inlined there --> frames, by number
 *
 * Nothing that a format demands is made up: what a trace does not have (times, addresses, threads) is left out.
 */
#ifndef ALLOT_EXPORT_H
#define ALLOT_EXPORT_H

#include <stdio.h>

#include "profile/profile.h"
#include "symbols.h"
#include "trace/live.h"
#include "trace/tables.h"
#include "trace/trace.h"

/* Longer stacks lose their outermost calls, and have one "(deeper)" for them. */
#define EXPORT_DEEPEST 1024

/* What each sample can say. "Live" is what was still there when its process, or the trace, ended. */
enum export_figure {
    EXPORT_ALLOC_BLOCKS,
    EXPORT_ALLOC_BYTES,
    EXPORT_LIVE_BLOCKS,
    EXPORT_LIVE_BYTES,
    EXPORT_PEAK_BLOCKS,
    EXPORT_PEAK_BYTES,
    EXPORT_TEMPORARY_BLOCKS,
    EXPORT_TEMPORARY_BYTES,
    EXPORT_FIGURES
};
/* As users write them: alloc-blocks, alloc-bytes, ... -1: none of them. */
int export_figure(const char *name);
extern const char *const export_figure_names[EXPORT_FIGURES];

struct export_calls {
    const struct symbol_frame *frame; /* innermost first */
    size_t count;
};

struct export
{
    const struct profile *profile;
    const struct trace *trace; /* read to its end: its tables */
    struct symbols *symbols;
    const char *command;
    const struct trace_node *node;
    const struct trace_frame *frame;
    const struct trace_module *module;
    uint32_t nodes, frames, modules;
    struct export_calls *calls;         /* by frame; those not looked up yet have count 0 */
    int *symbols_module;                /* by module */
    uint32_t stack[EXPORT_DEEPEST + 1]; /* export_stack's answer */
    struct symbol_frame special[4];     /* EXPORT_SPECIALS */
};
/* What stands for a frame where there is none: numbers beyond those of frames. */
enum { EXPORT_UNKNOWN, EXPORT_BEFORE, EXPORT_OTHER, EXPORT_DEEPER, EXPORT_SPECIALS };

/* All of it stays the caller's, and where it is. 0, or -ENOMEM. */
int export_begin(struct export *export, const struct profile *profile, const struct trace *trace,
                 struct symbols *symbols);
void export_end(struct export *export);

uint64_t export_value(const struct profile_site *site, enum export_figure figure);
/* The frames of a site's stack, innermost first, in export->stack: how many, at least 1. */
size_t export_stack(struct export *export, const struct profile_site *site);
/* The calls that a frame is, innermost first. At least one; 0: out of memory. */
const struct export_calls *export_calls(struct export *export, uint32_t frame);
/* A call's name where one line is all there is: the function, else module+0xoffset, else 0xpc. */
const char *export_name(const struct symbol_frame *call, char room[64]);

/* What `allot report TRACE --export FORMAT -o OUT` does. FORMAT is pprof, folded, speedscope, massif, heap, heaptrack, or folded and a figure,
 * folded:live-bytes. Of `wanted` heaptrack's format takes the process only. OUT: NULL or "-": standard output. The exit status: 0, or 1
 * having complained. */
int export_trace(const char *path, const char *format, const char *out, const struct profile_wanted *wanted);
bool export_is_format(const char *format);
extern const char export_help[]; /* a line of --help for each */

/* Names come from hostile files and end on terminals: a copy in which what no terminal shows (words_printable) is a question mark, to be freed.
 * NULL: out of memory. And a text written so, in which `instead` stands for `other` as well. */
char *export_plain(const char *text);
void export_put(FILE *to, const char *text, char other, char instead);

/* 0, or -errno: no memory, or no room where it is written. */
int export_pprof(struct export *export, FILE *to);                             /* gzipped profile.proto */
int export_folded(struct export *export, enum export_figure figure, FILE *to); /* main;f;g 123 */
int export_speedscope(struct export *export, FILE *to);
int export_massif(struct export *export, FILE *to);
int export_heap(struct export *export, FILE *to); /* the text of gperftools and jemalloc */
/* From the events of a trace that nothing was read of yet: of the process wanted, or all. -1: `error` says why. */
int export_heaptrack(struct trace *trace, const struct profile_wanted *wanted, struct symbols *symbols, FILE *to,
                     struct trace_error *error);

#endif
