/* replay/made.h - ops by hand, for what replays them. */
#ifndef REPLAY_MADE_H
#define REPLAY_MADE_H

#include "common/unit.h"

#include "common/random.h"
#include "replay/ops_file.h"
#include "replay/replay.h"

struct made {
    struct op *op;
    uint64_t count, room;
};

void made_op(struct made *m, enum op_kind kind, uint32_t block, uint64_t size, uint32_t site);
static inline void made_alloc(struct made *m, uint32_t block, uint64_t size) { made_op(m, OP_ALLOC, block, size, 1); }
static inline void made_free(struct made *m, uint32_t block) { made_op(m, OP_FREE, block, 0, 0); }

/* So many random ops on so many blocks at most, of up to `size` bytes, from a few sites and threads. */
void made_random(struct made *m, uint64_t seed, uint32_t count, uint32_t blocks, uint64_t size);

/* The ops in their file; and replayed: it has to succeed. */
void made_ops(const struct made *m, struct ops *out);
void made_replay(const struct made *m, const char *model, const struct replay_wanted *wanted,
                 struct replay_result *out);
void made_end(struct made *m);

#endif
