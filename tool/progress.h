/* progress.h - one line on the terminal, which what comes next takes the place of. Where standard error is no terminal nothing is
 * shown. One at a time. */
#ifndef ALLOT_TOOL_PROGRESS_H
#define ALLOT_TOOL_PROGRESS_H

#include <stdbool.h>

/* What is being done; NULL: nothing any more. */
void progress_show(const char *what);

/* How far a command is, once it takes over a second. */
void progress_begin(void);
/* Tenths of a second since then, if now is a time to say something, and the line is empty; else 0. */
unsigned progress_due(void);
bool progress_shows(void); /* whether it ever says something */
void progress_end(void);

#endif
