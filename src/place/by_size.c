/* place/by_size.c - holes in order of size: best fit, next-best fit, worst fit.
 *
 *   units:   1                     2              ...  127 | 128   129  ... 256-257 ...
 *   bins:    128: a chunk each     128            ...      | one for each of so many sizes: 128 to a doubling
 *             .    . .   .         .  .  .                 | .           .
 *                 /   \                                    |            / \
 *
 * The order is by size, and then by offset; the bins are in that order, and most hold a hole or none. So what is the tightest is
 * told by bitmaps and a step or two in a low tree, and where one bin has all holes it is one tree of O(log n). Small holes are
 * the many: their bins are of a chunk of the range each.
 *
 * The trees are treaps: ordered by key, and parents before children by a number that the node's own number is scrambled to, so
 * nothing has to be kept beyond two links. Splitting and joining go from the top down, without recursion.
 * (Seidel and Aragon, "Randomized search trees", 1996; Tarjan, Levy and Timmel, "Zip trees", 2021.)
 *
 * Of equal sizes best fit wants the highest offset first, so it orders by the complement.
 */
#include "os/fault.h"
#include "place/region.h"

#define BITS        7
#define SMALL       128 /* sizes in units, less than which each chunk has bins of its own */
#define CHUNKS_MOST 7   /* log2 of the most chunks there are, */
#define CHUNK_LEAST 15  /* and of the fewest units that are worth one */

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

/* Takes the node out that a link leads to: its subtrees are joined. */
static inline void cut(const struct allot_region *r, uint32_t *link)
{
    const struct region_node *n = node_of(r, *link);
    uint32_t part[2] = {n->link[0], n->link[1]};
    while (part[0] != NONE && part[1] != NONE) {
        bool high = rank_of(part[0]) < rank_of(part[1]);
        *link = part[high];
        link = &node_of(r, part[high])->link[!high];
        part[high] = *link;
    }
    *link = part[0] != NONE ? part[0] : part[1];
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
    cut(r, link);
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

/* Which chunk of the range an offset is in, in the order of keys. What lies before the first span is in the first chunk, and what is
 * beyond in the last one. */
static inline uint32_t chunk_of(const struct region_state *s, uint64_t at)
{
    uint64_t chunk = at < s->base ? 0 : (at - s->base) >> s->chunk;
    uint32_t last = ((uint32_t)1 << s->chunks) - 1;
    return (uint32_t)(chunk < last ? chunk : last) ^ (s->fit == ALLOT_BEST ? last : 0);
}

/* The bin of a size in a chunk. Which of the two it is is as good as random, too. */
static inline uint32_t bin_in(const struct region_state *s, uint64_t size, uint32_t chunk)
{
    uint64_t units = size >> s->shift;
    uint32_t small = ((uint32_t)units << s->chunks) + chunk,
             other = ((uint32_t)SMALL << s->chunks) + bin_below(units, BITS);
    uint32_t is_small = -(uint32_t)(units < SMALL);
    return (small & is_small) | (other & ~is_small);
}

static inline uint32_t bin_of(const struct region_state *s, uint64_t size, uint64_t at)
{
    return bin_in(s, size, chunk_of(s, at));
}

void by_size_measure(struct region_state *s, uint64_t size)
{
    unsigned width = size > 1 ? log2_floor(size - 1) + 1 : 0;
    s->chunk = width > s->chunks ? width - s->chunks : 0;
}

uint32_t by_size_bins(struct region_state *s, uint64_t size)
{
    uint64_t units = size >> s->shift;
    unsigned worth = units >> CHUNK_LEAST ? log2_floor(units >> CHUNK_LEAST) : 0;
    s->chunks = worth < CHUNKS_MOST ? worth : CHUNKS_MOST;
    by_size_measure(s, size);
    return ((uint32_t)SMALL << s->chunks) + bin_below(OFFSETS_END >> s->shift, BITS) + 1;
}

static inline void insert_in(struct allot_region *r, uint32_t bin, uint32_t id)
{
    struct region_state *s = state_of(r);
    if (s->heads[bin] == NONE) {
        struct region_node *n = node_of(r, id);
        n->link[0] = n->link[1] = NONE;
        s->heads[bin] = id;
        bin_mark_full(s, bin);
    } else {
        size_tree_insert(r, &s->heads[bin], id);
    }
}

void by_size_insert(struct allot_region *r, uint32_t id)
{
    const struct region_node *n = node_of(r, id);
    insert_in(r, bin_of(state_of(r), n->size, n->at), id);
}

static inline void remove_from(struct allot_region *r, uint32_t bin, uint32_t id)
{
    struct region_state *s = state_of(r);
    size_tree_remove(r, &s->heads[bin], id);
    if (s->heads[bin] == NONE) {
        bin_mark_empty(s, bin);
    }
}

void by_size_remove(struct allot_region *r, uint32_t id)
{
    const struct region_node *n = node_of(r, id);
    remove_from(r, bin_of(state_of(r), n->size, n->at), id);
}

void by_size_change(struct allot_region *r, uint32_t id, uint64_t at, uint64_t size)
{
    struct region_state *s = state_of(r);
    struct region_node *n = node_of(r, id);
    remove_from(r, bin_of(s, n->size, n->at), id);
    n->at = at;
    n->size = size;
    insert_in(r, bin_of(s, size, at), id);
}

uint64_t by_size_largest(const struct allot_region *r)
{
    uint32_t bin = bin_last(state_of(r));
    return bin == state_of(r)->bins ? 0 : node_of(r, size_tree_last(r, state_of(r)->heads[bin]))->size;
}

uint32_t by_size_take(struct allot_region *r, uint64_t size)
{
    struct region_state *s = state_of(r);
    uint64_t turn = size_turn(r);
    size_key key = size_key_of(size, 0);
    for (uint32_t bin = bin_in(s, size, 0); (bin = bin_next(s, bin)) < s->bins; bin++) {
        uint32_t *found = NULL, *root = &s->heads[bin];
        for (uint32_t *link = root; *link != NONE;) {
            struct region_node *n = node_of(r, *link);
            bool before = key_of(n, turn) < key;
            found = before ? found : link;
            link = &n->link[before];
        }
        if (found) {
            uint32_t id = *found;
            cut(r, found);
            if (*root == NONE) {
                bin_mark_empty(s, bin);
            }
            return id;
        }
    }
    return NONE;
}

/* The longest hole that is shorter than `size`; 0 when there is none. */
static uint64_t shorter(const struct allot_region *r, uint64_t size)
{
    const struct region_state *s = state_of(r);
    for (uint32_t bin = bin_in(s, size, 0) + 1; bin-- > 0;) {
        uint64_t found = 0;
        for (uint32_t id = s->heads[bin]; id != NONE;) {
            const struct region_node *n = node_of(r, id);
            found = n->size < size ? n->size : found;
            id = n->link[n->size < size];
        }
        if (found) {
            return found;
        }
    }
    return 0;
}

/* The largest hole, of equal ones the lowest; then those after it. */
static uint32_t worst(struct allot_region *r, uint64_t size, const struct place_bounds *b, uint64_t *at)
{
    const struct region_state *s = state_of(r);
    for (uint64_t longest = by_size_largest(r); longest >= size; longest = shorter(r, longest)) {
        size_key key = size_key_of(longest, 0);
        uint32_t bin = bin_in(s, longest, 0), last = bin_in(s, longest, ((uint32_t)1 << s->chunks) - 1);
        for (; (bin = bin_next(s, bin)) <= last; bin++) {
            for (uint32_t id;
                 (id = size_tree_from(r, s->heads[bin], key)) != NONE && node_of(r, id)->size == longest;) {
                if (place_in_hole(node_of(r, id), size, b, at)) {
                    return id;
                }
                key = key_of(node_of(r, id), 0) + 1;
            }
        }
    }
    return NONE;
}

uint32_t by_size_find(struct allot_region *r, uint64_t size, const struct place_bounds *b, uint64_t *at)
{
    if (state_of(r)->fit == ALLOT_WORST) {
        return worst(r, size, b, at);
    }
    uint32_t count = state_of(r)->bins;
    for (uint32_t bin = bin_in(state_of(r), size, 0); (bin = bin_next(state_of(r), bin)) < count; bin++) {
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
        CHECK(bin == NONE || bin_of(state_of(r), n->size, n->at) == bin, "region", n);
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
