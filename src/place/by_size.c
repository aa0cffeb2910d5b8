/* place/by_size.c - holes in order of size: best fit, next-best fit, worst fit.
 *
 *   bin:    1  2  3 ... 255 | 256-257  258-259 ...      each of the first 256 sizes by itself, then 128 to a doubling
 *   tree:      .               .                        the holes of one bin, by size and then by offset
 *             / \               \
 *
 * Most bins have a few holes, so the trees are low; and where one bin has them all it is one tree of O(log n). They are treaps:
 * ordered by key, and parents before children by a number that the node's own number is scrambled to, so nothing has to be kept
 * beyond two links. Splitting and joining go from the top down, without recursion.
 * (Seidel and Aragon, "Randomized search trees", 1996; Tarjan, Levy and Timmel, "Zip trees", 2021.)
 *
 * Of equal sizes best fit wants the highest offset first, so it orders by the complement.
 */
#include "os/fault.h"
#include "place/region.h"

#define BITS 7

/* Who stands above whom. */
static uint32_t rank_of(uint32_t id)
{
    id *= 0x9e3779b1u;
    return (id ^ id >> 15) * 0x85ebca77u;
}

uint64_t size_turn(const struct allot_region *r) { return state_of(r)->fit == ALLOT_BEST ? ~(uint64_t)0 : 0; }

static inline bool before(const struct region_node *n, uint64_t turn, struct size_key key)
{
    return n->size < key.size || (n->size == key.size && (n->at ^ turn) < key.turned);
}

/* The first key behind a node's. */
static struct size_key key_after(const struct region_node *n, uint64_t turn)
{
    uint64_t turned = (n->at ^ turn) + 1;
    return (struct size_key){n->size + (turned == 0), turned};
}

void size_tree_insert(struct allot_region *r, uint32_t *root, uint32_t id)
{
    uint64_t turn = size_turn(r);
    struct region_node *n = node_of(r, id);
    struct size_key key = {n->size, n->at ^ turn};
    uint32_t rank = rank_of(id), *link = root, below;
    while ((below = *link) != NONE && rank_of(below) >= rank) {
        struct region_node *b = node_of(r, below);
        link = &b->link[before(b, turn, key)];
    }
    *link = id;
    /* What was there is split: what is before the new one, and what is behind it. */
    uint32_t *low = &n->link[0], *high = &n->link[1];
    while (below != NONE) {
        struct region_node *b = node_of(r, below);
        if (before(b, turn, key)) {
            *low = below;
            low = &b->link[1];
            below = b->link[1];
        } else {
            *high = below;
            high = &b->link[0];
            below = b->link[0];
        }
    }
    *low = *high = NONE;
}

void size_tree_remove(struct allot_region *r, uint32_t *root, uint32_t id)
{
    uint64_t turn = size_turn(r);
    const struct region_node *n = node_of(r, id);
    struct size_key key = {n->size, n->at ^ turn};
    uint32_t *link = root, at;
    while ((at = *link) != id) {
        CHECK(at != NONE, "region", n);
        struct region_node *b = node_of(r, at);
        link = &b->link[before(b, turn, key)];
    }
    uint32_t low = n->link[0], high = n->link[1];
    while (low != NONE && high != NONE) {
        if (rank_of(low) >= rank_of(high)) {
            *link = low;
            link = &node_of(r, low)->link[1];
            low = *link;
        } else {
            *link = high;
            link = &node_of(r, high)->link[0];
            high = *link;
        }
    }
    *link = low != NONE ? low : high;
}

uint32_t size_tree_from(const struct allot_region *r, uint32_t root, struct size_key key)
{
    uint64_t turn = size_turn(r);
    uint32_t found = NONE;
    while (root != NONE) {
        const struct region_node *n = node_of(r, root);
        if (before(n, turn, key)) {
            root = n->link[1];
        } else {
            found = root;
            root = n->link[0];
        }
    }
    return found;
}

uint32_t size_tree_last(const struct allot_region *r, uint32_t root)
{
    uint32_t last = root;
    while (root != NONE) {
        last = root;
        root = node_of(r, root)->link[1];
    }
    return last;
}

uint32_t size_tree_find(const struct allot_region *r, uint32_t root, uint64_t size, const struct place_bounds *b,
                        uint64_t *at)
{
    struct size_key key = {size, 0};
    for (uint32_t id; (id = size_tree_from(r, root, key)) != NONE;) {
        const struct region_node *n = node_of(r, id);
        if (lowest_place(n->at, node_end(n), size, b, at)) {
            return id;
        }
        key = key_after(n, size_turn(r));
    }
    return NONE;
}

static inline uint32_t bin_of(const struct allot_region *r, uint64_t size)
{
    const struct region_state *s = state_of(r);
    uint32_t bin = bin_below(size >> s->shift, BITS);
    return bin < s->bins.count ? bin : s->bins.count - 1;
}

uint32_t by_size_bins(uint64_t units) { return bin_below(units, BITS) + 1; }

void by_size_insert(struct allot_region *r, uint32_t id)
{
    uint32_t bin = bin_of(r, node_of(r, id)->size), *root = &bin_heads(r)[bin];
    if (*root == NONE) {
        bin_mark_full(r, bin);
    }
    size_tree_insert(r, root, id);
}

void by_size_remove(struct allot_region *r, uint32_t id)
{
    uint32_t bin = bin_of(r, node_of(r, id)->size), *root = &bin_heads(r)[bin];
    size_tree_remove(r, root, id);
    if (*root == NONE) {
        bin_mark_empty(r, bin);
    }
}

uint64_t by_size_largest(const struct allot_region *r)
{
    uint32_t bin = bin_last(r);
    return bin == state_of(r)->bins.count ? 0 : node_of(r, size_tree_last(r, bin_heads(r)[bin]))->size;
}

/* The largest hole, of equal ones the lowest; then those after it. */
static uint32_t worst(struct allot_region *r, uint64_t size, const struct place_bounds *b, uint64_t *at)
{
    uint64_t longest = by_size_largest(r);
    while (longest >= size) {
        uint32_t root = bin_heads(r)[bin_of(r, longest)];
        struct size_key key = {longest, 0};
        for (uint32_t id; (id = size_tree_from(r, root, key)) != NONE && node_of(r, id)->size == longest;) {
            if (place_in_hole(node_of(r, id), size, b, at)) {
                return id;
            }
            key.turned = node_of(r, id)->at + 1;
        }
        /* The next shorter one. */
        uint64_t shorter = 0;
        for (uint32_t bin = bin_of(r, longest) + 1; bin-- > 0 && shorter == 0;) {
            for (uint32_t id = bin_heads(r)[bin]; id != NONE;) {
                const struct region_node *n = node_of(r, id);
                shorter = n->size < longest ? n->size : shorter;
                id = n->link[n->size < longest];
            }
        }
        longest = shorter;
    }
    return NONE;
}

uint32_t by_size_find(struct allot_region *r, uint64_t size, const struct place_bounds *b, uint64_t *at)
{
    if (state_of(r)->fit == ALLOT_WORST) {
        return size ? worst(r, size, b, at) : NONE;
    }
    uint32_t count = state_of(r)->bins.count;
    for (uint32_t bin = bin_of(r, size); (bin = bin_next(r, bin)) < count; bin++) {
        uint32_t id = size_tree_find(r, bin_heads(r)[bin], size, b, at);
        if (id != NONE) {
            return id;
        }
    }
    return NONE;
}

/* Proves a tree's order, of keys and of ranks, going through it by its keys; returns how many it has. */
uint64_t size_tree_check(const struct allot_region *r, uint32_t root, uint32_t bin)
{
    uint64_t count = 0, turn = size_turn(r);
    struct size_key key = {0, 0};
    for (uint32_t id; (id = size_tree_from(r, root, key)) != NONE; count++) {
        const struct region_node *n = node_of(r, id);
        CHECK(is_hole(n), "region", n);
        CHECK(bin == NONE || bin_of(r, n->size) == bin, "region", n);
        for (int side = 0; side < 2; side++) {
            CHECK(n->link[side] == NONE || rank_of(n->link[side]) <= rank_of(id), "region", n);
        }
        key = key_after(n, turn);
    }
    return count;
}

void by_size_check(const struct allot_region *r)
{
    const struct region_state *s = state_of(r);
    uint64_t holes = 0;
    for (uint32_t bin = 0; bin < s->bins.count; bin++) {
        uint32_t root = bin_heads(r)[bin];
        CHECK((root != NONE) == bitmap_test(bin_full(r), bin), "region", s);
        CHECK((bin_full(r)[bin / 64] != 0) == bitmap_test(s->bins.fuller, bin / 64), "region", s);
        holes += size_tree_check(r, root, bin);
    }
    CHECK(holes == s->holes, "region", s);
}
