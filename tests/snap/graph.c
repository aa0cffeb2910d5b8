/* snap/graph.c - verdicts, edges, retained bytes and ways of random small graphs are what going through them one by one finds. */
#include "common/unit.h"

#include <stdlib.h>
#include <string.h>

#include <allot/malloc.h>

#include "common/random.h"
#include "graph/graph.h"

enum { BLOCKS = 40, WORDS = 8, ROOTS = 6, ROUNDS = 3000 };

/* Memory of a process that is this array: blocks with gaps, and two ranges of roots. */
static _Alignas(16) uintptr_t memory[BLOCKS][WORDS + 2], globals[ROOTS], stack[ROOTS];
static struct graph_block block[BLOCKS];
static struct graph_owner owner[2] = {{.kind = GRAPH_MALLOC}, {.kind = GRAPH_GC}}; /* which keeps what it has */
static struct image_range range[2];
static const struct graph_blocks blocks = {.block = block, .count = BLOCKS, .owner = owner, .owners = 2};
static struct image image = {.range = range, .ranges = 2, .own = true};
static unsigned edge[BLOCKS][BLOCKS]; /* 1: to the beginning, 2: into the middle */
static unsigned from_globals[BLOCKS], from_stack[BLOCKS];

static uintptr_t some_pointer(struct random *r, unsigned density, unsigned *to, unsigned *how)
{
    if (random_below(r, 100) >= density) {
        *how = 0;
        return random_next(r) >> 1 | 1; /* no address there */
    }
    *to = (unsigned)random_below(r, BLOCKS);
    *how = random_below(r, 5) ? 1 : 2;
    return block[*to].address + (*how == 2 ? 1 + random_below(r, WORDS * 8 - 1) / 8 * 8 + 3 : 0);
}

static void make(struct random *r)
{
    unsigned density = 1 + (unsigned)random_below(r, 40), to = 0, how, kept = random_below(r, 3) ? 0 : 10;
    memset(edge, 0, sizeof edge);
    memset(from_globals, 0, sizeof from_globals);
    memset(from_stack, 0, sizeof from_stack);
    for (unsigned i = 0; i < BLOCKS; i++) {
        block[i] = (struct graph_block){
            .address = (uintptr_t)memory[i], .size = WORDS * sizeof(uintptr_t), .owner = random_below(r, 100) < kept};
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        for (unsigned w = 0; w < WORDS; w++) {
            memory[i][w] = some_pointer(r, density, &to, &how);
            edge[i][to] |= how;
        }
        memory[i][WORDS] = block[random_below(r, BLOCKS)].address; /* between blocks: nobody's */
    }
    for (unsigned i = 0; i < ROOTS; i++) {
        globals[i] = some_pointer(r, density, &to, &how);
        from_globals[to] |= how;
        stack[i] = some_pointer(r, density, &to, &how);
        from_stack[to] |= how;
    }
    range[&globals[0] > &stack[0]] =
        (struct image_range){(uintptr_t)globals, (uintptr_t)(globals + ROOTS), globals, IMAGE_GLOBALS, 0, NULL};
    range[&globals[0] < &stack[0]] =
        (struct image_range){(uintptr_t)stack, (uintptr_t)(stack + ROOTS), stack, IMAGE_STACK, 1, NULL};
}

static void spread(unsigned char *verdict, unsigned char what, unsigned how)
{
    for (bool more = true; more;) {
        more = false;
        for (unsigned i = 0; i < BLOCKS; i++) {
            for (unsigned j = 0; verdict[i] == what && j < BLOCKS; j++) {
                if (edge[i][j] & how && verdict[j] == GRAPH_UNKNOWN) {
                    verdict[j] = what;
                    more = true;
                }
            }
        }
    }
}

/* Verdicts but for which of those that nobody leads to are definite. */
static void expected(unsigned char *verdict)
{
    memset(verdict, GRAPH_UNKNOWN, BLOCKS);
    for (unsigned i = 0; i < BLOCKS; i++) {
        verdict[i] = from_globals[i] & 1 || block[i].owner ? GRAPH_REACHABLE : GRAPH_UNKNOWN;
    }
    spread(verdict, GRAPH_REACHABLE, 1);
    for (unsigned i = 0; i < BLOCKS; i++) {
        verdict[i] = verdict[i] == GRAPH_UNKNOWN && from_stack[i] & 1 ? GRAPH_THREAD_ONLY : verdict[i];
    }
    spread(verdict, GRAPH_THREAD_ONLY, 1);
    unsigned char maybe[BLOCKS] = {0};
    for (unsigned j = 0; j < BLOCKS; j++) {
        maybe[j] = (from_globals[j] | from_stack[j]) >> 1;
        for (unsigned i = 0; i < BLOCKS; i++) {
            maybe[j] |= verdict[i] != GRAPH_UNKNOWN && edge[i][j] & 2;
        }
    }
    for (unsigned j = 0; j < BLOCKS; j++) {
        verdict[j] = verdict[j] == GRAPH_UNKNOWN && maybe[j] ? GRAPH_POSSIBLE : verdict[j];
    }
    spread(verdict, GRAPH_POSSIBLE, 3);
}

/* What is reached when all but one block can be passed. */
static void reach(bool *seen, const bool *begin, unsigned without)
{
    memset(seen, 0, BLOCKS);
    for (unsigned i = 0; i < BLOCKS; i++) {
        seen[i] = begin[i] && i != without;
    }
    for (bool more = true; more;) {
        more = false;
        for (unsigned i = 0; i < BLOCKS; i++) {
            for (unsigned j = 0; seen[i] && j < BLOCKS; j++) {
                if (edge[i][j] && !seen[j] && j != without) {
                    seen[j] = more = true;
                }
            }
        }
    }
}

static void expect_lost(const struct graph *g, const unsigned char *verdict)
{
    bool lost[BLOCKS] = {0}, seen[BLOCKS];
    for (unsigned i = 0; i < BLOCKS; i++) {
        bool definite = g->verdict[i] == GRAPH_DEFINITE;
        assert_true((verdict[i] == GRAPH_UNKNOWN) == (definite || g->verdict[i] == GRAPH_INDIRECT));
        lost[i] = definite;
    }
    reach(seen, lost, BLOCKS); /* every one that is lost goes with a definite one; */
    for (unsigned i = 0; i < BLOCKS; i++) {
        assert_true(verdict[i] != GRAPH_UNKNOWN || seen[i]);
        if (g->verdict[i] == GRAPH_INDIRECT) {
            assert_int_equal(g->verdict[g->leader[i]], GRAPH_DEFINITE);
        }
    }
    for (unsigned i = 0; i < BLOCKS; i++) { /* and none of these with another */
        bool alone[BLOCKS] = {0};
        alone[i] = lost[i];
        reach(seen, alone, BLOCKS);
        for (unsigned j = 0; j < BLOCKS; j++) {
            assert_true(i == j || !lost[i] || !lost[j] || !seen[j]);
        }
    }
}

static void expect_retained(const struct graph *g)
{
    bool begin[BLOCKS], all[BLOCKS], without[BLOCKS];
    uint64_t *retained = graph_retained(g);
    assert_non_null(retained);
    for (unsigned i = 0; i < BLOCKS; i++) {
        begin[i] = from_globals[i] || from_stack[i] || block[i].owner || g->verdict[i] == GRAPH_DEFINITE;
    }
    reach(all, begin, BLOCKS);
    for (unsigned i = 0; i < BLOCKS; i++) {
        uint64_t bytes = block[i].size;
        reach(without, begin, i);
        for (unsigned j = 0; j < BLOCKS; j++) {
            bytes += i != j && all[i] && all[j] && !without[j] ? block[j].size : 0;
        }
        assert_int_equal(retained[i], bytes);
    }
    graph_free_retained(retained, g);
}

static void expect_path(const struct graph *g, unsigned to)
{
    size_t way[BLOCKS], root, length = graph_path(g, to, way, BLOCKS, &root);
    bool begin[BLOCKS], kept[BLOCKS], all[BLOCKS], all_kept[BLOCKS];
    for (unsigned i = 0; i < BLOCKS; i++) {
        begin[i] = from_globals[i] || from_stack[i];
        kept[i] = begin[i] || owner[block[i].owner].kind == GRAPH_GC;
    }
    reach(all, begin, BLOCKS);
    reach(all_kept, kept, BLOCKS);
    assert_true((length > 0) == all_kept[to]);
    if (length) {
        assert_int_equal(way[length - 1], to);
        assert_true((root == GRAPH_NONE) ==
                    !all[to]); /* a way from a root is one rather than a way from what is kept */
        assert_true(kept[way[0]]);
    }
    if (length && root != GRAPH_NONE) {
        assert_int_equal(g->root[root].block, way[0]);
        assert_int_equal(*(const uintptr_t *)g->root[root].address - block[way[0]].address < block[way[0]].size, 1);
    }
    for (size_t i = 1; i < length; i++) {
        assert_true(edge[way[i - 1]][way[i]]);
    }
}

static void random_graphs(void **state)
{
    (void)state;
    struct random r = {7};
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned char verdict[BLOCKS], by_words[BLOCKS];
        struct graph g;
        make(&r);
        expected(verdict);
        assert_true(graph_begin(&g, &blocks, &image));
        for (unsigned pass = 0; pass < 2; pass++) { /* by words, then by edges */
            assert_true(graph_mark(&g));
            for (unsigned i = 0; i < BLOCKS; i++) {
                assert_true(verdict[i] == GRAPH_UNKNOWN || g.verdict[i] == verdict[i]);
                assert_true(pass == 0 || g.verdict[i] == by_words[i]);
                by_words[i] = g.verdict[i];
            }
            expect_lost(&g, verdict);
            assert_true(pass || graph_make_edges(&g));
        }
        expect_retained(&g);
        for (unsigned i = 0; i < BLOCKS; i += 7) {
            expect_path(&g, i);
        }
        graph_end(&g);
    }
}

static void edges_turned_round(void **state)
{
    (void)state;
    struct random r = {9};
    struct graph g;
    struct graph_edges back, again;
    make(&r);
    assert_true(graph_begin(&g, &blocks, &image) && graph_make_edges(&g));
    assert_true(graph_turn_edges(&g.edges, &back) && graph_turn_edges(&back, &again));
    assert_int_equal(again.count, g.edges.count);
    for (unsigned i = 0; i < BLOCKS; i++) {
        assert_int_equal(again.first[i], g.edges.first[i]);
    }
    uint64_t sum = 0, other = 0;
    for (size_t k = 0; k < again.count; k++) {
        sum += again.to[k];
        other += g.edges.to[k];
    }
    assert_int_equal(sum, other);
    graph_free_edges(&back);
    graph_free_edges(&again);
    graph_end(&g);
}

static void memory_runs_out(void **state)
{
    (void)state;
    struct random r = {11};
    unsigned refused = 0;
    make(&r);
    for (long n = 0;; n++) {
        struct graph g;
        allot_fail_after(n);
        bool done = graph_begin(&g, &blocks, &image);
        done = done && graph_mark(&g) && graph_make_edges(&g);
        uint64_t *retained = done ? graph_retained(&g) : NULL;
        allot_fail_after(-1);
        if (retained) {
            graph_free_retained(retained, &g);
            graph_end(&g);
            break;
        }
        graph_end(&g);
        refused++;
    }
    assert_true(refused > 10);
}

/* One block of many lies at any address, also the last, and none beside them. */
static void addresses(void **state)
{
    (void)state;
    struct random r = {13};
    struct graph g;
    make(&r);
    assert_true(graph_begin(&g, &blocks, &image));
    for (unsigned i = 0; i < BLOCKS; i++) {
        for (size_t at = 0; at < sizeof memory[0]; at++) {
            size_t wanted = at < block[i].size ? i : GRAPH_NONE;
            assert_int_equal(graph_find(&g, block[i].address + at), wanted);
            assert_int_equal(graph_block_at(&blocks, block[i].address + at), wanted);
        }
    }
    assert_int_equal(graph_find(&g, 0), GRAPH_NONE);
    assert_int_equal(graph_find(&g, block[0].address - 1), GRAPH_NONE);
    assert_int_equal(graph_find(&g, UINTPTR_MAX), GRAPH_NONE);
    graph_end(&g);
}

/* Blocks at any byte and of any size, none too: what the index says is what a search finds. */
static void uneven_addresses(void **state)
{
    (void)state;
    enum { MANY = 4000 };
    static struct graph_block many[MANY];
    struct random r = {17};
    for (unsigned spread = 1; spread <= 1 << 20; spread *= 32) {
        struct graph_blocks list = {.block = many, .count = MANY, .owner = owner, .owners = 2};
        struct graph g;
        uintptr_t at = 0x7f0012345678;
        for (unsigned i = 0; i < MANY; i++) {
            uint64_t size = random_below(&r, 4) ? random_below(&r, 40) : random_below(&r, 9000);
            at += random_below(&r, 3) ? 0 : random_below(&r, spread);
            at = random_below(&r, 3) ? (at + 15) & ~(uintptr_t)15 : at;
            many[i] = (struct graph_block){.address = at, .size = size};
            at += size ? size : 1;
        }
        assert_true(graph_begin(&g, &list, &image));
        for (unsigned i = 0; i < MANY; i++) {
            uintptr_t first = many[i].address;
            uintptr_t asked[] = {first - 17,
                                 first - 1,
                                 first,
                                 first + 1,
                                 first + many[i].size - 1,
                                 first + many[i].size,
                                 first + random_below(&r, 9000)};
            for (unsigned k = 0; k < sizeof asked / sizeof *asked; k++) {
                assert_int_equal(graph_find(&g, asked[k]), graph_block_at(&list, asked[k]));
            }
        }
        graph_end(&g);
    }
}

/* Blocks of many of the index's spans, to terabytes, with small ones beside them: the same, and an index that is not longer for it. */
static void long_blocks(void **state)
{
    (void)state;
    enum { MANY = 400 };
    static struct graph_block many[MANY];
    struct random r = {19};
    struct graph_blocks list = {.block = many, .count = MANY, .owner = owner, .owners = 2};
    struct graph g;
    uintptr_t at = 0x10000012340;
    for (unsigned i = 0; i < MANY; i++) {
        uint64_t size =
            random_below(&r, 4) ? random_below(&r, 5000) : (uint64_t)random_below(&r, 1000) << random_below(&r, 34);
        at += random_below(&r, 3) ? 0 : random_below(&r, 20) << 20;
        many[i] = (struct graph_block){.address = at, .size = size};
        at += size ? size : 1;
    }
    assert_true(graph_begin(&g, &list, &image));
    assert_true(g.index.leaves <= MANY + 1);
    for (unsigned i = 0; i < MANY; i++) {
        uintptr_t first = many[i].address;
        uint64_t size = many[i].size;
        uintptr_t asked[] = {first - 1,
                             first,
                             first + 1,
                             first + (4 << 20),
                             first + size / 2,
                             first + size - 1,
                             first + size - (size < 5 << 20 ? 0 : 5 << 20),
                             first + size,
                             first + size + (4 << 20)};
        for (unsigned k = 0; k < sizeof asked / sizeof *asked; k++) {
            assert_int_equal(graph_find(&g, asked[k]), graph_block_at(&list, asked[k]));
        }
    }
    graph_end(&g);
}

/* An old std::string's text is as good as its beginning; at an odd byte no words lie, so there is none. */
static void strings(void **state)
{
    (void)state;
    enum { HEAD = 24, TEXT = 7 };
    static _Alignas(16) char bytes[64];
    const uint64_t head[] = {TEXT, TEXT, 0};
    for (unsigned odd = 0; odd < 8; odd++) {
        struct graph_block one = {.address = (uintptr_t)bytes + odd, .size = HEAD + TEXT + 1};
        struct graph_blocks list = {.block = &one, .count = 1, .owner = owner, .owners = 2};
        struct graph g;
        memcpy(bytes + odd, head, sizeof head);
        assert_true(graph_begin(&g, &list, &image));
        assert_int_equal(graph_is_beginning(&g, 0, one.address + HEAD), odd == 0);
        assert_false(graph_is_beginning(&g, 0, one.address + HEAD - 8));
        graph_end(&g);
    }
}

/* More blocks, and more pointers in one, than are looked at at a time; a long list that is lost. */
static void more_than_a_batch(void **state)
{
    (void)state;
    enum { MANY = 1000, LOST = 300 };
    static uintptr_t wide[MANY], small[MANY + LOST][2], root[1];
    static struct graph_block many[MANY + LOST + 1];
    struct graph_blocks list = {.block = many, .count = MANY + LOST + 1, .owner = owner, .owners = 2};
    struct image_range global = {(uintptr_t)root, (uintptr_t)(root + 1), root, IMAGE_GLOBALS, 0, NULL};
    struct image memory_of_many = {.range = &global, .ranges = 1, .own = true};
    unsigned first = wide < small[0] ? 1 : 0; /* of the small ones in the list */
    many[first ? 0 : MANY + LOST] = (struct graph_block){.address = (uintptr_t)wide, .size = sizeof wide};
    for (unsigned i = 0; i < MANY + LOST; i++) {
        many[first + i] = (struct graph_block){.address = (uintptr_t)small[i], .size = sizeof small[i]};
        small[i][1] = i >= MANY && i + 1 < MANY + LOST ? (uintptr_t)small[i + 1] : 0;
    }
    for (unsigned i = 0; i < MANY; i += 2) {
        wide[i] = (uintptr_t)small[i];
        small[i][0] = (uintptr_t)small[i + 1];
    }
    root[0] = (uintptr_t)wide;
    struct graph g;
    struct graph_sum sum[GRAPH_DEFINITE + 1];
    assert_true(graph_begin(&g, &list, &memory_of_many));
    for (unsigned pass = 0; pass < 2; pass++) {
        assert_true(graph_mark(&g));
        graph_sums(&g, sum);
        assert_int_equal(sum[GRAPH_REACHABLE].blocks, MANY + 1);
        assert_int_equal(sum[GRAPH_DEFINITE].blocks, 1);
        assert_int_equal(sum[GRAPH_INDIRECT].blocks, LOST - 1);
        for (unsigned i = 0; i < LOST; i++) {
            assert_int_equal(g.leader[first + MANY + i], first + MANY);
        }
        assert_true(graph_make_edges(&g));
        assert_int_equal(g.edges.count, MANY + LOST - 1);
    }
    graph_end(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_graphs),    cmocka_unit_test(edges_turned_round),
        cmocka_unit_test(memory_runs_out),  cmocka_unit_test(addresses),
        cmocka_unit_test(uneven_addresses), cmocka_unit_test(more_than_a_batch),
        cmocka_unit_test(long_blocks),      cmocka_unit_test(strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
