/* A trace read to its end, in figures and with names: what report, check, diff and leaks begin with. */
#ifndef ALLOT_TOOL_LOOK_H
#define ALLOT_TOOL_LOOK_H

#include "profile/names.h"
#include "profile/profile.h"

struct look {
    const char *path;
    struct trace *trace;
    struct profile *profile;
    struct symbols *symbols;
    struct names *names;
    struct group *group; /* sites by place */
    uint32_t groups;
    uint32_t *group_of_site;
};

/* Says how far it is on a terminal, once it takes over a second. False: it is complained. */
bool look_at(struct look *look, const char *path, const struct profile_wanted *wanted);
void look_end(struct look *look);

/* Says how far reading is; NULL: this is no terminal. And takes that away again. */
trace_progress *look_progress(const char *path);
void look_progress_end(void);
/* Likewise for who reads the trace of `look` again, and is at that event. */
void look_again(const struct look *look, const struct trace *trace, uint64_t event);

/* Its site's place and who called it, innermost first; `most` at most. How many; the first is the place. */
size_t look_callers(const struct look *look, uint32_t site, struct symbol_frame *out, size_t most);

#endif
