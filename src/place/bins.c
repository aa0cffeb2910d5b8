/* place/bins.c - holes in lists by size: a good fit in a handful of steps.
 *
 *   list:  1  2  3 ... 63 | 64-65  66-67 ...      each of the first 64 sizes by itself, then 32 to a doubling
 *          .     .           .
 *
 * A request takes the hole that came last of the first list whose holes are all long enough: two looks at bitmaps, no search.
 * Only when there is none may the list below, where some are long enough and some not, still have one: it is looked through, so
 * what is reported as the largest can always be had. O(1) but for that. (Masmano, Ripoll, Crespo and Real, "TLSF", 2004.)
 */
#include "place/bins.h"
#include "os/fault.h"

uint64_t bins_largest(const struct allot_region *r)
{
    const struct region_state *s = state_of(r);
    uint32_t bin = bin_last(s);
    uint64_t largest = 0;
    if (bin < s->bins) {
        for (uint32_t id = s->heads[bin]; id != NONE; id = node_of(r, id)->link[1]) {
            largest = node_of(r, id)->size > largest ? node_of(r, id)->size : largest;
        }
    }
    return largest;
}

static uint32_t search_list(const struct allot_region *r, uint32_t bin, uint64_t size, const struct place_bounds *b,
                            uint64_t *at)
{
    uint32_t id = state_of(r)->heads[bin];
    while (id != NONE && !place_in_hole(node_of(r, id), size, b, at)) {
        id = node_of(r, id)->link[1];
    }
    return id;
}

uint32_t bins_find(struct allot_region *r, uint64_t size, const struct place_bounds *b, uint64_t *at)
{
    const struct region_state *s = state_of(r);
    if (likely(b->only_aligned)) {
        /* Where there is so much more there is an aligned place in it. */
        uint32_t bin = bins_first_list(s, b->plain ? size : size + (b->align - s->unit));
        if (likely(bin < s->bins)) {
            uint32_t id = s->heads[bin];
            place_in_hole(node_of(r, id), size, b, at);
            return id;
        }
    }
    uint32_t bin = bins_bin(s, size), end = b->plain ? bin + 1 : s->bins;
    for (; (bin = bin_next(s, bin)) < end; bin++) {
        uint32_t id = search_list(r, bin, size, b, at);
        if (id != NONE) {
            return id;
        }
    }
    return NONE;
}

void bins_check(const struct allot_region *r)
{
    const struct region_state *s = state_of(r);
    uint64_t holes = 0;
    for (uint32_t bin = 0; bin < s->bins; bin++) {
        uint32_t last = NONE, head = s->heads[bin];
        CHECK((head != NONE) == bitmap_test(s->full, bin), "region", s);
        CHECK((s->full[bin / 64] != 0) == bitmap_test(s->fuller, bin / 64), "region", s);
        for (uint32_t id = head; id != NONE; last = id, id = node_of(r, id)->link[1]) {
            const struct region_node *n = node_of(r, id);
            CHECK(is_hole(n) && n->link[0] == last && bins_bin(s, n->size) == bin, "region", n);
            holes++;
        }
    }
    CHECK(holes == s->holes, "region", s);
}
