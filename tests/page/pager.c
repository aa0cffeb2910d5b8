/* page/pager.c - the pager, function by function: what each does, refuses and reports, and how misuse ends. Its stores: stores.c. */
#define _GNU_SOURCE
#include "page/pager_test.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/child.h"

/* -- pin and unpin -- */

static void bound(void **state)
{
    (void)state;
    for (unsigned policy = 0; policy < ALLOT_EVICT_POLICIES; policy++) {
        begin((struct allot_pager_opts){.frames = 10, .policy = policy});
        for (int round = 0; round < 3; round++) {
            for (int page = 0; page < PAGES; page++) {
                assert_int_equal(get((uint64_t)page), round ? page % 255 + 1 : 0);
                put((uint64_t)page, page % 255 + 1);
            }
        }
        told();
        assert_int_equal(stats.frames, 10);
        assert_true(stats.resident == 10 && stats.hits + stats.misses + stats.ahead_used >= 6 * PAGES);
        assert_int_equal(stats.misses + stats.ahead - stats.evicted, 10);
        assert_true(stats.use.held < 10 * PAGE + 64 * 1024);
        end();
    }
}

static void every_frame_pinned(void **state)
{
    (void)state;
    begin((struct allot_pager_opts){.frames = 3});
    void *at[3];
    for (uint64_t i = 0; i < 3; i++) {
        at[i] = allot_pager_pin(&pager, i, READ);
        assert_non_null(at[i]);
        assert_true(allot_pager_frame(&pager, at[i]) < 3);
    }
    assert_null(allot_pager_pin(&pager, 3, READ));
    assert_int_equal(errno, ENOBUFS);
    assert_ptr_equal(allot_pager_pin(&pager, 1, READ), at[1]);
    allot_pager_unpin(&pager, at[1], READ);
    assert_null(allot_pager_pin(&pager, 3, READ));
    told();
    assert_int_equal(stats.use.refused, 2);
    assert_int_equal(stats.use.count, 3);
    assert_int_equal(stats.use.used, 3 * PAGE);
    allot_pager_unpin(&pager, at[1], READ);
    assert_ptr_equal(allot_pager_pin(&pager, 3, READ), at[1]);
    for (int i = 0; i < 3; i++) {
        allot_pager_unpin(&pager, at[i], READ);
    }
    end();
}

static void tries(void **state)
{
    (void)state;
    begin((struct allot_pager_opts){.frames = 4});
    errno = 0;
    assert_null(allot_pager_pin(&pager, 5, READ | TRY));
    assert_int_equal(errno, EAGAIN);
    assert_null(allot_pager_pin(&pager, (uint64_t)1 << 40, READ | TRY));
    assert_int_equal(home.reads, 0);
    get(5);
    void *at = allot_pager_pin(&pager, 5, READ | TRY);
    assert_non_null(at);
    allot_pager_unpin(&pager, at, READ);
    told();
    assert_int_equal(stats.use.refused, 0);
    end();
}

static void fresh(void **state)
{
    (void)state;
    begin((struct allot_pager_opts){.frames = 4});
    put(7, 'x');
    assert_int_equal(allot_pager_flush(&pager), 0);
    assert_int_equal(allot_pager_drop(&pager, 7, 1), 0);
    size_t reads = home.reads;
    char *at = allot_pager_pin(&pager, 7, FRESH);
    assert_int_equal(home.reads, reads);
    assert_true(at[0] == 0 && at[PAGE - 1] == 0);
    allot_pager_unpin(&pager, at, WRITE);
    assert_int_equal(allot_pager_flush(&pager), 0);
    assert_int_equal(home.now[7 * PAGE], 0);
    end();
}

/* What is read in passing goes first. */
static void cold(void **state)
{
    (void)state;
    begin((struct allot_pager_opts){.frames = 20, .policy = ALLOT_LRU, .readahead = 1});
    for (uint64_t i = 0; i < 20; i++) {
        void *at = allot_pager_pin(&pager, 3 * i, i == 10 ? READ | COLD : READ);
        allot_pager_unpin(&pager, at, READ);
    }
    get(100);
    assert_null(allot_pager_pin(&pager, 30, READ | TRY));
    assert_int_equal(get(0), 0);
    end();
}

static void numbers(void **state)
{
    (void)state;
    begin((struct allot_pager_opts){.frames = 4});
    static const uint64_t far[] = {0,
                                   1023,
                                   1024,
                                   (uint64_t)1 << 20,
                                   ((uint64_t)1 << 30) - 1,
                                   (uint64_t)1 << 30,
                                   ((uint64_t)1 << 40) + 5,
                                   ALLOT_PAGER_PAGES - 1};
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        assert_int_equal(get(far[i]), 0);
        allot_pager_check(&pager);
    }
    assert_null(allot_pager_pin(&pager, ALLOT_PAGER_PAGES, READ));
    assert_int_equal(errno, EOVERFLOW);
    assert_null(allot_pager_pin(&pager, UINT64_MAX, READ));
    assert_int_equal(allot_pager_prefetch(&pager, ALLOT_PAGER_PAGES - 1, 2), -EOVERFLOW);
    assert_int_equal(allot_pager_drop(&pager, 0, UINT64_MAX), 0);
    assert_int_equal(allot_pager_drop(&pager, UINT64_MAX, 1), 0);
    told();
    assert_int_equal(stats.resident, 0);
    end();
}

/* A page is pinned as often as its word can count, and not once more; hits are counted beyond what the word can. */
static void counts(void **state)
{
    (void)state;
    for (unsigned how = 0; how <= ALLOT_PAGER_ALONE; how++) {
        begin((struct allot_pager_opts){.frames = 4, .how = how});
        void *at = allot_pager_pin(&pager, 1, READ);
        for (int i = 1; i < ALLOT_PAGER_PINS; i++) {
            assert_ptr_equal(allot_pager_pin(&pager, 1, READ), at);
        }
        assert_null(allot_pager_pin(&pager, 1, READ));
        assert_int_equal(errno, EOVERFLOW);
        for (int i = 0; i < ALLOT_PAGER_PINS; i++) {
            allot_pager_unpin(&pager, at, READ);
        }
        for (int i = 0; i < ALLOT_PAGER_WRITERS; i++) {
            assert_ptr_equal(allot_pager_pin(&pager, 1, WRITE), at);
        }
        assert_null(allot_pager_pin(&pager, 1, WRITE));
        assert_int_equal(errno, EOVERFLOW);
        for (int i = 0; i < ALLOT_PAGER_WRITERS; i++) {
            allot_pager_unpin(&pager, at, WRITE);
        }
        told();
        assert_int_equal(stats.hits, ALLOT_PAGER_PINS - 1 + ALLOT_PAGER_WRITERS);
        assert_int_equal(stats.misses, 1);
        end();
    }
}

/* -- reading ahead -- */

static void ahead(void **state)
{
    (void)state;
    begin((struct allot_pager_opts){.frames = 150});
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(get(i), 0);
    }
    told();
    assert_true(home.reads < 12 && stats.misses == home.reads);
    assert_true(stats.ahead + stats.misses >= 100 && stats.ahead_used == 100 - stats.misses);
    size_t reads = home.reads; /* at random nothing is read that nobody asked for */
    for (uint64_t i = 0; i < 10; i++) {
        get(100 + (i * 37 + 45) % 100);
    }
    assert_true(home.reads >= reads + 8);
    end();

    begin((struct allot_pager_opts){.frames = 150, .readahead = 1});
    for (uint64_t i = 0; i < 100; i++) {
        get(i);
    }
    assert_int_equal(home.reads, 100);
    end();
}

/* Pages that a scan read ahead and used once are no more used than if it had not. */
static void ahead_is_no_use(void **state)
{
    (void)state;
    begin((struct allot_pager_opts){.frames = 100, .policy = ALLOT_SIEVE});
    for (int round = 0; round < 3; round++) {
        for (uint64_t i = 0; i < 40; i++) {
            get(2 * i);
        }
    }
    for (uint64_t i = 100; i < PAGES; i++) {
        get(i);
    }
    size_t there = 0;
    for (uint64_t i = 0; i < 40; i++) {
        void *at = allot_pager_pin(&pager, 2 * i, READ | TRY);
        if (at) {
            there++;
            allot_pager_unpin(&pager, at, READ);
        }
    }
    assert_int_equal(there, 40);
    end();
}

static void prefetched(void **state)
{
    (void)state;
    begin((struct allot_pager_opts){.frames = 100});
    get(13);
    assert_int_equal(allot_pager_prefetch(&pager, 10, 20), 0);
    assert_int_equal(home.reads, 3); /* up to 12; from 14 on */
    for (uint64_t i = 10; i < 30; i++) {
        assert_int_equal(get(i), 0);
    }
    assert_int_equal(home.reads, 3);
    assert_int_equal(allot_pager_prefetch(&pager, 0, PAGES), 0);
    told();
    assert_true(stats.resident <= 100 && stats.ahead_used == 19);
    end();
}

/* As long as there are frames: who wants all there may ever be does not go on to the end of the numbers, nor leaves words for them. */
static void prefetched_beyond_all_frames(void **state)
{
    (void)state;
    void *at[4];
    begin((struct allot_pager_opts){.frames = 4});
    for (uint64_t i = 0; i < 4; i++) {
        at[i] = allot_pager_pin(&pager, i, READ);
        assert_non_null(at[i]);
    }
    told();
    uint64_t held = stats.use.held;
    assert_int_equal(allot_pager_prefetch(&pager, 0, (size_t)1 << 20), 0);
    told();
    assert_int_equal(stats.use.held, held);
    for (uint64_t i = 0; i < 4; i++) {
        allot_pager_unpin(&pager, at[i], READ);
    }
    end();
}

/* -- forgetting and renaming -- */

static void dropped(void **state)
{
    (void)state;
    begin((struct allot_pager_opts){.frames = 20});
    for (uint64_t i = 0; i < 10; i++) {
        put(i, 'd');
    }
    void *at = allot_pager_pin(&pager, 4, READ);
    assert_int_equal(allot_pager_drop(&pager, 2, 5), -EBUSY);
    for (uint64_t i = 0; i < 10; i++) {
        assert_int_equal(get(i), i < 2 || i > 6 || i == 4 ? 'd' : 0);
    }
    allot_pager_unpin(&pager, at, READ);
    assert_int_equal(allot_pager_drop(&pager, 0, PAGES), 0);
    told();
    assert_true(stats.resident == 0 && home.writes == 0);
    end();
}

static void renamed(void **state)
{
    (void)state;
    begin((struct allot_pager_opts){.frames = 20});
    put(1, 'a');
    put(2, 'b');
    void *at = allot_pager_pin(&pager, 1, WRITE);
    assert_int_equal(allot_pager_rename(&pager, at, 1), 0);
    assert_int_equal(allot_pager_rename(&pager, at, ALLOT_PAGER_PAGES), -EOVERFLOW);
    void *other = allot_pager_pin(&pager, 2, READ);
    assert_int_equal(allot_pager_rename(&pager, at, 2), -EBUSY);
    allot_pager_unpin(&pager, other, READ);
    other = allot_pager_pin(&pager, 1, READ);
    assert_int_equal(allot_pager_rename(&pager, at, 2), -EBUSY);
    allot_pager_unpin(&pager, other, READ);
    assert_int_equal(get(2), 'b'); /* nothing has happened */
    assert_int_equal(allot_pager_rename(&pager, at, 2), 0);
    allot_pager_unpin(&pager, at, WRITE);
    assert_int_equal(get(2), 'a');
    assert_int_equal(get(1), 0);
    assert_int_equal(allot_pager_sync(&pager), 0);
    assert_int_equal(home.now[2 * PAGE], 'a');
    assert_int_equal(home.now[1 * PAGE], 0);
    end();
}

static void *renames_to_and_fro(void *arg)
{
    uint64_t from = (uintptr_t)arg;
    for (int i = 0; i < 20000; i++) {
        void *at = allot_pager_pin(&pager, from, WRITE);
        int wrong = allot_pager_rename(&pager, at, 3 - from);
        assert_true(wrong == 0 || wrong == -EBUSY);
        allot_pager_unpin(&pager, at, WRITE);
    }
    return NULL;
}

/* Neither waits for the other, who waits for it. */
static void renamed_crosswise(void **state)
{
    (void)state;
    begin((struct allot_pager_opts){.frames = 20, .readahead = 1});
    pthread_t thread[2];
    for (uintptr_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, renames_to_and_fro, (void *)(i + 1)), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        pthread_join(thread[i], NULL);
    }
    end();
}

/* -- begin, end, fork -- */

static void refusals(void **state)
{
    (void)state;
    struct allot_store store = {.read = reads_nothing}, writable = {.read = reads_nothing, .write = sees_write};
    static const struct allot_pager_opts wrong[] = {
        {.page = 256},    {.page = 3000},
        {.page = 131072}, {.policy = ALLOT_EVICT_POLICIES},
        {.how = 4},       {.frames = ALLOT_EVICT_MAX},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(allot_pager_init(&pager, &store, &wrong[i]), -EINVAL);
        assert_null(pager.state);
    }
    assert_int_equal(allot_pager_init(&pager, &store, &(struct allot_pager_opts){.journal = &writable}), -EINVAL);
    assert_int_equal(allot_pager_init(&pager, &writable, &(struct allot_pager_opts){.journal = &store}), -EINVAL);
    assert_int_equal(allot_pager_init(&pager, &(struct allot_store){0}, NULL), -EINVAL);
}

static void in_a_child(void *arg)
{
    (void)arg;
    assert_int_equal(get(1), 'p');
    put(1, 'c');
    put(2, 'c');
    allot_pager_abandon(&pager);
}

/* The child has a copy, and one of the two leaves the store alone. */
static void forked(void **state)
{
    (void)state;
    begin((struct allot_pager_opts){.frames = 8});
    put(1, 'p');
    struct child_end child = child_run(in_a_child, NULL);
    assert_int_equal(child.status, 0);
    assert_int_equal(get(1), 'p');
    assert_int_equal(get(2), 0);
    assert_int_equal(allot_pager_sync(&pager), 0);
    assert_int_equal(home.now[PAGE], 'p');
    end();
}

/* -- crimes -- */

static void unpins_twice(void *arg)
{
    void *at = allot_pager_pin(arg, 1, READ);
    allot_pager_unpin(arg, at, READ);
    allot_pager_unpin(arg, at, READ);
}
static void unpins_inside(void *arg) { allot_pager_unpin(arg, (char *)allot_pager_pin(arg, 1, READ) + 8, READ); }
static void unpins_nothing(void *arg) { allot_pager_unpin(arg, &arg, READ); }
static void unpins_read_as_write(void *arg) { allot_pager_unpin(arg, allot_pager_pin(arg, 1, READ), WRITE); }
static void unpins_write_as_read(void *arg) { allot_pager_unpin(arg, allot_pager_pin(arg, 1, WRITE), READ); }
static void done_while_pinned(void *arg)
{
    allot_pager_pin(arg, 5, READ);
    allot_pager_done(arg);
}
static void renames_unpinned(void *arg)
{
    void *at = allot_pager_pin(arg, 1, READ);
    allot_pager_unpin(arg, at, READ);
    allot_pager_rename(arg, at, 2);
}
static void uses_done(void *arg)
{
    allot_pager_done(arg);
    allot_pager_pin(arg, 5, READ);
}
static void ends_others_store(void *arg)
{
    (void)arg;
    struct allot_store store = frail_store(&home);
    allot_store_done(&store);
}

static void crimes(void **state)
{
    (void)state;
    static const struct {
        void (*crime)(void *arg);
        const char *line;
    } known[] = {
        {unpins_twice, "allot: unpin of what is not pinned, or not so: page at 0x"},
        {unpins_inside, "allot: unpin of what is not pinned, or not so: page at 0x"},
        {unpins_nothing, "allot: unpin of what is not pinned, or not so: page at 0x"},
        {unpins_read_as_write, "allot: unpin of what is not pinned, or not so: page at 0x"},
        {unpins_write_as_read, "allot: unpin of what is not pinned, or not so: page at 0x"},
        {renames_unpinned, "allot: unpin of what is not pinned, or not so: page at 0x"},
        {done_while_pinned, "allot: done while pages are pinned: page at 0x5\n"},
        {uses_done, "allot: use of a pager that was not initialised, or is done: pager at 0x"},
        {ends_others_store, "allot: done of a store that is not allot's: store at 0x"},
    };
    for (unsigned how = 0; how <= ALLOT_PAGER_ALONE; how++) {
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
            begin((struct allot_pager_opts){.frames = 8, .how = how});
            struct child_end child = child_run(known[i].crime, &pager);
            assert_true(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGABRT);
            assert_non_null(strstr(child.text, known[i].line));
            end();
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bound),
        cmocka_unit_test(every_frame_pinned),
        cmocka_unit_test(tries),
        cmocka_unit_test(fresh),
        cmocka_unit_test(cold),
        cmocka_unit_test(numbers),
        cmocka_unit_test(counts),
        cmocka_unit_test(ahead),
        cmocka_unit_test(ahead_is_no_use),
        cmocka_unit_test(prefetched),
        cmocka_unit_test(prefetched_beyond_all_frames),
        cmocka_unit_test(dropped),
        cmocka_unit_test(renamed),
        cmocka_unit_test(renamed_crosswise),
        cmocka_unit_test(refusals),
        cmocka_unit_test(forked),
        cmocka_unit_test(crimes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
