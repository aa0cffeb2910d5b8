/* See leaks_live.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "launch.h"
#include "leaks_live.h"
#include "library.h"
#include "progress.h"
#include "scratch.h"
#include "snapshot/leaks.h"
#include "snapshot/request.h"
#include "supervise.h"
#include "which.h"
#include "words.h"

enum { NOT_RUN = 126 };

bool leaks_is_snapshot(const char *path)
{
    unsigned char head[8];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool is = fd >= 0 && read(fd, head, sizeof head) == (ssize_t)sizeof head && snapshot_is(head, sizeof head);
    if (fd >= 0) {
        close(fd);
    }
    return is;
}

/* All of one snapshot's, with stacks of a trace of that process; NULL: there is none. */
static bool add(struct leaks *leaks, const struct leaks_wanted *print, const char *path, const char *name,
                const char *trace, struct snapshot *s)
{
    struct snapshot_error error;
    if (!snapshot_open(s, path, &error)) {
        complain("%s: %s", name, error.line);
        return false;
    }
    struct recorded *recorded = trace ? recorded_read(trace, s) : NULL;
    bool read = recorded || !trace,
         done = read && snapshot_leaks(s, leaks, recorded, print->reachable) && snapshot_ways(s, leaks);
    if (read && !done) {
        complain("no memory to look into it, %s, have more memory", name);
    }
    recorded_end(recorded);
    if (!done) {
        snapshot_close(s);
    }
    return done;
}

static int print_all(struct leaks *leaks, struct leaks_wanted *print, const char *source, const char *note, int status)
{
    print->source = source;
    print->note = note;
    print->colour = words_colour();
    print->suppressions = true;
    leaks_print(leaks, print);
    return leaks_failed(leaks) > 0 ? status : 0;
}

static int of_file(struct leaks *leaks, struct leaks_wanted *print, const char *path, const char *name,
                   const char *trace, int status)
{
    struct snapshot s;
    char source[64];
    if (!add(leaks, print, path, name, trace, &s)) {
        return 1;
    }
    snprintf(source, sizeof source, "process %d", s.header.pid);
    status = print_all(leaks, print, source, snapshot_note(&s), status);
    snapshot_close(&s);
    return status;
}

bool leaks_add_snapshot(struct leaks *leaks, const char *path, const char *trace, bool reachable)
{
    struct snapshot s;
    struct leaks_wanted wanted = {.reachable = reachable};
    if (!add(leaks, &wanted, path, path, trace, &s)) {
        return false;
    }
    snapshot_close(&s);
    return true;
}

int leaks_of_snapshot(struct leaks *leaks, struct leaks_wanted *print, const char *path, const char *trace, int status)
{
    return of_file(leaks, print, path, path, trace, status);
}

int leaks_of_process(struct leaks *leaks, struct leaks_wanted *print, pid_t pid, const char *trace, int status)
{
    int fd;
    char path[32];
    if (!snapshot_request(pid, &fd, progress_show)) {
        return 1;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return of_file(leaks, print, path, "snapshot", trace, status);
}

/* -- a command -- */

struct starting {
    char program[PATH_MAX];
    char **argv;
    char options[PATH_MAX + 64];
};

static int become(void *arg)
{
    struct starting *s = arg;
    library_option(s->options);
    return launch_exec(s->program, s->argv);
}

/* Reads what each process has left, and removes it. How many; -1: one could not be read. */
static int add_folder(struct leaks *leaks, const struct leaks_wanted *print, const char *folder)
{
    DIR *all = opendir(folder);
    int count = 0;
    for (const struct dirent *entry; all && (entry = readdir(all)) != NULL;) {
        char path[PATH_MAX + 300];
        struct snapshot s;
        if (entry->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        bool added = count >= 0 && add(leaks, print, path, entry->d_name, NULL, &s);
        if (added) {
            snapshot_close(&s);
        }
        count = added ? count + 1 : -1;
        unlink(path);
    }
    if (all) {
        closedir(all);
    }
    rmdir(folder);
    return count;
}

int leaks_of_command(struct leaks *leaks, struct leaks_wanted *print, char **argv, bool stacks, int status)
{
    static struct starting s;
    struct supervised child;
    char folder[PATH_MAX];
    s.argv = argv;
    int error = which(argv[0], s.program);
    if (error) {
        complain("cannot run it: %s, %s, check the name and PATH", strerror(error), argv[0]);
        return NOT_RUN;
    }
    if (!library_preload(LIBRARY_MALLOC)) {
        return NOT_RUN;
    }
    if (!scratch_folder(folder)) {
        complain("no folder for what is found: %s, %s, set TMPDIR to another", strerror(errno), folder);
        return NOT_RUN;
    }
    const char *given = getenv("ALLOT_OPTIONS");
    stacks = stacks && !(given && strstr(given, "harden=")); /* a hardened process keeps none */
    snprintf(s.options, sizeof s.options, "leaks=exit,leaks_file=%s/%%p%s", folder, stacks ? ",sites=1" : "");
    error = supervise(become, &s, &child);
    if (error || child.error) {
        complain("cannot run it: %s, %s, check what file it is", strerror(error ? -error : child.error), argv[0]);
        rmdir(folder);
        return NOT_RUN;
    }
    int ended = WIFSIGNALED(child.status) ? 128 + WTERMSIG(child.status) : WEXITSTATUS(child.status);
    int count = add_folder(leaks, print, folder);
    if (count <= 0) {
        if (count == 0) {
            complain("nothing is known of leaks, %s has not passed exit (a signal, _exit, a static program), only one "
                     "that does looks then",
                     argv[0]);
        }
        return ended ? ended : 1;
    }
    char source[PATH_MAX];
    snprintf(source, sizeof source, count > 1 ? "%.200s and what it started" : "%.200s", argv[0]);
    int found = print_all(leaks, print, source, NULL, status);
    return found ? found : ended;
}
