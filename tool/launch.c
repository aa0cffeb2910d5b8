/* Running a program on a preloaded library, or saying why not. */
#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "launch.h"
#include "target.h"

int launch_failed(const char *name, int error)
{
    if (error == ENOENT && !strchr(name, '/')) {
        complain("command not found, %s, check the name and PATH", name);
    } else if (error == ENOENT && access(name, F_OK) == 0) {
        complain("the interpreter or loader it asks for is missing, %s, check its first line or ldd", name);
    } else if (error == ENOENT) {
        complain("no such file, %s, check the name", name);
    } else if (error == EACCES) {
        complain("permission denied, %s, check its mode (chmod +x)", name);
    } else {
        complain("%s, %s, check what file it is", strerror(error), name);
    }
    return error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_EXECUTE;
}

static const char *machine_name(unsigned machine)
{
    switch (machine) {
    case EM_386:
    case EM_X86_64:
        return "x86";
    case EM_ARM:
    case EM_AARCH64:
        return "arm";
    default:
        return "other";
    }
}

bool launch_can_preload(const char *path)
{
    struct target target;
    enum target_verdict verdict = target_judge(path, &target);
    char name[2 * PATH_MAX + 32];

    snprintf(name, sizeof name, strcmp(path, target.path) == 0 ? "%s" : "%s (it runs %s)", target.path, path);
    switch (verdict) {
    case TARGET_FINE:
        return true;
    case TARGET_SET_ID:
        complain("cannot preload a set-user-ID or set-group-ID program, %s, run it as its owner or run a copy of it",
                 name);
        return false;
    case TARGET_CAPABILITIES:
        complain("cannot preload a program with file capabilities, %s, run it as root or run a copy of it", name);
        return false;
    case TARGET_STATIC:
        complain("cannot preload a statically linked program, %s, link it with -lallot-malloc or dynamically", name);
        return false;
    case TARGET_FOREIGN:
        complain("cannot preload a program for another machine (%u-bit %s), %s, use one built for this one",
                 target.program.bits, machine_name(target.program.machine), name);
        return false;
    case TARGET_LOADER:
        complain("cannot preload a program of another C library (its loader is %s), %s, use one whose loader is %s",
                 target.program.interpreter, name, target.own_loader);
        return false;
    }
    return false;
}

static struct sigaction on_size; /* SIGXFSZ, as this process was started with */

void launch_ready(void) { sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = SIG_IGN}, &on_size); }

int launch_exec(const char *path, char **words)
{
    sigaction(SIGXFSZ, &on_size, NULL);
    execv(path, words);
    if (errno != ENOEXEC) {
        return errno;
    }

    /* A text without #! is for /bin/sh, as execvp and every shell have it. */
    struct program program;
    program_read(path, &program);
    if (program.kind != PROGRAM_TEXT) {
        return ENOEXEC;
    }
    size_t count = 0;
    while (words[count]) {
        count++;
    }
    char **argv = calloc(count + 2, sizeof *argv);
    if (!argv) {
        return ENOMEM;
    }
    argv[0] = (char *)"/bin/sh";
    argv[1] = (char *)path;
    memcpy(argv + 2, words + 1, count * sizeof *argv);
    execv(argv[0], argv);
    return errno;
}

int launch_status(int status) { return WIFSIGNALED(status) ? EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status); }
