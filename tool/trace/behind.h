/* behind.h - what stands behind a trace's end: snapshots that its processes took of themselves when they ended (allot record --leaks).
 *
 *   | head | frame ... | end frame | tail | snapshot's frames ... | another's ... | tail |       the second tail says what the first one does
 *
 * Readers of events stop at the end frame. A snapshot is cut in pieces of at most FILE_PAYLOAD, a frame each; `count` of the last one is 1.
 */
#ifndef ALLOT_TRACE_BEHIND_H
#define ALLOT_TRACE_BEHIND_H

#include <stdbool.h>

/* Calls `visit` with a file for each that is whole, in the order in which they stand there, until it returns false; the descriptor is closed
 * after it. Of a file that is no such trace, or ends early, there are none. 0, or -errno of the file that it is unpacked to. */
int behind_each(const char *path, bool (*visit)(void *arg, int fd), void *arg);

#endif
