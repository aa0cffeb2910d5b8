/* Whether a program can be run on a preloaded malloc, and if not, why. */
#ifndef ALLOT_TOOL_TARGET_H
#define ALLOT_TOOL_TARGET_H

#include <limits.h>

#include "program.h"

enum target_verdict {
    TARGET_FINE,         /* preloads work, or it is for the kernel to say what this file is */
    TARGET_SET_ID,       /* would run with a user or group other than the caller's own */
    TARGET_CAPABILITIES, /* would gain capabilities from its file */
    TARGET_STATIC,       /* has no loader */
    TARGET_FOREIGN,      /* is for another machine */
    TARGET_LOADER,       /* has the loader of another C library */
};

struct target {
    char path[PATH_MAX];       /* the file that is loaded: the program, or the one that runs the script it is */
    struct program program;    /* that file's headers */
    char own_loader[PATH_MAX]; /* the loader that allot's library is built for; "" where that cannot be told */
};

/* Looks at the program at `path`, or, where that is a script, at the interpreter that runs it. */
enum target_verdict target_judge(const char *path, struct target *out);

#endif
