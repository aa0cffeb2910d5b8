/* attach.h - asks a process that runs on allot's malloc to be recorded, or to be so no more. It is neither stopped nor sent a signal: it
 * hears of it when one of its threads is next on a slow path. By its control page when it shares one, else through its memory, which
 * the system may not allow where it allows the former. */
#ifndef ALLOT_TOOL_ATTACH_H
#define ALLOT_TOOL_ATTACH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "probe/request.h"

/* Where a process is asked: words that lie in its page, or in its memory. */
struct attach {
    int fd;
    bool page;
    uint64_t path_at, asked_at, answered_at, error_at;
    uint64_t asked;          /* with this number, last */
    char path[REQUEST_PATH]; /* for this area, last; as long as it stands there nobody else has asked since */
};

struct attach_answer {
    bool answered; /* a thread has heard of it; else one will, once it allocates or frees */
    bool
        taken; /* another recorder has asked since, or at the same time: it may be that one's now, and ours to end no more */
    int error; /* what came of it then: 0, or -errno as of recorder_join */
};

/* `area`: the path of the collector's, as that process finds it, for which there has to be room. 0, or -ESRCH: there is no such process;
 * -EACCES: it may not be looked into; -ENOENT: it does not run on allot's malloc, or shares no control page where that is the only
 * way; -EPROTO: on another version of it; or another -errno. */
int attach_open(pid_t pid, const char *area, struct attach *out);
void attach_close(struct attach *attach);

/* NULL: recording ends. Waits for an answer, but not for long. 0: it was asked; or -errno. */
int attach_ask(struct attach *attach, const char *area, struct attach_answer *answer);
/* What has come of it so far. */
int attach_look(const struct attach *attach, struct attach_answer *answer);

/* What is wrong, and what to do: for one of those, or for an answer's error. */
const char *attach_why(int error, bool answered);

#endif
