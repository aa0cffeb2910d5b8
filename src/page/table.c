/* page/table.c - see page/table.h. */
#include "page/table.h"

#include <allot/malloc.h>

static void *make_node(struct table *t)
{
    void *node = allot_calloc(TABLE_FAN, sizeof(entry));
    if (node) {
        atomic_fetch_add_explicit(&t->nodes, 1, memory_order_relaxed);
    }
    return node;
}

/* With the lock: the table reaches to that page. What was the root is the new one's first. */
static bool grow(struct table *t, uint64_t page)
{
    uintptr_t root = atomic_load_explicit(&t->root, memory_order_relaxed);
    for (unsigned height = table_height(root); height == 0 || page >> (height * TABLE_BITS) != 0;) {
        _Atomic(void *) *node = make_node(t);
        if (!node) {
            return false;
        }
        if (root) {
            atomic_store_explicit(&node[0], (void *)(root & ~(uintptr_t)7), memory_order_relaxed);
        }
        root = (uintptr_t)node | ++height;
        atomic_store_explicit(&t->root, root, memory_order_release);
    }
    return true;
}

static entry *descend(struct table *t, uint64_t page)
{
    uintptr_t root = atomic_load_explicit(&t->root, memory_order_relaxed);
    void *node = (void *)(root & ~(uintptr_t)7);
    for (unsigned level = table_height(root); --level > 0;) {
        _Atomic(void *) *child = (_Atomic(void *) *)node + (page >> (level * TABLE_BITS) & (TABLE_FAN - 1));
        node = atomic_load_explicit(child, memory_order_relaxed);
        if (!node) {
            node = make_node(t);
            if (!node) {
                return NULL;
            }
            atomic_store_explicit(child, node, memory_order_release);
        }
    }
    return (entry *)node + (page & (TABLE_FAN - 1));
}

entry *table_make(struct table *t, uint64_t page)
{
    entry *found = table_find(t, page);
    if (!found) {
        os_lock(&t->lock);
        found = grow(t, page) ? descend(t, page) : NULL;
        os_unlock(&t->lock);
    }
    return found;
}

static uint64_t next_below(void *node, unsigned level, uint64_t first, uint64_t page)
{
    if (level == 0) {
        return first > page ? first : page;
    }
    _Atomic(void *) *child = node;
    uint64_t span = (uint64_t)1 << (level * TABLE_BITS);
    for (uint64_t i = page > first ? (page - first) / span : 0; i < TABLE_FAN; i++) {
        void *below = atomic_load_explicit(&child[i], memory_order_acquire);
        uint64_t found = below ? next_below(below, level - 1, first + i * span, page) : UINT64_MAX;
        if (found != UINT64_MAX) {
            return found;
        }
    }
    return UINT64_MAX;
}

uint64_t table_next(const struct table *t, uint64_t page)
{
    uintptr_t root = atomic_load_explicit(&t->root, memory_order_acquire);
    unsigned height = table_height(root);
    if (!root || page >> (height * TABLE_BITS) != 0) {
        return UINT64_MAX;
    }
    return next_below((void *)(root & ~(uintptr_t)7), height - 1, 0, page);
}

size_t table_bytes(const struct table *t)
{
    return atomic_load_explicit(&t->nodes, memory_order_relaxed) * TABLE_FAN * sizeof(entry);
}

static void free_node(void *node, unsigned level)
{
    for (size_t i = 0; level > 0 && i < TABLE_FAN; i++) {
        void *below = atomic_load_explicit((_Atomic(void *) *)node + i, memory_order_relaxed);
        if (below) {
            free_node(below, level - 1);
        }
    }
    allot_free(node);
}

void table_done(struct table *t)
{
    uintptr_t root = atomic_load_explicit(&t->root, memory_order_relaxed);
    if (root) {
        free_node((void *)(root & ~(uintptr_t)7), table_height(root) - 1);
    }
    *t = (struct table){0};
}
