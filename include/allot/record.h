/* allot/record.h - for a program that may be recorded (`allot record`): say what it is about.
 *
 *     allot_mark("level 3 loaded");
 *
 * The mark stands in the recording at this moment, and `allot report` shows it. Where nobody records it costs a few loads, so it may
 * stay in a program for good. Any thread, but not in a signal's handler.
 *
 * It reaches whoever records: the drop-in or the toolkit, and, in a program on another malloc that `allot record --malloc
 * system` runs, the recorder that is preloaded there, when the program has the shared toolkit (or none at all).
 */
#ifndef ALLOT_RECORD_H
#define ALLOT_RECORD_H

#include <stdbool.h>

#include <allot/malloc.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Names this moment; of the name the first 1023 bytes are kept. */
ALLOT_API void allot_mark(const char *name);

/* Whether the process is recorded at present. */
ALLOT_API bool allot_recording(void);

#ifdef __cplusplus
}
#endif

#endif
