/* Threads' events come in an order in which they can have happened, though many have the same time. */
#include "common/unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/random.h"
#include "trace/build.h"

static struct trace *trace;

static void read_it(struct build *b)
{
    struct trace_error error;
    int fd = build_end(b, true);

    trace = build_open(fd, &error);
    assert_non_null(trace);
    close(fd);
}

static struct trace_event next(void)
{
    struct trace_error error;
    struct trace_event event;
    int got = trace_next(trace, &event, &error);

    if (got < 0) {
        fail_msg("%s", error.line);
    }
    return got ? event : (struct trace_event){0};
}

static void expect(enum trace_op op, uint32_t thread, uint64_t address)
{
    struct trace_event e = next();

    assert_int_equal(e.op, op);
    assert_int_equal(e.thread, thread);
    assert_int_equal(e.address, address);
}

static void end(void)
{
    assert_int_equal(next().op, 0);
    trace_close(trace);
}

static void by_time(void **state)
{
    (void)state;
    struct build b;

    build_begin(&b);
    build_thread(&b, 1, 1);
    build_event(&b, FILE_MALLOC, 10, 0x10, 8, 0);
    build_event(&b, FILE_MALLOC, 30, 0x30, 8, 0);
    build_thread(&b, 1, 2);
    build_event(&b, FILE_MALLOC, 20, 0x20, 8, 0);
    build_event(&b, FILE_MALLOC, 40, 0x40, 8, 0);
    read_it(&b);
    expect(TRACE_ALLOC, 1, 0x10);
    expect(TRACE_ALLOC, 2, 0x20);
    expect(TRACE_ALLOC, 1, 0x30);
    expect(TRACE_ALLOC, 2, 0x40);
    end();
}

/* The free came first though its thread's number is the greater one, and something else of that thread before it. */
static void a_free_before_who_has_the_address_then(void **state)
{
    (void)state;
    struct build b;

    build_begin(&b);
    build_thread(&b, 1, 2);
    build_event(&b, FILE_MALLOC, 1, 0x10, 8, 0);
    build_event(&b, FILE_MALLOC, 5, 0x20, 8, 0);
    build_event(&b, FILE_FREE, 5, 0x10, 0, 0);
    build_thread(&b, 1, 1);
    build_event(&b, FILE_MALLOC, 5, 0x10, 8, 0);
    build_thread(&b, 2, 1); /* another process's addresses are others */
    build_event(&b, FILE_FREE, 5, 0x20, 0, 0);
    read_it(&b);
    expect(TRACE_ALLOC, 2, 0x10);
    expect(TRACE_ALLOC, 2, 0x20);
    expect(TRACE_FREE, 2, 0x10);
    expect(TRACE_ALLOC, 1, 0x10);
    expect(TRACE_FREE, 1, 0x20);
    end();
}

/* Two threads that each free what the other one gets, all at one time, through a third. */
static void a_chain_of_one_time(void **state)
{
    (void)state;
    struct build b;

    build_begin(&b);
    build_thread(&b, 1, 3);
    build_event(&b, FILE_MALLOC, 1, 0x10, 8, 0);
    build_event(&b, FILE_FREE, 5, 0x10, 0, 0);
    build_event(&b, FILE_MALLOC, 5, 0x20, 8, 0);
    build_thread(&b, 1, 2);
    build_event(&b, FILE_MALLOC, 2, 0x20, 8, 0);
    build_event(&b, FILE_FREE, 5, 0x20, 0, 0);
    build_event(&b, FILE_MALLOC, 5, 0x30, 8, 0);
    build_thread(&b, 1, 1);
    build_event(&b, FILE_MALLOC, 3, 0x30, 8, 0);
    build_event(&b, FILE_FREE, 5, 0x30, 0, 0);
    build_event(&b, FILE_MALLOC, 5, 0x10, 8, 0);
    read_it(&b);
    struct {
        uint64_t address;
        bool live;
    } at[3] = {{0x10, 0}, {0x20, 0}, {0x30, 0}};
    for (unsigned i = 0; i < 9; i++) {
        struct trace_event e = next();
        bool takes = e.op == TRACE_ALLOC;
        for (unsigned k = 0; k < 3; k++) {
            if (at[k].address == e.address) {
                assert_true(at[k].live == !takes);
                at[k].live = takes;
            }
        }
    }
    end();
}

/* While a realloc moves a block, another thread is given the place it leaves. */
static void a_realloc_with_another_in_between(void **state)
{
    (void)state;
    struct build b;

    build_begin(&b);
    build_thread(&b, 1, 1);
    build_event(&b, FILE_MALLOC, 1, 0x10, 8, 0);
    build_event(&b, FILE_REALLOC_FROM, 10, 0x10, 0, 0);
    build_since(&b, 15); /* and it is not done when its frame is written */
    build_thread(&b, 1, 1);
    build_event(&b, FILE_REALLOC_TO, 30, 0x50, 80, 0);
    build_thread(&b, 1, 2);
    build_event(&b, FILE_MALLOC, 20, 0x10, 9, 0);
    read_it(&b);
    expect(TRACE_ALLOC, 1, 0x10);
    expect(TRACE_FREE, 1, 0x10);
    expect(TRACE_ALLOC, 2, 0x10);
    struct trace_event e = next();
    assert_int_equal(e.op, TRACE_ALLOC);
    assert_int_equal(e.call, TRACE_REALLOC_CALL);
    assert_int_equal(e.address, 0x50);
    assert_int_equal(e.size, 80);
    end();
}

static void a_realloc_that_failed(void **state)
{
    (void)state;
    struct build b;

    build_begin(&b);
    build_thread(&b, 1, 1);
    build_event(&b, FILE_MALLOC, 1, 0x10, 8, 0);
    build_event(&b, FILE_REALLOC_FROM, 10, 0x10, 0, 0);
    build_event(&b, FILE_REALLOC_TO, 12, 0x10, 0, 0);
    build_event(&b, FILE_FAILED, 12, 0, (uint64_t)1 << 60, 0);
    build_event(&b, FILE_FREE, 20, 0x10, 0, 0);
    read_it(&b);
    expect(TRACE_ALLOC, 1, 0x10);
    expect(TRACE_FAILED, 1, 0);
    expect(TRACE_FREE, 1, 0x10);
    end();
}

/* Many threads that hand blocks on, a few units of time each, as a model that knows the true order has it. */
static void a_hundred_thousand_hand_overs(void **state)
{
    (void)state;
    enum { THREADS = 8, BLOCKS = 64, EVENTS = 100000, PART = 500 };
    static struct {
        unsigned thread;
        enum file_op op;
        uint64_t time, address;
    } event[EVENTS];
    bool live[BLOCKS] = {0}, seen[BLOCKS] = {0};
    struct random r = {77};
    struct build b;
    uint64_t time = 0;

    for (unsigned i = 0; i < EVENTS; i++) {
        unsigned block = (unsigned)random_below(&r, BLOCKS);
        time += random_below(&r, 4) == 0; /* four of one time */
        /* No block is made and freed at one time: that takes longer. */
        if (live[block] && i > 0) {
            for (unsigned k = i; k-- > 0 && event[k].time == time;) {
                time += event[k].address == 0x1000 + 16 * block && event[k].op == FILE_MALLOC;
            }
        }
        event[i].thread = 1 + (unsigned)random_below(&r, THREADS);
        event[i].op = live[block] ? FILE_FREE : FILE_MALLOC;
        event[i].time = time;
        event[i].address = 0x1000 + 16 * block;
        live[block] = !live[block];
    }
    build_begin(&b);
    for (unsigned part = 0; part < EVENTS; part += PART) {
        build_since(&b, event[part].time);
        for (unsigned thread = 1; thread <= THREADS; thread++) {
            build_thread(&b, 1, thread);
            for (unsigned i = part; i < part + PART; i++) {
                if (event[i].thread == thread) {
                    build_event(&b, event[i].op, event[i].time, event[i].address, 8, 0);
                }
            }
        }
    }
    read_it(&b);
    for (unsigned i = 0; i < EVENTS; i++) {
        struct trace_event e = next();
        unsigned block = (unsigned)(e.address - 0x1000) / 16;
        if (seen[block] == (e.op == TRACE_ALLOC)) {
            fail_msg("event %u at %lu: block %u", i, (unsigned long)e.time, block);
        }
        seen[block] = e.op == TRACE_ALLOC;
    }
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_time),
        cmocka_unit_test(a_free_before_who_has_the_address_then),
        cmocka_unit_test(a_chain_of_one_time),
        cmocka_unit_test(a_realloc_with_another_in_between),
        cmocka_unit_test(a_realloc_that_failed),
        cmocka_unit_test(a_hundred_thousand_hand_overs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
