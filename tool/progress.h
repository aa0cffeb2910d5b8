/* progress.h - what is being done, in one line on a terminal that what comes next takes the place of. */
#ifndef ALLOT_TOOL_PROGRESS_H
#define ALLOT_TOOL_PROGRESS_H

/* NULL: nothing any more. Where standard error is no terminal nothing is shown. */
void progress_show(const char *what);

#endif
