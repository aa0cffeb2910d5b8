/* See opt.h. */
#include <stdlib.h>
#include <string.h>

#include "pages/opt.h"

bool opt_next(const struct refs *refs, struct vector *next)
{
    size_t count = refs->kept.count, pages = refs->ids.count;
    uint32_t *again = malloc(pages * sizeof *again);
    if (!again || !vector_reserve(next, count)) {
        free(again);
        return false;
    }
    for (size_t p = 0; p < pages; p++) {
        again[p] = (uint32_t)(count + p);
    }
    for (size_t i = count; i-- > 0;) {
        uint32_t page = refs->kept.at[i];
        next->at[i] = again[page];
        again[page] = (uint32_t)i;
    }
    next->count = count;
    free(again);
    return true;
}

bool opt_begin(struct opt *opt, uint64_t numbers)
{
    size_t words[OPT_LEVELS], sum = 0;
    *opt = (struct opt){0};
    do {
        numbers = (numbers + 63) / 64;
        sum += words[opt->levels++] = numbers;
    } while (numbers > 1);
    opt->memory = calloc(sum, sizeof *opt->memory);
    if (!opt->memory) {
        return false;
    }
    uint64_t *at = opt->memory;
    for (unsigned l = 0; l < opt->levels; at += words[l++]) {
        opt->level[l] = at;
    }
    return true;
}

void opt_end(struct opt *opt)
{
    free(opt->memory);
    *opt = (struct opt){0};
}
