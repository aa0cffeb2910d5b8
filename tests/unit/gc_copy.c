/* gc_copy.c - what the copying collector alone does: it moves, remembers, pins, evacuates, and is incremental by counted work. */
#include "unit/gc.h"

#include <signal.h>

#include "common/random.h"
#include "gc/gc.h"

static const struct allot_gc_type words_type = {.name = "words", .flags = ALLOT_GC_MAYBE};

static const struct gc *inside(void) { return heap.state; }

static void begin_copy(const struct allot_gc_opts *opts)
{
    kind = ALLOT_GC_COPY;
    assert_true(begin(opts));
}

static size_t old_units(void)
{
    size_t n = 0;
    for (const struct copy_unit *u = inside()->copy.old; u; u = u->next) {
        n++;
    }
    return n;
}

/* Garbage, until the young have been collected so often. */
static void collect_young(uint64_t times)
{
    for (uint64_t until = inside()->stats.young + times; inside()->stats.young < until;) {
        for (int i = 0; i < 100; i++) {
            node(0);
        }
    }
}

/* Survivors move once, as the young are collected; a whole collection leaves them where they are, unless few others are there. */
static void young_ones_move(void **state)
{
    (void)state;
    begin_copy(&(struct allot_gc_opts){.young = 1 << 16});
    ALLOT_GC_FRAME(&me, frame, 1);
    frame.slot[0] = chain(1000);
    void *before = frame.slot[0];
    collect_young(1);
    void *after = frame.slot[0];
    assert_ptr_not_equal(after, before);
    assert_int_equal(chain_length(after), 1000);
    assert_true(stats().moved >= 1000 * 32 && stats().moved < 1500 * 32);
    collect_young(3);
    assert_ptr_equal(frame.slot[0], after);
    assert_int_equal(stats().collections, 0);
    end();
}

/* An old object is the only one that refers to a young one: it is remembered, each time anew, and has WATCHED again afterwards. */
static void old_ones_are_remembered(void **state)
{
    (void)state;
    begin_copy(&(struct allot_gc_opts){.young = 1 << 16});
    ALLOT_GC_FRAME(&me, frame, 1);
    frame.slot[0] = node(1);
    collect_young(1);
    struct node *old = frame.slot[0];
    for (long round = 0; round < 20; round++) {
        assert_true(*gc_header(old) & ALLOT_GC_WATCHED);
        struct node *young = chain(50);
        allot_gc_write(&me, old, &old->left, young);
        assert_false(*gc_header(old) & ALLOT_GC_WATCHED);
        allot_gc_check(&me);
        collect_young(1);
        assert_ptr_equal(frame.slot[0], old);
        assert_ptr_not_equal(old->left, young);
        assert_int_equal(chain_length(old->left), 50);
    }
    end();
}

/* Many more than a mutator can note by itself. */
static void many_are_remembered(void **state)
{
    (void)state;
    enum { MANY = 5000 };
    begin_copy(&(struct allot_gc_opts){.young = 1 << 20});
    ALLOT_GC_FRAME(&me, frame, 1);
    frame.slot[0] = chain(MANY);
    collect_young(1);
    for (struct node *n = frame.slot[0]; n; n = n->left) {
        struct node *right = node(-n->number);
        allot_gc_write(&me, n, &n->right, right);
    }
    allot_gc_check(&me);
    collect_young(2);
    assert_int_equal(chain_length(frame.slot[0]), MANY);
    for (struct node *n = frame.slot[0]; n; n = n->left) {
        assert_int_equal(n->right->number, -n->number);
    }
    end();
}

/* Large ones never move, are old from the first, and remember slot by slot what is stored in them. */
static void large_ones_stay(void **state)
{
    (void)state;
    enum { SLOTS = 100000 };
    begin_copy(&(struct allot_gc_opts){.young = 1 << 16});
    ALLOT_GC_FRAME(&me, frame, 1);
    void **array = frame.slot[0] = allot_gc_get(&me, &array_type, SLOTS * sizeof *array);
    for (long i = 0; i < SLOTS; i += 1 + i / 100) {
        struct node *n = node(i);
        allot_gc_write(&me, array, &array[i], n);
        assert_true(*gc_header(array) & ALLOT_GC_WATCHED);
    }
    collect_young(2);
    allot_gc_collect(&me);
    step_to_the_end(0);
    assert_ptr_equal(frame.slot[0], array);
    for (long i = 0; i < SLOTS; i += 1 + i / 100) {
        assert_int_equal(((struct node *)array[i])->number, i);
    }
    end();
}

/* -- pins -- */

/* A variable on the stack holds an object, which stays with its unit: those that move otherwise, too. */
static void words_pin_units(void **state)
{
    (void)state;
    begin_copy(&(struct allot_gc_opts){.young = 1 << 16, .flags = ALLOT_GC_CONSERVATIVE});
    ALLOT_GC_FRAME(&me, frame, 1);
    frame.slot[0] = node(1);
    struct node *volatile held = node(2);
    void *neighbour = frame.slot[0];
    collect_young(1);
    assert_true(stats().pinned >= 1);
    assert_int_equal(held->number, 2);
    assert_ptr_equal(frame.slot[0], neighbour);
    allot_gc_collect(&me);
    assert_int_equal(held->number, 2);
    assert_ptr_equal(frame.slot[0], neighbour);
    allot_gc_check(&me);
    end();
}

/* And so does a word of an object of type MAYBE, be that old or young, small or large. */
static void words_in_objects_pin(void **state)
{
    (void)state;
    for (size_t size = 800; size < 200000; size *= 200) {
        begin_copy(&(struct allot_gc_opts){.young = 1 << 16});
        ALLOT_GC_FRAME(&me, frame, 1);
        void **words = frame.slot[0] = allot_gc_get(&me, &words_type, size);
        for (long i = 0; i < 100; i += 9) {
            struct node *n = chain(i + 1);
            allot_gc_write(&me, words, &words[i], n);
            void *at = words[i];
            collect_young(1);
            allot_gc_collect(&me);
            assert_ptr_equal(words[i], at);
        }
        while (!allot_gc_step(&me, 0)) {
            node(0);
        }
        assert_ptr_equal(frame.slot[0], words);
        for (long i = 0; i < 100; i += 9) {
            assert_int_equal(chain_length(words[i]), i + 1);
        }
        end();
    }
}

/* -- what is sparse -- */

enum { TABLE = 60000 };

/* A table of nodes, of which one in four is left, each referring to another one by `right`. */
static void **fill_and_thin(void **slot, struct random *seed)
{
    void **table = *slot = allot_gc_get(&me, &array_type, TABLE * sizeof *table);
    for (long i = 0; i < TABLE; i++) {
        struct node *n = node(i);
        allot_gc_write(&me, table, &table[i], n);
    }
    allot_gc_collect(&me);
    for (long i = 0; i < TABLE; i++) {
        if (random_below(seed, 4) != 0) {
            allot_gc_write(&me, table, &table[i], NULL);
        }
    }
    return table;
}

static void relink(void **table, struct random *seed, long times)
{
    for (long k = 0; k < times; k++) {
        struct node *a = table[random_below(seed, TABLE)], *b = table[random_below(seed, TABLE)];
        if (a) {
            allot_gc_write(&me, a, &a->right, b);
            allot_gc_write(&me, a, &a->left, b);
        }
    }
}

static size_t verify_table(void **table)
{
    size_t live = 0;
    for (long i = 0; i < TABLE; i++) {
        struct node *n = table[i];
        live += n != NULL;
        assert_true(!n || (n->number == i && n->left == n->right));
        assert_true(!n || !n->left || table[n->left->number] == n->left || n->left->number < TABLE);
    }
    return live;
}

static void sparse_units_are_evacuated(void **state)
{
    (void)state;
    struct random seed = {1};
    begin_copy(NULL);
    ALLOT_GC_FRAME(&me, frame, 1);
    void **table = fill_and_thin(frame.slot, &seed);
    size_t full = old_units();
    relink(table, &seed, TABLE);
    allot_gc_collect(&me); /* which finds that it left much unused, and does it once more */
    size_t live = verify_table(table);
    assert_true(live > TABLE / 5 && old_units() < full / 3);
    allot_gc_check(&me);
    end();
}

/* The same in steps, each as short as can be, while the program goes on to change what refers to them. */
static void sparse_units_are_evacuated_in_steps(void **state)
{
    (void)state;
    struct random seed = {2};
    begin_copy(&(struct allot_gc_opts){.least = 1 << 30});
    ALLOT_GC_FRAME(&me, frame, 2);
    void **table = fill_and_thin(frame.slot, &seed);
    size_t full = old_units();
    uint64_t moved = stats().moved;
    bool evacuated = false;
    for (int cycle = 0; cycle < 2; cycle++) { /* the first finds out which they are */
        for (long step = 0; !allot_gc_step(&me, 0); step++) {
            relink(table, &seed, 10);
            size_t i = random_below(&seed, TABLE);
            struct node *n = node((long)i); /* a young one instead */
            allot_gc_write(&me, table, &table[i], n);
            frame.slot[1] = table[random_below(&seed, TABLE)];
            evacuated |= inside()->copy.phase == COPY_EVACUATING;
            if (step % 50 == 0) {
                allot_gc_check(&me);
                verify_table(table);
            }
        }
    }
    assert_true(evacuated && stats().moved > moved + TABLE / 8 * 32);
    verify_table(table);
    assert_true(old_units() < full / 2);
    assert_true(stats().steps > 100);
    end();
}

/* -- steps -- */

/* How much a step of no time at all does: bounded by what it looks at before it looks at the clock, and by a nursery. */
static void steps_are_short(void **state)
{
    (void)state;
    enum { MOST = 4096, NODES = 400000 };
    begin_copy(&(struct allot_gc_opts){.young = 1 << 16, .least = 1 << 30});
    ALLOT_GC_FRAME(&me, frame, 2);
    frame.slot[0] = chain(NODES);
    frame.slot[1] = allot_gc_get(&me, &array_type, NODES * sizeof(void *));
    for (int cycle = 0; cycle < 3; cycle++) {
        size_t steps = 0;
        uint64_t most = 0;
        for (bool complete = false; !complete; steps++) {
            uint64_t before = inside()->copy.visited;
            complete = allot_gc_step(&me, 0);
            uint64_t work = inside()->copy.visited - before;
            most = work > most ? work : most;
        }
        assert_in_range(most, 1, MOST);
        assert_true(steps > NODES / MOST);
    }
    assert_int_equal(chain_length(frame.slot[0]), NODES);
    end();
}

/* -- the rest -- */

/* No barrier: whole collections find all, and move it. */
static void plain_heaps_move(void **state)
{
    (void)state;
    begin_copy(&(struct allot_gc_opts){.least = 1 << 16, .flags = ALLOT_GC_PLAIN});
    ALLOT_GC_FRAME(&me, frame, 1);
    struct node *first = frame.slot[0] = node(1);
    for (long i = 0; i < 20000; i++) {
        struct node *young = node(0);
        struct node *n = frame.slot[0];
        young->left = n->left;
        n->left = i % 3 ? young : NULL;
    }
    assert_ptr_not_equal(frame.slot[0], first);
    assert_true(stats().collections > 5 && stats().young == 0);
    end();
}

/* What is weak is cleared, and what is finishable is finished, by whole collections; others leave both as they are. */
static void weak_and_young(void **state)
{
    (void)state;
    begin_copy(&(struct allot_gc_opts){.young = 1 << 16, .least = 1 << 30});
    ALLOT_GC_FRAME(&me, frame, 3);
    frame.slot[0] = node(7);
    frame.slot[1] = allot_gc_weak(&me, frame.slot[0]);
    frame.slot[2] = allot_gc_ephemeron(&me, frame.slot[0], chain(10));
    collect_young(3);
    assert_ptr_equal(allot_gc_weak_get(&me, frame.slot[1]), frame.slot[0]);
    assert_int_equal(chain_length(allot_gc_ephemeron_value(&me, frame.slot[2])), 10);
    frame.slot[0] = NULL;
    collect_young(1);
    allot_gc_collect(&me);
    assert_null(allot_gc_weak_get(&me, frame.slot[1]));
    assert_null(allot_gc_ephemeron_value(&me, frame.slot[2]));
    for (int i = 0; i < 10000; i++) { /* of those that die young nothing is kept */
        allot_gc_weak(&me, node(i));
    }
    collect_young(1);
    assert_true(inside()->weak.count < 3000);
    end();
}

static void use_a_stale_pointer(void *arg)
{
    (void)arg;
    signal(SIGSEGV, SIG_DFL);
    begin_copy(&(struct allot_gc_opts){.flags = ALLOT_GC_STRESS});
    ALLOT_GC_FRAME(&me, frame, 1);
    struct node *stale = node(1);
    frame.slot[0] = stale;
    node(2);
    if (((struct node *)frame.slot[0])->number == 1) {
        *(volatile long *)&stale->number = 3;
    }
}

/* Under stress all moves at each allocation, and who uses the old place is told so at once. */
static void stale_pointers_fault(void **state)
{
    (void)state;
    struct child_end end_of_child = child_run(use_a_stale_pointer, NULL);
    assert_true(WIFSIGNALED(end_of_child.status) && WTERMSIG(end_of_child.status) == SIGSEGV);
    begin_copy(&(struct allot_gc_opts){.flags = ALLOT_GC_STRESS});
    ALLOT_GC_FRAME(&me, frame, 2);
    for (long i = 0; i < 300; i++) {
        void *before = frame.slot[0];
        frame.slot[1] = node(i);
        assert_true(!before || frame.slot[0] != before);
        struct node *n = frame.slot[1];
        allot_gc_write(&me, n, &n->left, frame.slot[0]);
        frame.slot[0] = n;
    }
    end();
}

/* A heap that is full to its limit, of which then little lives, but something in each unit: there has to be room to move that together. */
static void a_full_heap_is_packed(void **state)
{
    (void)state;
    enum { LIMIT = 2 << 20, KEPT = 400, OBJECTS = 70000, EACH = 32 };
    begin_copy(&(struct allot_gc_opts){.limit = LIMIT});
    static const struct allot_gc_type blob = {.name = "blob"};
    static void *all[OBJECTS], *kept[KEPT];
    assert_int_equal(allot_gc_root(&heap, all, OBJECTS), 0);
    assert_int_equal(allot_gc_root(&heap, kept, KEPT), 0);
    for (int round = 0; round < 5; round++) {
        size_t count = 0;
        while (count < OBJECTS && (all[count] = allot_gc_get(&me, &blob, EACH - 8)) != NULL) {
            count++;
        }
        assert_in_range(count * EACH, LIMIT / 2, LIMIT);
        for (size_t i = 0; i < KEPT; i++) {
            kept[i] = all[i * count / KEPT];
        }
        memset(all, 0, sizeof all);
        for (size_t i = 0; i < LIMIT / 2 / EACH; i++) {
            all[i] = allot_gc_get(&me, &blob, EACH - 8);
            assert_non_null(all[i]);
        }
        memset(all, 0, sizeof all);
        allot_gc_check(&me);
    }
    end();
}

/* However little has survived of late, a nursery of which all does finds room for its copies in what the heap has held before. */
static void the_nursery_leaves_room(void **state)
{
    (void)state;
    begin_copy(NULL);
    const struct copy *c = &inside()->copy;
    ALLOT_GC_FRAME(&me, frame, 40);
    frame.slot[0] = chain(2000000);
    frame.slot[0] = chain(600000);
    collect_young(20);
    size_t largest = 0;
    for (size_t i = 1; i < 40; i++) {
        collect_young(2); /* nothing lives */
        size_t in_use = inside()->held - c->spares * UNIT_SIZE;
        assert_true(c->nursery <= 4 << 20 || in_use + 2 * c->nursery <= inside()->peak + (1 << 20));
        largest = c->nursery > largest ? c->nursery : largest;
        frame.slot[i] = chain(40000);
    }
    assert_int_equal(largest, 16 << 20);
    assert_true(c->nursery < largest);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(young_ones_move),
        cmocka_unit_test(old_ones_are_remembered),
        cmocka_unit_test(many_are_remembered),
        cmocka_unit_test(large_ones_stay),
        cmocka_unit_test(words_pin_units),
        cmocka_unit_test(words_in_objects_pin),
        cmocka_unit_test(sparse_units_are_evacuated),
        cmocka_unit_test(sparse_units_are_evacuated_in_steps),
        cmocka_unit_test(steps_are_short),
        cmocka_unit_test(a_full_heap_is_packed),
        cmocka_unit_test(the_nursery_leaves_room),
        cmocka_unit_test(plain_heaps_move),
        cmocka_unit_test(weak_and_young),
        cmocka_unit_test(stale_pointers_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
