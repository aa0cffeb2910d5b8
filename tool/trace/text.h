/* text.h - a trace as text, to be read, written and compared by hand: the grammar is in docs/format.md, "Text". What the model of
 * trace.h holds is in the text, and reading the text back gives the same again. */
#ifndef ALLOT_TRACE_TEXT_H
#define ALLOT_TRACE_TEXT_H

#include <stdio.h>

#include "trace/trace.h"

/* Blocks that have a number instead of an address stand at this address in the model: a multiple of 16, and not NULL. */
#define TEXT_IDS (((uint64_t)1 << 44) - 1) /* numbers are less */
static inline uint64_t text_address_of(uint64_t id) { return (id + 1) << 4; }
static inline uint64_t text_id_of(uint64_t address) { return (address >> 4) - 1; }

/* In the order of enum graph_verdict. */
extern const char *const text_verdicts[];
#define TEXT_VERDICTS 6

struct text_writer {
    FILE *to;
    bool addresses;
    uint32_t modules, nodes; /* written so far, node 0 counted */
    uint64_t time;           /* of the event before */
};

/* Events of `trace` as they come; what one refers to is written before it. Whether all went well is for the caller to ask of `to`. */
void text_begin(struct text_writer *writer, FILE *to, const struct trace_about *about);
void text_event(struct text_writer *writer, const struct trace *trace, const struct trace_event *event);
void text_end(struct text_writer *writer, const struct trace_about *about);

#endif
