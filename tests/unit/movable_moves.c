/* unit/movable_moves.c - what steps of a movable heap give back, what they move, and what they leave where it is. */
#include "movable.h"

/* -- giving back -- */

static void a_quarter_takes_a_quarter(void **state)
{
    (void)state;
    begin(NULL);
    fill_and_thin();
    assert_true(resident() > stats().use.used * 4);
    settle();
    allot_movable_check(&heap);
    expect_rest();
    struct allot_movable_stats s = stats();
    assert_in_range(resident(), s.use.used, s.use.used * 109 / 100); /* 4 MB: a chunk's rest counts more than in a GB */
    assert_in_range(s.use.held, s.use.used, s.use.used * 109 / 100);
    assert_in_range(s.moved, s.use.used / 2, s.use.used * 11 / 10); /* what lives is copied once */
    for (int i = 0; i < MANY; i++) {
        if (refs[i].gen) {
            allot_movable_put(&heap, refs[i]);
        }
    }
    settle();
    assert_in_range(resident(), 0, 128 << 10); /* records of chunks and groups */
    end();
}

/* What is pinned stays, and its group; but the rest of that moves together all the same. */
static void around_pins(void **state)
{
    (void)state;
    static void *at[MANY];
    begin(NULL);
    fill_and_thin();
    for (int i = 0; i < MANY; i++) {
        at[i] = refs[i].gen && random_below(&dice, 100) == 0 ? allot_movable_pin(&heap, refs[i]) : NULL;
    }
    settle();
    allot_movable_check(&heap);
    expect_rest();
    for (int i = 0; i < MANY; i++) {
        assert_true(!at[i] || allot_movable_at(&heap, refs[i]) == at[i]);
    }
    assert_in_range(resident(), 0, stats().use.used * 140 / 100);
    for (int i = 0; i < MANY; i++) {
        if (at[i]) {
            allot_movable_unpin(&heap, refs[i]);
        }
    }
    settle();
    assert_in_range(resident(), 0, stats().use.used * 109 / 100);
    expect_rest();
    end();
}

/* With no chunk to be had what is in one slides together. */
static void in_place_when_full(void **state)
{
    (void)state;
    assert_int_equal(allot_movable_init(&heap, (size_t)2 << 20, NULL), 0);
    int n = 0;
    while ((refs[n] = allot_movable_get(&heap, 120)).gen) {
        memset(allot_movable_at(&heap, refs[n]), n, 120);
        n++;
    }
    assert_int_equal(stats().chunks, 4);
    for (int i = 0; i < n; i++) {
        if (i % 3) {
            allot_movable_put(&heap, refs[i]);
        }
    }
    assert_int_equal(allot_movable_get(&heap, 8000).gen, 0);
    settle();
    allot_movable_check(&heap);
    assert_int_equal(stats().chunks, 2);
    for (int i = 0; i < n; i += 3) {
        expect(refs[i], 120, i);
    }
    for (int i = 0; i < 60; i++) {
        get(8000, 1);
    }
    end();
}

static void steps_keep_to_their_bound(void **state)
{
    (void)state;
    begin(NULL);
    fill_and_thin();
    uint64_t before = stats().moved, most = 0;
    while (allot_movable_step(&heap, 1) > 0) {
        uint64_t moved = stats().moved - before;
        most = moved > most ? moved : most;
        before += moved;
    }
    assert_in_range(most, 1, 256 * 520); /* a group, or the one chunk whose few objects slide */
    assert_int_equal(allot_movable_step(&heap, SIZE_MAX), 0);
    assert_int_equal(allot_movable_step_for(&heap, 1000000), 0);
    end();
}

static void steps_without_end(void **state)
{
    (void)state;
    begin(NULL);
    fill_and_thin();
    assert_true(allot_movable_step_for(&heap, UINT64_MAX) > 0);
    assert_int_equal(allot_movable_step(&heap, SIZE_MAX), 0);
    end();
}

static void larger_ones_move_too(void **state)
{
    (void)state;
    begin(NULL);
    for (int i = 0; i < 2000; i++) {
        refs[i] = get(9000 + random_below(&dice, 40000), i);
    }
    for (int i = 0; i < 2000; i++) {
        if (random_below(&dice, 4)) {
            allot_movable_put(&heap, refs[i]);
            refs[i].gen = 0;
        }
    }
    refs[2000] = get(5 << 20, 1);
    settle();
    allot_movable_check(&heap);
    struct movable *h = heap.state;
    for (uint32_t z = 0; z < h->zones; z++) {
        struct allot_region_stats s;
        allot_region_stats(&h->zone[z].region, &s);
        assert_true(s.largest >= (s.use.held - s.use.used) / 10 * 9 - ZONE_UNIT);
    }
    for (int i = 0; i <= 2000; i++) {
        if (refs[i].gen) {
            expect(refs[i], allot_movable_size(&heap, refs[i]), i == 2000 ? 1 : i);
        }
    }
    assert_in_range(resident(), 0, stats().use.used * 106 / 100);
    assert_true(stats().moves > 0);
    end();
}

static size_t told;
static void tell(void *arg, allot_ref ref, void *from, void *to)
{
    assert_ptr_equal(arg, &told);
    assert_ptr_equal(allot_movable_at(&heap, ref), to);
    assert_ptr_not_equal(from, to);
    told++;
}

static void moves_are_told(void **state)
{
    (void)state;
    begin(NULL);
    allot_movable_on_move(&heap, tell, &told);
    fill_and_thin();
    told = 0;
    settle();
    assert_int_equal(told, stats().moves);
    assert_true(told >= stats().use.count * 9 / 10);
    end();
}

static void worth(void **state)
{
    (void)state;
    begin(NULL);
    fill_and_thin();
    int i = 0;
    while (!refs[i].gen) {
        i++;
    }
    assert_in_range(allot_movable_worth(&heap, refs[i]), 65, 85);
    settle();
    assert_int_equal(allot_movable_worth(&heap, refs[i]), 0);
    assert_int_equal(allot_movable_worth(&heap, get(100000, 1)), 0);
    end();
}

/* -- what came free last -- */

static void comes_back_first(void **state)
{
    (void)state;
    begin(NULL);
    struct movable *h = heap.state;
    static void *was[20];
    for (int i = 0; i < 40; i++) {
        refs[i] = get(100, i);
    }
    for (int i = 0; i < 20; i++) {
        was[i] = allot_movable_at(&heap, refs[2 * i]);
        allot_movable_put(&heap, refs[2 * i]);
        refs[2 * i].gen = 0;
    }
    assert_int_equal(h->quick.total, h->watched ? 0 : 8); /* the others are holes */
    for (int i = 7; i >= 0; i--) {
        refs[2 * i] = get(99, 2 * i);
        assert_true(h->watched || allot_movable_at(&heap, refs[2 * i]) == was[i]);
        assert_int_equal(allot_movable_size(&heap, refs[2 * i]), 99);
    }
    assert_int_equal(h->quick.total, 0);
    allot_movable_check(&heap);
    expect_rest();
    end();
}

/* A block behind which and before which all becomes free keeps what its header says of that. */
static void knows_of_the_hole_before(void **state)
{
    (void)state;
    begin(NULL);
    for (int i = 0; i < 30; i++) {
        refs[i] = get(50, i);
    }
    for (int i = 10; i < 18; i++) { /* these are kept, */
        allot_movable_put(&heap, refs[i]);
    }
    allot_movable_put(&heap, refs[9]); /* and these become holes beside them */
    allot_movable_put(&heap, refs[18]);
    refs[9].gen = refs[18].gen = 0;
    for (int i = 10; i < 18; i++) {
        refs[i] = get(50, i);
    }
    allot_movable_check(&heap);
    expect_rest();
    end();
}

/* Kept blocks are room, for lengths that none of them has, before another chunk is made or refused; and they do not keep a chunk. */
static void is_room_in_the_end(void **state)
{
    (void)state;
    begin(&(struct allot_movable_opts){.limit = CHUNK_SIZE});
    int n = 0;
    while ((refs[n] = allot_movable_get(&heap, 58)).gen) {
        memset(allot_movable_at(&heap, refs[n]), n, 58);
        n++;
    }
    assert_int_equal(stats().chunks, 1);
    for (int i = 100; i < 108; i++) {
        allot_movable_put(&heap, refs[i]);
        refs[i].gen = 0;
    }
    refs[100] = get(8 * 64 - 6, 100);
    assert_int_equal(stats().chunks, 1);
    allot_movable_check(&heap);
    expect_rest();
    for (int i = 0; i < n; i++) {
        if (refs[i].gen) {
            allot_movable_put(&heap, refs[i]);
            refs[i].gen = 0;
        }
    }
    settle();
    assert_int_equal(stats().chunks, 0);
    assert_in_range(resident(), 0, 128 << 10);
    end();
}

/* -- pins -- */

static void pins_are_counted(void **state)
{
    (void)state;
    begin(&(struct allot_movable_opts){.debug = true});
    for (int i = 0; i < 3000; i++) {
        refs[i] = get(i % 50 ? 40 : 20000, i);
    }
    static void *at[3000];
    for (int i = 0; i < 3000; i++) {
        for (int n = 0; n < i % 7 + 1; n++) {
            at[i] = allot_movable_pin(&heap, refs[i]);
            assert_non_null(at[i]);
        }
    }
    assert_int_equal(stats().pinned, 3000);
    for (int round = 0; round < 7; round++) {
        allot_movable_step(&heap, 1);
        allot_movable_check(&heap);
        for (int i = 0; i < 3000; i++) {
            assert_true(i % 7 < round || allot_movable_at(&heap, refs[i]) == at[i]);
            expect(refs[i], i % 50 ? 40 : 20000, i);
        }
        for (int i = 0; i < 3000; i++) {
            if (i % 7 >= round) {
                allot_movable_unpin(&heap, refs[i]);
            }
        }
    }
    assert_int_equal(stats().pinned, 0);
    allot_movable_step(&heap, 1);
    for (int i = 0; i < 3000; i++) {
        assert_ptr_not_equal(allot_movable_at(&heap, refs[i]), at[i]);
    }
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quarter_takes_a_quarter),
        cmocka_unit_test(around_pins),
        cmocka_unit_test(in_place_when_full),
        cmocka_unit_test(steps_keep_to_their_bound),
        cmocka_unit_test(steps_without_end),
        cmocka_unit_test(larger_ones_move_too),
        cmocka_unit_test(moves_are_told),
        cmocka_unit_test(worth),
        cmocka_unit_test(comes_back_first),
        cmocka_unit_test(knows_of_the_hole_before),
        cmocka_unit_test(is_room_in_the_end),
        cmocka_unit_test(pins_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
