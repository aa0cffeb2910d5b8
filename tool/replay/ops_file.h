/* replay/ops_file.h - the file that ops lie in, for processes that are started with its descriptor.
 *
 *   head, to 4 KiB | op | op | ...        16 bytes each | time | time | ...     8 bytes each, where there are times
 */
#ifndef ALLOT_REPLAY_OPS_FILE_H
#define ALLOT_REPLAY_OPS_FILE_H

#include "replay/ops.h"

#define OPS_MAGIC "allotops"
#define OPS_AT    4096 /* of the first, in the file */

struct ops_head {
    char magic[8];
    uint64_t count, times; /* times: count, or 0 */
    uint32_t blocks, threads;
    uint64_t peak_live, peak_at, allocs, frees, resizes, largest;
};

/* Maps what ops_read has written to `fd`, which stays the caller's until ops_end. 0; -EINVAL: that is no such file; or -errno. */
int ops_open(int fd, struct ops *out);

/* Makes a file out of ops that are at hand, as ops_read does, figures included: for tests and benches. `time` may be NULL. 0 or -errno. */
int ops_make(const struct op *op, const uint64_t *time, uint64_t count, struct ops *out);

#endif
