/* place/bins.c - holes in lists by size: a good fit in a handful of steps.
 *
 *   list:  1  2  3 ... 63 | 64-65  66-67 ...      each of the first 64 sizes by itself, then 32 to a doubling
 *          .     .           .
 *
 * A request takes the hole that came last of the first list whose holes are all long enough: two looks at bitmaps, no search.
 * Only when there is none may the list below, where some are long enough and some not, still have one: it is looked through, so
 * what is reported as the largest can always be had. O(1) but for that. (Masmano, Ripoll, Crespo and Real, "TLSF", 2004.)
 */
#include "os/fault.h"
#include "place/region.h"

#define BITS 5

uint32_t bins_count(uint64_t units) { return bin_below(units, BITS) + 1; }

static inline uint32_t bin_of(const struct allot_region *r, uint64_t size)
{
    const struct region_state *s = state_of(r);
    uint32_t bin = bin_below(size >> s->shift, BITS);
    return bin < s->bins.count ? bin : s->bins.count - 1;
}

void bins_insert(struct allot_region *r, uint32_t id)
{
    struct region_node *n = node_of(r, id);
    uint32_t bin = bin_of(r, n->size), *head = &bin_heads(r)[bin];
    n->link[0] = NONE;
    n->link[1] = *head;
    if (*head == NONE) {
        bin_mark_full(r, bin);
    } else {
        node_of(r, *head)->link[0] = id;
    }
    *head = id;
}

void bins_remove(struct allot_region *r, uint32_t id)
{
    const struct region_node *n = node_of(r, id);
    if (n->link[1] != NONE) {
        node_of(r, n->link[1])->link[0] = n->link[0];
    }
    if (n->link[0] != NONE) {
        node_of(r, n->link[0])->link[1] = n->link[1];
        return;
    }
    uint32_t bin = bin_of(r, n->size);
    bin_heads(r)[bin] = n->link[1];
    if (n->link[1] == NONE) {
        bin_mark_empty(r, bin);
    }
}

uint64_t bins_largest(const struct allot_region *r)
{
    uint32_t bin = bin_last(r);
    uint64_t largest = 0;
    if (bin < state_of(r)->bins.count) {
        for (uint32_t id = bin_heads(r)[bin]; id != NONE; id = node_of(r, id)->link[1]) {
            largest = node_of(r, id)->size > largest ? node_of(r, id)->size : largest;
        }
    }
    return largest;
}

static uint32_t search_list(const struct allot_region *r, uint32_t bin, uint64_t size, const struct place_bounds *b,
                            uint64_t *at)
{
    uint32_t id = bin_heads(r)[bin];
    while (id != NONE && !place_in_hole(node_of(r, id), size, b, at)) {
        id = node_of(r, id)->link[1];
    }
    return id;
}

/* The first list all of whose holes have so much, or any above it; the count of lists when there is none. */
static uint32_t first_list(const struct allot_region *r, uint64_t size)
{
    uint64_t units = size >> state_of(r)->shift;
    uint64_t rounding = units < (uint64_t)2 << BITS ? 0 : ((uint64_t)1 << (log2_floor(units) - BITS)) - 1;
    return bin_next(r, bin_below(units + rounding, BITS));
}

uint32_t bins_find(struct allot_region *r, uint64_t size, const struct place_bounds *b, uint64_t *at)
{
    const struct region_state *s = state_of(r);
    if (likely(b->only_aligned)) {
        /* Where there is so much more there is an aligned place in it. */
        uint32_t bin = first_list(r, b->plain ? size : size + (b->align - s->unit));
        if (likely(bin < s->bins.count)) {
            uint32_t id = bin_heads(r)[bin];
            place_in_hole(node_of(r, id), size, b, at);
            return id;
        }
    }
    uint32_t bin = bin_of(r, size), end = b->plain ? bin + 1 : s->bins.count;
    for (; (bin = bin_next(r, bin)) < end; bin++) {
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
    for (uint32_t bin = 0; bin < s->bins.count; bin++) {
        uint32_t last = NONE, head = bin_heads(r)[bin];
        CHECK((head != NONE) == bitmap_test(bin_full(r), bin), "region", s);
        CHECK((bin_full(r)[bin / 64] != 0) == bitmap_test(s->bins.fuller, bin / 64), "region", s);
        for (uint32_t id = head; id != NONE; last = id, id = node_of(r, id)->link[1]) {
            const struct region_node *n = node_of(r, id);
            CHECK(is_hole(n) && n->link[0] == last && bin_of(r, n->size) == bin, "region", n);
            holes++;
        }
    }
    CHECK(holes == s->holes, "region", s);
}
