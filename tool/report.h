/* A trace on standard output: what allot report prints. */
#ifndef ALLOT_TOOL_REPORT_H
#define ALLOT_TOOL_REPORT_H

#include "advice/advice.h"
#include "look.h"

/* By what sites are put in order; each is a table of its own in the text. */
enum report_sort { BY_PEAK, BY_END, BY_ALLOCS, BY_TEMPORARY, BY_BYTES, BY_GROWTH, BY_REALLOCS, BY_SLACK, REPORT_SORTS };

struct report_wanted {
    bool json;
    bool all_tables; /* of the first four sorts, and all else; else that of `sort` only */
    enum report_sort sort;
    size_t top;                       /* sites of each; 0: all */
    const struct advice_list *advice; /* NULL: nobody asked */
};

/* A sort's name on the command line, and its figure of a group. */
extern const char *const report_sorts[REPORT_SORTS];
uint64_t report_figure(const struct look *look, const struct group *group, enum report_sort sort);
/* Groups in that order, those that have none of it left out: how many are in *out, which has room for all. */
uint32_t report_order(const struct look *look, enum report_sort sort, uint32_t *out);

void report_text(const struct look *look, const struct report_wanted *wanted);
void report_json(const struct look *look, const struct report_wanted *wanted);

#endif
