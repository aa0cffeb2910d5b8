/* pages/replay.c - what is counted, against reasoning and against programs that are so simple that they are right. */
#include "common/unit.h"

#include <fcntl.h>

#include "pages/curves.h"
#include "pages/opt.h"
#include "pages/written.h"

static struct refs read_bursts(size_t count, size_t pages, uint64_t spread, int window, uint64_t seed)
{
    struct refs refs;
    struct trace_error error;
    struct refs_wanted wanted = {
        .format = REFS_ORACLE, .addresses = true, .page_shift = 12, .address_bits = 64, .window = window};
    int fd = written_bursts(count, pages, 12, spread, seed);
    assert_true(refs_read(&refs, fd, "F", &wanted, &error));
    close(fd);
    return refs;
}

static const unsigned all_policies[] = {CURVES_OPT, ALLOT_GRADUAL, ALLOT_S3FIFO, ALLOT_SIEVE,
                                        ALLOT_ARC,  ALLOT_CLOCK,   ALLOT_LRU,    ALLOT_FIFO};

static struct curves_wanted wanted_all(const uint32_t *frames, unsigned sizes)
{
    struct curves_wanted w = {.policies = CURVES_POLICIES, .frames = frames, .sizes = sizes};
    memcpy(w.policy, all_policies, sizeof all_policies);
    return w;
}

/* -- Belady's optimum and LRU, naively: of the pages that are there the one that is used again last, or was used longest ago -- */

static uint64_t naive(const struct refs *refs, uint32_t frames, bool optimum)
{
    uint32_t *there = malloc(frames * sizeof *there), count = 0;
    uint64_t misses = 0;
    for (size_t i = 0; i < refs->kept.count; i++) {
        uint32_t page = refs->kept.at[i], at = 0, victim = 0;
        size_t furthest = 0;
        while (at < count && there[at] != page) {
            at++;
        }
        if (at < count) {
            continue;
        }
        misses++;
        if (count < frames) {
            there[count++] = page;
            continue;
        }
        for (uint32_t f = 0; f < count; f++) {
            size_t distance = 1;
            if (optimum) {
                while (i + distance < refs->kept.count && refs->kept.at[i + distance] != there[f]) {
                    distance++;
                }
            } else {
                while (refs->kept.at[i - distance] != there[f]) {
                    distance++;
                }
            }
            victim = distance > furthest ? f : victim;
            furthest = distance > furthest ? distance : furthest;
        }
        there[victim] = page;
    }
    free(there);
    return misses;
}

static void optimum_and_lru(void **state)
{
    (void)state;
    static const uint32_t frames[] = {1, 2, 3, 5, 8, 13, 21, 34, 40, 1000};
    enum { SIZES = sizeof frames / sizeof frames[0] };
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct refs refs = read_bursts(1500, 40, 1, 0, seed);
        struct curves_wanted w = {.policy = {CURVES_OPT, ALLOT_LRU}, .policies = 2, .frames = frames, .sizes = SIZES};
        struct curves_cell *cell = curves_make(&refs, &w);
        for (unsigned s = 0; s < SIZES; s++) {
            assert_int_equal(cell[s].misses, naive(&refs, frames[s], true));
            assert_int_equal(cell[SIZES + s].misses, naive(&refs, frames[s], false));
        }
        free(cell);
        refs_end(&refs);
    }
}

/* The set of numbers beneath the optimum, against an array of flags, over all of its levels. */
static void set_of_numbers(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {1, 63, 64, 65, 4096, 4097, 300000};
    for (size_t z = 0; z < sizeof sizes / sizeof sizes[0]; z++) {
        struct random r = {z + 1};
        struct opt opt;
        uint8_t *in = calloc(sizes[z], 1);
        assert_true(opt_begin(&opt, sizes[z]));
        for (unsigned round = 0; round < 2000; round++) {
            uint32_t number = (uint32_t)random_below(&r, sizes[z]);
            (in[number] ? opt_take : opt_put)(&opt, number);
            in[number] ^= 1;
            uint64_t last = sizes[z];
            while (last > 0 && !in[last - 1]) {
                last--;
            }
            if (last > 0) {
                assert_int_equal(opt_last(&opt), last - 1);
            }
        }
        opt_end(&opt);
        free(in);
    }
}

/* More frames never miss more, with LRU and the optimum; nobody misses less than that, or less than once a page. With a frame for each page
 * nobody misses more. */
static void curves_are_sane(void **state)
{
    (void)state;
    uint32_t frames[60];
    for (uint32_t i = 0; i < 60; i++) {
        frames[i] = i < 59 ? 1 + i * i : 100000;
    }
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct refs refs = read_bursts(60000, 3000, 1, 0, seed);
        struct curves_wanted w = wanted_all(frames, 60);
        struct curves_cell *cell = curves_make(&refs, &w);
        for (unsigned p = 0; p < w.policies; p++) {
            for (unsigned s = 0; s < 60; s++) {
                uint64_t misses = cell[p * 60 + s].misses;
                assert_true(misses >= cell[s].misses && misses >= refs.ids.count && misses <= refs.references);
                if (s > 0 && (w.policy[p] == ALLOT_LRU || w.policy[p] == CURVES_OPT)) {
                    assert_true(misses <= cell[p * 60 + s - 1].misses);
                }
            }
            assert_int_equal(cell[p * 60 + 59].misses, refs.ids.count);
        }
        free(cell);
        refs_end(&refs);
    }
}

/* The threads share nothing: as many or one, the counts are the same. */
static void threads(void **state)
{
    (void)state;
    static const uint32_t frames[] = {3, 10, 30, 100, 300};
    struct refs refs = read_bursts(200000, 500, 1, 0, 7);
    struct curves_wanted w = wanted_all(frames, 5);
    w.threads = 1;
    struct curves_cell *one = curves_make(&refs, &w);
    w.threads = 7;
    struct curves_cell *many = curves_make(&refs, &w);
    assert_memory_equal(one, many, w.policies * w.sizes * sizeof *one);
    free(one);
    free(many);
    refs_end(&refs);
}

/* The reduction is safe: with as many frames as its window, or more, LRU and the optimum miss as often as without. */
static void reduction(void **state)
{
    (void)state;
    static const int windows[] = {1, 2, 3, 8, 16, REFS_WINDOW_MOST};
    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        uint32_t window = (uint32_t)windows[i],
                 frames[] = {window, window + 1, window + 3, 2 * window, 10 * window, 999};
        for (uint64_t seed = 1; seed <= 4; seed++) {
            struct refs whole = read_bursts(50000, 300, 1, 0, seed),
                        reduced = read_bursts(50000, 300, 1, windows[i], seed);
            struct curves_wanted w = {.policy = {CURVES_OPT, ALLOT_LRU}, .policies = 2, .frames = frames, .sizes = 6};
            struct curves_cell *want = curves_make(&whole, &w), *got = curves_make(&reduced, &w);
            assert_memory_equal(want, got, 12 * sizeof *want);
            assert_int_equal(reduced.references, 50000);
            assert_int_equal(whole.kept.count, 50000);
            assert_true(reduced.kept.count < (window < 8 ? 48000 : 20000));
            free(want);
            free(got);
            refs_end(&whole);
            refs_end(&reduced);
        }
    }
}

/* Of more than a million references some go before others are read: the order of what is left is the same. */
static void reduction_of_many(void **state)
{
    (void)state;
    static const uint32_t frames[] = {16, 100};
    struct refs whole = read_bursts(4000000, 200, 1, 0, 5), reduced = read_bursts(4000000, 200, 1, 16, 5);
    struct curves_wanted w = {.policy = {CURVES_OPT, ALLOT_LRU}, .policies = 2, .frames = frames, .sizes = 2};
    struct curves_cell *want = curves_make(&whole, &w), *got = curves_make(&reduced, &w);
    assert_memory_equal(want, got, 4 * sizeof *want);
    free(want);
    free(got);
    refs_end(&whole);
    refs_end(&reduced);
}

/* -- translation -- */

struct naive_tlb {
    uint64_t number[1024]; /* + 1 */
    uint64_t used[1024], now;
};

static bool naive_use(struct naive_tlb *t, const struct translate_shape *shape, uint64_t number)
{
    uint32_t sets = shape->entries / shape->ways, from = (uint32_t)(number % sets) * shape->ways, oldest = from;
    t->now++;
    for (uint32_t i = from; i < from + shape->ways; i++) {
        if (t->number[i] == number + 1) {
            t->used[i] = t->now;
            return true;
        }
        oldest = t->used[i] < t->used[oldest] ? i : oldest;
    }
    t->number[oldest] = number + 1;
    t->used[oldest] = t->now;
    return false;
}

static void naive_drop(struct naive_tlb *t, uint64_t number)
{
    for (unsigned i = 0; i < 1024; i++) {
        if (t->number[i] == number + 1) {
            t->number[i] = t->used[i] = 0;
        }
    }
}

/* Entries read by a walk to that page: one a level, as far as an earlier page has the same indices. */
static unsigned naive_reads(const struct refs *refs, const struct translate_shape *shape, uint32_t page,
                            uint32_t earlier)
{
    unsigned most = 1;
    for (uint32_t q = 0; q < earlier; q++) {
        unsigned left = translate_address_bits(shape) - shape->page_shift, same = 0;
        while (same < shape->levels - 1) {
            left -= shape->bits[same];
            if (refs->ids.number[page] >> left != refs->ids.number[q] >> left) {
                break;
            }
            same++;
        }
        most = same + 1 > most ? same + 1 : most;
    }
    return most;
}

static uint64_t naive_nodes(const struct refs *refs, const struct translate_shape *shape, unsigned level)
{
    unsigned left = translate_address_bits(shape) - shape->page_shift;
    uint64_t nodes = 0;
    for (unsigned l = 0; l < level; l++) {
        left -= shape->bits[l];
    }
    for (uint32_t p = 0; p < refs->ids.count; p++) {
        uint32_t q = 0;
        while (refs->ids.number[q] >> left != refs->ids.number[p] >> left) {
            q++;
        }
        nodes += q == p;
    }
    return nodes;
}

static struct translate_counts naive_translation(const struct refs *refs, const struct translate_shape *shape,
                                                 uint32_t frames)
{
    static struct naive_tlb tlb;
    struct translate_counts c = {0};
    uint32_t queue[64], count = 0; /* FIFO */
    memset(&tlb, 0, sizeof tlb);
    uint32_t known = 0;
    for (size_t i = 0; i < refs->kept.count; i++) {
        uint32_t page = refs->kept.at[i], f = 0;
        while (f < count && queue[f] != page) {
            f++;
        }
        if (naive_use(&tlb, shape, refs->ids.number[page])) {
            c.hits++;
            assert_true(f < count);
        } else {
            c.walks++;
            c.reads += page == known ? naive_reads(refs, shape, page, known) : shape->levels;
        }
        known += page == known;
        if (f < count) {
            continue;
        }
        c.faults++;
        if (count == frames) {
            naive_drop(&tlb, refs->ids.number[queue[0]]);
            memmove(queue, queue + 1, --count * sizeof *queue);
        }
        queue[count++] = page;
    }
    return c;
}

static void translation(void **state)
{
    (void)state;
    static const struct translate_shape shapes[] = {
        {4, {9, 9, 9, 9}, 12, 64, 4}, {4, {9, 9, 9, 9}, 12, 8, 8}, {2, {10, 10}, 12, 16, 1},
        {3, {3, 12, 7}, 12, 96, 12},  {1, {20}, 12, 4, 4},         {8, {2, 4, 2, 3, 2, 4, 3, 2}, 12, 1, 1},
    };
    static const uint32_t frames[] = {1, 4, 20, 60};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (uint64_t spread = 1; spread <= 4999; spread += 4998 / 3) {
            struct refs refs = read_bursts(4000, 60, spread, 0, 3 + i);
            struct translate_table table;
            assert_true(translate_table(&table, &refs, &shapes[i]));
            uint64_t bytes = 0;
            for (unsigned l = 0; l < shapes[i].levels; l++) {
                assert_int_equal(table.nodes[l], naive_nodes(&refs, &shapes[i], l));
                bytes += table.nodes[l] * 8 << shapes[i].bits[l];
            }
            assert_int_equal(table.bytes, bytes);
            struct curves_wanted w = {
                .policy = {ALLOT_FIFO}, .policies = 1, .frames = frames, .sizes = 4, .table = &table};
            struct curves_cell *cell = curves_make(&refs, &w);
            for (unsigned s = 0; s < 4; s++) {
                struct translate_counts want = naive_translation(&refs, &shapes[i], frames[s]);
                assert_memory_equal(&cell[s].translated, &want, sizeof want);
                assert_int_equal(want.faults, cell[s].misses);
            }
            free(cell);
            translate_table_end(&table);
            refs_end(&refs);
        }
    }
}

/* Whatever the policy: each reference is a hit or a walk, each miss a fault. */
static void translation_of_all(void **state)
{
    (void)state;
    static const uint32_t frames[] = {2, 17, 100};
    const struct translate_shape shape = {4, {9, 9, 9, 9}, 12, 64, 4};
    struct refs refs = read_bursts(30000, 200, 77, 0, 9);
    struct translate_table table;
    assert_true(translate_table(&table, &refs, &shape));
    struct curves_wanted w = wanted_all(frames, 3);
    struct curves_cell *plain = curves_make(&refs, &w);
    w.table = &table;
    struct curves_cell *cell = curves_make(&refs, &w);
    for (unsigned i = 0; i < w.policies * w.sizes; i++) {
        const struct translate_counts *c = &cell[i].translated;
        assert_int_equal(cell[i].misses, plain[i].misses);
        assert_int_equal(c->faults, cell[i].misses);
        assert_int_equal(c->hits + c->walks, refs.references);
        assert_true(c->walks >= c->faults && c->reads <= 4 * c->walks);
    }
    free(plain);
    free(cell);
    translate_table_end(&table);
    refs_end(&refs);
}

/* -- what is longer than memory is to hold lies in a file -- */

static void vectors(void **state)
{
    (void)state;
    struct vector v = {0};
    size_t most = VECTOR_SPILL / sizeof(uint32_t) + 5;
    for (size_t i = 0; i < 100000; i++) {
        assert_true(vector_add(&v, (uint32_t)i));
    }
    assert_int_equal(v.fd, 0);
    assert_true(vector_reserve(&v, most));
    assert_true(v.fd > 0);
    assert_int_equal(v.count, 100000);
    assert_int_equal(v.at[99999], 99999);
    assert_int_equal(v.at[most - 1], 0);
    v.at[most - 1] = 7;
    size_t room = v.room;
    assert_true(vector_reserve(&v, room + 1));
    assert_int_equal(v.at[most - 1], 7);
    int fd = v.fd - 1;
    vector_end(&v);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    /* Where there is no folder for the file that is said, and nothing has changed. */
    const char *folder = getenv("TMPDIR");
    char *kept = folder ? strdup(folder) : NULL;
    setenv("TMPDIR", "/nowhere/at/all", 1);
    assert_true(vector_add(&v, 3));
    assert_false(vector_reserve(&v, most));
    assert_int_equal(v.at[0], 3);
    vector_end(&v);
    if (kept) {
        setenv("TMPDIR", kept, 1);
    } else {
        unsetenv("TMPDIR");
    }
    free(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(optimum_and_lru), cmocka_unit_test(set_of_numbers), cmocka_unit_test(curves_are_sane),
        cmocka_unit_test(threads),         cmocka_unit_test(reduction),      cmocka_unit_test(reduction_of_many),
        cmocka_unit_test(translation),     cmocka_unit_test(vectors),        cmocka_unit_test(translation_of_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
