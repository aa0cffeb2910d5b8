/* pages/curves.h - what each policy misses with so many frames: a trace replayed on every policy and every size.
 *
 *     cell:  policy x frames -> misses, and what its TLB did           cells are replayed by as many threads as there are cores, the
 *                                                                      largest first; no two share anything but the trace
 *
 * A policy is asked through allot/evict.h, as a pager asks it: of a page that is there a hit in its frame; of one that is not, who goes,
 * and the ghost of whom goes is kept where the page's frame was. The optimum is opt.h's.
 * Memory: the trace; of the optimum 4 bytes a reference; and of each thread 8 bytes a page and 28 a frame.
 */
#ifndef ALLOT_PAGES_CURVES_H
#define ALLOT_PAGES_CURVES_H

#include <allot/evict.h>

#include "pages/refs.h"
#include "pages/translate.h"

enum { CURVES_OPT = ALLOT_EVICT_POLICIES, CURVES_POLICIES, CURVES_FRAMES_MOST = 1000 };

const char *curves_policy_name(unsigned policy); /* allot_evict_name, and "opt" */
unsigned curves_policy_named(const char *name);  /* CURVES_POLICIES: none; "belady" is opt as well */

struct curves_wanted {
    unsigned policy[CURVES_POLICIES], policies;
    const uint32_t *frames; /* in order */
    unsigned sizes;
    struct allot_evict_opts gradual;
    const struct translate_table *table; /* NULL: nothing is translated */
    unsigned threads;                    /* 0: as many as this process may run on */
    void (*progress)(uint64_t done, uint64_t whole);
};

struct curves_cell {
    uint64_t misses;
    struct translate_counts translated; /* with a table */
};

/* cell[p * sizes + s] of policy[p] and frames[s], for the caller to free. NULL: out of memory. */
struct curves_cell *curves_make(const struct refs *refs, const struct curves_wanted *wanted);

#endif
