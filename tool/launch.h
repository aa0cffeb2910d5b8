/* What commands that run a program have in common. */
#ifndef ALLOT_TOOL_LAUNCH_H
#define ALLOT_TOOL_LAUNCH_H

#include <stdbool.h>

/* As env, nice and timeout have it. */
enum { EXIT_OWN_FAILURE = 125, EXIT_CANNOT_EXECUTE = 126, EXIT_NOT_FOUND = 127, EXIT_SIGNAL = 128 };

/* Says why that program could not be executed; returns the exit status for it. */
int launch_failed(const char *name, int error);

/* Says why no library can be preloaded into that program; true when one can. */
bool launch_can_preload(const char *path);

/* Called first: where a file would get longer than it may be (ulimit -f), a write fails and no signal ends this process. A program
 * that launch_exec becomes is given what there was. */
void launch_ready(void);

/* Becomes the program; returns an errno when it could not. */
int launch_exec(const char *path, char **argv);

/* The exit status that tells of how a child ended, as waitpid has it. */
int launch_status(int status);

#endif
