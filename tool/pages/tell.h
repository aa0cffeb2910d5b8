/* pages/tell.h - misses by policy and size, told: as text, as JSON, as a page. */
#ifndef ALLOT_PAGES_TELL_H
#define ALLOT_PAGES_TELL_H

#include <stdio.h>

#include "pages/curves.h"

struct tell {
    const char *name; /* of the trace, or the program */
    const struct refs *refs;
    const struct curves_wanted *wanted;
    const struct curves_cell *cell;
};

static inline const struct curves_cell *tell_cell(const struct tell *t, unsigned policy, unsigned size)
{
    return &t->cell[policy * t->wanted->sizes + size];
}

/* Misses, of one reference. */
double tell_ratio(const struct tell *t, unsigned policy, unsigned size);
/* Its geometric mean over all sizes. */
double tell_mean(const struct tell *t, unsigned policy);
/* Whether none of the policies misses less with so many frames; the optimum is none. */
bool tell_best(const struct tell *t, unsigned policy, unsigned size);
bool tell_best_mean(const struct tell *t, unsigned policy);
/* Of which policy people are told how addresses are translated: the first one but the optimum, where there is one. */
unsigned tell_translated(const struct tell *t);
/* "4 levels of 9, 9, 9, 9 bits" */
void tell_shape(FILE *to, const struct translate_table *table);

/* Misses are told of so many references: 100, or more where they are few. */
unsigned tell_unit(const struct tell *t);

void tell_text(FILE *to, const struct tell *t);
void tell_json(FILE *to, const struct tell *t);
void tell_page(FILE *to, const struct tell *t);

#endif
