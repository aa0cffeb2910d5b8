/* unit/arena.c - objects that are freed together (allot/arena.h). Where somebody watches, they lie 16 bytes further apart. */
#include "common/unit.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <allot/arena.h>
#include <allot/malloc.h>

#include "common/child.h"
#include "common/random.h"
#include "common/upstream.h"

#define KIB ((size_t)1024)
#define MIB (KIB * KIB)

static struct upstream upstream;

/* An empty arena on `upstream`, which grants all. */
static struct allot_arena on_upstream(struct allot_arena_opts opts)
{
    upstream = (struct upstream){.fail_after = -1};
    opts.from = upstream_allocator(&upstream);
    struct allot_arena a;
    assert_int_equal(allot_arena_init(&a, &opts), 0);
    return a;
}

static void finish(struct allot_arena *a)
{
    allot_arena_check(a);
    allot_arena_done(a);
    assert_int_equal(upstream.live, 0);
    assert_int_equal(upstream.bytes, 0);
}

static struct allot_arena_stats stats_of(const struct allot_arena *a)
{
    struct allot_arena_stats stats;
    allot_arena_stats(a, &stats);
    return stats;
}

static void objects_are_aligned_and_apart(void **state)
{
    (void)state;
    struct allot_arena a = on_upstream((struct allot_arena_opts){0});
    char *before = NULL;
    size_t last = 0;
    for (size_t size = 0; size < 3000; size++) {
        char *p = allot_arena_alloc(&a, size);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        assert_true(!before || p >= before + last || p + size <= before);
        assert_ptr_not_equal(p, before);
        memset(p, 0xff, size);
        before = p;
        last = size;
    }
    finish(&a);
}

/* The address is aligned, not its distance from the block's beginning: blocks begin at odd multiples of 16. */
static void aligned_is_the_address(void **state)
{
    (void)state;
    struct allot_arena a = on_upstream((struct allot_arena_opts){.first = 256, .max = 64 * KIB});
    for (size_t round = 0; round < 50; round++) {
        for (size_t align = 1; align <= 1 * MIB; align *= 2) {
            size_t size = round * 37 % 5000;
            char *p = allot_arena_aligned(&a, size, align);
            assert_non_null(p);
            assert_int_equal((uintptr_t)p % align, 0);
            memset(p, 0xff, size);
            allot_arena_alloc(&a, 1);
        }
        allot_arena_check(&a);
        allot_arena_reset(&a, round % 2 ? SIZE_MAX : 0);
    }
    static const volatile size_t no_power[] = {48, 0, 17, SIZE_MAX};
    for (size_t i = 0; i < 4; i++) {
        errno = 0;
        assert_null(allot_arena_aligned(&a, 1, no_power[i]));
        assert_int_equal(errno, EINVAL);
    }
    finish(&a);
}

/* An aligned object's gap is counted once: what fits behind it still fits, and no more. */
static void a_gap_is_counted_once(void **state)
{
    (void)state;
    struct allot_arena a = on_upstream((struct allot_arena_opts){.first = 64 * KIB});
    for (size_t size = 16; size < 4 * KIB; size += 16) {
        allot_arena_reset(&a, SIZE_MAX);
        allot_arena_alloc(&a, 16);
        if (a.watched) {
            break; /* no telling from outside where the block ends */
        }
        size_t gap = -(uintptr_t)a.at % 4096, room = (size_t)(a.end - a.at);
        size_t fits = room - gap;
        struct allot_arena_mark mark = allot_arena_mark(&a);
        char *p = allot_arena_aligned(&a, fits, 4096);
        assert_ptr_equal(p, mark.at + gap);
        assert_ptr_equal(a.at, a.end);
        allot_arena_rewind(&a, mark);
        p = allot_arena_aligned(&a, fits + 1, 4096);
        assert_int_equal((uintptr_t)p % 4096, 0);
        assert_false(p >= mark.at && p < mark.at + room);
        allot_arena_rewind(&a, mark);
        allot_arena_alloc(&a, size);
    }
    finish(&a);
}

static void sizes_that_wrap_are_refused(void **state)
{
    (void)state;
    static const size_t sizes[] = {SIZE_MAX,     SIZE_MAX - 1,     SIZE_MAX - 15, SIZE_MAX - 16,
                                   SIZE_MAX / 2, SIZE_MAX / 2 + 1, SIZE_MAX / 4};
    struct allot_arena a = on_upstream((struct allot_arena_opts){0});
    for (int begun = 0; begun < 2; begun++) {
        char *at = a.at;
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            volatile size_t size = sizes[i], align = (size_t)1 << 63;
            errno = 0;
            assert_null(allot_arena_alloc(&a, size));
            assert_int_equal(errno, ENOMEM);
            errno = 0;
            assert_null(allot_arena_aligned(&a, size, 4096));
            assert_int_equal(errno, ENOMEM);
            assert_null(allot_arena_aligned(&a, 16, align));
            assert_ptr_equal(a.at, at);
            if (begun) {
                assert_false(allot_arena_extend(&a, at - 16 - (a.watched ? 16 : 0), 16, size));
            }
        }
        assert_int_equal(stats_of(&a).use.refused, 3 * (begun + 1) * sizeof sizes / sizeof sizes[0]);
        allot_arena_alloc(&a, 16);
        allot_arena_check(&a);
    }
    finish(&a);
}

static void options_that_cannot_be(void **state)
{
    (void)state;
    struct allot_arena a;
    assert_int_equal(allot_arena_init(&a, &(struct allot_arena_opts){.first = 100}), -EINVAL);
    assert_int_equal(allot_arena_init(&a, &(struct allot_arena_opts){.first = 4096, .max = 1024}), -EINVAL);
    assert_int_equal(allot_arena_init(&a, &(struct allot_arena_opts){.first = SIZE_MAX}), -EINVAL);
    assert_int_equal(allot_arena_init(&a, &(struct allot_arena_opts){.first = 256, .max = 256}), 0);
    assert_int_equal(allot_arena_init(&a, &(struct allot_arena_opts){.max = 1024}), 0);
    assert_int_equal(allot_arena_init(&a, &(struct allot_arena_opts){.first = 8 * MIB}), 0);
    assert_int_equal(allot_arena_init(&a, &(struct allot_arena_opts){.max = SIZE_MAX}), 0);
    allot_arena_done(&a);
}

static void blocks_double_up_to_the_cap(void **state)
{
    (void)state;
    static const struct {
        struct allot_arena_opts opts;
        size_t sizes[8];
    } cases[] = {
        {{0}, {64 * KIB, 128 * KIB, 256 * KIB, 512 * KIB, MIB, 2 * MIB, 4 * MIB, 4 * MIB}},
        {{.first = 1024, .max = 4096}, {1024, 2048, 4096, 4096, 4096, 4096, 4096, 4096}},
        {{.first = MIB, .max = SIZE_MAX}, {MIB, 2 * MIB, 4 * MIB, 8 * MIB, 16 * MIB, 32 * MIB, 64 * MIB, 128 * MIB}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        struct allot_arena a = on_upstream(cases[c].opts);
        for (size_t i = 0; i < 8; i++) {
            size_t most = a.max / 4 > 100 * KIB ? 16 * KIB : 128;
            while (upstream.taken == i) {
                assert_non_null(allot_arena_alloc(&a, most));
            }
            assert_int_equal(upstream.last, cases[c].sizes[i]);
        }
        assert_int_equal(stats_of(&a).use.count, 8);
        finish(&a);
    }
}

static void a_large_object_has_a_block_of_its_own(void **state)
{
    (void)state;
    struct allot_arena a = on_upstream((struct allot_arena_opts){0});
    allot_arena_alloc(&a, 16);
    char *at = a.at;
    struct allot_arena_mark mark = allot_arena_mark(&a);
    for (int i = 0; i < 3; i++) {
        char *p = allot_arena_alloc(&a, MIB + 1);
        memset(p, 1, MIB + 1);
        assert_ptr_equal(a.at, at);
    }
    assert_int_equal(upstream.live, 4);
    assert_true(upstream.bytes < 64 * KIB + 3 * (MIB + 8 * KIB));
    allot_arena_check(&a);
    allot_arena_rewind(&a, mark);
    assert_int_equal(upstream.live, 1);
    assert_ptr_equal(a.at, at);
    /* Also before there is any other. */
    allot_arena_reset(&a, 0);
    allot_arena_alloc(&a, 2 * MIB);
    assert_null(a.at);
    allot_arena_check(&a);
    allot_arena_alloc(&a, 16);
    allot_arena_check(&a);
    finish(&a);
}

static void holds_less_than_twice_what_is_used_and_a_block(void **state)
{
    (void)state;
    struct random random = {1};
    for (size_t top = 64; top <= 8 * MIB; top *= 4) {
        struct allot_arena a = on_upstream((struct allot_arena_opts){.max = 256 * KIB});
        for (int i = 0; i < 300; i++) {
            allot_arena_alloc(&a, 1 + random_below(&random, top));
            struct allot_arena_stats s = stats_of(&a);
            size_t records = (s.use.count + 1) * (4096 + 64);
            assert_true(s.use.held < 2 * s.use.used + 256 * KIB + records);
            assert_true(s.lost <= s.use.used + records);
        }
        finish(&a);
    }
}

static void extends_the_last_in_place(void **state)
{
    (void)state;
    struct allot_arena a = on_upstream((struct allot_arena_opts){0});
    char *first = allot_arena_alloc(&a, 100), *last = allot_arena_alloc(&a, 100);
    memset(last, 'a', 100);
    assert_true(allot_arena_extend(&a, last, 100, 1000));
    memset(last, 'b', 1000);
    assert_false(allot_arena_extend(&a, first, 100, 113));
    assert_true(allot_arena_extend(&a, first, 100, 112)); /* as it was rounded up */
    assert_true(allot_arena_extend(&a, first, 112, 10));
    assert_false(allot_arena_extend(&a, last, 1000, 64 * KIB));
    assert_true(allot_arena_extend(&a, last, 1000, 10));
    assert_ptr_equal(allot_arena_alloc(&a, 1), last + (a.watched ? 32 : 16));
    assert_true(allot_arena_extend(&a, allot_arena_alloc(&a, 0), 0, 33));
    allot_arena_check(&a);

    /* Not what a mark keeps, in either direction; what came after it again. */
    char *kept = allot_arena_alloc(&a, 100);
    struct allot_arena_mark mark = allot_arena_mark(&a);
    assert_false(allot_arena_extend(&a, kept, 100, 200));
    char *at = a.at;
    assert_true(allot_arena_extend(&a, kept, 100, 10));
    assert_ptr_equal(a.at, at);
    char *after = allot_arena_alloc(&a, 100);
    assert_true(allot_arena_extend(&a, after, 100, 200));
    allot_arena_rewind(&a, mark);
    assert_ptr_equal(a.at, at);
    assert_false(allot_arena_extend(&a, kept, 10, 200));
    finish(&a);
}

static void extends_a_large_one_where_its_block_can(void **state)
{
    (void)state;
    struct allot_arena a = on_upstream((struct allot_arena_opts){0});
    upstream.room = MIB;
    char *p = allot_arena_alloc(&a, 2 * MIB), *small = allot_arena_alloc(&a, 16);
    assert_non_null(small);
    assert_false(allot_arena_extend(&a, p, 2 * MIB, 3 * MIB));
    upstream.can_resize = true;
    /* A block has come after it: no more. */
    assert_false(allot_arena_extend(&a, p, 2 * MIB, 3 * MIB));
    p = allot_arena_alloc(&a, 2 * MIB);
    memset(p, 1, 2 * MIB);
    size_t held = stats_of(&a).use.held;
    assert_true(allot_arena_extend(&a, p, 2 * MIB, 2 * MIB + 500 * KIB));
    memset(p, 2, 2 * MIB + 500 * KIB);
    assert_in_range(stats_of(&a).use.held, held + 490 * KIB, held + 510 * KIB);
    assert_int_equal(stats_of(&a).use.held, upstream.bytes);
    allot_arena_check(&a);
    assert_false(allot_arena_extend(&a, p, 2 * MIB + 500 * KIB, 9 * MIB));
    assert_true(allot_arena_extend(&a, p, 2 * MIB + 500 * KIB, 100));
    assert_true(allot_arena_extend(&a, p, 100, 2 * MIB));
    allot_arena_check(&a);
    allot_arena_done(&a);
    assert_int_equal(upstream.bytes, 0);

    /* Nor what a mark keeps. */
    a = on_upstream((struct allot_arena_opts){0});
    p = allot_arena_alloc(&a, 2 * MIB);
    struct allot_arena_mark mark = allot_arena_mark(&a);
    size_t used = stats_of(&a).use.used;
    assert_true(allot_arena_extend(&a, p, 2 * MIB, 100));
    assert_false(allot_arena_extend(&a, p, 100, 3 * MIB));
    allot_arena_rewind(&a, mark);
    assert_int_equal(stats_of(&a).use.used, used);
    finish(&a);
}

static int order[100], ran;
static void note(void *arg) { order[ran++] = (int)(intptr_t)arg; }

static void cleanups_run_latest_first(void **state)
{
    (void)state;
    struct allot_arena a = on_upstream((struct allot_arena_opts){.first = 256, .max = 1024});
    ran = 0;
    for (intptr_t i = 0; i < 30; i++) {
        assert_int_equal(allot_arena_defer(&a, note, (void *)i), 0);
    }
    struct allot_arena_mark mark = allot_arena_mark(&a);
    for (intptr_t i = 30; i < 60; i++) {
        assert_int_equal(allot_arena_defer(&a, note, (void *)i), 0);
    }
    assert_int_equal(stats_of(&a).deferred, 60);
    allot_arena_check(&a);
    allot_arena_rewind(&a, mark);
    assert_int_equal(ran, 30);
    allot_arena_rewind(&a, mark);
    assert_int_equal(ran, 30);
    allot_arena_reset(&a, SIZE_MAX);
    assert_int_equal(ran, 60);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(order[i], i < 30 ? 59 - i : 59 - i);
    }
    assert_int_equal(allot_arena_defer(&a, note, (void *)60), 0);
    finish(&a);
    assert_int_equal(ran, 61);
}

static struct allot_arena *cleaned;
static void clean_more(void *arg)
{
    intptr_t left = (intptr_t)arg;
    char *p = allot_arena_alloc(cleaned, 5000);
    memset(p, 1, 5000);
    note(arg);
    if (left > 0) {
        assert_int_equal(allot_arena_defer(cleaned, clean_more, (void *)(left - 1)), 0);
    }
}

static void a_cleanup_may_allocate_and_defer(void **state)
{
    (void)state;
    struct allot_arena a = on_upstream((struct allot_arena_opts){.first = 256, .max = 1024});
    cleaned = &a;
    ran = 0;
    allot_arena_alloc(&a, 16);
    struct allot_arena_mark mark = allot_arena_mark(&a);
    size_t used = stats_of(&a).use.used;
    allot_arena_defer(&a, clean_more, (void *)5);
    allot_arena_rewind(&a, mark);
    assert_int_equal(ran, 6);
    assert_int_equal(stats_of(&a).use.used, used);
    allot_arena_defer(&a, clean_more, (void *)5);
    finish(&a);
    assert_int_equal(ran, 12);
}

static void marks_nest(void **state)
{
    (void)state;
    struct allot_arena a = on_upstream((struct allot_arena_opts){.first = 256, .max = 4096});
    struct allot_arena_mark marks[50], begin = allot_arena_mark(&a);
    char *objects[50];
    for (int i = 0; i < 50; i++) {
        marks[i] = allot_arena_mark(&a);
        objects[i] = allot_arena_alloc(&a, (size_t)(i * 97 % 3000));
    }
    for (int round = 0; round < 3; round++) {
        /* What was made again lies where it lay, as long as it has no block of its own. */
        for (int i = 49; i >= 20; i--) {
            allot_arena_rewind(&a, marks[i]);
            allot_arena_check(&a);
        }
        size_t held = stats_of(&a).use.held;
        for (int i = 20; i < 50; i++) {
            marks[i] = allot_arena_mark(&a);
            char *p = allot_arena_alloc(&a, (size_t)(i * 97 % 3000));
            assert_true(p == objects[i] || i * 97 % 3000 > 1000);
        }
        assert_true(stats_of(&a).use.held >= held);
    }
    allot_arena_rewind(&a, begin);
    assert_int_equal(stats_of(&a).use.used, 0);
    assert_null(a.at);
    allot_arena_check(&a);
    assert_non_null(allot_arena_alloc(&a, 16));
    finish(&a);
}

static void a_limit_is_never_exceeded_and_used_up(void **state)
{
    (void)state;
    for (size_t limit = 1000; limit < 300 * KIB; limit = limit * 5 / 3) {
        struct allot_arena a = on_upstream((struct allot_arena_opts){.first = 512, .max = 64 * KIB, .limit = limit});
        for (int round = 0; round < 3; round++) {
            size_t count = 0;
            errno = 0;
            while (allot_arena_alloc(&a, 48)) {
                assert_true(upstream.bytes <= limit);
                count++;
            }
            assert_int_equal(errno, ENOMEM);
            size_t each = a.watched ? 64 : 48, records = (stats_of(&a).use.count + 1) * 96;
            assert_true(count * each + records > limit - limit % 16);
            assert_int_equal(stats_of(&a).use.refused, round + 1);
            allot_arena_check(&a);
            allot_arena_reset(&a, round ? SIZE_MAX : 0);
        }
        assert_int_equal(stats_of(&a).use.peak <= limit, 1);
        finish(&a);
    }
}

/* Warm blocks that are too short do not keep a longer one from being taken below a limit. */
static void a_limit_gives_warm_blocks_up(void **state)
{
    (void)state;
    struct allot_arena a = on_upstream((struct allot_arena_opts){.first = 512, .max = 512, .limit = 8192});
    while (allot_arena_alloc(&a, 100)) {
    }
    allot_arena_reset(&a, SIZE_MAX);
    assert_non_null(allot_arena_alloc(&a, 7000));
    finish(&a);
}

static void reset_keeps_what_it_is_told_to(void **state)
{
    (void)state;
    struct allot_arena a = on_upstream((struct allot_arena_opts){0});
    static const struct {
        size_t keep, kept, next;
    } cases[] = {{SIZE_MAX, SIZE_MAX, 0}, {0, 0, 64 * KIB}, {200 * KIB, 192 * KIB, 256 * KIB}, {63 * KIB, 0, 64 * KIB}};
    for (size_t c = 0; c < 4; c++) {
        while (stats_of(&a).use.held < 5 * MIB) {
            allot_arena_alloc(&a, 1000);
        }
        size_t held = stats_of(&a).use.held;
        allot_arena_reset(&a, cases[c].keep);
        struct allot_arena_stats s = stats_of(&a);
        assert_int_equal(s.use.held, cases[c].kept == SIZE_MAX ? held : cases[c].kept);
        assert_int_equal(s.spare, s.use.held);
        assert_int_equal(s.use.used | s.use.count | s.lost, 0);
        assert_int_equal(upstream.bytes, s.use.held);
        allot_arena_check(&a);
        if (cases[c].next) {
            assert_int_equal(a.next, cases[c].next);
        }
    }
    finish(&a);
}

/* Rounds that are alike take no memory and touch none for the first time; with reset, and with init and done on allot's heap. */
static long faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

static void fill_a_round(struct allot_arena *a)
{
    struct random random = {7};
    for (int i = 0; i < 200000; i++) {
        long *p = allot_arena_alloc(a, 16 + random_below(&random, 113));
        *p = i;
    }
}

static void no_page_faults_in_the_steady_state(void **state)
{
    (void)state;
    struct allot_arena a, b = on_upstream((struct allot_arena_opts){0});
    assert_int_equal(allot_arena_init(&a, NULL), 0);
    size_t taken = 0;
    long before = 0;
    for (int round = 0; round < 12; round++) {
        if (round == 4) {
            before = faults();
            taken = upstream.taken;
        }
        fill_a_round(&a);
        allot_arena_reset(&a, SIZE_MAX);
        fill_a_round(&b);
        allot_arena_reset(&b, SIZE_MAX);
    }
    long with_reset = faults() - before;
    assert_int_equal(upstream.taken, taken);
    allot_arena_done(&a);
    finish(&b);
    for (int round = 0; round < 12; round++) {
        before = round == 4 ? faults() : before;
        assert_int_equal(allot_arena_init(&a, NULL), 0);
        fill_a_round(&a);
        allot_arena_done(&a);
    }
    long with_done = faults() - before;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* whose shadow is memory too */
    assert_int_equal(with_reset, 0);
    assert_int_equal(with_done, 0);
#else
    (void)with_reset, (void)with_done;
#endif
}

static void behind_the_interface_of_borders(void **state)
{
    (void)state;
    struct allot_arena a = on_upstream((struct allot_arena_opts){0}), inner;
    struct allot_allocator from = allot_arena_allocator(&a);
    for (size_t align = 1; align <= 4096; align *= 4) {
        char *p = allot_take(from, 100, align);
        assert_int_equal((uintptr_t)p % align, 0);
        memset(p, 'a', 100);
        char *q = allot_retake(from, p, 100, 5000, align);
        assert_ptr_equal(q, p); /* the last */
        allot_take(from, 0, 1);
        q = allot_retake(from, p, 5000, 6000, align);
        assert_ptr_not_equal(q, p);
        assert_int_equal((uintptr_t)q % align, 0);
        assert_int_equal(q[99], 'a');
        allot_give(from, q, 6000, align);
    }
    /* An arena in an arena. */
    assert_int_equal(allot_arena_init(&inner, &(struct allot_arena_opts){.from = from}), 0);
    for (int i = 0; i < 10000; i++) {
        memset(allot_arena_alloc(&inner, 100), 1, 100);
    }
    allot_arena_check(&inner);
    allot_arena_done(&inner);
    finish(&a);
}

/* -- misuse ----------------------------------------------------------------------------------------------------- */

static struct allot_arena crime_arena;

static void rewind_beyond(void *arg)
{
    (void)arg;
    struct allot_arena_mark early = allot_arena_mark(&crime_arena);
    allot_arena_alloc(&crime_arena, 100);
    struct allot_arena_mark late = allot_arena_mark(&crime_arena);
    allot_arena_rewind(&crime_arena, early);
    allot_arena_rewind(&crime_arena, late);
}

static void rewind_after_reset(void *arg)
{
    (void)arg;
    allot_arena_alloc(&crime_arena, 100);
    struct allot_arena_mark mark = allot_arena_mark(&crime_arena);
    allot_arena_reset(&crime_arena, SIZE_MAX);
    allot_arena_rewind(&crime_arena, mark);
}

static void rewind_another(void *arg)
{
    (void)arg;
    struct allot_arena other;
    allot_arena_init(&other, NULL);
    allot_arena_alloc(&other, 100);
    allot_arena_alloc(&crime_arena, 100);
    allot_arena_rewind(&crime_arena, allot_arena_mark(&other));
}

static void rewind_beyond_a_cleanup(void *arg)
{
    (void)arg;
    allot_arena_alloc(&crime_arena, 100);
    struct allot_arena_mark early = allot_arena_mark(&crime_arena);
    allot_arena_defer(&crime_arena, note, NULL);
    struct allot_arena_mark late = allot_arena_mark(&crime_arena);
    allot_arena_rewind(&crime_arena, early);
    allot_arena_alloc(&crime_arena, 1000);
    allot_arena_rewind(&crime_arena, late);
}

static void goes_back(void *arg) { allot_arena_rewind(&crime_arena, *(struct allot_arena_mark *)arg); }

static void rewind_in_a_cleanup(void *arg)
{
    (void)arg;
    struct allot_arena_mark early = allot_arena_mark(&crime_arena);
    allot_arena_alloc(&crime_arena, 100);
    struct allot_arena_mark late = allot_arena_mark(&crime_arena);
    allot_arena_defer(&crime_arena, note, NULL);
    allot_arena_defer(&crime_arena, goes_back, &early);
    allot_arena_rewind(&crime_arena, late);
}

static void broken_bump(void *arg)
{
    (void)arg;
    allot_arena_alloc(&crime_arena, 100);
    crime_arena.at += 8;
    allot_arena_check(&crime_arena);
}

static void broken_sum(void *arg)
{
    (void)arg;
    allot_arena_alloc(&crime_arena, 100);
    crime_arena.held -= 16;
    allot_arena_check(&crime_arena);
}

static void use_after_done(void *arg)
{
    (void)arg;
    allot_arena_alloc(&crime_arena, 100);
    allot_arena_done(&crime_arena);
    allot_arena_alloc(&crime_arena, 100);
}

static void use_of_shared_after_done(void *arg)
{
    struct allot_arena_shared s;
    allot_arena_shared_init(&s, &(struct allot_arena_opts){.local = arg});
    allot_arena_shared_alloc(&s, 100);
    allot_arena_shared_done(&s);
    allot_arena_shared_alloc(&s, 100);
}

static void misuse_ends_the_process_with_a_line(void **state)
{
    (void)state;
    static const struct {
        void (*crime)(void *);
        const char *said;
    } crimes[] = {
        {rewind_beyond, "allot: rewind to a mark that is gone: arena at 0x"},
        {rewind_after_reset, "allot: rewind to a mark that is gone: arena at 0x"},
        {rewind_another, "allot: rewind to a mark that is gone: arena at 0x"},
        {rewind_beyond_a_cleanup, "allot: rewind to a mark that is gone: arena at 0x"},
        {rewind_in_a_cleanup, "allot: rewind to a mark that is gone: arena at 0x"},
        {use_after_done, "allot: allocation after done: arena at 0x"},
        {use_of_shared_after_done, "allot: allocation after done: arena at 0x"},
        {broken_bump, "allot: broken: "},
        {broken_sum, "allot: broken: held == a->held: arena at 0x"},
    };
    for (size_t i = 0; i < sizeof crimes / sizeof crimes[0]; i++) {
        crime_arena = on_upstream((struct allot_arena_opts){0});
        struct child_end end = child_run(crimes[i].crime, NULL);
        assert_true(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGABRT);
        assert_memory_equal(end.text, crimes[i].said, strlen(crimes[i].said));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_aligned_and_apart),
        cmocka_unit_test(aligned_is_the_address),
        cmocka_unit_test(a_gap_is_counted_once),
        cmocka_unit_test(sizes_that_wrap_are_refused),
        cmocka_unit_test(options_that_cannot_be),
        cmocka_unit_test(blocks_double_up_to_the_cap),
        cmocka_unit_test(a_large_object_has_a_block_of_its_own),
        cmocka_unit_test(holds_less_than_twice_what_is_used_and_a_block),
        cmocka_unit_test(extends_the_last_in_place),
        cmocka_unit_test(extends_a_large_one_where_its_block_can),
        cmocka_unit_test(cleanups_run_latest_first),
        cmocka_unit_test(a_cleanup_may_allocate_and_defer),
        cmocka_unit_test(marks_nest),
        cmocka_unit_test(a_limit_is_never_exceeded_and_used_up),
        cmocka_unit_test(a_limit_gives_warm_blocks_up),
        cmocka_unit_test(reset_keeps_what_it_is_told_to),
        cmocka_unit_test(no_page_faults_in_the_steady_state),
        cmocka_unit_test(behind_the_interface_of_borders),
        cmocka_unit_test(misuse_ends_the_process_with_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
