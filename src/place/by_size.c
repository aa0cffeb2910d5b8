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

/* Who stands above whom. */
static uint32_t rank_of(uint32_t id)
{
    id *= 0x9e3779b1u;
    return (id ^ id >> 15) * 0x85ebca77u;
}

uint64_t size_turn(const struct allot_region *r) { return state_of(r)->fit == ALLOT_BEST ? ~(uint64_t)0 : 0; }

static inline size_key key_of(const struct region_node *n, uint64_t turn) { return size_key_of(n->size, n->at ^ turn); }

/* Which way to go at a node is as good as random: it is computed, so that no branch has to be guessed. */
void size_tree_insert(struct allot_region *r, uint32_t *root, uint32_t id)
{
    uint64_t turn = size_turn(r);
    struct region_node *n = node_of(r, id);
    size_key key = key_of(n, turn);
    uint32_t rank = rank_of(id), *link = root, below;
    while ((below = *link) != NONE && rank_of(below) >= rank) {
        struct region_node *b = node_of(r, below);
        link = &b->link[key_of(b, turn) < key];
    }
    *link = id;
    /* What was there is split: what is behind the new one, and what is before it. */
    uint32_t *side[2] = {&n->link[1], &n->link[0]};
    while (below != NONE) {
        struct region_node *b = node_of(r, below);
        bool before = key_of(b, turn) < key;
        *side[before] = below;
        side[before] = &b->link[before];
        below = *side[before];
    }
    *side[0] = *side[1] = NONE;
}

void size_tree_remove(struct allot_region *r, uint32_t *root, uint32_t id)
{
    uint64_t turn = size_turn(r);
    const struct region_node *n = node_of(r, id);
    size_key key = key_of(n, turn);
    uint32_t *link = root, at;
    while ((at = *link) != id) {
        CHECK(at != NONE, "region", n);
        struct region_node *b = node_of(r, at);
        link = &b->link[key_of(b, turn) < key];
    }
    uint32_t part[2] = {n->link[0], n->link[1]};
    while (part[0] != NONE && part[1] != NONE) {
        bool high = rank_of(part[0]) < rank_of(part[1]);
        *link = part[high];
        link = &node_of(r, part[high])->link[!high];
        part[high] = *link;
    }
    *link = part[0] != NONE ? part[0] : part[1];
}

uint32_t size_tree_from(const struct allot_region *r, uint32_t root, size_key key)
{
    uint64_t turn = size_turn(r);
    uint32_t found[2] = {NONE, NONE}; /* the last one that was not before the key; and that was */
    while (root != NONE) {
        const struct region_node *n = node_of(r, root);
        bool before = key_of(n, turn) < key;
        found[before] = root;
        root = n->link[before];
    }
    return found[0];
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
    size_key key = size_key_of(size, 0);
    for (uint32_t id; (id = size_tree_from(r, root, key)) != NONE;) {
        const struct region_node *n = node_of(r, id);
        if (lowest_place(n->at, node_end(n), size, b, at)) {
            return id;
        }
        key = key_of(n, size_turn(r)) + 1;
    }
    return NONE;
}

static inline uint32_t bin_of(const struct allot_region *r, uint64_t size)
{
    return bin_below(size >> state_of(r)->shift, BY_SIZE_BITS);
}

void by_size_insert(struct allot_region *r, uint32_t id)
{
    uint32_t bin = bin_of(r, node_of(r, id)->size), *root = &state_of(r)->heads[bin];
    if (*root == NONE) {
        bin_mark_full(state_of(r), bin);
    }
    size_tree_insert(r, root, id);
}

void by_size_remove(struct allot_region *r, uint32_t id)
{
    uint32_t bin = bin_of(r, node_of(r, id)->size), *root = &state_of(r)->heads[bin];
    size_tree_remove(r, root, id);
    if (*root == NONE) {
        bin_mark_empty(state_of(r), bin);
    }
}

void by_size_change(struct allot_region *r, uint32_t id, uint64_t at, uint64_t size)
{
    struct region_state *s = state_of(r);
    struct region_node *n = node_of(r, id);
    uint32_t was = bin_of(r, n->size), bin = bin_of(r, size);
    bool alone = s->heads[was] == id && n->link[0] == NONE && n->link[1] == NONE;
    if (alone && was == bin) {
        n->at = at;
        n->size = size;
        return;
    }
    by_size_remove(r, id);
    n->at = at;
    n->size = size;
    by_size_insert(r, id);
}

uint64_t by_size_largest(const struct allot_region *r)
{
    uint32_t bin = bin_last(state_of(r));
    return bin == state_of(r)->bins ? 0 : node_of(r, size_tree_last(r, state_of(r)->heads[bin]))->size;
}

uint32_t by_size_tightest(const struct allot_region *r, uint64_t size)
{
    uint32_t count = state_of(r)->bins, found = NONE;
    for (uint32_t bin = bin_of(r, size); found == NONE && (bin = bin_next(state_of(r), bin)) < count; bin++) {
        found = size_tree_from(r, state_of(r)->heads[bin], size_key_of(size, 0));
    }
    return found;
}

/* The largest hole, of equal ones the lowest; then those after it. */
static uint32_t worst(struct allot_region *r, uint64_t size, const struct place_bounds *b, uint64_t *at)
{
    uint64_t longest = by_size_largest(r);
    while (longest >= size) {
        uint32_t root = state_of(r)->heads[bin_of(r, longest)];
        size_key key = size_key_of(longest, 0);
        for (uint32_t id; (id = size_tree_from(r, root, key)) != NONE && node_of(r, id)->size == longest;) {
            if (place_in_hole(node_of(r, id), size, b, at)) {
                return id;
            }
            key = key_of(node_of(r, id), 0) + 1;
        }
        /* The next shorter one. */
        uint64_t shorter = 0;
        for (uint32_t bin = bin_of(r, longest) + 1; bin-- > 0 && shorter == 0;) {
            for (uint32_t id = state_of(r)->heads[bin]; id != NONE;) {
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
    uint32_t count = state_of(r)->bins;
    for (uint32_t bin = bin_of(r, size); (bin = bin_next(state_of(r), bin)) < count; bin++) {
        uint32_t id = size_tree_find(r, state_of(r)->heads[bin], size, b, at);
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
    size_key key = 0;
    for (uint32_t id; (id = size_tree_from(r, root, key)) != NONE; count++) {
        const struct region_node *n = node_of(r, id);
        CHECK(is_hole(n), "region", n);
        CHECK(bin == NONE || bin_of(r, n->size) == bin, "region", n);
        for (int side = 0; side < 2; side++) {
            CHECK(n->link[side] == NONE || rank_of(n->link[side]) <= rank_of(id), "region", n);
        }
        key = key_of(n, turn) + 1;
    }
    return count;
}

void by_size_check(const struct allot_region *r)
{
    const struct region_state *s = state_of(r);
    uint64_t holes = 0;
    for (uint32_t bin = 0; bin < s->bins; bin++) {
        uint32_t root = state_of(r)->heads[bin];
        CHECK((root != NONE) == bitmap_test(s->full, bin), "region", s);
        CHECK((s->full[bin / 64] != 0) == bitmap_test(s->fuller, bin / 64), "region", s);
        holes += size_tree_check(r, root, bin);
    }
    CHECK(holes == s->holes, "region", s);
}
