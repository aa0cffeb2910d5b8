/* Budgets of a trace, and how they were kept: what allot check decides, and what check_write.c writes of it. */
#ifndef ALLOT_TOOL_CHECK_H
#define ALLOT_TOOL_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct budget {
    const char *name;   /* "peak" */
    const char *option; /* as it was given: "--max-peak 200M" */
    bool bytes;         /* else a count */
    uint64_t is, most;
    bool has_base;
    uint64_t base;  /* the same of the baseline */
    char from[240]; /* which place has most of it; "" */
};

static inline bool budget_kept(const struct budget *budget) { return budget->is <= budget->most; }

struct checked {
    const char *trace, *baseline; /* baseline: or NULL */
    struct budget budget[8];
    size_t budgets;
    char note[300]; /* what makes the figures doubtful; "" */
};

/* Whole files, or none. False: it is complained. */
bool check_write_junit(const struct checked *checked, const char *path);
bool check_write_markdown(const struct checked *checked, const char *path);

void check_print(const struct checked *checked, bool json);

#endif
