/* Which process of a trace is the one that a snapshot is of, whatever numbers the trace has: that costs what is lost, no more. */
#include "common/unit.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "snapshot/recorded.h"
#include "trace/build.h"

enum { LOST = 3, FEW = 7, OTHER = 9 };
#define MOST (UINT32_MAX - 9) /* a process's number, too */

static struct graph_block block[LOST] = {
    {.address = 0x1000, .size = 64}, {.address = 0x2000, .size = 64}, {.address = 0x3000, .size = 64}};
static uint8_t verdict[LOST] = {GRAPH_DEFINITE, GRAPH_INDIRECT, GRAPH_POSSIBLE};
static const struct snapshot snapshot = {.blocks = {.block = block, .count = LOST}, .graph = {.verdict = verdict}};

/* Of each process so many of the lost blocks, from the first on, with that stack. */
static void lose(struct build *b, uint32_t process, unsigned count, uint32_t stack)
{
    build_thread(b, process, 1);
    for (unsigned i = 0; i < count; i++) {
        build_event(b, FILE_MALLOC, 100 + i, block[i].address, 64, stack);
    }
    build_event(b, FILE_MALLOC, 200, 0x9000, 64, stack); /* it is in use */
}

static size_t deep_is(const struct build *b, uint64_t address)
{
    struct symbol_frame frame[8];
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", b->fd);
    struct recorded *recorded = recorded_read(path, &snapshot);
    assert_non_null(recorded);
    size_t frames = recorded_stack(recorded, address, frame, 8);
    assert_int_equal(recorded_stack(recorded, 0x9000, frame, 8), 0);
    recorded_end(recorded);
    close(b->fd);
    return frames;
}

static void the_one_with_most(void **state)
{
    (void)state;
    struct build b;
    build_begin(&b);
    build_nodes(&b, 4);
    lose(&b, FEW, 2, 2);
    lose(&b, OTHER, 1, 3);
    lose(&b, MOST, 3, 4);
    build_end(&b, true);
    assert_int_equal(deep_is(&b, block[0].address), 4);
}

static void the_first_of_two_that_have_as_many(void **state)
{
    (void)state;
    struct build b;
    build_begin(&b);
    build_nodes(&b, 4);
    lose(&b, MOST, 2, 4);
    lose(&b, FEW, 2, 2);
    build_end(&b, true);
    assert_int_equal(deep_is(&b, block[1].address), 2);
}

static void none(void **state)
{
    (void)state;
    struct build b;
    build_begin(&b);
    build_nodes(&b, 1);
    lose(&b, MOST, 0, 1);
    build_end(&b, true);
    assert_int_equal(deep_is(&b, block[0].address), 0);
}

int main(void)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* whose shadow is larger */
    if (setrlimit(RLIMIT_AS, &(struct rlimit){(rlim_t)8 << 30, (rlim_t)8 << 30}) != 0) {
        return 1;
    }
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_one_with_most),
        cmocka_unit_test(the_first_of_two_that_have_as_many),
        cmocka_unit_test(none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
