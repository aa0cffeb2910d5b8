/* gc-pauses.c - how long `step` takes with 1 GiB that lives, while the program allocates and changes what there is.
 *
 *     shelf:  | 32768 references |  ->  each a tree of 1023 nodes: 1 GiB with headers
 *
 * A request makes a tree and puts it in a random place of the shelf, of which the old tree dies; makes another that dies at once; and
 * exchanges two subtrees of random trees, so that old objects refer to new ones and to one another. Then comes a step. A run goes on
 * until so many requests have been served, some GiB have been allocated and collections have come and gone.
 *
 *   step-p50, step-p99, step-max   us that a step took that was given 500
 *   work-p99      us of processor time of a step: what others on a busy machine took from it is not in that
 *   serve-p50, serve-p99, serve-max   us that a request took: it does what the collector makes an allocation or a store do
 *   longest       ms that the program stood at most, as the heap says
 *   time          ms of processor time a 1000 requests, steps included
 *   collections   that were complete; `peak`: MiB resident at most
 *
 * count has no steps of its own but those that look for circles: what dies goes as the request says it. libgc stands for whole
 * collections; its incremental mode protects pages, and ends the process when there are more runs of them than the kernel allows.
 */
#include "collected.h"

enum { TREES = 32768, DEPTH = 9, REQUESTS = 10000, STEP_NS = 500000 };

static const struct allot_gc_type shelf_type = {.name = "shelf", .flags = ALLOT_GC_REFS};

/* A collector's own way of what a request does. */
struct way {
    void (*begin)(void);
    void (*put)(size_t place);                /* a new tree */
    void (*waste)(void);                      /* makes a tree that dies */
    void (*exchange)(size_t one, size_t two); /* the left subtrees of two trees */
    bool (*step)(void);
    void (*figures)(void);
};

static struct node **shelf;

/* -- with frames and the barrier: mark and copy -- */

static void framed_put(size_t place)
{
    struct node *tree = framed_tree(DEPTH);
    allot_gc_write(&me, shelf, &shelf[place], tree);
}

static void framed_waste(void) { used(framed_tree(DEPTH)); }

static void framed_exchange(size_t one, size_t two)
{
    struct node *a = shelf[one], *b = shelf[two], *left = a->left;
    allot_gc_write(&me, a, &a->left, b->left);
    allot_gc_write(&me, b, &b->left, left);
}

static void begin_framed(enum allot_gc_kind kind)
{
    begin_heap(kind, 0);
    shelf = had(allot_gc_get(&me, &shelf_type, TREES * sizeof *shelf));
    if (allot_gc_root(&heap, &shelf, 1)) {
        fail("no room for roots");
    }
}

static void begin_mark(void) { begin_framed(ALLOT_GC_MARK); }
static void begin_copy(void) { begin_framed(ALLOT_GC_COPY); }
static bool step(void) { return allot_gc_step(&me, STEP_NS); }

static const struct way mark_way = {begin_mark, framed_put, framed_waste, framed_exchange, step, heap_figures};
static const struct way copy_way = {begin_copy, framed_put, framed_waste, framed_exchange, step, heap_figures};

/* -- with owned references: count -- */

static void counted_put(size_t place) { allot_gc_give(&me, shelf, &shelf[place], counted_tree(DEPTH)); }

static void counted_waste(void) { allot_gc_unref(&me, counted_tree(DEPTH)); }

static void counted_exchange(size_t one, size_t two)
{
    struct node *a = shelf[one], *b = shelf[two], *left = allot_gc_ref(&me, a->left);
    allot_gc_write(&me, a, &a->left, b->left);
    allot_gc_give(&me, b, &b->left, left);
}

static void begin_count(void) { begin_framed(ALLOT_GC_COUNT); }

static const struct way count_way = {begin_count, counted_put, counted_waste, counted_exchange, step, heap_figures};

/* -- libgc -- */

PLAIN_TREE(boehm, had(libgc.malloc(sizeof(struct node))));

static void boehm_put(size_t place) { shelf[place] = boehm_tree(DEPTH); }

static void boehm_waste(void) { used(boehm_tree(DEPTH)); }

static void boehm_exchange(size_t one, size_t two)
{
    struct node *left = shelf[one]->left;
    shelf[one]->left = shelf[two]->left;
    shelf[two]->left = left;
}

static void begin_boehm(void)
{
    begin_libgc();
    shelf = had(libgc.malloc(TREES * sizeof *shelf));
}

static bool no_step(void) { return false; }
static void libgc_figures(void) { figure("collections", (double)libgc.collections(), ""); }

static const struct way libgc_way = {begin_boehm, boehm_put, boehm_waste, boehm_exchange, no_step, libgc_figures};

/* -- the run -- */

static int less(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Figures without a name are not wanted. */
static void spread(uint64_t *ns, const char *p50, const char *p99, const char *max)
{
    const char *const names[] = {p50, p99, max};
    const size_t at[] = {REQUESTS / 2, REQUESTS / 100 * 99, REQUESTS - 1};
    qsort(ns, REQUESTS, sizeof *ns, less);
    for (size_t i = 0; i < COUNT(at); i++) {
        if (names[i]) {
            figure(names[i], (double)ns[at[i]] / 1e3, "us");
        }
    }
}

static void run(const struct way *way)
{
    static uint64_t step_ns[REQUESTS], work_ns[REQUESTS], serve_ns[REQUESTS];
    uint64_t seed = 9;
    way->begin();
    for (size_t place = 0; place < TREES; place++) {
        way->put(place);
    }
    uint64_t began = cpu_now();
    for (size_t i = 0; i < REQUESTS; i++) {
        uint64_t start = now();
        way->put(below(&seed, TREES));
        way->waste();
        way->exchange(below(&seed, TREES), below(&seed, TREES));
        uint64_t served = now(), worked = cpu_now();
        way->step();
        work_ns[i] = cpu_now() - worked;
        step_ns[i] = now() - served;
        serve_ns[i] = served - start;
    }
    figure("time", (double)(cpu_now() - began) / 1e6 / (REQUESTS / 1000.0), "ms/1000");
    if (way->step != no_step) {
        spread(step_ns, "step-p50", "step-p99", "step-max");
        spread(work_ns, NULL, "work-p99", NULL);
    }
    spread(serve_ns, "serve-p50", "serve-p99", "serve-max");
    figure("peak", peak_mib(), "MiB");
    way->figures();
}

static void run_libgc(void) { run(&libgc_way); }
static void run_mark(void) { run(&mark_way); }
static void run_copy(void) { run(&copy_way); }
static void run_count(void) { run(&count_way); }

int main(int argc, char **argv)
{
    const struct variant variants[] = {
        {"libgc", "Debian's libgc (libgc1), which stands to collect", has_libgc() ? run_libgc : NULL},
        {"allot-mark", "mark", run_mark},
        {"allot-copy", "copy", run_copy},
        {"allot-count", "count; steps look for circles", run_count},
    };
    static const char *const demands[] = {
        "step-p99 allot-mark <= 1000",
        "step-p99 allot-copy <= 1000",
        "step-p99 allot-count <= 1000",
    };
    return part_main(argc, argv, variants, COUNT(variants), demands, COUNT(demands));
}
