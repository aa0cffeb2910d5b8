/* snap/self.c - allot_leaks, allot_since and allot_snapshot of a process with threads; and threads that do not stop. */
#include "common/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <allot/malloc.h>
#include <allot/movable.h>
#include <allot/snapshot.h>

#include "graph/graph.h"
#include "heap/describe.h"
#include "snap/format.h"

static void *volatile held[100];
static atomic_int there, over;

static __attribute__((noinline)) void lose(unsigned count, size_t size)
{
    for (unsigned i = 0; i < count; i++) {
        memset(allot_malloc(size), 1, size);
    }
    volatile char deep[16384];
    memset((void *)deep, 0, sizeof deep);
}

static __attribute__((noinline)) struct allot_leaks leaks(const struct allot_since *since)
{
    struct allot_leaks all;
    assert_int_equal(allot_leaks(&(struct allot_leaks_opts){.since = since}, &all), 0);
    return all;
}

static void lost_since_a_moment(void **state)
{
    (void)state;
    lose(3, 100);
    struct allot_since *since = allot_since();
    assert_non_null(since);
    assert_int_equal(leaks(since).definite.blocks, 0);
    lose(5, 200);
    held[0] = allot_malloc(300);
    struct allot_leaks now = leaks(since), all = leaks(NULL);
    assert_int_equal(now.definite.blocks, 5);
    assert_int_equal(now.reachable.blocks, 1);
    assert_true(all.definite.blocks >= 8);
    allot_since_done(since);
    allot_free(held[0]);
    held[0] = NULL;
}

static __attribute__((noinline)) void hold(struct allot_movable *heap, allot_ref ref)
{
    *(void **)allot_movable_at(heap, ref) = memset(allot_malloc(500), 1, 500);
    volatile char deep[16384];
    memset((void *)deep, 0, sizeof deep);
}

/* Its objects are no leaks, though nobody has their addresses; nor is what they point to, wherever they are. */
static void held_by_a_movable_heap(void **state)
{
    (void)state;
    static struct allot_movable heap;
    assert_int_equal(allot_movable_init(&heap, 1 << 24, &(struct allot_movable_opts){.debug = true}), 0);
    struct allot_since *since = allot_since();
    allot_ref ref = allot_movable_get(&heap, 100), large = allot_movable_get(&heap, 100000);
    hold(&heap, ref);
    hold(&heap, large);
    for (int moved = 0; moved < 2; moved++) {
        struct allot_leaks now = leaks(since);
        assert_int_equal(now.definite.blocks, 0);
        assert_int_equal(now.reachable.blocks, 4);
        allot_movable_step(&heap, 1);
    }
    *(void **)allot_movable_at(&heap, ref) = NULL;
    allot_movable_step(&heap, 1);
    assert_int_equal(leaks(since).definite.blocks, 1);
    allot_since_done(since);
    allot_movable_done(&heap);
}

static void *stands(void *arg)
{
    void *volatile mine = allot_malloc(1000);
    atomic_fetch_add(&there, 1);
    while (!atomic_load(&over)) {
        usleep(1000);
    }
    allot_free(mine);
    return arg;
}

static void *does_not_stop(void *arg)
{
    sigset_t every;
    sigfillset(&every);
    pthread_sigmask(SIG_BLOCK, &every, NULL);
    return stands(arg);
}

static void *allocates(void *arg)
{
    while (!atomic_load(&over)) {
        void *p[50];
        for (unsigned i = 0; i < 50; i++) {
            p[i] = allot_malloc(i * 37);
        }
        for (unsigned i = 0; i < 50; i++) {
            allot_free(p[i]);
        }
    }
    return arg;
}

static struct allot_leaks with_threads(unsigned count, void *(*run)(void *), bool waits)
{
    pthread_t id[50];
    atomic_store(&there, 0);
    atomic_store(&over, 0);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(pthread_create(&id[i], NULL, run, NULL), 0);
    }
    while (waits && atomic_load(&there) < (int)count) {
        usleep(1000);
    }
    struct allot_leaks all = leaks(NULL);
    for (unsigned i = 0; !waits && i < 20; i++) {
        all = leaks(NULL);
    }
    atomic_store(&over, 1);
    for (unsigned i = 0; i < count; i++) {
        pthread_join(id[i], NULL);
    }
    return all;
}

static void threads_hold_what_they_use(void **state)
{
    (void)state;
    uint64_t before = leaks(NULL).definite.blocks;
    struct allot_leaks all = with_threads(50, stands, true);
    assert_int_equal(all.unstopped, 0);
    assert_int_equal(all.definite.blocks, before);
    assert_true(all.thread_only.blocks >= 50);
}

static void threads_that_do_not_stop(void **state)
{
    (void)state;
    uint64_t before = leaks(NULL).definite.blocks;
    struct allot_leaks all = with_threads(3, does_not_stop, true);
    assert_int_equal(all.unstopped, 3);
    assert_int_equal(all.definite.blocks, before);
}

/* In the midst of whatever they do: nothing breaks, and no thread hangs. */
static void threads_that_allocate(void **state)
{
    (void)state;
    assert_int_equal(with_threads(4, allocates, false).unstopped, 0);
    assert_true(allot_check());
}

static void suppressions(void **state)
{
    (void)state;
    char path[] = "/tmp/allot-suppressions-XXXXXX";
    int fd = mkstemp(path);
    static const char text[] = "# all of malloc's\nleak:^malloc$\n";
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    struct allot_leaks all;
    lose(2, 100);
    assert_int_equal(allot_leaks(&(struct allot_leaks_opts){.suppressions = path}, &all), 0);
    assert_true(all.suppressed.blocks >= 2 && all.definite.blocks == 0);
    unlink(path);
    assert_int_equal(allot_leaks(&(struct allot_leaks_opts){.suppressions = path}, &all), -ENOENT);
}

struct told {
    uint64_t blocks[GRAPH_DEFINITE + 1], retained;
};

static void tell(void *arg, const void *block, uint64_t retains, unsigned verdict)
{
    struct told *told = arg;
    assert_true(block != NULL && verdict <= GRAPH_DEFINITE);
    told->blocks[verdict]++;
    told->retained += verdict != GRAPH_DEFINITE ? 0 : retains ? retains : allot_malloc_usable_size(block);
}

static void verdicts_one_by_one(void **state)
{
    (void)state;
    lose(4, 500);
    struct told told = {{0}, 0};
    assert_true(snap_verdicts(tell, &told));
    struct allot_leaks all = leaks(NULL);
    assert_int_equal(told.blocks[GRAPH_DEFINITE], all.definite.blocks);
    assert_int_equal(told.blocks[GRAPH_REACHABLE], all.reachable.blocks);
    assert_int_equal(told.retained, all.definite.bytes + all.indirect.bytes);
}

static void a_snapshot(void **state)
{
    (void)state;
    char path[] = "/tmp/allot-snapshot-XXXXXX";
    int fd = mkstemp(path);
    struct stat file;
    struct snap_part last;
    assert_int_equal(allot_snapshot(path), 0);
    assert_int_equal(fstat(fd, &file), 0);
    assert_true(file.st_size > (off_t)sizeof(struct snap_header));
    assert_int_equal(pread(fd, &last, sizeof last, file.st_size - (off_t)sizeof last), sizeof last);
    assert_int_equal(last.section, SNAP_END);
    close(fd);
    unlink(path);
    assert_int_equal(allot_snapshot("/no/such/folder/file"), -ENOENT);
    assert_true(allot_check());
}

/* What cannot be written to its end is not left there, as it is with leaks_file. */
static void a_snapshot_that_does_not_fit(void **state)
{
    (void)state;
    char path[] = "/tmp/allot-snapshot-XXXXXX";
    struct rlimit before;
    close(mkstemp(path));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){4096, before.rlim_max}), 0);
    int error = allot_snapshot(path);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_true(error == -EFBIG || error == -EIO);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(allot_snapshot("/dev/full"), -ENOSPC);
    assert_int_equal(access("/dev/full", F_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lost_since_a_moment),
        cmocka_unit_test(held_by_a_movable_heap),
        cmocka_unit_test(threads_hold_what_they_use),
        cmocka_unit_test(threads_that_do_not_stop),
        cmocka_unit_test(threads_that_allocate),
        cmocka_unit_test(suppressions),
        cmocka_unit_test(a_snapshot),
        cmocka_unit_test(a_snapshot_that_does_not_fit),
        cmocka_unit_test(verdicts_one_by_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
