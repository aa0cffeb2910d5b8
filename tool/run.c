/* allot run - runs a program on allot's malloc and otherwise leaves it as it is.
 *
 * Without --stats this process becomes the program: one execve with the library first in LD_PRELOAD. With --stats it
 * stays as a stand-in (supervise.h); the library writes its figures, at the program's exit, into a memory file that
 * only this process holds open, reached as /proc/PID/fd/N, so that the program has no descriptor more than it would.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "launch.h"
#include "library.h"
#include "outfile.h"
#include "supervise.h"
#include "which.h"

static const char help[] = "usage: allot run [--stats] [--json] [-o FILE] [--share] [--guard] [--harden LEVEL]\n"
                           "                 [--] PROGRAM [ARGUMENT...]\n"
                           "\n"
                           "Runs PROGRAM on allot's malloc. Its input, output, signals and exit status are its own.\n"
                           "\n"
                           "  -s, --stats          when it has ended, print on standard error what its heap was like\n"
                           "  -j, --json           the same as one line of JSON\n"
                           "  -o, --output=FILE    the same into FILE, which is replaced as a whole\n"
                           "      --share          let allot stats look into it, and what it starts, while it runs\n"
                           "      --guard          put one block of many on pages of its own, where crimes show\n"
                           "      --harden=LEVEL   check every free: 1 at little cost, 2, or 3 for all there is\n"
                           "  -h, --help           this text\n"
                           "\n"
                           "Exit status: PROGRAM's; with --stats 128+N where signal N ended it; 127 where there is\n"
                           "no such program, 126 where it cannot be executed, 125 where allot itself fails.\n"
                           "\n"
                           "Examples:\n"
                           "  allot run -- python3 job.py\n"
                           "  allot run --stats -- sqlite3 my.db 'select count(*) from t'\n"
                           "  allot run --share -- redis-server          and then: allot stats redis-server\n"
                           "  allot run --harden 2 -- ./program          a crime ends it, after a line that names it\n"
                           "  allot run --json -o heap.json -- make -j8\n"
                           "  ALLOT_OPTIONS=stats=stderr allot run -- git gc    every process of it prints its own\n";

struct request {
    char **argv; /* the program's */
    bool stats;
    bool json;
    bool share;
    bool guard;
    const char *harden; /* its level; NULL: as ALLOT_OPTIONS has it */
    const char *output; /* NULL: standard error */

    char path[PATH_MAX];    /* the program's file */
    char options[PATH_MAX]; /* for the library, but for the program's own pid; "" without stats */
};

enum { OPTION_SHARE = 256, OPTION_GUARD, OPTION_HARDEN }; /* have no letter */

static bool parse(int argc, char **argv, struct request *out)
{
    static const struct option options[] = {
        {"stats", no_argument, NULL, 's'},          {"json", no_argument, NULL, 'j'},
        {"output", required_argument, NULL, 'o'},   {"share", no_argument, NULL, OPTION_SHARE},
        {"guard", no_argument, NULL, OPTION_GUARD}, {"harden", required_argument, NULL, OPTION_HARDEN},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0},
    };
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, "+:sjo:h", options, NULL)) != -1) {
        switch (option) {
        case 'j':
            out->json = true;
            break;
        case 'o':
            out->output = optarg;
            break;
        case 's':
            break;
        case OPTION_SHARE:
            out->share = true;
            continue;
        case OPTION_GUARD:
            out->guard = true;
            continue;
        case OPTION_HARDEN:
            if (!*optarg || optarg[1] || !strchr("0123", *optarg)) {
                complain("run: no level %s, after --harden, there are 0 to 3", optarg);
                return false;
            }
            out->harden = optarg;
            continue;
        case 'h':
            fputs(help, stdout);
            return true;
        default:
            complain_option("run", option, argv);
            return false;
        }
        out->stats = true;
    }
    if (optind == argc) {
        complain("run: no program, on the command line, see allot run --help");
        return false;
    }
    out->argv = argv + optind;
    return true;
}

/* Becomes the program; returns an errno when it could not. */
static int become(void *arg)
{
    struct request *request = arg;

    if (request->share) {
        library_option("share=on");
    }
    if (request->guard) {
        library_option("guard=on");
    }
    if (request->harden) {
        char option[] = "harden=0";
        option[sizeof option - 2] = *request->harden;
        library_option(option);
    }
    if (request->options[0]) {
        char *options;
        if (asprintf(&options, "%s,stats_pid=%d", request->options, (int)getpid()) < 0) {
            return ENOMEM;
        }
        library_option(options);
    }
    return launch_exec(request->path, request->argv);
}

/* Why the program left no figures. */
static void explain_none(const char *name, int status)
{
    if (WIFSIGNALED(status)) {
        complain("no statistics, %s was killed by signal %d (%s), only a program that exits leaves them", name,
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    } else {
        complain("no statistics, %s ended without passing exit (by _exit, or after exec of a program without allot), "
                 "only one that exits leaves them",
                 name);
    }
}

static int run_with_stats(struct request *request)
{
    struct supervised child;
    struct stat figures;
    int error = request->output ? outfile_check(request->output) : 0;

    if (error) {
        complain("cannot write, %s, %s", request->output, strerror(-error));
        return EXIT_OWN_FAILURE;
    }
    int fd = memfd_create("allot-stats", MFD_CLOEXEC);
    if (fd < 0) {
        complain("no memory file, for the statistics, %m");
        return EXIT_OWN_FAILURE;
    }
    snprintf(request->options, sizeof request->options, "stats=/proc/%d/fd/%d,stats_format=%s", (int)getpid(), fd,
             request->json ? "json" : "text");

    error = supervise(become, request, &child);
    if (error) {
        complain("no child process, for %s, %s", request->argv[0], strerror(-error));
        return EXIT_OWN_FAILURE;
    }
    if (child.error) {
        return launch_failed(request->argv[0], child.error);
    }

    int status = launch_status(child.status);
    if (fstat(fd, &figures) != 0 || figures.st_size == 0) {
        explain_none(request->argv[0], child.status);
        return status;
    }
    /* Standard error may be closed or gone: nobody wants to read it, so that is no failure. */
    error = request->output ? outfile_write(request->output, fd) : copy_whole(fd, STDERR_FILENO);
    if (error && request->output) {
        complain("cannot write, %s, %s; the program's status was %d", request->output, strerror(-error), status);
        return EXIT_OWN_FAILURE;
    }
    return status;
}

int command_run(int argc, char **argv)
{
    static struct request request;

    if (!parse(argc, argv, &request)) {
        return EXIT_OWN_FAILURE;
    }
    if (!request.argv) {
        return 0;
    }

    int error = which(request.argv[0], request.path);
    if (error) {
        return launch_failed(request.argv[0], error);
    }
    if (!launch_can_preload(request.path) || !library_preload(LIBRARY_MALLOC)) {
        return EXIT_OWN_FAILURE;
    }
    return request.stats ? run_with_stats(&request) : launch_failed(request.argv[0], become(&request));
}
