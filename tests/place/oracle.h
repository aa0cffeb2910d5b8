/* oracle.h - a region as one would write it without a thought for time: a cell for each unit, every rule a search over all of them.
 *
 *   cells   [outside][hole][hole][3][3][3][hole][7] ...      of a window of the offsets; the region's spans lie in it
 *
 * It says what a region has to choose, to the unit. BINS alone is free to choose among the holes that have a place. BUDDY's blocks are
 * in lists besides, the one that came last at the end; where the order in a list is not promised any more (after a load, a reset, a
 * merge of everything) its blocks are unsettled, and any of them may be chosen.
 */
#ifndef TESTS_PLACE_ORACLE_H
#define TESTS_PLACE_ORACLE_H

#include <allot/region.h>

enum { ORACLE_CELLS = 8192, ORACLE_ORDERS = 14 };

#define CELL_OUTSIDE UINT32_MAX
#define CELL_HOLE    (UINT32_MAX - 1)

struct oracle_block {
    uint64_t unit; /* its first, from 0 on */
    bool settled;
};

struct oracle {
    struct allot_region_opts opts;
    uint64_t unit;
    uint64_t first; /* the window's first unit, counted from 0 on */
    uint32_t cells; /* in it */
    uint32_t cell[ORACLE_CELLS];
    uint8_t piece[ORACLE_CELLS]; /* BUDDY: the order of the block that was taken from this cell on */
    uint64_t cursor;             /* NEXT: where the last piece ended, an offset */
    uint64_t area, area_first;   /* GROUPS: units of one, the unit where they begin */
    uint64_t began_with;         /* units, with init or load */
    uint64_t longest_span;       /* units */
    bool began;                  /* there was a span */

    struct oracle_block list[ORACLE_ORDERS][ORACLE_CELLS];
    uint32_t listed[ORACLE_ORDERS];
};

/* A window of so many units from an offset on, which is a multiple of the unit; the region was initialised with `size`. */
void oracle_init(struct oracle *o, const struct allot_region_opts *opts, uint64_t from, uint32_t cells, uint64_t size);

/* What each of these has to return; and changes the oracle if that is 0. */
int oracle_add(struct oracle *o, uint64_t base, uint64_t size);
/* `out` has what was taken; its id is the caller's to give to oracle_taken. *any: it may be another place that fits. */
int oracle_choose(struct oracle *o, uint64_t size, const struct allot_bounds *bounds, struct allot_range *out,
                  bool *any);
/* Whether there is room at an offset, within bounds. */
bool oracle_fits(const struct oracle *o, uint64_t at, uint64_t size, const struct allot_bounds *bounds);
/* Whether that block of BUDDY's may be the one, though it is not the one chosen. */
bool oracle_may_be_block(const struct oracle *o, const struct allot_range *chosen, const struct allot_range *taken,
                         const struct allot_bounds *bounds);

/* Whether a rule of lists may take that for a request that may lie anywhere. */
bool oracle_may_be_bin(const struct oracle *o, uint64_t size, const struct allot_range *taken);

/* That range is taken now: by the rule (it moves the cursor), or by a claim. */
void oracle_taken(struct oracle *o, struct allot_range range);
void oracle_claimed(struct oracle *o, struct allot_range range);
int oracle_may_claim(const struct oracle *o, uint64_t at, uint64_t size);
/* `piecemeal`: of BUDDY, a claim of several blocks. */
int oracle_resize(struct oracle *o, struct allot_range *range, uint64_t size, bool piecemeal);
void oracle_give(struct oracle *o, struct allot_range range);
void oracle_reset(struct oracle *o);
void oracle_loaded(struct oracle *o);
/* BUDDY: everything is merged. */
void oracle_merge_all(struct oracle *o);

/* Whether BUDDY needs more than one block for it. */
bool oracle_is_piecemeal(const struct oracle *o, struct allot_range range);

uint64_t oracle_largest(const struct oracle *o);
uint64_t oracle_holes(const struct oracle *o);

/* The next range or hole from *unit on, which goes on behind it; false at the end. A hole has the id UINT32_MAX. */
bool oracle_next(const struct oracle *o, uint64_t *unit, struct allot_range *out);

#endif
