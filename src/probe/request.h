/* probe/request.h - where another process asks this one to be recorded (probe/record.h), or to be so no more: by writing to its memory
 * through /proc/PID/mem, which needs the right to, and neither stops it nor sends it a signal.
 *
 * It lies in the library's data, and is found by its magic and its own address; where there are several copies of the library, the
 * one that is `used` is meant. Who asks writes `path` first, then adds 1 to `asked`. The next thread that is on a slow path
 * answers: it sets `error`, then `answered` to what `asked` was.
 */
#ifndef PROBE_REQUEST_H
#define PROBE_REQUEST_H

#include <stdatomic.h>
#include <stdint.h>

#define REQUEST_MAGIC   "allot:record:ask" /* 16 bytes, without the 0 */
#define REQUEST_VERSION 1
#define REQUEST_PATH    256

struct record_request {
    char magic[16];
    uint64_t self;
    uint32_t version, bytes;
    _Atomic uint32_t used; /* this copy of the library is the process's heap */
    _Atomic uint32_t
        asked; /* requests so far, in its lower half; in the upper, collectors that have ended by themselves */
    _Atomic uint32_t answered; /* the last one of them that a thread has heard of, */
    int32_t error;             /* and what came of it: 0 or -errno */
    char path[REQUEST_PATH];   /* the collector's area; "": recording ends */
};

#endif
