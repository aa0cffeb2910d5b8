/* allot compare of a program: it is recorded by allot record, as anybody would, into a file that nobody has to remove. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "compare.h"
#include "launch.h"
#include "supervise.h"

static int become_recorder(void *arg)
{
    const struct compare_program *p = arg;
    size_t count = 0, at = 0;
    while (p->argv[count]) {
        count++;
    }
    const char **argv = calloc(count + 9, sizeof *argv);
    if (!argv) {
        return ENOMEM;
    }
    argv[at++] = "allot";
    argv[at++] = "record";
    argv[at++] = "--quiet";
    argv[at++] = "--lossless";
    if (!p->stacks) {
        argv[at++] = "--no-stacks";
    }
    argv[at++] = "--output";
    argv[at++] = p->path;
    argv[at++] = "--";
    memcpy(argv + at, p->argv, count * sizeof *argv);
    return launch_exec("/proc/self/exe", (char **)argv);
}

/* The exit status; 0: there is a trace. */
static int run(struct compare_program *p)
{
    struct supervised child;
    struct stat is;
    int error = supervise(become_recorder, p, &child);
    if (error || child.error) {
        complain("no child process, for %s, %s", p->argv[0], strerror(error ? -error : child.error));
        return EXIT_OWN_FAILURE;
    }
    int status = launch_status(child.status);
    if (stat(p->path, &is) != 0 || is.st_size == 0) { /* it has been said why */
        return status ? status : EXIT_OWN_FAILURE;
    }
    if (status) {
        complain("the program's status was %d, %s, what it did until then is compared", status, p->argv[0]);
    }
    return 0;
}

/* From here on the file has no name: whatever ends this process, it is gone. */
static int unname(struct compare_program *p)
{
    int fd = open(p->path, O_RDONLY | O_CLOEXEC);
    unlink(p->path);
    if (fd < 0) {
        complain("cannot be read, %s, %m", p->path);
        return EXIT_OWN_FAILURE;
    }
    snprintf(p->path, sizeof p->path, "/proc/self/fd/%d", fd);
    return 0;
}

int compare_record(struct compare_program *p)
{
    const char *folder = getenv("TMPDIR");
    if (p->keep) {
        snprintf(p->path, sizeof p->path, "%s", p->keep);
        return run(p);
    }
    snprintf(p->path, sizeof p->path, "%.4000s/allot-compare-XXXXXX", folder && *folder ? folder : "/tmp");
    int fd = mkstemp(p->path);
    if (fd < 0) {
        complain("no file for the recording, %s, %m: set TMPDIR to another folder", p->path);
        return EXIT_OWN_FAILURE;
    }
    close(fd);
    int status = run(p);
    if (status) {
        unlink(p->path);
    }
    return status ? status : unname(p);
}
