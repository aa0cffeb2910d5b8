/* allot stats - what the heap of a running process is like, read from its control page (control.h); and who shares one. */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "control.h"
#include "stats_print.h"
#include "words.h"

static const char help[] = "usage: allot stats [--json]\n"
                           "       allot stats [OPTION...] PID|NAME\n"
                           "\n"
                           "Without a process: lists those that share their statistics. Else shows what the heap of\n"
                           "that one is like, which it must share: started with ALLOT_OPTIONS=share=on, or by\n"
                           "allot run --share.\n"
                           "\n"
                           "  -c, --classes        of the tables only size classes,\n"
                           "  -t, --heaps          heaps, one for each thread that allocates much,\n"
                           "  -g, --tags           or tags\n"
                           "  -e, --every=SECONDS  again and again, a line each time or such tables, until it ends\n"
                           "  -j, --json           a line of JSON each time\n"
                           "  -h, --help           this text\n"
                           "\n"
                           "Exit status: 0; 1 where there is nothing to show; 2 for wrong usage.\n"
                           "\n"
                           "Examples:\n"
                           "  allot stats                          who shares\n"
                           "  allot stats redis-server             all about one\n"
                           "  allot stats --every 1 4711           how it goes on\n"
                           "  allot stats --json --tags 4711       for a machine to read\n";

struct request {
    struct stats_tables_wanted tables;
    bool json;
    double every; /* seconds; 0: once */
    const char *process;
};

/* -- which process -- */

/* Calls `visit` for each process that shares and that the caller may look into. */
static void each_sharing(void (*visit)(pid_t pid, int fd, void *arg), void *arg)
{
    DIR *folder = opendir("/proc");
    for (const struct dirent *entry; folder && (entry = readdir(folder));) {
        pid_t pid = atoi(entry->d_name);
        int fd = pid > 0 ? control_open(pid) : -1;
        if (fd >= 0) {
            visit(pid, fd, arg);
            close(fd);
        }
    }
    if (folder) {
        closedir(folder);
    }
}

struct search {
    const char *name;
    pid_t found[8];
    size_t count;
};

static void compare_name(pid_t pid, int fd, void *arg)
{
    (void)fd;
    struct search *s = arg;
    char name[64];
    control_process_name(pid, name);
    if (strcmp(name, s->name) == 0) {
        if (s->count < sizeof s->found / sizeof s->found[0]) {
            s->found[s->count] = pid;
        }
        s->count++;
    }
}

/* The id that a word means; 0, and it is said why, when it means none. */
static pid_t find(const char *process)
{
    uint64_t pid;
    if (words_read_number(process, INT32_MAX, &pid) && pid > 0) {
        return (pid_t)pid;
    }
    struct search s = {.name = process};
    each_sharing(compare_name, &s);
    if (s.count == 0) {
        complain("no process of that name shares its statistics, %s, see allot stats for those that do", process);
    } else if (s.count > 1) {
        complain("%zu processes have that name, %s, choose one by its number: %d or %d%s", s.count, process,
                 (int)s.found[0], (int)s.found[1], s.count > 2 ? " or another of allot stats" : "");
    }
    return s.count == 1 ? s.found[0] : 0;
}

static void cannot(pid_t pid, int error)
{
    switch (error) {
    case ESRCH:
        complain("no such process, %d, see allot stats for those that share their statistics", (int)pid);
        return;
    case ENOENT:
        complain("process does not share its statistics, %d, start it with ALLOT_OPTIONS=share=on or allot run --share",
                 (int)pid);
        return;
    case EACCES:
    case EPERM:
        complain("not allowed to look into the process, %d, be its user or root", (int)pid);
        return;
    case EPROTO:
        complain("process has another version of allot, %d, use that one's command", (int)pid);
        return;
    case EAGAIN:
        complain("process stopped while it wrote its statistics, %d, try again when it goes on", (int)pid);
        return;
    default:
        complain("cannot read the process's statistics, %d, %s", (int)pid, strerror(error));
    }
}

/* -- the command -- */

static bool print(const struct request *r, pid_t pid, bool first)
{
    static struct allot_control page;
    bool line = r->every > 0 && !stats_some(&r->tables) && !r->json, fresh = false;
    int fd = control_open(pid);
    int error = fd < 0 ? fd : control_ask_and_read(fd, &page, &fresh);
    if (fd >= 0) {
        close(fd);
    }
    if (error < 0) {
        if (first || (error != -ESRCH && error != -ENOENT)) {
            cannot(pid, -error);
        }
        return false;
    }
    stats_sort(&page.tables);
    if (fresh && page.now.peak < page.tables.live) { /* it is told of the sum by and by */
        page.now.peak = page.tables.live;
    }
    if (line) {
        stats_show_line(&page, fresh, first);
    } else if (r->json) {
        stats_json(&r->tables, pid, &page, fresh);
        putchar('\n');
    } else {
        printf(first ? "" : "\n");
        stats_show(&r->tables, pid, &page, fresh);
    }
    return fflush(stdout) == 0;
}

static void wait_seconds(double seconds)
{
    struct timespec left = {(time_t)seconds, (long)((seconds - (double)(time_t)seconds) * 1e9)};
    nanosleep(&left, NULL);
}

struct listing {
    bool json;
    size_t count;
};

static void list_one(pid_t pid, int fd, void *arg)
{
    static struct allot_control page;
    struct listing *l = arg;
    if (control_read(fd, &page) != 0) {
        return;
    }
    if (l->json) {
        printf(l->count ? "," : "");
        stats_json(NULL, pid, &page, false);
    } else {
        stats_show_listed(pid, &page, l->count == 0);
    }
    l->count++;
}

static int list(const struct request *r)
{
    struct listing l = {.json = r->json};
    printf(r->json ? "[" : "");
    each_sharing(list_one, &l);
    printf(r->json ? "]\n" : "");
    if (l.count == 0 && !r->json) {
        complain("nobody shares statistics, in any process of yours, start one with ALLOT_OPTIONS=share=on or "
                 "allot run --share");
        return 1;
    }
    return 0;
}

static bool parse(int argc, char **argv, struct request *out)
{
    static const struct option options[] = {
        {"classes", no_argument, NULL, 'c'},
        {"heaps", no_argument, NULL, 't'},
        {"tags", no_argument, NULL, 'g'},
        {"every", required_argument, NULL, 'e'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    char *end;
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, ":ctge:jh", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            out->tables.classes = true;
            break;
        case 't':
            out->tables.heaps = true;
            break;
        case 'g':
            out->tables.tags = true;
            break;
        case 'j':
            out->json = true;
            break;
        case 'e':
            out->every = strtod(optarg, &end);
            if (!*optarg || *end || !(out->every >= 0.01 && out->every <= 1e6)) {
                complain("stats: --every %s, on the command line, takes seconds from 0.01 on", optarg);
                return false;
            }
            break;
        case 'h':
            fputs(help, stdout);
            exit(0);
        default:
            complain_option("stats", option, argv);
            return false;
        }
    }
    if (argc - optind > 1) {
        complain("stats: more than one process, on the command line, name one");
        return false;
    }
    out->process = argv[optind];
    if (!out->process && (out->every > 0 || stats_some(&out->tables))) {
        complain("stats: no process, on the command line, name one of those that allot stats lists");
        return false;
    }
    return true;
}

int command_stats(int argc, char **argv)
{
    struct request request = {0};

    if (!parse(argc, argv, &request)) {
        return EXIT_USAGE;
    }
    if (!request.process) {
        return list(&request);
    }
    pid_t pid = find(request.process);
    if (pid == 0 || !print(&request, pid, true)) {
        return 1;
    }
    while (request.every > 0) {
        wait_seconds(request.every);
        if (!print(&request, pid, false)) {
            break;
        }
    }
    return 0;
}
