/* place/groups.c - the range in equal areas, each of which knows its holes, the smallest and the largest one.
 *
 *   area:       0          1        2          3
 *   smallest:   2          -        1          7        a request for 3 looks at 2, then 0, then 3: the first whose largest is
 *   largest:    2          -        9          7        3 or more has it; there the tightest hole
 *
 * Areas with small holes are used up first, so that the others stay whole. A hole is of the area where it begins, also when it goes
 * beyond its end, so nothing is refused for being longer than an area; offsets before and beyond the first span count on, modulo.
 * O(areas) for the choice, O(log n) in an area's tree (place/by_size.c).
 */
#include "os/fault.h"
#include "place/region.h"

struct area_ends {
    uint64_t smallest, largest; /* 0: no holes */
};

static struct area_ends *ends_of(const struct allot_region *r)
{
    struct region_state *s = state_of(r);
    return (struct area_ends *)&s->heads[align_up(s->areas, 2)];
}

static uint32_t area_of(const struct allot_region *r, const struct region_node *n)
{
    const struct region_state *s = state_of(r);
    return (uint32_t)(((n->at - s->base) >> s->shift) / s->area % s->areas);
}

static void measure(struct allot_region *r, uint32_t area)
{
    uint32_t root = state_of(r)->heads[area];
    struct area_ends *ends = &ends_of(r)[area];
    if (root == NONE) {
        *ends = (struct area_ends){0, 0};
        return;
    }
    ends->smallest = node_of(r, size_tree_from(r, root, 0))->size;
    ends->largest = node_of(r, size_tree_last(r, root))->size;
}

void groups_insert(struct allot_region *r, uint32_t id)
{
    const struct region_node *n = node_of(r, id);
    uint32_t area = area_of(r, n);
    struct area_ends *ends = &ends_of(r)[area];
    size_tree_insert(r, &state_of(r)->heads[area], id);
    ends->smallest = ends->largest == 0 || n->size < ends->smallest ? n->size : ends->smallest;
    ends->largest = n->size > ends->largest ? n->size : ends->largest;
}

void groups_remove(struct allot_region *r, uint32_t id)
{
    const struct region_node *n = node_of(r, id);
    uint32_t area = area_of(r, n);
    const struct area_ends *ends = &ends_of(r)[area];
    size_tree_remove(r, &state_of(r)->heads[area], id);
    if (n->size == ends->smallest || n->size == ends->largest) {
        measure(r, area);
    }
}

uint64_t groups_largest(const struct allot_region *r)
{
    uint64_t largest = 0;
    for (uint32_t area = 0; area < state_of(r)->areas; area++) {
        uint64_t its = ends_of(r)[area].largest;
        largest = its > largest ? its : largest;
    }
    return largest;
}

uint32_t groups_find(struct allot_region *r, uint64_t size, const struct place_bounds *b, uint64_t *at)
{
    const struct region_state *s = state_of(r);
    const struct area_ends *ends = ends_of(r);
    /* In order of (smallest, area), from `done` on. */
    uint64_t done = 0;
    uint32_t next = 0;
    for (;;) {
        uint32_t chosen = NONE;
        for (uint32_t area = 0; area < s->areas; area++) {
            bool later = ends[area].smallest > done || (ends[area].smallest == done && area >= next);
            if (later && ends[area].largest >= size &&
                (chosen == NONE || ends[area].smallest < ends[chosen].smallest)) {
                chosen = area;
            }
        }
        if (chosen == NONE) {
            return NONE;
        }
        uint32_t id = size_tree_find(r, state_of(r)->heads[chosen], size, b, at);
        if (id != NONE) {
            return id;
        }
        done = ends[chosen].smallest;
        next = chosen + 1;
    }
}

void groups_check(const struct allot_region *r)
{
    const struct region_state *s = state_of(r);
    uint64_t holes = 0;
    for (uint32_t area = 0; area < s->areas; area++) {
        uint32_t root = state_of(r)->heads[area];
        struct area_ends ends = ends_of(r)[area];
        uint64_t here = size_tree_check(r, root, NONE);
        if (here == 0) {
            CHECK(ends.smallest == 0 && ends.largest == 0, "region", s);
            continue;
        }
        uint32_t first = size_tree_from(r, root, 0);
        CHECK(node_of(r, first)->size == ends.smallest, "region", s);
        CHECK(node_of(r, size_tree_last(r, root))->size == ends.largest, "region", s);
        CHECK(area_of(r, node_of(r, root)) == area, "region", s);
        holes += here;
    }
    CHECK(holes == s->holes, "region", s);
}
