/* reach.h - a file of ours that another process can open by a path, wherever and whoever it is. */
#ifndef ALLOT_TOOL_REACH_H
#define ALLOT_TOOL_REACH_H

#include <stdbool.h>
#include <sys/types.h>

struct reach {
    int fd;        /* 0: there is none */
    char path[64]; /* as the process finds it, in its own tree of files */
    int folder;    /* there, as we do; 0: it has no name any more */
    char name[48]; /* and how it is called in it */
};

/* Whether a process can open what is under our process's folder in /proc: it sees the same files and processes, and is the same user. */
bool reach_is_near(pid_t pid);

/* An empty file that belongs to it, in its /dev/shm or its /tmp: for what is to be mapped rather in the former, else in the latter. Its
 * name begins with `kind`. 0 or -errno. */
int reach_make(pid_t pid, const char *kind, bool to_be_mapped, struct reach *out);

/* The file has no name any more. May be called again, and of what is all zero. */
void reach_remove(struct reach *reach);

#endif
