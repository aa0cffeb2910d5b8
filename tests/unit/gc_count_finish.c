/* gc_count_finish.c - finishers and weak references in counting heaps, at any moment of the search for circles. */
#include "unit/gc_count.h"

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

/* -- what dies while a round is open -- */

enum way {
    QUEUED,  /* its finisher waits to be run by hand */
    RUNS,    /* it runs, and the round comes to its end meanwhile */
    WAITS,   /* another's runs first, and the round comes to its end in that one */
    LETS_GO, /* the finisher lets go of what the round knows, and goes on with it */
    KEEPS,   /* and makes the object reachable again */
    WAYS
};
static enum way way;
static int ran;
static bool comes_last; /* the round comes to it by what refers to it, so that SCANNING begins with it */
static size_t moment, moments;

static void make_candidate(void *object) { allot_gc_unref(&me, allot_gc_ref(&me, object)); }

static void expect_ring_of_four(const struct node *n)
{
    const struct node *at = n;
    for (int i = 0; i < 4; i++) {
        assert_ptr_equal(allot_gc_type_of(at), &node_type);
        assert_int_equal(at->number, 1);
        at = at->left;
    }
    assert_ptr_equal(at, n);
}

static void go_on_to_the_end(void)
{
    for (size_t i = 0; is_open(); i++) {
        allot_gc_cycles(&me, 1);
        if (i % 8 == 0) {
            allot_gc_check(&me);
        }
    }
}

static void act(void *object, void *arg)
{
    struct node *n = object;
    (void)arg;
    ran++;
    expect_ring_of_four(n->left);
    if (way == LETS_GO) {
        void **array = (void **)n->right;
        for (size_t i = 0; i < 4; i++) {
            allot_gc_write(&me, array, &array[i], NULL);
        }
    }
    if (way != QUEUED) {
        go_on_to_the_end();
    }
    expect_ring_of_four(n->left);
    if (way == KEEPS) {
        kept = allot_gc_ref(&me, n);
    }
}

static const struct allot_gc_type acting_type = {.name = "acting",
                                                 .size = sizeof(struct node),
                                                 .refs =
                                                     ALLOT_GC_REF(struct node, left) | ALLOT_GC_REF(struct node, right),
                                                 .finish = act};

/* It refers to a ring of four; and, so that these wait together when its finisher lets them go, to an array of things of each sort. */
static struct node *acting(void)
{
    struct node *n = allot_gc_get(&me, &acting_type, 0);
    struct node *r = ring(4);
    give(n, &n->left, r);
    void **array = allot_gc_get(&me, &array_type, 4 * sizeof(void *));
    give(array, &array[0], chain(3));
    give(array, &array[1], chain(2));
    struct node *traced = allot_gc_get(&me, &traced_type, 0);
    give(traced, &traced->right, node(3));
    give(array, &array[2], traced);
    give(array, &array[3], chain(2));
    give(n, &n->right, array);
    return n;
}

static void drop_at_the_moment(struct node *root)
{
    for (size_t i = 0; is_open(); i++) {
        moments = i + 1 > moments ? i + 1 : moments;
        if (i == moment) {
            allot_gc_write(&me, root, &root->right, NULL);
            allot_gc_check(&me);
        }
        allot_gc_cycles(&me, 1);
    }
    allot_gc_write(&me, root, &root->right, NULL);
}

static void die_while_searching(void)
{
    moments = 1;
    for (moment = 0; moment < moments; moment++) {
        start(&(struct allot_gc_opts){.flags = way == QUEUED ? ALLOT_GC_BY_HAND : 0});
        int all = way == WAITS ? 2 : 1;
        ran = 0;
        kept = NULL;
        struct node *root = ring(3), *pair = node(1);
        give(pair, &pair->left, acting());
        if (way == WAITS) {
            give(pair, &pair->right, acting());
        }
        give(root, &root->right, pair);
        allot_gc_cycles(&me, 0); /* who is a candidate is up to here from now on */
        if (!comes_last) {
            make_candidate(pair->left);
        }
        make_candidate(root);
        allot_gc_cycles(&me, 1);
        drop_at_the_moment(root);
        allot_gc_cycles(&me, 0);
        allot_gc_check(&me);
        assert_int_equal(ran, way == QUEUED ? 0 : all);
        if (way == QUEUED) {
            assert_int_equal(allot_gc_finish(&me, 0), 1);
            assert_int_equal(ran, 1);
        }
        if (kept) {
            expect_ring_of_four(kept->left);
            allot_gc_unref(&me, kept);
        }
        collect_to(3);
        allot_gc_unref(&me, root);
        collect_to(0);
        assert_int_equal(ran, all);
        end();
    }
    assert_true(moments > 20);
}

static void dies_while_searching(void **state)
{
    (void)state;
    for (way = 0; way < WAYS; way++) {
        for (int last = 0; last < 2; last++) {
            comes_last = last;
            die_while_searching();
        }
    }
}

/* -- one after the other -- */

static int running;
static struct node *to_let_go, *circle;

static void run_alone(void *object, void *arg)
{
    (void)arg;
    assert_int_equal(running++, 0);
    finished[finishes++ % LOG] = ((struct node *)object)->number;
    struct node *n = to_let_go, *c = circle;
    to_let_go = circle = NULL;
    size_t before = finishes;
    allot_gc_unref(&me, n);
    allot_gc_unref(&me, c);
    allot_gc_collect(&me);
    allot_gc_unref(&me, node(0));
    assert_int_equal(finishes, before);
    running--;
}

static const struct allot_gc_type alone_type = {.name = "alone",
                                                .size = sizeof(struct node),
                                                .refs =
                                                    ALLOT_GC_REF(struct node, left) | ALLOT_GC_REF(struct node, right),
                                                .finish = run_alone};

static struct node *alone(long number, bool in_circle)
{
    struct node *n = allot_gc_get(&me, &alone_type, 0);
    n->number = number;
    if (in_circle) {
        allot_gc_write(&me, n, &n->left, n);
    }
    return n;
}

/* Whoever runs them: what goes by its count, the search, or the program. */
static void never_nested(void **state)
{
    (void)state;
    for (int by_circle = 0; by_circle < 2; by_circle++) {
        start(NULL);
        finishes = 0;
        struct node *first = alone(1, by_circle);
        to_let_go = alone(2, false);
        circle = alone(3, true);
        allot_gc_unref(&me, first);
        if (by_circle) {
            allot_gc_collect(&me);
        }
        EXPECT_FINISHED(1, 2, 3);
        allot_gc_collect(&me);
        assert_int_equal(objects(), 0);
        end();
    }
}

/* -- the heap ends while a round is open -- */

/* A circle; what hangs on it, and refers to nothing; another that does, and what that refers to. */
static void let_go_of_a_ring_with_finishables(void)
{
    static const struct allot_gc_type leaf_type = {.name = "leaf", .size = sizeof(struct node), .finish = finish};
    struct node *r = ring(3), *leaf = allot_gc_get(&me, &leaf_type, 0), *inner = finishable(3), *outer = finishable(2);
    leaf->number = 1;
    give(outer, &outer->left, inner);
    give(r, &r->right, leaf);
    give(r->left, &r->left->right, chain(3));
    give(r->left->left, &r->left->left->right, outer);
    allot_gc_unref(&me, r);
}

static void ends_at_any_moment(void **state)
{
    (void)state;
    size_t steps = 0, after = 0;
    for (bool open = true; open; steps++) {
        start(NULL);
        finishes = 0;
        let_go_of_a_ring_with_finishables();
        for (size_t i = 0; i <= steps; i++) {
            allot_gc_cycles(&me, 1);
        }
        open = is_open();
        after += finishes == 0;
        allot_gc_done(&heap);
        assert_int_equal(finishes, 3);
        size_t at[4];
        for (size_t i = 0; i < 3; i++) {
            at[finished[i]] = i;
        }
        assert_true(at[2] < at[3]);
    }
    assert_true(after > 10);
}

/* Candidates that the round has not come to: they are finished in their order all the same. */
static void ends_before_it_comes_to_all(void **state)
{
    (void)state;
    start(NULL);
    struct node *referred = finishable(2), *referrer = finishable(1), *other = node(0);
    give(referrer, &referrer->left, referred);
    make_candidate(referrer);
    make_candidate(other); /* of another unit, which comes first */
    allot_gc_cycles(&me, 1);
    assert_non_null(own()->count.cycles.from);
    finishes = 0;
    allot_gc_done(&heap);
    EXPECT_FINISHED(1, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order),
        cmocka_unit_test(again_reachable),
        cmocka_unit_test(by_hand),
        cmocka_unit_test(weak),
        cmocka_unit_test(dies_while_searching),
        cmocka_unit_test(never_nested),
        cmocka_unit_test(ends_at_any_moment),
        cmocka_unit_test(ends_before_it_comes_to_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
