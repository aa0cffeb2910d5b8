/* probe/trie.h - a tree that only grows, whose nodes have numbers: (parent, key) -> number, the same for ever.
 *
 *   nodes    | 1 2 .. | .. | ....  | ........        |     number -> parent, key; each segment as long as all before it
 *   table    | . hash,number . . hash,number . |           by hash of both, open addressing; the newest of those there were
 *                ^ older: still being copied from
 *
 * Finding takes no lock and writes nothing. A node is written, and told of, before one compare-and-swap puts its number into the
 * table; whoever comes second with the same one takes the first one's number, and its own stays unused.
 *
 * A table that is half full gets a successor twice as long, by whoever comes by, who also copies: meanwhile all others go on, in the
 * newest first and then in those that it does not have all of yet. What makes numbers unique: one is given out only when
 * it stands in the table that is newest *afterwards*. Two that add the same node meet there at the same slot, at the latest.
 * So it is whole at any moment, and the child of a fork goes on from what there is, whoever was copying.
 *
 * Bounds: 12 bytes a node, 16 to 32 of the table; memory from the system only, and when there is no more of it
 * nothing is added (0), but what is there is found all the same. Any thread; keys are not 0.
 */
#ifndef PROBE_TRIE_H
#define PROBE_TRIE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"

struct trie_node {
    uint32_t parent, low, high; /* the key's halves */
};

/* A slot is hash << 32 | number, 0 when it is free. Numbers are found by the hash's upper bits, and in the slots that follow. */
struct trie_table {
    unsigned shift;                     /* 32 - log2 of slots */
    uint32_t most;                      /* numbers above are for a longer table */
    _Atomic(struct trie_table *) older; /* not all of it is here yet; NULL: all is */
    _Atomic uint64_t slot[];
};

enum { TRIE_FIRST_BITS = 10, TRIE_SEGMENTS = 32 - TRIE_FIRST_BITS };

/* All zero at first. */
struct trie {
    _Atomic(struct trie_table *) table; /* the newest */
    _Atomic uint32_t nodes;             /* so many numbers are given out, from 1 */
    _Atomic(struct trie_node *) segment[TRIE_SEGMENTS];
};

typedef void trie_told(uint32_t id, uint32_t parent, uint64_t key);

/* The number of a node, which is made when there is none, as the `most`th at the latest; 0 when it cannot be. */
uint32_t trie_add(struct trie *trie, uint64_t hash, uint32_t parent, uint64_t key, uint32_t most, trie_told *told);

/* Segment 0 has the numbers below 2^TRIE_FIRST_BITS, segment s those from 2^(TRIE_FIRST_BITS + s - 1). */
static inline uint32_t trie_place(uint32_t id, unsigned *segment)
{
    unsigned s = 32 - (unsigned)__builtin_clz(id | 1) - TRIE_FIRST_BITS;
    s = id >> TRIE_FIRST_BITS ? s : 0;
    *segment = s;
    return s ? id - (1u << (TRIE_FIRST_BITS + s - 1)) : id;
}

static inline struct trie_node *trie_node_in(struct trie *trie, uint32_t id, unsigned *segment)
{
    uint32_t place = trie_place(id, segment);
    struct trie_node *nodes = atomic_load_explicit(&trie->segment[*segment], memory_order_acquire);
    return nodes ? nodes + place : NULL;
}

static inline uint64_t trie_key(const struct trie_node *node) { return (uint64_t)node->high << 32 | node->low; }

/* The node of a number that was given out. */
static inline const struct trie_node *trie_node(struct trie *trie, uint32_t id)
{
    unsigned segment;
    return trie_node_in(trie, id, &segment);
}

/* Of a node, given its parent's (0 for none). It depends on keys only, so those of a whole path can be had before any of its nodes. */
static inline uint64_t trie_hash(uint64_t of_parent, uint64_t key)
{
    uint64_t mixed = (of_parent ^ key) * 0x9e3779b97f4a7c15u;
    return mixed ^ mixed >> 32;
}

/* Brings what trie_find will look at into the cache: first the slot; then, that being there, the node. */
static inline void trie_prefetch_slot(struct trie *trie, uint64_t hash)
{
    struct trie_table *table = atomic_load_explicit(&trie->table, memory_order_acquire);
    if (likely(table)) {
        __builtin_prefetch((const void *)&table->slot[(uint32_t)hash >> table->shift]);
    }
}

static inline void trie_prefetch_node(struct trie *trie, uint64_t hash)
{
    struct trie_table *table = atomic_load_explicit(&trie->table, memory_order_acquire);
    uint64_t slot =
        table ? atomic_load_explicit(&table->slot[(uint32_t)hash >> table->shift], memory_order_acquire) : 0;
    if (slot) {
        __builtin_prefetch(trie_node(trie, (uint32_t)slot));
    }
}

static inline uint32_t trie_find_in(struct trie *trie, struct trie_table *table, uint32_t hash, uint32_t parent,
                                    uint64_t key)
{
    uint32_t mask = UINT32_MAX >> table->shift, i = hash >> table->shift;
    for (uint32_t left = mask; left > 0; left--, i = (i + 1) & mask) {
        uint64_t slot = atomic_load_explicit(&table->slot[i], memory_order_acquire);
        if (slot == 0) {
            break;
        }
        if (slot >> 32 == hash) {
            const struct trie_node *node = trie_node(trie, (uint32_t)slot);
            if (likely(node->parent == parent && trie_key(node) == key)) {
                return (uint32_t)slot;
            }
        }
    }
    return 0;
}

/* 0 when there is none, or it is not known at once. */
static inline uint32_t trie_find(struct trie *trie, uint64_t hash, uint32_t parent, uint64_t key)
{
    struct trie_table *table = atomic_load_explicit(&trie->table, memory_order_acquire);
    uint32_t id = likely(table) ? trie_find_in(trie, table, (uint32_t)hash, parent, key) : 0;
    return likely(id && atomic_load_explicit(&trie->table, memory_order_relaxed) == table) ? id : 0;
}

static inline uint32_t trie_nodes(struct trie *trie)
{
    return atomic_load_explicit(&trie->nodes, memory_order_relaxed);
}

#endif
