/* ends.h - being asked to end, where something is to be put right before that. */
#ifndef ALLOT_TOOL_ENDS_H
#define ALLOT_TOOL_ENDS_H

#include <signal.h>
#include <stdbool.h>

/* Blocks the signals that ask for it, but those that this process was started to ignore, by nohup or as a script's job: *ends. *before:
 * what was blocked. */
void ends_block(sigset_t *ends, sigset_t *before);
/* One of them waits. */
bool ends_asked(const sigset_t *ends);

#endif
