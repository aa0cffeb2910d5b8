/* replay/every.c - what holds of every strategy, whatever it does: the equations at each op, no two blocks in one place, hostile ops,
 * several at once. */
#include "made.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BLOCKS 80

/* -- the equations, and where blocks lie -- */

struct seen {
    const struct ops *ops;
    const char *model;
    uint64_t start[BLOCKS], size[BLOCKS], asked[BLOCKS]; /* size 0: dead */
    uint64_t live[REPLAY_MOMENTS], used[REPLAY_MOMENTS];
    uint64_t op;
    bool in_pieces, whole; /* told in pieces; and `used` is what blocks have */
};

static void sum(struct seen *s, uint64_t op)
{
    s->live[op] = s->used[op] = 0;
    for (int b = 0; b < BLOCKS; b++) {
        s->live[op] += s->size[b] ? s->asked[b] : 0;
        s->used[op] += s->size[b];
    }
}

static void see(void *arg, uint64_t op, const struct replay_block *now)
{
    struct seen *s = arg;
    const struct op *o = &s->ops->op[op];
    bool more = s->in_pieces && op == s->op && now->block == o->block && s->size[now->block] && now->size;
    s->op = op;
    if (now->block == o->block) {
        s->asked[now->block] = o->size;
        assert_true((o->kind == OP_FREE) == (now->size == 0));
    }
    s->size[now->block] = now->size + (more ? s->size[now->block] : 0);
    s->start[now->block] = now->start;
    if (!s->in_pieces && now->block == o->block) {
        /* Moves have been told by now: nobody lies where another does. */
        for (int b = 0; b < BLOCKS && now->size; b++) {
            assert_true(b == (int)now->block || !s->size[b] || s->start[b] >= now->start + now->size ||
                        s->start[b] + s->size[b] <= now->start);
        }
        uint64_t align = o->align > 4 ? (uint64_t)1 << o->align : strcmp(s->model, "two-level") ? 16 : 8;
        assert_true(o->kind != OP_ALLOC || now->start % align == 0);
    }
    sum(s, op);
}

static void the_equations_at_each_op(void **state)
{
    (void)state;
    static struct seen s;
    for (const char *const *name = replay_models; *name; name++) {
        for (uint64_t seed = 0; seed < 40; seed++) {
            struct made m = {0};
            struct ops ops;
            struct replay_result out;
            made_random(&m, seed, REPLAY_MOMENTS, BLOCKS, seed % 4 ? 3000 : 200000);
            made_ops(&m, &ops);
            bool paged = strcmp(*name, "pages") == 0 || strcmp(*name, "segments") == 0;
            s = (struct seen){.ops = &ops,
                              .model = *name,
                              .in_pieces = paged,
                              .op = UINT64_MAX,
                              .whole = strcmp(*name, "arena") != 0};
            struct replay_wanted wanted = {.map_at = UINT64_MAX, .steps = UINT64_MAX, .step = see, .arg = &s};
            if (replay_model(*name, &ops, &wanted, &out) != 0) {
                fail_msg("%s: %s", *name, out.failed);
            }
            assert_int_equal(out.refused, 0);
            assert_int_equal(out.moments, REPLAY_MOMENTS);
            uint64_t most = 0, peak = 0;
            for (uint32_t i = 0; i < out.moments; i++) {
                const struct replay_moment *at = &out.moment[i];
                assert_int_equal(at->op, i);
                assert_int_equal(at->live, s.live[i]);
                assert_true(at->used <= at->held && at->headers <= at->used);
                assert_true(at->used >= s.used[i] + at->headers);
                assert_true(!s.whole || at->used == s.used[i]);
                assert_true(at->largest_hole <= at->held - (s.whole ? at->used : at->live));
                most = at->held > most ? at->held : most;
                peak = at->live > peak ? at->live : peak;
            }
            assert_int_equal(out.peak_held, most);
            assert_int_equal(out.moment[out.peak_held_op].held, most);
            assert_int_equal(out.at_live_peak.live, peak);
            assert_int_equal(ops.peak_live, peak);
            assert_memory_equal(&out.at_live_peak, &out.moment[ops.peak_at], sizeof out.at_live_peak);
            ops_end(&ops);
            made_end(&m);
        }
    }
}

/* -- the map and the table -- */

struct table {
    uint64_t at, blocks, bytes, holes;
    bool in_order;
};

static void row(void *arg, const struct replay_block *b)
{
    struct table *t = arg;
    t->in_order &= b->start >= t->at && b->size > 0;
    t->at = b->start + b->size;
    t->blocks += b->block != UINT32_MAX;
    t->bytes += b->block != UINT32_MAX ? b->size : 0;
    t->holes += b->block == UINT32_MAX ? b->size : 0;
    assert_true(b->block != UINT32_MAX || b->site == 0);
}

static void the_table_and_the_map_say_the_same(void **state)
{
    (void)state;
    struct made m = {0};
    struct ops ops;
    static struct replay_result out;
    made_random(&m, 5, 20000, 1000, 3000);
    made_ops(&m, &ops);
    for (const char *const *name = replay_models; *name; name++) {
        struct table t = {.in_order = true};
        struct replay_wanted wanted = {.map_at = 9999, .table = row, .arg = &t};
        assert_int_equal(replay_model(*name, &ops, &wanted, &out), 0);
        assert_true(t.in_order && t.blocks > 100);
        /* 255 is a whole cell: rounding down takes less than one from each, a cell that has anything is at least 1. */
        uint64_t full = 0, cells = 0;
        for (int i = 0; i < REPLAY_CELLS; i++) {
            full += out.map[i];
            cells += out.map[i] != 0;
        }
        assert_in_range(full, (t.bytes - out.map_cell) * 255 / out.map_cell - cells,
                        (t.bytes + out.map_cell) * 255 / out.map_cell + cells);
        if (strcmp(*name, "first") == 0) {
            assert_int_equal((t.bytes + t.holes) % 4096, 0); /* up to the heap's end */
        }
    }
    ops_end(&ops);
    made_end(&m);
}

/* -- ops that no program has done -- */

static void hostile_ops(void **state)
{
    (void)state;
    static struct replay_result out;
    for (const char *const *name = replay_models; *name; name++) {
        struct made m = {0};
        const uint64_t huge = ((uint64_t)1 << 46) - 1;
        made_free(&m, 3);                  /* of nothing */
        made_op(&m, OP_RESIZE, 4, 100, 9); /* of nothing: allocates */
        made_op(&m, OP_RESIZE, 4, 0, 9);   /* to nothing */
        made_op(&m, OP_ALLOC, 5, 0, 9);    /* nothing */
        made_op(&m, OP_ALLOC, 5, 64, 9);   /* over what is there */
        made_op(&m, OP_ALLOC, 6, 100, 9);
        for (unsigned align = 0; align < 64; align += 3) { /* also beyond what there can be */
            made_op(&m, OP_ALLOC, 7, 40, 9);
            m.op[m.count - 1].align = align;
            made_op(&m, OP_RESIZE, 7, 5000, 9);
            made_op(&m, OP_RESIZE, 7, 30, 9);
        }
        made_op(&m, OP_ALLOC, 8, (uint64_t)1 << 45, 9);
        made_op(&m, OP_RESIZE, 6, huge, 9);
        made_op(&m, OP_RESIZE, 6, 200, 9);
        for (uint32_t i = 0; i < 38; i++) {
            made_op(&m, OP_ALLOC, 10 + i, huge, i);
            m.op[m.count - 1].align = 63;
            /* Up to a gigabyte, and beyond what machines have: between is a page table's time. */
            uint64_t size = (uint64_t)1 << (i > 30 ? i + 8 : i);
            made_op(&m, OP_ALLOC, 100 + i, i ? size : 0, UINT32_MAX - i);
            m.op[m.count - 1].thread = 1023;
        }
        for (uint32_t i = 0; i < 200; i++) {
            made_op(&m, OP_LEFT, i, 0, 0);
            made_op(&m, OP_FREE, i, 0, 0);
        }
        made_replay(&m, *name, NULL, &out);
        assert_int_equal(out.ops, m.count);
        assert_int_equal(out.moment[out.moments - 1].live, 0);
        assert_int_equal(out.moment[out.moments - 1].used, out.moment[out.moments - 1].headers);
        struct replay_wanted smallest = {.map_at = UINT64_MAX, .smallest = true};
        made_replay(&m, *name, &smallest, &out);
        made_end(&m);
        /* Nothing at all. */
        made_replay(&m, *name, &smallest, &out);
        assert_int_equal(out.moments, 0);
        assert_int_equal(out.peak_held, 0);
    }
    struct ops none = {.fd = -1};
    assert_int_equal(replay_model("leftmost", &none, NULL, &out), -1);
    assert_string_equal(out.failed, "no such strategy");
}

/* -- what is refused, is refused: the rest goes on -- */

static void a_bound_is_kept(void **state)
{
    (void)state;
    static struct replay_result out;
    for (uint64_t seed = 0; seed < 5; seed++) {
        struct made m = {0};
        struct ops ops;
        made_random(&m, seed, 4000, 200, 3000);
        made_ops(&m, &ops);
        for (const char *const *name = replay_models; *name; name++) {
            struct replay_wanted wanted = {.map_at = UINT64_MAX, .smallest = true};
            assert_int_equal(replay_model(*name, &ops, &wanted, &out), 0);
            assert_int_equal(out.refused, 0);
            assert_true(out.smallest == 0 || out.smallest % 4096 == 0);
            assert_true(out.smallest == 0 || out.smallest >= ops.peak_live);
            assert_true(strcmp(*name, "first") != 0 || out.smallest == out.peak_held);
        }
        ops_end(&ops);
        made_end(&m);
    }
}

/* -- several at once -- */

struct turn {
    const struct ops *ops;
    struct replay_result *result; /* of all models */
    int from;
};

static void *replay_all(void *arg)
{
    struct turn *t = arg;
    int count = 0;
    while (replay_models[count]) {
        count++;
    }
    for (int i = 0; i < count; i++) {
        int which = (i + t->from) % count;
        if (replay_model(replay_models[which], t->ops, NULL, &t->result[which]) != 0) {
            t->result[which].refused = UINT64_MAX;
        }
    }
    return NULL;
}

static void several_threads_get_the_same(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    static struct replay_result result[THREADS][32];
    struct made m = {0};
    struct ops ops;
    struct turn turn[THREADS];
    pthread_t thread[THREADS];
    made_random(&m, 77, 30000, 2000, 3000);
    made_ops(&m, &ops);
    for (int i = 0; i < THREADS; i++) {
        turn[i] = (struct turn){&ops, result[i], 5 * i};
        assert_int_equal(pthread_create(&thread[i], NULL, replay_all, &turn[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    for (int which = 0; replay_models[which]; which++) {
        const struct replay_result *one = &result[0][which];
        for (int i = 0; i < THREADS; i++) {
            const struct replay_result *other = &result[i][which];
            assert_int_equal(other->refused, 0);
            assert_int_equal(other->peak_held, one->peak_held);
            if (memcmp(other->moment, one->moment, sizeof one->moment) != 0) {
                fail_msg("%s is not the same in another thread", one->name);
            }
            for (uint32_t c = 0; c < one->counts; c++) {
                assert_int_equal(other->count[c].value, one->count[c].value);
            }
        }
    }
    ops_end(&ops);
    made_end(&m);
}

/* -- progress -- */

static void told(void *arg, const char *name, uint64_t done, uint64_t of)
{
    uint64_t *last = arg;
    assert_string_equal(name, "bins");
    assert_true(done >= *last && done <= of && of % 200000 == 0);
    *last = done;
}

static void progress_is_told_to_the_end(void **state)
{
    (void)state;
    struct made m = {0};
    struct replay_result out;
    uint64_t last = 0;
    made_random(&m, 3, 200000, 100, 100);
    made_replay(&m, "bins", &(struct replay_wanted){.map_at = UINT64_MAX, .progress = told, .arg = &last}, &out);
    assert_int_equal(last, 200000);
    last = 0;
    made_replay(&m, "bins",
                &(struct replay_wanted){.map_at = UINT64_MAX, .smallest = true, .progress = told, .arg = &last}, &out);
    assert_int_equal(last, 14 * 200000); /* and 13 more replays, or fewer */
    made_end(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_equations_at_each_op),
                                       cmocka_unit_test(the_table_and_the_map_say_the_same),
                                       cmocka_unit_test(hostile_ops),
                                       cmocka_unit_test(a_bound_is_kept),
                                       cmocka_unit_test(several_threads_get_the_same),
                                       cmocka_unit_test(progress_is_told_to_the_end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
