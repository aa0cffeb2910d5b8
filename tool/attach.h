/* attach.h - asks a process that runs on allot's malloc to be recorded, or to be so no more. It is neither stopped nor sent a signal: it
 * hears of it when one of its threads is next on a slow path. By its control page when it shares one, else through its memory, which
 * the system may not allow where it allows the former. */
#ifndef ALLOT_TOOL_ATTACH_H
#define ALLOT_TOOL_ATTACH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct attach_answer {
    bool answered; /* a thread has heard of it; else one will, once it allocates or frees */
    int error;     /* what came of it then: 0, or -errno as of recorder_join */
};

/* `area`: the path of the collector's, as that process finds it; NULL: recording ends. Waits for an answer, but not for long. 0: it was
 * asked; -ESRCH: there is no such process; -EACCES: it may not be looked into; -ENOENT: it does not run on allot's malloc, or shares
 * no control page where that is the only way; -EPROTO: on another version of it; or another -errno. */
int attach_ask(pid_t pid, const char *area, struct attach_answer *answer);

/* What is wrong, and what to do: for one of those, or for an answer's error. */
const char *attach_why(int error, bool answered);

#endif
