/* region_shared.c - a region in memory that processes share: all see one, and one that ends in the middle of a call takes nothing
 * with it. */
#define _GNU_SOURCE
#include "common/unit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <allot/region.h>

#include "common/random.h"

enum { RANGES = 4000, SIZE = 1 << 20 };

static const enum allot_fit fits[] = {ALLOT_FIRST, ALLOT_NEXT,   ALLOT_BEST, ALLOT_NEXT_BEST,
                                      ALLOT_WORST, ALLOT_GROUPS, ALLOT_BINS, ALLOT_BUDDY};

static void *shared(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(p, MAP_FAILED);
    return p;
}

/* Takes, gives, resizes and claims, for ever or so many times. */
static void churn(struct allot_region *region, uint64_t seed, long times)
{
    enum { MINE = 300 };
    static __thread struct allot_range range[MINE];
    bool live[MINE] = {0};
    struct random random = {seed};
    for (long step = 0; times < 0 || step < times; step++) {
        int i = (int)random_below(&random, MINE);
        uint64_t size = 1 + random_below(&random, 600);
        if (live[i] && random_below(&random, 3) == 0) {
            allot_region_resize(region, &range[i], size);
        } else if (live[i]) {
            allot_region_give(region, &range[i]);
            live[i] = false;
        } else if (random_below(&random, 4) == 0) {
            live[i] = allot_region_claim(region, random_below(&random, SIZE), size, &range[i]) == 0;
        } else {
            live[i] = allot_region_take(region, size, 0, &range[i]) == 0;
        }
    }
    for (int i = 0; i < MINE; i++) {
        if (live[i]) {
            allot_region_give(region, &range[i]);
        }
    }
}

static void processes_share_one(void **state)
{
    (void)state;
    for (size_t f = 0; f < sizeof fits / sizeof *fits; f++) {
        struct allot_region_opts opts = {.fit = fits[f], .lock = ALLOT_REGION_SHARED};
        opts.memory_size = allot_region_memory(RANGES, SIZE, &opts);
        opts.memory = shared(opts.memory_size);
        struct allot_region region;
        assert_int_equal(allot_region_init(&region, 0, SIZE, &opts), 0);
        pid_t children[3];
        for (int c = 0; c < 3; c++) {
            if ((children[c] = fork()) == 0) {
                struct allot_region mine;
                if (allot_region_attach(&mine, opts.memory, opts.memory_size) != 0) {
                    _exit(1);
                }
                churn(&mine, 1 + (uint64_t)c, 20000);
                allot_region_done(&mine);
                _exit(0);
            }
        }
        for (int c = 0; c < 3; c++) {
            int status;
            waitpid(children[c], &status, 0);
            assert_int_equal(status, 0);
        }
        struct allot_region_stats stats;
        assert_true(allot_region_check(&region));
        allot_region_stats(&region, &stats);
        assert_int_equal(stats.use.count, 0);
        assert_int_equal(stats.largest, SIZE);
        allot_region_done(&region);
        munmap(opts.memory, opts.memory_size);
    }
}

/* What is taken, a byte for each unit; no two ranges overlap. */
static int mark(struct allot_range range, bool taken, void *arg)
{
    char *map = arg;
    for (uint64_t at = range.at; taken && at < range.at + range.size; at++) {
        map[at]++;
    }
    return 0;
}

static void a_killed_process_takes_nothing_with_it(void **state)
{
    (void)state;
    static char map[SIZE];
    static struct allot_range mine[200];
    struct random random = {99};
    for (size_t f = 0; f < sizeof fits / sizeof *fits; f++) {
        struct allot_region_opts opts = {.fit = fits[f], .lock = ALLOT_REGION_SHARED};
        opts.memory_size = allot_region_memory(100000, SIZE, &opts);
        opts.memory = shared(opts.memory_size);
        struct allot_region region;
        assert_int_equal(allot_region_init(&region, 0, SIZE, &opts), 0);
        for (int i = 0; i < 200; i++) {
            assert_int_equal(allot_region_take(&region, 1 + random_below(&random, 400), 0, &mine[i]), 0);
        }
        for (int kill_at = 0; kill_at < 40; kill_at++) {
            pid_t child = fork();
            if (child == 0) {
                struct allot_region own;
                allot_region_attach(&own, opts.memory, opts.memory_size);
                churn(&own, 1000 + (uint64_t)kill_at, -1);
                _exit(0);
            }
            usleep(500 + (unsigned)random_below(&random, 3000));
            kill(child, SIGKILL);
            waitpid(child, NULL, 0);
            struct allot_range more;
            int taken = allot_region_take(&region, 1 + random_below(&random, 100), 0, &more);
            assert_true(allot_region_check(&region));
            memset(map, 0, sizeof map);
            allot_region_walk(&region, mark, map);
            for (int i = 0; i < SIZE; i++) {
                assert_in_range(map[i], 0, 1);
            }
            for (int i = 0; i < 200; i++) {
                assert_int_equal(map[mine[i].at], 1);
                assert_int_equal(map[mine[i].at + mine[i].size - 1], 1);
            }
            if (taken == 0) {
                allot_region_give(&region, &more);
            }
        }
        for (int i = 0; i < 200; i++) {
            allot_region_give(&region, &mine[i]);
        }
        assert_true(allot_region_check(&region));
        allot_region_done(&region);
        munmap(opts.memory, opts.memory_size);
    }
}

static void attaching_wants_a_shared_region(void **state)
{
    (void)state;
    static _Alignas(64) char memory[1 << 20];
    struct allot_region region, other;
    assert_int_equal(allot_region_attach(&other, memory, sizeof memory), -EINVAL);
    assert_int_equal(allot_region_init(&region, 0, SIZE, &(struct allot_region_opts){.lock = ALLOT_REGION_SHARED}),
                     -EINVAL);
    struct allot_region_opts opts = {.memory = memory, .memory_size = sizeof memory};
    assert_int_equal(allot_region_init(&region, 0, SIZE, &opts), 0);
    assert_int_equal(allot_region_attach(&other, memory, sizeof memory), -EINVAL);
    allot_region_done(&region);
    opts.lock = ALLOT_REGION_SHARED;
    assert_int_equal(allot_region_init(&region, 0, SIZE, &opts), 0);
    assert_int_equal(allot_region_attach(&other, memory, sizeof memory - 1), -EINVAL);
    assert_int_equal(allot_region_attach(&other, memory, sizeof memory), 0);
    struct allot_range range;
    assert_int_equal(allot_region_take(&other, 10, 0, &range), 0);
    allot_region_give(&region, &range);
    allot_region_done(&other);
    allot_region_done(&region);
}

static void *thread(void *arg)
{
    churn(arg, (uint64_t)pthread_self(), 20000);
    return NULL;
}

static void threads_share_one_with_a_lock(void **state)
{
    (void)state;
    for (size_t f = 0; f < sizeof fits / sizeof *fits; f++) {
        struct allot_region region;
        struct allot_region_opts opts = {.fit = fits[f], .lock = ALLOT_REGION_LOCKED};
        assert_int_equal(allot_region_init(&region, 0, SIZE, &opts), 0);
        pthread_t threads[3];
        for (int t = 0; t < 3; t++) {
            assert_int_equal(pthread_create(&threads[t], NULL, thread, &region), 0);
        }
        for (int t = 0; t < 3; t++) {
            pthread_join(threads[t], NULL);
        }
        struct allot_region_stats stats;
        assert_true(allot_region_check(&region));
        allot_region_stats(&region, &stats);
        assert_int_equal(stats.use.count, 0);
        assert_int_equal(stats.largest, SIZE);
        allot_region_done(&region);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processes_share_one), cmocka_unit_test(a_killed_process_takes_nothing_with_it),
        cmocka_unit_test(attaching_wants_a_shared_region), cmocka_unit_test(threads_share_one_with_a_lock)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
