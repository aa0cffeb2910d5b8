/* replay/range.h - a heap that grows and shrinks at its end, as brk's, under any of the rules of the library's regions.
 *
 *   0                                        top                      limit
 *   [block][ hole ][block][block][   hole   ][edge][      sky         ]
 *                                 ^ trailing
 *
 * What is beyond `top` is taken, so the rule sees the heap and no more. For best fit, which looks at a hole's neighbours, it begins with
 * a piece of one unit: where a region ends is shorter than any range. When nothing fits the top goes up, by whole pages, as
 * far as the request needs beyond the trailing hole. It comes down to the last block's page when at least a page and a 64th of the range
 * are trailing. Held to a bound all of it is there from the start instead, which is another thing for every rule but first fit.
 */
#ifndef ALLOT_REPLAY_RANGE_H
#define ALLOT_REPLAY_RANGE_H

#include "place/region.h"
#include "replay/model.h"

struct range {
    struct allot_region region; /* has [0, limit) */
    struct allot_range edge, sky; /* edge: of size 0 but for best fit */
    uint64_t top, limit; /* bounded, both are the bound, and nothing is beyond */
    bool bounded;
    uint64_t splits, merges, grows, shrinks;
};

/* `expected`: about as long as it will be; by it the engine measures its areas and chunks. `bound` 0: none. 0 or -ENOMEM. */
int range_begin(struct range *r, enum allot_fit fit, uint64_t unit, uint64_t expected, uint64_t bound);
void range_end(struct range *r);

/* 0, -ENOSPC, or -ENOMEM: there is no memory for the records. */
int range_take(struct range *r, uint64_t size, uint64_t align, struct allot_range *out);
/* In place, at the end of the heap by growing it: 0, or -ENOSPC or -ENOMEM and nothing has changed. */
int range_resize(struct range *r, struct allot_range *range, uint64_t size);
void range_give(struct range *r, const struct allot_range *range);

static inline struct allot_range range_of(const struct range *r, uint32_t id) { return region_range(&r->region, id); }
static inline uint64_t range_used(const struct range *r) { return state_of(&r->region)->used - (r->limit - r->top); }
/* What a call on a range that is there looks at, as model_kind.known has it: its record, and those of its neighbours. */
static inline const void *range_known(const struct range *r, uint32_t id, unsigned step)
{
    const struct region_node *n = node_of(&r->region, id);
    uint32_t of = step == 0 ? id : step == 1 ? n->next : n->prev;
    return step > 2 || of >= NONE ? NULL : node_of(&r->region, of);
}

uint64_t range_metadata(const struct range *r);
uint64_t range_largest(struct range *r);
void range_count(const struct range *r, struct replay_result *out);

#endif
