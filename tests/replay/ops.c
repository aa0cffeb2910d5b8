/* replay/ops.c - events become ops: numbers of blocks, processes one after another, what a trace with holes says. */
#include "common/unit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/random.h"
#include "replay/ops_file.h"

/* -- a trace that is at hand -- */

struct trace {
    struct trace_about about;
    const struct trace_event *event;
    uint64_t count, at;
    bool breaks; /* at its end */
};

int trace_next(struct trace *t, struct trace_event *e, struct trace_error *error)
{
    if (t->at == t->count) {
        snprintf(error->line, sizeof error->line, "broken");
        return t->breaks ? -1 : 0;
    }
    *e = t->event[t->at++];
    return 1;
}

const struct trace_about *trace_about(const struct trace *t) { return &t->about; }

static unsigned told; /* how often, how far reading has come */

static void tell(const struct trace_about *about)
{
    assert_non_null(about);
    told++;
}

static int read_of(const struct trace_event *event, uint64_t count, uint32_t process, uint64_t limit, struct ops *out,
                   bool *cut)
{
    struct trace t = {.about.has_times = true, .event = event, .count = count};
    struct trace_error error = {{0}};
    return ops_read(&t, process, limit, tell, out, cut, &error);
}

#define READ(event, process, limit, out, cut) \
    assert_int_equal(read_of(event, sizeof(event) / sizeof *(event), process, limit, out, cut), 0)

static void expect(const struct ops *ops, uint64_t i, enum op_kind kind, uint32_t block, uint64_t size)
{
    assert_true(i < ops->count);
    assert_int_equal(ops->op[i].kind, kind);
    assert_int_equal(ops->op[i].block, block);
    assert_int_equal(ops->op[i].size, size);
}

#define ALLOC(p, where, bytes, ...)                                                                \
    {                                                                                              \
        .op = TRACE_ALLOC, .process = p, .thread = 1, .address = where, .size = bytes, __VA_ARGS__ \
    }
#define FREE(p, where, ...)                                                        \
    {                                                                              \
        .op = TRACE_FREE, .process = p, .thread = 1, .address = where, __VA_ARGS__ \
    }
#define EXIT(p)                                   \
    {                                             \
        .op = TRACE_EXIT, .process = p, .size = 1 \
    }

static void numbers_are_given_again(void **state)
{
    (void)state;
    const struct trace_event event[] = {
        ALLOC(1, 0x1000, 24, .stack = 7, .time = 5),
        ALLOC(1, 0x2000, 4096, .call = TRACE_ALIGNED, .align = 12, .time = 6),
        FREE(1, 0x1000, .time = 7),
        {.op = TRACE_ALLOC, .process = 1, .thread = 900, .address = 0x3000, .size = 80, .time = 8},
        {.op = TRACE_REALLOC,
         .process = 1,
         .thread = 1,
         .old = 0x2000,
         .address = 0x9000,
         .size = 8192,
         .stack = 3,
         .time = 9},
        {.op = TRACE_REALLOC, .process = 1, .thread = 1, .old = 0x3000, .address = 0x3000, .size = 60, .time = 10},
        FREE(1, 0x9000, .time = 11),
    };
    struct ops ops;
    bool cut;
    READ(event, 0, 0, &ops, &cut);
    assert_false(cut);
    assert_int_equal(ops.count, 8);
    expect(&ops, 0, OP_ALLOC, 0, 24);
    assert_int_equal(ops.op[0].site, 7);
    expect(&ops, 1, OP_ALLOC, 1, 4096);
    assert_int_equal(ops.op[1].align, 12);
    expect(&ops, 2, OP_FREE, 0, 0);
    expect(&ops, 3, OP_ALLOC, 0, 80);
    expect(&ops, 4, OP_RESIZE, 1, 8192);
    assert_int_equal(ops.op[4].site, 3);
    expect(&ops, 5, OP_RESIZE, 0, 60);
    expect(&ops, 6, OP_FREE, 1, 0);
    expect(&ops, 7, OP_LEFT, 0, 0);
    assert_int_equal(ops.blocks, 2);
    assert_int_equal(ops.threads, 2); /* 1 and 900 */
    assert_int_equal(ops.op[0].thread, 0);
    assert_int_equal(ops.op[3].thread, 1);
    assert_int_equal(ops.allocs, 3);
    assert_int_equal(ops.frees, 2);
    assert_int_equal(ops.resizes, 2);
    assert_int_equal(ops.largest, 8192);
    assert_int_equal(ops.peak_live, 8192 + 80);
    assert_int_equal(ops.peak_at, 4);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(ops.time[i], 5 + i);
    }
    /* Who is started with the descriptor has the same. */
    struct ops again;
    assert_int_equal(ops_open(dup(ops.fd), &again), 0);
    assert_int_equal(again.count, ops.count);
    assert_memory_equal(again.op, ops.op, ops.count * sizeof *ops.op);
    assert_memory_equal(again.time, ops.time, ops.count * sizeof *ops.time);
    assert_int_equal(again.peak_live, ops.peak_live);
    ops_end(&again);
    ops_end(&ops);
}

static void processes_come_one_after_another(void **state)
{
    (void)state;
    const struct trace_event event[] = {
        {.op = TRACE_PROCESS, .process = 1, .text = "sh"},
        ALLOC(1, 0x1000, 100),
        {.op = TRACE_PROCESS, .process = 2, .old = 1, .text = "cc"},
        ALLOC(2, 0x1000, 500), /* the same address, another block */
        ALLOC(1, 0x2000, 10),
        FREE(2, 0x1000),
        FREE(2, 0x2000), /* its parent's: not known there */
        ALLOC(2, 0x5000, 50),
        EXIT(2),
        FREE(1, 0x1000),
        ALLOC(2, 0x5000, 7), /* a number that is used again begins with nothing */
        EXIT(1),
    };
    struct ops ops;
    bool cut;
    READ(event, 0, 0, &ops, &cut);
    assert_int_equal(ops.count, 10);
    expect(&ops, 0, OP_ALLOC, 0, 100);
    expect(&ops, 1, OP_ALLOC, 1, 10);
    expect(&ops, 2, OP_FREE, 0, 0);
    expect(&ops, 3, OP_LEFT, 1, 0);
    expect(&ops, 4, OP_ALLOC, 0, 500);
    expect(&ops, 5, OP_FREE, 0, 0);
    expect(&ops, 6, OP_ALLOC, 0, 50);
    expect(&ops, 7, OP_LEFT, 0, 0);
    expect(&ops, 8, OP_ALLOC, 0, 7);
    expect(&ops, 9, OP_LEFT, 0, 0);
    /* No two processes hold at once: the peak is one's. */
    assert_int_equal(ops.peak_live, 500);
    assert_int_equal(ops.peak_at, 4);
    assert_int_equal(ops.blocks, 2);
    ops_end(&ops);
    READ(event, 2, 0, &ops, &cut);
    assert_int_equal(ops.count, 6);
    expect(&ops, 0, OP_ALLOC, 0, 500);
    ops_end(&ops);
    READ(event, 9, 0, &ops, &cut);
    assert_int_equal(ops.count, 0);
    assert_int_equal(ops.peak_live, 0);
    ops_end(&ops);
}

static void what_a_trace_with_holes_says(void **state)
{
    (void)state;
    const struct trace_event event[] = {
        {.op = TRACE_BEFORE, .process = 1, .address = 0x1000, .size = 64, .stack = 5},
        {.op = TRACE_FAILED, .process = 1, .thread = 1, .size = (uint64_t)1 << 50},
        ALLOC(1, 0x2000, 32),
        {.op = TRACE_LOST, .process = 1, .size = 3},
        ALLOC(1, 0x2000, 48), /* its free was lost */
        FREE(1, 0x7777),      /* its allocation was */
        {.op = TRACE_REALLOC, .process = 1, .thread = 1, .old = 0x8888, .address = 0x9000, .size = 16},
        {.op = TRACE_REALLOC,
         .process = 1,
         .thread = 1,
         .old = 0x9000,
         .address = 0x1000,
         .size = 20}, /* over a live one */
        {.op = TRACE_MARK, .process = 1, .text = "here"},
        ALLOC(1, 0x4000, UINT64_MAX),
        {.op = TRACE_VERDICT, .process = 1, .address = 0x2000},
    };
    struct ops ops;
    bool cut;
    READ(event, 0, 0, &ops, &cut);
    expect(&ops, 0, OP_ALLOC, 0, 64);
    assert_int_equal(ops.op[0].site, 0);
    expect(&ops, 1, OP_ALLOC, 1, 32);
    expect(&ops, 2, OP_FREE, 1, 0);
    expect(&ops, 3, OP_ALLOC, 1, 48);
    expect(&ops, 4, OP_ALLOC, 2, 16);
    expect(&ops, 5, OP_FREE, 0, 0);
    expect(&ops, 6, OP_RESIZE, 2, 20);
    expect(&ops, 7, OP_ALLOC, 0, ((uint64_t)1 << 46) - 1);
    assert_int_equal(ops.count, 11);
    for (uint32_t i = 0; i < 3; i++) {
        expect(&ops, 8 + i, OP_LEFT, i, 0);
    }
    ops_end(&ops);
}

static void a_limit_cuts_the_calls(void **state)
{
    (void)state;
    const struct trace_event event[] = {ALLOC(1, 0x1000, 1), ALLOC(1, 0x2000, 2), FREE(1, 0x1000), ALLOC(1, 0x3000, 3)};
    struct ops ops;
    bool cut;
    READ(event, 0, 2, &ops, &cut);
    assert_true(cut);
    assert_int_equal(ops.count, 4); /* two calls, and what they have left */
    expect(&ops, 3, OP_LEFT, 1, 0);
    ops_end(&ops);
    READ(event, 0, 4, &ops, &cut);
    assert_false(cut);
    assert_int_equal(ops.allocs + ops.frees, 4);
    ops_end(&ops);
}

static void a_broken_trace_is_no_ops(void **state)
{
    (void)state;
    const struct trace_event event[] = {ALLOC(1, 0x1000, 1)};
    struct trace t = {.event = event, .count = 1, .breaks = true};
    struct trace_error error;
    struct ops ops;
    bool cut;
    assert_int_equal(ops_read(&t, 0, 0, NULL, &ops, &cut, &error), -1);
    assert_string_equal(error.line, "broken");
    assert_null(ops.op);
    ops_end(&ops);
    /* A folder that cannot be written to: a line that says so. */
    setenv("TMPDIR", "/nowhere/at/all", 1);
    t = (struct trace){.event = event, .count = 1};
    assert_int_equal(ops_read(&t, 0, 0, NULL, &ops, &cut, &error), -1);
    assert_non_null(strstr(error.line, "TMPDIR"));
    unsetenv("TMPDIR");
    /* A file of something else. */
    char path[] = "/tmp/allot-ops.XXXXXX";
    int fd = mkstemp(path);
    unlink(path);
    assert_int_equal(ops_open(fd, &ops), -EINVAL);
    char page[8192] = "allotops";
    memset(page + 8, 0xff, 64);
    assert_int_equal(write(fd, page, sizeof page), sizeof page);
    assert_int_equal(ops_open(fd, &ops), -EINVAL);
    close(fd);
}

/* -- many, beside a table -- */

enum { EVENTS = 300000, PROCESSES = 5, ADDRESSES = 6000 };

static void many_of_several_processes(void **state)
{
    (void)state;
    static struct trace_event event[EVENTS];
    static unsigned char is_live[PROCESSES][ADDRESSES];
    struct random random = {99};
    uint64_t of[PROCESSES] = {0};
    for (int i = 0; i < EVENTS; i++) {
        /* They come one after another in the order in which they were first seen. */
        uint32_t p = i < PROCESSES ? (uint32_t)i : (uint32_t)random_below(&random, PROCESSES),
                 a = (uint32_t)random_below(&random, ADDRESSES);
        event[i] = (struct trace_event){.op = is_live[p][a] ? TRACE_FREE : TRACE_ALLOC,
                                        .process = p + 1,
                                        .thread = 1 + (uint32_t)random_below(&random, 2000),
                                        .address = 0x100000 + 16 * a,
                                        .size = 1 + a,
                                        .time = (uint64_t)i};
        is_live[p][a] ^= 1;
        of[p]++;
    }
    struct ops ops;
    bool cut;
    told = 0;
    READ(event, 0, 0, &ops, &cut);
    assert_in_range(told, 3, EVENTS / 10000);
    /* Process by process each event is its op, at its time; then what was left. */
    uint64_t at = 0;
    uint32_t block_of[ADDRESSES];
    unsigned char *used = calloc(ops.blocks, 1);
    assert_non_null(used);
    for (uint32_t p = 0; p < PROCESSES; p++) {
        uint64_t live = 0;
        for (int i = 0; i < EVENTS; i++) {
            const struct trace_event *e = &event[i];
            uint32_t a = (uint32_t)(e->address - 0x100000) / 16;
            if (e->process != p + 1) {
                continue;
            }
            const struct op *op = &ops.op[at];
            assert_int_equal(ops.time[at++], i);
            assert_int_equal(op->kind, e->op == TRACE_ALLOC ? OP_ALLOC : OP_FREE);
            if (op->kind == OP_ALLOC) {
                assert_false(used[op->block]);
                assert_int_equal(op->size, e->size);
                block_of[a] = op->block;
                live++;
            } else {
                assert_int_equal(op->block, block_of[a]);
                live--;
            }
            used[op->block] ^= 1;
        }
        for (; live > 0; live--, at++) {
            assert_int_equal(ops.op[at].kind, OP_LEFT);
            assert_true(used[ops.op[at].block]);
            used[ops.op[at].block] = 0;
        }
    }
    assert_int_equal(at, ops.count);
    assert_true(ops.blocks < ADDRESSES);
    assert_int_equal(ops.threads, 1024); /* 2000 there were: those beyond share the last */
    free(used);
    ops_end(&ops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_given_again),      cmocka_unit_test(processes_come_one_after_another),
        cmocka_unit_test(what_a_trace_with_holes_says), cmocka_unit_test(a_limit_cuts_the_calls),
        cmocka_unit_test(a_broken_trace_is_no_ops),     cmocka_unit_test(many_of_several_processes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
