/* tags.c - named budgets: what counts, to whom, and what happens at the limits. Figures are compared to the byte. */
#include "block.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { WORD = 8 }; /* at the end of each block, not the caller's */

static struct allot_tag *red, *blue;

#define assert_used(tag, bytes) assert_int_equal(toolkit.tag_used(tag), bytes)

static int make_tags(void **state)
{
    (void)state;
    red = toolkit.tag("red", SIZE_MAX);
    blue = toolkit.tag("blue", SIZE_MAX);
    return red && blue && red != blue ? 0 : -1;
}

/* Every test leaves nothing behind. */
static int nothing_counts(void **state)
{
    (void)state;
    toolkit.tag_soft(red, SIZE_MAX, NULL, NULL);
    toolkit.tag_enter(NULL);
    return toolkit.tag_used(red) == 0 && toolkit.tag_used(blue) == 0 && toolkit.check() ? 0 : -1;
}

static size_t round_up(size_t size, size_t unit) { return (size + unit - 1) / unit * unit; }

/* What a block of so many bytes, the word included, takes; each class of which there is little. */
static size_t taken_by(size_t size)
{
    if (size <= 1024)
        return round_up(size, 16);
    size_t step = 128;
    while (size > step * 16)
        step *= 2;
    return size <= 32768 ? round_up(size, step) : round_up(size, size <= 2097152 ? 4096 : (size_t)getpagesize());
}

static size_t taken(void *p) { return malloc_usable_size(p) + WORD; }

static void every_size_counts_what_it_takes(void **state)
{
    (void)state;
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        size_t expected = taken_by(edge_sizes[i] + WORD);
        toolkit.tag_enter(red);
        void *p = malloc(edge_sizes[i]);
        toolkit.tag_enter(NULL);
        assert_used(red, expected);
        assert_int_equal(malloc_usable_size(p), expected - WORD);
        assert_block(p, edge_sizes[i], 16);
        toolkit.tag_enter(red);
        void *q = calloc(1, edge_sizes[i]);
        assert_used(red, 2 * expected);
        assert_true(pattern_zero(q, edge_sizes[i]));
        assert_block(q, edge_sizes[i], 16);
        free(p);
        assert_used(red, expected);
        toolkit.tag_enter(NULL);
        toolkit.free_sized(q, edge_sizes[i]);
        assert_used(red, 0);
    }
}

/* Blocks that were written before, and pages that went back meanwhile. */
static void calloc_is_zero_again(void **state)
{
    (void)state;
    enum { MANY = 3000 };
    static void *blocks[MANY];
    toolkit.tag_enter(red);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < MANY; i++) {
            size_t size = i % 40 * 37;
            blocks[i] = calloc(size, 1);
            assert_true(pattern_zero(blocks[i], size));
            memset(blocks[i], 0xff, malloc_usable_size(blocks[i]));
        }
        for (size_t i = 0; i < MANY; i++)
            free(blocks[i]);
        toolkit.trim();
    }
}

static void aligned_blocks_count(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 56, 64, 100, 5000, 32760, 32768, 100000, 3000000};
    toolkit.tag_enter(red);
    for (size_t align = 8; align <= (size_t)16 << 20; align *= 2) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            void *p = aligned_alloc(align, sizes[i]);
            assert_block(p, sizes[i], align < 16 ? 16 : align);
            assert_used(red, taken(p));
            toolkit.free_aligned_sized(p, align, sizes[i]);
            assert_used(red, 0);
        }
    }
}

static void absurd_requests_fail_and_count_nothing(void **state)
{
    (void)state;
    toolkit.tag_enter(red);
    void *p = malloc(100), *q = malloc(100000), *r = malloc(10000000);
    size_t used = toolkit.tag_used(red);
    for (size_t i = 0; i < ABSURD_SIZES; i++) {
        assert_fails(malloc(absurd_sizes[i]), ENOMEM);
        assert_fails(calloc(absurd_sizes[i], 3), ENOMEM);
        assert_fails(aligned_alloc(64, absurd_sizes[i]), ENOMEM);
        assert_fails(realloc(p, absurd_sizes[i]), ENOMEM);
        assert_fails(realloc(q, absurd_sizes[i]), ENOMEM);
        assert_fails(realloc(r, absurd_sizes[i]), ENOMEM);
        assert_false(toolkit.try_expand(r, absurd_sizes[i]));
    }
    assert_used(red, used);
    free(p), free(q), free(r);
}

/* From every size to every size, by a thread that is in another tag, or in none. */
static void realloc_keeps_the_tag(void **state)
{
    (void)state;
    struct allot_tag *in[] = {red, blue, NULL};
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        for (size_t k = 0; k < EDGE_SIZES; k += 3) {
            size_t old = edge_sizes[i], size = edge_sizes[k] + 1, kept = old < size ? old : size;
            toolkit.tag_enter(red);
            void *p = malloc(old);
            pattern_fill(p, old, i);
            toolkit.tag_enter(in[(i + k / 3) % 3]);
            p = realloc(p, size);
            assert_true(pattern_holds(p, kept, i, false));
            assert_used(red, taken(p));
            assert_block(p, size, 16);
            if (toolkit.try_expand(p, size + 4096))
                assert_true(malloc_usable_size(p) >= size + 4096);
            assert_used(red, taken(p));
            assert_used(blue, 0);
            toolkit.tag_enter(NULL);
            free(p);
            assert_used(red, 0);
        }
    }
}

static void realloc_gives_no_tag(void **state)
{
    (void)state;
    void *p = malloc(10);
    toolkit.tag_enter(red);
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        p = realloc(p, edge_sizes[i] + 1);
        assert_used(red, 0);
    }
    free(p);
}

static void the_limit_holds_to_the_byte(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 100, 1000, 1016, 1017, 20000, 32760, 32761, 100000, 2097144, 2097145, 5000000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        enum { FIT = 5 };
        void *blocks[FIT];
        toolkit.tag_enter(red);
        void *first = malloc(sizes[i]);
        size_t each = taken(first); /* its class may have been tuned by now */
        free(first);
        assert_ptr_equal(toolkit.tag("red", FIT * each), red);
        for (size_t n = 0; n < FIT; n++) {
            blocks[n] = malloc(sizes[i]);
            assert_block(blocks[n], sizes[i], 16);
        }
        assert_used(red, FIT * each);
        assert_fails(malloc(sizes[i]), ENOMEM);
        assert_fails(malloc(0), ENOMEM);
        assert_fails(calloc(1, sizes[i]), ENOMEM);
        assert_fails(aligned_alloc(64, sizes[i]), ENOMEM);
        assert_fails(realloc(blocks[0], sizes[i] * 2 + 4096), ENOMEM);
        assert_false(toolkit.try_expand(blocks[0], each * 2));
        for (size_t n = 0; n < FIT; n++)
            assert_true(pattern_holds(blocks[n], each - WORD, (uintptr_t)blocks[n], true));
        toolkit.tag("red", (FIT + 1) * each - 1);
        assert_fails(malloc(sizes[i]), ENOMEM);
        toolkit.tag("red", (FIT + 1) * each);
        void *one = malloc(sizes[i]);
        assert_non_null(one);
        toolkit.tag("red", 0); /* what is there stays */
        assert_fails(malloc(0), ENOMEM);
        assert_used(red, (FIT + 1) * each);
        toolkit.tag_enter(NULL);
        free(one);
        for (size_t n = 0; n < FIT; n++)
            free(blocks[n]);
        assert_used(red, 0);
        toolkit.tag("red", SIZE_MAX);
    }
}

/* A thread in haste is given longer mappings than it asked for; not beyond the limit. */
static void the_limit_holds_in_haste(void **state)
{
    (void)state;
    free(malloc((size_t)12 << 20)); /* kept */
    toolkit.tag("red", (size_t)9 << 20);
    toolkit.tag_enter(red);
    toolkit.thread_latency(true);
    void *p = malloc((size_t)8 << 20);
    assert_true(toolkit.tag_used(red) <= (size_t)9 << 20);
    assert_used(red, p ? taken(p) : 0);
    free(p);
    toolkit.thread_latency(false);
    toolkit.tag("red", SIZE_MAX);
}

static struct {
    unsigned calls;
    size_t used;
    void *block;
} told;

static void tell(struct allot_tag *tag, void *arg)
{
    CHECK(tag == red && arg == &told);
    told.calls++;
    told.used = toolkit.tag_used(tag);
    free(told.block);
    told.block = malloc(1016); /* counts to the tag, and is not told of */
}

static void the_soft_limit_calls_back(void **state)
{
    (void)state;
    enum { EACH = 1024, SOFT = 80 };
    void *blocks[200];
    toolkit.tag_soft(red, SOFT * EACH, tell, &told);
    toolkit.tag_enter(red);
    told.block = malloc(1016);
    for (unsigned round = 1; round <= 3; round++) {
        size_t n = 0;
        while (toolkit.tag_used(red) < SOFT * EACH)
            blocks[n++] = malloc(1016);
        assert_int_equal(told.calls, round - 1); /* up to it */
        blocks[n++] = malloc(1);
        assert_int_equal(told.calls, round);
        assert_int_equal(told.used, SOFT * EACH + 16);
        while (n < 150)
            blocks[n++] = malloc(1016);
        while (toolkit.tag_used(red) > SOFT * EACH / 8 * 7)
            free(blocks[--n]);
        while (n < 150)
            blocks[n++] = malloc(1016);
        assert_int_equal(told.calls, round); /* not below seven eighths */
        while (n > 0)
            free(blocks[--n]);
    }
    toolkit.tag_soft(red, SOFT * EACH, NULL, NULL);
    void *large = malloc(1000000);
    assert_int_equal(told.calls, 3);
    toolkit.tag_soft(red, SOFT * EACH, tell, &told); /* already beyond: with the next allocation */
    free(malloc(1));
    assert_int_equal(told.calls, 4);
    free(large);
    large = realloc(malloc(50000), 1000000); /* a block that grows crosses it too */
    assert_int_equal(told.calls, 5);
    free(large);
    free(told.block);
}

static void tags_nest_and_have_names(void **state)
{
    (void)state;
    char name[ALLOT_TAG_NAME_MAX + 2] = "";
    assert_fails(toolkit.tag(name, 1), EINVAL);
    memset(name, 'x', ALLOT_TAG_NAME_MAX + 1);
    assert_fails(toolkit.tag(name, 1), EINVAL);
    name[ALLOT_TAG_NAME_MAX] = 0;
    assert_string_equal(toolkit.tag_name(toolkit.tag(name, 1)), name);
    assert_string_equal(toolkit.tag_name(red), "red");
    assert_ptr_equal(toolkit.tag("red", SIZE_MAX), red);

    assert_null(toolkit.tag_enter(red));
    void *a = malloc(10);
    assert_ptr_equal(toolkit.tag_enter(blue), red);
    void *b = malloc(1000);
    assert_ptr_equal(toolkit.tag_enter(NULL), blue);
    void *none = malloc(100);
    assert_null(toolkit.tag_enter(blue));
    assert_ptr_equal(toolkit.tag_enter(red), blue);
    void *c = malloc(10);
    assert_ptr_equal(toolkit.tag_enter(NULL), red);
    assert_used(red, taken(a) + taken(c));
    assert_used(blue, taken(b));
    free(a), free(b), free(c), free(none);
}

/* What is live, at hand and free comes out right while lists are set aside. */
static void figures_know_of_lists_that_are_set_aside(void **state)
{
    (void)state;
    struct allot_stats before, after;
    void *some[200];
    for (size_t i = 0; i < 200; i++)
        some[i] = malloc(i * 16);
    for (size_t i = 0; i < 200; i += 2)
        free(some[i]);
    free(malloc(100)), free(malloc(2000));
    toolkit.stats(&before);
    toolkit.tag_enter(red);
    toolkit.stats(&after);
    assert_int_equal(after.blocks, before.blocks);
    assert_int_equal(after.live, before.live);
    void *p = malloc(100), *q = malloc(2000);
    toolkit.stats(&after);
    assert_int_equal(after.blocks, before.blocks + 2);
    assert_int_equal(after.live, before.live + taken(p) + taken(q));
    toolkit.trim();
    toolkit.stats(&after);
    assert_int_equal(after.blocks, before.blocks + 2);
    assert_true(toolkit.check());
    free(p), free(q);
    toolkit.tag_enter(NULL);
    for (size_t i = 1; i < 200; i += 2)
        free(some[i]);
}

enum { SHARED = 20000 };
static void *shared[SHARED];

static void *free_shared(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < SHARED; i++)
        free(shared[i]);
    return NULL;
}

static size_t fill_shared(void)
{
    size_t used = 0;
    for (size_t i = 0; i < SHARED; i++) {
        shared[i] = malloc(edge_sizes[i % 50]);
        CHECK(shared[i]);
        used += taken(shared[i]);
    }
    return used;
}

static void another_thread_frees(void **state)
{
    (void)state;
    for (int round = 0; round < 4; round++) {
        pthread_t thread;
        toolkit.tag_enter(red);
        size_t used = fill_shared();
        assert_used(red, used);
        toolkit.tag_enter(NULL);
        assert_int_equal(pthread_create(&thread, NULL, free_shared, NULL), 0);
        if (round % 2) { /* while this one goes on */
            toolkit.tag_enter(red);
            for (size_t i = 0; i < SHARED; i++)
                free(malloc(i % 2000));
            toolkit.tag_enter(NULL);
        }
        pthread_join(thread, NULL);
        assert_used(red, 0);
    }
}

static void *fill_and_end(void *arg)
{
    toolkit.tag_enter(arg);
    fill_shared();
    return NULL; /* in the tag */
}

static void threads_end_within_a_tag(void **state)
{
    (void)state;
    for (int round = 0; round < 4; round++) {
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, fill_and_end, round % 2 ? red : blue), 0);
        pthread_join(thread, NULL);
        size_t used = 0;
        for (size_t i = 0; i < SHARED; i++)
            used += taken(shared[i]);
        assert_int_equal(toolkit.tag_used(round % 2 ? red : blue), used);
        assert_true(toolkit.check());
        free_shared(NULL);
        assert_int_equal(toolkit.tag_used(round % 2 ? red : blue), 0);
    }
}

static void children_count_on(void **state)
{
    (void)state;
    toolkit.tag_enter(red);
    void *p = malloc(100), *q = malloc(100000);
    size_t used = toolkit.tag_used(red);
    struct allot_stats before, after;
    toolkit.stats(&before);
    pid_t child = fork();
    if (child == 0) {
        toolkit.stats(&after);
        CHECK(after.blocks == before.blocks); /* what is at hand has come along */
        void *r = malloc(100);
        CHECK(toolkit.tag_used(red) == used + taken(r));
        free(p), free(r);
        CHECK(toolkit.tag_used(red) == taken(q));
        free(q);
        CHECK(toolkit.tag_used(red) == 0 && toolkit.tag_enter(NULL) == red && toolkit.check());
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_used(red, used);
    free(p), free(q);
}

/* Of random blocks, tags and threads' frees, each tag has what its live blocks take. */
static void each_tag_has_its_own(void **state)
{
    (void)state;
    enum { LIVE = 2000, STEPS = 40000 };
    static struct {
        void *p;
        int tag;
    } live[LIVE];
    struct allot_tag *tags[3] = {NULL, red, blue};
    size_t expected[3] = {0};
    uint64_t seed = 7;
    for (size_t step = 0; step < STEPS + LIVE; step++) {
        size_t i = step < STEPS ? random_below(&seed, LIVE) : step - STEPS;
        size_t size = random_below(&seed, 20) ? random_below(&seed, 3000) : random_below(&seed, 200000);
        toolkit.tag_enter(tags[random_below(&seed, 3)]);
        if (!live[i].p) {
            if (step >= STEPS)
                continue;
            live[i].tag = (int)random_below(&seed, 3);
            toolkit.tag_enter(tags[live[i].tag]);
            live[i].p = malloc(size);
        } else if (step < STEPS && random_below(&seed, 2)) {
            expected[live[i].tag] -= taken(live[i].p);
            live[i].p = realloc(live[i].p, size + 1);
        } else {
            expected[live[i].tag] -= taken(live[i].p);
            free(live[i].p);
            live[i].p = NULL;
        }
        expected[live[i].tag] += live[i].p ? taken(live[i].p) : 0;
        assert_used(red, expected[1]);
        assert_used(blue, expected[2]);
    }
}

static void ten_thousand_tags(void **state)
{
    (void)state;
    enum { TAGS = 10000 };
    static struct allot_tag *tags[TAGS];
    static void *blocks[TAGS];
    static struct allot_tag_stats stats[TAGS + 16];
    struct allot_stats before, after;
    toolkit.stats(&before);
    size_t first = toolkit.stats_tags(NULL, 0);
    for (size_t i = 0; i < TAGS; i++) {
        char name[32];
        snprintf(name, sizeof name, "tenant %zu", i);
        tags[i] = toolkit.tag(name, i * 1000);
        toolkit.tag_enter(tags[i]);
        blocks[i] = malloc(i % 200);
    }
    toolkit.tag_enter(NULL);
    toolkit.stats(&after);
    assert_true(after.metadata - before.metadata < TAGS * (size_t)192); /* records, and the heap for all of them */
    assert_int_equal(toolkit.stats_tags(stats, TAGS + 16), first + TAGS);
    for (size_t i = 0; i < TAGS; i++) {
        const struct allot_tag_stats *s = &stats[first + i];
        assert_ptr_equal(toolkit.tag(s->name, i), tags[i]);
        assert_int_equal(s->limit, i * 1000);
        assert_int_equal(s->used, blocks[i] ? taken(blocks[i]) : 0);
        assert_int_equal(s->refused, !blocks[i]);
        free(blocks[i]);
        assert_int_equal(toolkit.tag_used(tags[i]), 0);
    }
    assert_null(blocks[0]);
}

static void a_heap_counts_to_its_tag(void **state)
{
    (void)state;
    struct allot_heap heap;
    assert_int_equal(toolkit.heap_init(&heap, &(struct allot_heap_opts){.tag = red}), 0);
    toolkit.tag_enter(blue); /* which is not the heap's affair */
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        size_t expected = taken_by(edge_sizes[i] ? edge_sizes[i] : 1);
        void *p = toolkit.heap_alloc(&heap, edge_sizes[i]);
        assert_int_equal(malloc_usable_size(p), expected);
        assert_used(red, expected);
        assert_block(p, edge_sizes[i], 16);
        void *q = toolkit.heap_aligned(&heap, 256, edge_sizes[i]);
        assert_used(red, expected + malloc_usable_size(q));
        toolkit.heap_free(&heap, p);
        free(q);
        assert_used(red, 0);
    }
    /* Moved out of the heap it counts to the same tag. */
    void *p = realloc(toolkit.heap_alloc(&heap, 100), 2000);
    assert_used(red, taken(p));
    free(p);
    toolkit.tag_enter(NULL);

    for (int round = 0; round < 3; round++) {
        pthread_t thread;
        for (size_t i = 0; i < SHARED; i++)
            shared[i] = toolkit.heap_alloc(&heap, edge_sizes[i % 50]);
        assert_int_equal(pthread_create(&thread, NULL, free_shared, NULL), 0);
        pthread_join(thread, NULL);
        assert_used(red, 0);
        size_t used = 0;
        for (size_t i = 0; i < EDGE_SIZES; i++)
            used += malloc_usable_size(toolkit.heap_alloc(&heap, edge_sizes[i]));
        assert_used(red, used);
        toolkit.heap_reset(&heap);
        assert_used(red, 0);
    }
    toolkit.tag("red", 3 * 64);
    for (int i = 0; i < 3; i++)
        assert_non_null(toolkit.heap_alloc(&heap, 64));
    assert_fails(toolkit.heap_alloc(&heap, 1), ENOMEM);
    assert_fails(toolkit.heap_aligned(&heap, 64, 1), ENOMEM);
    assert_fails(toolkit.heap_alloc(&heap, 100000), ENOMEM);
    assert_fails(toolkit.heap_alloc(&heap, SIZE_MAX), ENOMEM);
    assert_used(red, 3 * 64);
    toolkit.heap_done(&heap);
    assert_used(red, 0);
    toolkit.tag("red", SIZE_MAX);
    assert_int_equal(toolkit.heap_init(&heap, NULL), 0); /* the same record, perhaps */
    assert_non_null(toolkit.heap_alloc(&heap, 64));
    assert_used(red, 0);
    toolkit.heap_done(&heap);
}

static void the_printout_lists_tags(void **state)
{
    (void)state;
    static char text[1 << 20];
    for (int json = 0; json < 2; json++) {
        toolkit.tag("odd \"name\"", 2048);
        toolkit.tag_enter(red);
        void *p = malloc(1016);
        toolkit.tag_enter(NULL);
        int fd = memfd_create("statistics", 0);
        assert_true(fd >= 0);
        assert_int_equal(toolkit.stats_print(fd, json), 0);
        ssize_t length = pread(fd, text, sizeof text - 1, 0);
        close(fd);
        assert_true(length > 0);
        text[length] = 0;
        free(p);
        assert_non_null(strstr(text, json ? "{\"name\":\"red\",\"used\":1024,\"refused\":" : "1.0 KiB            - "));
        assert_non_null(strstr(text, json ? "{\"name\":\"odd \\\"name\\\"\",\"used\":0,\"refused\":0,\"limit\":2048}"
                                          : "         0 B      2.0 KiB          0  odd \"name\"\n"));
    }
}

int main(void)
{
#define TAG_TEST(test) cmocka_unit_test_setup_teardown(test, make_tags, nothing_counts)
    const struct CMUnitTest tests[] = {
        TAG_TEST(every_size_counts_what_it_takes),
        TAG_TEST(calloc_is_zero_again),
        TAG_TEST(aligned_blocks_count),
        TAG_TEST(absurd_requests_fail_and_count_nothing),
        TAG_TEST(realloc_keeps_the_tag),
        TAG_TEST(realloc_gives_no_tag),
        TAG_TEST(the_limit_holds_to_the_byte),
        TAG_TEST(the_limit_holds_in_haste),
        TAG_TEST(the_soft_limit_calls_back),
        TAG_TEST(tags_nest_and_have_names),
        TAG_TEST(figures_know_of_lists_that_are_set_aside),
        TAG_TEST(another_thread_frees),
        TAG_TEST(threads_end_within_a_tag),
        TAG_TEST(children_count_on),
        TAG_TEST(each_tag_has_its_own),
        TAG_TEST(a_heap_counts_to_its_tag),
        TAG_TEST(the_printout_lists_tags),
        TAG_TEST(ten_thousand_tags),
    };
    if (!toolkit_find())
        return EXIT_FAILURE;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
