/* gc_count.c - counting heaps: when objects go, counts that are more than a header holds, circles of every shape, the search's budget and
 * its bounds, while the program changes what it looks at.
 */
#include "unit/gc.h"

#include "common/random.h"
#include "gc/count_ops.h"
#include "os/memory.h"

static struct gc *own(void) { return heap.state; }

static bool is_open(void) { return own()->count.cycles.phase != CYCLES_NONE; }

/* References that the program has, as the proof finds them. */
static uint64_t outside(void)
{
    assert_true(allot_gc_check(&me));
    return own()->count.outside;
}

static void start(const struct allot_gc_opts *opts)
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

static void finish(void *object, void *arg)
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

static struct node *finishable(long number)
{
    struct node *n = allot_gc_get(&me, &finishable_type, 0);
    assert_non_null(n);
    n->number = number;
    return n;
}

static void expect_finished(const long *numbers, size_t count)
{
    assert_int_equal(finishes, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(finished[i], numbers[i]);
    }
    finishes = 0;
}
#define EXPECT_FINISHED(...) \
    expect_finished((const long[]){__VA_ARGS__}, sizeof((const long[]){__VA_ARGS__}) / sizeof(long))

static void at_once(void **state)
{
    (void)state;
    start(NULL);
    struct node *a = finishable(1), *b = finishable(2), *c = finishable(3), *d = finishable(4);
    allot_gc_write(&me, a, &a->left, b); /* a -> b -> d, a -> c -> d */
    allot_gc_write(&me, a, &a->right, c);
    allot_gc_write(&me, b, &b->left, d);
    allot_gc_write(&me, c, &c->left, d);
    assert_int_equal(outside(), 4);
    allot_gc_unref(&me, b);
    allot_gc_unref(&me, c);
    allot_gc_unref(&me, d);
    assert_int_equal(outside(), 1);
    expect_finished(NULL, 0);
    allot_gc_write(&me, a, &a->left, NULL); /* the last reference to b, in the program's sight */
    EXPECT_FINISHED(2);
    assert_int_equal(objects(), 3);
    allot_gc_unref(&me, a);
    EXPECT_FINISHED(1, 3, 4);
    assert_int_equal(objects(), 0);
    struct node *n = node(1); /* itself stored over itself */
    allot_gc_write(&me, n, &n->left, n);
    allot_gc_write(&me, n, &n->left, n);
    allot_gc_write(&me, n, &n->left, NULL);
    assert_int_equal(objects(), 1);
    allot_gc_unref(&me, n);
    assert_int_equal(objects(), 0);
    end();
}

/* -- depth -- */

static void trace_left(struct allot_gc_visit *visit, void *object, size_t size)
{
    (void)size;
    allot_gc_visit(visit, &((struct node *)object)->left);
    allot_gc_visit(visit, &((struct node *)object)->right);
}
static const struct allot_gc_type traced_type = {.name = "traced", .size = sizeof(struct node), .trace = trace_left};
static const struct allot_gc_type cell_type = {.name = "cell", .size = 8, .refs = 1};

static void without_recursion(void **state)
{
    (void)state;
    start(NULL);
    void **list = NULL;
    for (size_t i = 0; i < 10000000; i++) {
        void **cell = allot_gc_get(&me, &cell_type, 0);
        give(cell, cell, list);
        list = cell;
    }
    assert_int_equal(objects(), 10000000);
    allot_gc_unref(&me, list);
    assert_int_equal(objects(), 0);
    static const struct {
        const struct allot_gc_type *type;
        size_t extra, slot;
        bool both;
    } shapes[] = {{&node_type, 0, 0, false},   {&node_type, 0, 1, false},     {&node_type, 0, 0, true},
                  {&traced_type, 0, 1, false}, {&traced_type, 0, 0, true},    {&array_type, 16, 0, true},
                  {&array_type, 16, 1, false}, {&finishable_type, 0, 0, true}};
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        void **chain = NULL;
        for (size_t i = 0; i < 200000; i++) {
            void **n = allot_gc_get(&me, shapes[s].type, shapes[s].extra);
            allot_gc_write(&me, n, &n[shapes[s].slot], chain);
            if (shapes[s].both && chain) { /* and one that goes by the way */
                give(n, &n[!shapes[s].slot], i % 2 ? (void *)node(1) : allot_gc_ref(&me, chain));
            }
            allot_gc_unref(&me, chain);
            chain = n;
        }
        finishes = 0;
        allot_gc_unref(&me, chain);
        assert_int_equal(objects(), 0);
        assert_int_equal(finishes, shapes[s].type == &finishable_type ? 200000 : 0);
        allot_gc_check(&me);
    }
    finishes = 0;
    struct node *tree = node(0), *at = tree; /* wide: each of a long array's is a list */
    void **array = allot_gc_get(&me, &array_type, 8 * 100000);
    for (size_t i = 0; i < 100000; i++) {
        at = node(1);
        give(at, &at->left, node(2));
        give(at, &at->right, node(3));
        give(array, &array[i], at);
    }
    give(tree, &tree->right, array);
    allot_gc_unref(&me, tree);
    assert_int_equal(objects(), 0);
    end();
}

/* -- counts -- */

static void beyond_the_header(void **state)
{
    (void)state;
    start(NULL);
    enum { MANY = 300000 };
    struct node *n = node(1);
    void **array = allot_gc_get(&me, &array_type, 8 * MANY);
    for (size_t i = 0; i < MANY; i++) {
        allot_gc_write(&me, array, &array[i], n);
        if (i % 32768 < 3 || i % 65535 < 3) {
            assert_int_equal(count_of(own(), n), i + 2);
        }
    }
    assert_int_equal(outside(), 2);
    for (size_t i = 0; i < MANY - 5; i++) {
        allot_gc_write(&me, array, &array[i], NULL);
    }
    assert_int_equal(count_of(own(), n), 6);
    assert_int_equal(own()->count.side_count, 0);
    for (size_t i = 0; i < 200000; i++) {
        allot_gc_ref(&me, n);
    }
    void *weak = allot_gc_weak(&me, n);
    allot_gc_unref(&me, array);
    assert_int_equal(outside(), 200002);
    for (size_t i = 0; i < 200000; i++) {
        allot_gc_unref(&me, n);
    }
    assert_int_equal(objects(), 2);
    allot_gc_unref(&me, n);
    assert_null(allot_gc_weak_get(&me, weak));
    allot_gc_unref(&me, weak);
    assert_int_equal(objects(), 0);
    end();
}

static void nobody_knows_how_many(void **state)
{
    (void)state;
    start(NULL);
    struct node *n = node(1);
    give(n, &n->left, node(2));
    os_fail_after(0); /* no memory for more than the header holds */
    for (size_t i = 0; i < 70000; i++) {
        allot_gc_ref(&me, n);
    }
    os_fail_after(-1);
    for (size_t i = 0; i < 80000; i++) {
        allot_gc_unref(&me, n);
    }
    allot_gc_collect(&me);
    assert_int_equal(objects(), 2); /* it stays, and what it refers to */
    end();
}

/* -- circles -- */

static struct node *ring(size_t count)
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

static void let_go_and_collect(void *object, size_t others)
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

static void shapes(void **state)
{
    (void)state;
    start(NULL);
    struct node *self = node(1);
    allot_gc_write(&me, self, &self->right, self);
    let_go_and_collect(self, 0);
    let_go_and_collect(ring(2), 0);
    let_go_and_collect(ring(1000), 0);
    let_go_and_collect(ring(100000), 0);

    enum { CLIQUE = 60 };
    void **all[CLIQUE];
    for (size_t i = 0; i < CLIQUE; i++) {
        all[i] = allot_gc_get(&me, &array_type, 8 * CLIQUE);
    }
    for (size_t i = 0; i < CLIQUE; i++) {
        for (size_t k = 0; k < CLIQUE; k++) {
            allot_gc_write(&me, all[i], &all[i][k], all[k]);
        }
    }
    assert_int_equal(outside(), CLIQUE);
    for (size_t i = 1; i < CLIQUE; i++) {
        allot_gc_unref(&me, all[i]);
    }
    assert_int_equal(allot_gc_cycles(&me, 0), 0);
    let_go_and_collect(all[0], 0);

    struct node *r = ring(100), *at = r; /* with tails: of leaves, of lists, into another that stays */
    struct node *stays = ring(10);
    for (size_t i = 0; i < 100; i++, at = at->left) {
        give(at, &at->right,
             i % 3 == 0   ? allot_gc_get(&me, &bytes_type, 8)
             : i % 3 == 1 ? (void *)chain(20)
                          : allot_gc_ref(&me, stays));
    }
    let_go_and_collect(r, 10);
    assert_int_equal(count_of(own(), stays), 2);
    let_go_and_collect(stays, 0);

    r = ring(50); /* held by one reference from outside, to any of it */
    struct node *outer = node(1);
    allot_gc_write(&me, outer, &outer->left, r->left->left->left);
    allot_gc_unref(&me, r);
    assert_int_equal(allot_gc_cycles(&me, 0), 0);
    assert_int_equal(objects(), 51);
    allot_gc_write(&me, outer, &outer->left, NULL);
    assert_true(allot_gc_cycles(&me, 0) > 0);
    assert_int_equal(objects(), 1);

    r = ring(5); /* reached from a ring that goes, through a list; and one that leads to another, and back */
    struct node *list = chain(30);
    struct node *end_of_list = list;
    while (end_of_list->left) {
        end_of_list = end_of_list->left;
    }
    give(end_of_list, &end_of_list->right, r);
    struct node *begin_of_all = ring(7);
    give(begin_of_all, &begin_of_all->right, list);
    let_go_and_collect(begin_of_all, 1);

    struct node *a = ring(20), *b = ring(30); /* nested: two rings, a ring of them, one inside */
    allot_gc_write(&me, a, &a->right, b);
    allot_gc_write(&me, b, &b->right, a);
    give(a->left, &a->left->right, ring(3));
    allot_gc_unref(&me, b);
    let_go_and_collect(a, 1);

    a = allot_gc_get(&me, &traced_type, 0); /* of traced ones, and of large ones */
    give(a, &a->left, allot_gc_get(&me, &traced_type, 0));
    allot_gc_write(&me, a->left, &a->left->right, a);
    void **large = allot_gc_get(&me, &array_type, 1 << 20);
    allot_gc_write(&me, large, &large[77777], large);
    give(a->left, &a->left->left, large);
    let_go_and_collect(a, 1);
    allot_gc_unref(&me, outer);
    assert_int_equal(objects(), 0);
    end();
}

/* A hub to which more refer than its header tells, and than a trial count of 16 bits would. */
static void hub(void **state)
{
    (void)state;
    start(NULL);
    struct node *center = node(1), *spokes = NULL;
    for (size_t i = 0; i < 150000; i++) {
        struct node *n = node(1);
        allot_gc_write(&me, n, &n->right, center);
        give(n, &n->left, spokes);
        spokes = n;
    }
    give(center, &center->left, spokes);
    let_go_and_collect(center, 0);
    end();
}

/* -- the budget -- */

static size_t seen; /* references that trace has told of, in this call */
static void trace_and_count(struct allot_gc_visit *visit, void *object, size_t size)
{
    (void)size;
    seen++;
    allot_gc_visit(visit, &((struct node *)object)->left);
}
static const struct allot_gc_type counted_type = {
    .name = "counted", .size = sizeof(struct node), .trace = trace_and_count};

static struct node *counted_ring(size_t count)
{
    struct node *first = allot_gc_get(&me, &counted_type, 0), *last = first;
    for (size_t i = 1; i < count; i++) {
        struct node *n = allot_gc_get(&me, &counted_type, 0);
        give(last, &last->left, n);
        last = n;
    }
    allot_gc_write(&me, last, &last->left, first);
    return first;
}

static void budget(void **state)
{
    (void)state;
    for (size_t most = 1; most < 5000; most *= 7) {
        start(NULL);
        size_t count = most < 50 ? 3000 : 100000, calls = 0, freed = 0;
        allot_gc_unref(&me, counted_ring(count));
        do {
            seen = 0;
            uint64_t visited = own()->count.cycles.visited;
            freed += allot_gc_cycles(&me, most);
            assert_true(seen <= 2 * most + 2); /* who is let go is asked for its first slot, and then for all */
            assert_true(own()->count.cycles.visited - visited <= most + 64);
            assert_true(calls++ < 40 * count / most + 100);
            if (calls % (16 + count / most) == 0) {
                allot_gc_check(&me); /* in the middle of it */
            }
        } while (is_open());
        assert_true(calls > count / most && freed >= count * sizeof(struct node));
        assert_int_equal(objects(), 0);
        end();
    }
    start(NULL); /* a long array is visited piece by piece */
    enum { LONG = 1 << 20 };
    void **array = allot_gc_get(&me, &array_type, 8 * LONG);
    for (size_t i = 0; i < LONG; i++) {
        give(array, &array[i], i % 1024 ? allot_gc_ref(&me, array) : allot_gc_get(&me, &array_type, 16));
    }
    allot_gc_unref(&me, array);
    size_t calls = 0;
    do {
        uint64_t visited = own()->count.cycles.visited;
        allot_gc_cycles(&me, 5000);
        assert_true(own()->count.cycles.visited - visited <= 5064 && calls++ < 4 * LONG / 5000 + 100);
    } while (is_open());
    assert_int_equal(objects(), 0);
    end();
}

/* What goes with a circle, beside it, is let go within the budget too. */
static void budget_of_what_follows(void **state)
{
    (void)state;
    start(NULL);
    struct node *r = ring(2), *list = chain(200000);
    allot_gc_write(&me, r, &r->right, list);
    allot_gc_unref(&me, r);
    while (own()->count.cycles.phase != CYCLES_COLLECTING) {
        allot_gc_cycles(&me, 100);
    }
    allot_gc_unref(&me, list);
    uint64_t freed = own()->count.finder.freed;
    for (size_t calls = 0; is_open(); calls++) {
        allot_gc_cycles(&me, 100);
        assert_true(own()->count.finder.freed - freed <= 102 * 32 && calls < 20000);
        freed = own()->count.finder.freed;
    }
    assert_int_equal(objects(), 0);
    end();
}

/* A circle that is much longer than a piece, while the program builds, changes and drops beside it, holds on to parts of other circles that
 * are being looked at, and lets go of them again. */
static void progress(void **state)
{
    (void)state;
    for (size_t most = 3; most <= 300; most *= 10) {
        start(&(struct allot_gc_opts){.least = (size_t)1 << 40});
        struct random random = {most};
        struct node *live = ring(5000), *at = live;
        void *weak = allot_gc_weak(&me, live->left->left);
        allot_gc_unref(&me, ring(5000));
        uint64_t rounds = own()->count.cycles.rounds;
        size_t calls = 0;
        long grown = 0;
        while (own()->count.cycles.found < 5000) {
            assert_true(calls++ < 40 * 16000 / most + 1000);
            allot_gc_cycles(&me, most);
            for (int i = 0; i < 5; i++) {
                struct node *n;
                switch (random_below(&random, 7)) {
                case 0: /* one more where it is being looked at */
                    n = node(1);
                    allot_gc_write(&me, n, &n->left, at->left);
                    give(at, &at->left, n);
                    grown++;
                    break;
                case 1: /* and one less: its successor moves up */
                    if (grown > 0 && at->left != live) {
                        n = allot_gc_ref(&me, at->left->left);
                        give(at, &at->left, n);
                        grown--;
                    }
                    break;
                case 2: /* a circle that nobody has yet looked for */
                    n = node(2);
                    allot_gc_write(&me, n, &n->left, n);
                    give(at, &at->right, n);
                    break;
                case 3:
                    allot_gc_write(&me, at, &at->right, NULL);
                    break;
                case 4: /* held for a moment, and a candidate */
                    allot_gc_ref(&me, at);
                    allot_gc_unref(&me, at);
                    break;
                case 5:
                    n = allot_gc_weak_get(&me, weak);
                    assert_true(n != NULL || grown < 5000);
                    allot_gc_unref(&me, n);
                    break;
                default:
                    at = at->left;
                }
            }
            if (calls % (100 + 20000 / most) == 0) {
                allot_gc_check(&me);
            }
        }
        assert_true(own()->count.cycles.rounds <= rounds + 6);
        size_t length = 1;
        for (at = live->left; at != live; at = at->left) {
            length++;
        }
        assert_int_equal(length, 5000 + grown);
        allot_gc_unref(&me, live);
        allot_gc_collect(&me);
        assert_int_equal(objects(), 1);
        allot_gc_unref(&me, weak);
        end();
    }
}

/* The only reference to what is being looked at moves behind the search's back: from one object to another, to the program alone, and to an
 * object that did not exist, at every moment of the search. */
static void moved_while_searching(void **state)
{
    (void)state;
    for (int way = 0; way < 4; way++) {
        size_t moments = 1;
        for (size_t moment = 0; moment < moments; moment++) {
            start(NULL);
            struct node *a = ring(3), *b = ring(3), *inner = ring(4);
            give(a, &a->right, inner);
            void *weak = allot_gc_weak(&me, inner);
            struct node *held = NULL, *fresh = NULL;
            allot_gc_unref(&me, allot_gc_ref(&me, a));
            allot_gc_unref(&me, allot_gc_ref(&me, b));
            allot_gc_cycles(&me, 1);
            for (size_t i = 1; own()->count.cycles.phase != CYCLES_NONE; i++) {
                moments = i > moments ? i : moments;
                if (i - 1 == moment) {
                    switch (way) {
                    case 0:
                        allot_gc_write(&me, b, &b->right, a->right);
                        break;
                    case 1:
                        held = allot_gc_ref(&me, a->right);
                        break;
                    case 2:
                        fresh = node(1);
                        allot_gc_write(&me, fresh, &fresh->left, a->right);
                        break;
                    default:
                        held = allot_gc_weak_get(&me, weak);
                        assert_ptr_equal(held, inner);
                    }
                    allot_gc_write(&me, a, &a->right, NULL);
                    allot_gc_check(&me);
                }
                allot_gc_cycles(&me, 1);
            }
            allot_gc_cycles(&me, 0);
            struct node *found = way == 0 ? b->right : way == 2 ? fresh ? fresh->left : a->right : held;
            if (moment < moments && found) {
                assert_ptr_equal(found, inner);
                for (int i = 0; i < 4; i++) {
                    found = found->left;
                }
                assert_ptr_equal(found, inner);
            }
            allot_gc_check(&me);
            allot_gc_unref(&me, a);
            allot_gc_unref(&me, b);
            allot_gc_unref(&me, held);
            allot_gc_unref(&me, fresh);
            allot_gc_unref(&me, weak);
            allot_gc_collect(&me);
            assert_int_equal(objects(), 0);
            end();
        }
        assert_true(moments > 20);
    }
}

/* Candidates want no memory, however many there are; nor do rounds keep any. */
static void candidates_are_bits(void **state)
{
    (void)state;
    start(&(struct allot_gc_opts){.least = (size_t)1 << 40});
    struct node *all = chain(300000);
    allot_gc_cycles(&me, 0);
    size_t held = stats().use.held;
    for (struct node *n = all; n; n = n->left) {
        allot_gc_unref(&me, allot_gc_ref(&me, n));
    }
    assert_int_equal(stats().use.held, held);
    uint64_t visited = own()->count.cycles.visited;
    allot_gc_cycles(&me, 0);
    assert_true(own()->count.cycles.visited - visited >= 2 * 299999);
    assert_int_equal(stats().use.held, held);
    visited = own()->count.cycles.visited;
    allot_gc_cycles(&me, 0); /* none is left */
    assert_int_equal(own()->count.cycles.visited, visited);
    allot_gc_unref(&me, all);
    end();
}

/* Bytes handed out that stay start a search, and it keeps a heap in bounds that makes nothing but circles. */
static void by_itself(void **state)
{
    (void)state;
    for (int steps = 0; steps < 2; steps++) {
        start(&(struct allot_gc_opts){.least = 1 << 20, .step_ns = steps ? 100000 : 0});
        struct node *live = chain(10000);
        for (size_t i = 0; i < 200000; i++) {
            allot_gc_unref(&me, ring(3));
        }
        struct allot_gc_stats s = stats();
        assert_true(s.use.peak < 32u << 20);
        assert_true(s.collections >= 2 && s.cycles > 100000 && (steps == 0 || s.steps > 0));
        uint64_t rounds = own()->count.cycles.rounds;
        for (size_t i = 0; i < 100000; i++) { /* what goes by its count hardly counts */
            allot_gc_unref(&me, chain(3));
        }
        assert_true(own()->count.cycles.rounds - rounds < 5);
        allot_gc_unref(&me, live);
        end();
    }
}

/* -- finishers, and weak references, of circles -- */

static void order(void **state)
{
    (void)state;
    start(NULL);
    struct node *inner = finishable(1), *older = finishable(2), *younger = finishable(3), *leaf = finishable(4);
    give(younger, &younger->right,
         allot_gc_ref(&me, inner)); /* younger <-> older, both -> inner (a circle), inner -> leaf */
    allot_gc_write(&me, inner, &inner->left, inner);
    give(inner, &inner->right, leaf);
    allot_gc_write(&me, older, &older->left, younger);
    allot_gc_write(&me, younger, &younger->left, older);
    allot_gc_unref(&me, inner);
    allot_gc_unref(&me, younger);
    finishes = 0;
    allot_gc_unref(&me, older);
    expect_finished(NULL, 0);
    allot_gc_collect(&me);
    while (objects() > 0 && finishes < 4) {
        allot_gc_collect(&me);
    }
    EXPECT_FINISHED(2, 3, 1, 4);
    allot_gc_collect(&me);
    assert_int_equal(objects(), 0);
    end();
}

static void again_reachable(void **state)
{
    (void)state;
    start(NULL);
    keeps = true;
    struct node *n = finishable(1); /* by its count */
    give(n, &n->left, node(2));
    allot_gc_unref(&me, n);
    EXPECT_FINISHED(1);
    assert_ptr_equal(kept, n);
    assert_int_equal(kept->left->number, 2);
    allot_gc_unref(&me, n); /* the next time it just goes */
    expect_finished(NULL, 0);
    assert_int_equal(objects(), 0);
    n = finishable(3); /* by the search */
    give(n, &n->left, node(4));
    allot_gc_write(&me, n->left, &n->left->right, n);
    allot_gc_unref(&me, n);
    weak_of_it = allot_gc_weak(&me, n);
    allot_gc_collect(&me);
    EXPECT_FINISHED(3);
    assert_ptr_equal(kept, n);
    assert_ptr_equal(n->left->right, n);
    assert_int_equal(objects(), 3);
    assert_null(allot_gc_weak_get(&me, weak_of_it));
    keeps = false;
    allot_gc_unref(&me, n);
    allot_gc_collect(&me);
    expect_finished(NULL, 0);
    assert_int_equal(objects(), 1);
    allot_gc_unref(&me, weak_of_it);
    weak_of_it = NULL;
    end();
}

static void by_hand(void **state)
{
    (void)state;
    start(&(struct allot_gc_opts){.flags = ALLOT_GC_BY_HAND});
    struct node *a = finishable(1), *b = finishable(2);
    allot_gc_write(&me, b, &b->left, b);
    give(a, &a->left, node(3));
    finishes = 0;
    allot_gc_unref(&me, a);
    allot_gc_unref(&me, b);
    allot_gc_collect(&me);
    expect_finished(NULL, 0);
    assert_int_equal(objects(), 3);
    assert_int_equal(allot_gc_finish(&me, 1), 1);
    EXPECT_FINISHED(1);
    assert_int_equal(objects(), 1);
    assert_int_equal(allot_gc_finish(&me, 0), 1);
    EXPECT_FINISHED(2);
    allot_gc_collect(&me);
    assert_int_equal(objects(), 0);
    struct node *n = finishable(5); /* at the end */
    give(n, &n->left, finishable(4));
    allot_gc_done(&heap);
    EXPECT_FINISHED(5, 4);
}

static void weak(void **state)
{
    (void)state;
    start(NULL);
    void *w[4];
    struct node *n = node(1), *r = ring(3);
    for (int i = 0; i < 4; i++) {
        w[i] = allot_gc_weak(&me, i % 2 ? r->left : n);
    }
    assert_int_equal(outside(), 6);
    allot_gc_unref(&me, w[0]); /* before its target */
    allot_gc_unref(&me, n);
    assert_null(allot_gc_weak_get(&me, w[2]));
    allot_gc_unref(&me, r);
    void *got = allot_gc_weak_get(&me, w[1]); /* nobody has looked yet */
    assert_ptr_equal(got, r->left);
    allot_gc_unref(&me, got);
    while (own()->count.cycles.phase <= CYCLES_SCANNING) {
        allot_gc_cycles(&me, 1);
    }
    assert_null(allot_gc_weak_get(&me, w[1])); /* it is known to be garbage */
    allot_gc_cycles(&me, 0);
    assert_null(allot_gc_weak_get(&me, w[3]));
    assert_int_equal(objects(), 3);
    for (int i = 1; i < 4; i++) {
        allot_gc_unref(&me, w[i]);
    }
    assert_int_equal(objects(), 0);
    end();
}

/* -- memory that ends -- */

static long units_left = -1; /* so many more; negative: as many as are wanted */
static bool refused_units;
struct unit *__real_part_take_unit(enum unit_use use);
struct unit *__wrap_part_take_unit(enum unit_use use);
struct unit *__wrap_part_take_unit(enum unit_use use)
{
    if (units_left == 0) {
        refused_units = true;
        errno = ENOMEM;
        return NULL;
    }
    units_left -= units_left > 0;
    return __real_part_take_unit(use);
}

static void later(void **state)
{
    (void)state;
    for (long after = 0; after < 8; after++) {
        start(&(struct allot_gc_opts){.least = (size_t)1 << 40});
        for (size_t i = 0; i < 40; i++) { /* many units have members */
            allot_gc_unref(&me, ring(3000));
        }
        struct node *live = ring(10);
        uint64_t before = objects();
        units_left = after;
        refused_units = false;
        for (int i = 0; i < 300; i++) {
            allot_gc_cycles(&me, 1000);
            if (i % 50 == 0) {
                allot_gc_check(&me);
            }
        }
        assert_int_equal(refused_units, objects() > 10);
        assert_true(refused_units || after > 5);
        units_left = -1;
        allot_gc_check(&me);
        assert_true(objects() <= before);
        allot_gc_collect(&me);
        assert_int_equal(objects(), 10);
        allot_gc_unref(&me, live);
        allot_gc_collect(&me);
        assert_int_equal(objects(), 0);
        end();
    }
}

/* All are finished, though not in order. */
static void end_without_memory(void **state)
{
    (void)state;
    start(NULL);
    for (long i = 0; i < 30; i++) {
        struct node *n = finishable(i);
        allot_gc_write(&me, n, &n->left, n);
        give(n, &n->right, finishable(i));
        allot_gc_unref(&me, n);
    }
    finishes = 0;
    units_left = 0;
    allot_gc_done(&heap);
    units_left = -1;
    assert_int_equal(finishes, 60);
    finishes = 0;
}

/* A heap that is full of circles has room for their trial counts. */
static void full_of_circles(void **state)
{
    (void)state;
    for (size_t limit = 256 << 10; limit <= 16 << 20; limit *= 4) {
        start(&(struct allot_gc_opts){.limit = limit, .least = (size_t)1 << 40});
        for (size_t i = 0; i < 3 * limit / 64; i++) {
            struct node *n = allot_gc_get(&me, &node_type, 0);
            assert_non_null(n);
            allot_gc_write(&me, n, &n->left, n);
            allot_gc_unref(&me, n);
        }
        struct allot_gc_stats s = stats();
        assert_true(s.cycles > 0 && s.use.peak <= limit);
        end();
    }
}

static void kinds_of_types(void **state)
{
    (void)state;
    static const struct allot_gc_type maybe = {.name = "maybe", .size = 16, .flags = ALLOT_GC_MAYBE};
    start(NULL);
    errno = 0;
    assert_null(allot_gc_get(&me, &maybe, 1000));
    assert_int_equal(errno, ENOTSUP);
    end();
}

static void unref_twice(void *p)
{
    allot_gc_unref(&me, p);
    allot_gc_unref(&me, p);
}
static void ref_of_gone(void *p)
{
    allot_gc_unref(&me, p);
    allot_gc_ref(&me, p);
}

static void crimes(void **state)
{
    (void)state;
    start(&(struct allot_gc_opts){.name = "tried"});
    struct node *n = node(1);
    char expected[128];
    struct child_end end_of = child_run(unref_twice, n);
    snprintf(expected, sizeof expected, "allot: reference let go that nobody has: object of gc \"tried\" at %p",
             (void *)n);
    end_of.text[strcspn(end_of.text, "\n")] = 0;
    assert_string_equal(end_of.text, expected);
    end_of = child_run(ref_of_gone, n);
    snprintf(expected, sizeof expected, "allot: reference to what has gone: object of gc \"tried\" at %p", (void *)n);
    end_of.text[strcspn(end_of.text, "\n")] = 0;
    assert_string_equal(end_of.text, expected);
    allot_gc_unref(&me, n);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_once),
        cmocka_unit_test(without_recursion),
        cmocka_unit_test(beyond_the_header),
        cmocka_unit_test(nobody_knows_how_many),
        cmocka_unit_test(shapes),
        cmocka_unit_test(hub),
        cmocka_unit_test(budget),
        cmocka_unit_test(budget_of_what_follows),
        cmocka_unit_test(progress),
        cmocka_unit_test(moved_while_searching),
        cmocka_unit_test(candidates_are_bits),
        cmocka_unit_test(by_itself),
        cmocka_unit_test(order),
        cmocka_unit_test(again_reachable),
        cmocka_unit_test(by_hand),
        cmocka_unit_test(weak),
        cmocka_unit_test(later),
        cmocka_unit_test(end_without_memory),
        cmocka_unit_test(full_of_circles),
        cmocka_unit_test(kinds_of_types),
        cmocka_unit_test(crimes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
