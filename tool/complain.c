/* The one way the command speaks of trouble: a single line, written in one piece. */
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "command.h"

void complain(const char *format, ...)
{
    static const char prefix[] = "allot: ";
    const size_t start = sizeof prefix - 1;
    char line[4 * PATH_MAX];
    int kept = errno;

    int length = snprintf(line, sizeof line, "%s", prefix);
    va_list args;
    va_start(args, format);
    length += vsnprintf(line + start, sizeof line - start - 1, format, args);
    va_end(args);
    size_t end = (size_t)length < sizeof line - 2 ? (size_t)length : sizeof line - 2;
    for (size_t i = start; i < end; i++) {
        unsigned char c = line[i];
        if (c < ' ' || c == 0x7f) {
            line[i] = '?';
        }
    }
    line[end++] = '\n';
    /* Where standard error cannot be written there is nobody left to tell. */
    ssize_t written = write(STDERR_FILENO, line, end);
    (void)written;
    errno = kept;
}
