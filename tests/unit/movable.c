/* unit/movable.c - a heap whose objects move (allot/movable.h). */
#include "common/unit.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <allot/malloc.h>
#include <allot/movable.h>

#include "common/child.h"
#include "common/random.h"
#include "move/movable.h"
#include "os/memory.h"

enum { MANY = 60000 };

static struct allot_movable heap;
static allot_ref refs[MANY];
static struct random dice = {1};

static void begin(const struct allot_movable_opts *opts)
{
    assert_int_equal(allot_movable_init(&heap, (size_t)1 << 30, opts), 0);
    memset(refs, 0, sizeof refs);
}

static void end(void)
{
    allot_movable_check(&heap);
    allot_movable_done(&heap);
}

static struct allot_movable_stats stats(void)
{
    struct allot_movable_stats s;
    allot_movable_stats(&heap, &s);
    return s;
}

static allot_ref get(size_t size, int value)
{
    allot_ref ref = allot_movable_get(&heap, size);
    assert_int_not_equal(ref.gen, 0);
    memset(allot_movable_at(&heap, ref), value, size);
    return ref;
}

static void expect(allot_ref ref, size_t size, int value)
{
    const unsigned char *p = allot_movable_at(&heap, ref);
    assert_int_equal(allot_movable_size(&heap, ref), size);
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(p[i], (unsigned char)value);
    }
}

static void settle(void)
{
    while (allot_movable_step(&heap, 256 << 10) > 0) {
    }
}

/* Objects of 16 to 512 bytes, and as many go as to leave a quarter. */
static void fill_and_thin(void)
{
    for (int i = 0; i < MANY; i++) {
        refs[i] = get(16 + random_below(&dice, 497), i);
    }
    for (int i = 0; i < MANY; i++) {
        if (random_below(&dice, 4)) {
            allot_movable_put(&heap, refs[i]);
            refs[i].gen = 0;
        }
    }
}

static void expect_rest(void)
{
    for (int i = 0; i < MANY; i++) {
        if (refs[i].gen) {
            expect(refs[i], allot_movable_size(&heap, refs[i]), i);
        }
    }
}

static size_t resident(void)
{
    struct movable *h = heap.state;
    return os_resident(h->area, h->area_size) + os_resident(h->tables, h->tables_size) +
           (h->far_area ? os_resident(h->far_area, h->far_size) : 0);
}

/* -- references -- */

static void references_end_with_their_object(void **state)
{
    (void)state;
    begin(NULL);
    allot_ref a = get(100, 1);
    assert_true(allot_movable_is(&heap, a));
    allot_movable_put(&heap, a);
    assert_false(allot_movable_is(&heap, a));
    for (int i = 0; i < 1000; i++) {
        allot_ref b = get(100, 2);
        assert_int_equal(b.slot, a.slot); /* the same slot each time, and never the same reference */
        assert_int_not_equal(b.gen, a.gen);
        assert_false(allot_movable_is(&heap, a));
        allot_movable_put(&heap, b);
        a = b;
    }
    assert_null(allot_movable_at(&heap, (allot_ref){0, 0}));
    assert_null(allot_movable_pin(&heap, (allot_ref){0, 0}));
    allot_movable_put(&heap, (allot_ref){0, 0});
    for (int i = 0; i < 10000; i++) { /* garbage out of a file */
        assert_false(allot_movable_is(&heap, (allot_ref){(uint32_t)random_next(&dice), (uint32_t)random_next(&dice)}));
    }
    end();
}

/* A group that has given out all its references gives none again, also when it is empty. */
static void references_run_out_for_good(void **state)
{
    (void)state;
    begin(NULL);
    struct movable *h = heap.state;
    allot_ref a = get(100, 1);
    assert_int_equal(a.slot / GROUP_SLOTS, 0);
    h->group[0].gen = GEN_MOST - 2;
    allot_ref b = get(100, 2), c = get(100, 3);
    assert_int_equal(b.slot / GROUP_SLOTS, 0);
    assert_int_equal(c.gen, GEN_MOST);
    assert_int_equal(get(100, 4).slot / GROUP_SLOTS, 1);
    expect(c, 100, 3);
    allot_movable_check(&heap);
    allot_movable_put(&heap, b);
    assert_int_equal(get(100, 5).slot / GROUP_SLOTS, 1);
    allot_movable_put(&heap, a);
    allot_movable_put(&heap, c);
    allot_movable_check(&heap);
    for (int i = 0; i < 1000; i++) {
        assert_int_not_equal(get(20, 6).slot / GROUP_SLOTS, 0);
    }
    assert_false(allot_movable_is(&heap, c));
    end();
}

static void sizes(void **state)
{
    (void)state;
    static const size_t some[] = {0, 1, 2, 3, 10, 11, 511, 8177, 8178, 8179, 65536, 4 << 20, 5 << 20};
    begin(NULL);
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        refs[i] = get(some[i], (int)i);
        assert_int_equal((uintptr_t)allot_movable_at(&heap, refs[i]) % 8, 0);
    }
    for (size_t i = 3; i < sizeof some / sizeof *some; i++) {
        expect(refs[i], some[i], (int)i);
    }
    assert_int_equal(allot_movable_size(&heap, refs[0]), 3);
    assert_int_equal(stats().large, 4);
    errno = 0;
    assert_int_equal(allot_movable_get(&heap, SIZE_MAX).gen, 0);
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(allot_movable_get(&heap, (size_t)1 << 46).gen, 0);
    assert_int_equal(stats().use.refused, 2);
    end();
}

static void options(void **state)
{
    (void)state;
    assert_int_equal(allot_movable_init(&heap, 0, &(struct allot_movable_opts){.waste = 100}), -EINVAL);
    assert_int_equal(allot_movable_init(&heap, SIZE_MAX, NULL), -EINVAL);
    assert_int_equal(allot_movable_init(&heap, (size_t)1 << 48, NULL), -ENOMEM);
    assert_int_equal(allot_movable_init(&heap, 1, NULL), 0); /* one chunk, one zone */
    size_t some = 0;
    while (allot_movable_get(&heap, 1000).gen) {
        some++;
    }
    assert_in_range(some, 515, 524);
    end();
}

/* -- giving back -- */

static void a_quarter_takes_a_quarter(void **state)
{
    (void)state;
    begin(NULL);
    fill_and_thin();
    assert_true(resident() > stats().use.used * 4);
    settle();
    allot_movable_check(&heap);
    expect_rest();
    struct allot_movable_stats s = stats();
    assert_in_range(resident(), s.use.used, s.use.used * 109 / 100); /* 4 MB: a chunk's rest counts more than in a GB */
    assert_in_range(s.use.held, s.use.used, s.use.used * 109 / 100);
    assert_in_range(s.moved, s.use.used / 2, s.use.used * 11 / 10); /* what lives is copied once */
    for (int i = 0; i < MANY; i++) {
        if (refs[i].gen) {
            allot_movable_put(&heap, refs[i]);
        }
    }
    settle();
    assert_in_range(resident(), 0, 128 << 10); /* records of chunks and groups */
    end();
}

/* What is pinned stays, and its group; but the rest of that moves together all the same. */
static void around_pins(void **state)
{
    (void)state;
    static void *at[MANY];
    begin(NULL);
    fill_and_thin();
    for (int i = 0; i < MANY; i++) {
        at[i] = refs[i].gen && random_below(&dice, 100) == 0 ? allot_movable_pin(&heap, refs[i]) : NULL;
    }
    settle();
    allot_movable_check(&heap);
    expect_rest();
    for (int i = 0; i < MANY; i++) {
        assert_true(!at[i] || allot_movable_at(&heap, refs[i]) == at[i]);
    }
    assert_in_range(resident(), 0, stats().use.used * 140 / 100);
    for (int i = 0; i < MANY; i++) {
        if (at[i]) {
            allot_movable_unpin(&heap, refs[i]);
        }
    }
    settle();
    assert_in_range(resident(), 0, stats().use.used * 109 / 100);
    expect_rest();
    end();
}

/* With no chunk to be had what is in one slides together. */
static void in_place_when_full(void **state)
{
    (void)state;
    assert_int_equal(allot_movable_init(&heap, (size_t)2 << 20, NULL), 0);
    int n = 0;
    while ((refs[n] = allot_movable_get(&heap, 120)).gen) {
        memset(allot_movable_at(&heap, refs[n]), n, 120);
        n++;
    }
    assert_int_equal(stats().chunks, 4);
    for (int i = 0; i < n; i++) {
        if (i % 3) {
            allot_movable_put(&heap, refs[i]);
        }
    }
    assert_int_equal(allot_movable_get(&heap, 8000).gen, 0);
    settle();
    allot_movable_check(&heap);
    assert_int_equal(stats().chunks, 2);
    for (int i = 0; i < n; i += 3) {
        expect(refs[i], 120, i);
    }
    for (int i = 0; i < 60; i++) {
        get(8000, 1);
    }
    end();
}

static void steps_keep_to_their_bound(void **state)
{
    (void)state;
    begin(NULL);
    fill_and_thin();
    uint64_t before = stats().moved, most = 0;
    while (allot_movable_step(&heap, 1) > 0) {
        uint64_t moved = stats().moved - before;
        most = moved > most ? moved : most;
        before += moved;
    }
    assert_in_range(most, 1, 256 * 520); /* a group, or the one chunk whose few objects slide */
    assert_int_equal(allot_movable_step(&heap, SIZE_MAX), 0);
    assert_int_equal(allot_movable_step_for(&heap, 1000000), 0);
    end();
}

static void larger_ones_move_too(void **state)
{
    (void)state;
    begin(NULL);
    for (int i = 0; i < 2000; i++) {
        refs[i] = get(9000 + random_below(&dice, 40000), i);
    }
    for (int i = 0; i < 2000; i++) {
        if (random_below(&dice, 4)) {
            allot_movable_put(&heap, refs[i]);
            refs[i].gen = 0;
        }
    }
    refs[2000] = get(5 << 20, 1);
    settle();
    allot_movable_check(&heap);
    struct movable *h = heap.state;
    for (uint32_t z = 0; z < h->zones; z++) {
        struct allot_region_stats s;
        allot_region_stats(&h->zone[z].region, &s);
        assert_true(s.largest >= (s.use.held - s.use.used) / 10 * 9 - ZONE_UNIT);
    }
    for (int i = 0; i <= 2000; i++) {
        if (refs[i].gen) {
            expect(refs[i], allot_movable_size(&heap, refs[i]), i == 2000 ? 1 : i);
        }
    }
    assert_in_range(resident(), 0, stats().use.used * 106 / 100);
    assert_true(stats().moves > 0);
    end();
}

static size_t told;
static void tell(void *arg, allot_ref ref, void *from, void *to)
{
    assert_ptr_equal(arg, &told);
    assert_ptr_equal(allot_movable_at(&heap, ref), to);
    assert_ptr_not_equal(from, to);
    told++;
}

static void moves_are_told(void **state)
{
    (void)state;
    begin(NULL);
    allot_movable_on_move(&heap, tell, &told);
    fill_and_thin();
    told = 0;
    settle();
    assert_int_equal(told, stats().moves);
    assert_true(told >= stats().use.count * 9 / 10);
    end();
}

static void worth(void **state)
{
    (void)state;
    begin(NULL);
    fill_and_thin();
    int i = 0;
    while (!refs[i].gen) {
        i++;
    }
    assert_in_range(allot_movable_worth(&heap, refs[i]), 65, 85);
    settle();
    assert_int_equal(allot_movable_worth(&heap, refs[i]), 0);
    assert_int_equal(allot_movable_worth(&heap, get(100000, 1)), 0);
    end();
}

/* -- pins -- */

static void pins_are_counted(void **state)
{
    (void)state;
    begin(&(struct allot_movable_opts){.debug = true});
    for (int i = 0; i < 3000; i++) {
        refs[i] = get(i % 50 ? 40 : 20000, i);
    }
    static void *at[3000];
    for (int i = 0; i < 3000; i++) {
        for (int n = 0; n < i % 7 + 1; n++) {
            at[i] = allot_movable_pin(&heap, refs[i]);
            assert_non_null(at[i]);
        }
    }
    assert_int_equal(stats().pinned, 3000);
    for (int round = 0; round < 7; round++) {
        allot_movable_step(&heap, 1);
        allot_movable_check(&heap);
        for (int i = 0; i < 3000; i++) {
            assert_true(i % 7 < round || allot_movable_at(&heap, refs[i]) == at[i]);
            expect(refs[i], i % 50 ? 40 : 20000, i);
        }
        for (int i = 0; i < 3000; i++) {
            if (i % 7 >= round) {
                allot_movable_unpin(&heap, refs[i]);
            }
        }
    }
    assert_int_equal(stats().pinned, 0);
    allot_movable_step(&heap, 1);
    for (int i = 0; i < 3000; i++) {
        assert_ptr_not_equal(allot_movable_at(&heap, refs[i]), at[i]);
    }
    end();
}

/* -- sizes that change -- */

static void resizing(void **state)
{
    (void)state;
    begin(NULL);
    allot_ref a = get(100, 1), b = get(100, 2);
    void *at = allot_movable_at(&heap, a);
    assert_int_equal(allot_movable_resize(&heap, a, 50), 0);
    assert_ptr_equal(allot_movable_at(&heap, a), at);
    expect(a, 50, 1);
    assert_int_equal(allot_movable_resize(&heap, a, 98), 0); /* into what it left */
    assert_ptr_equal(allot_movable_at(&heap, a), at);
    assert_int_equal(allot_movable_resize(&heap, a, 1000), 0);
    assert_int_equal(((char *)allot_movable_at(&heap, a))[49], 1);
    assert_int_equal(allot_movable_resize(&heap, a, 1 << 20), 0); /* out of its chunk, */
    assert_int_equal(((char *)allot_movable_at(&heap, a))[49], 1);
    assert_int_equal(stats().large, 1);
    assert_int_equal(allot_movable_resize(&heap, a, 50), 0); /* and home */
    expect(a, 50, 1);
    assert_int_equal(stats().large, 0);
    void *pin = allot_movable_pin(&heap, b);
    assert_int_equal(allot_movable_resize(&heap, b, 200), 0); /* the last one, where it is */
    get(100, 3);
    assert_int_equal(allot_movable_resize(&heap, b, 400), -EBUSY);
    assert_int_equal(allot_movable_resize(&heap, b, 100), 0);
    expect(b, 100, 2);
    assert_ptr_equal(allot_movable_at(&heap, b), pin);
    allot_movable_unpin(&heap, b);
    assert_int_equal(allot_movable_resize(&heap, b, SIZE_MAX), -ENOMEM);
    expect(b, 100, 2);
    end();
}

/* A full chunk: who grows leaves it, as nobody else's object may move for that. */
static void growing_in_a_full_chunk(void **state)
{
    (void)state;
    begin(NULL);
    int n = 0;
    do {
        refs[n] = get(20, n);
    } while (++n < MANY && stats().chunks == 1);
    assert_int_equal(allot_movable_resize(&heap, refs[5], 60), 0);
    assert_int_equal(stats().large, 1);
    for (int i = 0; i < n; i++) {
        assert_int_equal(*(unsigned char *)allot_movable_at(&heap, refs[i]), (unsigned char)i);
    }
    for (int i = 6; i < 9; i++) {
        allot_movable_put(&heap, refs[i]);
    }
    assert_int_equal(allot_movable_resize(&heap, refs[5], 50), 0);
    assert_int_equal(stats().large, 0);
    assert_int_equal(*(unsigned char *)allot_movable_at(&heap, refs[5]), 5);
    end();
}

/* The system moves pages of their own where they cannot grow. */
static void pages_grow(void **state)
{
    (void)state;
    begin(NULL);
    for (int i = 0; i < 8; i++) {
        refs[i] = get(5 << 20, i);
    }
    for (int size = 6; size < 40; size += 11) {
        for (int i = 0; i < 8; i++) {
            assert_int_equal(allot_movable_resize(&heap, refs[i], (size_t)size << 20), 0);
            const unsigned char *p = allot_movable_at(&heap, refs[i]);
            assert_true(p[0] == i && p[(5 << 20) - 1] == i);
        }
        allot_movable_check(&heap);
    }
    for (int i = 0; i < 8; i++) {
        assert_int_equal(allot_movable_resize(&heap, refs[i], 1000), 0);
        expect(refs[i], 1000, i);
    }
    end();
}

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
        int status = child_run(touch_stale, (void *)(uintptr_t)some[i]).status;
        assert_true(WIFSIGNALED(status) ? WTERMSIG(status) == SIGSEGV : WEXITSTATUS(status) != 0);
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
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
    assert_int_equal(child_run(under_a_limit_of_addresses, NULL).status, 0);
#endif
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
        cmocka_unit_test(references_end_with_their_object),
        cmocka_unit_test(references_run_out_for_good),
        cmocka_unit_test(sizes),
        cmocka_unit_test(options),
        cmocka_unit_test(a_quarter_takes_a_quarter),
        cmocka_unit_test(around_pins),
        cmocka_unit_test(in_place_when_full),
        cmocka_unit_test(steps_keep_to_their_bound),
        cmocka_unit_test(larger_ones_move_too),
        cmocka_unit_test(moves_are_told),
        cmocka_unit_test(worth),
        cmocka_unit_test(pins_are_counted),
        cmocka_unit_test(resizing),
        cmocka_unit_test(growing_in_a_full_chunk),
        cmocka_unit_test(pages_grow),
        cmocka_unit_test(purged_and_built_again),
        cmocka_unit_test(a_limit_purges),
        cmocka_unit_test(stale_addresses_fault),
        cmocka_unit_test(everything_moves),
        cmocka_unit_test(little_address_space),
        cmocka_unit_test(a_child_has_it_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
