/* unit/sweep.c - what a heap no longer needs goes back though its slabs are in use, and comes again. */
#include "common/unit.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include <allot/malloc.h>

#include "common/random.h"
#include "heap/heap.h"
#include "os/memory.h"
#include "span/segment.h"

enum { BLOCKS = 100000, STAYS = BLOCKS / 20 };
static unsigned char *block[BLOCKS];

static size_t size_of(size_t i) { return i % 6 < 3 ? 512 : i % 6 < 5 ? 1024 : 2048; }

static void make(size_t i)
{
    block[i] = allot_malloc(size_of(i));
    assert_non_null(block[i]);
    memset(block[i], (int)(i % 251), size_of(i));
}

static void expect(size_t i)
{
    size_t same = 0;
    while (same < size_of(i) && block[i][same] == i % 251) {
        same++;
    }
    assert_int_equal(same, size_of(i));
}

static void survivors_hold_little_more_than_themselves(void **state)
{
    (void)state;
    static size_t order[BLOCKS];
    struct random random = {1};
    size_t before = allot_resident();
    for (size_t i = 0; i < BLOCKS; i++) {
        make(i);
        order[i] = i;
    }
    size_t peak = allot_resident() - before;
    for (size_t i = BLOCKS; i > 1; i--) {
        size_t other = random_below(&random, i), held = order[i - 1];
        order[i - 1] = order[other];
        order[other] = held;
    }
    for (size_t i = STAYS; i < BLOCKS; i++) {
        allot_free(block[order[i]]);
    }
    assert_true(allot_resident() - before < peak * 4 / 10);
    assert_true(allot_check());
    for (size_t i = 0; i < STAYS; i++) {
        expect(order[i]);
    }
    /* The holes are used again before more memory is. */
    for (size_t i = STAYS; i < BLOCKS; i++) {
        make(order[i]);
    }
    assert_true(allot_resident() - before < peak * 11 / 10);
    assert_true(allot_check());
    for (size_t i = 0; i < BLOCKS; i++) {
        expect(i);
        allot_free(block[i]);
    }
    assert_true(allot_check());
}

/* All but every 20th, in the order in which they were made: what came back before enough had is looked at too. */
static void free_in_order(size_t before)
{
    size_t peak = allot_resident() - before;
    for (size_t i = 0; i < BLOCKS; i++) {
        if (i % 20) {
            allot_free(block[i]);
        }
    }
    assert_true(allot_resident() - before < peak * 4 / 10);
    assert_true(allot_check());
    for (size_t i = 0; i < BLOCKS; i += 20) {
        expect(i);
        allot_free(block[i]);
    }
    assert_true(allot_check());
}

static void *make_all(void *unused)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        make(i);
    }
    return unused;
}

static void survivors_of_an_orderly_wave(void **state)
{
    (void)state;
    size_t before = allot_resident();
    make_all(NULL);
    free_in_order(before);
}

static void survivors_of_a_thread_that_ended(void **state)
{
    (void)state;
    pthread_t thread;
    allot_trim(); /* nothing is kept for what the test before it did */
    size_t before = allot_resident();
    assert_int_equal(pthread_create(&thread, NULL, make_all, NULL), 0);
    pthread_join(thread, NULL);
    free_in_order(before);
}

static void nothing_goes_back_in_haste(void **state)
{
    (void)state;
    for (size_t i = 0; i < BLOCKS; i++) {
        make(i);
    }
    allot_thread_latency(true);
    size_t before = allot_resident();
    for (size_t i = 0; i < BLOCKS; i++) {
        if (i % 20) {
            allot_free(block[i]);
        }
    }
    assert_true(allot_resident() + 100 * os_page >= before);
    allot_thread_latency(false);
    for (size_t i = 0; i < BLOCKS; i += 20) {
        expect(i);
        allot_free(block[i]);
    }
    assert_true(allot_check());
}

/* Two threads that make and free blocks of many sizes, their own and each other's, in waves, and look at all of them. */
enum { SLOTS = 20000, WAVES = 24 };
static _Atomic(unsigned char *) slot[SLOTS];

static size_t mixed_size(uint64_t dice) { return 16 + dice % (dice % 10 ? 1000 : 20000); }

static unsigned char *filled(struct random *random)
{
    size_t size = mixed_size(random_below(random, 1 << 20));
    unsigned char *p = allot_malloc(size);
    memset(p, (int)(size % 251), size);
    memcpy(p, &size, sizeof size);
    return p;
}

static void check_and_free(unsigned char *p)
{
    size_t size, at = sizeof size;
    if (!p) {
        return;
    }
    memcpy(&size, p, sizeof size);
    while (at < size && p[at] == size % 251) {
        at++;
    }
    assert_int_equal(at, size);
    allot_free(p);
}

static void *waves(void *argument)
{
    struct random random = {(uintptr_t)argument};
    for (int wave = 0; wave < WAVES; wave++) {
        unsigned keep = wave % 2 ? 1 : 15; /* of 16: grow, then drop */
        for (int step = 0; step < SLOTS; step++) {
            unsigned char *p = random_below(&random, 16) < keep ? filled(&random) : NULL;
            check_and_free(atomic_exchange(&slot[random_below(&random, SLOTS)], p));
        }
    }
    return NULL;
}

static void sweeps_amid_traffic(void **state)
{
    (void)state;
    size_t usual = sweep_least;
    sweep_least = 1;
    pthread_t other;
    assert_int_equal(pthread_create(&other, NULL, waves, (void *)1), 0);
    waves((void *)2);
    pthread_join(other, NULL);
    assert_true(allot_check());
    for (int i = 0; i < SLOTS; i++) {
        check_and_free(slot[i]);
    }
    assert_true(allot_check());
    sweep_least = usual;
}

/* A thread that had some of a class, and ended, leaves it without a slab; the next goes on from there. */
static void *use_and_free(void *unused)
{
    enum { FEW = 12, SMALL = 48, LONG = 22000 };
    void *small[FEW], *longer[FEW];
    for (int i = 0; i < FEW; i++) {
        small[i] = allot_malloc(SMALL);
        longer[i] = allot_malloc(LONG);
        assert_true(small[i] && longer[i]);
    }
    for (int i = 0; i < FEW; i++) {
        allot_free(longer[i]);
        allot_free(small[i]);
    }
    return unused;
}

static void a_class_without_slabs_is_not_swept(void **state)
{
    (void)state;
    size_t usual = sweep_least;
    sweep_least = 0;
    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, use_and_free, NULL), 0);
        pthread_join(thread, NULL);
    }
    assert_true(allot_check());
    sweep_least = usual;
}

/* What fast swings taught a pool to keep goes though no unit of it comes or goes any more, as long as blocks do. */
static void what_pools_keep_goes_while_only_slabs_change(void **state)
{
    (void)state;
    enum { SWINGS = 8, LIVE = 20000, SIZE = 200, EVERY = 8, LONGEST = 30 };
    allot_trim();
    for (int swing = 0; swing < SWINGS; swing++) {
        make_all(NULL);
        for (size_t i = 0; i < BLOCKS; i++) {
            allot_free(block[i]);
        }
    }
    assert_true(segments_kept() > 16 * MIB);
    for (int i = 0; i < LIVE; i++) {
        block[i] = allot_malloc(SIZE);
        assert_non_null(block[i]);
    }
    time_t begin = time(NULL);
    while (segments_kept() > 4 * MIB && time(NULL) - begin < LONGEST) {
        for (int i = 0; i < LIVE; i += EVERY) {
            allot_free(block[i]);
        }
        for (int i = 0; i < LIVE; i += EVERY) {
            block[i] = allot_malloc(SIZE);
        }
    }
    assert_true(segments_kept() <= 4 * MIB);
    for (int i = 0; i < LIVE; i++) {
        allot_free(block[i]);
    }
    assert_true(allot_check());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* The first: after it the classes are left alone for a while, as their pages came again. */
        cmocka_unit_test(survivors_of_an_orderly_wave),
        cmocka_unit_test(survivors_of_a_thread_that_ended),
        cmocka_unit_test(survivors_hold_little_more_than_themselves),
        cmocka_unit_test(nothing_goes_back_in_haste),
        cmocka_unit_test(sweeps_amid_traffic),
        cmocka_unit_test(a_class_without_slabs_is_not_swept),
        cmocka_unit_test(what_pools_keep_goes_while_only_slabs_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
