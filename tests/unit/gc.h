/* gc.h - what the tests of collected heaps share: each kind that there is, a heap that is begun, chains and trees of nodes. */
#ifndef UNIT_GC_H
#define UNIT_GC_H

#include "common/unit.h"

#include <errno.h>
#include <string.h>

#include <allot/gc.h>
#include <allot/malloc.h>

#include "common/child.h"
#include "common/gc_nodes.h"

static const struct allot_gc_type array_type = {.name = "array", .flags = ALLOT_GC_REFS};
static const struct allot_gc_type bytes_type = {.name = "bytes"};

static struct allot_gc heap;
static struct allot_gc_mutator me;
static enum allot_gc_kind kind;

/* Those of the kind that is tried, or false: there is none such, or it has no such flags. */
static inline bool begin(const struct allot_gc_opts *opts)
{
    int why = allot_gc_init(&heap, kind, opts);
    if (why == -ENOTSUP || (why == -EINVAL && kind != ALLOT_GC_MARK)) {
        return false;
    }
    assert_int_equal(why, 0);
    assert_int_equal(allot_gc_attach(&heap, &me), 0);
    return true;
}

static inline void end(void)
{
    assert_true(allot_gc_check(&me));
    allot_gc_done(&heap);
}

#define EACH_KIND for (kind = ALLOT_GC_MARK; kind <= ALLOT_GC_COUNT; kind++)

static inline struct allot_gc_stats stats(void)
{
    struct allot_gc_stats s;
    allot_gc_stats(&heap, &s);
    return s;
}

static inline uint64_t objects(void) { return stats().use.count; }

static inline struct node *node(long number)
{
    struct node *n = allot_gc_get(&me, &node_type, 0);
    assert_non_null(n);
    n->number = number;
    return n;
}

/* Stores what the caller owns. */
static inline void give(void *object, void *slot, void *value)
{
    allot_gc_write(&me, object, slot, value);
    allot_gc_unref(&me, value);
}

/* So many nodes, each of which refers to the one made before it by `left`; numbered from 1, the last is returned, owned. */
static inline struct node *chain(long count)
{
    ALLOT_GC_FRAME(&me, frame, 1);
    for (long i = 1; i <= count; i++) {
        struct node *n = node(i);
        give(n, &n->left, frame.slot[0]);
        frame.slot[0] = n;
    }
    return frame.slot[0];
}

/* It is let go, and what nothing else holds goes: with COUNT what is on no circle has gone by then. */
static inline void let_go(void **held)
{
    allot_gc_unref(&me, *held);
    *held = NULL;
}

static inline size_t drop(void **held)
{
    let_go(held);
    return allot_gc_collect(&me);
}

static inline void step_to_the_end(uint64_t ns)
{
    while (!allot_gc_step(&me, ns)) {
    }
}

/* A whole collection leaves so many objects, and a heap that is whole. */
static inline void collect_to(uint64_t left)
{
    allot_gc_collect(&me);
    assert_int_equal(objects(), left);
    allot_gc_check(&me);
}

static inline void drop_to(void **held, uint64_t left)
{
    let_go(held);
    collect_to(left);
}

static inline long chain_length(const struct node *n)
{
    long length = chain_counted(n);
    assert_true(length >= 0);
    return length;
}

#endif
