/* replay/model_region.c - first, next, best, worst, next-best, groups, bins, buddy: the library's regions (allot/region.h), each block in
 * a range of its own of one heap (replay/range.h).
 *
 * Blocks lie at multiples of 16 and take multiples of 16, or powers of two with buddy: no headers, as the region keeps its records beside.
 * A resize is done in place where the region can, else by taking, copying and giving.
 */
#include <errno.h>
#include <stdlib.h>

#include "replay/range.h"

struct region_model {
    struct model m;
    struct range range;
    uint32_t *id; /* of each block's range */
    uint64_t in_place, moved, copied;
};

static struct region_model *self_of(const struct model *m) { return (struct region_model *)(uintptr_t)m; }

static void update(struct region_model *g)
{
    g->m.used = range_used(&g->range);
    g->m.held = g->m.end = g->range.top;
}

static int region_begin(struct model *m)
{
    struct region_model *g = self_of(m);
    g->id = model_array(m, sizeof *g->id);
    if (!g->id ||
        range_begin(&g->range, (enum allot_fit)m->kind->option, MODEL_ALIGN, m->ops->peak_live, m->bound) != 0) {
        free(g->id);
        return -ENOMEM;
    }
    update(g);
    return 0;
}

static void region_end(struct model *m)
{
    range_end(&self_of(m)->range);
    free(self_of(m)->id);
}

static int region_alloc(struct model *m, uint32_t block, uint64_t size, const struct op *op)
{
    struct region_model *g = self_of(m);
    struct allot_range range;
    int failed = range_take(&g->range, size, model_align(op), &range);
    if (!failed) {
        g->id[block] = range.id;
    }
    update(g);
    return failed;
}

static int region_resize(struct model *m, uint32_t block, uint64_t was, uint64_t size, const struct op *op)
{
    (void)op;
    struct region_model *g = self_of(m);
    struct allot_range range = range_of(&g->range, g->id[block]), to;
    int failed = range_resize(&g->range, &range, size);
    if (!failed) {
        g->in_place++;
    } else if (failed == -ENOSPC && (failed = range_take(&g->range, size, MODEL_ALIGN, &to)) == 0) {
        range_give(&g->range, &range);
        g->id[block] = to.id;
        g->moved++;
        g->copied += was < size ? was : size;
    }
    update(g);
    return failed;
}

static void region_free(struct model *m, uint32_t block, uint64_t was, const struct op *op)
{
    (void)was;
    (void)op;
    struct region_model *g = self_of(m);
    struct allot_range range = range_of(&g->range, g->id[block]);
    range_give(&g->range, &range);
    update(g);
}

static const void *region_known(const struct model *m, uint32_t block, unsigned step)
{
    const struct region_model *g = self_of(m);
    return step == 0 ? (const void *)&g->id[block] : range_known(&g->range, g->id[block], step - 1);
}

static void region_look(struct model *m, struct replay_moment *out)
{
    out->largest_hole = range_largest(&self_of(m)->range);
    out->metadata = range_metadata(&self_of(m)->range);
}

static void region_where(struct model *m, uint32_t block, uint64_t *start, uint64_t *size)
{
    struct region_model *g = self_of(m);
    struct allot_range range = range_of(&g->range, g->id[block]);
    *start = range.at;
    *size = range.size;
}

static void region_count(const struct model *m, struct replay_result *out)
{
    const struct region_model *g = self_of(m);
    range_count(&g->range, out);
    model_count(out, "resized in place", g->in_place);
    model_count(out, "resized by moving", g->moved);
    model_count(out, "bytes copied", g->copied);
}

static void region_check(struct model *m) { allot_region_check(&self_of(m)->range.region); }

#define REGION_MODEL(variable, text, fit)                                     \
    const struct model_kind variable = {.name = text,                         \
                                        .bytes = sizeof(struct region_model), \
                                        .has_range = true,                    \
                                        .option = fit,                        \
                                        .begin = region_begin,                \
                                        .end = region_end,                    \
                                        .alloc = region_alloc,                \
                                        .resize = region_resize,              \
                                        .free = region_free,                  \
                                        .known = region_known,                \
                                        .look = region_look,                  \
                                        .where = region_where,                \
                                        .count = region_count,                \
                                        .check = region_check}

REGION_MODEL(model_first, "first", ALLOT_FIRST);
REGION_MODEL(model_next, "next", ALLOT_NEXT);
REGION_MODEL(model_best, "best", ALLOT_BEST);
REGION_MODEL(model_worst, "worst", ALLOT_WORST);
REGION_MODEL(model_next_best, "next-best", ALLOT_NEXT_BEST);
REGION_MODEL(model_groups, "groups", ALLOT_GROUPS);
REGION_MODEL(model_bins, "bins", ALLOT_BINS);
REGION_MODEL(model_buddy, "buddy", ALLOT_BUDDY);
