/* fuzz/bytes.h - a trace whose events are made of a fuzzer's bytes: numbers, and zeros when these are at their end. */
#ifndef ALLOT_FUZZ_BYTES_H
#define ALLOT_FUZZ_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "trace/trace.h"

struct trace {
    struct trace_about about;
    const uint8_t *data;
    size_t size;
};

static uint64_t next(struct trace *t, unsigned bytes)
{
    uint64_t value = 0;
    for (; bytes > 0 && t->size > 0; bytes--, t->size--) {
        value = value << 8 | *t->data++;
    }
    return value;
}

#endif
