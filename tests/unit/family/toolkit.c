/* toolkit.c - what allot's heap has beyond malloc's family: growing in place, trimming, options, figures, walk, proof. */
#include "block.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

enum { BLOCKS = 5000 };

static void *blocks[BLOCKS];

static void take_blocks(size_t size)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(size);
        assert_non_null(blocks[i]);
    }
}

static void give_blocks(void)
{
    for (size_t i = 0; i < BLOCKS; i++)
        free(blocks[i]);
}

static void try_expand_keeps_the_block_where_it_is(void **state)
{
    (void)state;
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        unsigned char *p = malloc(edge_sizes[i]);
        assert_non_null(p);
        size_t usable = malloc_usable_size(p);
        pattern_fill(p, usable, i);
        assert_true(toolkit.try_expand(p, 0));
        assert_true(toolkit.try_expand(p, usable));
        assert_int_equal(malloc_usable_size(p), usable);
        bool grown = toolkit.try_expand(p, usable + 1);
        if (grown)
            assert_true(malloc_usable_size(p) >= usable + 1);
        else
            assert_int_equal(malloc_usable_size(p), usable);
        assert_true(pattern_holds(p, usable, i, true));
        for (size_t k = 0; k < ABSURD_SIZES; k++)
            assert_false(toolkit.try_expand(p, absurd_sizes[k]));
        assert_block(p, edge_sizes[i], 16);
        free(p);
    }
}

/* With nothing else beside it a run of pages, and a block with a mapping of its own, can grow. */
static void large_blocks_can_grow_in_place(void **state)
{
    (void)state;
    static const size_t sizes[] = {(size_t)128 << 10, (size_t)8 << 20};
    for (size_t i = 0; i < 2; i++) {
        unsigned tries = 0;
        bool grown = false;
        while (!grown && tries++ < 16) {
            void *p = malloc(sizes[i]);
            grown = toolkit.try_expand(p, sizes[i] + 65536);
            if (grown)
                assert_block(p, sizes[i] + 65536, 16);
            free(p);
        }
        assert_true(grown);
    }
}

static void trim_gives_back_and_says_how_much(void **state)
{
    (void)state;
    take_blocks(4000);
    for (size_t i = 0; i < BLOCKS; i++)
        memset(blocks[i], 1, 4000);
    struct allot_stats during, after;
    size_t resident = toolkit.resident();
    toolkit.stats(&during);
    give_blocks();
    toolkit.trim();
    toolkit.stats(&after);
    assert_true(resident > toolkit.resident() + (size_t)BLOCKS * 4000 * 9 / 10);
    assert_true(after.given_back >= during.given_back + (size_t)BLOCKS * 4000 * 9 / 10);
    assert_true(during.held >= after.held + (size_t)BLOCKS * 4000);
    assert_int_equal(after.kept, 0);
    assert_int_equal(toolkit.trim(), 0);
}

static void stats_count_what_is_live(void **state)
{
    (void)state;
    struct allot_stats before, during, after;
    toolkit.stats(&before);
    take_blocks(100);
    void *large = malloc((size_t)16 << 20);
    toolkit.stats(&during);
    size_t usable = BLOCKS * malloc_usable_size(blocks[0]) + malloc_usable_size(large);
    size_t large_usable = malloc_usable_size(large);
    give_blocks();
    free(large);
    toolkit.stats(&after);
    assert_int_equal(during.blocks - before.blocks, BLOCKS + 1);
    assert_int_equal(during.live - before.live, usable);
    assert_int_equal(during.large - before.large, large_usable);
    assert_int_equal(during.large_blocks - before.large_blocks, 1);
    assert_true(during.mapped >= during.live);
    assert_true(during.mapped >= during.metadata);
    assert_true(during.segments >= 1);
    assert_true(during.threads >= 1);
    assert_int_equal(after.blocks, before.blocks);
    assert_int_equal(after.live, before.live);
    assert_int_equal(after.large_blocks, before.large_blocks);
    assert_true(after.peak + 65536 * after.threads >= during.live);
}

static void resident_is_what_was_touched(void **state)
{
    (void)state;
    struct allot_stats before, during;
    size_t size = (size_t)32 << 20;
    toolkit.trim(); /* or what an earlier one left serves again */
    toolkit.stats(&before);
    size_t resident = toolkit.resident();
    char *p = malloc(size);
    toolkit.stats(&during);
    size_t untouched = toolkit.resident();
    for (size_t at = 0; at < size; at += 4096)
        p[at] = 1;
    size_t touched = toolkit.resident();
    free(p);
    assert_true(during.mapped >= before.mapped + size);
    assert_true(untouched < resident + size / 4);
    assert_true(touched >= resident + size);
}

static void classes_add_up(void **state)
{
    (void)state;
    enum { CLASSES_MOST = 512 };
    static struct allot_class_stats classes[CLASSES_MOST];
    take_blocks(100);
    size_t count = toolkit.stats_classes(classes, CLASSES_MOST), found = 0;
    assert_true(count > 0 && count <= CLASSES_MOST);
    assert_int_equal(toolkit.stats_classes(NULL, 0), count);
    for (size_t i = 0; i < count; i++) {
        assert_true(i == 0 || classes[i].size > classes[i - 1].size);
        assert_true(classes[i].slabs > 0);
        found += classes[i].size == malloc_usable_size(blocks[0]) && classes[i].blocks >= BLOCKS;
    }
    give_blocks();
    assert_int_equal(found, 1);
}

struct living {
    pthread_barrier_t barrier;
    bool much;
};

static void *live_and_wait(void *arg)
{
    enum { FEW = 4, MANY = 200 }; /* with a few blocks a thread has no heap yet */
    struct living *living = arg;
    void *block[MANY];
    for (int i = 0; i < (living->much ? MANY : FEW); i++)
        block[i] = malloc(100);
    pthread_barrier_wait(&living->barrier);
    pthread_barrier_wait(&living->barrier);
    for (int i = 0; i < (living->much ? MANY : FEW); i++)
        free(block[i]);
    return NULL;
}

static void count_threads(bool much)
{
    enum { THREADS = 5, HEAPS_MOST = 64 };
    struct allot_stats before, during;
    struct allot_heap_stats heaps[HEAPS_MOST];
    struct living living = {.much = much};
    pthread_t threads[THREADS];
    pthread_barrier_init(&living.barrier, NULL, THREADS + 1);
    toolkit.stats(&before);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, live_and_wait, &living), 0);
    pthread_barrier_wait(&living.barrier);
    toolkit.stats(&during);
    size_t count = toolkit.stats_heaps(heaps, HEAPS_MOST), mine = 0, owned = 0;
    pthread_barrier_wait(&living.barrier);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(during.threads - before.threads, THREADS);
    for (size_t i = 0; i < count; i++) {
        mine += heaps[i].tid == gettid();
        owned += heaps[i].tid != 0;
        assert_true(heaps[i].held >= heaps[i].live);
    }
    assert_in_range(mine, 0, 1);
    assert_in_range(owned - mine, much ? THREADS : 0, much ? HEAPS_MOST : 0);
}

static void threads_are_counted(void **state)
{
    (void)state;
    count_threads(false);
    count_threads(true);
}

/* Whether a python program is content with what stats_print writes. */
static void assert_print(bool json, const char *program)
{
    FILE *reader = popen(program, "w");
    assert_non_null(reader);
    assert_int_equal(toolkit.stats_print(fileno(reader), json), 0);
    assert_int_equal(pclose(reader), 0);
}

static void stats_print_in_two_forms(void **state)
{
    (void)state;
    take_blocks(50);
    assert_print(true, "env -u LD_PRELOAD python3 -c '"
                       "import json, sys\n"
                       "text = sys.stdin.read()\n"
                       "stats = json.loads(text)\n"
                       "assert text.count(\"\\n\") == 1 and text.endswith(\"\\n\")\n"
                       "assert stats[\"blocks\"] >= 5000 and stats[\"live\"] >= 5000 * 50\n"
                       "assert any(c[\"blocks\"] >= 5000 for c in stats[\"classes\"])'");
    assert_print(false, "env -u LD_PRELOAD python3 -c '"
                        "import sys\n"
                        "text = sys.stdin.read()\n"
                        "assert \"live\" in text and \"peak\" in text and \"resident\" in text'");
    give_blocks();
    assert_int_equal(toolkit.stats_print(-1, true), -EBADF);
}

static void stats_print_says_when_it_cannot(void **state)
{
    (void)state;
    int full = open("/dev/full", O_WRONLY);
    assert_true(full >= 0);
    errno = 4242;
    assert_int_equal(toolkit.stats_print(full, false), -ENOSPC);
    assert_int_equal(errno, 4242);
    close(full);
}

struct search {
    const void *for_block;
    size_t usable, seen;
};

static int find_block(void *block, size_t usable, void *arg)
{
    struct search *search = arg;
    search->seen++;
    if (block != search->for_block)
        return 0;
    search->usable = usable;
    return 7;
}

static void walk_visits_every_kind_of_block(void **state)
{
    (void)state;
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        void *p = malloc(edge_sizes[i]);
        struct search search = {.for_block = p};
        assert_int_equal(toolkit.walk(find_block, &search), 7);
        assert_int_equal(search.usable, malloc_usable_size(p));
        free(p);
        search.seen = 0;
        assert_int_equal(toolkit.walk(find_block, &search), 0);
        struct allot_stats stats;
        toolkit.stats(&stats);
        assert_int_equal(search.seen, stats.blocks);
    }
}

/* Redirects standard error into a file while `name`=`value` is set; returns what was printed. */
static int set_option(const char *name, const char *value, char *text, size_t size)
{
    int kept = dup(STDERR_FILENO), file = memfd_create("stderr", 0);
    assert_int_equal(dup2(file, STDERR_FILENO), STDERR_FILENO);
    int result = toolkit.option(name, value);
    assert_int_equal(dup2(kept, STDERR_FILENO), STDERR_FILENO);
    ssize_t length = pread(file, text, size - 1, 0);
    assert_true(length >= 0);
    text[length] = 0;
    close(file);
    close(kept);
    return result;
}

static void options_refuse_in_one_line(void **state)
{
    (void)state;
    char text[1024];
    assert_int_equal(set_option("no_such_option", "1", text, sizeof text), -EINVAL);
    assert_non_null(strstr(text, "no_such_option"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_int_equal(set_option("stats_format", "cuneiform", text, sizeof text), -EINVAL);
    assert_non_null(strstr(text, "stats_format=cuneiform"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_int_equal(set_option("stats_format", "json", text, sizeof text), 0);
    assert_string_equal(text, "");
    assert_int_equal(set_option("stats_format", "text", text, sizeof text), 0);
}

static void fail_after_fails_until_it_is_lifted(void **state)
{
    (void)state;
    toolkit.fail_after(0);
    assert_fails(malloc((size_t)64 << 20), ENOMEM);
    toolkit.fail_after(-1);
    void *p = malloc((size_t)64 << 20);
    assert_block(p, (size_t)64 << 20, 16);
    toolkit.fail_after(1000);
    free(p);
    p = malloc((size_t)64 << 20);
    assert_block(p, (size_t)64 << 20, 16);
    toolkit.fail_after(-1);
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(try_expand_keeps_the_block_where_it_is),
        cmocka_unit_test(large_blocks_can_grow_in_place),
        cmocka_unit_test(trim_gives_back_and_says_how_much),
        cmocka_unit_test(stats_count_what_is_live),
        cmocka_unit_test(resident_is_what_was_touched),
        cmocka_unit_test(classes_add_up),
        cmocka_unit_test(threads_are_counted),
        cmocka_unit_test(stats_print_in_two_forms),
        cmocka_unit_test(stats_print_says_when_it_cannot),
        cmocka_unit_test(walk_visits_every_kind_of_block),
        cmocka_unit_test(options_refuse_in_one_line),
        cmocka_unit_test(fail_after_fails_until_it_is_lifted),
    };
    if (!toolkit_find())
        return EXIT_FAILURE;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
