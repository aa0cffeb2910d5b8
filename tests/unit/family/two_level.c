/* two_level.c - the option two_level is the SGI STL's allocator exactly: which block comes next is foretold, call by call,
 * by a model of its published algorithm (stl_alloc.h, 1997: __default_alloc_template).
 */
#include "block.h"

enum { STEP = 8, MOST = 128, LISTS = MOST / STEP, BATCH = 20, NODES = 1 << 16, CHUNKS = 4096 };

/* A block of the model: in which chunk, at what offset. `next` in a list or -1. */
struct node {
    int chunk, offset, next;
};

static struct sgi {
    struct node nodes[NODES];
    int node_count;
    int list[LISTS]; /* a node or -1 */
    int chunk, start, end;
    size_t heap_size;
    int chunk_count;
    char *base[CHUNKS]; /* known once the first block of a chunk has been seen */
} sgi;

static void sgi_reset(void)
{
    memset(&sgi, 0, sizeof sgi);
    for (int i = 0; i < LISTS; i++)
        sgi.list[i] = -1;
}

static int sgi_index(int size) { return (size - 1) / STEP; }

static void sgi_push(int size, int chunk, int offset)
{
    assert_true(sgi.node_count < NODES);
    sgi.nodes[sgi.node_count] = (struct node){chunk, offset, sgi.list[sgi_index(size)]};
    sgi.list[sgi_index(size)] = sgi.node_count++;
}

/* chunk_alloc: `size` a multiple of 8; takes up to *count objects off the chunk; returns the first one's offset in it. */
static int sgi_chunk_alloc(int size, int *count)
{
    int left = sgi.end - sgi.start;
    if (left < size) {
        if (left > 0)
            sgi_push(left, sgi.chunk, sgi.start);
        int bytes = 2 * size * *count + (int)((sgi.heap_size / 16 + STEP - 1) / STEP * STEP);
        sgi.heap_size += (size_t)bytes;
        assert_true(sgi.chunk_count < CHUNKS);
        sgi.chunk = sgi.chunk_count++;
        sgi.start = 0;
        sgi.end = bytes;
        left = bytes;
    }
    if (left < size * *count)
        *count = left / size;
    int at = sgi.start;
    sgi.start += size * *count;
    return at;
}

static struct node sgi_alloc(int size)
{
    size = (size + STEP - 1) / STEP * STEP;
    int first = sgi.list[sgi_index(size)];
    if (first >= 0) {
        sgi.list[sgi_index(size)] = sgi.nodes[first].next;
        return sgi.nodes[first];
    }
    int count = BATCH, at = sgi_chunk_alloc(size, &count);
    for (int i = count - 1; i > 0; i--)
        sgi_push(size, sgi.chunk, at + i * size);
    return (struct node){sgi.chunk, at, -1};
}

static void sgi_free(struct node node, int size) { sgi_push((size + STEP - 1) / STEP * STEP, node.chunk, node.offset); }

static struct allot_heap heap;
static const struct allot_heap_opts two_level = {.two_level = true};

/* The block lies where the model says. */
static void assert_place(void *p, struct node node)
{
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % STEP, 0);
    if (!sgi.base[node.chunk])
        sgi.base[node.chunk] = (char *)p - node.offset;
    assert_ptr_equal(p, sgi.base[node.chunk] + node.offset);
}

static void every_block_is_foretold(void **state)
{
    (void)state;
    enum { LIVE = 2000, STEPS = 30000 };
    static struct {
        void *p;
        struct node node;
        int size;
    } live[LIVE];
    assert_int_equal(toolkit.heap_init(&heap, &two_level), 0);
    for (uint64_t round = 0; round < 3; round++) {
        sgi_reset();
        size_t count = 0;
        uint64_t random = round;
        for (int step = 0; step < STEPS; step++) {
            bool taking = count == 0 || (count < LIVE && random_below(&random, 100) < (step / 3000 % 2 ? 40 : 60));
            if (taking) {
                int size = 1 + (int)random_below(&random, random_below(&random, 2) ? 24 : MOST);
                live[count].size = size;
                live[count].node = sgi_alloc(size);
                live[count].p = toolkit.heap_alloc(&heap, (size_t)size);
                assert_place(live[count].p, live[count].node);
                pattern_fill(live[count].p, (size_t)size, (uintptr_t)live[count].p);
                count++;
            } else {
                size_t i = random_below(&random, count);
                assert_true(pattern_holds(live[i].p, (size_t)live[i].size, (uintptr_t)live[i].p, true));
                sgi_free(live[i].node, live[i].size);
                toolkit.heap_free_sized(&heap, live[i].p, (size_t)live[i].size);
                live[i] = live[--count];
            }
        }
        assert_true(toolkit.heap_check(&heap));
        toolkit.heap_reset(&heap);
    }
    toolkit.heap_done(&heap);
    assert_true(toolkit.check());
}

static void larger_blocks_come_from_malloc(void **state)
{
    (void)state;
    assert_int_equal(toolkit.heap_init(&heap, &two_level), 0);
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        if (edge_sizes[i] <= MOST)
            continue;
        void *p = toolkit.heap_alloc(&heap, edge_sizes[i]);
        assert_block(p, edge_sizes[i], 16);
        toolkit.heap_free_sized(&heap, p, edge_sizes[i]);
    }
    for (size_t i = 0; i < ABSURD_SIZES; i++)
        assert_fails(toolkit.heap_alloc(&heap, absurd_sizes[i]), ENOMEM);
    toolkit.heap_done(&heap);
}

static void malloc_only_records_sizes(void **state)
{
    (void)state;
    struct allot_heap_opts opts = {.two_level = true, .malloc_only = true};
    assert_int_equal(toolkit.heap_init(&heap, &opts), 0);
    for (size_t i = 0; i < EDGE_SIZES; i++) {
        void *p = toolkit.heap_alloc(&heap, edge_sizes[i]);
        assert_block(p, edge_sizes[i], 16);
        if (i % 2)
            toolkit.heap_free_sized(&heap, p, edge_sizes[i]);
        else
            toolkit.heap_free(&heap, p);
    }
    struct allot_stats stats;
    toolkit.heap_stats(&heap, &stats);
    assert_int_equal(stats.blocks, 0);
    toolkit.heap_done(&heap);
}

/* The handler is called when malloc gives nothing, and the request is tried again as long as it returns true. */
static int calls_left;

static bool give_up_later(void *arg)
{
    assert_ptr_equal(arg, &calls_left);
    return calls_left-- > 0;
}

static bool lift_the_limit(void *arg)
{
    assert_ptr_equal(arg, &calls_left);
    toolkit.fail_after(-1);
    return true;
}

static void the_handler_is_asked(void **state)
{
    (void)state;
    struct allot_heap_opts opts = {.two_level = true, .out_of_memory = give_up_later, .arg = &calls_left};
    size_t large = (size_t)64 << 20;

    calls_left = 3;
    assert_int_equal(toolkit.heap_init(&heap, &opts), 0);
    toolkit.fail_after(0);
    assert_fails(toolkit.heap_alloc(&heap, large), ENOMEM);
    assert_int_equal(calls_left, -1);
    calls_left = 0;
    void *p = NULL, *last = NULL;
    while (calls_left == 0) { /* small ones, until memory at hand is used up */
        last = p;
        p = toolkit.heap_alloc(&heap, MOST);
    }
    toolkit.fail_after(-1);
    assert_null(p);
    assert_non_null(last);
    toolkit.heap_done(&heap);

    opts.out_of_memory = lift_the_limit;
    assert_int_equal(toolkit.heap_init(&heap, &opts), 0);
    toolkit.fail_after(0);
    p = toolkit.heap_alloc(&heap, large);
    assert_block(p, large, 16);
    toolkit.fail_after(0);
    for (int i = 0; i < 100000; i++)
        assert_non_null(toolkit.heap_alloc(&heap, MOST));
    toolkit.fail_after(-1);
    toolkit.heap_done(&heap);
    assert_true(toolkit.check());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_block_is_foretold),
        cmocka_unit_test(larger_blocks_come_from_malloc),
        cmocka_unit_test(malloc_only_records_sizes),
        cmocka_unit_test(the_handler_is_asked),
    };
    if (!toolkit_find())
        return EXIT_FAILURE;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
