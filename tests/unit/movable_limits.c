/* unit/movable_limits.c - what a movable heap drops at its limit, addresses that are kept in debug mode, limits of the process, forks. */
#include "movable.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "common/child.h"
#include "common/overcommit.h"

/* -- what may be purged -- */

static int built;
static int rebuild(void *arg, uint64_t key, void *at, size_t size)
{
    assert_ptr_equal(arg, &built);
    if (key == 666) {
        return -EIO;
    }
    memset(at, (int)key, size);
    built++;
    return 0;
}

static const struct allot_movable_opts purging = {.rebuild = rebuild, .arg = &built};

static void purged_and_built_again(void **state)
{
    (void)state;
    begin(&purging);
    built = 0;
    for (int i = 0; i < 100; i++) {
        refs[i] = allot_movable_get_purgeable(&heap, 100 + (size_t)i * 1000, (uint64_t)i);
        assert_int_not_equal(refs[i].gen, 0);
    }
    assert_int_equal(built, 100);
    size_t before = resident();
    char *pinned = allot_movable_pin(&heap, refs[50]);
    assert_true(allot_movable_purge(&heap, 1000000) >= 1000000);
    assert_true(before - resident() >= 900000);
    assert_in_range(stats().purged, 1, 99);
    allot_movable_purge(&heap, SIZE_MAX);
    assert_int_equal(stats().purged, 99);
    assert_int_equal(pinned[50099], 50);
    allot_movable_unpin(&heap, refs[50]);
    for (int i = 0; i < 100; i++) {
        expect(refs[i], 100 + (size_t)i * 1000, i);
    }
    assert_int_equal(built, 199);
    assert_int_equal(stats().rebuilt, 99);
    allot_movable_purge(&heap, SIZE_MAX);
    for (int i = 0; i < 100; i++) {
        allot_movable_put(&heap, refs[i]);
    }
    errno = 0;
    assert_int_equal(allot_movable_get_purgeable(&heap, 100, 666).gen, 0);
    assert_int_equal(errno, EIO);
    assert_int_equal(stats().use.count, 0);
    end();
    begin(NULL);
    assert_int_equal(allot_movable_get_purgeable(&heap, 100, 1).gen, 0);
    assert_int_equal(errno, EINVAL);
    end();
}

/* At a limit they make room, those first that were not used. */
static void a_limit_purges(void **state)
{
    (void)state;
    struct allot_movable_opts opts = purging;
    opts.limit = 4 << 20;
    begin(&opts);
    for (int i = 0; i < 100; i++) {
        refs[i] = allot_movable_get_purgeable(&heap, 100000, (uint64_t)i);
        assert_int_not_equal(refs[i].gen, 0);
        assert_non_null(allot_movable_at(&heap, refs[0])); /* which is used all the time */
    }
    assert_in_range(stats().purged, 60, 90);
    assert_in_range(stats().rebuilt, 0, 2);
    struct movable *h = heap.state;
    assert_true(movable_held(h) <= opts.limit);
    for (int i = 0; i < 30; i++) {
        allot_movable_at(&heap, refs[i]);
    }
    while (allot_movable_get(&heap, 4000).gen) {
        assert_true(movable_held(h) <= opts.limit);
    }
    assert_int_equal(stats().purged, 100);
    assert_null(allot_movable_at(&heap, refs[0]));
    assert_int_equal(errno, ENOMEM);
    end();
}

static void expect_ends(allot_ref ref, size_t size, int value)
{
    const unsigned char *p = allot_movable_at(&heap, ref);
    assert_true(p && allot_movable_size(&heap, ref) == size);
    assert_true(p[0] == (unsigned char)value && p[size - 1] == (unsigned char)value);
}

/* Address space for more than there is memory is no memory: also beside another such, and in a process that forks. */
static void more_than_there_is(void **state)
{
    (void)state;
    struct allot_movable other;
    size_t reserve = twice_what_there_is();
    if (reserve == 0) {
        skip();
    }
    assert_int_equal(allot_movable_init(&heap, reserve, NULL), 0);
    assert_int_equal(allot_movable_init(&other, reserve, NULL), 0);
    assert_int_not_equal(allot_movable_get(&heap, 100000).gen, 0);
    assert_int_not_equal(allot_movable_get(&other, 100000).gen, 0);
    pid_t child = fork();
    if (child == 0) {
        _exit(allot_movable_get(&heap, 200000).gen ? 0 : 1);
    }
    int status = -1;
    assert_true(child > 0 && waitpid(child, &status, 0) == child);
    assert_int_equal(status, 0);
    allot_movable_done(&other);
    end();
}

/* Whatever its sizes are rounded to. */
static void never_beyond_its_limit(void **state)
{
    (void)state;
    static const size_t sizes[] = {9000, 100001, (5 << 20) - 15, (5 << 20) + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (size_t more = 0; more < 5000; more += 1111) {
            begin(&(struct allot_movable_opts){.limit = CHUNK_SIZE + 2 * (5 << 20) + more});
            int n = 0;
            for (; (refs[n] = allot_movable_get(&heap, sizes[i])).gen; n++) {
                memset(allot_movable_at(&heap, refs[n]), n, sizes[i]);
            }
            for (int k = 0; k < n; k++) {
                if (allot_movable_resize(&heap, refs[k], sizes[i] + more / 2) != 0) {
                    expect_ends(refs[k], sizes[i], k);
                }
            }
            assert_true(n > 0 && stats().use.peak <= CHUNK_SIZE + 2 * (5 << 20) + more);
            end();
        }
    }
}

/* -- looked up by who is told -- */

static int ask_each(void *arg, allot_ref ref, void *at, size_t size)
{
    void *found = allot_movable_at(&heap, ref);
    assert_true(!at || found == at);
    assert_true(found || !at);
    *(size_t *)arg += size;
    return 0;
}

static void ask_for_all(void *arg, allot_ref ref, void *from, void *to)
{
    int *calls = arg;
    (void)from;
    assert_ptr_equal(allot_movable_at(&heap, ref), to);
    for (int i = 0; i < 200; i++) {
        if (refs[i].gen && i % 7 == *calls % 7) {
            const unsigned char *p = allot_movable_at(&heap, refs[i]);
            assert_true(!p || p[0] == (unsigned char)i);
        }
    }
    ++*calls;
}

/* A small one, a larger one, or, mostly, one that may be purged. */
static allot_ref one_of_three(int i, int round)
{
    size_t more = (size_t)((i + round) * 7919 % 60000);
    allot_ref ref = i % 10 == 0   ? get(50 + more / 100, i)
                    : i % 10 == 5 ? get(10000 + more, i)
                                  : allot_movable_get_purgeable(&heap, 20000 + more, (uint64_t)i);
    assert_int_not_equal(ref.gen, 0);
    return ref;
}

/* Of each kind, also with a lock. */
static void who_is_told_may_ask(void **state)
{
    (void)state;
    for (int locked = 0; locked < 2; locked++) {
        struct allot_movable_opts opts = purging;
        opts.lock = locked;
        opts.limit = 8 << 20;
        begin(&opts);
        int calls = 0;
        size_t sum = 0;
        for (int i = 0; i < 200; i++) {
            refs[i] = one_of_three(i, 0);
        }
        assert_true(stats().purged > 0);
        allot_movable_walk(&heap, ask_each, &sum);
        assert_int_equal(sum, stats().use.used);
        allot_movable_on_move(&heap, ask_for_all, &calls);
        for (int round = 0; round < 30; round++) {
            for (int i = round % 3; i < 200; i += 3) {
                allot_movable_put(&heap, refs[i]);
                refs[i] = one_of_three(i, round);
            }
            for (int n = 0; n < 5; n++) { /* who asks makes more to do */
                allot_movable_step(&heap, 256 << 10);
            }
            allot_movable_check(&heap);
        }
        assert_true(calls > 0 && stats().rebuilt > 0);
        end();
    }
}

static void ask_for_the_long_one(void *arg, allot_ref ref, void *from, void *to)
{
    (void)from;
    assert_ptr_equal(allot_movable_at(&heap, ref), to);
    const unsigned char *p = allot_movable_at(&heap, refs[0]);
    assert_true(p ? p[0] == 0 && p[15899999] == 0 : errno == ENOMEM);
    ++*(int *)arg;
}

/* To build it nearly all others are dropped, but none that is about to move. */
static void who_is_told_may_ask_at_the_limit(void **state)
{
    (void)state;
    struct allot_movable_opts opts = purging;
    opts.limit = CHUNK_SIZE + 17000000; /* a zone, and little more */
    begin(&opts);
    int calls = 0;
    refs[0] = allot_movable_get_purgeable(&heap, 15900000, 0);
    allot_movable_purge(&heap, SIZE_MAX);
    for (int i = 1; i <= 410; i++) {
        refs[i] = allot_movable_get_purgeable(&heap, 40000, (uint64_t)i);
        assert_int_not_equal(refs[i].gen, 0);
    }
    assert_int_equal(stats().purged, 1);
    for (int i = 1; i <= 410; i += 2) {
        allot_movable_put(&heap, refs[i]);
    }
    allot_movable_on_move(&heap, ask_for_the_long_one, &calls);
    for (int n = 0; n < 5; n++) {
        allot_movable_step(&heap, SIZE_MAX);
        allot_movable_check(&heap);
    }
    assert_true(calls > 0 && stats().rebuilt > 0);
    for (int i = 2; i <= 410; i += 2) {
        expect_ends(refs[i], 40000, i);
    }
    end();
}

/* -- stale addresses -- */

static void touch_stale(void *arg)
{
    signal(SIGSEGV, SIG_DFL); /* cmocka has one of its own */
    begin(&(struct allot_movable_opts){.debug = true});
    volatile char *p = allot_movable_at(&heap, get((size_t)(uintptr_t)arg, 1));
    allot_movable_step(&heap, 1);
    *p = 2;
}

static void touch_fresh(void *arg)
{
    begin(&(struct allot_movable_opts){.debug = true});
    allot_ref ref = get((size_t)(uintptr_t)arg, 1);
    allot_movable_step(&heap, 1);
    *(volatile char *)allot_movable_at(&heap, ref) = 2;
}

static void stale_addresses_fault(void **state)
{
    (void)state;
    static const size_t some[] = {1, 100, 8178, 9000, 1 << 20, 5 << 20};
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        struct child_end end = child_run(touch_stale, (void *)(uintptr_t)some[i]);
        bool said = strstr(end.text, "Sanitizer"); /* who is told of it before it happens */
        assert_true(WIFSIGNALED(end.status) ? said || WTERMSIG(end.status) == SIGSEGV : WEXITSTATUS(end.status) != 0);
        assert_int_equal(child_run(touch_fresh, (void *)(uintptr_t)some[i]).status, 0);
    }
}

/* All of them, at each step, for as long as there are other addresses. */
static void everything_moves(void **state)
{
    (void)state;
    static void *at[1000];
    begin(&(struct allot_movable_opts){.debug = true});
    for (int i = 0; i < 1000; i++) {
        refs[i] = get(i % 100 ? 500 : 30000, i);
    }
    for (int round = 0; round < 600; round++) {
        for (int i = 0; i < 1000; i++) {
            at[i] = allot_movable_at(&heap, refs[i]);
        }
        assert_true(allot_movable_step(&heap, 1) > 0);
        for (int i = 0; i < 1000; i++) {
            assert_ptr_not_equal(allot_movable_at(&heap, refs[i]), at[i]);
        }
    }
    for (int i = 0; i < 1000; i++) {
        expect(refs[i], i % 100 ? 500 : 30000, i);
    }
    end();
}

/* -- limits of the process, forks -- */

static void under_a_limit_of_addresses(void *arg)
{
    (void)arg;
    signal(SIGSEGV, SIG_DFL);
    struct rlimit limit = {(rlim_t)400 << 20, (rlim_t)400 << 20};
    setrlimit(RLIMIT_AS, &limit);
    if (allot_movable_init(&heap, 0, NULL) != 0) {
        abort();
    }
    for (int i = 0; i < 1000; i++) {
        if (!allot_movable_get(&heap, 1000).gen) {
            abort();
        }
    }
    allot_movable_check(&heap);
}

static void little_address_space(void **state)
{
    (void)state;
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
    bool there_can_be_a_limit = false; /* their shadows are longer */
#else
    bool there_can_be_a_limit = true;
#endif
    if (there_can_be_a_limit) {
        assert_int_equal(child_run(under_a_limit_of_addresses, NULL).status, 0);
    }
}

static atomic_bool stop;
static void *churn(void *arg)
{
    struct random r = {(uintptr_t)arg};
    allot_ref mine[64] = {{0, 0}};
    while (!stop) {
        size_t i = random_below(&r, 64);
        allot_movable_put(&heap, mine[i]);
        mine[i] = allot_movable_get(&heap, random_below(&r, 2000));
        if (random_below(&r, 100) == 0) {
            allot_movable_step(&heap, 10000);
        }
    }
    return NULL;
}

static void use_in_child(void *arg)
{
    allot_movable_check(&heap);
    expect(*(allot_ref *)arg, 100, 7);
    allot_movable_put(&heap, get(100, 8));
    while (allot_movable_step(&heap, 1 << 20) > 0) {
    }
    allot_movable_check(&heap);
    expect(*(allot_ref *)arg, 100, 7);
}

static void a_child_has_it_whole(void **state)
{
    (void)state;
    pthread_t threads[2];
    begin(&(struct allot_movable_opts){.lock = true});
    allot_ref mine = get(100, 7);
    stop = false;
    for (uintptr_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, churn, (void *)(i + 1)), 0);
    }
    for (int i = 0; i < 50; i++) {
        assert_int_equal(child_run(use_in_child, &mine).status, 0);
    }
    stop = true;
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(purged_and_built_again), cmocka_unit_test(a_limit_purges),
        cmocka_unit_test(never_beyond_its_limit), cmocka_unit_test(more_than_there_is),
        cmocka_unit_test(who_is_told_may_ask),    cmocka_unit_test(who_is_told_may_ask_at_the_limit),
        cmocka_unit_test(stale_addresses_fault),  cmocka_unit_test(everything_moves),
        cmocka_unit_test(little_address_space),   cmocka_unit_test(a_child_has_it_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
