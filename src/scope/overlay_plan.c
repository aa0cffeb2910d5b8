/* scope/overlay_plan.c - the layout of an overlay: a place for each segment, apart from those it lives with. See scope/overlay.h.
 *
 *   phases          a tree of them           places
 *   0 main          main                     | main | parse      |
 *   1 parse         +- parse                 | main | opt | loop |   <- heaviest: the area
 *   2 optimise      +- optimise              | main | emit |
 *   3 loop          |  +- loop
 *   4 emit          +- emit
 *
 * First fit: one after another, each at the lowest offset where it lies apart from those placed before it that it lives with. The
 * order decides. In order of how many a segment lives with, most first, a tree's segments come after their parents (or after one
 * that lives with exactly the same): what lives with the parent but not with the child was placed elsewhere, so the place behind the
 * parent is free, and each lies right behind its way to the root. The area is then the heaviest way from a root, whose segments all
 * live together: the smallest there can be.
 *
 * In general that is interval colouring, which is NP-hard. Other orders are tried then - long ones first, heavy neighbourhoods
 * first, and then the best so far with those that lie at its top moved to the front - until the area is as small as a set of
 * segments that live together all at once, or there have been ROUNDS. The bound of a first fit, in any order: an offset is at most the sum
 * of those it lives with, and for each of them a gap that was too short. How good it is is known after the fact: area / clique.
 *
 * No recursion: a graph is the caller's, and as deep as it likes.
 */
#include <errno.h>
#include <string.h>

#include <allot/malloc.h>

#include "base/bits.h"
#include "scope/overlay.h"

enum { DEFAULT_ALIGN = 16, ROUNDS = 16 };

static bool lives_with(const struct overlay_graph *g, size_t i, size_t j)
{
    return bitmap_test(overlay_row(g->together, g->words, i), j);
}

static void let_live(struct overlay_graph *g, size_t i, size_t j)
{
    bitmap_set(overlay_row(g->together, g->words, i), j);
    bitmap_set(overlay_row(g->together, g->words, j), i);
}

/* A segment lives with its parent and with those that this one lives with above. */
static int read_tree(struct overlay_graph *g, const struct allot_overlay_seg *segs)
{
    for (size_t i = 0; i < g->n; i++) {
        if (segs[i].parent > i || segs[i].excludes_count != 0) {
            return -EINVAL;
        }
        for (size_t up = segs[i].parent; up != 0; up = segs[up - 1].parent) {
            let_live(g, i, up - 1);
        }
    }
    return 0;
}

static int read_exclusions(struct overlay_graph *g, const struct allot_overlay_seg *segs)
{
    for (size_t i = 0; i < g->n; i++) {
        bitmap_set_range(overlay_row(g->together, g->words, i), 0, g->n);
        bitmap_clear(overlay_row(g->together, g->words, i), i);
    }
    for (size_t i = 0; i < g->n; i++) {
        for (size_t k = 0; k < segs[i].excludes_count; k++) {
            size_t j = segs[i].excludes[k];
            if (j >= g->n || j == i || segs[i].parent != 0) {
                return -EINVAL;
            }
            bitmap_clear(overlay_row(g->together, g->words, i), j);
            bitmap_clear(overlay_row(g->together, g->words, j), i);
        }
    }
    return 0;
}

int overlay_graph_init(struct overlay_graph *g, const struct allot_overlay_seg *segs, size_t n,
                       const struct allot_overlay_opts *opts)
{
    static const struct allot_overlay_opts defaults;
    opts = opts ? opts : &defaults;
    *g = (struct overlay_graph){.n = n, .words = (n + 63) / 64, .align = opts->align ? opts->align : DEFAULT_ALIGN};
    if (n == 0 || n > ALLOT_OVERLAY_MAX || !is_power_of_2(g->align)) {
        return -EINVAL;
    }
    g->together = allot_calloc(n * g->words + n, sizeof *g->together);
    if (!g->together) {
        return -ENOMEM;
    }
    g->size = (size_t *)(g->together + n * g->words);
    for (size_t i = 0; i < n; i++) {
        size_t most = align_down((size_t)PTRDIFF_MAX - g->total, g->align);
        if (segs[i].size > most || size_max(segs[i].size, 1) > most) {
            overlay_graph_done(g);
            return -EINVAL;
        }
        g->size[i] = align_up(size_max(segs[i].size, 1), g->align);
        g->total += g->size[i];
    }
    int failed = opts->excludes ? read_exclusions(g, segs) : read_tree(g, segs);
    if (failed) {
        overlay_graph_done(g);
    }
    return failed;
}

void overlay_graph_done(struct overlay_graph *g)
{
    allot_free(g->together);
    g->together = NULL;
}

/* What a layout is made with: an order of segments with the keys it was sorted by, those placed in order of offset, and where. */
struct attempt {
    size_t *order, *key, *placed, *at;
};

static size_t first_fit(const struct overlay_graph *g, struct attempt *t)
{
    size_t area = 0;
    for (size_t k = 0; k < g->n; k++) {
        size_t i = t->order[k], at = 0, where = 0;
        while (where < k) {
            size_t j = t->placed[where];
            if (lives_with(g, i, j)) {
                if (t->at[j] >= at + g->size[i]) {
                    break;
                }
                at = size_max(at, t->at[j] + g->size[j]);
            }
            where++;
        }
        t->at[i] = at;
        area = size_max(area, at + g->size[i]);
        for (where = k; where > 0 && t->at[t->placed[where - 1]] > at; where--) {
            t->placed[where] = t->placed[where - 1];
        }
        t->placed[where] = i;
    }
    return area;
}

/* Orders all by key, the largest first; equal ones stay as they were. No more steps than a first fit. */
static void sort(const struct overlay_graph *g, struct attempt *t)
{
    for (size_t k = 1; k < g->n; k++) {
        size_t i = t->order[k], where = k;
        for (; where > 0 && t->key[t->order[where - 1]] < t->key[i]; where--) {
            t->order[where] = t->order[where - 1];
        }
        t->order[where] = i;
    }
}

enum key { DEGREE, SIZE, NEIGHBOURHOOD, KEYS };

/* How many a segment lives with; how long it is; how heavy it and those that it lives with are. */
static size_t key_of(const struct overlay_graph *g, size_t i, enum key key)
{
    size_t degree = 0, weight = g->size[i];
    const uint64_t *row = overlay_row(g->together, g->words, i);
    for (size_t j = bitmap_next_set(row, 0, g->n); j < g->n; j = bitmap_next_set(row, j + 1, g->n)) {
        degree++;
        weight += g->size[j];
    }
    return key == DEGREE ? degree : key == SIZE ? g->size[i] : weight;
}

static void sort_by(const struct overlay_graph *g, struct attempt *t, enum key key)
{
    for (size_t i = 0; i < g->n; i++) {
        t->order[i] = i;
        t->key[i] = key_of(g, i, key);
    }
    sort(g, t);
}

/* The weight of the heaviest set that is found from each segment by adding what lives with all of it, `order` being by size. From
 * a tree's leaf that is the way to the root. */
static size_t heaviest_clique(const struct overlay_graph *g, const size_t *order, uint64_t *candidates)
{
    size_t heaviest = 0;
    for (size_t i = 0; i < g->n; i++) {
        size_t weight = g->size[i];
        memcpy(candidates, overlay_row(g->together, g->words, i), g->words * sizeof *candidates);
        for (size_t k = 0; k < g->n; k++) {
            size_t j = order[k];
            if (bitmap_test(candidates, j)) {
                weight += g->size[j];
                for (size_t w = 0; w < g->words; w++) {
                    candidates[w] &= overlay_row(g->together, g->words, j)[w];
                }
            }
        }
        heaviest = size_max(heaviest, weight);
    }
    return heaviest;
}

/* Fits in the order that `t` has; the better layout of this one and the best so far stays in `best` and `out`. */
static size_t try(const struct overlay_graph *g, struct attempt *t, size_t *best, struct allot_overlay_layout *out)
{
    size_t area = first_fit(g, t);
    if (area < out->area) {
        out->area = area;
        memcpy(best, t->at, g->n * sizeof *best);
    }
    return area;
}

int overlay_lay_out(const struct overlay_graph *g, size_t *best, struct allot_overlay_layout *out)
{
    size_t *arrays = allot_malloc((4 * g->n + g->words) * sizeof *arrays);
    if (!arrays) {
        return -ENOMEM;
    }
    struct attempt t = {arrays, arrays + g->n, arrays + 2 * g->n, arrays + 3 * g->n};
    *out = (struct allot_overlay_layout){.area = SIZE_MAX, .total = g->total};
    sort_by(g, &t, SIZE);
    out->clique = heaviest_clique(g, t.order, (uint64_t *)(arrays + 4 * g->n));
    size_t area = 0; /* of the last attempt */
    for (enum key key = DEGREE; key < KEYS && out->area > out->clique; key++) {
        sort_by(g, &t, key);
        area = try(g, &t, best, out);
    }
    for (unsigned round = 0; round < ROUNDS && out->area > out->clique; round++) {
        for (size_t i = 0; i < g->n; i++) {
            t.key[i] = t.at[i] + g->size[i] == area;
        }
        sort(g, &t);
        area = try(g, &t, best, out);
    }
    allot_free(arrays);
    return 0;
}

int allot_overlay_plan(const struct allot_overlay_seg *segs, size_t n, const struct allot_overlay_opts *opts,
                       size_t *at, struct allot_overlay_layout *out)
{
    struct overlay_graph g;
    int failed = overlay_graph_init(&g, segs, n, opts);
    if (failed) {
        return failed;
    }
    size_t *own = at ? NULL : allot_malloc(n * sizeof *own);
    failed = at || own ? overlay_lay_out(&g, at ? at : own, out) : -ENOMEM;
    allot_free(own);
    overlay_graph_done(&g);
    return failed;
}
