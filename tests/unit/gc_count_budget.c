/* gc_count_budget.c - the search for circles in pieces: what each may cost, that it ends whatever the program does, and without memory. */
#include "unit/gc_count.h"

#include "common/random.h"

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

/* Also the least budget there is comes to the end of arrays: of short ones, of such with other references before, of large ones. */
static void least_budget(void **state)
{
    (void)state;
    static const struct allot_gc_type headed_type = {
        .name = "headed", .size = sizeof(struct node), .refs = ALLOT_GC_REF(struct node, left), .flags = ALLOT_GC_REFS};
    static const struct {
        const struct allot_gc_type *type;
        size_t slots, first;
    } shapes[] = {{&array_type, 1, 0}, {&array_type, 7, 0}, {&headed_type, 5, 3}, {&array_type, 10000, 0}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        start(NULL);
        size_t slots = shapes[i].slots;
        void **array = allot_gc_get(&me, shapes[i].type, slots * sizeof *array);
        for (size_t k = 0; k < slots; k++) {
            allot_gc_write(&me, array, &array[shapes[i].first + k], array);
        }
        if (shapes[i].first) {
            allot_gc_write(&me, array, &array[0], array);
        }
        allot_gc_unref(&me, array);
        size_t calls = 0;
        do {
            allot_gc_cycles(&me, 1);
            assert_true(calls++ < 10 * slots + 10000);
            if (slots < 100) {
                allot_gc_check(&me);
            }
        } while (is_open());
        assert_int_equal(objects(), 0);
        end();
    }
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(budget),          cmocka_unit_test(least_budget), cmocka_unit_test(budget_of_what_follows),
        cmocka_unit_test(progress),        cmocka_unit_test(later),        cmocka_unit_test(end_without_memory),
        cmocka_unit_test(full_of_circles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
