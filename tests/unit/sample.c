/* unit/sample.c - what is sampled stands for what there was, whatever its size and whoever serves it; and a sampled block is a block
 * like any other. What is chosen comes from a fixed number, so the estimates are the same in every run. */
#include "common/unit.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <allot/heap.h>
#include <allot/malloc.h>
#include <allot/sample.h>
#include <allot/tag.h>

#include "heap/choice.h"
#include "heap/heap.h"
#include "heap/sample.h"
#include "heap/site.h"

enum { MEAN = 512 * 1024 };

/* What is at hand had not heard of it. */
static void set_rate(size_t mean)
{
    assert_int_equal(allot_sample_rate(mean), 0);
    allot_trim();
}

/* -- what has been sampled in all -- */

struct sums {
    double had_blocks, had_bytes, live_blocks, live_bytes, peak_bytes, same_thread;
    uint64_t samples, live;
};

static int add(const struct allot_sample_stack *s, void *arg)
{
    struct sums *sums = arg;
    assert_true(s->live_samples <= s->samples && s->live_bytes <= s->alloc_bytes);
    assert_true(s->lifetime_least <= s->lifetime_mean * 1.001 && s->lifetime_mean <= s->lifetime_most * 1.001);
    assert_true(s->same_thread >= 0 && s->same_thread <= 1.001);
    sums->had_blocks += s->alloc_blocks;
    sums->had_bytes += s->alloc_bytes;
    sums->live_blocks += s->live_blocks;
    sums->live_bytes += s->live_bytes;
    sums->peak_bytes += s->peak_bytes;
    sums->same_thread += s->same_thread * (s->alloc_blocks - s->live_blocks);
    sums->samples += s->samples;
    sums->live += s->live_samples;
    return 0;
}

static struct sums sampled(void)
{
    struct sums sums = {0};
    assert_int_equal(allot_sample_walk(add, &sums), 0);
    return sums;
}

static struct sums since(struct sums before)
{
    struct sums now = sampled();
    now.had_blocks -= before.had_blocks;
    now.had_bytes -= before.had_bytes;
    now.samples -= before.samples;
    return now;
}

/* An estimate of `count` blocks of `size` is within four deviations of what there was: each is seen with a chance of p and stands for
 * 1 / p then, so its variance is (1 - p) / p. */
static void expect_estimate(struct sums before, size_t size, size_t slot, double count)
{
    struct sums s = since(before);
    double p = -expm1(-(double)slot / MEAN), deviation = sqrt(count * (1 - p) / p);
    double off = (s.had_blocks - count) / (deviation + 1e-9);
    printf("%9zu bytes: %10.0f blocks, estimate %10.0f by %6llu samples, off by %5.2f deviations\n", size, count,
           s.had_blocks, (unsigned long long)s.samples, deviation > 0 ? off : 0);
    assert_true(fabs(s.had_blocks - count) <= 4 * deviation + 1e-6 * count);
    assert_true(fabs(s.had_bytes - s.had_blocks * (double)size) <= 1e-6 * s.had_bytes);
}

static void expect_nothing_live(void)
{
    struct sums s = sampled();
    assert_int_equal(s.live, 0);
    assert_true(fabs(s.live_blocks) < 1e-3 && fabs(s.live_bytes) < 1);
    allot_check();
}

/* -- estimates -- */

static const size_t sizes[] = {16,   17,    48,    100,   512,    1000,    1024,    1025,    2000,
                               5000, 16384, 32768, 32769, 100000, 1 << 20, 2 << 20, 3 << 20, 10 << 20};

/* So many that a few hundred are seen. */
static size_t many(size_t size) { return size_max((size_t)300 * MEAN / size, 60); }

static size_t slot_of(size_t size) { return size > SLAB_MAX ? size : class_size(class_of_size(size)); }

static void one_after_the_other(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct sums before = sampled();
        for (size_t n = 0; n < many(sizes[i]); n++) {
            allot_free(allot_malloc(sizes[i]));
        }
        expect_estimate(before, sizes[i], slot_of(sizes[i]), (double)many(sizes[i]));
    }
    expect_nothing_live();
}

static void all_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t n = size_min(many(sizes[i]), 200000);
        void **block = malloc(n * sizeof *block);
        struct sums before = sampled();
        for (size_t k = 0; k < n; k++) {
            block[k] = allot_malloc(sizes[i]);
            assert_true(allot_malloc_usable_size(block[k]) >= sizes[i]);
            ((char *)block[k])[0] = 1;
            ((char *)block[k])[sizes[i] - 1] = 1;
        }
        expect_estimate(before, sizes[i], slot_of(sizes[i]), (double)n);
        struct sums s = sampled();
        assert_true(fabs(s.live_blocks - since(before).had_blocks) < 1e-3);
        allot_check();
        for (size_t k = 0; k < n; k++) {
            allot_free(block[k]);
        }
        free(block);
        expect_nothing_live();
    }
}

/* Two sizes by turns: each is estimated by itself, though they are had together. */
static void mixed(void **state)
{
    (void)state;
    enum { MANY = 3000000 };
    struct sums before = sampled();
    for (int i = 0; i < MANY; i++) {
        void *small = allot_malloc(24), *other = i % 100 ? NULL : allot_malloc(3000);
        allot_free(small);
        allot_free(other);
    }
    struct sums s = since(before);
    double bytes = MANY * 24.0 + MANY / 100 * 3000.0;
    /* The variance of bytes: of each about size * MEAN. */
    double deviation = sqrt(MANY * 24.0 * 24.0 * MEAN / 32 + MANY / 100 * 3000.0 * 3000.0 * MEAN / 3072);
    assert_true(fabs(s.had_bytes - bytes) < 4 * deviation);
    expect_nothing_live();
}

static void other_ways(void **state)
{
    (void)state;
    struct sums before = sampled();
    for (int i = 0; i < 400000; i++) {
        unsigned char *p = allot_calloc(1, 1000);
        for (int k = 0; k < 1000; k += 37) {
            assert_int_equal(p[k], 0);
        }
        memset(p, 0xff, 1000);
        allot_free(p);
    }
    expect_estimate(before, 1000, 1008, 400000);
    before = sampled();
    for (int i = 0; i < 100000; i++) {
        void *p = allot_aligned_alloc(256, 2048);
        assert_int_equal((uintptr_t)p % 256, 0);
        allot_free(p);
    }
    expect_estimate(before, 2048, 2048, 100000);
    before = sampled();
    for (int i = 0; i < 2000; i++) { /* each is one more */
        void *p = allot_malloc(40000);
        p = allot_realloc(p, 80000);
        p = allot_realloc(p, 5 << 20);
        p = allot_realloc(p, 20 << 20);
        allot_free(p);
    }
    struct sums s = since(before);
    double bytes = 2000 * (40000.0 + 80000 + (5 << 20) + (20 << 20));
    assert_true(fabs(s.had_bytes - bytes) < 0.02 * bytes);
    expect_nothing_live();
}

/* A thread that wants little has no heap: what it has comes from the commons. */
static void *little(void *arg)
{
    for (int i = 0; i < 3; i++) {
        allot_free(allot_malloc((size_t)arg));
    }
    return NULL;
}

static void threads_that_want_little(void **state)
{
    (void)state;
    struct sums before = sampled();
    enum { THREADS = 4000 };
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, little, (void *)1000), 0);
        pthread_join(thread, NULL);
    }
    struct sums s = since(before);
    double bytes = THREADS * 3 * 1000.0;
    assert_true(s.samples > 0 && fabs(s.had_bytes - bytes) < 4 * sqrt(bytes * MEAN));
    expect_nothing_live();
}

/* -- a block like any other -- */

static void every_block(void **state)
{
    (void)state;
    set_rate(1);
    allot_free(allot_malloc(16));
    struct sums before = sampled();
    enum { MANY = 3000 };
    static void *block[MANY];
    for (size_t i = 0; i < MANY; i++) {
        block[i] = allot_malloc(i * 13);
        memset(block[i], (int)i, i * 13);
    }
    struct sums s = since(before);
    assert_int_equal(s.samples, MANY);
    assert_true(fabs(s.had_bytes - MANY * (MANY - 1) / 2.0 * 13) < 1);
    allot_check();
    for (size_t i = 0; i < MANY; i++) {
        block[i] = allot_realloc(block[i], i * 20 + 1);
        for (size_t k = 0; k < i * 13; k++) {
            assert_int_equal(((unsigned char *)block[i])[k], (unsigned char)i);
        }
    }
    allot_check();
    for (size_t i = 0; i < MANY; i++) {
        allot_free(block[i]);
    }
    expect_nothing_live();
    allot_trim();
    set_rate(MEAN);
}

static void tags(void **state)
{
    (void)state;
    struct allot_tag *tag = allot_tag("sampled", SIZE_MAX);
    set_rate(64);
    struct allot_tag *before_tag = allot_tag_enter(tag);
    struct sums before = sampled();
    enum { MANY = 2000 };
    static void *block[MANY];
    for (size_t i = 0; i < MANY; i++) {
        block[i] = allot_malloc(i * 30 % 70000 + 1);
        memset(block[i], 1, allot_malloc_usable_size(block[i]));
    }
    allot_tag_enter(before_tag);
    assert_true(since(before).samples > MANY * 9 / 10);
    size_t usable = 0;
    for (size_t i = 0; i < MANY; i++) {
        usable += allot_malloc_usable_size(block[i]) + 8;
    }
    assert_int_equal(allot_tag_used(tag), usable);
    allot_check();
    for (size_t i = 0; i < MANY; i++) {
        allot_free(block[i]);
    }
    assert_int_equal(allot_tag_used(tag), 0);
    set_rate(MEAN);
    expect_nothing_live();
}

/* 1096 bytes have slots of their own where there are many; a sampled one does not. */
static void tuned(void **state)
{
    (void)state;
    struct allot_tag *tag = allot_tag("tuned", SIZE_MAX);
    for (int tagged = 0; tagged < 2; tagged++) {
        enum { MANY = 5000 };
        static void *block[MANY];
        allot_tag_enter(tagged ? tag : NULL);
        set_rate(10000);
        struct sums before = sampled();
        for (int i = 0; i < MANY; i++) {
            block[i] = allot_malloc(1096 - 8 * (size_t)tagged);
            memset(block[i], i, allot_malloc_usable_size(block[i]));
        }
        allot_tag_enter(NULL);
        assert_true(since(before).samples > MANY / 20);
        allot_check();
        for (int i = 0; i < MANY; i++) {
            allot_free(block[i]);
        }
    }
    assert_int_equal(allot_tag_used(tag), 0);
    set_rate(MEAN);
    expect_nothing_live();
}

static void first_class_heaps_are_not(void **state)
{
    (void)state;
    set_rate(1);
    struct allot_heap heap;
    assert_int_equal(allot_heap_init(&heap, NULL), 0);
    struct sums before = sampled();
    for (size_t i = 0; i < 1000; i++) {
        allot_heap_alloc(&heap, i * 100);
    }
    allot_heap_reset(&heap);
    allot_heap_done(&heap);
    assert_int_equal(since(before).samples, 0);
    set_rate(MEAN);
    allot_check();
}

static void *free_it(void *arg)
{
    allot_free(arg);
    return NULL;
}

static void other_threads_free(void **state)
{
    (void)state;
    set_rate(1);
    struct sums before = sampled();
    void *p = allot_malloc(777);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, free_it, p), 0);
    pthread_join(thread, NULL);
    assert_true(fabs(sampled().same_thread - before.same_thread) < 1.5); /* but what creating a thread had */
    allot_free(allot_malloc(778));
    assert_true(sampled().same_thread > before.same_thread + 0.9);
    set_rate(MEAN);
}

static void off_and_on(void **state)
{
    (void)state;
    set_rate(1);
    void *p = allot_malloc(100);
    assert_int_equal(allot_option("sample", "off"), 0);
    struct sums before = sampled();
    assert_int_equal(before.live, 1);
    for (int i = 0; i < 1000; i++) {
        allot_free(allot_malloc(200));
        allot_free(allot_malloc(20000));
        allot_free(allot_malloc(200000));
    }
    assert_int_equal(since(before).samples, 0);
    allot_free(p); /* which is followed to its end */
    expect_nothing_live();
    assert_int_equal(allot_option("sample", "64K"), 0);
    for (int i = 0; i < CHOICE_LOOK + 10000; i++) {
        allot_free(allot_malloc(20000));
    }
    assert_true(since(before).samples > 1000);
    assert_int_equal(allot_option("sample", "2G"), -EINVAL);
    assert_int_equal(allot_option("sample", "much"), -EINVAL);
    assert_int_equal(allot_sample_rate((size_t)2 << 30), -EINVAL);
    set_rate(MEAN);
    expect_nothing_live();
}

/* What was live when there was most, whatever came after. */
static void the_peak(void **state)
{
    (void)state;
    set_rate(1);
    enum { MANY = 100 };
    void *block[MANY];
    double most = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++) {
            block[i] = allot_malloc((size_t)1 << 20 << (round == 1));
        }
        most = fmax(most, sampled().live_bytes);
        for (int i = 0; i < MANY; i++) {
            allot_free(block[i]);
        }
    }
    assert_true(sampled().peak_bytes >= most - 1 && sampled().peak_bytes < most * 1.01);
    set_rate(MEAN);
}

static void memory_ends(void **state)
{
    (void)state;
    set_rate(1);
    for (long n = 0; n < 20; n++) {
        void *block[64];
        allot_fail_after(n);
        for (int i = 0; i < 64; i++) {
            block[i] = allot_malloc((size_t)1000 << i % 14);
        }
        allot_fail_after(-1);
        for (int i = 0; i < 64; i++) {
            allot_free(block[i]);
        }
        allot_check();
    }
    expect_nothing_live();
    set_rate(MEAN);
}

static void children(void **state)
{
    (void)state;
    set_rate(1);
    void *p = allot_malloc(5000);
    struct sums before = sampled();
    pid_t child = fork();
    if (child == 0) {
        allot_free(p);
        void *q = allot_malloc(300000);
        struct sums s = sampled();
        _exit(s.live == before.live && s.samples == before.samples + 1 && q ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(sampled().live, before.live);
    allot_free(p);
    set_rate(MEAN);
    expect_nothing_live();
}

/* Both at once: each block is one of them at most. */
static void guarded_too(void **state)
{
    (void)state;
    assert_int_equal(allot_option("guard", "100"), 0);
    set_rate(5000);
    struct sums before = sampled();
    for (int i = 0; i < 300000; i++) {
        allot_free(allot_malloc(100));
    }
    struct sums s = since(before);
    assert_true(fabs(s.had_blocks - 300000) < 4 * sqrt(300000.0 * 5000 / 112));
    assert_int_equal(allot_option("guard", "off"), 0);
    set_rate(MEAN);
    expect_nothing_live();
}

static void chances(void **state)
{
    (void)state;
    for (double x = 1e-9; x < 100; x *= 1.07) {
        assert_true(fabs(choice_chance(x) + expm1(-x)) < 1e-14 - expm1(-x) * 1e-12);
    }
    assert_true(choice_chance(0) == 0);
}

int main(void)
{
    choice_seed = 20260101;
    if (allot_sample_rate(MEAN) != 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chances),
        cmocka_unit_test(the_peak),
        cmocka_unit_test(one_after_the_other),
        cmocka_unit_test(all_at_once),
        cmocka_unit_test(mixed),
        cmocka_unit_test(other_ways),
        cmocka_unit_test(threads_that_want_little),
        cmocka_unit_test(every_block),
        cmocka_unit_test(tags),
        cmocka_unit_test(tuned),
        cmocka_unit_test(first_class_heaps_are_not),
        cmocka_unit_test(other_threads_free),
        cmocka_unit_test(off_and_on),
        cmocka_unit_test(memory_ends),
        cmocka_unit_test(children),
        cmocka_unit_test(guarded_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
