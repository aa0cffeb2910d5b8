/* check.c - how a broken CHECK reports. */
#include "check.h"

#include <signal.h>

char check_run[128];
char check_context[256];

static void print(const char *text)
{
    ssize_t written = write(STDERR_FILENO, text, strlen(text));
    (void)written;
}

static void print_contexts(void)
{
    char text[sizeof check_run + sizeof check_context + 16];
    snprintf(text, sizeof text, "  in %s, %s\n", check_run, check_context);
    print(text);
}

_Noreturn void check_failed(const char *file, int line, const char *condition)
{
    char text[512];
    snprintf(text, sizeof text, "%s:%d: broken: %s\n", file, line, condition);
    print(text);
    print_contexts();
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void aborted(int number)
{
    (void)number;
    print_contexts();
}

void check_watch_aborts(void) { signal(SIGABRT, aborted); }

unsigned test_scale(void)
{
    const char *text = getenv("TEST_SCALE");
    long scale = text ? strtol(text, NULL, 10) : 1;
    return scale > 1 ? (unsigned)scale : 1;
}
