/* See range.h. */
#include "replay/range.h"

#include <errno.h>

#include "os/fault.h"

#define CLAIM_RECORDS 128
#define LIMIT_LEAST   ((uint64_t)1 << 20)
#define LIMIT_MOST    ((uint64_t)1 << 60)

/* All from there on; for which there are records. */
static void take_beyond(struct range *r, uint64_t top)
{
    const struct region_state *s = state_of(&r->region);
    uint64_t edge = s->fit == ALLOT_BEST ? s->unit : 0;
    r->edge.size = 0;
    int failed = edge ? allot_region_claim(&r->region, top, edge, &r->edge) : 0;
    CHECK(!failed, "region", &r->region);
    failed = allot_region_claim(&r->region, top + edge, r->limit - top - edge, &r->sky);
    CHECK(!failed, "region", &r->region);
    r->top = top;
}

int range_begin(struct range *r, enum allot_fit fit, uint64_t unit, uint64_t expected, uint64_t bound)
{
    uint64_t limit = expected < LIMIT_LEAST ? LIMIT_LEAST : expected < LIMIT_MOST / 4 ? expected : LIMIT_MOST / 4;
    limit = bound ? bound : align_up(limit, MODEL_PAGE);
    *r = (struct range){.top = limit, .limit = limit, .bounded = bound != 0};
    struct allot_region_opts opts = {.fit = fit, .unit = unit};
    if (allot_region_init(&r->region, 0, limit, &opts) != 0) {
        return -ENOMEM;
    }
    if (r->bounded) {
        return 0;
    }
    if (allot_region_reserve(&r->region, CLAIM_RECORDS) != 0) {
        range_end(r);
        return -ENOMEM;
    }
    take_beyond(r, 0);
    return 0;
}

void range_end(struct range *r)
{
    if (r->region.state) {
        allot_region_done(&r->region);
    }
}

/* -- the end of the heap -- */

/* Where the last block ends. */
static uint64_t trailing_from(const struct range *r)
{
    uint32_t id = node_of(&r->region, r->edge.size ? r->edge.id : r->sky.id)->prev;
    uint64_t from = r->top;
    for (; id != NONE && is_hole(node_of(&r->region, id)); id = node_of(&r->region, id)->prev) {
        from = node_of(&r->region, id)->at;
    }
    return from;
}

static int set_top(struct range *r, uint64_t top)
{
    if (top >= LIMIT_MOST) {
        return -ENOSPC;
    }
    /* What follows wants no more records than these; so that nothing fails half way. */
    if (allot_region_reserve(&r->region, CLAIM_RECORDS) != 0) {
        return -ENOMEM;
    }
    uint64_t limit = r->limit;
    while (limit <= 2 * top) {
        limit *= 2;
    }
    if (limit != r->limit) {
        int failed = allot_region_add(&r->region, r->limit, limit - r->limit);
        CHECK(!failed, "region", &r->region);
        r->limit = limit;
    }
    allot_region_give(&r->region, &r->sky);
    if (r->edge.size) {
        allot_region_give(&r->region, &r->edge);
    }
    r->grows += top > r->top;
    r->shrinks += top < r->top;
    take_beyond(r, top);
    return 0;
}

/* Makes a hole at the end for so much. */
static int grow(struct range *r, uint64_t size, uint64_t align)
{
    const struct region_state *s = state_of(&r->region);
    if (r->bounded) {
        return -ENOSPC;
    }
    if (s->fit == ALLOT_BUDDY) {
        size = size > s->unit ? (uint64_t)1 << (log2_floor(size - 1) + 1) : s->unit;
        align = align > size ? align : size;
    }
    align = align > s->unit ? align : s->unit;
    uint64_t from = trailing_from(r);
    if (align >= LIMIT_MOST / 4 || size >= LIMIT_MOST / 4) {
        return -ENOSPC;
    }
    return set_top(r, align_up(align_up(from, align) + align_up(size, s->unit), MODEL_PAGE));
}

/* Without memory for that it stays as it is. */
static void shrink(struct range *r)
{
    uint64_t top = r->bounded ? r->top : align_up(trailing_from(r), MODEL_PAGE);
    if (r->top - top >= MODEL_PAGE && r->top - top >= r->top / 64) {
        set_top(r, top);
    }
}

/* -- blocks -- */

int range_take(struct range *r, uint64_t size, uint64_t align, struct allot_range *out)
{
    const struct region_state *s = state_of(&r->region);
    uint64_t holes = s->holes;
    int failed = allot_region_take(&r->region, size, align, out);
    if (failed == -ENOSPC) {
        failed = grow(r, size, align);
        if (failed) {
            return failed;
        }
        s = state_of(&r->region);
        holes = s->holes;
        failed = allot_region_take(&r->region, size, align, out);
    }
    r->splits += failed ? 0 : s->holes + 1 - holes;
    return failed;
}

int range_resize(struct range *r, struct allot_range *range, uint64_t size)
{
    uint64_t was = range->size;
    int failed = allot_region_resize(&r->region, range, size);
    if (failed == -ENOSPC && !r->bounded && trailing_from(r) == range->at + was) {
        /* A buddy grows only as far as it is the lower half. */
        bool lower =
            state_of(&r->region)->fit != ALLOT_BUDDY || (range->at & (((uint64_t)2 << log2_floor(size - 1)) - 1)) == 0;
        failed = lower ? grow(r, size - was, 1) : -ENOSPC;
        failed = failed ? failed : allot_region_resize(&r->region, range, size);
    }
    if (!failed && range->size < was) {
        shrink(r);
    }
    return failed;
}

void range_give(struct range *r, const struct allot_range *range)
{
    const struct region_state *s = state_of(&r->region);
    uint64_t holes = s->holes;
    allot_region_give(&r->region, range);
    r->merges += holes + 1 - s->holes;
    shrink(r);
}

/* -- what it can tell -- */

uint64_t range_metadata(const struct range *r)
{
    const struct region_state *s = state_of(&r->region);
    return r->region.mapped[0] + s->fresh_nodes * sizeof(struct region_node) +
           s->fresh_blocks * sizeof(struct region_block);
}

uint64_t range_largest(struct range *r)
{
    struct allot_region_stats stats;
    allot_region_stats(&r->region, &stats);
    return stats.largest;
}

void range_count(const struct range *r, struct replay_result *out)
{
    model_count(out, "splits", r->splits);
    model_count(out, "merges", r->merges);
    model_count(out, "range grown", r->grows);
    model_count(out, "range shrunk", r->shrinks);
}
