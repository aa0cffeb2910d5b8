/* check.c - how a broken CHECK reports. */
#include "check.h"

char check_run[128];
char check_context[256];

_Noreturn void check_failed(const char *file, int line, const char *condition)
{
    char text[768];
    int n = snprintf(text, sizeof text, "%s:%d: broken: %s\n  in %s, %s\n", file, line, condition, check_run,
                     check_context);
    if (n > (int)sizeof text)
        n = sizeof text;
    ssize_t written = write(STDERR_FILENO, text, (size_t)n);
    (void)written;
    abort();
}

unsigned test_scale(void)
{
    const char *text = getenv("TEST_SCALE");
    long scale = text ? strtol(text, NULL, 10) : 1;
    return scale > 1 ? (unsigned)scale : 1;
}
