/* place/region.h - the records of a region, and what its rules have in common. The rules see holes only, by node.
 *
 *   state:   counters, the ends of the chain, and the index of the holes by the region's rule
 *   nodes:   | 0 | 1 | 2 | ...    one for each range, taken or a hole; a taken one's number is its id
 *   blocks:  of the tree by offset (place/by_offset.c), else none
 *
 *   offset order:   [hole 7][range 2][range 9][hole 4] ... next span ...       chained through prev and next
 *
 * Everything refers by number, so that the three may lie anywhere, in each process elsewhere. Two holes never touch, but buddies
 * with a threshold. Whoever finds the records half changed makes them again from two kinds of nodes, which change by one store
 * each: what is taken, and what the region consists of (place/image.c).
 */
#ifndef PLACE_REGION_H
#define PLACE_REGION_H

#include <pthread.h>
#include <stdatomic.h>

#include <allot/region.h>

#include "base/bits.h"
#include "os/owned.h"

#define OFFSETS_END ((uint64_t)1 << 63)

/* A node's number, or none. */
#define NONE 0xfffffff0u

/* What else than a hole a node is: in link[0]. */
#define NODE_TAKEN  0xffffffffu
#define NODE_SPAN   0xfffffffeu /* a span of the region; in no chain but their own */
#define NODE_UNUSED 0xfffffffdu

/* A taken node of BUDDY's that is part of a claim: in link[1]. The first has the claim's id. */
#define PIECE_MORE 1u /* the next node is part of it, too */
#define PIECE_PART 2u /* not the first */

struct region_node {
    uint64_t at, size;
    uint32_t prev, next; /* by offset; unused ones and spans: next of their list */
    uint32_t link[2];    /* of a hole: the index's */
};

/* The tree by offset: of a leaf, holes in order; of an inner block, its children. */
#define FANOUT 24
struct region_block {
    uint32_t count, parent, level; /* level 0: a leaf */
    uint32_t next;                 /* of unused ones */
    uint64_t at[FANOUT];           /* where the hole begins; where the child's first one does */
    uint64_t size[FANOUT];         /* of the hole; of the child's longest */
    uint32_t id[FANOUT];           /* its node; its block */
};

#define MAX_BINS 32768

#define REGION_MAGIC 0x6e6f69676572a110u

struct region_state {
    uint64_t magic;
    uint32_t fit, lock;
    uint64_t unit;
    unsigned shift;         /* log2 of it */
    uint32_t areas;         /* GROUPS */
    uint64_t area;          /* units of one */
    uint64_t base;          /* where the first one begins */
    unsigned chunks, chunk; /* BEST and its kin: log2 of how many the range has, and of how long one is */
    uint64_t threshold;
    bool foreign;          /* the records are in the caller's memory, and do not grow */
    pthread_mutex_t mutex; /* SHARED */

    const char *name; /* as in the options; not of one that is shared */

    uint64_t held, used; /* held = sum of all nodes in the chain; used = of the taken ones */
    uint64_t count;      /* of taken ranges; a claim of several pieces is one */
    uint64_t holes;
    uint64_t peak, refused;
    uint64_t cursor; /* NEXT: where the last piece ended */

    uint32_t first, last; /* of the chain */
    uint32_t finger;      /* a node in it, where the last claim was */
    uint32_t spans;       /* their list */
    uint32_t nspans;
    uint32_t unused_nodes, fresh_nodes, most_nodes; /* their list; those beyond fresh were never used */
    uint32_t nunused;                               /* length of the list */
    uint32_t unused_blocks, fresh_blocks, most_blocks;
    uint32_t root;                     /* the tree by offset */
    size_t nodes_at, blocks_at, bytes; /* foreign: from the state */

    uint64_t orders;       /* BUDDY: a bit for each order that has blocks, */
    uint64_t in_order[64]; /* how many, */
    uint32_t first_of[64]; /* the one that came last */

    /* By size, or in areas, or in lists: a head for each bin, a bit for each that is not empty, and one for each word of those that
     * is not 0. After the heads, with GROUPS: the smallest and largest hole of each area. */
    uint32_t bins;
    uint64_t fuller[MAX_BINS / 64 / 64], full[MAX_BINS / 64];
    uint32_t heads[];
};

static inline struct region_state *state_of(const struct allot_region *r) { return r->state; }

static inline struct region_node *node_of(const struct allot_region *r, uint32_t id)
{
    return (struct region_node *)r->nodes + id;
}

static inline struct region_block *block_of(const struct allot_region *r, uint32_t id)
{
    return (struct region_block *)r->blocks + id;
}

static inline bool region_has_tree(const struct region_state *s)
{
    return s->fit == ALLOT_FIRST || s->fit == ALLOT_NEXT;
}

static inline bool is_hole(const struct region_node *n) { return n->link[0] <= NONE; }

static inline uint64_t node_end(const struct region_node *n) { return n->at + n->size; }

/* -- where in a hole -- */

struct place_bounds {
    uint64_t align, phase, nocross, min, max; /* powers of two; nocross 0: may */
    bool plain;                               /* anywhere */
    bool only_aligned;                        /* no more than that is wanted */
};

/* The lowest place for `size` in [at, end), or false. Nothing is beyond 2^63, so no sum overflows. */
static inline bool lowest_place(uint64_t at, uint64_t end, uint64_t size, const struct place_bounds *b, uint64_t *out)
{
    if (b->plain) {
        *out = at;
        return end - at >= size;
    }
    at = at > b->min ? at : b->min;
    at += (b->phase - at) & (b->align - 1);
    if (b->nocross && ((at ^ (at + size - 1)) & ~(b->nocross - 1))) {
        /* After the next multiple it fits, or it does after none. */
        at = (at | (b->nocross - 1)) + 1;
        at += (b->phase - at) & (b->align - 1);
        if ((at ^ (at + size - 1)) & ~(b->nocross - 1)) {
            return false;
        }
    }
    end = end < b->max ? end : b->max;
    *out = at;
    return at <= end && end - at >= size;
}

static inline bool place_in_hole(const struct region_node *n, uint64_t size, const struct place_bounds *b,
                                 uint64_t *out)
{
    return n->size >= size && lowest_place(n->at, node_end(n), size, b, out);
}

#define BINS_BITS 5 /* of place/bins.c */

/* -- bins: sizes in classes of `bits` leading bits, those below 2^(bits + 1) each by itself -- */

/* How much wider than one unit the bins around so many units are: log2. */
static inline unsigned bin_width(uint64_t units, unsigned bits)
{
    return log2_floor(units | (uint64_t)1 << bits) - bits;
}

static inline uint32_t bin_below(uint64_t units, unsigned bits)
{
    unsigned width = bin_width(units, bits);
    return (uint32_t)((width << bits) + (units >> width));
}

static inline void bin_mark_full(struct region_state *s, uint32_t bin)
{
    bitmap_set(s->full, bin);
    bitmap_set(s->fuller, bin / 64);
}

static inline void bin_mark_empty(struct region_state *s, uint32_t bin)
{
    uint64_t *word = &s->full[bin / 64];
    *word &= ~((uint64_t)1 << (bin % 64));
    s->fuller[bin / 64 / 64] &= ~((uint64_t)(*word == 0) << (bin / 64 % 64));
}

/* The first bin from `bin` on that has something; the count of all when none has. */
static inline uint32_t bin_next(const struct region_state *s, uint32_t bin)
{
    if (unlikely(bin >= s->bins)) {
        return s->bins;
    }
    uint64_t word = s->full[bin / 64] & ~(uint64_t)0 << (bin % 64);
    if (word != 0) {
        return bin / 64 * 64 + lowest_bit(word);
    }
    size_t w = bitmap_next_set(s->fuller, bin / 64 + 1, MAX_BINS / 64);
    return w == MAX_BINS / 64 ? s->bins : (uint32_t)(w * 64 + lowest_bit(s->full[w]));
}

/* The last one that has something; the count of all when none has. */
static inline uint32_t bin_last(const struct region_state *s)
{
    for (size_t w = MAX_BINS / 64 / 64; w-- > 0;) {
        if (s->fuller[w]) {
            size_t word = w * 64 + log2_floor(s->fuller[w]);
            return (uint32_t)(word * 64 + log2_floor(s->full[word]));
        }
    }
    return s->bins;
}

/* -- the rules: what each does with a hole that comes, goes, or changes; and which one it chooses -- */

/* The hole for `size` within bounds and the place in it; NONE when there is none. */
uint32_t by_offset_find(struct allot_region *r, uint64_t size, const struct place_bounds *b, uint64_t *at);
/* The lowest hole that has so much; and the tightest, which is in the index no more. */
uint32_t by_offset_lowest(const struct allot_region *r, uint64_t size);
uint32_t by_size_take(struct allot_region *r, uint64_t size);
void by_offset_insert(struct allot_region *r, uint32_t id);
void by_offset_remove(struct allot_region *r, uint32_t id);
void by_offset_change(struct allot_region *r, uint32_t id, uint64_t at, uint64_t size);
uint64_t by_offset_largest(const struct allot_region *r);
/* The last hole that begins at or before `at`; NONE when there is none. */
uint32_t by_offset_before(const struct allot_region *r, uint64_t at);
/* How many blocks so many holes may need. */
uint64_t by_offset_blocks(uint64_t holes);
void by_offset_check(const struct allot_region *r);

uint32_t by_size_find(struct allot_region *r, uint64_t size, const struct place_bounds *b, uint64_t *at);
void by_size_insert(struct allot_region *r, uint32_t id);
void by_size_remove(struct allot_region *r, uint32_t id);
void by_size_change(struct allot_region *r, uint32_t id, uint64_t at, uint64_t size);
uint64_t by_size_largest(const struct allot_region *r);
/* How many bins there are for a range of that size; and how long chunks are, of a first span. */
uint32_t by_size_bins(struct region_state *s, uint64_t size);
void by_size_measure(struct region_state *s, uint64_t size);
void by_size_check(const struct allot_region *r);

/* Trees by size, of one bin each (place/by_size.c): what they are ordered by is the size, and then the offset or its complement. */
typedef unsigned __int128 size_key;
static inline size_key size_key_of(uint64_t size, uint64_t turned) { return (size_key)size << 64 | turned; }
uint64_t size_turn(const struct allot_region *r); /* what turns an offset */
void size_tree_insert(struct allot_region *r, uint32_t *root, uint32_t id);
void size_tree_remove(struct allot_region *r, uint32_t *root, uint32_t id);
/* The first node that is not before the key; NONE when all are. */
uint32_t size_tree_from(const struct allot_region *r, uint32_t root, size_key key);
uint32_t size_tree_last(const struct allot_region *r, uint32_t root);
/* The first that has a place. */
uint32_t size_tree_find(const struct allot_region *r, uint32_t root, uint64_t size, const struct place_bounds *b,
                        uint64_t *at);
uint64_t size_tree_check(const struct allot_region *r, uint32_t root, uint32_t bin);

uint32_t groups_find(struct allot_region *r, uint64_t size, const struct place_bounds *b, uint64_t *at);
void groups_insert(struct allot_region *r, uint32_t id);
void groups_remove(struct allot_region *r, uint32_t id);
uint64_t groups_largest(const struct allot_region *r);
void groups_check(const struct allot_region *r);

uint32_t bins_find(struct allot_region *r, uint64_t size, const struct place_bounds *b, uint64_t *at);
uint64_t bins_largest(const struct allot_region *r);
void bins_check(const struct allot_region *r);

/* BUDDY, whose blocks are its own affair. All but give may want so many nodes: -ENOMEM. */
int buddy_take(struct allot_region *r, uint64_t size, const struct place_bounds *b, uint32_t *out);
int buddy_claim(struct allot_region *r, uint64_t at, uint64_t size, uint32_t *out);
int buddy_resize(struct allot_region *r, uint32_t id, uint64_t size);
void buddy_give(struct allot_region *r, uint32_t id);
/* Makes blocks of a hole, each as large as can be: how many more nodes that takes; and does it. */
uint64_t buddy_pieces(uint64_t at, uint64_t size, uint64_t unit);
void buddy_insert(struct allot_region *r, uint32_t id);
uint64_t buddy_largest(const struct allot_region *r);
void buddy_check(const struct allot_region *r);

/* A span has come to the region: who looks for leaks is to know, if it has a name. */
static inline void region_tell_owned(const struct region_state *s, uint64_t at, uint64_t size)
{
    if (s->name) {
        os_owned_add(s, OS_OWNED_REGION, s->name, at, size);
    }
}

/* -- the chain and the nodes (place/region.c) -- */

/* A taken node's range: of a claim of several pieces all of it. */
static inline struct allot_range region_range(const struct allot_region *r, uint32_t id)
{
    const struct region_node *n = node_of(r, id);
    struct allot_range range = {n->at, n->size, id};
    for (; n->link[1] & PIECE_MORE; range.size += n->size) {
        n = node_of(r, n->next);
    }
    return range;
}

/* Has room for so many more nodes, and for the holes that so many more taken ranges may leave. */
bool region_ensure_more(struct allot_region *r, uint64_t nodes, uint64_t ranges);

static inline bool region_ensure(struct allot_region *r, uint64_t nodes, uint64_t ranges)
{
    const struct region_state *s = state_of(r);
    if (likely(s->nunused >= nodes && s->fit != ALLOT_FIRST && s->fit != ALLOT_NEXT)) {
        return true;
    }
    return region_ensure_more(r, nodes, ranges);
}

/* Of those that are ensured. */
static inline uint32_t region_new_node(struct allot_region *r)
{
    struct region_state *s = state_of(r);
    uint32_t id = s->unused_nodes;
    if (unlikely(id == NONE)) {
        return s->fresh_nodes++;
    }
    s->unused_nodes = node_of(r, id)->next;
    s->nunused--;
    return id;
}

static inline void region_drop_node(struct allot_region *r, uint32_t id)
{
    struct region_state *s = state_of(r);
    struct region_node *n = node_of(r, id);
    n->link[0] = NODE_UNUSED;
    n->next = s->unused_nodes;
    s->unused_nodes = id;
    s->nunused++;
}

/* Puts a node behind another in the chain (NONE: first); takes it out. */
static inline void region_chain(struct allot_region *r, uint32_t id, uint32_t behind)
{
    struct region_state *s = state_of(r);
    struct region_node *nodes = r->nodes, *n = &nodes[id];
    uint32_t *link = behind == NONE ? &s->first : &nodes[behind].next;
    n->prev = behind;
    n->next = *link;
    *link = id;
    *(n->next == NONE ? &s->last : &nodes[n->next].prev) = id;
}

static inline void region_unchain(struct allot_region *r, uint32_t id)
{
    struct region_state *s = state_of(r);
    struct region_node *nodes = r->nodes;
    uint32_t prev = nodes[id].prev, next = nodes[id].next;
    *(prev == NONE ? &s->first : &nodes[prev].next) = next;
    *(next == NONE ? &s->last : &nodes[next].prev) = prev;
    if (unlikely(s->finger == id)) {
        s->finger = prev;
    }
}

/* Makes a node what it is to be, once all else in it is right: one store. */
static inline void region_mark(struct region_node *n, uint32_t what)
{
    __atomic_store_n(&n->link[0], what, __ATOMIC_RELEASE);
}

static inline void region_mark_taken(struct region_node *n, uint32_t piece)
{
    n->link[1] = piece;
    region_mark(n, NODE_TAKEN);
}
/* A hole that is in the chain and not in the index comes into it; and, as the second, merged with those beside it. */
void region_insert_hole(struct allot_region *r, uint32_t id);
void region_merge_hole(struct allot_region *r, uint32_t id);
/* The hole that holds all of [at, at + size), or NONE. */
uint32_t region_hole_at(struct allot_region *r, uint64_t at, uint64_t size);
void region_give(struct allot_region *r, const struct allot_range *range);
int region_claim(struct allot_region *r, uint64_t at, uint64_t size, struct allot_range *out);
uint64_t region_largest(const struct allot_region *r);

/* Makes the chain, the holes and the index again, from what is taken and the spans; false when these contradict each other
 * (place/image.c). */
bool region_rebuild(struct allot_region *r);
void region_empty_index(struct allot_region *r);

/* Of the state: the options' sense, and the bytes of it. */
int region_make(struct allot_region *r, uint64_t size, const struct allot_region_opts *opts);

void region_lock_more(struct allot_region *r);
void region_unlock_more(struct allot_region *r);

static inline bool region_is_unlocked(const struct allot_region *r)
{
    return r->state && state_of(r)->lock == ALLOT_REGION_UNLOCKED;
}

static inline void region_lock(struct allot_region *r)
{
    if (unlikely(!region_is_unlocked(r))) {
        region_lock_more(r);
    }
}

static inline void region_unlock(struct allot_region *r)
{
    if (unlikely(state_of(r)->lock != ALLOT_REGION_UNLOCKED)) {
        region_unlock_more(r);
    }
}

#endif
