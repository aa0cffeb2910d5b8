/* page/stores.c - the pager and its stores: what goes back to them and when, what becomes of pages when they fail, checksums, the stores
 * that the library has, a journal.
 */
#define _GNU_SOURCE
#include "page/pager_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <allot/malloc.h>

/* -- writing back -- */

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

/* While the store syncs, pages come to frames that it had others of. */
static void *reads_a_row(void *arg)
{
    (void)arg;
    get(100);
    get(101);
    return NULL;
}

static int fails_to_sync(void *self)
{
    pthread_t thread;
    (void)self;
    assert_int_equal(pthread_create(&thread, NULL, reads_a_row, NULL), 0);
    pthread_join(thread, NULL);
    return -EIO;
}

static void failed_sync_of_others(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct allot_store store = {.read = reads_nothing, .write = sees_write, .sync = fails_to_sync, .self = &seen};
    assert_int_equal(allot_pager_init(&pager, &store, &(struct allot_pager_opts){.frames = 32}), 0);
    for (uint64_t i = 0; i < 32; i++) {
        put(2 * i, 'a');
    }
    assert_int_equal(allot_pager_sync(&pager), -EIO);
    told();
    assert_true(stats.ahead > 0 && stats.ahead_used == 0);
    assert_int_equal(stats.dirty, 32 - 2 - stats.ahead);
    allot_pager_check(&pager);
    allot_pager_abandon(&pager);
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

/* -- a journal -- */

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

/* A page whose writing home failed in the middle is whole there before the journal goes, also when nobody has it any more. */
static void torn_at_home(void **state)
{
    (void)state;
    struct frail second;
    frail_init(&second, &always, (size_t)65 * PAGE, 2);
    struct allot_store journal = frail_store(&second);
    for (int again = 0; again < 20; again++) { /* it is at random in which middle */
        begin((struct allot_pager_opts){.frames = 10, .journal = &journal, .journal_pages = 2});
        put(3, 'a');
        assert_int_equal(allot_pager_sync(&pager), 0);
        put(3, 'b');
        home.fail_writes = 1000;
        assert_int_equal(allot_pager_flush(&pager), -EIO);
        assert_int_equal(allot_pager_drop(&pager, 3, 1), 0);
        home.fail_writes = 0;
        if (again % 2) {
            put(5, 'c'); /* over it, in the journal */
            assert_int_equal(allot_pager_flush(&pager), 0);
        }
        allot_pager_check(&pager);
        assert_int_equal(allot_pager_done(&pager), 0);
        for (size_t i = 1; i < PAGE; i++) {
            assert_int_equal(home.now[3 * PAGE + i], home.now[3 * PAGE]);
        }
        frail_done(&home);
    }
    frail_done(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order),     cmocka_unit_test(pinned_for_write), cmocka_unit_test(failed_writes),
        cmocka_unit_test(full_disk),    cmocka_unit_test(failed_sync),      cmocka_unit_test(failed_sync_of_others),
        cmocka_unit_test(failed_reads), cmocka_unit_test(odd_stores),       cmocka_unit_test(sums),
        cmocka_unit_test(memory_store), cmocka_unit_test(file_store),       cmocka_unit_test(wrong_descriptor),
        cmocka_unit_test(full_file),    cmocka_unit_test(journal_is_used),  cmocka_unit_test(torn_at_home),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
