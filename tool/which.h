/* Where a command is. */
#ifndef ALLOT_TOOL_WHICH_H
#define ALLOT_TOOL_WHICH_H

#include <limits.h>

/* Finds the file that a shell would run for `name`: itself if it has a slash, else the first of that name on PATH that
 * may be executed. Returns 0, or the errno that says why not: ENOENT when there is no such file. */
int which(const char *name, char out[PATH_MAX]);

#endif
