/* unit/attach.c - a process is recorded while it runs, and then no more: by its control page, and through its memory.
 */
#include "common/unit.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <allot/malloc.h>
#include <allot/record.h>

#include "attach.h"
#include "common/area.h"
#include "heap/heap.h"
#include "snapshot/request.h"

enum { KEPT = 100 };

/* Allocates and frees a while for each letter that it reads, and answers whether it is recorded, and at full speed. */
static void worker(int in, int out)
{
    char letter;
    void *kept[KEPT];
    for (unsigned i = 0; i < KEPT; i++) {
        kept[i] = allot_malloc(3000 + i);
    }
    while (read(in, &letter, 1) == 1) {
        for (unsigned i = 0; letter == 'w' && i < 10000; i++) {
            allot_free(allot_malloc(100000));
        }
        for (unsigned i = 0; letter == 'f' && i < KEPT; i++) {
            allot_free(kept[i]);
        }
        char answer = allot_recording() ? 'r' : front.heap_id == front.heap->id ? 'n' : '?';
        if (write(out, &answer, 1) != 1) {
            break;
        }
    }
    _exit(0);
}

static struct {
    pid_t pid;
    int to, from;
} child;

static void start(bool share)
{
    int to[2], from[2];
    assert_int_equal(pipe(to), 0);
    assert_int_equal(pipe(from), 0);
    child.pid = fork();
    if (child.pid == 0) {
        close(to[1]);
        close(from[0]);
        allot_option("share", share ? "on" : "off");
        worker(to[0], from[1]);
    }
    close(to[0]);
    close(from[1]);
    child.to = to[1];
    child.from = from[0];
}

static void stop(void)
{
    int status;
    close(child.to);
    close(child.from);
    assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
    assert_int_equal(status, 0);
}

static char work(char letter)
{
    char answer = 0;
    assert_int_equal(write(child.to, &letter, 1), 1);
    assert_int_equal(read(child.from, &answer, 1), 1);
    return answer;
}

static void attach_and_detach(bool share)
{
    struct area area;
    struct area_events events;
    struct attach_answer answer;
    struct attach attach;
    start(share);
    assert_int_equal(work('w'), 'n');
    for (unsigned round = 0; round < 2; round++) {
        area_open(&area, 512, 0);
        assert_int_equal(attach_open(child.pid, area.path, &attach), 0);
        assert_int_equal(attach.page, share);
        assert_int_equal(attach_ask(&attach, area.path, &answer), 0);
        assert_false(answer.answered); /* it sleeps */
        assert_int_equal(work('w'), 'r');
        assert_int_equal(attach_look(&attach, &answer), 0);
        assert_true(answer.answered && !answer.taken);
        assert_int_equal(attach_ask(&attach, NULL, &answer), 0);
        assert_int_equal(work('w'), 'n');
        attach_close(&attach);
        area_read(&area, &events);
        size_t from = 0, kept = 0;
        assert_int_equal(area_next(&events, 1, RING_PROCESS, &from)->words[2], RING_BEGIN_ATTACHED);
        for (const struct area_event *e; (e = area_next(&events, 1, RING_BEFORE, &from));) {
            kept += e->size >= 3000 && e->size < 3000 + 1000;
        }
        assert_true(kept >= KEPT);
        assert_true(area_count(&events, 1, RING_MALLOC) >= 9000);
        assert_true(area_count(&events, 1, RING_MALLOC) <= 10001);
        area_replay(&events, 1);
        area_free(&events);
        area_close(&area);
    }
    stop();
}

static void test_by_memory(void **state)
{
    (void)state;
    attach_and_detach(false);
}

static void test_by_page(void **state)
{
    (void)state;
    attach_and_detach(true);
}

static void test_answers(void **state)
{
    (void)state;
    struct attach_answer answer;
    struct attach attach;
    for (int share = 0; share < 2; share++) {
        start(share);
        assert_int_equal(attach_open(child.pid, "/nowhere", &attach), 0);
        assert_int_equal(attach_ask(&attach, "/nowhere", &answer), 0);
        assert_int_equal(work('w'), 'n');
        assert_int_equal(attach_look(&attach, &answer), 0);
        assert_true(answer.answered);
        assert_int_equal(answer.error, -ENOENT);
        attach_close(&attach);
        assert_int_equal(work('f'), 'n');
        stop();
    }
    assert_int_equal(attach_open(child.pid, "/nowhere", &attach), -ESRCH);
}

/* Two ask before it has heard of either: the second is heard, and the first can see that it was not. Also where both took the same
 * number, as neither had seen the other's. */
static void two_at_once(bool share, bool same_number)
{
    struct area area[2];
    struct attach attach[2];
    struct attach_answer answer;
    start(share);
    assert_int_equal(work('w'), 'n');
    for (unsigned i = 0; i < 2; i++) {
        area_open(&area[i], 512, 0);
        assert_int_equal(attach_open(child.pid, area[i].path, &attach[i]), 0);
        if (i == 1 && same_number) {
            uint64_t before = attach[0].asked - 1;
            size_t bytes = share ? sizeof before : sizeof(uint32_t);
            assert_int_equal(pwrite(attach[1].fd, &before, bytes, (off_t)attach[1].asked_at), bytes);
        }
        assert_int_equal(attach_ask(&attach[i], area[i].path, &answer), 0);
        assert_false(answer.answered || answer.taken);
    }
    assert_int_equal(attach_look(&attach[0], &answer), 0);
    assert_true(answer.taken && !answer.answered);
    assert_int_equal(work('w'), 'r');
    assert_int_equal(area[0].ring->processes, 0);
    assert_int_equal(area[1].ring->processes, 1);
    assert_int_equal(attach_look(&attach[0], &answer), 0);
    assert_true(answer.taken);
    assert_int_equal(attach_look(&attach[1], &answer), 0);
    assert_true(answer.answered && !answer.taken);
    assert_int_equal(answer.error, 0);
    assert_int_equal(attach_ask(&attach[1], NULL, &answer), 0);
    assert_int_equal(work('w'), 'n');
    for (unsigned i = 0; i < 2; i++) {
        attach_close(&attach[i]);
        area_close(&area[i]);
    }
    stop();
}

static void test_two_at_once(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        two_at_once(i & 1, i & 2);
    }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* which keep terabytes of their own mapped */
static size_t descriptors(void)
{
    size_t count = 0;
    DIR *all = opendir("/proc/self/fd");
    while (all && readdir(all)) {
        count++;
    }
    closedir(all);
    return count;
}

static void hear(const char *what) { (void)what; }

/* `allot top` asks for one after the other. */
static void test_a_snapshot_leaves_nothing_open(void **state)
{
    (void)state;
    enum { TURNS = 200 }; /* so that it does something meanwhile */
    for (int share = 0; share < 2; share++) {
        char letter[TURNS];
        int fd = -1;
        start(share);
        memset(letter, 'w', sizeof letter);
        size_t before = descriptors();
        assert_int_equal(write(child.to, letter, sizeof letter), sizeof letter);
        assert_true(snapshot_request(child.pid, &fd, hear));
        close(fd);
        assert_int_equal(descriptors(), before);
        for (size_t heard = 0; heard < TURNS;) {
            ssize_t got = read(child.from, letter, sizeof letter);
            assert_true(got > 0);
            heard += (size_t)got;
        }
        stop();
    }
}
#endif

/* A process that does not run on it. */
static void test_none(void **state)
{
    (void)state;
    struct attach attach;
    pid_t pid = fork();
    if (pid == 0) {
        execlp("sleep", "sleep", "1000", NULL);
        _exit(127);
    }
    char name[64] = "";
    while (strcmp(name, "sleep") != 0) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
        FILE *comm = fopen(path, "r");
        if (comm && fscanf(comm, "%63s", name) != 1) {
            name[0] = 0;
        }
        if (comm) {
            fclose(comm);
        }
    }
    assert_int_equal(attach_open(pid, "/nowhere", &attach), -ENOENT);
    assert_non_null(strstr(attach_why(-ENOENT, false), "does not run on allot"));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

int main(void)
{
    allot_free(allot_malloc(1));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_memory),
        cmocka_unit_test(test_by_page),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_two_at_once),
        cmocka_unit_test(test_none),
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        cmocka_unit_test(test_a_snapshot_leaves_nothing_open),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
