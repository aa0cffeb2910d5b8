/* movable.c - a GiB of objects of 16 to 512 bytes, three quarters of which go at random, and what stays resident; then a step of
 * compaction after another. What is counted is what the process has more in memory than before, over what lives; the program's own
 * table of pointers or references was there before. Beside it each malloc there is, as it lies (rss), and after all that it
 * has to give memory back was called (rss_trimmed).
 *
 * And what a reference costs: lists of nodes of 64 bytes, walked by pointers and by references, the best of many walks by turns.
 *   walk_near      200 nodes, shuffled, which the nearest cache holds        walk_order      a million, in the order they were made in
 *   walk_shuffled  a million, shuffled                                       walk_near_late  200 again, in a heap that has a million slots
 */
#include "part.h"

#include <allot/movable.h>

#include <dlfcn.h>
#include <unistd.h>

enum { OBJECTS = 4200000, CHURN = 200000, CHURNS = 2000000, STEP = 128 << 10 };
#define BYTES ((uint64_t)1 << 30)

static union {
    void *p;
    allot_ref ref;
} kept[OBJECTS];
static uint16_t size_of[OBJECTS];
static struct allot_movable heap;

static double resident(void)
{
    unsigned long all, pages;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%lu %lu", &all, &pages) != 2)
        fail("no /proc/self/statm");
    fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE);
}

/* Nanoseconds of this thread: what others take of the machine meanwhile does not count. */
static uint64_t own_time(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static size_t draw_size(uint64_t *seed) { return 16 + below(seed, 497); }

/* -- either kind -- */

static void put_malloc(size_t i) { free(kept[i].p); }
static void get_malloc(size_t i, size_t size)
{
    kept[i].p = malloc(size);
    if (!kept[i].p)
        fail("out of memory");
    memset(kept[i].p, (int)i, size);
}

static void put_movable(size_t i) { allot_movable_put(&heap, kept[i].ref); }
static void get_movable(size_t i, size_t size)
{
    kept[i].ref = allot_movable_get(&heap, size);
    if (!kept[i].ref.gen)
        fail("out of memory");
    memset(allot_movable_at(&heap, kept[i].ref), (int)i, size);
}

/* Returns the bytes that live. */
static inline __attribute__((always_inline)) double thin(void (*get)(size_t, size_t), void (*put)(size_t))
{
    uint64_t seed = 1, live = 0;
    size_t count = 0, gone = 0;
    uint64_t start = now();
    for (; live < BYTES; live += size_of[count++]) {
        size_of[count] = (uint16_t)draw_size(&seed);
        get(count, size_of[count]);
    }
    uint64_t filled = now();
    for (size_t i = 0; i < count; i++) {
        if (below(&seed, 4)) {
            put(i);
            live -= size_of[i];
            size_of[i] = 0;
            gone++;
        }
    }
    figure("fill", (double)(filled - start) / (double)count, "ns");
    figure("drop", (double)(now() - filled) / (double)gone, "ns");
    return (double)live;
}

/* One goes, another comes, of another size. */
static inline __attribute__((always_inline)) void churn(void (*get)(size_t, size_t), void (*put)(size_t))
{
    uint64_t seed = 2;
    for (size_t i = 0; i < CHURN; i++)
        get(i, draw_size(&seed));
    uint64_t start = now();
    for (size_t n = 0; n < CHURNS; n++) {
        size_t i = below(&seed, CHURN);
        put(i);
        get(i, draw_size(&seed));
    }
    figure("churn", (double)(now() - start) / CHURNS, "ns");
}

static double before(void)
{
    memset(kept, 1, sizeof kept);
    memset(size_of, 1, sizeof size_of);
    return resident();
}

static void mallocs(void)
{
    churn(get_malloc, put_malloc);
    for (size_t i = 0; i < CHURN; i++)
        put_malloc(i);
    double base = before(), live = thin(get_malloc, put_malloc);
    figure("rss", (resident() - base) / live, "of what lives");
    int (*trim)(size_t) = (int (*)(size_t))dlsym(RTLD_DEFAULT, "malloc_trim");
    int (*control)(const char *, void *, size_t *, void *, size_t) =
        (int (*)(const char *, void *, size_t *, void *, size_t))dlsym(RTLD_DEFAULT, "mallctl");
    if (control) {
        control("arena.4096.purge", NULL, NULL, NULL, 0); /* jemalloc: of all arenas */
        control("mesh.compact", NULL, NULL, NULL, 0);
    }
    if (trim)
        trim(0);
    figure("rss_trimmed", (resident() - base) / live, "of what lives");
}

/* -- steps -- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double at_percent(double *taken, size_t count, size_t percent)
{
    qsort(taken, count, sizeof *taken, by_size);
    return taken[(count - 1) * percent / 100];
}

/* By the wall's clock, and by the thread's own: where they differ others had the machine. */
static void steps(double base, double live)
{
    static double taken[1 << 20], own[1 << 20];
    size_t count = 0;
    uint64_t begin = now();
    for (size_t more = 1; more > 0 && count < COUNT(taken); count++) {
        uint64_t start = now(), own_start = own_time();
        more = allot_movable_step(&heap, STEP);
        own[count] = (double)(own_time() - own_start) / 1e3;
        taken[count] = (double)(now() - start) / 1e3;
    }
    figure("compaction", (double)(now() - begin) / 1e6, "ms");
    figure("rss", (resident() - base) / live, "of what lives");
    figure("steps", (double)count, "");
    figure("step_p50", at_percent(taken, count, 50), "us");
    figure("step_p99", at_percent(taken, count, 99), "us");
    figure("step_max", at_percent(taken, count, 100), "us");
    figure("step_own_p50", at_percent(own, count, 50), "us");
    figure("step_own_p99", at_percent(own, count, 99), "us");
    figure("step_own_max", at_percent(own, count, 100), "us");
}

/* -- walks -- */

struct node {
    struct node *next;
    allot_ref next_ref;
    uint64_t value[6];
};

static __attribute__((noinline)) uint64_t walk_pointers(const struct node *n, size_t count)
{
    uint64_t sum = 0;
    for (; count > 0; count--) {
        sum += n->value[0];
        n = n->next;
    }
    return sum;
}

static __attribute__((noinline)) uint64_t walk_references(allot_ref first, size_t count)
{
    uint64_t sum = 0;
    for (const struct node *n = allot_movable_at(&heap, first); count > 0; count--) {
        sum += n->value[0];
        n = allot_movable_at(&heap, n->next_ref);
    }
    return sum;
}

static void walk(const char *name, size_t nodes, bool shuffled, size_t steps, int rounds)
{
    static uint32_t order[1000000];
    uint64_t seed = 3, best[2] = {UINT64_MAX, UINT64_MAX};
    for (size_t i = 0; i < nodes; i++) {
        order[i] = (uint32_t)i;
        kept[i].ref = allot_movable_get(&heap, sizeof(struct node));
    }
    for (size_t i = nodes - 1; i > 0 && shuffled; i--) {
        size_t j = below(&seed, i + 1);
        uint32_t other = order[i];
        order[i] = order[j];
        order[j] = other;
    }
    for (size_t i = 0; i < nodes; i++) {
        allot_ref next = kept[order[(i + 1) % nodes]].ref;
        *(struct node *)allot_movable_at(&heap, kept[order[i]].ref) =
            (struct node){.next = allot_movable_at(&heap, next), .next_ref = next, .value = {i}};
    }
    for (int round = 0; round < rounds; round++) {
        uint64_t start = own_time(), sums[2];
        sums[0] = walk_pointers(allot_movable_at(&heap, kept[order[0]].ref), steps);
        uint64_t middle = own_time();
        sums[1] = walk_references(kept[order[0]].ref, steps);
        uint64_t end = own_time();
        if (sums[0] != sums[1])
            fail("the walks differ");
        best[0] = middle - start < best[0] ? middle - start : best[0];
        best[1] = end - middle < best[1] ? end - middle : best[1];
    }
    char title[64];
    snprintf(title, sizeof title, "%s", name);
    figure(title, (double)best[1] / (double)steps, "ns");
    snprintf(title, sizeof title, "%s_more", name);
    figure(title, ((double)best[1] - (double)best[0]) / (double)steps, "ns");
    for (size_t i = 0; i < nodes; i++)
        allot_movable_put(&heap, kept[i].ref);
}

/* The objects of a GiB, thinned, and compacted. */
static void compact(void)
{
    double base = before(), live = thin(get_movable, put_movable);
    figure("rss_before", (resident() - base) / live, "of what lives");
    steps(base, live);
    allot_movable_done(&heap);
}

static void init(unsigned align)
{
    if (allot_movable_init(&heap, (size_t)8 << 30, &(struct allot_movable_opts){.align = align}) != 0)
        fail("out of memory");
}

static void allot_at_16(void)
{
    init(16);
    compact();
}

static void allot(void)
{
    init(8);
    walk("walk_near", 200, true, 200000, 101);
    walk("walk_order", 1000000, false, 1000000, 7);
    walk("walk_shuffled", 1000000, true, 200000, 7);
    walk("walk_near_late", 200, true, 200000, 101);
    churn(get_movable, put_movable);
    for (size_t i = 0; i < CHURN; i++)
        put_movable(i);
    allot_movable_trim(&heap);
    compact();
}

static const struct variant variants[] = {
    {"*malloc", "the same objects of malloc", mallocs},
    {"allot", "allot_movable, in steps of 128 KiB", allot},
    {"aligned", "the same, objects at multiples of 16", allot_at_16},
};
static const char *const demands[] = {
    "rss allot <= 1.08",
    "step_p99 allot <= 500",
    "walk_order_more allot <= 1.5",
    "walk_near_more allot <= 1.5",
    "rss allot <= 0.333 malloc@system",
    "compaction allot <= 2000",
};

int main(int argc, char **argv) { return part_main(argc, argv, variants, COUNT(variants), demands, COUNT(demands)); }
