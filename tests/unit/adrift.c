/* unit/adrift.c - what others have freed goes back though its owner sleeps, and nothing of it is lost to the owner; nor while
 * the owner is at work, nor in a child of a fork. */
#include "common/unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <allot/malloc.h>

#include "common/random.h"
#include "heap/heap.h"

enum { MANY = 20000 };
static void *block[MANY];

static size_t size_of(int i) { return 16 + (size_t)i * 7919 % 3000; }

static void *make_of(int i, size_t size)
{
    unsigned char *p = allot_malloc(size);
    memset(p, i, size);
    return p;
}

static void check_and_free_of(void *p, int i, size_t size)
{
    const unsigned char *bytes = p;
    assert_true(bytes[0] == (unsigned char)i && memcmp(bytes, bytes + 1, size - 1) == 0);
    allot_free(p);
}

static void *make(int i) { return make_of(i, size_of(i)); }

static void check_and_free(void *p, int i) { check_and_free_of(p, i, size_of(i)); }

static struct allot_stats stats(void)
{
    struct allot_stats now;
    allot_stats(&now);
    return now;
}

static pthread_barrier_t step;

static void *make_sleep_and_make(void *arg)
{
    for (int i = 0; i < MANY; i++) {
        block[i] = make(i);
    }
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step); /* asleep while the others free */
    for (int i = 0; i < MANY; i++) {
        block[i] = block[i] ? block[i] : make(i);
    }
    return arg;
}

static void an_owner_asleep(void **state)
{
    (void)state;
    for (int keep = 5; keep <= 50; keep += 45) {
        pthread_t owner;
        allot_free(allot_malloc(1));
        allot_trim();
        size_t live = stats().live, before = allot_resident();
        pthread_barrier_init(&step, NULL, 2);
        assert_int_equal(pthread_create(&owner, NULL, make_sleep_and_make, NULL), 0);
        pthread_barrier_wait(&step);
        size_t most = allot_resident() - before;
        assert_true(most > MANY * (size_t)1400);
        for (int i = 0; i < MANY; i++) {
            if (i % keep != 0) {
                check_and_free(block[i], i);
                block[i] = NULL;
            }
        }
        size_t rests = allot_resident() - before;
        /* All but the last few hundred KiB would be 1 / keep of it, were there one block on each page. */
        assert_true(rests < most * 3 / 4 && (keep == 5 || rests < most / 3));
        allot_check();
        pthread_barrier_wait(&step);
        pthread_join(owner, NULL);
        for (int i = 0; i < MANY; i++) {
            check_and_free(block[i], i);
        }
        allot_check();
        assert_int_equal(stats().live, live);
    }
}

/* Whether the owner sleeps or has ended, one call by anybody gives back what lies between the blocks in use. */
static void trim_reaches_all(void **state)
{
    (void)state;
    enum { KEEP = 50 };
    size_t least = adrift_least;
    adrift_least = SIZE_MAX;
    for (int ended = 0; ended < 2; ended++) {
        pthread_t owner;
        allot_trim();
        size_t live = stats().live, before = allot_resident();
        pthread_barrier_init(&step, NULL, 2);
        assert_int_equal(pthread_create(&owner, NULL, make_sleep_and_make, NULL), 0);
        pthread_barrier_wait(&step);
        if (ended) {
            pthread_barrier_wait(&step);
            pthread_join(owner, NULL);
        }
        for (int i = 0; i < MANY; i++) {
            if (i % KEEP != 0) {
                check_and_free(block[i], i);
                block[i] = NULL;
            }
        }
        size_t freed = allot_resident() - before;
        size_t said = allot_trim(), rests = allot_resident() - before;
        assert_true(rests < MANY * (size_t)1500 / 3 && said >= (freed - rests) / 4 * 3);
        allot_check();
        if (!ended) {
            pthread_barrier_wait(&step);
            pthread_join(owner, NULL);
        }
        for (int i = 0; i < MANY; i++) {
            if (block[i]) {
                check_and_free(block[i], i);
            }
        }
        assert_int_equal(stats().live, live);
    }
    adrift_least = least;
}

/* -- slots of an owner who sleeps -- */

enum { SAME = 40000, SIZES = 4 };
static void *same[SAME], *other[SAME];
static size_t size_of_same(int i) { return 200 + (size_t)(i % SIZES) * 150; }

static void *make_same(int i) { return make_of(i, size_of_same(i)); }

static void free_same(void *p, int i) { check_and_free_of(p, i, size_of_same(i)); }

static void *make_same_and_sleep(void *arg)
{
    for (int i = 0; i < SAME; i++) {
        same[i] = make_same(i);
    }
    pthread_barrier_wait(&step);
    pthread_barrier_wait(&step);
    for (int i = 0; i < SAME; i++) { /* it looks again, and finds what is left */
        same[i] = same[i] ? same[i] : make_same(i);
    }
    return arg;
}

static int count_it(void *block_, size_t usable, void *count)
{
    (void)block_, (void)usable;
    ++*(size_t *)count;
    return 0;
}

static size_t walked(void)
{
    size_t count = 0;
    allot_walk(count_it, &count);
    return count;
}

/* The main thread, or one that ends with some of them at hand. */
static void *make_others(void *unused)
{
    for (int i = 0; i < SAME / 2; i++) {
        other[i] = make_same(i);
    }
    assert_int_equal(walked(), stats().blocks);
    return unused;
}

static void slots_of_one_asleep_serve_others(void **state)
{
    (void)state;
    for (int ends = 0; ends < 2; ends++) {
        pthread_t owner, thread;
        allot_trim();
        size_t live = stats().live, before = allot_resident();
        pthread_barrier_init(&step, NULL, 2);
        assert_int_equal(pthread_create(&owner, NULL, make_same_and_sleep, NULL), 0);
        pthread_barrier_wait(&step);
        size_t most = allot_resident() - before;
        for (int i = 0; i < SAME; i++) { /* so that hardly a page has nothing on it */
            if (i % 3 != 0) {
                free_same(same[i], i);
                same[i] = NULL;
            }
        }
        if (ends) {
            assert_int_equal(pthread_create(&thread, NULL, make_others, NULL), 0);
            pthread_join(thread, NULL);
        } else {
            make_others(NULL);
        }
        assert_true(allot_resident() - before < most * 11 / 10);
        assert_int_equal(walked(), stats().blocks);
        allot_check();
        pid_t pid = fork(); /* where the owner is not */
        if (pid == 0) {
            for (int i = 0; i < SAME / 2; i++) {
                free_same(other[i], i);
                other[i] = make_same(i);
            }
            allot_check();
            _exit(0);
        }
        int status;
        waitpid(pid, &status, 0);
        assert_int_equal(status, 0);
        for (int i = 0; i < SAME / 2; i += 2) {
            free_same(other[i], i);
        }
        pthread_barrier_wait(&step);
        pthread_join(owner, NULL);
        for (int i = 0; i < SAME; i++) {
            free_same(same[i], i);
            if (i % 2 && i < SAME / 2) {
                free_same(other[i], i);
            }
        }
        allot_check();
        assert_int_equal(stats().live, live);
        assert_int_equal(walked(), stats().blocks);
    }
}

/* Two owners replace blocks at random of a table that all share, and free what they find there; two more only free. */
enum { OWNERS = 2, FREERS = 2, ROUNDS = 200000, PLACES = 4096 };
static _Atomic(void *) place[PLACES];

static void drop(void *p)
{
    if (p) {
        check_and_free(p, *(unsigned char *)p);
    }
}

static void *own(void *arg)
{
    struct random seed = {(uintptr_t)arg};
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t r = random_next(&seed);
        int what = (int)(r % 256);
        drop(atomic_exchange(&place[r / 256 % PLACES], make(what)));
    }
    return NULL;
}

static void *only_free(void *arg)
{
    struct random seed = {(uintptr_t)arg};
    for (int i = 0; i < ROUNDS; i++) {
        drop(atomic_exchange(&place[random_next(&seed) % PLACES], NULL));
    }
    return NULL;
}

static void owners_at_work(void **state)
{
    (void)state;
    size_t before = stats().live;
    pthread_t thread[OWNERS + FREERS];
    for (uintptr_t t = 0; t < OWNERS + FREERS; t++) {
        assert_int_equal(pthread_create(&thread[t], NULL, t < OWNERS ? own : only_free, (void *)(t + 1)), 0);
    }
    for (int i = 0; i < 20; i++) { /* forks meet claims */
        pid_t pid = fork();
        if (pid == 0) {
            allot_check();
            for (int b = 0; b < MANY; b++) {
                block[b] = make(b);
            }
            for (int b = 0; b < MANY; b++) {
                check_and_free(block[b], b);
            }
            allot_check();
            _exit(0);
        }
        int status;
        waitpid(pid, &status, 0);
        assert_int_equal(status, 0);
    }
    for (int t = 0; t < OWNERS + FREERS; t++) {
        pthread_join(thread[t], NULL);
    }
    for (int i = 0; i < PLACES; i++) {
        drop(atomic_exchange(&place[i], NULL));
    }
    allot_check();
    assert_int_equal(stats().live, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_owner_asleep),
        cmocka_unit_test(trim_reaches_all),
        cmocka_unit_test(slots_of_one_asleep_serve_others),
        cmocka_unit_test(owners_at_work),
    };
    adrift_least = (size_t)64 << 10;
    adrift_slots_least = (size_t)4 << 10;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
