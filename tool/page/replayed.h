/* page/replayed.h - a page's trace replayed on all strategies: what the views of strategies and of advice are made of.
 *
 * allot report replays models alone, and only traces of at most REPLAYED_OPS calls unless it is told to; allot compare gives what it has
 * replayed. Steps are told of a short trace: each strategy's, one entry for each place that a block gets or gives up.
 *
 * Memory: ops in a file of 16 bytes each (ops.h); moments and maps of results 16 KiB a strategy; steps 24 bytes each, some
 * REPLAYED_STEPS a strategy.
 */
#ifndef ALLOT_PAGE_REPLAYED_H
#define ALLOT_PAGE_REPLAYED_H

#include "advice/advice.h"
#include "page/page.h"
#include "replay/comparison.h"

#define REPLAYED_OPS      2000000
#define REPLAYED_STEPS    2000   /* ops of a trace that is stepped through */
#define REPLAYED_SMALLEST 200000 /* ops of one for which the least memory is looked for */
#define REPLAYED_MODELS   32

struct replayed_step {
    uint64_t start, size;
    uint32_t op, block;
};
struct replayed_steps { /* of one strategy */
    const char *name;
    struct replayed_step *step;
    uint32_t steps, room;
};

struct page_replayed {
    const struct comparison *comparison;
    const struct advice_list *advice; /* or NULL */
    struct replayed_steps steps[REPLAYED_MODELS];
    unsigned stepped; /* strategies of which there are some */

    struct ops ops; /* where they are ours: of allot report */
    struct comparison own;
    struct advice_list own_advice;
    bool is_own;
};

/* Replays on models, and looks what to advise. 1: done; 0: the trace is too long, unless `always`, or it has no events; -1: it is complained. */
int replayed_read(struct page *page, const struct profile_wanted *wanted, bool always,
                  const struct replayed_advice *advice);
/* What somebody else replays: `wanted` is asked for the steps of a short trace as well, before it is; and then it is the page's, but for
 * comparison and advice, which stay theirs. NULL: out of memory. */
struct page_replayed *replayed_begin(const struct ops *ops, struct comparison_wanted *wanted);
void replayed_give(struct page *page, struct page_replayed *replayed, const struct comparison *comparison,
                   const struct advice_list *advice);
void replayed_end(struct page_replayed *replayed);

#endif
