/* common/child.h - what a piece of code says and how it ends, seen from outside: run in a forked child. */
#ifndef COMMON_CHILD_H
#define COMMON_CHILD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct child_end {
    int status;      /* as of waitpid */
    char text[1024]; /* what it wrote on standard error */
};

static inline struct child_end child_run(void (*code)(void *), void *arg)
{
    struct child_end end = {0};
    int pipes[2];
    if (pipe(pipes) != 0) {
        abort();
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(pipes[1], STDERR_FILENO);
        close(pipes[0]);
        close(pipes[1]);
        signal(SIGABRT, SIG_DFL);
        code(arg);
        _exit(0);
    }
    close(pipes[1]);
    size_t used = 0;
    for (ssize_t n; (n = read(pipes[0], end.text + used, sizeof end.text - 1 - used)) > 0;) {
        used += (size_t)n;
    }
    close(pipes[0]);
    waitpid(pid, &end.status, 0);
    return end;
}

#endif
