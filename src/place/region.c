/* place/region.c - regions: ranges in order of offset, each taken or a hole, and calls into the region's rule. See
 * include/allot/region.h and place/region.h.
 *
 *   take    the rule finds a hole, which is cut in up to three: what is before the place, the taken range, what is behind
 *   give    the range becomes a hole and merges with the holes beside it, which the chain tells without a search
 *
 * Every call that may want more records asks for them before it changes anything; give never wants any.
 */
#include <errno.h>

#include "os/fault.h"
#include "os/lock.h"
#include "place/bins.h"
#include "place/region.h"

/* -- the rules -- */

static uint32_t find(struct allot_region *r, uint64_t size, const struct place_bounds *b, uint64_t *at)
{
    switch ((enum allot_fit)state_of(r)->fit) {
    case ALLOT_FIRST:
    case ALLOT_NEXT:
        return by_offset_find(r, size, b, at);
    case ALLOT_BEST:
    case ALLOT_NEXT_BEST:
    case ALLOT_WORST:
        return by_size_find(r, size, b, at);
    case ALLOT_GROUPS:
        return groups_find(r, size, b, at);
    case ALLOT_BINS:
        return bins_find(r, size, b, at);
    case ALLOT_BUDDY:
        break;
    }
    return NONE;
}

/* What nearly every call does is compiled for each rule by itself: these are inline, and `fit` is a constant there. */
#define EACH_RULE static inline __attribute__((always_inline))

EACH_RULE void index_insert(struct allot_region *r, enum allot_fit fit, uint32_t id)
{
    switch (fit) {
    case ALLOT_FIRST:
    case ALLOT_NEXT:
        by_offset_insert(r, id);
        break;
    case ALLOT_BEST:
    case ALLOT_NEXT_BEST:
    case ALLOT_WORST:
        by_size_insert(r, id);
        break;
    case ALLOT_GROUPS:
        groups_insert(r, id);
        break;
    case ALLOT_BINS:
        bins_insert(state_of(r), r->nodes, id);
        break;
    case ALLOT_BUDDY:
        buddy_insert(r, id);
        return; /* which counts its own */
    }
    state_of(r)->holes++;
}

EACH_RULE void index_remove(struct allot_region *r, enum allot_fit fit, uint32_t id)
{
    switch (fit) {
    case ALLOT_FIRST:
    case ALLOT_NEXT:
        by_offset_remove(r, id);
        break;
    case ALLOT_BEST:
    case ALLOT_NEXT_BEST:
    case ALLOT_WORST:
        by_size_remove(r, id);
        break;
    case ALLOT_GROUPS:
        groups_remove(r, id);
        break;
    case ALLOT_BINS:
        bins_remove(state_of(r), r->nodes, id);
        break;
    case ALLOT_BUDDY:
        break;
    }
    state_of(r)->holes--;
}

/* A hole has other ends, between the same neighbours. */
EACH_RULE void index_change(struct allot_region *r, enum allot_fit fit, uint32_t id, uint64_t at, uint64_t size)
{
    struct region_node *n = node_of(r, id);
    switch (fit) {
    case ALLOT_FIRST:
    case ALLOT_NEXT:
        by_offset_change(r, id, at, size);
        break;
    case ALLOT_BINS:
        bins_change(state_of(r), r->nodes, id, at, size);
        break;
    case ALLOT_BEST:
    case ALLOT_NEXT_BEST:
    case ALLOT_WORST:
        by_size_change(r, id, at, size);
        break;
    case ALLOT_GROUPS:
        groups_remove(r, id);
        n->at = at;
        n->size = size;
        groups_insert(r, id);
        break;
    case ALLOT_BUDDY:
        break;
    }
}

void region_insert_hole(struct allot_region *r, uint32_t id) { index_insert(r, state_of(r)->fit, id); }
static void remove_hole(struct allot_region *r, uint32_t id) { index_remove(r, state_of(r)->fit, id); }
static void change_hole(struct allot_region *r, uint32_t id, uint64_t at, uint64_t size)
{
    index_change(r, state_of(r)->fit, id, at, size);
}

uint64_t region_largest(const struct allot_region *r)
{
    switch ((enum allot_fit)state_of(r)->fit) {
    case ALLOT_FIRST:
    case ALLOT_NEXT:
        return by_offset_largest(r);
    case ALLOT_BEST:
    case ALLOT_NEXT_BEST:
    case ALLOT_WORST:
        return by_size_largest(r);
    case ALLOT_GROUPS:
        return groups_largest(r);
    case ALLOT_BINS:
        return bins_largest(r);
    case ALLOT_BUDDY:
        return buddy_largest(r);
    }
    return 0;
}

/* -- cutting and merging -- */

static uint32_t region_cut(struct allot_region *r, uint32_t hole, uint64_t at, uint64_t size)
{
    if (unlikely(!region_ensure(r, 2, 1))) {
        return NONE;
    }
    struct region_node *h = node_of(r, hole);
    uint64_t before = at - h->at, behind = node_end(h) - (at + size);
    uint32_t id = hole;
    if (before == 0 && behind == 0) {
        remove_hole(r, hole);
    } else {
        id = region_new_node(r);
        struct region_node *n = node_of(r, id);
        n->at = at;
        n->size = size;
        region_chain(r, id, before ? hole : h->prev);
        if (before == 0) {
            change_hole(r, hole, at + size, behind);
        } else {
            change_hole(r, hole, h->at, before);
        }
        if (before && behind) {
            uint32_t rest = region_new_node(r);
            struct region_node *b = node_of(r, rest);
            b->at = at + size;
            b->size = behind;
            b->link[0] = NONE;
            region_chain(r, rest, id);
            region_insert_hole(r, rest);
        }
    }
    region_mark_taken(node_of(r, id), 0);
    state_of(r)->used += size;
    return id;
}

/* The hole behind a node, if one touches it; and the one before it. */
static uint32_t hole_behind(const struct region_node *nodes, const struct region_node *n)
{
    return n->next != NONE && is_hole(&nodes[n->next]) && node_end(n) == nodes[n->next].at ? n->next : NONE;
}

static uint32_t hole_before(const struct region_node *nodes, const struct region_node *n)
{
    return n->prev != NONE && is_hole(&nodes[n->prev]) && node_end(&nodes[n->prev]) == n->at ? n->prev : NONE;
}

static inline void drop_chained(struct allot_region *r, uint32_t id)
{
    region_unchain(r, id);
    region_drop_node(r, id);
}

/* A hole that is in the chain and not in the index merges with those beside it. */
EACH_RULE void merge_hole(struct allot_region *r, enum allot_fit fit, uint32_t id)
{
    const struct region_node *nodes = r->nodes, *n = &nodes[id];
    uint32_t before = hole_before(nodes, n), behind = hole_behind(nodes, n);
    if (before == NONE && behind == NONE) {
        index_insert(r, fit, id);
        return;
    }
    uint64_t at = n->at, end = node_end(n);
    drop_chained(r, id);
    if (before == NONE) {
        index_change(r, fit, behind, at, node_end(&nodes[behind]) - at);
        return;
    }
    if (behind != NONE) {
        end = node_end(&nodes[behind]);
        index_remove(r, fit, behind);
        drop_chained(r, behind);
    }
    at = nodes[before].at;
    index_change(r, fit, before, at, end - at);
}

void region_merge_hole(struct allot_region *r, uint32_t id) { merge_hole(r, state_of(r)->fit, id); }

/* -- calls -- */

void region_lock_more(struct allot_region *r)
{
    if (unlikely(!r->state)) {
        allot_fault("use of a region that was not initialised, or is done", "region", r);
    }
    struct region_state *s = state_of(r);
    if (s->lock == ALLOT_REGION_LOCKED) {
        os_lock((struct os_lock *)&r->lock);
    } else if (pthread_mutex_lock(&s->mutex) == EOWNERDEAD) {
        CHECK(region_rebuild(r), "region", s);
        pthread_mutex_consistent(&s->mutex);
    }
}

void region_unlock_more(struct allot_region *r)
{
    if (state_of(r)->lock == ALLOT_REGION_LOCKED) {
        os_unlock((struct os_lock *)&r->lock);
    } else {
        pthread_mutex_unlock(&state_of(r)->mutex);
    }
}

/* How long the range is that touches a hole there. Where a span begins it is longer than any, where it ends shorter: what is free there
 * stays in one piece, to be given back or grown into. */
static inline uint64_t length_before(const struct region_node *nodes, const struct region_node *h)
{
    const struct region_node *n = h->prev == NONE ? h : &nodes[h->prev];
    return node_end(n) == h->at ? n->size : UINT64_MAX;
}

static inline uint64_t length_behind(const struct region_node *nodes, const struct region_node *h)
{
    const struct region_node *n = h->next == NONE ? h : &nodes[h->next];
    return node_end(h) == n->at ? n->size : 0;
}

/* Best fit takes the end of the hole that is beside the longer range. What is left lies beside the shorter one: when that goes,
 * the two are a hole that is of more use, while the longer one leaves a long hole anyway (docs/place.md has what that gains). */
static inline bool best_is_high(const struct region_node *nodes, const struct region_node *h)
{
    return length_before(nodes, h) < length_behind(nodes, h);
}

/* What the rule takes, or why not. */
static int take(struct allot_region *r, uint64_t size, const struct place_bounds *b, struct allot_range *out)
{
    struct region_state *s = state_of(r);
    uint32_t id;
    if (s->fit == ALLOT_BUDDY) {
        int failed = buddy_take(r, size, b, &id);
        if (failed) {
            return failed;
        }
    } else {
        uint64_t at;
        uint32_t hole = find(r, size, b, &at);
        if (hole == NONE) {
            return -ENOSPC;
        }
        if (s->fit == ALLOT_BEST && b->plain && best_is_high(r->nodes, node_of(r, hole))) {
            at = node_end(node_of(r, hole)) - size;
        }
        id = region_cut(r, hole, at, size);
        if (id == NONE) {
            return -ENOMEM;
        }
        s->cursor = at + size;
    }
    s->count++;
    const struct region_node *n = node_of(r, id);
    *out = (struct allot_range){n->at, n->size, id};
    return 0;
}

static int take_locked(struct allot_region *r, uint64_t size, const struct place_bounds *b, struct allot_range *out)
{
    region_lock(r);
    struct region_state *s = state_of(r);
    struct place_bounds bounds = *b;
    int failed = -EINVAL;
    bounds.align = b->align > s->unit ? b->align : s->unit;
    bounds.plain = b->plain && bounds.align == s->unit;
    if (size > OFFSETS_END) {
        failed = size ? -ENOSPC : -EINVAL;
    } else if (size && (b->phase & (s->unit - 1)) == 0) {
        failed = take(r, align_up(size, s->unit), &bounds, out);
    }
    s->refused += failed == -ENOSPC || failed == -ENOMEM;
    region_unlock(r);
    return failed;
}

/* As take, where any place will do: false when there is more to it. */
EACH_RULE bool take_plain(struct allot_region *r, enum allot_fit fit, uint64_t size, struct allot_range *out)
{
    struct region_state *s = state_of(r);
    uint32_t hole = NONE;
    size = align_up(size, s->unit);
    if (unlikely(!region_ensure(r, 1, 1))) {
        return false;
    }
    if (fit == ALLOT_FIRST) {
        hole = by_offset_lowest(r, size);
    } else if (fit == ALLOT_BINS) {
        uint32_t bin = bins_first_list(s, size);
        hole = bin < s->bins ? s->heads[bin] : NONE;
    } else {
        hole = by_size_take(r, size);
    }
    if (unlikely(hole == NONE)) {
        return false;
    }
    struct region_node *nodes = r->nodes, *h = &nodes[hole];
    uint64_t at = h->at, rest = h->size - size;
    uint32_t id = hole;
    bool high = fit == ALLOT_BEST && s->fit == ALLOT_BEST && best_is_high(nodes, h);
    at += high ? rest : 0;
    if (rest) {
        id = region_new_node(r);
        nodes[id].at = at;
        nodes[id].size = size;
        region_chain(r, id, high ? hole : h->prev);
    }
    if (fit == ALLOT_BEST) {
        s->holes--; /* by_size_take has it out already */
        if (rest) {
            h->at += high ? 0 : size;
            h->size = rest;
            index_insert(r, fit, hole);
        }
    } else if (rest) {
        index_change(r, fit, hole, at + size, rest);
    } else {
        index_remove(r, fit, hole);
    }
    region_mark_taken(&nodes[id], 0);
    s->used += size;
    s->count++;
    *out = (struct allot_range){at, size, id};
    return true;
}

int allot_region_take(struct allot_region *r, uint64_t size, uint64_t align, struct allot_range *out)
{
    const struct region_state *s = state_of(r);
    if (unlikely(align & (align - 1))) {
        return -EINVAL;
    }
    if (likely(region_is_unlocked(r) && align <= s->unit && size - 1 < OFFSETS_END)) {
        bool taken = false;
        if (s->fit == ALLOT_BINS) {
            taken = take_plain(r, ALLOT_BINS, size, out);
        } else if (s->fit == ALLOT_BEST || s->fit == ALLOT_NEXT_BEST) {
            taken = take_plain(r, ALLOT_BEST, size, out);
        } else if (s->fit == ALLOT_FIRST) {
            taken = take_plain(r, ALLOT_FIRST, size, out);
        }
        if (likely(taken)) {
            return 0;
        }
    }
    struct place_bounds b = {.align = align, .max = OFFSETS_END, .plain = true, .only_aligned = true};
    return take_locked(r, size, &b, out);
}

int allot_region_take_in(struct allot_region *r, uint64_t size, const struct allot_bounds *bounds,
                         struct allot_range *out)
{
    struct place_bounds b = {.align = bounds->align ? bounds->align : 1,
                             .phase = bounds->phase,
                             .nocross = bounds->nocross,
                             .min = bounds->min < OFFSETS_END ? bounds->min : OFFSETS_END,
                             .max = bounds->max && bounds->max < OFFSETS_END ? bounds->max : OFFSETS_END};
    if ((b.align & (b.align - 1)) || (b.nocross & (b.nocross - 1)) || b.phase >= b.align) {
        return -EINVAL;
    }
    b.only_aligned = b.plain = !b.phase && !b.nocross && !b.min && b.max == OFFSETS_END;
    return take_locked(r, size, &b, out);
}

uint32_t region_hole_at(struct allot_region *r, uint64_t at, uint64_t size)
{
    struct region_state *s = state_of(r);
    uint32_t id;
    if (region_has_tree(s)) {
        id = by_offset_before(r, at);
    } else {
        id = s->finger != NONE ? s->finger : s->first;
        while (id != NONE && node_of(r, id)->at > at) {
            id = node_of(r, id)->prev;
        }
        while (id != NONE && node_end(node_of(r, id)) <= at) {
            id = node_of(r, id)->next;
        }
        s->finger = id != NONE ? id : s->last;
    }
    if (id == NONE) {
        return NONE;
    }
    const struct region_node *n = node_of(r, id);
    return is_hole(n) && n->at <= at && at < node_end(n) && node_end(n) - at >= size ? id : NONE;
}

int region_claim(struct allot_region *r, uint64_t at, uint64_t size, struct allot_range *out)
{
    struct region_state *s = state_of(r);
    if (size == 0 || ((at | size) & (s->unit - 1))) {
        return -EINVAL;
    }
    if (at >= OFFSETS_END || size > OFFSETS_END - at) {
        return -ENOSPC;
    }
    uint32_t id;
    if (s->fit == ALLOT_BUDDY) {
        int failed = buddy_claim(r, at, size, &id);
        if (failed) {
            return failed;
        }
    } else {
        uint32_t hole = region_hole_at(r, at, size);
        if (hole == NONE) {
            return -ENOSPC;
        }
        id = region_cut(r, hole, at, size);
        if (id == NONE) {
            return -ENOMEM;
        }
    }
    s->count++;
    *out = region_range(r, id);
    return 0;
}

int allot_region_claim(struct allot_region *r, uint64_t at, uint64_t size, struct allot_range *out)
{
    region_lock(r);
    int failed = region_claim(r, at, size, out);
    state_of(r)->refused += failed == -ENOSPC || failed == -ENOMEM;
    region_unlock(r);
    return failed;
}

/* The taken node of a range that the caller says it has. */
static inline struct region_node *expect_taken(struct allot_region *r, const struct allot_range *range,
                                               const char *crime)
{
    struct region_node *n = node_of(r, range->id);
    bool taken = range->id < state_of(r)->fresh_nodes && n->link[0] == NODE_TAKEN && n->at == range->at &&
                 !(n->link[1] & PIECE_PART) && (n->size == range->size || (n->link[1] & PIECE_MORE));
    if (unlikely(!taken)) {
        allot_fault(crime, "range", (void *)(uintptr_t)range->at);
    }
    return n;
}

EACH_RULE void give(struct allot_region *r, const struct allot_range *range)
{
    struct region_state *s = state_of(r);
    uint32_t id = range->id;
    struct region_node *n = expect_taken(r, range, "double give, or give of a range that was not taken");
    s->count--;
    if (unlikely(s->fit == ALLOT_BUDDY)) {
        buddy_give(r, id);
        return;
    }
    n->link[0] = NONE;
    s->used -= n->size;
    if (s->fit == ALLOT_BINS) {
        merge_hole(r, ALLOT_BINS, id);
    } else if (s->fit <= ALLOT_NEXT) {
        merge_hole(r, ALLOT_FIRST, id);
    } else if (s->fit <= ALLOT_WORST) {
        merge_hole(r, ALLOT_BEST, id);
    } else {
        merge_hole(r, ALLOT_GROUPS, id);
    }
}

void region_give(struct allot_region *r, const struct allot_range *range) { give(r, range); }

void allot_region_give(struct allot_region *r, const struct allot_range *range)
{
    if (likely(region_is_unlocked(r))) {
        give(r, range);
        return;
    }
    region_lock(r);
    region_give(r, range);
    region_unlock(r);
}

/* Makes a taken range longer by what is behind it, or shorter. */
static int resize(struct allot_region *r, uint32_t id, uint64_t size)
{
    struct region_state *s = state_of(r);
    struct region_node *n = node_of(r, id);
    uint32_t behind = hole_behind(r->nodes, n);
    uint64_t end = n->at + size;
    if (size > n->size) {
        if (behind == NONE || node_end(node_of(r, behind)) < end) {
            return -ENOSPC;
        }
        s->used += size - n->size;
        uint64_t rest = node_end(node_of(r, behind)) - end;
        if (rest == 0) {
            remove_hole(r, behind);
            drop_chained(r, behind);
        } else {
            change_hole(r, behind, end, rest);
        }
    } else if (size < n->size) {
        if (behind == NONE && !region_ensure(r, 1, 0)) {
            return -ENOMEM;
        }
        s->used -= node_of(r, id)->size - size;
        uint64_t was = node_end(node_of(r, id));
        if (behind != NONE) {
            change_hole(r, behind, end, node_end(node_of(r, behind)) - end);
        } else {
            behind = region_new_node(r);
            struct region_node *b = node_of(r, behind);
            b->at = end;
            b->size = was - end;
            b->link[0] = NONE;
            region_chain(r, behind, id);
            region_insert_hole(r, behind);
        }
    }
    node_of(r, id)->size = size;
    return 0;
}

int allot_region_resize(struct allot_region *r, struct allot_range *range, uint64_t size)
{
    region_lock(r);
    struct region_state *s = state_of(r);
    expect_taken(r, range, "resize of a range that was not taken");
    int failed = -EINVAL;
    if (size > OFFSETS_END - range->at) {
        failed = -ENOSPC;
    } else if (size) {
        size = align_up(size, s->unit);
        failed = s->fit == ALLOT_BUDDY ? buddy_resize(r, range->id, size) : resize(r, range->id, size);
    }
    if (!failed) {
        *range = region_range(r, range->id);
    }
    s->refused += failed == -ENOSPC || failed == -ENOMEM;
    region_unlock(r);
    return failed;
}

void allot_region_reset(struct allot_region *r)
{
    region_lock(r);
    for (uint32_t id = 0; id < state_of(r)->fresh_nodes; id++) {
        struct region_node *n = node_of(r, id);
        if (n->link[0] == NODE_TAKEN) {
            n->link[0] = NODE_UNUSED;
        }
    }
    CHECK(region_rebuild(r), "region", r);
    region_unlock(r);
}

int allot_region_reserve(struct allot_region *r, uint64_t ranges)
{
    region_lock(r);
    struct region_state *s = state_of(r);
    uint64_t each = s->fit == ALLOT_BUDDY ? 63 - s->shift : 2;
    bool enough = ranges < NONE && region_ensure(r, ranges * each, ranges);
    region_unlock(r);
    return enough ? 0 : -ENOMEM;
}
