/* gc_count_cycles.c - the search for circles in counting heaps: circles of every shape, what it finds while the program changes what it
 * looks at, and when it begins by itself.
 */
#include "unit/gc_count.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes),
        cmocka_unit_test(hub),
        cmocka_unit_test(moved_while_searching),
        cmocka_unit_test(candidates_are_bits),
        cmocka_unit_test(by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
