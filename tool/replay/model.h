/* replay/model.h - what a strategy has to be, to be replayed: three calls and three counters.
 *
 *   replay.c    goes through the ops, asks, and looks at the counters after each      (moments, peaks, map, table, steps: the same for all)
 *   model_*.c   the strategies: the library's engines, and what of each block they have to remember
 *
 * A model's calls are one thread's; several models may be replayed at once.
 */
#ifndef ALLOT_REPLAY_MODEL_H
#define ALLOT_REPLAY_MODEL_H

#include "replay/replay.h"

#define MODEL_ALIGN 16 /* malloc's own */
#define MODEL_STEPS 4
#define MODEL_PAGE  4096 /* ranges grow and shrink at their end by so much */

struct model;

/* A part of a block. */
typedef void model_visit(void *arg, uint64_t start, uint64_t size);

struct model_kind {
    const char *name;
    size_t bytes;   /* of its struct, which begins with a struct model */
    bool has_range; /* it can be held to one of `bound` bytes */
    int option;     /* its own: what tells the kinds of a family apart */

    /* 0 or -ENOMEM; then end is not called. All of it but `kind`, `ops`, `bound` is zero. */
    int (*begin)(struct model *m);
    void (*end)(struct model *m);

    /* 0; -ENOSPC: refused, and all is as before; -ENOMEM: the model itself has no memory. `size` is at least 1, of a block that is there
     * `was` is what it was before. Sizes go to 2^46, alignments to 2^63. */
    int (*alloc)(struct model *m, uint32_t block, uint64_t size, const struct op *op);
    int (*resize)(struct model *m, uint32_t block, uint64_t was, uint64_t size, const struct op *op);
    void (*free)(struct model *m, uint32_t block, uint64_t was, const struct op *op);

    /* Of a block that is there, what its next op will look at, one after another as each is told by what came before it (step 0, 1 ...
     * below MODEL_STEPS); NULL: nothing. No more than to ask for that memory ahead of time. */
    const void *(*known)(const struct model *m, uint32_t block, unsigned step);
    /* metadata and largest_hole of now. */
    void (*look)(struct model *m, struct replay_moment *out);
    /* Where a block that is there lies, from 0 on, and what it takes. */
    void (*where)(struct model *m, uint32_t block, uint64_t *start, uint64_t *size);
    /* NULL: where tells. Else the pieces of a block that lies in several. */
    void (*pieces)(struct model *m, uint32_t block, model_visit *visit, void *arg);
    void (*count)(const struct model *m, struct replay_result *out);
    /* Proves the engine's equations; NULL: it has none of its own. */
    void (*check)(struct model *m);
};

/* used <= held; used = what the live blocks asked for + slack + headers. */
struct model {
    const struct model_kind *kind;
    const struct ops *ops;
    uint64_t bound; /* of the range; 0: it grows as it has to */
    uint64_t used, held, headers;
    uint64_t end;         /* of addresses in use, where there is one range; else 0 */
    const uint64_t *size; /* of each block, as asked for; UINT64_MAX: it is not there */

    /* Who wants to know where blocks move, other than the one that is asked for; NULL: nobody. */
    void (*moved)(void *arg, uint32_t block);
    void *arg;
};

static inline void model_count(struct replay_result *out, const char *name, uint64_t value)
{
    if (out->counts < sizeof out->count / sizeof out->count[0]) {
        out->count[out->counts++] = (struct replay_count){name, value};
    }
}

/* By its name; NULL: there is no such strategy. */
const struct model_kind *model_kind_of(const char *name);

/* What a model has to keep of each block: one array, zeroed. NULL: no memory. Ended with free(). */
void *model_array(const struct model *m, size_t bytes_each);

static inline bool model_is_there(const struct model *m, uint32_t block) { return m->size[block] != UINT64_MAX; }

static inline uint64_t model_align(const struct op *op)
{
    return op->align > 4 ? (uint64_t)1 << op->align : MODEL_ALIGN;
}

extern const struct model_kind model_first, model_next, model_best, model_worst, model_next_best, model_groups,
    model_bins, model_buddy, model_slab, model_two_level, model_pool, model_arena, model_compact, model_pages,
    model_segments, model_mcache, model_allot;

#endif
