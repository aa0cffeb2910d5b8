/* Processes and threads that write into the area, live, are killed, and say things in an order of their own: all that was written
 * is in the file, which can be read whatever became of whom. */
#include "common/unit.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "common/random.h"
#include "record/collect.h"
#include "trace/build.h"
#include "trace/pen.h"

static int file = -1;

static struct collector *begin(uint32_t chunks)
{
    static const char command[] = "test";
    int error;

    file = memfd_create("trace", MFD_CLOEXEC);
    struct collector *collector = collect_begin(&(struct collect_options){.fd = dup(file),
                                                                          .command = command,
                                                                          .command_bytes = 5,
                                                                          .flags = RING_STACKS,
                                                                          .patience_us = 1000,
                                                                          .chunks = chunks},
                                                &error);
    assert_non_null(collector);
    return collector;
}

static struct trace *end(struct collector *collector, struct collect_result *result)
{
    struct trace_error error;

    collect_end(collector, result);
    assert_int_equal(result->error, 0);
    struct trace *trace = build_open(file, &error);
    close(file);
    if (!trace) {
        fail_msg("%s", error.line);
    }
    return trace;
}

static bool next(struct trace *trace, struct trace_event *event)
{
    struct trace_error error;
    int got = trace_next(trace, event, &error);

    if (got < 0) {
        fail_msg("%s", error.line);
    }
    return got;
}

/* -- many threads of many processes: each its own blocks, in order -- */

enum { PROCESSES = 4, THREADS = 3, EACH = 20000 };

static void *one_thread(void *arg)
{
    struct pen pen = *(struct pen *)arg;
    uint64_t base = (uint64_t)pen.process << 40 | (uint64_t)pen.thread << 32;

    for (uint64_t i = 0; i < EACH; i++) {
        pen_block(&pen, RING_MALLOC, base + 16 * i, 8 + i % 100000, 0);
        if (i >= 10) {
            pen_block(&pen, RING_FREE, base + 16 * (i - 10), 0, 0);
        }
    }
    pen_let_go(&pen);
    return NULL;
}

static void one_process(const char *area)
{
    struct pen first;
    pthread_t thread[THREADS];

    pen_begin(&first, area, 0, 0, RING_BEGIN_EXEC, "/bin/many");
    struct pen pen[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        pen[i] = (struct pen){.area = first.area, .process = first.process, .thread = i + 2};
        pthread_create(&thread[i], NULL, one_thread, &pen[i]);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    pen_other(&first, RING_TEXT, (uint32_t[]){RING_TEXT_EXIT}, 1, "");
    pen_let_go(&first);
    _exit(0);
}

static void nothing_is_lost(void **state)
{
    (void)state;
    struct collector *collector = begin(24); /* so few that writers have to wait */
    struct collect_result result;
    struct trace_event e;
    static uint64_t made[PROCESSES + 1][THREADS + 2], freed[PROCESSES + 1][THREADS + 2];
    unsigned exits = 0;
    uint64_t time = 0;

    for (unsigned i = 0; i < PROCESSES; i++) {
        if (fork() == 0) {
            one_process(collect_area(collector));
        }
    }
    for (unsigned i = 0; i < PROCESSES; i++) {
        wait(NULL);
    }
    struct trace *trace = end(collector, &result);
    assert_int_equal(result.lost, 0);
    assert_int_equal(result.processes, PROCESSES);
    assert_int_equal(result.left, 0);
    assert_int_equal(result.events, PROCESSES * THREADS * (2 * EACH - 10));
    while (next(trace, &e)) {
        assert_true(e.time >= time);
        time = e.time;
        uint64_t base = (uint64_t)e.process << 40 | (uint64_t)e.thread << 32;
        if (e.op == TRACE_ALLOC) {
            uint64_t *count = &made[e.process][e.thread];
            assert_int_equal(e.address, base + 16 * *count);
            assert_int_equal(e.size, 8 + *count % 100000);
            ++*count;
        } else if (e.op == TRACE_FREE) {
            assert_int_equal(e.address, base + 16 * freed[e.process][e.thread]++);
        } else if (e.op == TRACE_EXIT) {
            assert_int_equal(e.size, 1);
            exits++;
        }
    }
    assert_int_equal(exits, PROCESSES);
    for (unsigned p = 1; p <= PROCESSES; p++) {
        for (unsigned t = 2; t < THREADS + 2; t++) {
            assert_int_equal(made[p][t], EACH);
            assert_int_equal(freed[p][t], EACH - 10);
        }
    }
    trace_close(trace);
}

/* -- killed at any moment: what was published is there -- */

static void killed_a_hundred_times(void **state)
{
    (void)state;
    struct collector *collector = begin(64);
    struct collect_result result;
    struct trace_event e;
    struct random r = {12345};
    _Atomic uint64_t *said = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    static uint64_t seen[101];

    for (unsigned i = 0; i < 100; i++) {
        pid_t child = fork();
        if (child == 0) {
            struct pen pen;
            pen_begin(&pen, collect_area(collector), 0, 0, RING_BEGIN_EXEC, "/bin/killed");
            for (uint64_t n = 0;; n++) {
                pen_block(&pen, RING_MALLOC, 16 * (n + 1), 16, 0);
                atomic_store(&said[i], n + 1);
            }
        }
        usleep((useconds_t)random_below(&r, 6000));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
    }
    struct trace *trace = end(collector, &result);
    unsigned begun = 0, exits = 0;
    while (next(trace, &e)) {
        begun += e.op == TRACE_PROCESS;
        if (e.op == TRACE_ALLOC) {
            assert_int_equal(e.address, 16 * ++seen[e.process]);
        }
        if (e.op == TRACE_EXIT) {
            assert_int_equal(e.size, 0);
            exits++;
        }
    }
    /* A process that was killed before it began has no number: so they are compared in order. */
    unsigned process = 0;
    for (unsigned i = 0; i < 100; i++) {
        if (said[i]) {
            do {
                process++;
            } while (process <= 100 && seen[process] == 0);
            assert_true(process <= 100 && seen[process] >= said[i] && seen[process] <= said[i] + 1);
        }
    }
    assert_int_equal(exits, begun);
    assert_int_equal(result.left, 0);
    trace_close(trace);
    munmap((void *)said, 4096);
}

/* -- those that end between taking a chunk and writing to it -- */

static void chunks_of_the_dead_are_given_back(void **state)
{
    (void)state;
    enum { CHUNKS = 8 };
    struct collector *collector = begin(CHUNKS);
    struct collect_result result;
    struct ring_area *area = pen_map(collect_area(collector));

    for (unsigned round = 0; round < 2; round++) {
        pid_t child = fork();
        if (child == 0) {
            struct pen pen;
            if (round == 1) {
                pen_begin(&pen, collect_area(collector), 0, 0, RING_BEGIN_EXEC,
                          "/bin/dies"); /* has begun, and takes all others */
            } else {
                pen = (struct pen){.area = pen_map(collect_area(collector))};
            }
            for (unsigned i = round; i < CHUNKS; i++) {
                pen_take(&pen);
            }
            kill(getpid(), SIGKILL);
        }
        assert_int_equal(waitpid(child, NULL, 0), child);
        for (unsigned i = 0; i < CHUNKS; i++) { /* a test that hangs here has failed */
            while (atomic_load(&area->owner[i]) != 0) {
                usleep(1000);
            }
        }
    }
    trace_close(end(collector, &result));
    assert_int_equal(result.processes, 1);
    assert_int_equal(area->ended, 1);
}

/* A thread that ends without a word, in a process that goes on. */
static void *says_nothing_at_its_end(void *arg)
{
    struct pen *pen = arg;
    pen_block(pen, RING_MALLOC, 0x5550, 1, 0);
    return NULL;
}

static void threads_that_are_gone(void **state)
{
    (void)state;
    enum { CHUNKS = 4 };
    struct collector *collector = begin(CHUNKS);
    struct collect_result result;
    pid_t child = fork();

    if (child == 0) {
        struct pen first;
        pen_begin(&first, collect_area(collector), 0, 0, RING_BEGIN_EXEC, "/bin/threads");
        for (uint32_t i = 0; i < 3 * CHUNKS; i++) {
            struct pen pen = {.area = first.area, .process = first.process, .thread = i + 2};
            pthread_t thread;
            pthread_create(&thread, NULL, says_nothing_at_its_end, &pen); /* waits for a chunk while there is none */
            pthread_join(thread, NULL);
        }
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    trace_close(end(collector, &result));
    assert_int_equal(result.events, 3 * CHUNKS);
}

/* -- nodes -- */

static char *stack_of(struct trace *trace, uint32_t stack)
{
    static char text[256];
    uint32_t nodes, frames;
    const struct trace_node *node = trace_nodes(trace, &nodes);
    const struct trace_frame *frame = trace_frames(trace, &frames);
    size_t at = 0;

    text[0] = 0;
    for (; stack; stack = node[stack].parent) {
        assert_true(stack < nodes && node[stack].frame < frames);
        at += (size_t)snprintf(text + at, sizeof text - at, "%lx ", (unsigned long)frame[node[stack].frame].pc);
    }
    return text;
}

/* A thread uses a node that another one tells of, in a chunk that is found later; a child has its parent's, and goes on from there. */
static void nodes_of_others(void **state)
{
    (void)state;
    struct collector *collector = begin(0);
    struct collect_result result;
    struct trace_event e;
    pid_t child = fork();

    if (child == 0) {
        struct pen first, other;
        pen_begin(&first, collect_area(collector), 0, 0, RING_BEGIN_EXEC, "/bin/nodes");
        other = (struct pen){.area = first.area, .process = first.process, .thread = 2};
        uint64_t clock = pen_clock(&other);
        pen_room(&other, 1, clock); /* takes the later chunk, and writes to it first */
        struct pen third = {.area = first.area, .process = first.process, .thread = 3};
        pen_room(&third, 1, clock);
        for (uint32_t i = 0; i < 1000; i++) {
            pen_node(&third, 2 * i + 1, i ? 2 * i : 0, 0x100000 + i);
            pen_node(&other, 2 * i + 2, 2 * i + 1, 0x200000 + i);
            pen_block(&first, RING_MALLOC, 16 * (i + 1), 1, 2 * i + 2);
            if (i == 2) {
                pen_block(&third, RING_MALLOC, 0x100000, 2, 6);
            }
        }
        pid_t fork_of_it = fork();
        if (fork_of_it == 0) {
            struct pen pen;
            pen_begin(&pen, collect_area(collector), first.process, 4, RING_BEGIN_FORK, "/bin/nodes");
            pen_node(&pen, 5, 4, 0x333);
            pen_block(&pen, RING_CALLOC, 0x10, 3, 4);
            pen_block(&pen, RING_CALLOC, 0x20, 3, 5);
            _exit(0);
        }
        waitpid(fork_of_it, NULL, 0);
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    struct trace *trace = end(collector, &result);
    unsigned seen = 0;
    while (next(trace, &e)) {
        if (e.op != TRACE_ALLOC) {
            continue;
        }
        seen++;
        if (e.thread == 3) {
            assert_string_equal(stack_of(trace, e.stack), "200002 100002 200001 100001 200000 100000 ");
        } else if (e.call == TRACE_CALLOC) {
            assert_string_equal(stack_of(trace, e.stack), e.address == 0x10 ? "200001 100001 200000 100000 "
                                                                            : "333 200001 100001 200000 100000 ");
        } else {
            uint32_t nodes, depth = 0;
            const struct trace_node *node = trace_nodes(trace, &nodes);
            for (uint32_t stack = e.stack; stack; stack = node[stack].parent) {
                depth++;
            }
            assert_int_equal(depth, 2 * e.address / 16);
        }
    }
    assert_int_equal(seen, 1003);
    trace_close(trace);
}

/* What is in the area may be anything: another process writes it. */
static void garbage(void **state)
{
    (void)state;
    struct collector *collector = begin(64);
    struct collect_result result;
    struct trace_event e;
    struct random r = {99};

    for (unsigned i = 0; i < 40; i++) {
        pid_t child = fork();
        if (child == 0) {
            struct pen pen;
            pen_begin(&pen, collect_area(collector), i % 5, i, i % 4, "/bin/garbage");
            for (unsigned n = 0; n < 30; n++) {
                uint64_t clock = pen_clock(&pen);
                uint32_t words = 3 + (uint32_t)random_below(&r, 40), *word = pen_room(&pen, words, clock);
                for (uint32_t k = 0; k < words; k++) {
                    word[k] = (uint32_t)(random_next(&r) >> random_below(&r, 60));
                }
                word[1] = random_below(&r, 2) ? words - 3 : word[1];
                pen_publish(&pen, words);
                if (n % 10 == 9) {
                    pen_let_go(&pen);
                }
            }
            if (i % 3 == 0) {
                atomic_store(pen.chunk ? &pen.chunk->head : &pen.area->filled, UINT32_MAX);
            }
            _exit(0);
        }
        random_next(&r);
        waitpid(child, NULL, 0);
    }
    struct trace *trace = end(collector, &result);
    while (next(trace, &e)) {
        ;
    }
    trace_close(trace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost),
        cmocka_unit_test(killed_a_hundred_times),
        cmocka_unit_test(chunks_of_the_dead_are_given_back),
        cmocka_unit_test(threads_that_are_gone),
        cmocka_unit_test(nodes_of_others),
        cmocka_unit_test(garbage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
