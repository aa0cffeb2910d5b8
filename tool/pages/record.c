/* See record.h. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "launch.h"
#include "pages/record.h"
#include "supervise.h"
#include "which.h"

/* What this process writes behind all that the program has: whoever else holds the pipe, this is its end. */
#define END "==0== the end of it"

struct recording {
    char **argv; /* valgrind's */
    char valgrind[PATH_MAX];
    int from, to;
    struct refs *refs;
    const struct refs_wanted *wanted;
    const char *name;
    bool read;
    struct trace_error error;
};

static int become_valgrind(void *arg)
{
    const struct recording *r = arg;
    return launch_exec(r->valgrind, r->argv);
}

static void *read_pipe(void *arg)
{
    struct recording *r = arg;
    r->read = refs_read(r->refs, r->from, r->name, r->wanted, &r->error);
    close(r->from); /* where it could not be read to its end nobody is to wait for that */
    return NULL;
}

/* The program runs while a thread reads, which signals pass by. The exit status. */
static int run(struct recording *r)
{
    struct supervised child;
    sigset_t all, mask;
    pthread_t reader;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &mask);
    int error = pthread_create(&reader, NULL, read_pipe, r);
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
    if (error) {
        complain("no thread, for %s, %s", r->name, strerror(error));
        close(r->from);
        return EXIT_OWN_FAILURE;
    }
    error = supervise(become_valgrind, r, &child);
    ssize_t written = write(r->to, END "\n", sizeof END);
    (void)written;
    pthread_join(reader, NULL);
    if (error || child.error) {
        complain("no child process, for %s, %s", r->name, strerror(error ? -error : child.error));
        return EXIT_OWN_FAILURE;
    }
    int status = launch_status(child.status);
    if (!r->read) {
        complain("%s", r->error.line);
        return status ? status : EXIT_OWN_FAILURE;
    }
    if (status) {
        complain("the program's status was %d, %s, what it referred to until then is replayed", status, r->name);
    }
    return 0;
}

/* valgrind's command line, with the program's behind it; NULL: out of memory. */
static char **words_of(char **argv, int to, char log[32])
{
    static const char *const first[] = {
        "valgrind", "-q", "--tool=lackey", "--basic-counts=no", "--trace-mem=yes", "--child-silent-after-fork=yes"};
    enum { FIRST = sizeof first / sizeof first[0] };
    size_t count = 0;
    while (argv[count]) {
        count++;
    }
    char **words = calloc(FIRST + count + 3, sizeof *words);
    if (words) {
        snprintf(log, 32, "--log-fd=%d", to);
        memcpy(words, first, sizeof first);
        words[FIRST] = log;
        words[FIRST + 1] = (char *)"--";
        memcpy(words + FIRST + 2, argv, count * sizeof *words);
    }
    return words;
}

int record_refs(struct refs *refs, char **argv, const struct refs_wanted *wanted)
{
    struct refs_wanted with = *wanted;
    struct recording r = {.refs = refs, .wanted = &with, .name = argv[0]};
    char log[32], program[PATH_MAX];
    int ends[2], error = which(argv[0], program);
    if (error) {
        return launch_failed(argv[0], error);
    }
    if (which("valgrind", r.valgrind) != 0) {
        complain("no valgrind, for %s, it records references: install valgrind, or give a trace of them", argv[0]);
        return EXIT_OWN_FAILURE;
    }
    with.format = REFS_LACKEY;
    with.until = END;
    if (pipe2(ends, O_CLOEXEC) != 0) {
        complain("no pipe, for %s, %m", argv[0]);
        return EXIT_OWN_FAILURE;
    }
    fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
    int theirs = fcntl(ends[1], F_DUPFD, 0); /* the program inherits it, valgrind keeps it away from there */
    r.from = ends[0];
    r.to = ends[1];
    r.argv = words_of(argv, theirs, log);
    int status = EXIT_OWN_FAILURE;
    if (theirs < 0 || !r.argv) {
        complain("no recording, of %s, %m", argv[0]);
        close(r.from);
    } else {
        status = run(&r);
    }
    free(r.argv);
    close(theirs);
    close(r.to);
    return status;
}
