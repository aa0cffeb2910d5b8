/* unit/latency.c - a thread marked by allot_thread_latency gives nothing back to the system, and takes in no more than a few
 * slabs at a time; what it leaves, the next one does. */
#define _GNU_SOURCE
#include "common/unit.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <allot/malloc.h>

#include "heap/heap.h"
#include "span/large.h"

/* libc's, counted. */
static _Atomic int given_back;

int madvise(void *at, size_t length, int advice)
{
    given_back += advice == MADV_DONTNEED;
    return (int)syscall(SYS_madvise, at, length, advice);
}

int munmap(void *at, size_t length)
{
    given_back++;
    return (int)syscall(SYS_munmap, at, length);
}

enum { MANY = 4000 };
static char *block[MANY];

/* Blocks of every kind, 200 MiB of them, all written. */
static void fill(void)
{
    for (int i = 0; i < MANY; i++) {
        size_t size = i % 200 == 0  ? (size_t)5 << 20
                      : i % 20 == 0 ? 300000
                      : i % 4 == 0  ? 20000
                                    : 100 + (size_t)i % 900;
        block[i] = allot_malloc(size);
        assert_non_null(block[i]);
        memset(block[i], 1, size);
    }
}

static void empty(void)
{
    for (int i = 0; i < MANY; i++) {
        allot_free(block[i]);
    }
}

static void nothing_is_given_back_by_a_marked_thread(void **state)
{
    (void)state;
    assert_false(allot_thread_latency(true));
    assert_true(allot_thread_latency(true));
    fill();
    given_back = 0;
    block[0] = allot_realloc(block[0], 3 << 20);
    empty();
    assert_int_equal(given_back, 0);
    allot_check();
    struct allot_stats stats;
    allot_stats(&stats);
    assert_true(allot_resident() > 100 << 20);

    /* And what is kept serves again: little more is mapped. */
    size_t mapped = stats.mapped;
    for (int i = 0; i < 5; i++) {
        fill();
        empty();
    }
    allot_stats(&stats);
    assert_true(stats.mapped < mapped + mapped / 4);
}

/* A marked thread that is alone keeps what it needs, and no more with every round. */
static void alone_it_does_not_grow(void **state)
{
    (void)state;
    enum { LARGE = 100 };
    struct allot_stats stats;
    size_t mapped = 0;
    void *p[LARGE];
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < LARGE; i++) {
            p[i] = allot_malloc(((size_t)5 << 20) + (size_t)(i + round) % 7 * 100000);
        }
        for (int i = 0; i < LARGE; i++) {
            allot_free(p[i]);
        }
        void *q = allot_malloc(10 << 20);
        q = allot_realloc(q, 3 << 20);
        q = allot_realloc(q, 10 << 20);
        allot_free(q);
        allot_stats(&stats);
        mapped = round == 3 ? stats.mapped : mapped;
    }
    assert_true(stats.mapped < mapped + mapped / 4);
    allot_check();
}

static void the_next_one_gives_back_what_is_too_much(void **state)
{
    (void)state;
    void *p = allot_malloc(100), *q = allot_malloc(100000), *r = allot_malloc(10 << 20);
    assert_true(allot_thread_latency(false));
    given_back = 0;
    allot_free(p);
    assert_int_equal(given_back, 0);
    allot_free(q);
    assert_true(given_back > 20);
    allot_free(r);
    assert_true(allot_trim() > 0);
    struct allot_stats stats;
    allot_stats(&stats);
    assert_true(allot_resident() < 20 << 20);
    assert_true(stats.metadata < 10 << 20);
    allot_check();
}

static void *free_them(void *arg)
{
    (void)arg;
    empty();
    return NULL;
}

static size_t noticed(const struct heap *h)
{
    size_t n = 0;
    for (const struct slab *s = h->undrained; s; s = s->inbox_next) {
        n++;
    }
    return n;
}

static void a_marked_thread_takes_in_a_few_slabs_at_a_time(void **state)
{
    (void)state;
    for (int i = 0; i < MANY; i++) {
        block[i] = allot_malloc(16 + (size_t)(i % 100) * 200);
    }
    pthread_t thread;
    pthread_create(&thread, NULL, free_them, NULL);
    pthread_join(thread, NULL);

    struct heap *h = front.heap;
    allot_thread_latency(true);
    remote_drain(h, HASTE_STEPS);
    size_t left = noticed(h);
    assert_true(left > 3 * HASTE_STEPS);
    remote_drain(h, HASTE_STEPS);
    assert_int_equal(noticed(h), left - HASTE_STEPS);
    allot_check();

    /* malloc comes by in the same steps. */
    while (noticed(h) == left - HASTE_STEPS) {
        block[0] = allot_malloc(416);
    }
    assert_int_equal(noticed(h), left - 2 * HASTE_STEPS);
    allot_thread_latency(false);
    remote_drain(h, SIZE_MAX);
    assert_int_equal(noticed(h), 0);
    allot_check();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_given_back_by_a_marked_thread),
        cmocka_unit_test(alone_it_does_not_grow),
        cmocka_unit_test(the_next_one_gives_back_what_is_too_much),
        cmocka_unit_test(a_marked_thread_takes_in_a_few_slabs_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
