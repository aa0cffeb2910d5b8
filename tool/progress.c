/* See progress.h. */
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "progress.h"

void progress_show(const char *what)
{
    static bool shown;
    if (isatty(STDERR_FILENO) && (what || shown)) {
        fprintf(stderr, "\r\033[K%s%s", what ? "allot: " : "", what ? what : "");
        shown = what;
    }
}
