/* allot report --view: one view of the report page, as text or as the page's own JSON. */
#ifndef ALLOT_TOOL_VIEW_H
#define ALLOT_TOOL_VIEW_H

#include <stdbool.h>

#include "page/text.h"

struct view_wanted {
    const char *view;   /* NULL: none is asked for */
    const char *output; /* of the page; NULL: none */
    struct replayed_advice advice;
    bool window;            /* some of the time only is asked for */
    bool replay, no_replay; /* on models: however long the trace is; or not at all */
    const char *snapshot;   /* what leaks is by that; NULL */
    const char *before;     /* an earlier run beside which this one is shown; NULL */
    bool json;
    enum measure by;
    size_t top;
};

/* A view's name; "all" is all of them. */
bool view_is(const char *name);

/* The exit status where the trace has no times, or no such process, and that is asked for: then it is complained; else 0. */
int report_misfit(const struct look *look, const struct profile_wanted *wanted, bool window);

/* The exit status; it is complained. */
int view_report(const char *path, const struct profile_wanted *profile, const struct view_wanted *wanted);

#endif
