/* gc_nodes.h - objects for tests of collected heaps: nodes of two references and a number. In a chain each refers by `left` to the one
 * that was made before it, whose number is one less; the first is 1.
 */
#ifndef COMMON_GC_NODES_H
#define COMMON_GC_NODES_H

#include <stddef.h>

#include <allot/gc.h>

struct node {
    struct node *left, *right;
    long number;
};

#define NODE_REFS (ALLOT_GC_REF(struct node, left) | ALLOT_GC_REF(struct node, right))
static const struct allot_gc_type node_type = {.name = "node", .size = sizeof(struct node), .refs = NODE_REFS};

/* How long it is, from there on; -1: the numbers are wrong. */
static inline long chain_counted(const struct node *n)
{
    long length = 0;
    for (long number = n ? n->number : 0; n; n = n->left, number--, length++) {
        if (n->number != number) {
            return -1;
        }
    }
    return length;
}

#endif
