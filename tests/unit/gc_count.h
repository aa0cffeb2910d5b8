/* gc_count.h - what the tests of counting heaps share: what is known of their inside, finishers that tell when objects go, rings. */
#ifndef UNIT_GC_COUNT_H
#define UNIT_GC_COUNT_H

#include "unit/gc.h"

#include "gc/count_ops.h"

static inline struct gc *own(void) { return heap.state; }

static inline bool is_open(void) { return own()->count.cycles.phase != CYCLES_NONE; }

/* References that the program has, as the proof finds them. */
static inline uint64_t outside(void)
{
    assert_true(allot_gc_check(&me));
    return own()->count.outside;
}

static inline void start(const struct allot_gc_opts *opts)
{
    kind = ALLOT_GC_COUNT;
    assert_true(begin(opts));
}

/* -- finishers tell when objects go -- */

enum { LOG = 64 };
static long finished[LOG];
static size_t finishes;
static struct node *kept; /* what a finisher makes reachable again */
static bool keeps;
static void *weak_of_it;

static inline void finish(void *object, void *arg)
{
    struct node *n = object;
    (void)arg;
    finished[finishes++ % LOG] = n->number;
    if (weak_of_it) {
        assert_null(allot_gc_weak_get(&me, weak_of_it));
    }
    if (keeps) {
        kept = allot_gc_ref(&me, n);
    }
}

static const struct allot_gc_type finishable_type = {.name = "finishable",
                                                     .size = sizeof(struct node),
                                                     .refs = ALLOT_GC_REF(struct node, left) |
                                                             ALLOT_GC_REF(struct node, right),
                                                     .finish = finish};

static inline struct node *finishable(long number)
{
    struct node *n = allot_gc_get(&me, &finishable_type, 0);
    assert_non_null(n);
    n->number = number;
    return n;
}

static inline void expect_finished(const long *numbers, size_t count)
{
    assert_int_equal(finishes, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(finished[i], numbers[i]);
    }
    finishes = 0;
}
#define EXPECT_FINISHED(...) \
    expect_finished((const long[]){__VA_ARGS__}, sizeof((const long[]){__VA_ARGS__}) / sizeof(long))

/* -- other types -- */

static inline void trace_left(struct allot_gc_visit *visit, void *object, size_t size)
{
    (void)size;
    allot_gc_visit(visit, &((struct node *)object)->left);
    allot_gc_visit(visit, &((struct node *)object)->right);
}
static const struct allot_gc_type traced_type = {.name = "traced", .size = sizeof(struct node), .trace = trace_left};

/* -- circles -- */

static inline struct node *ring(size_t count)
{
    struct node *first = node(1), *last = first;
    for (size_t i = 1; i < count; i++) {
        struct node *n = node(1);
        give(last, &last->left, n);
        last = n;
    }
    allot_gc_write(&me, last, &last->left, first);
    return first;
}

static inline void let_go_and_collect(void *object, size_t others)
{
    size_t before = objects();
    allot_gc_unref(&me, object);
    assert_int_equal(objects(), before);
    uint64_t cycles = stats().cycles;
    assert_true(allot_gc_cycles(&me, 0) > 0);
    assert_int_equal(objects(), others);
    assert_true(stats().cycles > cycles);
    assert_int_equal(allot_gc_cycles(&me, 0), 0);
    allot_gc_check(&me);
}

#endif
