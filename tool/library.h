/* The libraries that programs are run on, and how a program comes to load them. */
#ifndef ALLOT_TOOL_LIBRARY_H
#define ALLOT_TOOL_LIBRARY_H

#include <limits.h>
#include <stdbool.h>

#define LIBRARY_MALLOC   "liballot-malloc.so" /* the drop-in malloc */
#define LIBRARY_RECORDER "liballot-record.so" /* records another malloc */

/* Where a file of allot's libraries lies. */
bool library_find(const char *library, char out[PATH_MAX]);

/* Finds the library and puts it first in this process' LD_PRELOAD; otherwise complains and returns false. */
bool library_preload(const char *library);

/* Puts another behind all that is preloaded, which the dynamic linker finds itself. */
void library_preload_too(const char *soname);

/* Adds to this process' ALLOT_OPTIONS; what is added last counts. */
void library_option(const char *options);

#endif
