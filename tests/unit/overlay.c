/* unit/overlay.c - phases that never live together share memory (allot/overlay.h). */
#include "common/unit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <allot/malloc.h>
#include <allot/overlay.h>

#include "common/child.h"
#include "common/random.h"

static const struct allot_overlay_opts exclusions = {.excludes = true};

/* -- the layout ------------------------------------------------------------------------------------------------- */

enum { MOST = 12 };

/* A graph of the test's own: who lives with whom, a bit each. */
struct graph {
    size_t n;
    struct allot_overlay_seg segs[MOST];
    unsigned excludes[MOST][MOST];
    unsigned together[MOST];
};

static struct graph random_tree(struct random *r, size_t n)
{
    struct graph g = {.n = n};
    for (size_t i = 0; i < n; i++) {
        g.segs[i].size = 16 * (1 + random_below(r, 20));
        g.segs[i].parent = (unsigned)random_below(r, i + 1);
        for (size_t up = g.segs[i].parent; up; up = g.segs[up - 1].parent) {
            g.together[i] |= 1u << (up - 1);
            g.together[up - 1] |= 1u << i;
        }
    }
    return g;
}

/* Says by exclusions, each by one of the two, what `together` has. */
static void exclude(struct random *r, struct graph *g)
{
    for (size_t i = 0; i < g->n; i++) {
        g->segs[i].parent = 0;
        g->segs[i].excludes = g->excludes[i];
        g->segs[i].excludes_count = 0;
    }
    for (size_t i = 0; i < g->n; i++) {
        for (size_t j = 0; j < i; j++) {
            if (!(g->together[i] >> j & 1)) {
                size_t says = random_below(r, 2) ? i : j;
                g->excludes[says][g->segs[says].excludes_count++] = (unsigned)(i + j - says);
            }
        }
    }
}

static struct graph random_graph(struct random *r, size_t n, unsigned percent)
{
    struct graph g = {.n = n};
    for (size_t i = 0; i < n; i++) {
        g.segs[i].size = 16 * (1 + random_below(r, 20));
        for (size_t j = 0; j < i; j++) {
            if (random_below(r, 100) < percent) {
                g.together[i] |= 1u << j;
                g.together[j] |= 1u << i;
            }
        }
    }
    return g;
}

/* By trying every set. */
static size_t heaviest_set(const struct graph *g)
{
    size_t heaviest = 0;
    for (unsigned set = 1; set < 1u << g->n; set++) {
        size_t weight = 0;
        bool all = true;
        for (size_t i = 0; i < g->n && all; i++) {
            if (set >> i & 1) {
                weight += g->segs[i].size;
                all = (set & ~g->together[i]) == 1u << i;
            }
        }
        heaviest = all && weight > heaviest ? weight : heaviest;
    }
    return heaviest;
}

/* The best layout there is: by trying a first fit in every order. (One of them is the order of offsets in a best layout, and its
 * first fit is no longer.) */
static void try_orders(const struct graph *g, unsigned placed, size_t at[], size_t area, size_t *best)
{
    if (area >= *best) {
        return;
    }
    if (placed == (1u << g->n) - 1) {
        *best = area;
        return;
    }
    for (size_t i = 0; i < g->n; i++) {
        if (placed >> i & 1) {
            continue;
        }
        at[i] = 0;
        for (bool moved = true; moved;) {
            moved = false;
            for (size_t j = 0; j < g->n; j++) {
                if ((placed & g->together[i]) >> j & 1 && at[j] < at[i] + g->segs[i].size &&
                    at[i] < at[j] + g->segs[j].size) {
                    at[i] = at[j] + g->segs[j].size;
                    moved = true;
                }
            }
        }
        size_t end = at[i] + g->segs[i].size;
        try_orders(g, placed | 1u << i, at, end > area ? end : area, best);
    }
}

static size_t best_there_is(const struct graph *g)
{
    size_t at[MOST], best = SIZE_MAX;
    try_orders(g, 0, at, 0, &best);
    return best;
}

static struct allot_overlay_layout plan(const struct graph *g, const struct allot_overlay_opts *opts)
{
    struct allot_overlay_layout out;
    size_t at[MOST];
    assert_int_equal(allot_overlay_plan(g->segs, g->n, opts, at, &out), 0);
    for (size_t i = 0; i < g->n; i++) {
        assert_true(at[i] % 16 == 0 && at[i] + g->segs[i].size <= out.area);
        for (size_t j = 0; j < i; j++) {
            bool apart = at[i] + g->segs[i].size <= at[j] || at[j] + g->segs[j].size <= at[i];
            assert_true(apart || !(g->together[i] >> j & 1));
        }
    }
    return out;
}

static void a_tree_takes_as_much_as_its_heaviest_clique(void **state)
{
    (void)state;
    struct random r = {1};
    for (int i = 0; i < 3000; i++) {
        struct graph g = random_tree(&r, 1 + random_below(&r, i < 100 ? 8 : MOST));
        size_t heaviest = heaviest_set(&g);
        struct allot_overlay_layout of_tree = plan(&g, NULL);
        assert_int_equal(of_tree.area, heaviest);
        assert_int_equal(of_tree.clique, heaviest);
        if (i < 100) {
            assert_int_equal(best_there_is(&g), heaviest);
        }
        exclude(&r, &g);
        struct allot_overlay_layout of_graph = plan(&g, &exclusions);
        assert_int_equal(of_graph.area, heaviest);
        assert_int_equal(of_graph.clique, heaviest);
    }
}

/* Trees with more segments than words have bits, deep and wide; the heaviest way from a root is the heaviest clique. */
static void so_does_a_large_one(void **state)
{
    (void)state;
    enum { N = 1000 };
    static struct allot_overlay_seg segs[N];
    static size_t way[N], at[N];
    struct random r = {2};
    for (size_t reach = 1; reach <= N; reach *= 10) {
        size_t heaviest = 0, total = 0;
        for (size_t i = 0; i < N; i++) {
            size_t back = random_below(&r, (i < reach ? i : reach) + 1);
            segs[i] =
                (struct allot_overlay_seg){.size = 64 * (1 + random_below(&r, 100)), .parent = (unsigned)(i - back)};
            way[i] = segs[i].size + (segs[i].parent ? way[segs[i].parent - 1] : 0);
            heaviest = way[i] > heaviest ? way[i] : heaviest;
            total += segs[i].size;
        }
        struct allot_overlay_layout out;
        assert_int_equal(allot_overlay_plan(segs, N, &(struct allot_overlay_opts){.align = 64}, at, &out), 0);
        assert_int_equal(out.area, heaviest);
        assert_int_equal(out.clique, heaviest);
        assert_int_equal(out.total, total);
        for (size_t i = 0; i < N; i++) {
            assert_int_equal(at[i], way[i] - segs[i].size);
        }
    }
}

/* In general: never below the best there is, never more than the bound says, and what it says of itself is true. */
static void a_graph_has_an_honest_bound(void **state)
{
    (void)state;
    struct random r = {3};
    size_t best_sum = 0, area_sum = 0, optimal = 0, graphs = 0;
    for (unsigned percent = 10; percent <= 90; percent += 20) {
        for (int i = 0; i < 60; i++) {
            struct graph g = random_graph(&r, 1 + random_below(&r, 8), percent);
            exclude(&r, &g);
            struct allot_overlay_layout out = plan(&g, &exclusions);
            size_t best = best_there_is(&g);
            assert_true(out.clique <= heaviest_set(&g));
            assert_in_range(out.area, best, out.total);
            assert_true(out.area != out.clique || best == out.area);
            best_sum += best;
            area_sum += out.area;
            optimal += out.area == best;
            graphs++;
        }
    }
    print_message("%zu of %zu random graphs at their best; %.4f of the best in all\n", optimal, graphs,
                  (double)area_sum / (double)best_sum);
    assert_true(area_sum * 100 <= best_sum * 101);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    struct allot_overlay_layout out;
    struct allot_overlay o;
    static const unsigned self[] = {0}, beyond[] = {2}, other[] = {1};
    struct allot_overlay_seg two[2] = {{.size = 10}, {.size = 10, .parent = 2}};
    assert_int_equal(allot_overlay_plan(two, 2, NULL, NULL, &out), -EINVAL);
    two[1].parent = 1;
    assert_int_equal(allot_overlay_plan(two, 2, NULL, NULL, &out), 0);
    assert_int_equal(out.area, 32);
    assert_int_equal(allot_overlay_plan(two, 0, NULL, NULL, &out), -EINVAL);
    assert_int_equal(allot_overlay_plan(two, ALLOT_OVERLAY_MAX + 1, NULL, NULL, &out), -EINVAL);
    assert_int_equal(allot_overlay_plan(two, 2, &(struct allot_overlay_opts){.align = 48}, NULL, &out), -EINVAL);
    two[0].size = two[1].size = (size_t)PTRDIFF_MAX - 4096;
    assert_int_equal(allot_overlay_plan(two, 2, NULL, NULL, &out), -EINVAL);
    two[0].size = SIZE_MAX;
    assert_int_equal(allot_overlay_plan(two, 2, NULL, NULL, &out), -EINVAL);
    two[0] = two[1] = (struct allot_overlay_seg){.size = 0};
    assert_int_equal(allot_overlay_plan(two, 2, &exclusions, NULL, &out), 0);
    assert_int_equal(out.area, 32); /* each has a place of its own */
    for (int i = 0; i < 2; i++) {
        two[0].excludes = i ? beyond : self;
        two[0].excludes_count = 1;
        assert_int_equal(allot_overlay_plan(two, 2, &exclusions, NULL, &out), -EINVAL);
        assert_int_equal(allot_overlay_plan(two, 2, NULL, NULL, &out), -EINVAL);
    }
    two[0].excludes = other;
    assert_int_equal(allot_overlay_plan(two, 2, &exclusions, NULL, &out), 0);
    assert_int_equal(out.area, 16);
    static _Alignas(16) char area[64];
    assert_int_equal(allot_overlay_init(&o, area + 8, 32, two, 2, &exclusions), -EINVAL);
    assert_int_equal(allot_overlay_init(&o, area, 15, two, 2, &exclusions), -ENOSPC);
    assert_int_equal(allot_overlay_init(&o, area, 16, two, 2, &exclusions), 0);
    allot_overlay_done(&o);
}

/* -- coming and going ------------------------------------------------------------------------------------------- */

enum { PROGRAM, PARSE, OPTIMISE, LOOP, EMIT, PHASES };

/* Where a segment's bytes are while it is away, and what its functions are to say. */
static struct store {
    unsigned char bytes[64];
    int loads, saves, load_fails, save_fails;
} stores[PHASES];

static int load(void *arg, void *at, size_t size)
{
    struct store *s = arg;
    if (s->load_fails) {
        memset(at, 0xdd, size);
        return s->load_fails;
    }
    s->loads++;
    memcpy(at, s->bytes, size);
    return 0;
}

static int save(void *arg, const void *at, size_t size)
{
    struct store *s = arg;
    if (s->save_fails) {
        return s->save_fails;
    }
    s->saves++;
    memcpy(s->bytes, at, size);
    return 0;
}

static const struct allot_overlay_seg phases[PHASES] = {
    [PROGRAM] = {.name = "program", .size = 40, .load = load, .save = save, .arg = &stores[PROGRAM]},
    [PARSE] = {.name = "parse", .size = 64, .parent = PROGRAM + 1, .load = load, .save = save, .arg = &stores[PARSE]},
    [OPTIMISE] =
        {.name = "optimise", .size = 30, .parent = PROGRAM + 1, .load = load, .save = save, .arg = &stores[OPTIMISE]},
    [LOOP] = {.name = "loop", .size = 20, .parent = OPTIMISE + 1, .load = load, .save = save, .arg = &stores[LOOP]},
    [EMIT] = {.name = "emit", .size = 30, .parent = PROGRAM + 1, .load = load, .save = save, .arg = &stores[EMIT]},
};

static struct allot_overlay overlay;

static int begin(void **state)
{
    (void)state;
    for (int i = 0; i < PHASES; i++) {
        stores[i] = (struct store){0};
        memset(stores[i].bytes, i + 1, sizeof stores[i].bytes);
    }
    return allot_overlay_init(&overlay, NULL, 0, phases, PHASES, NULL);
}

static int end(void **state)
{
    (void)state;
    allot_overlay_check(&overlay);
    allot_overlay_done(&overlay);
    return 0;
}

static unsigned char *enter(unsigned i)
{
    unsigned char *p = allot_overlay_enter(&overlay, i);
    assert_non_null(p);
    allot_overlay_check(&overlay);
    return p;
}

static void loaded_when_absent_and_saved_when_displaced(void **state)
{
    (void)state;
    assert_int_equal(overlay.layout.area, 48 + 64);
    unsigned char *program = enter(PROGRAM), *parse = enter(PARSE);
    assert_int_equal(program[39], 1);
    assert_int_equal(parse[63], 2);
    memset(parse, 0x22, 64);
    allot_overlay_leave(&overlay, PARSE);
    /* Back before anybody took the place: nothing is loaded. */
    assert_ptr_equal(enter(PARSE), parse);
    assert_int_equal(parse[0], 0x22);
    assert_int_equal(stores[PARSE].loads, 1);
    allot_overlay_leave(&overlay, PARSE);
    unsigned char *optimise = enter(OPTIMISE);
    assert_ptr_equal(optimise, parse);
    assert_int_equal(stores[PARSE].saves, 1);
    assert_int_equal(stores[PARSE].bytes[63], 0x22);
    assert_int_equal(optimise[29], 3);
    assert_int_equal(enter(LOOP)[19], 4);
    assert_int_equal(program[0], 1);
    struct allot_overlay_stats s;
    allot_overlay_stats(&overlay, &s);
    assert_int_equal(s.use.count, 3);
    assert_int_equal(s.use.used, 48 + 32 + 32);
    assert_int_equal(s.present, s.use.used);
    assert_int_equal(s.loads, 4);
    assert_int_equal(s.saves, 1);
    allot_overlay_leave(&overlay, LOOP);
    allot_overlay_leave(&overlay, OPTIMISE);
    assert_int_equal(enter(PARSE)[63], 0x22);
    assert_int_equal(stores[OPTIMISE].saves, 1);
    assert_int_equal(stores[LOOP].saves, 1); /* it lay there too */
    allot_overlay_leave(&overlay, PARSE);
    allot_overlay_leave(&overlay, PROGRAM);
}

static void conflicts_are_refused(void **state)
{
    (void)state;
    enter(OPTIMISE);
    static const unsigned others[] = {PARSE, EMIT};
    for (int i = 0; i < 2; i++) {
        errno = 0;
        assert_null(allot_overlay_enter(&overlay, others[i]));
        assert_int_equal(errno, EBUSY);
    }
    /* Also where the places do not meet: it is said of the segments. */
    allot_overlay_leave(&overlay, OPTIMISE);
    enter(LOOP);
    assert_null(allot_overlay_enter(&overlay, EMIT));
    enter(PROGRAM);
    enter(OPTIMISE);
    enter(OPTIMISE);
    allot_overlay_leave(&overlay, LOOP);
    allot_overlay_leave(&overlay, OPTIMISE);
    assert_null(allot_overlay_enter(&overlay, EMIT)); /* still entered once */
    allot_overlay_leave(&overlay, OPTIMISE);
    enter(EMIT);
    allot_overlay_leave(&overlay, EMIT);
    allot_overlay_leave(&overlay, PROGRAM);
    struct allot_overlay_stats s;
    allot_overlay_stats(&overlay, &s);
    assert_int_equal(s.use.refused, 4);
}

static void what_cannot_be_saved_is_not_lost(void **state)
{
    (void)state;
    memset(enter(PARSE), 0x22, 64);
    allot_overlay_leave(&overlay, PARSE);
    stores[PARSE].save_fails = -EIO;
    errno = 0;
    assert_null(allot_overlay_enter(&overlay, EMIT));
    assert_int_equal(errno, EIO);
    assert_int_equal(allot_overlay_save(&overlay), -EIO);
    allot_overlay_check(&overlay);
    assert_int_equal(enter(PARSE)[63], 0x22);
    allot_overlay_leave(&overlay, PARSE);
    stores[PARSE].save_fails = 0;
    stores[EMIT].load_fails = -ENODATA;
    assert_null(allot_overlay_enter(&overlay, EMIT));
    assert_int_equal(errno, ENODATA);
    assert_int_equal(stores[PARSE].bytes[0], 0x22);
    stores[EMIT].load_fails = 0;
    assert_int_equal(enter(EMIT)[29], 5);
    allot_overlay_leave(&overlay, EMIT);
    assert_int_equal(enter(PARSE)[63], 0x22);
    allot_overlay_leave(&overlay, PARSE);
}

static void save_saves_what_is_there(void **state)
{
    (void)state;
    memset(enter(PROGRAM), 0x11, 40);
    memset(enter(EMIT), 0x55, 30);
    allot_overlay_leave(&overlay, EMIT);
    assert_int_equal(allot_overlay_save(&overlay), 0);
    assert_int_equal(stores[PROGRAM].bytes[39], 0x11);
    assert_int_equal(stores[EMIT].bytes[29], 0x55);
    assert_int_equal(enter(EMIT)[0], 0x55);
    allot_overlay_leave(&overlay, EMIT);
    allot_overlay_leave(&overlay, PROGRAM);
}

/* Images are copied without anybody's functions, constant ones one way; a segment without any has no bytes to be kept. */
static void images_are_copied(void **state)
{
    (void)state;
    static char one[100], two[100];
    static const unsigned all[] = {0, 1, 2};
    memset(one, 1, 100);
    memset(two, 2, 100);
    const struct allot_overlay_seg segs[] = {
        {.size = 100, .image = one, .excludes = all + 1, .excludes_count = 2},
        {.size = 100, .image = two, .constant = true, .excludes = all + 2, .excludes_count = 1},
        {.size = 10},
    };
    static _Alignas(4096) char area[4096];
    struct allot_overlay o;
    assert_int_equal(allot_overlay_init(&o, area, sizeof area, segs, 3,
                                        &(struct allot_overlay_opts){.excludes = true, .align = 4096}),
                     0);
    for (int round = 0; round < 3; round++) {
        char *p = allot_overlay_enter(&o, 0);
        assert_ptr_equal(p, area);
        assert_int_equal(p[99], round == 0 ? 1 : 10 + round);
        memset(p, 11 + round, 100);
        allot_overlay_leave(&o, 0);
        p = allot_overlay_enter(&o, 1);
        assert_int_equal(p[99], 2);
        memset(p, 22, 100);
        allot_overlay_leave(&o, 1);
        p = allot_overlay_enter(&o, 2);
        memset(p, 33, 10);
        allot_overlay_leave(&o, 2);
        allot_overlay_check(&o);
    }
    assert_int_equal(one[0], 13);
    assert_int_equal(two[0], 2);
    allot_overlay_done(&o);
}

/* Any order of entering and leaving beside a model: who is refused, and that each finds its bytes again. */
static void beside_a_model(void **state)
{
    (void)state;
    struct random r = {5};
    for (int run = 0; run < 60; run++) {
        size_t n = 1 + random_below(&r, MOST);
        struct graph g = run % 2 ? random_tree(&r, n) : random_graph(&r, n, 10 + 20 * (unsigned)random_below(&r, 5));
        if (run % 2 == 0) {
            exclude(&r, &g);
        }
        static unsigned char image[MOST][512], model[MOST][512];
        unsigned held[MOST] = {0}, holding = 0;
        for (size_t i = 0; i < n; i++) {
            memset(image[i], (int)i, 512);
            memset(model[i], (int)i, 512);
            g.segs[i].image = image[i];
        }
        struct allot_overlay o;
        assert_int_equal(allot_overlay_init(&o, NULL, 0, g.segs, n, run % 2 ? NULL : &exclusions), 0);
        for (int step = 0; step < 400; step++) {
            unsigned i = (unsigned)random_below(&r, n);
            if (held[i] && random_below(&r, 2)) {
                allot_overlay_leave(&o, i);
                holding &= --held[i] ? ~0u : ~(1u << i);
                continue;
            }
            bool refused = holding & ~g.together[i] & ~(1u << i);
            unsigned char *p = allot_overlay_enter(&o, i);
            assert_int_equal(p == NULL, refused);
            if (p) {
                held[i]++;
                holding |= 1u << i;
                assert_memory_equal(p, model[i], g.segs[i].size);
                size_t at = random_below(&r, g.segs[i].size);
                p[at] = model[i][at] = (unsigned char)random_next(&r);
            }
            allot_overlay_check(&o);
        }
        for (unsigned i = 0; i < n; i++) {
            for (; held[i]; held[i]--) {
                allot_overlay_leave(&o, i);
            }
        }
        assert_int_equal(allot_overlay_save(&o), 0);
        for (size_t i = 0; i < n; i++) {
            assert_memory_equal(image[i], model[i], g.segs[i].size);
        }
        allot_overlay_done(&o);
    }
}

/* -- misuse ----------------------------------------------------------------------------------------------------- */

static void leave_twice(void *arg)
{
    (void)arg;
    allot_overlay_enter(&overlay, EMIT);
    allot_overlay_leave(&overlay, EMIT);
    allot_overlay_leave(&overlay, EMIT);
}

static void done_while_held(void *arg)
{
    (void)arg;
    allot_overlay_enter(&overlay, EMIT);
    allot_overlay_done(&overlay);
}

static void enter_beyond(void *arg)
{
    (void)arg;
    allot_overlay_enter(&overlay, PHASES);
}

static void broken_bitmap(void *arg)
{
    (void)arg;
    overlay.held[0] = 1;
    allot_overlay_check(&overlay);
}

static void broken_layout(void *arg)
{
    (void)arg;
    overlay.excludes[0] = overlay.excludes[0] ^ 2;
    allot_overlay_check(&overlay);
}

static void misuse_ends_the_process_with_a_line(void **state)
{
    (void)state;
    static const struct {
        void (*crime)(void *);
        const char *said;
    } crimes[] = {
        {leave_twice, "allot: leave of a segment that is not held: emit at 0x"},
        {done_while_held, "allot: done of an overlay with a segment held: emit at 0x"},
        {enter_beyond, "allot: enter of what is no segment: overlay at 0x"},
        {broken_bitmap, "allot: broken: held == (p->held > 0)"},
        {broken_layout, "allot: broken: "},
    };
    for (size_t i = 0; i < sizeof crimes / sizeof crimes[0]; i++) {
        struct child_end end = child_run(crimes[i].crime, NULL);
        assert_true(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGABRT);
        assert_memory_equal(end.text, crimes[i].said, strlen(crimes[i].said));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_takes_as_much_as_its_heaviest_clique),
        cmocka_unit_test(so_does_a_large_one),
        cmocka_unit_test(a_graph_has_an_honest_bound),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test_setup_teardown(loaded_when_absent_and_saved_when_displaced, begin, end),
        cmocka_unit_test_setup_teardown(conflicts_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(what_cannot_be_saved_is_not_lost, begin, end),
        cmocka_unit_test_setup_teardown(save_saves_what_is_there, begin, end),
        cmocka_unit_test(images_are_copied),
        cmocka_unit_test(beside_a_model),
        cmocka_unit_test_setup_teardown(misuse_ends_the_process_with_a_line, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
