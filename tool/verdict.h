/* What a trace says, in sentences: few, each with its figure, the one that matters most first. Most readers need no more. */
#ifndef ALLOT_TOOL_VERDICT_H
#define ALLOT_TOOL_VERDICT_H

#include "look.h"

#define VERDICT_SENTENCES 10

struct verdict {
    size_t count;
    struct {
        const char *about; /* peak, leaks, growth, temporary, resident, realloc, failed, recording */
        char text[640];
    } sentence[VERDICT_SENTENCES];
};

void verdict_of(const struct look *look, struct verdict *out);

/* Bytes that leak: lost beyond doubt where the process looked at its end, else never freed; *known says which. */
uint64_t verdict_leaked(const struct profile *profile, bool *known, uint64_t *blocks);

#endif
