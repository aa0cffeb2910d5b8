/* page/table.h - from page numbers to words: a table of as many levels as the numbers need.
 *
 *   root: node | height       height 2:   | 0 | 1 | ... | 1023 |    nodes of 8 KiB, made when a number below them is first asked for
 *                                           |
 *                                           `--> leaf: | word | word | ... |       word 0: a page that never was
 *
 * A look takes `height` loads and no lock; nodes are made under one, and stay until the end, so a word's address holds as long as
 * the table. Height 1 reaches to page 1023, 2 to a million, 3 to a milliard. Costs 8 bytes for each page that lies in a leaf with
 * any that was asked for: numbers that are scattered all over take a leaf each.
 */
#ifndef PAGE_TABLE_H
#define PAGE_TABLE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "os/lock.h"

enum { TABLE_BITS = 10, TABLE_FAN = 1 << TABLE_BITS, TABLE_HEIGHTS = 5 }; /* to 2^50 */

typedef _Atomic uint64_t entry;

struct table {
    _Atomic uintptr_t root; /* a node, and the height in its lowest bits; 0: there is none */
    struct os_lock lock;    /* of who makes nodes */
    _Atomic size_t nodes;
};

static inline unsigned table_height(uintptr_t root) { return (unsigned)(root & 7); }

/* The page's word, or NULL: it has none yet. Two levels, which reach to a million pages, are the shortest way. */
static inline entry *table_find(const struct table *t, uint64_t page)
{
    uintptr_t root = atomic_load_explicit(&t->root, memory_order_acquire);
    unsigned level = table_height(root);
    if (likely(level == 2)) {
        if (unlikely(page >> (2 * TABLE_BITS) != 0)) {
            return NULL;
        }
        _Atomic(void *) *node = (_Atomic(void *) *)(root - 2);
        entry *leaf = atomic_load_explicit(&node[page >> TABLE_BITS], memory_order_acquire);
        return likely(leaf) ? leaf + (page & (TABLE_FAN - 1)) : NULL;
    }
    if (page >> (level * TABLE_BITS) != 0) {
        return NULL;
    }
    _Atomic(void *) *node = (_Atomic(void *) *)(root & ~(uintptr_t)7);
    while (level > 1 && node) {
        level--;
        node = atomic_load_explicit(&node[page >> (level * TABLE_BITS) & (TABLE_FAN - 1)], memory_order_acquire);
    }
    return node ? (entry *)node + (page & (TABLE_FAN - 1)) : NULL;
}

/* Makes it where there is none; NULL: no memory. `page` is below 2^50. */
entry *table_make(struct table *t, uint64_t page);

/* The first page from `page` on whose leaf is there, or UINT64_MAX: for who walks. */
uint64_t table_next(const struct table *t, uint64_t page);

size_t table_bytes(const struct table *t);
void table_done(struct table *t);

#endif
