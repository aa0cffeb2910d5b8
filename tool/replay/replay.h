/* replay/replay.h - ops replayed on every strategy, and what came of it.
 *
 *   models  first next best worst next-best groups bins buddy slab two-level pool arena compact pages segments mcache allot
 *           in this process, on the library's own engines (src/place, src/span, src/slab, scope/, pool/, two-level ...): exact space and counts of
 *           operations. Never time.
 *   real    glibc jemalloc mimalloc tcmalloc allot, --with NAME=PATH: each in a fresh process, whose blocks' pages are touched; time, resident
 *           bytes.
 *
 * Of each at any moment:   held = used + free,   used = live + slack + headers
 *   live      bytes that the program asked for and holds           slack    what rounding to classes, units and alignment adds
 *   headers   bytes of bookkeeping within the range              free      holes, and slots that nobody has
 *   held      what the strategy has from the system, its range   metadata  bookkeeping beside the range, of the library's part that was used
 * The footprint is held: what a program would have mapped for its blocks.
 */
#ifndef ALLOT_REPLAY_H
#define ALLOT_REPLAY_H

#include "replay/ops.h"

#define REPLAY_MOMENTS 256 /* at equal distances by ops, the same for all strategies */
#define REPLAY_CELLS   512 /* of a map: the range from its lowest to its highest address in use, in equal cells */

struct replay_moment {
    uint64_t op; /* after it */
    /* Bytes; of a real malloc `used` is 0: it does not say, and `held` is what is resident above what the process had before. */
    uint64_t live, used, held, metadata;
    uint64_t largest_hole; /* the longest request that needs nothing more from the system */
    uint64_t headers;      /* of `used` */
};

/* What was counted: names and values, for text and JSON alike. A strategy gives those that it has. */
struct replay_count {
    const char *
        name; /* "splits", "merges", "looked at", "bytes moved", "translations", "walks", "cache hits", "central calls" ... */
    uint64_t value;
};

struct replay_block {     /* of --table and of the step-through */
    uint64_t start, size; /* where it lies in the strategy's range, and what it takes there */
    uint32_t block;       /* its number; UINT32_MAX: a hole */
    uint32_t site;
};

struct replay_result {
    const char *name; /* "best"; "jemalloc" */
    bool real;
    char version[64];      /* of a real one, or where it lies; "" */
    char failed[160];      /* why there is no result; "" */
    uint64_t ops, refused; /* allocations that it could not serve */
    struct replay_moment moment[REPLAY_MOMENTS];
    uint32_t moments;
    struct replay_moment at_live_peak; /* just after the op after which most is live */
    uint64_t peak_held, peak_held_op;  /* of all ops, not of moments only */
    double mean_held_over_live;        /* the mean of held at all moments, over that of live */
    uint64_t smallest; /* models with a range: the least range in which every op is served; 0: not asked or has none */
    struct replay_count count[12];
    uint32_t counts;
    /* real only: of the interleaved runs */
    double ns_op, ns_op_least, ns_op_most; /* median and spread, of the calls alone */
    uint32_t runs;
    uint64_t faults;
    /* models only */
    uint8_t map[REPLAY_CELLS];    /* at the wanted moment: 255 wholly in blocks, 0 all hole */
    uint64_t map_begin, map_cell; /* bytes */
};

struct replay_wanted {
    uint64_t map_at; /* op after which the map and the table are taken; UINT64_MAX: at the live peak */
    bool smallest;   /* look for it: some 12 more replays a strategy */
    uint64_t steps;  /* so many first ops are told step by step */
    void (*table)(void *arg, const struct replay_block *block); /* in order of address, at map_at; NULL */
    void (*step)(void *arg, uint64_t op,
                 const struct replay_block
                     *now); /* where the op's block is now (size 0: nowhere); of compact also those that moved before
                             * it came, of pages and segments each piece of it, frames side by side being one */
    void *arg;
    void (*progress)(void *arg, const char *name, uint64_t done, uint64_t of);
};

/* The models' names in the order above, NULL at the end. */
extern const char *const replay_models[];

/* One model. 0; -1: there is no memory for the model itself (result->failed says). Ops are the same for all: several threads may replay
 * several models at once. */
int replay_model(const char *name, const struct ops *ops, const struct replay_wanted *wanted,
                 struct replay_result *out);

#endif
