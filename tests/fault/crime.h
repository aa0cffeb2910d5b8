/* crime.h - commits a crime in a child: what it said on standard error, and how it ended. After common/check.h. */
#ifndef TESTS_FAULT_CRIME_H
#define TESTS_FAULT_CRIME_H

#include <sys/resource.h>
#include <sys/wait.h>

/* The sanitizers leave bad accesses to the program. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);
const char *__ubsan_default_options(void);
const char *__asan_default_options(void) { return "handle_segv=0"; }
const char *__tsan_default_options(void) { return "handle_segv=0"; }
const char *__ubsan_default_options(void) { return "handle_segv=0"; }

struct end {
    int status;       /* as of waitpid */
    char text[16384]; /* all of it */
};

static struct end commit_in_child(void (*crime)(void))
{
    struct end end = {0};
    int ends[2];
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        dup2(ends[1], STDERR_FILENO);
        crime();
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t n;
    while ((n = read(ends[0], end.text + length, sizeof end.text - 1 - length)) > 0)
        length += (size_t)n;
    close(ends[0]);
    CHECK(waitpid(child, &end.status, 0) == child);
    return end;
}

/* The first line is `expected`; the stack of the crime follows it; a signal ended it, one of two. */
static void check_end(const struct end *end, const char *expected, int signal, int other)
{
    size_t first = strcspn(end->text, "\n");
    snprintf(check_context, sizeof check_context, "said \"%.120s\", expected \"%s\"", end->text, expected);
    CHECK(first == strlen(expected) && strncmp(end->text, expected, first) == 0);
    CHECK(strstr(end->text, "\nallot:   here, by thread ") != NULL);
    CHECK(WIFSIGNALED(end->status) && (WTERMSIG(end->status) == signal || WTERMSIG(end->status) == other));
}

#endif
