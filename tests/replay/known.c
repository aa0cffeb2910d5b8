/* replay/known.c - traces whose answer is known by arithmetic: each strategy has to give it, to the byte. */
#include "made.h"

#include <string.h>

#define PAGE 4096u

static uint64_t count_of(const struct replay_result *r, const char *name)
{
    for (uint32_t i = 0; i < r->counts; i++) {
        if (strcmp(r->count[i].name, name) == 0) {
            return r->count[i].value;
        }
    }
    fail_msg("%s does not count %s", r->name, name);
    return 0;
}

static const struct replay_moment *last(const struct replay_result *r) { return &r->moment[r->moments - 1]; }

/* -- Robson's bad program --
 *
 * M bytes live at most, in blocks of 16 to n units of 16. First M/16 blocks of a unit. Then, for sizes of 2, 4, ... n units: of each window of that
 * size only the block that lies last in it stays, so that no hole is as long as the size, and as many blocks of it are allocated as M allows.
 * Each round half of M is freed and nothing of it can be used: the heap grows by M/2, to M (1 + log2(n) / 2), whatever the rule. (Robson,
 * "An estimate of the store size necessary for dynamic storage allocation", 1971, and "Bounds for some functions concerning dynamic
 * storage allocation", 1974.) */

enum { ROBSON_M = 64 << 10, ROBSON_LOG = 8, ROBSON_BLOCKS = 2 * ROBSON_M / 16 };

struct robson {
    struct made made;
    uint64_t start[ROBSON_BLOCKS], size[ROBSON_BLOCKS]; /* size 0: it is dead */
    uint32_t blocks;
};

static void note_where(void *arg, uint64_t op, const struct replay_block *now)
{
    struct robson *r = arg;
    (void)op;
    r->start[now->block] = now->start;
}

static void robson(struct robson *r, const char *model, struct replay_result *out)
{
    *r = (struct robson){0};
    struct replay_wanted wanted = {.map_at = UINT64_MAX, .steps = UINT64_MAX, .step = note_where, .arg = r};
    for (int log = 0; log <= ROBSON_LOG; log++) {
        uint64_t size = (uint64_t)16 << log, live = 0, in_window[2 * ROBSON_M / 16][2];
        memset(in_window, 0, sizeof in_window);
        for (int pass = 0; pass < 2 && log > 0; pass++) {
            for (uint32_t b = 0; b < r->blocks; b++) {
                uint64_t window = r->start[b] / size, *highest = in_window[window % (2 * ROBSON_M / 16)];
                if (r->size[b] && pass == 0 && r->start[b] + 1 > highest[0]) {
                    highest[0] = r->start[b] + 1;
                } else if (r->size[b] && pass == 1 && r->start[b] + 1 != highest[0]) {
                    made_free(&r->made, b);
                    r->size[b] = 0;
                }
            }
        }
        for (uint32_t b = 0; b < r->blocks; b++) {
            live += r->size[b];
        }
        for (; live + size <= ROBSON_M; live += size) {
            assert_true(r->blocks < ROBSON_BLOCKS);
            r->size[r->blocks] = size;
            made_alloc(&r->made, r->blocks++, size);
        }
        made_replay(&r->made, model, &wanted, out);
    }
}

static void robsons_bad_program(void **state)
{
    (void)state;
    static struct robson r;
    struct replay_result out;
    static const char *const exact[] = {"first", "best", "next-best"};
    static const char *const at_least[] = {"next", "worst", "groups", "bins"};
    const uint64_t answer = ROBSON_M + ROBSON_M / 2 * ROBSON_LOG;
    for (int i = 0; i < 3; i++) {
        robson(&r, exact[i], &out);
        assert_int_equal(out.peak_held, answer);
        assert_int_equal(last(&out)->held, answer);
        assert_int_equal(last(&out)->live, ROBSON_M);
        assert_int_equal(last(&out)->used, ROBSON_M);
        assert_int_equal(count_of(&out, "range grown"), answer / PAGE);
        made_end(&r.made);
    }
    for (int i = 0; i < 4; i++) {
        robson(&r, at_least[i], &out);
        assert_true(out.peak_held >= answer);
        made_end(&r.made);
    }
    /* Who moves blocks is not caught: what first fit was led to is within a quarter and a page. */
    robson(&r, "first", &out);
    made_replay(&r.made, "compact", NULL, &out);
    assert_true(out.peak_held <= ROBSON_M + ROBSON_M / 4 + PAGE);
    assert_true(count_of(&out, "bytes moved") > 0);
    made_end(&r.made);
}

/* -- a comb: every second block goes, and twice the size is wanted -- */

enum { TEETH = 1024 };

/* Every second by where `model` has placed it. */
static void make_comb(struct made *m, const char *model)
{
    static struct robson where;
    struct replay_result out;
    for (uint32_t i = 0; i < TEETH; i++) {
        made_alloc(m, i, 64);
    }
    made_replay(m, model,
                &(struct replay_wanted){.map_at = UINT64_MAX, .steps = UINT64_MAX, .step = note_where, .arg = &where},
                &out);
    for (uint32_t i = 0; i < TEETH; i++) {
        if (where.start[i] / 64 % 2 == 0) {
            made_free(m, i);
        }
    }
    for (uint32_t i = 0; i < TEETH / 4; i++) {
        made_alloc(m, TEETH + i, 128);
    }
}

static void comb(void **state)
{
    (void)state;
    struct made m = {0};
    struct replay_result out;
    static const char *const ranges[] = {"first", "next", "best", "worst", "next-best", "groups", "bins"};
    for (int i = 0; i < 7; i++) {
        made_end(&m);
        make_comb(&m, ranges[i]);
        made_replay(&m, ranges[i], NULL, &out);
        /* No hole is longer than a tooth: all that is new comes on top. */
        assert_int_equal(out.peak_held, TEETH * 64 + TEETH / 4 * 128);
        assert_int_equal(last(&out)->live, TEETH / 2 * 64 + TEETH / 4 * 128);
        assert_int_equal(last(&out)->used, last(&out)->live);
        assert_int_equal(last(&out)->largest_hole, 64);
        assert_int_equal(count_of(&out, "merges"), 0);
    }
    made_end(&m);
    make_comb(&m, "first");
    /* Buddies: the teeth are of orders of their own, too. */
    made_replay(&m, "buddy", NULL, &out);
    assert_int_equal(out.peak_held, TEETH * 64 + TEETH / 4 * 128);
    assert_int_equal(last(&out)->largest_hole, 64);
    /* Slots of 64 bytes are of no use for 128: one slab is full of teeth, of another half has been used. */
    made_replay(&m, "slab", NULL, &out);
    assert_int_equal(last(&out)->held, TEETH * 64 + TEETH / 4 * 128);
    assert_int_equal(last(&out)->used, last(&out)->live);
    /* The STL's lists the same, and the new ones come from chunks of their own. */
    made_replay(&m, "two-level", NULL, &out);
    assert_int_equal(last(&out)->used, last(&out)->live);
    assert_int_equal(count_of(&out, "by the lists"), TEETH + TEETH / 4);
    /* A page each. */
    made_replay(&m, "pages", NULL, &out);
    assert_int_equal(out.peak_held, (uint64_t)TEETH * PAGE);
    assert_int_equal(last(&out)->held, (TEETH / 2 + TEETH / 4) * (uint64_t)PAGE);
    assert_int_equal(last(&out)->used, last(&out)->held);
    /* One segment: the teeth that are left hold all its pages. */
    made_replay(&m, "segments", NULL, &out);
    assert_int_equal(last(&out)->held, TEETH * 64 + TEETH / 4 * 128);
    assert_int_equal(count_of(&out, "segments"), 1);
    /* Pushed together when the first of the new ones would make it longer: every tooth that stays moves, the first one by a tooth. */
    made_replay(&m, "compact", NULL, &out);
    assert_int_equal(count_of(&out, "compactions"), 1);
    assert_int_equal(count_of(&out, "bytes moved"), TEETH / 2 * 64);
    assert_int_equal(last(&out)->held, last(&out)->live);
    assert_int_equal(out.peak_held, TEETH * 64);
    made_end(&m);
}

/* -- a sawtooth: all up, all down, as often as one likes -- */

static void sawtooth(void **state)
{
    (void)state;
    struct made m = {0};
    struct replay_result out;
    enum { UP = 512, ROUNDS = 5 };
    for (int round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < UP; i++) {
            made_alloc(&m, i, 256);
        }
        for (uint32_t i = UP; i-- > 0;) {
            made_free(&m, i);
        }
    }
    for (const char *const *name = replay_models; *name; name++) {
        made_replay(&m, *name, NULL, &out);
        assert_int_equal(out.refused, 0);
        assert_int_equal(out.ops, m.count);
        assert_int_equal(last(&out)->live, 0);
        assert_int_equal(last(&out)->used, last(&out)->headers); /* an arena keeps its first blocks */
        assert_int_equal(out.at_live_peak.live, UP * 256);
    }
    static const char *const ranges[] = {"first",  "next", "best",  "worst",   "next-best",
                                         "groups", "bins", "buddy", "compact", "segments"};
    for (int i = 0; i < 10; i++) {
        made_replay(&m, ranges[i], NULL, &out);
        assert_int_equal(out.peak_held, UP * 256);
        assert_int_equal(last(&out)->held, 0);
    }
    made_replay(&m, "first", NULL, &out);
    assert_int_equal(count_of(&out, "range grown"), ROUNDS * UP * 256 / PAGE);
    /* One arena, which is empty again at the end of each tooth. */
    made_replay(&m, "arena", NULL, &out);
    assert_int_equal(count_of(&out, "arenas"), 1);
    assert_int_equal(count_of(&out, "resets"), ROUNDS);
    assert_int_equal(out.at_live_peak.used - out.at_live_peak.headers, UP * 256);
    /* Threads' stacks: two batches of 32 stay, all else goes to and from the middle a batch at a time. */
    made_replay(&m, "mcache", NULL, &out);
    assert_int_equal(count_of(&out, "cached bytes at most"), 64 * 256);
    assert_int_equal(count_of(&out, "cache hits") + count_of(&out, "central calls"), 2 * ROUNDS * UP);
    assert_int_equal(count_of(&out, "central calls"), UP / 32 + (ROUNDS - 1) * (UP / 32 - 2) + ROUNDS * (UP / 32 - 2));
    made_end(&m);
}

/* -- 2^k + 1 bytes: buddies waste nearly half -- */

static void a_byte_more_than_a_power_of_two(void **state)
{
    (void)state;
    for (unsigned k = 5; k < 15; k++) {
        struct made m = {0};
        struct replay_result out;
        enum { BLOCKS = 64 };
        for (uint32_t i = 0; i < BLOCKS; i++) {
            made_alloc(&m, i, ((uint64_t)1 << k) + 1);
        }
        made_replay(&m, "buddy", NULL, &out);
        assert_int_equal(last(&out)->live, BLOCKS * (((uint64_t)1 << k) + 1));
        assert_int_equal(last(&out)->used, BLOCKS * ((uint64_t)2 << k));
        assert_int_equal(last(&out)->held, BLOCKS * ((uint64_t)2 << k));
        made_replay(&m, "best", NULL, &out);
        assert_int_equal(last(&out)->used, BLOCKS * (((uint64_t)1 << k) + 16));
        /* Malloc's classes: 16 bytes more up to 1 KiB, then an eighth. Of 32 KiB and more, whole pages. */
        made_replay(&m, "slab", NULL, &out);
        assert_int_equal(last(&out)->used, BLOCKS * (((uint64_t)1 << k) + (k < 10 ? 16 : (uint64_t)1 << (k - 3))));
        made_end(&m);
    }
}

/* -- blocks of a page and a unit: what is left where the range ends is for the next one -- */

static void what_is_left_at_the_end_is_used(void **state)
{
    (void)state;
    enum { BLOCKS = 512, SIZE = PAGE + 16 };
    struct made m = {0};
    struct replay_result out;
    for (uint32_t i = 0; i < BLOCKS; i++) {
        made_alloc(&m, i, SIZE);
    }
    static const char *const ranges[] = {"first", "next", "best", "worst", "next-best", "groups", "bins", "two-level"};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        made_replay(&m, ranges[i], NULL, &out);
        assert_int_equal(out.peak_held, (BLOCKS * SIZE + PAGE - 1) / PAGE * PAGE);
    }
    made_end(&m);
}

/* -- a ramp, and all goes but one block -- */

static void ramp_and_drop(void **state)
{
    (void)state;
    enum { RAMP = 4096 };
    struct replay_result out;
    for (int high = 0; high < 2; high++) {
        struct made m = {0};
        for (uint32_t i = 0; i < RAMP; i++) {
            made_alloc(&m, i, 64);
        }
        for (uint32_t i = 0; i < RAMP; i++) {
            if (i != (high ? RAMP - 1 : 0)) {
                made_free(&m, i);
            }
        }
        made_replay(&m, "first", NULL, &out);
        assert_int_equal(out.peak_held, RAMP * 64);
        /* The last block holds the heap's end where it is; the first one holds nothing but its page. */
        assert_int_equal(last(&out)->held, high ? RAMP * 64 : PAGE);
        assert_int_equal(last(&out)->largest_hole, high ? RAMP * 64 - 64 : PAGE - 64);
        made_replay(&m, "pages", NULL, &out);
        assert_int_equal(out.peak_held, (uint64_t)RAMP * PAGE);
        assert_int_equal(last(&out)->held, PAGE);
        made_replay(&m, "segments", NULL, &out);
        assert_int_equal(out.peak_held, RAMP * 64);
        assert_int_equal(last(&out)->held, PAGE);
        /* Four slabs; one has the block, one is next to be handed out from, one waits empty. Their pages have been used. */
        made_replay(&m, "slab", NULL, &out);
        assert_int_equal(out.peak_held, 4 * (64 << 10));
        assert_true(last(&out)->held <= 3 * (64 << 10));
        /* An arena gives nothing back before its last block is dead. */
        made_replay(&m, "arena", NULL, &out);
        assert_int_equal(last(&out)->used - last(&out)->headers, RAMP * 64);
        assert_int_equal(last(&out)->live, 64);
        made_end(&m);
    }
}

/* -- the least memory -- */

static void the_smallest_memory(void **state)
{
    (void)state;
    struct made m = {0};
    struct replay_result out;
    make_comb(&m, "first");
    struct replay_wanted wanted = {.map_at = UINT64_MAX, .smallest = true};
    /* First fit does not look at the end of its memory, so the heap that grows is as long as any. */
    made_replay(&m, "first", &wanted, &out);
    assert_int_equal(out.smallest, TEETH * 64 + TEETH / 4 * 128);
    /* Who moves needs what is live at most, in pages: the teeth; who has frames, a page a block. */
    made_replay(&m, "compact", &wanted, &out);
    assert_int_equal(out.smallest, TEETH * 64);
    made_replay(&m, "pages", &wanted, &out);
    assert_int_equal(out.smallest, (uint64_t)TEETH * PAGE);
    /* Malloc's own has no range that it could be held to. */
    made_replay(&m, "allot", &wanted, &out);
    assert_int_equal(out.smallest, 0);
    made_end(&m);
}

/* -- one size has most: it is pooled -- */

static void pools_are_of_the_sizes_that_most_have(void **state)
{
    (void)state;
    struct made m = {0};
    struct replay_result out;
    for (uint32_t i = 0; i < 1000; i++) {
        made_alloc(&m, i, i % 200 ? 40 : 1000 + 16 * i);
    }
    made_replay(&m, "pool", NULL, &out);
    assert_int_equal(count_of(&out, "pools"), 1);
    assert_int_equal(count_of(&out, "by pools"), 995);
    assert_int_equal(count_of(&out, "by the heap"), 5);
    /* 48 bytes each: 1365 to a slab. */
    uint64_t rest = 5 * 1008 + 16 * (0 + 200 + 400 + 600 + 800);
    assert_int_equal(last(&out)->used, 995 * 48 + rest);
    /* Best fit puts a block that made the heap longer at its end: less than a page is before it. */
    uint64_t pooled = (995 * 48 + PAGE - 1) / PAGE * PAGE;
    assert_in_range(last(&out)->held, pooled + rest, pooled + rest + 2 * PAGE);
    made_end(&m);
}

/* -- translations: 64 at hand -- */

static void what_is_not_at_hand_is_walked_for(void **state)
{
    (void)state;
    struct made m = {0};
    struct replay_result out;
    /* 64 pages once, and freed in the same order: each is touched twice, and found the second time. */
    for (uint32_t i = 0; i < 64; i++) {
        made_alloc(&m, i, PAGE);
    }
    for (uint32_t i = 0; i < 64; i++) {
        made_free(&m, i);
    }
    made_replay(&m, "pages", NULL, &out);
    assert_int_equal(count_of(&out, "translations"), 128);
    assert_int_equal(count_of(&out, "walks"), 64);
    made_end(&m);
    /* 80 of them in a circle: nobody finds anything. */
    for (uint32_t i = 0; i < 80; i++) {
        made_alloc(&m, i, PAGE);
    }
    for (uint32_t i = 0; i < 80; i++) {
        made_free(&m, i);
    }
    made_replay(&m, "pages", NULL, &out);
    assert_int_equal(count_of(&out, "translations"), 160);
    assert_int_equal(count_of(&out, "walks"), 160);
    assert_int_equal(count_of(&out, "frames at most"), 80);
    made_end(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(robsons_bad_program),
                                       cmocka_unit_test(comb),
                                       cmocka_unit_test(sawtooth),
                                       cmocka_unit_test(a_byte_more_than_a_power_of_two),
                                       cmocka_unit_test(what_is_left_at_the_end_is_used),
                                       cmocka_unit_test(ramp_and_drop),
                                       cmocka_unit_test(the_smallest_memory),
                                       cmocka_unit_test(pools_are_of_the_sizes_that_most_have),
                                       cmocka_unit_test(what_is_not_at_hand_is_walked_for)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
