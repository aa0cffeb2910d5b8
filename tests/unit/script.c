/* Ops dealt out to threads and replayed by them, on a malloc of this test's that knows what each block has to go through: that every step
 * happens once and in its block's order, that no more lives than the trace's peak and what epochs allow, that a measure sees what
 * the trace had, and that it ends. Under TSan it is also the proof that hand-overs order what they have to. */
#include "common/unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/check.h"
#include "replay/ops_file.h"
#include "replay/script.h"
#include "replayer/walk.h"

/* -- the malloc: walk.c is compiled to call these -- */

struct block_of_test {
    uint64_t size;
    uint32_t alive;
    char bytes[];
};
#define ALIVE 0x616c6976

static _Atomic uint64_t live, most, allocs, frees, resizes;

static void count_up(uint64_t bytes)
{
    uint64_t now = atomic_fetch_add(&live, bytes) + bytes, before = atomic_load(&most);
    while (now > before && !atomic_compare_exchange_weak(&most, &before, now)) {
        ;
    }
}

void *counted_malloc(size_t size);
void counted_free(void *p);
void *counted_realloc(void *p, size_t size);
int counted_memalign(void **p, size_t align, size_t size);

void *counted_malloc(size_t size)
{
    struct block_of_test *b = malloc(sizeof *b + size);
    CHECK(b);
    *b = (struct block_of_test){.size = size, .alive = ALIVE};
    atomic_fetch_add(&allocs, 1);
    count_up(size);
    return b->bytes;
}

static struct block_of_test *alive(void *p)
{
    CHECK(p);
    struct block_of_test *b = (struct block_of_test *)((char *)p - offsetof(struct block_of_test, bytes));
    CHECK(b->alive == ALIVE);
    return b;
}

void counted_free(void *p)
{
    struct block_of_test *b = alive(p);
    atomic_fetch_sub(&live, b->size);
    atomic_fetch_add(&frees, 1);
    b->alive = 0;
    free(b);
}

void *counted_realloc(void *p, size_t size)
{
    struct block_of_test *b = alive(p);
    atomic_fetch_sub(&live, b->size);
    atomic_fetch_add(&resizes, 1);
    b = realloc(b, sizeof *b + size);
    CHECK(b);
    b->size = size;
    count_up(size);
    return b->bytes;
}

int counted_memalign(void **p, size_t align, size_t size)
{
    CHECK(align >= sizeof(void *) && (align & (align - 1)) == 0);
    *p = counted_malloc(size);
    return 0;
}

/* -- a replay in this process -- */

struct replay {
    struct script_head *file;
    struct order order;
    pthread_t thread[SCRIPT_THREADS];
    struct fed {
        struct walk walk;
        struct replay *replay;
        uint32_t index;
        bool fed;
    } fed[SCRIPT_THREADS];
    const uint64_t *expected; /* live bytes at each measure */
    uint32_t measured;
};

static uint32_t feed(struct walk *walk, const struct step **steps)
{
    struct fed *fed = (struct fed *)walk;
    const struct script_head *file = fed->replay->file;
    uint64_t bytes = file->thread[fed->index + 1] - file->thread[fed->index];
    *steps = (const struct step *)((const char *)file + file->thread[fed->index]);
    uint32_t count = fed->fed ? 0 : (uint32_t)(bytes / sizeof(struct step));
    fed->fed = true;
    return count;
}

static void measure(struct walk *walk)
{
    struct replay *r = walk->arg;
    CHECK(atomic_load(&live) == r->expected[r->measured]);
    r->measured++;
}

static void *walk_one(void *arg)
{
    walk_do(arg);
    return NULL;
}

static void replay_script(const struct script *script, uint64_t bytes, const uint64_t *expected)
{
    static struct replay r;
    r = (struct replay){.expected = expected};
    r.file = mmap(NULL, bytes, PROT_READ, MAP_SHARED, script->fd, 0);
    assert_true(r.file != MAP_FAILED);
    uint32_t threads = r.file->threads;
    r.order.block = calloc(r.file->blocks + 1, sizeof *r.order.block);
    r.order.left = calloc(r.file->epochs + 1, sizeof *r.order.left);
    memcpy((void *)r.order.left, (const char *)r.file + r.file->left, r.file->epochs * sizeof(uint32_t));
    live = most = allocs = frees = resizes = 0;
    for (uint32_t i = 0; i < threads; i++) {
        r.fed[i] = (struct fed){.walk = {.order = &r.order,
                                         .number = i + 1,
                                         .mode = REPLAY_RESIDENT,
                                         .refill = feed,
                                         .measure = measure,
                                         .arg = &r},
                                .replay = &r,
                                .index = i};
    }
    for (uint32_t i = 1; i < threads; i++) {
        assert_int_equal(pthread_create(&r.thread[i], NULL, walk_one, &r.fed[i]), 0);
    }
    walk_do(&r.fed[0].walk);
    for (uint32_t i = 1; i < threads; i++) {
        pthread_join(r.thread[i], NULL);
    }
    for (uint32_t e = 0; e < r.file->epochs; e++) {
        assert_int_equal(r.order.left[e], 0);
    }
    assert_int_equal(r.measured, r.file->moments);
    munmap(r.file, bytes);
    free(r.order.block);
    free((void *)r.order.left);
}

/* What lives in the trace after each op. */
static uint64_t live_after(const struct ops *ops, uint64_t until)
{
    uint64_t *size = calloc(ops->blocks + 1, sizeof *size), sum = 0;
    for (uint64_t i = 0; i <= until; i++) {
        size[ops->op[i].block] = ops->op[i].kind == OP_FREE || ops->op[i].kind == OP_LEFT ? 0 : ops->op[i].size;
    }
    for (uint32_t b = 0; b < ops->blocks; b++) {
        sum += size[b];
    }
    free(size);
    return sum;
}

#define MOMENTS 7

static void check_ops(const struct op *op, uint64_t count, const struct script_pace *pace)
{
    struct ops ops;
    struct script script;
    uint64_t moment[MOMENTS], expected[MOMENTS];
    assert_int_equal(ops_make(op, NULL, count, &ops), 0);
    uint32_t moments = count < MOMENTS ? (uint32_t)count : MOMENTS;
    for (uint32_t i = 0; i < moments; i++) {
        moment[i] = (i + 1) * count / moments - 1;
        expected[i] = live_after(&ops, moment[i]);
    }
    assert_int_equal(script_make(&ops, pace, moment, moments, &script), 0);
    assert_int_equal(script.calls, ops.allocs + ops.frees + ops.resizes);
    replay_script(&script, (uint64_t)lseek(script.fd, 0, SEEK_END), expected);
    assert_int_equal(allocs, ops.allocs);
    assert_int_equal(resizes, ops.resizes);
    assert_int_equal(live, live_after(&ops, count - 1));
    uint64_t room = ops.peak_live / pace->part > pace->least ? ops.peak_live / pace->part : pace->least;
    assert_true(most <= ops.peak_live + 2 * room);
    script_end(&script);
    ops_end(&ops);
}

/* -- traces -- */

/* Blocks pass from hand to hand: any thread resizes or frees what any other allocated. */
static uint64_t make_random(struct op *op, uint64_t count, uint32_t threads, uint32_t blocks, uint64_t seed)
{
    uint64_t *size = calloc(blocks, sizeof *size), n = 0;
    bool *there = calloc(blocks, sizeof *there);
    for (; n < count; n++) {
        uint32_t block = (uint32_t)random_below(&seed, blocks);
        uint32_t thread = (uint32_t)random_below(&seed, threads);
        bool again = there[block] && random_below(&seed, 4) == 0;
        enum op_kind kind = !there[block] ? OP_ALLOC : again ? OP_RESIZE : OP_FREE;
        uint64_t bytes = random_below(&seed, 50) == 0 ? 20000 : 1 + random_below(&seed, 300);
        op[n] = (struct op){.block = block,
                            .size = kind == OP_FREE ? 0 : bytes,
                            .kind = kind,
                            .align = kind == OP_ALLOC && block % 7 == 0 ? 6 : 0,
                            .thread = thread};
        there[block] = kind != OP_FREE;
    }
    for (uint32_t b = 0; b < blocks; b++) {
        if (there[b]) {
            op[n++] = (struct op){.block = b, .kind = OP_LEFT};
        }
    }
    free(size);
    free(there);
    return n;
}

static const struct script_pace tight = {1000000, 1, 3};

static void test_random(void **state)
{
    (void)state;
    static struct op op[40000];
    static const uint32_t threads[] = {1, 2, 3, 8, 40};
    for (unsigned t = 0; t < sizeof threads / sizeof threads[0]; t++) {
        for (uint32_t blocks = 3; blocks <= 3000; blocks *= 10) {
            uint64_t count = make_random(op, 6000, threads[t], blocks, blocks + t);
            check_ops(op, count, &script_exact);
            check_ops(op, count, &script_loose);
        }
    }
    check_ops(op, make_random(op, 1500, 5, 40, 3), &tight);
}

/* One block that everybody hands on, and whose last holder is there long before its turn: it must not take what is meant for another. */
static void test_early_receiver(void **state)
{
    (void)state;
    static struct op op[4096];
    for (int round = 0; round < 20; round++) {
        uint64_t n = 0;
        op[n++] = (struct op){.block = 0, .size = 100, .kind = OP_ALLOC, .thread = 0};
        for (uint32_t i = 0; i < 1000; i++) {
            op[n++] = (struct op){.block = 1, .size = 64, .kind = OP_ALLOC, .thread = 1};
            op[n++] = (struct op){.block = 1, .kind = OP_FREE, .thread = 1};
        }
        op[n++] = (struct op){.block = 0, .size = 200, .kind = OP_RESIZE, .thread = 1};
        op[n++] = (struct op){.block = 0, .kind = OP_FREE, .thread = 2};
        op[n++] = (struct op){.block = 0, .size = 300, .kind = OP_ALLOC, .thread = 1};
        op[n++] = (struct op){.block = 0, .kind = OP_FREE, .thread = 2};
        check_ops(op, n, &script_loose);
    }
}

/* A block that is most of the peak, freed by one thread before another allocates the next: never both. */
static void test_large_ones_wait(void **state)
{
    (void)state;
    static struct op op[400];
    uint64_t n = 0;
    for (uint32_t i = 0; i < 100; i++) {
        op[n++] = (struct op){.block = 0, .size = 1 << 20, .kind = OP_ALLOC, .thread = i % 4};
        op[n++] = (struct op){.block = 1, .size = 10, .kind = OP_ALLOC, .thread = (i + 2) % 4};
        op[n++] = (struct op){.block = 0, .kind = OP_FREE, .thread = (i + 1) % 4};
        op[n++] = (struct op){.block = 1, .kind = OP_FREE, .thread = (i + 3) % 4};
    }
    check_ops(op, n, &script_exact);
}

static void test_one_thread_waits_for_nobody(void **state)
{
    (void)state;
    static struct op op[200];
    struct ops ops;
    struct script script;
    uint64_t count = make_random(op, 100, 1, 10, 1);
    assert_int_equal(ops_make(op, NULL, count, &ops), 0);
    assert_int_equal(script_make(&ops, &script_exact, NULL, 0, &script), 0);
    uint64_t bytes = (uint64_t)lseek(script.fd, 0, SEEK_END);
    struct script_head *file = mmap(NULL, bytes, PROT_READ, MAP_SHARED, script.fd, 0);
    assert_true(file != MAP_FAILED);
    assert_int_equal(file->epochs, 0);
    const struct step *step = (const struct step *)((const char *)file + file->thread[0]);
    uint64_t steps = (file->thread[1] - file->thread[0]) / sizeof *step, pauses = 0;
    assert_int_equal(steps, count + 1); /* a pause before what was left */
    for (uint64_t i = 0; i < steps; i++) {
        assert_false(step[i].wait || step[i].tell || step[i].enter || step[i].leave);
        pauses += step[i].kind == STEP_PAUSE;
    }
    assert_int_equal(pauses, 1);
    munmap(file, bytes);
    script_end(&script);
    ops_end(&ops);
}

/* What a process left is not timed, what the next one does is. */
static void test_left_is_not_timed(void **state)
{
    (void)state;
    static const struct op op[] = {{.block = 0, .size = 10, .kind = OP_ALLOC},
                                   {.block = 0, .kind = OP_LEFT},
                                   {.block = 0, .size = 10, .kind = OP_ALLOC, .thread = 1},
                                   {.block = 1, .size = 10, .kind = OP_ALLOC},
                                   {.block = 0, .kind = OP_FREE, .thread = 1},
                                   {.block = 1, .kind = OP_LEFT}};
    static const enum step_kind wanted[] = {STEP_ALLOC, STEP_PAUSE, STEP_FREE, STEP_RESUME,
                                            STEP_ALLOC, STEP_PAUSE, STEP_FREE};
    struct ops ops;
    struct script script;
    assert_int_equal(ops_make(op, NULL, 6, &ops), 0);
    assert_int_equal(script_make(&ops, &script_exact, NULL, 0, &script), 0);
    assert_int_equal(script.calls, 4);
    uint64_t bytes = (uint64_t)lseek(script.fd, 0, SEEK_END);
    struct script_head *file = mmap(NULL, bytes, PROT_READ, MAP_SHARED, script.fd, 0);
    const struct step *step = (const struct step *)((const char *)file + file->thread[0]);
    assert_int_equal((file->thread[1] - file->thread[0]) / sizeof *step, 7);
    for (unsigned i = 0; i < 7; i++) {
        assert_int_equal(step[i].kind, wanted[i]);
    }
    munmap(file, bytes);
    script_end(&script);
    ops_end(&ops);
    check_ops(op, 6, &script_exact);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_early_receiver),
        cmocka_unit_test(test_large_ones_wait),
        cmocka_unit_test(test_one_thread_waits_for_nobody),
        cmocka_unit_test(test_left_is_not_timed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
