/* replay/spool.h - ops on their way into a file: appended where they come, and put in order at the end. */
#ifndef ALLOT_REPLAY_SPOOL_H
#define ALLOT_REPLAY_SPOOL_H

#include "replay/ops_file.h"

struct spool {
    int ops, times; /* descriptors of files without a name; -1: none */
    uint64_t count;
};

/* All return 0 or -errno. */
int spool_begin(struct spool *spool);
int spool_append(struct spool *spool, const struct op *op, const uint64_t *time, uint32_t count);
int spool_read(const struct spool *spool, uint64_t from, struct op *op, uint64_t *time, uint32_t count);
/* The file is whole: `head` in front, the times behind if it wants them. *fd is the caller's. */
int spool_finish(struct spool *spool, struct ops_head *head, int *fd);
void spool_end(struct spool *spool);

#endif
