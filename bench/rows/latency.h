/* latency.h - single calls of malloc and free timed in cycles, and what a million of them amount to.
 *
 * A histogram has 32 buckets to a doubling, so a percentile is right to 3 %; the worst is exact. What reading the clock costs
 * is in every figure. The cycles are the time stamp counter's, which ticks evenly; on arm64 those of its slower counter.
 */
#ifndef LATENCY_H
#define LATENCY_H

#include "row.h"

enum { BUCKET_BITS = 5, BUCKETS = 64 << BUCKET_BITS };

struct histogram {
    uint64_t count[BUCKETS], worst;
};

/* Nothing before it is still under way, and nothing after it has begun. */
static inline uint64_t cycles(void)
{
#if defined __x86_64__
    __builtin_ia32_lfence();
    uint64_t now = __builtin_ia32_rdtsc();
    __builtin_ia32_lfence();
#elif defined __aarch64__
    uint64_t now;
    __asm__ volatile("isb; mrs %0, cntvct_el0; isb" : "=r"(now)::"memory");
#else
#error "no counter is known for this processor"
#endif
    return now;
}

static inline void count_in(struct histogram *histogram, uint64_t value)
{
    int shift = 63 - __builtin_clzll(value | 1) - BUCKET_BITS;
    size_t bucket = shift <= 0 ? value : ((size_t)shift << BUCKET_BITS) + (size_t)(value >> shift);
    histogram->count[bucket]++;
    if (value > histogram->worst)
        histogram->worst = value;
}

/* The least value of the bucket that the share of all values, in parts of 10 000, lies below or in. */
static inline uint64_t percentile(const struct histogram *histogram, uint64_t share)
{
    uint64_t total = 0, seen = 0;
    for (size_t b = 0; b < BUCKETS; b++)
        total += histogram->count[b];
    for (size_t b = 0; b < BUCKETS; b++) {
        seen += histogram->count[b];
        if (seen * 10000 >= total * share && seen > 0) {
            size_t doubling = b >> BUCKET_BITS, shift = doubling ? doubling - 1 : 0;
            return (b - (shift << BUCKET_BITS)) << shift;
        }
    }
    return 0;
}

static inline void print_histogram(const struct histogram *histogram, const char *what)
{
    static const struct {
        const char *name;
        uint64_t share;
    } shown[] = {{"p50", 5000}, {"p99", 9900}, {"p99.99", 9999}};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        fprintf(stderr, "figure %s,_%s %" PRIu64 "\n", what, shown[i].name, percentile(histogram, shown[i].share));
    fprintf(stderr, "figure %s,_worst %" PRIu64 "\n", what, histogram->worst);
}

/* make and finish of row.h, the call alone on the clock. */
static inline void *timed_make(struct histogram *histogram, size_t size)
{
    uint64_t began = cycles();
    void *block = malloc(size);
    count_in(histogram, cycles() - began);
    return written(block, size);
}

static inline uint64_t timed_finish(struct histogram *histogram, void *block)
{
    if (!block)
        return 0;
    uint64_t sum = sum_of(block), began = cycles();
    free(block);
    count_in(histogram, cycles() - began);
    return sum;
}

#endif
