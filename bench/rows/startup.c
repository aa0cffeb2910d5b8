/* startup COUNT PROGRAM - the start and the end of a tiny process: PROGRAM runs COUNT times, the last time in the place of this
 * one, so that memory is that of PROGRAM itself. */
#include "row.h"
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv)
{
    uint64_t count = number(argc, argv, 1);
    if (argc < 3)
        fail("a program is missing");
    for (uint64_t i = 1; i < count; i++) {
        pid_t child;
        int status;
        if (posix_spawn(&child, argv[2], NULL, NULL, argv + 2, environ) != 0 || waitpid(child, &status, 0) != child)
            fail("no process to be had");
        if (status != 0)
            fail("the program failed");
    }
    execv(argv[2], argv + 2);
    fail("the program cannot be run");
}
