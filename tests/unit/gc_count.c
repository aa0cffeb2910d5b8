/* gc_count.c - counting heaps: when objects go, counts that are more than a header holds, misuse. */
#include "unit/gc_count.h"

#include "os/memory.h"

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

/* -- what they refuse -- */

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
        cmocka_unit_test(at_once),           cmocka_unit_test(without_recursion),
        cmocka_unit_test(beyond_the_header), cmocka_unit_test(nobody_knows_how_many),
        cmocka_unit_test(kinds_of_types),    cmocka_unit_test(crimes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
