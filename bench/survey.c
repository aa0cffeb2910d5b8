/* survey MIB... - what it takes to ask the heap how it is: microseconds, the median of 21 calls of each function, with so many
 * MiB live in blocks of 64 to 512 bytes of one thread. As a table. */
#include "rows/row.h"
#include <time.h>

#include <allot/malloc.h>

enum { CALLS = 21, MOST_ENTRIES = 1024, LEAST = 64, MOST = 512 };

static void ask_all(void)
{
    struct allot_stats stats;
    allot_stats(&stats);
}

static size_t ask_classes(void)
{
    static struct allot_class_stats class[MOST_ENTRIES];
    size_t slabs = 0, count = allot_stats_classes(class, MOST_ENTRIES);
    for (size_t i = 0; i < count && i < MOST_ENTRIES; i++)
        slabs += class[i].slabs;
    return slabs;
}

static void ask_each_class(void) { ask_classes(); }

static void ask_heaps(void)
{
    static struct allot_heap_stats heap[MOST_ENTRIES];
    allot_stats_heaps(heap, MOST_ENTRIES);
}

static void ask_resident(void) { allot_resident(); }

static int by_value(const void *p, const void *q)
{
    double a = *(const double *)p, b = *(const double *)q;
    return (a > b) - (a < b);
}

static double microseconds(void (*ask)(void))
{
    double took[CALLS];
    for (int i = 0; i < CALLS; i++) {
        struct timespec from, to;
        clock_gettime(CLOCK_MONOTONIC, &from);
        ask();
        clock_gettime(CLOCK_MONOTONIC, &to);
        took[i] = (double)(to.tv_sec - from.tv_sec) * 1e6 + (double)(to.tv_nsec - from.tv_nsec) * 1e-3;
    }
    qsort(took, CALLS, sizeof *took, by_value);
    return took[CALLS / 2];
}

int main(int argc, char **argv)
{
    void (*const ask[])(void) = {ask_all, ask_each_class, ask_heaps, ask_resident};
    uint64_t state = 1;
    printf(
        "| live MiB | slabs | allot_stats | _classes | _heaps | allot_resident |\n|---:|---:|---:|---:|---:|---:|\n");
    for (int i = 1; i < argc; i++) {
        uint64_t mib = number(argc, argv, i);
        struct allot_stats stats;
        for (allot_stats(&stats); stats.live >> 20 < mib; allot_stats(&stats)) {
            for (size_t made = 0; made < 1 << 20;) {
                size_t size = LEAST + below(&state, MOST - LEAST + 1);
                written(allot_malloc(size), size);
                made += size;
            }
        }
        printf("| %zu | %zu |", stats.live >> 20, ask_classes());
        for (size_t f = 0; f < sizeof ask / sizeof *ask; f++)
            printf(" %.1f |", microseconds(ask[f]));
        printf("\n");
    }
    return 0;
}
