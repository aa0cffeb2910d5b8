/* heap/options.h - what may be set at run time: ALLOT_OPTIONS=name=value,... or allot_option(name, value). */
#ifndef HEAP_OPTIONS_H
#define HEAP_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct options {
    char stats[256];        /* where statistics go at exit: a file to append to, "stderr", or "" for nowhere */
    bool stats_json;        /* as a line of JSON, not as text */
    long stats_pid;         /* only by the process of this id; 0: by each */
    char sample_write[256]; /* where the profile goes at exit, or ""; and in which process that was said */
    int sample_pid;
    size_t sample; /* from the start on */
    bool sites;

    /* With stats=stderr: standard error as it was then, and a copy of its descriptor. Many programs have closed it by the time
     * the statistics are due, and its number may be another file's. */
    struct stat stderr_then;
    int stderr_kept;
};

extern struct options options;

/* Reads ALLOT_OPTIONS. What cannot be read is named on standard error, and stays as it was. */
void options_init(void);

#endif
