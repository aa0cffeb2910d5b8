/* gc_weak.c - weak references, ephemerons and finishers of collected heaps, each kind. */
#include "unit/gc.h"

#include <pthread.h>
#include <stdbool.h>

static void weak(void **state)
{
    (void)state;
    EACH_KIND
    {
        if (!begin(NULL)) {
            continue;
        }
        ALLOT_GC_FRAME(&me, frame, 4);
        frame.slot[0] = node(1);
        frame.slot[1] = allot_gc_weak(&me, frame.slot[0]);
        frame.slot[2] = allot_gc_weak(&me, frame.slot[0]); /* as many as are wanted */
        frame.slot[3] = allot_gc_weak(&me, frame.slot[1]); /* to a weak one, too */
        for (int i = 0; i < 2; i++) {
            allot_gc_collect(&me);
            for (int k = 1; k < 4; k++) {
                void *target = allot_gc_weak_get(&me, frame.slot[k]);
                assert_ptr_equal(target, k == 3 ? frame.slot[1] : frame.slot[0]);
                allot_gc_unref(&me, target);
            }
        }
        allot_gc_unref(&me, frame.slot[0]);
        frame.slot[0] = NULL;
        allot_gc_collect(&me);
        assert_null(allot_gc_weak_get(&me, frame.slot[1]));
        assert_null(allot_gc_weak_get(&me, frame.slot[2]));
        assert_int_equal(objects(), 3);
        allot_gc_unref(&me, frame.slot[1]);
        frame.slot[1] = NULL;
        allot_gc_collect(&me);
        assert_null(allot_gc_weak_get(&me, frame.slot[3]));
        allot_gc_unref(&me, frame.slot[2]);
        allot_gc_unref(&me, frame.slot[3]);
        frame.slot[2] = frame.slot[3] = NULL;
        allot_gc_collect(&me);
        assert_int_equal(objects(), 0);
        void *none = allot_gc_weak(&me, NULL);
        assert_null(allot_gc_weak_get(&me, none));
        allot_gc_unref(&me, none);
        end();
    }
}

/* What a circle refers to weakly; a weak reference that dies before its target, many of them. */
static void weak_in_graphs(void **state)
{
    (void)state;
    EACH_KIND
    {
        if (!begin(NULL)) {
            continue;
        }
        ALLOT_GC_FRAME(&me, frame, 2);
        frame.slot[0] = node(1);
        for (int i = 0; i < 1000; i++) {
            allot_gc_unref(&me, allot_gc_weak(&me, frame.slot[0]));
        }
        allot_gc_collect(&me);
        assert_int_equal(objects(), 1);
        struct node *n = frame.slot[0];
        allot_gc_write(&me, n, &n->left, n);
        frame.slot[1] = allot_gc_weak(&me, n);
        n = frame.slot[0];
        give(n, &n->right, frame.slot[1]); /* the weak one is of the circle that it refers to */
        frame.slot[1] = NULL;
        allot_gc_collect(&me);
        assert_int_equal(objects(), 2);
        n = frame.slot[0];
        assert_ptr_equal(allot_gc_weak_get(&me, n->right), n);
        allot_gc_unref(&me, n);
        allot_gc_unref(&me, n);
        frame.slot[0] = NULL;
        allot_gc_collect(&me);
        assert_int_equal(objects(), 0);
        end();
    }
}

static void ephemerons(void **state)
{
    (void)state;
    EACH_KIND
    {
        if (!begin(NULL)) {
            continue;
        }
        ALLOT_GC_FRAME(&me, frame, 3);
        if (kind == ALLOT_GC_COUNT) {
            frame.slot[0] = node(1);
            errno = 0;
            assert_null(allot_gc_ephemeron(&me, frame.slot[0], NULL));
            assert_int_equal(errno, ENOTSUP);
            allot_gc_unref(&me, frame.slot[0]);
            frame.slot[0] = NULL;
            end();
            continue;
        }
        /* The value refers to the key, and is held by the pair as long as the key is by others. */
        frame.slot[0] = node(1);
        frame.slot[1] = node(2);
        struct node *value = frame.slot[1];
        allot_gc_write(&me, value, &value->left, frame.slot[0]);
        frame.slot[2] = allot_gc_ephemeron(&me, frame.slot[0], frame.slot[1]);
        frame.slot[1] = NULL;
        allot_gc_collect(&me);
        assert_int_equal(objects(), 3);
        assert_ptr_equal(allot_gc_ephemeron_key(&me, frame.slot[2]), frame.slot[0]);
        value = allot_gc_ephemeron_value(&me, frame.slot[2]);
        assert_int_equal(value->number, 2);
        assert_ptr_equal(value->left, frame.slot[0]);
        frame.slot[0] = NULL;
        allot_gc_collect(&me);
        assert_null(allot_gc_ephemeron_key(&me, frame.slot[2]));
        assert_null(allot_gc_ephemeron_value(&me, frame.slot[2]));
        assert_int_equal(objects(), 1);
        /* Neither holds when the pair is gone. */
        frame.slot[0] = node(1);
        allot_gc_ephemeron(&me, frame.slot[0], node(2));
        frame.slot[2] = NULL;
        allot_gc_collect(&me);
        assert_int_equal(objects(), 1);
        frame.slot[0] = NULL;
        allot_gc_collect(&me);
        assert_int_equal(objects(), 0);
        end();
    }
}

/* Keys that are values of others: in the order in which they were made, and against it. */
static void chains_of_ephemerons(void **state)
{
    (void)state;
    enum { PAIRS = 50000 };
    EACH_KIND
    {
        if (kind == ALLOT_GC_COUNT || !begin(NULL)) {
            continue;
        }
        for (int order = 0; order < 2; order++) {
            ALLOT_GC_FRAME(&me, frame, 4);
            frame.slot[0] = allot_gc_get(&me, &array_type, PAIRS * sizeof(void *)); /* the pairs */
            frame.slot[1] = allot_gc_get(&me, &array_type, (PAIRS + 1) * sizeof(void *));
            for (int i = 0; i <= PAIRS; i++) {
                struct node *key = node(i);
                allot_gc_write(&me, frame.slot[1], (void **)frame.slot[1] + i, key);
            }
            for (int i = 0; i < PAIRS; i++) {
                int k = order ? PAIRS - 1 - i : i;
                void **keys = frame.slot[1], *pair = allot_gc_ephemeron(&me, keys[k], keys[k + 1]);
                assert_non_null(pair);
                allot_gc_write(&me, frame.slot[0], (void **)frame.slot[0] + k, pair);
            }
            frame.slot[2] = *(void **)frame.slot[1]; /* the first key holds all */
            frame.slot[1] = NULL;
            allot_gc_collect(&me);
            assert_int_equal(objects(), 1 + PAIRS + PAIRS + 1);
            for (int i = 0; i < PAIRS; i++) {
                void *pair = ((void **)frame.slot[0])[i];
                assert_int_equal(((struct node *)allot_gc_ephemeron_value(&me, pair))->number, i + 1);
            }
            frame.slot[2] = NULL;
            allot_gc_collect(&me);
            assert_int_equal(objects(), 1 + PAIRS);
            frame.slot[0] = NULL;
            allot_gc_collect(&me);
            assert_int_equal(objects(), 0);
        }
        end();
    }
}

/* -- finishers -- */

static long order[2000];
static int ran;
static void *again; /* what they are to make reachable again; a root */
static bool resurrect;

static void finish(void *object, void *arg)
{
    assert_ptr_equal(arg, &ran);
    order[ran++] = ((struct node *)object)->number;
    if (resurrect) {
        again = allot_gc_ref(&me, object);
    }
}

static const struct allot_gc_type finishable = {
    .name = "finishable",
    .size = sizeof(struct node),
    .refs = ALLOT_GC_REF(struct node, left) | ALLOT_GC_REF(struct node, right),
    .finish = finish,
};

static struct node *finishable_node(long number)
{
    struct node *n = allot_gc_get(&me, &finishable, 0);
    assert_non_null(n);
    n->number = number;
    return n;
}

static bool begin_finishing(unsigned flags)
{
    ran = 0;
    again = NULL;
    resurrect = false;
    if (!begin(&(struct allot_gc_opts){.arg = &ran, .flags = flags})) {
        return false;
    }
    assert_int_equal(allot_gc_root(&heap, &again, 1), 0);
    return true;
}

/* Until nobody is finished any more. */
static void finish_all(void)
{
    for (int before = -1; before != ran;) {
        before = ran;
        allot_gc_collect(&me);
    }
}

static void finishers_run_once(void **state)
{
    (void)state;
    EACH_KIND
    {
        if (!begin_finishing(0)) {
            continue;
        }
        for (int i = 0; i < 1000; i++) {
            allot_gc_unref(&me, finishable_node(i));
        }
        finish_all();
        assert_int_equal(ran, 1000);
        assert_int_equal(stats().finished, 1000);
        allot_gc_collect(&me);
        assert_int_equal(ran, 1000);
        assert_int_equal(objects(), 0);
        end();
        assert_int_equal(ran, 1000);
    }
}

static void referrers_first(void **state)
{
    (void)state;
    EACH_KIND
    {
        for (int direction = 0; direction < 2; direction++) {
            if (!begin_finishing(0)) {
                continue;
            }
            { /* a chain, of which the older refer to the younger, or the other way; every other one not finishable */
                ALLOT_GC_FRAME(&me, frame, 1);
                frame.slot[0] = finishable_node(1);
                struct node *last = frame.slot[0];
                for (int i = 2; i <= 100; i++) {
                    struct node *n = i % 2 ? finishable_node(i) : node(i);
                    if (direction == 0) {
                        give(n, &n->left, frame.slot[0]);
                        frame.slot[0] = n;
                    } else {
                        last = frame.slot[0];
                        while (last->left) {
                            last = last->left;
                        }
                        give(last, &last->left, n);
                    }
                }
                allot_gc_unref(&me, frame.slot[0]);
                frame.slot[0] = NULL;
            }
            for (int i = 0; i < 60; i++) {
                allot_gc_collect(&me);
            }
            assert_int_equal(ran, 50);
            for (int i = 0; i < 50; i++) {
                assert_int_equal(order[i], direction == 0 ? 99 - 2 * i : 1 + 2 * i);
            }
            allot_gc_collect(&me);
            assert_int_equal(objects(), 0);
            end();
        }
    }
}

/* Circles that have nothing to do with one another are begun in one collection, with their oldest; who refers to one comes before it. */
static void oldest_of_a_circle_first(void **state)
{
    (void)state;
    EACH_KIND
    {
        if (!begin_finishing(0)) {
            continue;
        }
        enum { CIRCLES = 100 };
        ALLOT_GC_FRAME(&me, frame, 3);
        for (int i = 0; i < CIRCLES; i++) {
            for (int k = 0; k < 3; k++) {
                frame.slot[k] = finishable_node(3 * i + k);
            }
            for (int k = 0; k < 3; k++) {
                struct node *n = frame.slot[k];
                allot_gc_write(&me, n, &n->left, frame.slot[(k + 2) % 3]);
            }
            for (int k = 0; k < 3; k++) {
                allot_gc_unref(&me, frame.slot[k]);
                frame.slot[k] = NULL;
            }
        }
        allot_gc_collect(&me);
        if (kind != ALLOT_GC_COUNT) { /* there the first to go takes the others along */
            assert_int_equal(ran, CIRCLES);
        }
        finish_all();
        assert_int_equal(ran, 3 * CIRCLES);
        long seen[3 * CIRCLES] = {0};
        for (int i = 0; i < ran; i++) {
            seen[order[i]]++;
            assert_int_equal(seen[order[i] / 3 * 3], 1); /* the oldest was before */
        }
        for (int i = 0; i < ran; i++) {
            assert_int_equal(seen[i], 1);
        }
        assert_int_equal(objects(), 0);
        /* A younger one that refers to the oldest of a circle. */
        ran = 0;
        frame.slot[0] = finishable_node(0);
        struct node *n = frame.slot[0];
        allot_gc_write(&me, n, &n->left, n);
        frame.slot[1] = finishable_node(1);
        n = frame.slot[1];
        give(n, &n->left, frame.slot[0]);
        frame.slot[0] = NULL;
        allot_gc_unref(&me, frame.slot[1]);
        frame.slot[1] = NULL;
        finish_all();
        assert_int_equal(ran, 2);
        assert_int_equal(order[0], 1);
        assert_int_equal(order[1], 0);
        end();
    }
}

static void what_a_finisher_wants_lives(void **state)
{
    (void)state;
    EACH_KIND
    {
        if (!begin_finishing(0)) {
            continue;
        }
        resurrect = true;
        ALLOT_GC_FRAME(&me, frame, 2);
        frame.slot[0] = finishable_node(7);
        frame.slot[1] = chain(100);
        struct node *n = frame.slot[0];
        give(n, &n->left, frame.slot[1]);
        frame.slot[1] = allot_gc_weak(&me, n);
        allot_gc_unref(&me, frame.slot[0]);
        frame.slot[0] = NULL;
        finish_all();
        assert_int_equal(ran, 1);
        assert_non_null(again);
        assert_null(allot_gc_weak_get(&me, frame.slot[1])); /* it was cleared before */
        n = again;
        assert_int_equal(n->number, 7);
        assert_int_equal(chain_length(n->left), 100);
        allot_gc_collect(&me);
        assert_int_equal(objects(), 102);
        allot_gc_unref(&me, again);
        again = NULL;
        allot_gc_collect(&me); /* the next time it just goes */
        assert_int_equal(ran, 1);
        assert_int_equal(objects(), 1);
        allot_gc_unref(&me, frame.slot[1]);
        end();
    }
}

static void by_hand(void **state)
{
    (void)state;
    EACH_KIND
    {
        if (!begin_finishing(ALLOT_GC_BY_HAND)) {
            continue;
        }
        for (int i = 0; i < 10; i++) {
            allot_gc_unref(&me, finishable_node(i));
        }
        for (int i = 0; i < 3; i++) {
            allot_gc_collect(&me);
        }
        assert_int_equal(ran, 0);
        assert_int_equal(objects(), 10);
        assert_int_equal(allot_gc_finish(&me, 3), 3);
        assert_int_equal(ran, 3);
        assert_int_equal(allot_gc_finish(&me, 0), 7);
        assert_int_equal(ran, 10);
        assert_int_equal(allot_gc_finish(&me, 0), 0);
        allot_gc_collect(&me);
        assert_int_equal(objects(), 0);
        allot_gc_unref(&me, finishable_node(10)); /* done finishes whoever is left */
        void *held = finishable_node(11);
        assert_non_null(held);
        allot_gc_done(&heap);
        assert_int_equal(ran, 12);
    }
}

/* A finisher that makes more of them, and garbage, so that there are collections while it runs. */
static int depth;
static const struct allot_gc_type busy;
static void finish_busily(void *object, void *arg)
{
    (void)object;
    (void)arg;
    ran++;
    if (depth-- > 0) {
        ALLOT_GC_FRAME(&me, frame, 1);
        frame.slot[0] = allot_gc_get(&me, &busy, 0);
        allot_gc_unref(&me, chain(3000));
        allot_gc_unref(&me, frame.slot[0]);
    }
}
static const struct allot_gc_type busy = {.name = "busy", .size = 8, .finish = finish_busily};

static void finishers_allocate(void **state)
{
    (void)state;
    EACH_KIND
    {
        ran = 0;
        depth = 30;
        if (!begin(&(struct allot_gc_opts){.least = 1 << 16})) {
            continue;
        }
        allot_gc_unref(&me, allot_gc_get(&me, &busy, 0));
        finish_all();
        assert_int_equal(ran, 31);
        assert_int_equal(objects(), 0);
        end();
    }
}

/* Roots that the program finds by itself, in a table of its own. */
static void *own_roots[100];

static void visit_own_roots(struct allot_gc_visit *visit, void *arg)
{
    assert_ptr_equal(arg, own_roots);
    for (size_t i = 0; i < 100; i++) {
        allot_gc_visit(visit, &own_roots[i]);
    }
}

static void roots_that_are_asked_for(void **state)
{
    (void)state;
    EACH_KIND
    {
        for (int flags = 0; flags <= ALLOT_GC_STRESS; flags += ALLOT_GC_STRESS) {
            if (kind == ALLOT_GC_COUNT ||
                !begin(&(struct allot_gc_opts){.roots = visit_own_roots, .arg = own_roots, .flags = flags})) {
                continue;
            }
            for (long i = 0; i < (flags ? 500 : 500000); i++) {
                own_roots[i % 100] = node(i);
            }
            for (long i = 0; i < 100; i++) {
                assert_int_equal(((struct node *)own_roots[i])->number % 100, i);
            }
            memset(own_roots, 0, sizeof own_roots);
            end();
        }
    }
}

static long ended_in, ran_after;

static void ends_the_thread(void *object, void *arg)
{
    (void)arg;
    if (((struct node *)object)->number == 1) {
        ended_in++;
        pthread_exit(NULL);
    }
    ran_after++;
}

static const struct allot_gc_type ending_type = {
    .name = "ending", .size = sizeof(struct node), .refs = NODE_REFS, .finish = ends_the_thread};

static void *drops_one(void *arg)
{
    struct allot_gc_mutator own;
    assert_int_equal(allot_gc_attach(&heap, &own), 0);
    struct node *n = allot_gc_get(&own, &ending_type, 0);
    n->number = 1;
    allot_gc_unref(&own, n);
    allot_gc_collect(&own);
    allot_gc_detach(&own);
    return arg;
}

/* A thread that ends in one leaves the others to be run. */
static void finishers_that_end_threads(void **state)
{
    (void)state;
    EACH_KIND
    {
        if (!begin(NULL)) {
            continue;
        }
        ended_in = ran_after = 0;
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, drops_one, NULL), 0);
        allot_gc_leave(&me);
        pthread_join(thread, NULL);
        allot_gc_enter(&me);
        assert_int_equal(ended_in, 1);
        allot_gc_unref(&me, allot_gc_get(&me, &ending_type, 0));
        allot_gc_collect(&me);
        assert_int_equal(ran_after, 1);
        end();
    }
}

/* What is put is no weak reference's any more, and what is itself one is looked at no more. */
static void put_by_hand(void **state)
{
    (void)state;
    kind = ALLOT_GC_MARK;
    assert_true(begin(&(struct allot_gc_opts){.flags = ALLOT_GC_EXPLICIT}));
    struct node *n = node(1), *value = node(2), *others[3];
    void *weak[3], *pair[2] = {allot_gc_ephemeron(&me, n, value), allot_gc_ephemeron(&me, n, value)};
    for (int i = 0; i < 3; i++) {
        weak[i] = allot_gc_weak(&me, i == 1 ? (void *)value : (void *)n);
    }
    allot_gc_put(&me, weak[0]);
    allot_gc_put(&me, pair[0]);
    for (int i = 0; i < 3; i++) {
        others[i] = node(i); /* where those were */
    }
    allot_gc_check(&me);
    assert_ptr_equal(allot_gc_weak_get(&me, weak[2]), n);
    assert_ptr_equal(allot_gc_ephemeron_value(&me, pair[1]), value);
    allot_gc_put(&me, n);
    allot_gc_check(&me);
    assert_null(allot_gc_weak_get(&me, weak[2]));
    assert_ptr_equal(allot_gc_weak_get(&me, weak[1]), value);
    assert_null(allot_gc_ephemeron_key(&me, pair[1]));
    assert_null(allot_gc_ephemeron_value(&me, pair[1]));
    allot_gc_put(&me, weak[2]);
    allot_gc_put(&me, value);
    assert_null(allot_gc_weak_get(&me, weak[1]));
    allot_gc_put(&me, weak[1]);
    allot_gc_put(&me, pair[1]);
    for (int i = 0; i < 3; i++) {
        allot_gc_put(&me, others[i]);
    }
    assert_int_equal(objects(), 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weak),
        cmocka_unit_test(weak_in_graphs),
        cmocka_unit_test(ephemerons),
        cmocka_unit_test(chains_of_ephemerons),
        cmocka_unit_test(roots_that_are_asked_for),
        cmocka_unit_test(finishers_run_once),
        cmocka_unit_test(referrers_first),
        cmocka_unit_test(oldest_of_a_circle_first),
        cmocka_unit_test(what_a_finisher_wants_lives),
        cmocka_unit_test(by_hand),
        cmocka_unit_test(finishers_allocate),
        cmocka_unit_test(finishers_that_end_threads),
        cmocka_unit_test(put_by_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
