/* See progress.h. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "progress.h"

static struct {
    struct timespec began;
    bool on, shown;
    unsigned last;
} progress;

void progress_show(const char *what)
{
    if (isatty(STDERR_FILENO) && (what || progress.shown)) {
        fprintf(stderr, "\r\033[K%s%s", what ? "allot: " : "", what ? what : "");
        progress.shown = what;
    }
}

void progress_begin(void)
{
    progress.on = isatty(STDERR_FILENO);
    progress.last = 0;
    clock_gettime(CLOCK_MONOTONIC, &progress.began);
}

bool progress_shows(void) { return progress.on; }

unsigned progress_due(void)
{
    struct timespec now;
    if (!progress.on) {
        return 0;
    }
    clock_gettime(CLOCK_MONOTONIC, &now);
    unsigned tenths = (unsigned)((now.tv_sec - progress.began.tv_sec) * 10 + now.tv_nsec / 100000000 -
                                 progress.began.tv_nsec / 100000000);
    if (tenths < 10 || tenths == progress.last) {
        return 0;
    }
    progress.last = tenths;
    progress.shown = true;
    fputs("\r\033[K", stderr);
    return tenths;
}

void progress_end(void) { progress_show(NULL); }
