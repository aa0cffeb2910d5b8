/* model/gc.c - random object graphs beside an oracle of reachability, on every collector there is, in every mode that it has.
 *
 *   roots: slot[i] --> object with its number --> ...         shadow: node[number], its edges
 *          weak[i], pair[i] --> weak references, ephemerons            what they refer to, as numbers
 *
 * The program keeps to the rules of the strictest: what it wants it holds by roots, stores by allot_gc_write, owns and lets go what it
 * got, and reads again after whatever may collect. Then, at any time: all that the oracle reaches is there with its number, size
 * and edges. After whole collections: nothing else is, by count; weak references and pairs are cleared if and only if they should be.
 * Finishers run once, of what nobody reaches, referrers first, the oldest of a circle first; some make theirs reachable again.
 *
 * Usage: test-model.gc [SEED]; TEST_SCALE times as many runs.
 */
#include "common/check.h"

#include <errno.h>
#include <stdbool.h>

#include <allot/gc.h>

enum { MOST = 6000, ROOTS = 40, WEAKS = 12, NONE = 0, PATH = 6 };

struct object {
    uint64_t number;
    void *ref[];
};

static struct mode {
    const char *name;
    enum allot_gc_kind kind;
    struct allot_gc_opts opts;
    size_t steps;
    bool exact; /* nothing is held but what the oracle reaches */
} modes[] = {
    {"mark", ALLOT_GC_MARK, {.least = 1 << 16}, 6000, true},
    {"mark in steps", ALLOT_GC_MARK, {.least = 1 << 16, .step_ns = 1}, 6000, true},
    {"mark, plain stores", ALLOT_GC_MARK, {.least = 1 << 16, .flags = ALLOT_GC_PLAIN}, 6000, true},
    {"mark under stress", ALLOT_GC_MARK, {.flags = ALLOT_GC_STRESS}, 1500, true},
    {"mark, conservative",
     ALLOT_GC_MARK,
     {.least = 1 << 16, .flags = ALLOT_GC_CONSERVATIVE | ALLOT_GC_INTERIOR},
     4000,
     false},
    {"mark, finishers by hand", ALLOT_GC_MARK, {.least = 1 << 16, .flags = ALLOT_GC_BY_HAND}, 6000, true},
    {"copy", ALLOT_GC_COPY, {.least = 1 << 16, .young = 1 << 16}, 6000, true},
    {"copy in steps", ALLOT_GC_COPY, {.least = 1 << 16, .young = 1 << 16, .step_ns = 1}, 6000, true},
    {"copy, plain stores", ALLOT_GC_COPY, {.least = 1 << 16, .flags = ALLOT_GC_PLAIN}, 6000, true},
    {"copy under stress", ALLOT_GC_COPY, {.flags = ALLOT_GC_STRESS}, 1500, true},
    {"copy, conservative",
     ALLOT_GC_COPY,
     {.least = 1 << 16, .flags = ALLOT_GC_CONSERVATIVE | ALLOT_GC_INTERIOR},
     4000,
     false},
    {"count", ALLOT_GC_COUNT, {.least = 1 << 16}, 6000, true},
    {"count in steps", ALLOT_GC_COUNT, {.least = 1 << 16, .step_ns = 1}, 6000, true},
    {"count, finishers by hand", ALLOT_GC_COUNT, {.least = 1 << 16, .flags = ALLOT_GC_BY_HAND}, 6000, true},
    {"count under stress", ALLOT_GC_COUNT, {.flags = ALLOT_GC_STRESS}, 1500, true},
};

static const struct mode *mode;
static struct allot_gc heap;
static struct allot_gc_mutator me;
static uint64_t seed;
static size_t below(size_t bound) { return random_below(&seed, bound); }

/* -- the oracle -- */

static struct node {
    bool is, finishable, finished;
    bool returned; /* a finisher made it reachable again: who refers to it weakly has been told otherwise */
    unsigned edges;
    unsigned *edge; /* numbers */
    size_t size;
    unsigned seen;
} node[MOST];
static unsigned nodes; /* numbers that are in use are below; 0 is none */

static void *slot[ROOTS], *weak[WEAKS], *pair[WEAKS];
static unsigned root[ROOTS], weak_target[WEAKS], pair_key[WEAKS], pair_value[WEAKS];
static unsigned stamp, queue[MOST], queued;

static void reach(unsigned n)
{
    if (n != NONE && node[n].seen != stamp) {
        node[n].seen = stamp;
        queue[queued++] = n;
    }
}

static void follow(void)
{
    for (size_t i = 0; i < queued; i++) {
        for (unsigned e = 0; e < node[queue[i]].edges; e++)
            reach(node[queue[i]].edge[e]);
    }
    queued = 0;
}

static void reach_all(void)
{
    stamp++;
    for (size_t i = 0; i < ROOTS; i++)
        reach(root[i]);
    follow();
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < WEAKS; i++) {
            unsigned k = pair_key[i], v = pair_value[i];
            if (pair[i] && k != NONE && node[k].seen == stamp && v != NONE && node[v].seen != stamp) {
                reach(v);
                follow();
                more = true;
            }
        }
    }
}

static bool reaches(unsigned from, unsigned to)
{
    stamp++;
    for (unsigned e = 0; e < node[from].edges; e++)
        reach(node[from].edge[e]);
    follow();
    return node[to].seen == stamp;
}

/* -- types -- */

static void finish(void *object, void *arg);

static void trace_all(struct allot_gc_visit *visit, void *object, size_t size)
{
    struct object *o = object;
    for (size_t i = 0; i < (size - sizeof *o) / sizeof(void *); i++)
        allot_gc_visit(visit, &o->ref[i]);
}

#define FIRST(n) ((((uint64_t)1 << (n)) - 1) << 1)
static const struct allot_gc_type fixed[] = {
    {.name = "one", .size = 16, .refs = FIRST(1)},
    {.name = "two", .size = 24, .refs = FIRST(2)},
    {.name = "five", .size = 48, .refs = FIRST(5)},
    {.name = "forty", .size = 328, .refs = FIRST(40)},
    {.name = "finishable", .size = 32, .refs = FIRST(3), .finish = finish},
    {.name = "finishable leaf", .size = 8, .finish = finish},
};
static const struct allot_gc_type tail = {.name = "tail", .size = 8, .flags = ALLOT_GC_REFS};
static const struct allot_gc_type traced = {.name = "traced", .size = 8, .trace = trace_all};
static const struct allot_gc_type words = {.name = "words", .size = 8, .flags = ALLOT_GC_MAYBE};
static const struct allot_gc_type leaf = {.name = "leaf", .size = 8};

/* -- finishers -- */

/* Pairs that have been cleared hold nothing, whatever becomes of the key. */
static void forget_cleared_pairs(void)
{
    for (size_t i = 0; i < WEAKS; i++) {
        if (pair[i] && !allot_gc_ephemeron_key(&me, pair[i]))
            pair_key[i] = pair_value[i] = NONE;
    }
}

static bool ending;
static size_t finished;

static void finish(void *object, void *arg)
{
    struct object *o = object;
    unsigned n = (unsigned)o->number;
    CHECK(arg == &seed && n < nodes && node[n].is && node[n].finishable && !node[n].finished);
    forget_cleared_pairs();
    reach_all();
    CHECK(ending || mode->exact == false || node[n].seen != stamp);
    for (unsigned other = 1; other < nodes && !ending; other++) {
        if (other != n && node[other].is && node[other].finishable && !node[other].finished && reaches(other, n))
            CHECK(n < other && reaches(n, other)); /* numbers are ages */
    }
    node[n].finished = true;
    finished++;
    if (!ending && below(4) == 0) { /* again reachable */
        size_t i = below(ROOTS);
        if (root[i] == NONE) {
            stamp++;
            reach(n);
            for (size_t k = 0; k < queued; k++) {
                node[queue[k]].returned = true;
                for (unsigned e = 0; e < node[queue[k]].edges; e++)
                    reach(node[queue[k]].edge[e]);
            }
            queued = 0;
            root[i] = n;
            slot[i] = allot_gc_ref(&me, object);
        }
    }
}

/* -- the program -- */

static bool counts(void) { return mode->kind == ALLOT_GC_COUNT; }

static void store(void *object, void **at, void *value)
{
    if (mode->opts.flags & ALLOT_GC_PLAIN)
        *at = value;
    else if (below(4) == 0)
        allot_gc_give(&me, object, at, allot_gc_ref(&me, value));
    else
        allot_gc_write(&me, object, at, value);
}

static unsigned new_number(void)
{
    if (nodes < MOST)
        return nodes++;
    for (unsigned tries = 0; tries < 100; tries++) { /* finishable ones are their age: none again */
        unsigned n = 1 + (unsigned)below(MOST - 1);
        if (!node[n].is)
            return n;
    }
    return NONE;
}

/* What was there may be finished by that, at once. */
static void hold(size_t i, void *object, unsigned n)
{
    void *old = slot[i];
    root[i] = n;
    slot[i] = object;
    allot_gc_unref(&me, old);
}

static void drop(size_t i) { hold(i, NULL, NONE); }

static void make(void)
{
    size_t i = below(ROOTS), refs = below(12) ? below(12) : below(50) ? below(200) : below(9000), extra = refs * 8;
    const struct allot_gc_type *type = &leaf;
    switch (below(8)) {
    case 0:
        type = &tail;
        break;
    case 1:
        type = &traced;
        break;
    case 2:
        type = counts() ? &tail : &words;
        break;
    case 3:
        extra = below(20) ? below(1000) : below(60000);
        refs = 0;
        break;
    default:
        type = &fixed[below(sizeof fixed / sizeof *fixed)];
        extra = 0;
        refs = (size_t)__builtin_popcountll(type->refs);
    }
    unsigned n = type->finish && nodes == MOST ? NONE : new_number();
    if (n == NONE)
        return;
    struct object *o = allot_gc_get(&me, type, extra);
    CHECK(o && (uintptr_t)o % 16 == 0);
    size_t size = type->size + extra;
    CHECK(allot_gc_type_of(o) == type && allot_gc_size_of(o) >= size && allot_gc_size_of(o) <= size + 15);
    for (size_t k = 0; k < size; k++)
        CHECK(((char *)o)[k] == 0);
    o->number = n;
    free(node[n].edge);
    node[n] = (struct node){.is = true, .finishable = type->finish, .edges = (unsigned)refs, .size = size};
    node[n].edge = calloc(refs ? refs : 1, sizeof *node[n].edge);
    hold(i, o, n);
}

/* An object some edges away from a root. */
static struct object *somewhere(unsigned *number)
{
    size_t i = below(ROOTS);
    struct object *o = slot[i];
    unsigned n = root[i];
    for (size_t k = below(PATH); o && k > 0; k--) {
        CHECK(o->number == n);
        size_t e = node[n].edges ? below(node[n].edges) : 0;
        if (!node[n].edges || node[n].edge[e] == NONE)
            break;
        n = node[n].edge[e];
        o = o->ref[e];
    }
    *number = o ? n : NONE;
    return o;
}

static void connect(void)
{
    unsigned from, to;
    struct object *a = somewhere(&from), *b = somewhere(&to);
    if (!a || node[from].edges == 0)
        return;
    if (below(6) == 0)
        to = NONE, b = NULL;
    size_t e = below(node[from].edges), count = below(8) ? 1 : 1 + below(node[from].edges - e);
    if (count == 1) {
        node[from].edge[e] = to;
        store(a, &a->ref[e], b);
        return;
    }
    void **values = malloc(count * sizeof *values);
    for (size_t i = 0; i < count; i++) {
        bool some = below(3) == 0;
        values[i] = some ? b : NULL;
        node[from].edge[e + i] = some ? to : NONE;
    }
    if (mode->opts.flags & ALLOT_GC_PLAIN)
        memcpy(&a->ref[e], values, count * sizeof *values);
    else
        allot_gc_write_many(&me, a, &a->ref[e], values, count);
    free(values);
}

/* Within one object, up or down, where the ranges overlap. */
static void shift(void)
{
    unsigned n;
    struct object *a = somewhere(&n);
    if (!a || node[n].edges < 2 || mode->opts.flags & ALLOT_GC_PLAIN)
        return;
    size_t count = 1 + below(node[n].edges - 1), from = below(node[n].edges - count + 1),
           to = below(node[n].edges - count + 1);
    memmove(&node[n].edge[to], &node[n].edge[from], count * sizeof *node[n].edge);
    allot_gc_write_many(&me, a, &a->ref[to], &a->ref[from], count);
}

static void fetch(void)
{
    unsigned n;
    size_t i = below(ROOTS);
    void *o = allot_gc_ref(&me, somewhere(&n));
    hold(i, o, n);
}

static void refer_weakly(void)
{
    unsigned n;
    size_t i = below(WEAKS);
    allot_gc_unref(&me, weak[i]);
    weak[i] = NULL;
    void *o = somewhere(&n);
    weak[i] = o ? allot_gc_weak(&me, o) : NULL;
    CHECK(!o || weak[i]);
    weak_target[i] = n;
}

static void pair_up(void)
{
    unsigned k, v;
    size_t i = below(WEAKS);
    void *key = somewhere(&k), *value = somewhere(&v);
    if (counts()) {
        CHECK(!key || (!allot_gc_ephemeron(&me, key, value) && errno == ENOTSUP));
        return;
    }
    pair[i] = NULL;
    pair_key[i] = pair_value[i] = NONE;
    if (!key)
        return;
    pair[i] = allot_gc_ephemeron(&me, key, value);
    CHECK(pair[i]);
    pair_key[i] = k;
    pair_value[i] = v;
}

/* -- what there is -- */

static void verify_object(const struct object *o, unsigned n)
{
    CHECK(o && o->number == n && node[n].is && allot_gc_size_of(o) >= node[n].size);
    for (unsigned e = 0; e < node[n].edges; e++) {
        const struct object *to = o->ref[e];
        CHECK(to ? node[n].edge[e] != NONE && to->number == node[n].edge[e] : node[n].edge[e] == NONE);
    }
}

static void verify(void)
{
    static const struct object *at[MOST];
    stamp++;
    for (size_t i = 0; i < ROOTS; i++) {
        CHECK(!slot[i] == (root[i] == NONE));
        if (slot[i])
            at[root[i]] = slot[i];
        reach(root[i]);
    }
    for (size_t i = 0; i < queued; i++) {
        unsigned n = queue[i];
        verify_object(at[n], n);
        for (unsigned e = 0; e < node[n].edges; e++) {
            unsigned to = node[n].edge[e];
            if (to != NONE) {
                CHECK(node[to].seen != stamp || at[to] == at[n]->ref[e]);
                at[to] = at[n]->ref[e];
                reach(to);
            }
        }
    }
    queued = 0;
}

static unsigned walk_stamp;

static int count_object(void *object, const struct allot_gc_type *type, size_t size, void *arg)
{
    size_t *count = arg;
    CHECK(type == allot_gc_type_of(object) && size == allot_gc_size_of(object));
    (*count)++;
    bool ours = type == &tail || type == &traced || type == &words || type == &leaf ||
                (type >= fixed && type < fixed + sizeof fixed / sizeof *fixed);
    if (ours) {
        unsigned n = (unsigned)((struct object *)object)->number;
        CHECK(n < nodes && node[n].is && (!mode->exact || node[n].seen == walk_stamp));
    }
    return 0;
}

static void check_weak(void)
{
    for (size_t i = 0; i < WEAKS; i++) {
        struct object *o = weak[i] ? allot_gc_weak_get(&me, weak[i]) : NULL;
        unsigned n = weak_target[i];
        if (weak[i] && n != NONE) {
            bool reachable = node[n].seen == walk_stamp && node[n].is;
            CHECK(o ? o->number == n : !reachable || node[n].returned);
            CHECK(!o || reachable || !mode->exact);
        }
        if (!o)
            weak_target[i] = NONE;
        allot_gc_unref(&me, o);
        struct object *key = pair[i] ? allot_gc_ephemeron_key(&me, pair[i]) : NULL;
        struct object *value = pair[i] ? allot_gc_ephemeron_value(&me, pair[i]) : NULL;
        if (pair[i] && pair_key[i] != NONE) {
            bool reachable = node[pair_key[i]].seen == walk_stamp;
            CHECK(key ? key->number == pair_key[i] : !reachable || node[pair_key[i]].returned);
            CHECK(!key || reachable || !mode->exact);
            CHECK(!key || (value ? value->number == pair_value[i] : pair_value[i] == NONE));
        }
        if (!key) {
            CHECK(!value);
            pair_key[i] = pair_value[i] = NONE;
        }
    }
}

/* Whole collections, until nobody is to be finished any more: then exactly what can be reached is there. */
static void collect(void)
{
    struct allot_gc_stats stats;
    for (size_t before = finished - 1; before != finished;) {
        before = finished;
        allot_gc_collect(&me);
        if (mode->opts.flags & ALLOT_GC_BY_HAND && below(2))
            while (allot_gc_finish(&me, 1 + below(3)) > 0)
                ;
        else if (mode->opts.flags & ALLOT_GC_BY_HAND)
            allot_gc_finish(&me, 0);
    }
    allot_gc_collect(&me);
    CHECK(!(mode->opts.flags & ALLOT_GC_BY_HAND) || allot_gc_finish(&me, 0) == 0);
    verify();
    allot_gc_check(&me);
    reach_all();
    walk_stamp = stamp;
    check_weak();
    reach_all(); /* less what dead keys held */
    walk_stamp = stamp;
    size_t expected = 0, count = 0;
    for (unsigned n = 1; n < nodes; n++)
        expected += node[n].is && node[n].seen == stamp;
    for (size_t i = 0; i < WEAKS; i++)
        expected += (weak[i] != NULL) + (pair[i] != NULL);
    CHECK(allot_gc_walk(&me, count_object, &count) == 0);
    CHECK(mode->exact ? count == expected : count >= expected);
    allot_gc_stats(&heap, &stats);
    CHECK(stats.use.count == count && stats.use.used <= stats.use.held && stats.use.held <= stats.use.peak);
    CHECK(stats.allocated >= stats.freed && stats.finished == finished);
    for (unsigned n = 1; n < nodes && mode->exact; n++) {
        CHECK(!node[n].is || node[n].seen == stamp || !node[n].finishable || node[n].finished);
        node[n].is = node[n].is && node[n].seen == stamp;
    }
}

static void act(void)
{
    switch (below(24)) {
    case 0 ... 9:
        make();
        break;
    case 10 ... 15:
        connect();
        break;
    case 16:
        shift();
        break;
    case 17 ... 18:
        fetch();
        break;
    case 19 ... 20:
        drop(below(ROOTS));
        break;
    case 21:
        refer_weakly();
        break;
    case 22:
        pair_up();
        break;
    default:
        if (below(2))
            allot_gc_poll(&me);
        else if (below(2))
            allot_gc_step(&me, 1000 * below(50));
        else
            allot_gc_cycles(&me, below(1000));
    }
}

static bool run(const struct mode *which)
{
    mode = which;
    struct allot_gc_opts opts = mode->opts;
    opts.arg = &seed;
    opts.name = mode->name;
    int why = allot_gc_init(&heap, mode->kind, &opts);
    if (why == -ENOTSUP)
        return false;
    CHECK(why == 0 && allot_gc_attach(&heap, &me) == 0);
    CHECK(allot_gc_root(&heap, slot, ROOTS) == 0);
    CHECK(allot_gc_root(&heap, weak, WEAKS) == 0 && allot_gc_root(&heap, pair, WEAKS) == 0);
    memset(root, 0, sizeof root);
    memset(slot, 0, sizeof slot);
    nodes = 1;
    finished = 0;
    ending = false;
    for (size_t step = 0; step < mode->steps; step++) {
        snprintf(check_context, sizeof check_context, "%s, step %zu", mode->name, step);
        act();
        if (mode->opts.step_ns && below(3) == 0)
            allot_gc_step(&me, below(4) ? 0 : 2000);
        if (step % 97 == 0)
            verify();
        if (step % 331 == 330 || nodes == MOST)
            collect();
        if (nodes == MOST)
            break;
    }
    collect();
    for (size_t i = 0; i < ROOTS; i++)
        drop(i);
    for (size_t i = 0; i < WEAKS; i++) {
        allot_gc_unref(&me, weak[i]);
        weak[i] = pair[i] = NULL;
        weak_target[i] = pair_key[i] = pair_value[i] = NONE;
    }
    if (below(2))
        collect();
    size_t finishable = 0;
    ending = true;
    for (unsigned n = 1; n < nodes; n++)
        finishable += node[n].is && node[n].finishable && !node[n].finished;
    size_t before = finished;
    allot_gc_done(&heap);
    CHECK(finished == before + finishable);
    return true;
}

int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
    size_t ran = 0;
    check_watch_aborts();
    for (uint64_t s = first; s < first + (argc > 1 ? 1 : 3 * test_scale()); s++) {
        for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
            snprintf(check_run, sizeof check_run, "seed %llu", (unsigned long long)s);
            seed = s;
            ran += run(&modes[m]);
        }
    }
    printf("%zu runs\n", ran);
    return ran == 0;
}
