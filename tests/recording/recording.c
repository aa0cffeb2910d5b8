/* recording/recording.c - programs that are recorded from their start: what they say they did is what was recorded, in its order, on
 * allot's malloc and on others; across exec; and whole though they were killed at any moment.
 *
 *     recording FOLDER PRELOAD KIND      FOLDER has the workers; PRELOAD is what goes before them, libraries with : between;
 *                                        KIND: allot, harden=1 and so on, other, or terse: other, and its new ends the program
 *                                        rather than throw
 */
#define _GNU_SOURCE
#include "common/unit.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/area.h"

static const char *folder, *preload;
static const char *hardening = "";
static bool is_other, is_terse;

static struct area area;
static struct area_events events;
static int status;

static pid_t start(const char *worker, const char *argument, int out)
{
    char path[4096], options[128];
    snprintf(path, sizeof path, "%s/recording-%s", folder, worker);
    snprintf(options, sizeof options, "%s,record=%s", hardening, area.path);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out, 1);
        setenv("LD_PRELOAD", preload, 1);
        setenv("ALLOT_OPTIONS", options, 1);
        execl(path, path, argument, NULL);
        _exit(127);
    }
    return pid;
}

/* What the worker has said, in text. */
static char *run(const char *worker, const char *argument)
{
    static char text[65536];
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = start(worker, argument, pipes[1]);
    close(pipes[1]);
    size_t used = 0;
    for (ssize_t n; (n = read(pipes[0], text + used, sizeof text - 1 - used)) > 0;) {
        used += (size_t)n;
    }
    text[used] = 0;
    close(pipes[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    area_read(&area, &events);
    return text;
}

static enum ring_op op_of(const char *name)
{
    static const struct {
        const char *name;
        enum ring_op op;
    } ops[] = {{"malloc", RING_MALLOC}, {"calloc", RING_CALLOC},     {"aligned", RING_ALIGNED}, {"free", RING_FREE},
               {"failed", RING_FAILED}, {"from", RING_REALLOC_FROM}, {"to", RING_REALLOC_TO},   {"mark", RING_TEXT}};
    for (unsigned i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        if (strcmp(ops[i].name, name) == 0) {
            return ops[i].op;
        }
    }
    return RING_NONE;
}

/* Every line is an event, one after the other; at a line "?" some may come between. */
static void expect_said(char *text, uint32_t process)
{
    size_t at = 0;
    bool anywhere = true;
    assert_int_equal(status, 0);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        char name[16];
        size_t p, size;
        assert_int_equal(sscanf(line, "%15s %zx %zu", name, &p, &size), 3);
        enum ring_op op = op_of(name);
        if (op == RING_NONE) {
            anywhere = true;
            continue;
        }
        const struct area_event *e;
        do {
            e = area_next(&events, process, RING_NONE, &at);
            if (!e) {
                fail_msg("nothing was recorded of: %s", line);
            }
        } while (anywhere && !(e->op == op && e->address == p && e->size == size));
        anywhere = false;
        if (e->op != op || e->address != p || e->size != size) {
            fail_msg("recorded op %d %zx %zu for: %s", (int)e->op, (size_t)e->address, (size_t)e->size, line);
        }
    }
    assert_false(anywhere);
}

static int begin(void **state)
{
    (void)state;
    area_open(&area, 1024, 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    area_free(&events);
    area_close(&area);
    return 0;
}

/* The last word of a process that ends as it should. */
static bool has_said_exit(uint32_t process)
{
    size_t at = 0;
    for (const struct area_event *e; (e = area_next(&events, process, RING_TEXT, &at));) {
        if (e->words[0] == RING_TEXT_EXIT) {
            return true;
        }
    }
    return false;
}

static void expect_beginning(uint32_t process)
{
    size_t at = 0;
    const struct area_event *e = area_next(&events, process, RING_NONE, &at);
    assert_non_null(e);
    assert_int_equal(e->op, RING_PROCESS);
    assert_int_equal(e->words[0], 0);
    assert_int_equal(e->words[2], RING_BEGIN_EXEC);
}

static void test_family(void **state)
{
    (void)state;
    expect_said(run("family", NULL), 1);
    expect_beginning(1);
    assert_true(has_said_exit(1));
    assert_int_equal(area.ring->processes, 1);
    area_replay(&events, 1); /* from its first allocation on */
}

static void test_exec(void **state)
{
    (void)state;
    expect_said(run("family", "exec"), 2);
    expect_beginning(1);
    expect_beginning(2);
    assert_false(has_said_exit(1));
    assert_true(has_said_exit(2));
    size_t at = 0, again = 0;
    assert_int_equal(area_next(&events, 1, RING_PROCESS, &at)->tid, area_next(&events, 2, RING_PROCESS, &again)->tid);
}

static void test_news(void **state)
{
    (void)state;
    expect_said(run("news", is_terse ? "terse" : NULL), 1);
    area_replay(&events, 1);
}

static void test_copies(void **state)
{
    (void)state;
    expect_said(run("copies", is_other ? "two" : "one"), 1);
    if (!is_other) {
        assert_int_equal(area.ring->processes, 1);
    }
}

/* At any moment: every other time of its start, else once it has written something. */
static void test_killed(void **state)
{
    (void)state;
    unsigned seed = 1, with_something = 0;
    for (unsigned round = 0; round < 100; round++) {
        begin(NULL);
        pid_t pid = start("churn", NULL, 1);
        while (round % 2 && area_words(&area) < 1000) {
            sched_yield();
        }
        seed = seed * 1103515245 + 12345;
        struct timespec moment = {0, (long)(seed >> 8) % 10000000};
        nanosleep(&moment, NULL);
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        area_read(&area, &events); /* which checks each event */
        area_replay(&events, 1);
        with_something += area_count(&events, 1, RING_MALLOC) > 100;
        end(NULL);
    }
    assert_true(with_something >= 50);
}

int main(int count, char **argument)
{
    if (count != 4) {
        return 2;
    }
    folder = argument[1];
    preload = argument[2];
    is_terse = strcmp(argument[3], "terse") == 0;
    is_other = is_terse || strcmp(argument[3], "other") == 0;
    hardening = strncmp(argument[3], "harden", 6) == 0 ? argument[3] : "";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_family, begin, end),
        cmocka_unit_test_setup_teardown(test_exec, begin, end),
        cmocka_unit_test_setup_teardown(test_news, begin, end),
        cmocka_unit_test_setup_teardown(test_copies, begin, end),
        cmocka_unit_test(test_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
