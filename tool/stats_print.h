/* A control page on standard output, as text and as JSON. */
#ifndef ALLOT_TOOL_STATS_PRINT_H
#define ALLOT_TOOL_STATS_PRINT_H

#include <stdbool.h>
#include <sys/types.h>

#include "control.h"

/* Which tables: none is all of them. */
struct stats_tables_wanted {
    bool classes, heaps, tags;
};
static inline bool stats_some(const struct stats_tables_wanted *wanted)
{
    return wanted->classes || wanted->heaps || wanted->tags;
}

/* Those that hold most first. */
void stats_sort(struct allot_control_tables *tables);

/* All of it, or the tables wanted. `fresh`: they are of now. */
void stats_show(const struct stats_tables_wanted *wanted, pid_t pid, const struct allot_control *page, bool fresh);

/* A line of sums; and one of a list of processes. Above the first stands a heading. */
void stats_show_line(const struct allot_control *page, bool fresh, bool first);
void stats_show_listed(pid_t pid, const struct allot_control *page, bool first);

/* An object without the end of its line; `wanted` NULL: no tables. */
void stats_json(const struct stats_tables_wanted *wanted, pid_t pid, const struct allot_control *page, bool fresh);

#endif
