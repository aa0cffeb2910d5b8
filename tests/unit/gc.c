/* gc.c - collected heaps, each kind: what is handed out, what is kept, what goes, limits, steps, figures. */
#include "unit/gc.h"

#include "base/bits.h"

static void options(void **state)
{
    (void)state;
    assert_int_equal(allot_gc_init(&heap, (enum allot_gc_kind)3, NULL), -EINVAL);
    static const struct {
        enum allot_gc_kind kind;
        unsigned flags;
    } wrong[] = {{ALLOT_GC_MARK, 64},
                 {ALLOT_GC_COPY, ALLOT_GC_EXPLICIT},
                 {ALLOT_GC_COUNT, ALLOT_GC_PLAIN},
                 {ALLOT_GC_COUNT, ALLOT_GC_CONSERVATIVE},
                 {ALLOT_GC_COUNT, ALLOT_GC_INTERIOR},
                 {ALLOT_GC_COUNT, ALLOT_GC_EXPLICIT}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(allot_gc_init(&heap, wrong[i].kind, &(struct allot_gc_opts){.flags = wrong[i].flags}),
                         -EINVAL);
    }
    for (unsigned flags = 0; flags < 64; flags++) {
        assert_int_equal(allot_gc_init(&heap, ALLOT_GC_MARK, &(struct allot_gc_opts){.flags = flags}), 0);
        allot_gc_done(&heap);
    }
    kind = ALLOT_GC_MARK;
    assert_int_equal(allot_gc_init(&heap, kind, &(struct allot_gc_opts){.limit = 1}), -ENOMEM);
    for (int i = 0; i < 100; i++) { /* records are used again */
        begin(NULL);
        node(1);
        end();
    }
}

static void sizes(void **state)
{
    (void)state;
    EACH_KIND
    {
        if (!begin(NULL)) {
            continue;
        }
        ALLOT_GC_FRAME(&me, frame, 2);
        for (size_t size = 0; size < 70000; size += size < 1200 ? 1 : size / 7) {
            for (int twice = 0; twice < 2; twice++) {
                unsigned char *p = frame.slot[twice] = allot_gc_get(&me, &bytes_type, size);
                assert_non_null(p);
                assert_int_equal((uintptr_t)p % 16, 0);
                assert_ptr_equal(allot_gc_type_of(p), &bytes_type);
                assert_in_range(allot_gc_size_of(p), size, size + 15);
                for (size_t i = 0; i < allot_gc_size_of(p); i++) {
                    assert_int_equal(p[i], 0);
                }
                memset(p, 0xff, size);
            }
            char *a = frame.slot[0], *b = frame.slot[1];
            assert_true(a + size <= b - 8 || b + size <= a - 8);
            allot_gc_unref(&me, frame.slot[0]);
            allot_gc_unref(&me, frame.slot[1]);
            frame.slot[0] = frame.slot[1] = NULL;
            if (size % 64 == 0) {
                allot_gc_collect(&me); /* so that all of it is used again */
            }
        }
        static const size_t absurd[] = {PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX, SIZE_MAX - 8, (size_t)1 << 47};
        for (size_t i = 0; i < sizeof absurd / sizeof *absurd; i++) {
            errno = 0;
            assert_null(allot_gc_get(&me, &node_type, absurd[i]));
            assert_int_equal(errno, ENOMEM);
        }
        end();
    }
}

static void what_roots_hold(void **state)
{
    (void)state;
    static void *slots[3];
    EACH_KIND
    {
        if (!begin(&(struct allot_gc_opts){.least = 1 << 16})) {
            continue;
        }
        memset(slots, 0, sizeof slots);
        assert_int_equal(allot_gc_root(&heap, slots, 3), 0);
        slots[1] = chain(20000); /* with collections on the way */
        assert_int_equal(chain_length(slots[1]), 20000);
        allot_gc_unref(&me, chain(5000));
        collect_to(20000);
        assert_int_equal(chain_length(slots[1]), 20000);
        { /* a frame holds as long as its block */
            ALLOT_GC_FRAME(&me, frame, 3);
            frame.slot[2] = chain(100);
            collect_to(20100);
            assert_int_equal(chain_length(frame.slot[2]), 100);
            allot_gc_unref(&me, frame.slot[2]);
        }
        assert_int_equal(allot_gc_collect(&me) > 0, kind != ALLOT_GC_COUNT);
        assert_int_equal(objects(), 20000);
        struct node *last = slots[1];
        for (int i = 0; i < 9999; i++) {
            last = last->left;
        }
        allot_gc_write(&me, last, &last->left, NULL);
        collect_to(10000);
        allot_gc_unroot(&heap, slots);
        drop_to(&slots[1], 0);
        struct allot_gc_stats s = stats();
        assert_int_equal(s.use.used, 0);
        assert_true(s.collections >= 4 || kind == ALLOT_GC_COUNT);
        assert_true(s.allocated >= 25100 * sizeof(struct node));
        end();
    }
}

static jmp_buf back;

static void jump_out(void)
{
    ALLOT_GC_FRAME(&me, outer, 1);
    outer.slot[0] = node(2);
    {
        ALLOT_GC_FRAME(&me, inner, 2);
        inner.slot[1] = node(3);
        longjmp(back, 1);
    }
}

static void frames_and_longjmp(void **state)
{
    (void)state;
    EACH_KIND
    {
        if (kind == ALLOT_GC_COUNT || !begin(NULL)) {
            continue;
        }
        ALLOT_GC_FRAME(&me, frame, 1);
        frame.slot[0] = node(1);
        struct allot_gc_frame *innermost = me.frame;
        if (setjmp(back) == 0) {
            jump_out();
        }
        allot_gc_unwind(&me, innermost);
        collect_to(1);
        assert_int_equal(((struct node *)frame.slot[0])->number, 1);
        end();
    }
}

/* Cycles of every shape: to itself, rings, a ring of rings, a clique, two that share a node, one with a tail in and one with a tail out. */
static void cycles(void **state)
{
    (void)state;
    enum { MOST = 40 };
    EACH_KIND
    {
        if (!begin(NULL)) {
            continue;
        }
        for (int shape = 0; shape < 8; shape++) {
            for (int held = 0; held < 2; held++) {
                ALLOT_GC_FRAME(&me, frame, MOST);
                size_t count = shape == 0 ? 1 : shape == 1 ? 2 : MOST;
                for (size_t i = 0; i < count; i++) {
                    frame.slot[i] = allot_gc_get(&me, &array_type, MOST * sizeof(void *));
                    assert_non_null(frame.slot[i]);
                }
                for (size_t i = 0; i < count; i++) {
                    void **from = frame.slot[i];
                    size_t half = i < count / 2 ? 0 : count / 2;
                    size_t to = shape < 3    ? (i + 1) % count
                                : shape == 3 ? (i % 8 == 7 ? i - 7 : i + 1)
                                : shape == 4 ? half + (i - half + 1) % (count / 2)
                                             : (i + 1 < count ? i + 1
                                                : shape == 5  ? count / 2
                                                              : 0);
                    allot_gc_write(&me, from, &from[0], frame.slot[to]);
                    if (shape == 3 && i % 8 == 0) { /* rings that make a ring */
                        allot_gc_write(&me, from, &from[1], frame.slot[(i + 8) % count]);
                    }
                    if (shape == 4 && i % (count / 2) == 0) { /* that share one */
                        allot_gc_write(&me, from, &from[1], frame.slot[0]);
                    }
                    for (size_t k = 0; shape == 6 && k < count; k++) {
                        allot_gc_write(&me, from, &from[k], frame.slot[k]);
                    }
                    if (shape == 7) { /* with what is no circle hanging from it */
                        void *leaf = node((long)i);
                        give(frame.slot[i], &((void **)frame.slot[i])[1], leaf);
                    }
                }
                uint64_t all = count * (shape == 7 ? 2 : 1);
                for (size_t i = held; i < count; i++) {
                    let_go(&frame.slot[i]);
                }
                allot_gc_collect(&me);
                uint64_t kept = !held ? 0 : shape == 3 || shape == 4 || shape == 5 ? objects() : all;
                assert_int_equal(objects(), kept);
                assert_true(!held || kept > 0);
                allot_gc_check(&me);
                drop_to(&frame.slot[0], 0);
            }
        }
        end();
    }
}

/* A list of a million, a tree as deep, arrays of arrays: no recursion over them, and little memory beside. */
static void long_chains(void **state)
{
    (void)state;
    EACH_KIND
    {
        if (!begin(NULL)) {
            continue;
        }
        ALLOT_GC_FRAME(&me, frame, 1);
        frame.slot[0] = chain(1000000);
        assert_int_equal(chain_length(frame.slot[0]), 1000000);
        collect_to(1000000);
        allot_gc_unref(&me, frame.slot[0]);
        frame.slot[0] = allot_gc_get(&me, &array_type, 300000 * sizeof(void *));
        for (size_t i = 0; i < 300000; i++) {
            void **leaf = allot_gc_get(&me, &array_type, 1 * sizeof(void *));
            give(frame.slot[0], (void **)frame.slot[0] + i, leaf);
        }
        collect_to(300001);
        drop_to(&frame.slot[0], 0);
        end();
    }
}

static void large_objects(void **state)
{
    (void)state;
    EACH_KIND
    {
        if (!begin(NULL)) {
            continue;
        }
        ALLOT_GC_FRAME(&me, frame, 3);
        allot_gc_unref(&me, chain(3));
        for (size_t size = 330000; size < 20000000; size *= 3) {
            allot_gc_collect(&me);
            uint64_t held = stats().use.held;
            frame.slot[0] = allot_gc_get(&me, &array_type, size / 8 * 8);
            frame.slot[1] = chain(3);
            void **array = frame.slot[0];
            give(array, &array[size / 8 - 1], frame.slot[1]);
            frame.slot[1] = NULL;
            assert_true(stats().use.held >= held + size);
            collect_to(4);
            assert_ptr_equal(frame.slot[0], array); /* they stay where they are */
            assert_int_equal(chain_length(array[size / 8 - 1]), 3);
            assert_in_range(allot_gc_size_of(array), size / 8 * 8, size + 15);
            allot_gc_check(&me);
            drop_to(&frame.slot[0], 0);
            assert_true(stats().use.held < held + size);
            unsigned char *bytes = allot_gc_get(&me, &bytes_type, size); /* what is used again is zero */
            for (size_t i = 0; i < size; i += 509) {
                assert_int_equal(bytes[i], 0);
            }
            memset(bytes, 0xaa, size);
            allot_gc_unref(&me, bytes);
        }
        end();
    }
}

/* Memory goes back: of what is dead, to the system or who wants it next. */
static void memory_goes_back(void **state)
{
    (void)state;
    EACH_KIND
    {
        if (!begin(NULL)) {
            continue;
        }
        ALLOT_GC_FRAME(&me, frame, 1);
        frame.slot[0] = chain(1000000);
        uint64_t most = stats().use.held;
        drop(&frame.slot[0]);
        assert_true(stats().use.held < most / 3);
        assert_true(stats().use.peak >= most);
        end();
    }
}

static void limits(void **state)
{
    (void)state;
    EACH_KIND
    {
        if (!begin(&(struct allot_gc_opts){.limit = 4 << 20, .least = 1 << 16})) {
            continue;
        }
        ALLOT_GC_FRAME(&me, frame, 1);
        for (int round = 0; round < 3; round++) {
            long count = 0;
            for (struct node *n; (errno = 0, n = allot_gc_get(&me, &node_type, 0)) != NULL; count++) {
                n->number = count + 1;
                give(n, &n->left, frame.slot[0]);
                frame.slot[0] = n;
            }
            assert_int_equal(errno, ENOMEM);
            assert_true(count > 60000 || (kind == ALLOT_GC_COPY && count > 30000));
            struct allot_gc_stats s = stats();
            assert_true(s.use.held <= 4 << 20);
            assert_true(s.use.refused > 0);
            assert_null(allot_gc_get(&me, &bytes_type, 3 << 20));
            assert_int_equal(chain_length(frame.slot[0]), count);
            allot_gc_check(&me);
            let_go(&frame.slot[0]);
            void *large = allot_gc_get(&me, &bytes_type, 1 << 20); /* there is room, once what is dead has gone */
            assert_non_null(large);
            allot_gc_unref(&me, large);
        }
        end();
    }
}

/* After each number of steps the last references to objects that marking has not come to yet are moved to such as it has left: small
 * ones, and an array that takes several steps. */
static void stores_between_steps(void **state)
{
    (void)state;
    enum { LONG = 3000, SHORT = 1000, SLOTS = 20000 };
    EACH_KIND
    {
        if (kind == ALLOT_GC_COUNT || !begin(NULL)) {
            continue;
        }
        size_t completed = 0;
        for (int steps = 0; steps < 60; steps++) {
            ALLOT_GC_FRAME(&me, frame, 4);
            frame.slot[0] = node(-1);
            frame.slot[3] = allot_gc_get(&me, &array_type, SLOTS * sizeof(void *));
            frame.slot[1] = chain(LONG);
            frame.slot[2] = chain(SHORT);
            for (int i = 0; i < steps; i++) {
                completed += allot_gc_step(&me, 0);
            }
            struct node *m;
            for (struct node *n = frame.slot[1]; (m = frame.slot[2]) != NULL; n = n->left) {
                if (m->number % 2) {
                    allot_gc_write(&me, n, &n->right, m);
                } else {
                    allot_gc_write(&me, frame.slot[3], (void **)frame.slot[3] + m->number * (SLOTS / SHORT) - 1, m);
                }
                frame.slot[2] = m->left;
                allot_gc_write(&me, m, &m->left, NULL);
            }
            struct node *first = frame.slot[0];
            allot_gc_write(&me, first, &first->left, frame.slot[1]);
            frame.slot[1] = NULL;
            step_to_the_end(1000);
            allot_gc_check(&me);
            first = frame.slot[0];
            assert_int_equal(chain_length(first->left), LONG);
            struct node *n = first->left;
            for (long number = SHORT; number > 0; number--, n = n->left) {
                m = number % 2 ? n->right : ((struct node **)frame.slot[3])[number * (SLOTS / SHORT) - 1];
                assert_int_equal(m->number, number);
            }
            step_to_the_end(1000000);
            assert_int_equal(objects(), 2 + LONG + SHORT);
        }
        assert_true(stats().steps >= 60);
        assert_true(completed < 60 * 59 / 2); /* they are steps, not whole collections */
        end();
    }
}

/* One that may take as long as it wants is a whole cycle. */
static void steps_without_end(void **state)
{
    (void)state;
    EACH_KIND
    {
        if (!begin(&(struct allot_gc_opts){.least = (size_t)1 << 40})) {
            continue;
        }
        ALLOT_GC_FRAME(&me, frame, 1);
        frame.slot[0] = chain(50000);
        for (int i = 0; i < 3; i++) {
            assert_true(allot_gc_step(&me, UINT64_MAX));
        }
        assert_int_equal(chain_length(frame.slot[0]), 50000);
        drop_to(&frame.slot[0], 0);
        end();
    }
}

/* As stores_between_steps, as the program allocates. */
static void steps_by_themselves(void **state)
{
    (void)state;
    EACH_KIND
    {
        if (!begin(&(struct allot_gc_opts){.least = 1 << 16, .step_ns = 1000})) {
            continue;
        }
        ALLOT_GC_FRAME(&me, frame, 2);
        frame.slot[0] = chain(50000);
        for (int i = 0; i < 400; i++) {
            frame.slot[1] = chain(500);
            struct node *n = frame.slot[0];
            for (int k = 0; k < i; k++) {
                n = n->left;
            }
            give(n, &n->right, frame.slot[1]);
            frame.slot[1] = NULL;
        }
        allot_gc_check(&me);
        struct node *n = frame.slot[0];
        for (int i = 0; i < 400; i++, n = n->left) {
            assert_int_equal(chain_length(n->right), 500);
        }
        struct allot_gc_stats s = stats();
        assert_true(kind != ALLOT_GC_MARK || (s.collections > 0 && s.steps > s.collections));
        allot_gc_unref(&me, frame.slot[0]);
        end();
    }
}

static uint64_t told, told_ns;
static void paused(uint64_t ns, void *arg)
{
    assert_ptr_equal(arg, &told);
    told++;
    told_ns += ns;
}

static void figures(void **state)
{
    (void)state;
    EACH_KIND
    {
        told = told_ns = 0;
        if (!begin(&(struct allot_gc_opts){.arg = &told, .paused = paused})) {
            continue;
        }
        ALLOT_GC_FRAME(&me, frame, 1);
        frame.slot[0] = chain(1000);
        struct allot_gc_stats before = stats();
        assert_int_equal(before.use.count, 1000);
        assert_in_range(before.use.used, 1000 * sizeof(struct node), 1000 * (sizeof(struct node) + 15));
        assert_true(before.use.held >= before.use.used && before.use.peak >= before.use.held);
        assert_true(before.allocated >= before.use.used);
        size_t bytes = drop(&frame.slot[0]);
        assert_true(kind == ALLOT_GC_COUNT || bytes >= 1000 * sizeof(struct node));
        struct allot_gc_stats after = stats();
        assert_true(after.freed >= 1000 * sizeof(struct node));
        assert_int_equal(after.collections, before.collections + 1);
        if (kind != ALLOT_GC_COUNT) {
            assert_true(told > 0);
            assert_int_equal(told_ns, after.paused_ns);
            assert_true(after.longest_ns > 0 && after.longest_ns <= after.paused_ns);
        }
        end();
    }
}

struct seen {
    size_t count, stop;
    long sum;
};

static int see(void *object, const struct allot_gc_type *type, size_t size, void *arg)
{
    struct seen *seen = arg;
    assert_ptr_equal(type, &node_type);
    assert_int_equal(size, allot_gc_size_of(object));
    seen->sum += ((struct node *)object)->number;
    return ++seen->count == seen->stop ? 7 : 0;
}

static void walking(void **state)
{
    (void)state;
    EACH_KIND
    {
        if (!begin(NULL)) {
            continue;
        }
        ALLOT_GC_FRAME(&me, frame, 1);
        struct seen seen = {0};
        assert_int_equal(allot_gc_walk(&me, see, &seen), 0);
        assert_int_equal(seen.count, 0);
        frame.slot[0] = chain(5000);
        assert_int_equal(allot_gc_walk(&me, see, &seen), 0);
        assert_int_equal(seen.count, 5000);
        assert_int_equal(seen.sum, 5000l * 5001 / 2);
        seen = (struct seen){.stop = 10};
        assert_int_equal(allot_gc_walk(&me, see, &seen), 7);
        assert_int_equal(seen.count, 10);
        allot_gc_unref(&me, frame.slot[0]);
        end();
    }
}

/* Under stress what nobody holds is gone at the next allocation. */
static void stress(void **state)
{
    (void)state;
    EACH_KIND
    {
        if (!begin(&(struct allot_gc_opts){.flags = ALLOT_GC_STRESS})) {
            continue;
        }
        ALLOT_GC_FRAME(&me, frame, 2);
        void *careless = node(1);
        frame.slot[0] = allot_gc_weak(&me, careless);
        allot_gc_unref(&me, careless);
        frame.slot[1] = node(2);
        assert_null(allot_gc_weak_get(&me, frame.slot[0]));
        uintptr_t before = (uintptr_t)frame.slot[1];
        allot_gc_unref(&me, node(3));
        assert_int_equal(((struct node *)frame.slot[1])->number, 2);
        assert_true(kind != ALLOT_GC_COPY || (uintptr_t)frame.slot[1] != before);
        uint64_t collections = stats().collections;
        allot_gc_unref(&me, chain(100));
        assert_true(kind == ALLOT_GC_COUNT || stats().collections >= collections + 100);
        end();
    }
}

static struct node *leaked[8];
static size_t leaks;

static int see_leak(void *object, const struct allot_gc_type *type, size_t size, void *arg)
{
    assert_ptr_equal(arg, &leaks);
    assert_true(type == &node_type || type == &bytes_type);
    assert_int_equal(size, allot_gc_size_of(object));
    assert_true(leaks == 0 || (uintptr_t)object > (uintptr_t)leaked[leaks - 1]);
    leaked[leaks++] = object;
    return leaks == 8;
}

static int stop_at_once(void *object, const struct allot_gc_type *type, size_t size, void *arg)
{
    (void)object;
    (void)type;
    (void)size;
    (*(int *)arg)++;
    return -5;
}

static void *all_leaks[100100];
static size_t many;
static uintptr_t last_leak;

static int see_in_order(void *object, const struct allot_gc_type *type, size_t size, void *arg)
{
    (void)type;
    (void)size;
    (void)arg;
    assert_true((uintptr_t)object > last_leak);
    last_leak = (uintptr_t)object;
    many++;
    return 0;
}

static int put_all_later(void *object, const struct allot_gc_type *type, size_t size, void *arg)
{
    static size_t next;
    (void)type;
    (void)size;
    (void)arg;
    all_leaks[next++] = object;
    return 0;
}

static void explicit_heaps(void **state)
{
    (void)state;
    kind = ALLOT_GC_MARK;
    assert_true(begin(&(struct allot_gc_opts){.flags = ALLOT_GC_EXPLICIT, .least = 1 << 16}));
    ALLOT_GC_FRAME(&me, frame, 1);
    frame.slot[0] = chain(100000);
    for (int i = 0; i < 40; i++) { /* sizes and large ones alternate */
        frame.slot[0] = i % 4 ? allot_gc_get(&me, &bytes_type, (size_t)i * 100) : allot_gc_get(&me, &bytes_type, 50000);
        assert_non_null(frame.slot[0]);
    }
    many = 0;
    last_leak = 0;
    frame.slot[0] = NULL;
    assert_int_equal(allot_gc_leaks(&me, see_in_order, NULL), 0);
    assert_int_equal(many, 100000 + 40);
    assert_int_equal(allot_gc_leaks(&me, put_all_later, NULL), 0);
    for (size_t i = 0; i < many; i++) {
        allot_gc_put(&me, all_leaks[i]);
    }
    frame.slot[0] = chain(100000);
    struct node *gone = node(1), *circle = node(2), *other = node(3), *put = node(4);
    circle->left = other;
    other->left = circle;
    void *big = allot_gc_get(&me, &bytes_type, 100000), *put_big = allot_gc_get(&me, &bytes_type, 100000);
    allot_gc_put(&me, put);
    allot_gc_put(&me, put_big);
    allot_gc_collect(&me); /* nothing goes by itself */
    assert_int_equal(objects(), 100004);
    leaks = 0;
    assert_int_equal(allot_gc_leaks(&me, see_leak, &leaks), 0);
    assert_int_equal(leaks, 4);
    for (size_t i = 0; i < leaks; i++) {
        assert_true(leaked[i] == gone || leaked[i] == circle || leaked[i] == other || (void *)leaked[i] == big);
    }
    int stopped = 0;
    assert_int_equal(allot_gc_leaks(&me, stop_at_once, &stopped), -5);
    assert_int_equal(stopped, 1);
    allot_gc_put(&me, gone);
    allot_gc_put(&me, circle);
    allot_gc_put(&me, other);
    allot_gc_put(&me, big);
    leaks = 0;
    assert_int_equal(allot_gc_leaks(&me, see_leak, &leaks), 0);
    assert_int_equal(leaks, 0);
    struct node *next;
    for (struct node *n = frame.slot[0]; n; n = next) {
        next = n->left;
        allot_gc_put(&me, n);
    }
    frame.slot[0] = NULL;
    assert_int_equal(objects(), 0);
    struct allot_gc_stats s = stats();
    assert_int_equal(s.use.used, 0);
    assert_true(s.use.held < 3 << 20);  /* a unit of each size in hand */
    for (int i = 0; i < 1000000; i++) { /* what has been put is used again */
        struct node *n = node(i);
        assert_null(n->left);
        n->left = n;
        allot_gc_put(&me, n);
    }
    assert_true(stats().use.held < 3 << 20);
    end();
}

static void many_heaps(void **state)
{
    (void)state;
    enum { HEAPS = 40 };
    static struct allot_gc heaps[HEAPS];
    static struct allot_gc_mutator in[HEAPS];
    static void *slot[HEAPS];
    EACH_KIND
    {
        for (int i = 0; i < HEAPS; i++) {
            int why = allot_gc_init(&heaps[i], kind, NULL);
            if (why == -ENOTSUP) {
                break;
            }
            assert_int_equal(allot_gc_attach(&heaps[i], &in[i]), 0);
            assert_int_equal(allot_gc_root(&heaps[i], &slot[i], 1), 0);
            slot[i] = allot_gc_get(&in[i], &bytes_type, 100);
            memset(slot[i], i, 100);
        }
        for (int i = 0; i < HEAPS && heaps[i].state; i++) {
            allot_gc_collect(&in[i]);
            assert_int_equal(((unsigned char *)slot[i])[99], i);
            allot_gc_detach(&in[i]);
            allot_gc_done(&heaps[i]);
        }
        assert_true(allot_check());
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options),
        cmocka_unit_test(sizes),
        cmocka_unit_test(what_roots_hold),
        cmocka_unit_test(frames_and_longjmp),
        cmocka_unit_test(cycles),
        cmocka_unit_test(long_chains),
        cmocka_unit_test(large_objects),
        cmocka_unit_test(memory_goes_back),
        cmocka_unit_test(limits),
        cmocka_unit_test(stores_between_steps),
        cmocka_unit_test(steps_without_end),
        cmocka_unit_test(steps_by_themselves),
        cmocka_unit_test(figures),
        cmocka_unit_test(walking),
        cmocka_unit_test(stress),
        cmocka_unit_test(explicit_heaps),
        cmocka_unit_test(many_heaps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
