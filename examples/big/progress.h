/* progress.h - a bar on the terminal, for what takes a while; nothing where standard error is none. */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct progress {
    const char *what;
    uint64_t total, due; /* due: when it is drawn next, in milliseconds */
};

static inline void progress_draw(const struct progress *p, uint64_t done)
{
    enum { WIDTH = 40 };
    int full = p->total ? (int)(done * WIDTH / p->total) : WIDTH;
    char bar[WIDTH + 1];
    memset(bar, '.', WIDTH);
    memset(bar, '#', (size_t)full);
    bar[WIDTH] = 0;
    fprintf(stderr, "\r%-10s [%s] %3d %%%s", p->what, bar, p->total ? (int)(done * 100 / p->total) : 100,
            done == p->total ? "\n" : "");
}

/* So much is done: drawn ten times a second, and at the end. */
static inline void progress_is(struct progress *p, uint64_t done)
{
    struct timespec now;
    if (!isatty(STDERR_FILENO)) {
        return;
    }
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    if (ms >= p->due || done == p->total) {
        p->due = ms + 100;
        progress_draw(p, done);
    }
}

#endif
