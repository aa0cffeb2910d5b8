/* See real.h.
 *
 *   this process: | two memory files: figures, and what it prints |---- fork, exec ----> allot-replay with LD_PRELOAD=that malloc
 *
 * Figures are there as far as they go, whatever ends the other process: so a crash can be told with how far it came.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "library.h"
#include "program.h"
#include "replay/real.h"
#include "words.h"

#define REPLAYER "allot/allot-replay"
#define LOOK_MS  100
#define HANGS_S  60 /* without a step, and without processor time */

extern char **environ;

struct run {
    const struct real_watch *watch;
    const char *name;
    char path[PATH_MAX];
    enum replayer_mode mode;
    struct replayer_result *result; /* shared */
    int figures, printed;
    char replayer[PATH_MAX];
    char preload[PATH_MAX + 16];
    char **environment;
};

/* A plain line out of what was printed: no control characters, no more than fits. */
static void first_line(int fd, char *out, size_t room)
{
    ssize_t got = pread(fd, out, room - 1, 0);
    out[got > 0 ? got : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    for (char *c = out; *c; c++) {
        *c = *c < ' ' || *c > '~' ? '?' : *c;
    }
}

static bool say(char failed[160], const char *what, const char *more)
{
    snprintf(failed, 160, "%.100s%s%.55s", what, *more ? ": " : "", more);
    return false;
}

/* What can be known without trying. */
static bool can_load(const char *given, const char *path, char failed[160])
{
    struct program library;
    if (!*path) {
        return say(failed, strerror(errno), given);
    }
    if (strpbrk(path, ": ")) {
        return say(failed, "a path with a blank or colon cannot be preloaded", path);
    }
    program_read(path, &library);
    if (library.kind == PROGRAM_FOREIGN) {
        return say(failed, "made for another machine than this", path);
    }
    return library.kind == PROGRAM_STATIC || library.kind == PROGRAM_DYNAMIC || say(failed, "no shared library", path);
}

/* This process's, with another LD_PRELOAD. */
static char **make_environment(struct run *run)
{
    size_t count = 0, at = 0;
    while (environ[count]) {
        count++;
    }
    char **out = calloc(count + 2, sizeof *out);
    for (size_t i = 0; out && i < count; i++) {
        if (strncmp(environ[i], "LD_PRELOAD=", 11) != 0) {
            out[at++] = environ[i];
        }
    }
    if (out && *run->path) {
        snprintf(run->preload, sizeof run->preload, "LD_PRELOAD=%s", run->path);
        out[at] = run->preload;
    }
    return out;
}

static void become(const struct run *run, const struct script *script, pid_t parent)
{
    char words[3][16];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) {
        _exit(1);
    }
    setrlimit(RLIMIT_CORE, &(struct rlimit){0});
    /* Out of the way of the standard ones, which may have been closed. */
    int steps = fcntl(script->fd, F_DUPFD, 3), figures = fcntl(run->figures, F_DUPFD, 3);
    int printed = fcntl(run->printed, F_DUPFD_CLOEXEC, 3), null = open("/dev/null", O_RDWR);
    if (steps < 0 || figures < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(printed, STDOUT_FILENO) < 0 ||
        dup2(printed, STDERR_FILENO) < 0) {
        _exit(1);
    }
    snprintf(words[0], sizeof words[0], "%d", steps);
    snprintf(words[1], sizeof words[1], "%d", figures);
    snprintf(words[2], sizeof words[2], "%d", (int)run->mode);
    char *argv[] = {(char *)"allot-replay", words[0], words[1], words[2], (char *)run->path, NULL};
    execve(run->replayer, argv, run->environment);
    dprintf(STDERR_FILENO, "cannot execute %s: %s", run->replayer, strerror(errno));
    _exit(1);
}

static uint64_t processor_time(pid_t pid)
{
    clockid_t clock;
    struct timespec now = {0};
    if (clock_getcpuclockid(pid, &clock) == 0) {
        clock_gettime(clock, &now);
    }
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Its status, as waitpid has it. *hung: it was killed, as nothing went on. */
static int wait_for(const struct run *run, pid_t pid, bool *hung)
{
    int process = (int)syscall(SYS_pidfd_open, pid, 0), status;
    struct pollfd wait = {.fd = process, .events = POLLIN};
    uint64_t steps = 0, used = 0;
    time_t moved = time(NULL);
    *hung = false;
    while (process >= 0 && poll(&wait, 1, LOOK_MS) == 0) {
        uint64_t done = __atomic_load_n(&run->result->steps, __ATOMIC_RELAXED), using = processor_time(pid);
        if (run->watch && run->watch->progress) {
            run->watch->progress(run->watch->arg, run->name, done, run->watch->of);
        }
        if (done != steps || using != used) {
            moved = time(NULL);
        } else if (time(NULL) - moved > HANGS_S) {
            kill(pid, SIGKILL);
            *hung = true;
        }
        steps = done;
        used = using;
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        ;
    }
    if (process >= 0) {
        close(process);
    }
    return status;
}

static bool judge(const struct run *run, int status, bool hung, char failed[160])
{
    char printed[100];
    struct replayer_result *result = run->result;
    first_line(run->printed, printed, sizeof printed);
    result->trouble[sizeof result->trouble - 1] = '\0';
    result->version[sizeof result->version - 1] = '\0';
    result->path[sizeof result->path - 1] = '\0';
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && result->done) {
        return true;
    }
    if (*result->trouble) {
        return say(failed, result->trouble, printed);
    }
    if (WIFSIGNALED(status)) {
        char what[160];
        snprintf(what, sizeof what, "%s by signal %d (%s) after %s steps",
                 hung                          ? "stood still and was killed"
                 : WTERMSIG(status) == SIGKILL ? "killed"
                                               : "crashed",
                 WTERMSIG(status), strsignal(WTERMSIG(status)), words_count(result->steps).text);
        return say(failed, what, printed);
    }
    return say(failed, result->loaded ? "ended the process" : "cannot be loaded", printed);
}

static bool start(struct run *run, const struct script *script, char failed[160])
{
    bool hung;
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        become(run, script, parent);
    }
    if (pid < 0) {
        return say(failed, "no process for it", strerror(errno));
    }
    int status = wait_for(run, pid, &hung);
    return judge(run, status, hung, failed);
}

bool real_replay(const struct script *script, const struct comparison_real *real, enum replayer_mode mode,
                 const struct real_watch *watch, struct replayer_result *out, char failed[160])
{
    struct run run = {.watch = watch, .name = real->name, .mode = mode, .result = MAP_FAILED};
    if (!library_find(REPLAYER, run.replayer)) {
        return say(failed, "no " REPLAYER " beside allot's libraries", "build it with make or install it");
    }
    /* A name without a folder would be looked for elsewhere. */
    if (*real->path && (!realpath(real->path, run.path) || access(run.path, R_OK) != 0)) {
        run.path[0] = '\0';
    }
    if (*real->path && !can_load(real->path, run.path, failed)) {
        return false;
    }
    run.figures = memfd_create("allot-replayed", MFD_CLOEXEC);
    run.printed = memfd_create("allot-printed", MFD_CLOEXEC);
    if (run.figures >= 0 && run.printed >= 0 && ftruncate(run.figures, sizeof *run.result) == 0) {
        run.result = mmap(NULL, sizeof *run.result, PROT_READ | PROT_WRITE, MAP_SHARED, run.figures, 0);
    }
    run.environment = make_environment(&run);
    bool done = false;
    if (run.result == MAP_FAILED || !run.environment) {
        say(failed, "no memory for it", strerror(errno));
    } else {
        done = start(&run, script, failed);
        *out = *run.result;
    }
    if (run.result != MAP_FAILED) {
        munmap(run.result, sizeof *run.result);
    }
    if (run.figures >= 0) {
        close(run.figures);
    }
    if (run.printed >= 0) {
        close(run.printed);
    }
    free(run.environment);
    return done;
}
