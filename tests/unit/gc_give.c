/* gc_give.c - stores that take over the caller's reference, in each kind of heap: what they hold, what they do not count, and that neither
 * a collection in steps nor the search for circles is misled by them.
 */
#include "unit/gc_count.h"

/* -- any kind -- */

static void holds(void **state)
{
    (void)state;
    enum { SLOTS = 20000 };
    EACH_KIND
    {
        if (!begin(&(struct allot_gc_opts){.least = 1 << 16, .young = 1 << 16})) {
            continue;
        }
        ALLOT_GC_FRAME(&me, frame, 2);
        frame.slot[0] = node(1);
        frame.slot[1] = allot_gc_get(&me, &array_type, SLOTS * sizeof(void *)); /* with pages of its own */
        collect_to(2);
        struct node *n = chain(1000);
        allot_gc_give(&me, frame.slot[0], &((struct node *)frame.slot[0])->left, n);
        for (long i = 0; i < 3000; i++) { /* into what is old by now, with collections on the way */
            n = node(i);
            allot_gc_give(&me, frame.slot[1], (void **)frame.slot[1] + i * 6 % SLOTS, n);
            n = node(-i);
            struct node *in = ((void **)frame.slot[1])[i * 6 % SLOTS];
            assert_int_equal(in->number, i);
            allot_gc_give(&me, in, &in->right, n);
        }
        collect_to(2 + 1000 + 2 * 3000);
        assert_int_equal(chain_length(((struct node *)frame.slot[0])->left), 1000);
        for (long i = 0; i < 3000; i++) {
            struct node *in = ((void **)frame.slot[1])[i * 6 % SLOTS];
            assert_int_equal(in->number, i);
            assert_int_equal(in->right->number, -i);
        }
        n = chain(10); /* in the place of what goes by that; and of itself */
        allot_gc_give(&me, frame.slot[0], &((struct node *)frame.slot[0])->left, n);
        n = ((struct node *)frame.slot[0])->left;
        allot_gc_give(&me, frame.slot[0], &((struct node *)frame.slot[0])->left, allot_gc_ref(&me, n));
        collect_to(2 + 10 + 2 * 3000);
        allot_gc_give(&me, frame.slot[0], &((struct node *)frame.slot[0])->left, NULL);
        drop_to(&frame.slot[1], 1);
        drop_to(&frame.slot[0], 0);
        end();
    }
}

/* After each number of steps what nothing but the program, or what they have not come to, holds goes to what they have left. */
static void between_steps(void **state)
{
    (void)state;
    enum { LONG = 3000 };
    EACH_KIND
    {
        for (int steps = 0; steps < 60; steps++) {
            if (!begin(NULL)) {
                break;
            }
            ALLOT_GC_FRAME(&me, frame, 2);
            frame.slot[0] = chain(LONG);
            frame.slot[1] = chain(LONG);
            for (int i = 0; i < steps; i++) {
                allot_gc_step(&me, 0);
            }
            struct node *m;
            for (struct node *n = frame.slot[0]; (m = frame.slot[1]) != NULL; n = n->left) {
                struct node *next = allot_gc_ref(&me, m->left);
                allot_gc_write(&me, m, &m->left, NULL);
                allot_gc_give(&me, n, &n->right, m);
                frame.slot[1] = next;
            }
            for (int i = 0; i < 1000 && !allot_gc_step(&me, 1000); i++) {
            }
            allot_gc_check(&me);
            assert_int_equal(chain_length(frame.slot[0]), LONG);
            for (struct node *n = frame.slot[0]; n; n = n->left) {
                assert_int_equal(n->right->number, n->number);
            }
            collect_to(2 * LONG);
            drop_to(&frame.slot[0], 0);
            end();
        }
    }
}

/* -- count -- */

static bool is_candidate(const void *object) { return (*gc_header(object) & COUNT_CANDIDATE) != 0; }

static void counts_nothing(void **state)
{
    (void)state;
    start(NULL);
    struct node *n = node(1), *first = finishable(1), *second = finishable(2);
    finishes = 0;
    allot_gc_give(&me, n, &n->left, first);
    assert_int_equal(count_of(own(), first), 1);
    assert_int_equal(outside(), 2);
    assert_false(is_candidate(first));
    allot_gc_give(&me, n, &n->left, allot_gc_ref(&me, first));
    assert_int_equal(count_of(own(), first), 1);
    expect_finished(NULL, 0);
    allot_gc_give(&me, n, &n->left, second); /* what was there goes, in the program's sight */
    EXPECT_FINISHED(1);
    assert_int_equal(count_of(own(), second), 1);
    assert_int_equal(outside(), 1);
    assert_false(is_candidate(second));
    allot_gc_give(&me, n, &n->left, NULL);
    EXPECT_FINISHED(2);
    allot_gc_give(&me, n, &n->right, allot_gc_ref(&me, n)); /* a circle, which is found as the program lets go of it */
    let_go_and_collect(n, 0);
    end();
}

static struct node *tree(int depth, struct node *up)
{
    struct node *n = node(depth);
    if (depth > 0) {
        allot_gc_give(&me, n, &n->left, tree(depth - 1, n));
    }
    allot_gc_write(&me, n, &n->right, up);
    return n;
}

/* What was made by it alone is nothing to look for; and what refers back is found when the one is let go that holds it all. */
static void candidates(void **state)
{
    (void)state;
    start(NULL);
    struct node *all = NULL;
    for (int i = 0; i < 1000; i++) {
        struct node *n = node(1);
        allot_gc_give(&me, n, &n->left, all);
        all = n;
    }
    assert_false(cycles_wanted(own()));
    allot_gc_unref(&me, all);
    assert_int_equal(objects(), 0);
    all = tree(100, NULL);
    assert_false(cycles_wanted(own()));
    let_go_and_collect(all, 0);
    end();
}

enum way {
    OF_THE_PROGRAM, /* which alone held it when the round began */
    MOVED,          /* from one circle to another */
    TO_FRESH,       /* to an object that did not exist */
    OVER_ANOTHER,   /* in whose place it comes */
    WAYS
};

static void expect_ring(const struct node *n, int length)
{
    const struct node *at = n;
    for (int i = 0; i < length; i++) {
        assert_ptr_equal(allot_gc_type_of(at), &node_type);
        at = at->left;
    }
    assert_ptr_equal(at, n);
}

/* The only reference to a circle moves by it, at every moment of a round that looks at this circle. */
static void while_searching(void **state)
{
    (void)state;
    for (enum way way = 0; way < WAYS; way++) {
        size_t moments = 1;
        for (size_t moment = 0; moment < moments; moment++) {
            start(NULL);
            struct node *a = ring(3), *b = ring(3), *inner = ring(4), *fresh = NULL, *held = NULL;
            void *place = &b->right;
            struct node *in = b;
            if (way == OF_THE_PROGRAM) {
                held = allot_gc_ref(&me, inner);
                allot_gc_unref(&me, inner);
            } else {
                allot_gc_give(&me, a, &a->right, inner);
                allot_gc_unref(&me, allot_gc_ref(&me, inner));
            }
            if (way == OVER_ANOTHER) {
                give(b, &b->right, ring(5));
            }
            allot_gc_unref(&me, allot_gc_ref(&me, a));
            allot_gc_unref(&me, allot_gc_ref(&me, b));
            allot_gc_cycles(&me, 1);
            bool given = false;
            for (size_t i = 0; is_open(); i++) {
                bool searched = own()->count.cycles.phase <= CYCLES_SCANNING;
                assert_int_equal(me.gives, !searched);
                moments = i + 1 > moments ? i + 1 : moments;
                if (i == moment) {
                    if (way == TO_FRESH) {
                        in = fresh = node(1);
                        place = &fresh->left;
                    }
                    held = held ? held : allot_gc_ref(&me, a->right);
                    allot_gc_write(&me, a, &a->right, NULL);
                    allot_gc_give(&me, in, place, held);
                    given = true;
                    allot_gc_check(&me);
                }
                allot_gc_cycles(&me, 1);
            }
            assert_true(me.gives);
            allot_gc_cycles(&me, 0);
            allot_gc_check(&me);
            if (given) {
                expect_ring(*(struct node **)place, 4);
            } else {
                allot_gc_unref(&me, held);
            }
            expect_ring(a, 3);
            expect_ring(b, 3);
            allot_gc_collect(&me);
            size_t rest = way == OF_THE_PROGRAM ? 6
                          : way == OVER_ANOTHER ? 15
                                                : 10; /* where the round had ended before */
            assert_int_equal(objects(), given ? 10 + (fresh != NULL) : rest);
            allot_gc_unref(&me, a);
            allot_gc_unref(&me, b);
            allot_gc_unref(&me, fresh);
            allot_gc_collect(&me);
            assert_int_equal(objects(), 0);
            end();
        }
        assert_true(moments > 20);
    }
}

/* Who comes while a round is open, and who is there when it begins, and ends. */
static void other_threads_faces(void **state)
{
    (void)state;
    start(NULL);
    assert_true(me.gives);
    allot_gc_unref(&me, ring(1000));
    allot_gc_cycles(&me, 10);
    assert_true(is_open() && !me.gives);
    struct allot_gc_mutator another;
    assert_int_equal(allot_gc_attach(&heap, &another), 0);
    assert_false(another.gives);
    allot_gc_leave(&another);
    allot_gc_cycles(&me, 0);
    allot_gc_enter(&another);
    assert_true(me.gives && another.gives);
    allot_gc_detach(&another);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds),      cmocka_unit_test(between_steps),   cmocka_unit_test(counts_nothing),
        cmocka_unit_test(candidates), cmocka_unit_test(while_searching), cmocka_unit_test(other_threads_faces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
