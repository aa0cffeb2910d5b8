/* page/pager.c - the pager, function by function: what each does, refuses and reports, and how misuse ends. */
#define _GNU_SOURCE
#include "common/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <allot/malloc.h>
#include <allot/pager.h>

#include "common/child.h"
#include "page/frail.h"

enum {
    READ = ALLOT_PAGER_READ,
    WRITE = ALLOT_PAGER_WRITE,
    FRESH = ALLOT_PAGER_FRESH,
    COLD = ALLOT_PAGER_COLD,
    TRY = ALLOT_PAGER_TRY
};
enum { PAGES = 200, PAGE = 4096 };

static struct machine always = {.left = -1};
static struct frail home;
static struct allot_pager pager;
static struct allot_pager_stats stats;

static void begin(struct allot_pager_opts opts)
{
    frail_init(&home, &always, (size_t)PAGES * PAGE, 1);
    struct allot_store store = frail_store(&home);
    assert_int_equal(allot_pager_init(&pager, &store, &opts), 0);
}

static void end(void)
{
    allot_pager_check(&pager);
    assert_int_equal(allot_pager_done(&pager), 0);
    frail_done(&home);
}

static void put(uint64_t page, int value)
{
    char *at = allot_pager_pin(&pager, page, WRITE);
    assert_non_null(at);
    memset(at, value, PAGE);
    allot_pager_unpin(&pager, at, WRITE);
}

static int get(uint64_t page)
{
    unsigned char *at = allot_pager_pin(&pager, page, READ);
    assert_non_null(at);
    int value = at[PAGE - 1];
    assert_int_equal(at[0], value);
    allot_pager_unpin(&pager, at, READ);
    return value;
}

static void told(void) { allot_pager_stats(&pager, &stats); }

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

/* -- writing back -- */

struct seen {
    uint64_t page[64];
    size_t count[64], calls;
    int answer;
};

static int sees_write(void *self, uint64_t page, size_t size, void *const *from, size_t count)
{
    struct seen *seen = self;
    (void)from;
    assert_int_equal(size, PAGE);
    seen->page[seen->calls] = page;
    seen->count[seen->calls++] = count;
    return seen->answer;
}

static int reads_nothing(void *self, uint64_t page, size_t size, void *const *into, size_t count)
{
    (void)self, (void)page;
    for (size_t i = 0; i < count; i++) {
        memset(into[i], 0, size);
    }
    return 0;
}

static void in_order(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct allot_store store = {.read = reads_nothing, .write = sees_write, .self = &seen};
    assert_int_equal(allot_pager_init(&pager, &store, &(struct allot_pager_opts){.frames = 50, .readahead = 1}), 0);
    static const uint64_t dirty[] = {40, 7, 12, 6, 8, 41, 13, 30};
    for (size_t i = 0; i < 8; i++) {
        put(dirty[i], 1);
    }
    assert_int_equal(allot_pager_flush(&pager), 0);
    static const uint64_t page[] = {6, 12, 30, 40}, count[] = {3, 2, 1, 2};
    assert_int_equal(seen.calls, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(seen.page[i], page[i]);
        assert_int_equal(seen.count[i], count[i]);
    }
    assert_int_equal(allot_pager_flush(&pager), 0); /* nothing is dirty any more */
    assert_int_equal(seen.calls, 4);
    told();
    assert_int_equal(stats.written, 8);
    assert_int_equal(stats.writes, 4);

    /* What is written for a frame's sake takes its neighbours along. */
    assert_int_equal(allot_pager_drop(&pager, 0, 100), 0);
    for (uint64_t i = 0; i < 50; i++) {
        put(100 + i, 1);
    }
    seen.calls = 0;
    get(300);
    assert_true(seen.calls == 1 && seen.count[0] > 1 && seen.page[0] >= 100 && seen.page[0] + seen.count[0] <= 150);
    assert_int_equal(allot_pager_done(&pager), 0);
}

static void pinned_for_write(void **state)
{
    (void)state;
    begin((struct allot_pager_opts){.frames = 8});
    put(1, 'a');
    char *at = allot_pager_pin(&pager, 2, WRITE);
    at[0] = 'b';
    void *read = allot_pager_pin(&pager, 1, READ);
    assert_int_equal(allot_pager_sync(&pager), -EBUSY);
    assert_int_equal(home.now[1 * PAGE], 'a');
    assert_int_equal(home.now[2 * PAGE], 0);
    assert_int_equal(home.syncs, 1);
    allot_pager_unpin(&pager, at, WRITE);
    allot_pager_unpin(&pager, read, READ);
    assert_int_equal(allot_pager_sync(&pager), 0);
    assert_int_equal(home.now[2 * PAGE], 'b');
    end();
}

static void failed_writes(void **state)
{
    (void)state;
    begin((struct allot_pager_opts){.frames = 8, .readahead = 1});
    for (uint64_t i = 0; i < 8; i++) {
        put(i, 'a' + (int)i);
    }
    home.fail_writes = 1000;
    assert_null(allot_pager_pin(&pager, 20, READ)); /* there is no other frame */
    assert_int_equal(errno, EIO);
    assert_int_equal(allot_pager_flush(&pager), -EIO);
    assert_int_equal(allot_pager_sync(&pager), -EIO);
    assert_int_equal(allot_pager_done(&pager), -EIO);
    told();
    assert_true(stats.dirty == 8 && stats.write_errors >= 16 && stats.written == 0);
    allot_pager_check(&pager);
    for (uint64_t i = 0; i < 8; i++) {
        assert_int_equal(get(i), 'a' + (int)i);
    }
    home.fail_writes = 0;
    assert_int_equal(get(20), 0);
    assert_int_equal(allot_pager_sync(&pager), 0);
    for (uint64_t i = 0; i < 8; i++) {
        assert_int_equal(home.now[i * PAGE], 'a' + (int)i);
    }
    end();
}

/* Who only reads goes on while the disk is full, as long as any page is clean. */
static void full_disk(void **state)
{
    (void)state;
    begin((struct allot_pager_opts){.frames = 8, .readahead = 1});
    home.full = 100 * PAGE;
    for (uint64_t i = 0; i < 5; i++) {
        put(150 + i, 'f');
    }
    for (uint64_t i = 0; i < 90; i++) {
        assert_int_equal(get(i), 0);
    }
    put(3, 'g');
    assert_int_equal(allot_pager_sync(&pager), -ENOSPC);
    assert_int_equal(home.now[3 * PAGE], 'g'); /* the others are written */
    told();
    assert_int_equal(stats.dirty, 5);
    for (uint64_t i = 0; i < 5; i++) {
        assert_int_equal(get(150 + i), 'f');
    }
    home.full = 0;
    assert_int_equal(allot_pager_sync(&pager), 0);
    assert_int_equal(home.now[154 * PAGE], 'f');
    end();
}

/* What the system may have dropped is written once more. */
static void failed_sync(void **state)
{
    (void)state;
    begin((struct allot_pager_opts){.frames = 8});
    put(1, 'a');
    home.fail_syncs = 1000;
    assert_int_equal(allot_pager_sync(&pager), -EIO);
    home.fail_syncs = 0;
    told();
    assert_true(stats.dirty == 1 && stats.sync_errors == 1);
    size_t writes = home.writes;
    assert_int_equal(allot_pager_sync(&pager), 0);
    assert_int_equal(home.writes, writes + 1);
    end();
}

static void failed_reads(void **state)
{
    (void)state;
    begin((struct allot_pager_opts){.frames = 8});
    home.fail_reads = 1000;
    home.error = ENXIO;
    for (int i = 0; i < 20; i++) {
        assert_null(allot_pager_pin(&pager, 1, READ));
        assert_int_equal(errno, ENXIO);
    }
    assert_int_equal(allot_pager_prefetch(&pager, 3, 3), -ENXIO);
    home.fail_reads = 0;
    assert_int_equal(get(1), 0);
    told();
    assert_int_equal(stats.read_errors, 23);
    assert_int_equal(stats.resident, 1);
    end();
}

static int says_seven(void *self, uint64_t page, size_t size, void *const *into, size_t count)
{
    (void)self, (void)page, (void)size, (void)into, (void)count;
    return 7;
}

static void odd_stores(void **state)
{
    (void)state;
    struct allot_store store = {.read = says_seven};
    assert_int_equal(allot_pager_init(&pager, &store, NULL), 0);
    assert_null(allot_pager_pin(&pager, 1, READ));
    assert_int_equal(errno, EIO);
    assert_null(allot_pager_pin(&pager, 1, WRITE));
    assert_int_equal(errno, EROFS);
    assert_null(allot_pager_pin(&pager, 1, FRESH));
    assert_int_equal(errno, EROFS);
    assert_int_equal(allot_pager_sync(&pager), 0);
    assert_int_equal(allot_pager_done(&pager), 0);
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
    assert_int_equal(allot_pager_rename(&pager, at, 2), 0);
    allot_pager_unpin(&pager, at, WRITE);
    assert_int_equal(get(2), 'a');
    assert_int_equal(get(1), 0);
    assert_int_equal(allot_pager_sync(&pager), 0);
    assert_int_equal(home.now[2 * PAGE], 'a');
    assert_int_equal(home.now[1 * PAGE], 0);
    end();
}

/* -- checksums -- */

static void get_unchecked(uint64_t page)
{
    void *at = allot_pager_pin(&pager, page, READ);
    assert_non_null(at);
    allot_pager_unpin(&pager, at, READ);
}

static void sums(void **state)
{
    (void)state;
    begin((struct allot_pager_opts){.frames = 40, .how = ALLOT_PAGER_CHECKED});
    for (uint64_t i = 0; i < 40; i++) {
        char *at = allot_pager_pin(&pager, i, FRESH);
        memset(at, (int)i, PAGE - 8);
        allot_pager_unpin(&pager, at, WRITE);
    }
    assert_int_equal(allot_pager_flush(&pager), 0);
    assert_int_equal(allot_pager_drop(&pager, 0, PAGES), 0);
    for (int bit = 0; bit < 8 * PAGE; bit += 997) { /* any bit, the sum's too */
        home.now[9 * PAGE + bit / 8] ^= 1 << bit % 8;
        assert_null(allot_pager_pin(&pager, 9, READ));
        assert_int_equal(errno, EBADMSG);
        home.now[9 * PAGE + bit / 8] ^= 1 << bit % 8;
    }
    told();
    assert_int_equal(stats.wrong_page, 9);
    assert_true(stats.wrong_sums > 30);
    void *at = allot_pager_pin(&pager, 9, READ);
    assert_non_null(at);
    allot_pager_unpin(&pager, at, READ);
    home.now[33 * PAGE] ^= 1; /* that is read with those before it */
    get_unchecked(30);
    get_unchecked(31);
    get_unchecked(32);
    assert_null(allot_pager_pin(&pager, 33, READ));
    assert_int_equal(errno, EBADMSG);
    memcpy(home.now + 12 * PAGE, home.now + 11 * PAGE, PAGE); /* another page's, whole */
    assert_null(allot_pager_pin(&pager, 12, READ));
    memset(home.now + 13 * PAGE, 0, PAGE); /* never written */
    at = allot_pager_pin(&pager, 13, READ);
    assert_non_null(at);
    allot_pager_unpin(&pager, at, READ);
    end();
}

/* -- stores -- */

static void memory_store(void **state)
{
    (void)state;
    struct allot_store store;
    assert_int_equal(allot_store_memory(&store, 10 * PAGE), 0);
    assert_int_equal(allot_pager_init(&pager, &store, &(struct allot_pager_opts){.frames = 4}), 0);
    for (uint64_t i = 0; i < 10; i++) {
        put(i * 1000, 'm');
    }
    assert_int_equal(allot_pager_flush(&pager), 0);
    put(10, 'm');
    assert_int_equal(allot_pager_flush(&pager), -ENOSPC);
    assert_int_equal(allot_pager_drop(&pager, 10, 1), 0);
    for (uint64_t i = 0; i < 10; i++) {
        assert_int_equal(get(i * 1000), 'm');
    }
    assert_int_equal(get(11), 0);
    assert_int_equal(allot_pager_done(&pager), 0);
    allot_store_done(&store);
    assert_null(store.read);
}

static int make_file(void)
{
    char path[] = "/tmp/pager-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    return fd;
}

static void file_store(void **state)
{
    (void)state;
    for (unsigned how = 0; how <= ALLOT_STORE_PLAIN; how++) {
        int fd = make_file();
        struct allot_store store;
        assert_int_equal(allot_store_file(&store, fd, how), 0);
        assert_true(how != ALLOT_STORE_PLAIN || !store.many);
        assert_int_equal(pwrite(fd, "short", 5, 3 * PAGE), 5); /* the file ends within page 3 */
        assert_int_equal(allot_pager_init(&pager, &store, &(struct allot_pager_opts){.frames = 64}), 0);
        char *at = allot_pager_pin(&pager, 3, READ);
        assert_memory_equal(at, "short\0\0", 7);
        assert_int_equal(at[PAGE - 1], 0);
        allot_pager_unpin(&pager, at, READ);
        for (uint64_t i = 0; i < 300; i++) {
            put(i + i / 5, (int)(i % 255) + 1); /* four neighbours, a gap */
        }
        assert_int_equal(allot_pager_sync(&pager), 0);
        assert_int_equal(allot_pager_drop(&pager, 0, 1000), 0);
        assert_int_equal(allot_pager_prefetch(&pager, 100, 60), 0);
        for (uint64_t i = 0; i < 300; i++) {
            assert_int_equal(get(i + i / 5), (int)(i % 255) + 1);
        }
        char byte;
        assert_int_equal(pread(fd, &byte, 1, 7 * PAGE), 1);
        assert_int_equal(byte, 7);
        assert_int_equal(allot_pager_done(&pager), 0);
        assert_int_equal(allot_pager_init(&pager, &store, &(struct allot_pager_opts){.page = 65536}), 0);
        assert_null(allot_pager_pin(&pager, ALLOT_PAGER_PAGES - 1, READ)); /* no file is so long */
        assert_int_equal(errno, EFBIG);
        assert_int_equal(allot_pager_done(&pager), 0);
        allot_store_done(&store);
        close(fd);
    }
}

static void wrong_descriptor(void **state)
{
    (void)state;
    for (unsigned how = 0; how <= ALLOT_STORE_PLAIN; how++) {
        struct allot_store store;
        assert_int_equal(allot_store_file(&store, -1, how), 0);
        assert_int_equal(allot_pager_init(&pager, &store, NULL), 0);
        assert_null(allot_pager_pin(&pager, 1, READ));
        assert_int_equal(errno, EBADF);
        assert_int_equal(allot_pager_prefetch(&pager, 1, 1), -EBADF);
        allot_pager_abandon(&pager);
        allot_store_done(&store);
    }
}

/* A file that may not grow: some transfers of many fail, others come through, or in part. */
static void full_file(void **state)
{
    (void)state;
    for (unsigned how = 0; how <= ALLOT_STORE_PLAIN; how++) {
        int fd = make_file();
        struct allot_store store;
        assert_int_equal(allot_store_file(&store, fd, how), 0);
        assert_int_equal(allot_pager_init(&pager, &store, &(struct allot_pager_opts){.frames = 64}), 0);
        for (uint64_t i = 0; i < 40; i++) {
            put(i + i / 4, 'f');
        }
        struct rlimit was, now;
        getrlimit(RLIMIT_FSIZE, &was);
        now = was;
        now.rlim_cur = 21 * PAGE + 100; /* within a transfer: 20 to 23 */
        signal(SIGXFSZ, SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &now);
        assert_int_equal(allot_pager_sync(&pager), -EFBIG);
        told();
        assert_int_equal(stats.dirty, 24);
        setrlimit(RLIMIT_FSIZE, &was);
        assert_int_equal(allot_pager_sync(&pager), 0);
        assert_int_equal(allot_pager_drop(&pager, 0, 100), 0);
        for (uint64_t i = 0; i < 40; i++) {
            assert_int_equal(get(i + i / 4), 'f');
        }
        assert_int_equal(allot_pager_done(&pager), 0);
        allot_store_done(&store);
        close(fd);
    }
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

static void journal_is_used(void **state)
{
    (void)state;
    struct frail second;
    frail_init(&second, &always, (size_t)65 * PAGE, 2);
    struct allot_store journal = frail_store(&second);
    begin((struct allot_pager_opts){.frames = 100, .journal = &journal, .journal_pages = 11});
    for (uint64_t i = 0; i < 35; i++) {
        put(3 * i, 'j');
    }
    assert_int_equal(allot_pager_sync(&pager), 0);
    assert_int_equal(second.syncs, 4); /* 10 pages a batch */
    assert_int_equal(home.syncs, 4);   /* before each but the first, and at the end */
    assert_memory_equal(second.now, "allot journal 1", 16);
    second.fail_writes = 1000;
    put(1, 'k');
    assert_int_equal(allot_pager_sync(&pager), -EIO);
    assert_int_equal(home.now[PAGE], 0); /* not home before it is in the journal */
    second.fail_writes = 0;
    end();
    assert_int_equal(second.now[0], 0); /* void */
    frail_done(&second);
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
        cmocka_unit_test(in_order),
        cmocka_unit_test(pinned_for_write),
        cmocka_unit_test(failed_writes),
        cmocka_unit_test(full_disk),
        cmocka_unit_test(failed_sync),
        cmocka_unit_test(failed_reads),
        cmocka_unit_test(odd_stores),
        cmocka_unit_test(ahead),
        cmocka_unit_test(ahead_is_no_use),
        cmocka_unit_test(prefetched),
        cmocka_unit_test(dropped),
        cmocka_unit_test(renamed),
        cmocka_unit_test(sums),
        cmocka_unit_test(memory_store),
        cmocka_unit_test(file_store),
        cmocka_unit_test(wrong_descriptor),
        cmocka_unit_test(full_file),
        cmocka_unit_test(refusals),
        cmocka_unit_test(forked),
        cmocka_unit_test(journal_is_used),
        cmocka_unit_test(crimes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
