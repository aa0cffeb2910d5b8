/* The drop-in malloc's library and how a program comes to load it. */
#ifndef ALLOT_TOOL_LIBRARY_H
#define ALLOT_TOOL_LIBRARY_H

#include <stdbool.h>

/* Finds the library and puts it first in this process' LD_PRELOAD; otherwise complains and returns false. */
bool library_preload(void);

/* Adds to this process' ALLOT_OPTIONS; what is added last counts. */
void library_option(const char *options);

#endif
