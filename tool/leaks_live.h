/* allot leaks of what runs: a process that is asked, a command that looks at its end, and snapshots that were kept. */
#ifndef ALLOT_LEAKS_LIVE_H
#define ALLOT_LEAKS_LIVE_H

#include <stdbool.h>
#include <sys/types.h>

#include "leaks_print.h"

/* The file at `path` begins as a snapshot does. */
bool leaks_is_snapshot(const char *path);

/* Finds leaks and prints them: the exit status, `status` where there are any. -1 of the second: it could not be run. `trace`: of that
 * process, for its stacks (snapshot/recorded.h); or NULL. */
/* The first adds them only. False: it is complained. */
bool leaks_add_snapshot(struct leaks *leaks, const char *path, const char *trace, bool reachable);
int leaks_of_snapshot(struct leaks *leaks, struct leaks_wanted *print, const char *path, const char *trace, int status);
int leaks_of_process(struct leaks *leaks, struct leaks_wanted *print, pid_t pid, const char *trace, int status);
/* Of the program and all that it starts, as far as they pass exit: each looks then. `stacks`: each keeps those of its blocks. Where
 * nothing leaks the status is the program's. */
int leaks_of_command(struct leaks *leaks, struct leaks_wanted *print, char **argv, bool stacks, int status);

#endif
