/* snap/walk.c - the block list of an image is exactly what is live: of every kind of block, whatever is at hand, held back, freed by
 * others, kept for later; and as sizes and owners have it. */
#include "common/unit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <allot/arena.h>
#include <allot/cache.h>
#include <allot/gc.h>
#include <allot/heap.h>
#include <allot/malloc.h>
#include <allot/movable.h>
#include <allot/pool.h>
#include <allot/tag.h>

#include "common/random.h"
#include "snap/walk.h"

enum { MANY = 20000, STEPS = 200000 };

/* What is live, as the test knows. */
static struct known {
    void *p;
    size_t size;
    const struct allot_tag *tag;
} known[MANY];

static struct graph_blocks walk(void)
{
    static const struct image own = {.own = true};
    struct graph_blocks blocks = {0};
    struct snap_walk wanted = {.image = &own, .desc = (uintptr_t)&own_core_desc, .out = &blocks};
    assert_int_equal(snap_walk(&wanted), SNAP_OK);
    assert_int_equal(wanted.missing, 0);
    for (size_t i = 1; i < blocks.count; i++) {
        assert_true(blocks.block[i - 1].address + blocks.block[i - 1].size <= blocks.block[i].address);
    }
    return blocks;
}

static const struct graph_block *find(const struct graph_blocks *blocks, const void *p)
{
    size_t i = graph_block_at(blocks, (uintptr_t)p);
    return i != GRAPH_NONE && blocks->block[i].address == (uintptr_t)p ? &blocks->block[i] : NULL;
}

static struct graph_owner owner_of(const struct graph_blocks *blocks, const void *p)
{
    const struct graph_block *b = find(blocks, p);
    assert_non_null(b);
    assert_true(b->owner < blocks->owners);
    return blocks->owner[b->owner];
}

static size_t some_size(struct random *random)
{
    uint64_t r = random_next(random);
    return r % 64 == 0 ? r >> 8 & 0x3fffff : r % 8 == 0 ? r >> 8 & 0xffff : r >> 8 & 0x3ff;
}

static void expect_known(const struct graph_blocks *before)
{
    struct graph_blocks blocks = walk();
    size_t count = 0;
    for (size_t i = 0; i < MANY; i++) {
        const struct known *k = &known[i];
        if (k->p) {
            const struct graph_block *b = find(&blocks, k->p);
            assert_non_null(b);
            assert_int_equal(b->size, allot_malloc_usable_size(k->p));
            bool counted = k->tag && b->size; /* hardened, one of no bytes may lie in a fence, and count to nobody */
            assert_true(b->size == 0 || blocks.owner[b->owner].kind == (counted ? GRAPH_TAG : GRAPH_MALLOC));
            if (counted) {
                assert_string_equal(blocks.owner[b->owner].name, allot_tag_name(k->tag));
            }
            count++;
        }
    }
    assert_int_equal(blocks.count, before->count + count);
    snap_walk_free(&blocks);
}

static void free_all(void)
{
    for (size_t i = 0; i < MANY; i++) {
        allot_free(known[i].p);
        known[i].p = NULL;
    }
}

static void change(size_t from, size_t to, struct allot_tag *tag, uint64_t seed)
{
    struct random random = {seed};
    for (unsigned i = 0; i < STEPS; i++) {
        struct known *k = &known[from + random_next(&random) % (to - from)];
        allot_free(k->p);
        k->p = NULL;
        if (random_next(&random) % 3) {
            k->tag = tag && random_next(&random) % 2 ? tag : NULL;
            k->size = some_size(&random);
            allot_tag_enter((struct allot_tag *)(uintptr_t)k->tag);
            k->p = allot_malloc(k->size);
            allot_tag_enter(NULL);
            assert_non_null(k->p);
        }
    }
}

static void blocks_of_any_size(void **state)
{
    (void)state;
    struct graph_blocks before = walk();
    change(0, MANY, NULL, 1);
    expect_known(&before);
    free_all();
    expect_known(&before);
    snap_walk_free(&before);
}

static void blocks_of_tags(void **state)
{
    (void)state;
    struct graph_blocks before = walk();
    change(0, MANY, allot_tag("walked", SIZE_MAX), 2);
    expect_known(&before);
    free_all();
    expect_known(&before);
    snap_walk_free(&before);
}

static void *thread(void *arg)
{
    size_t n = (size_t)(uintptr_t)arg;
    change(n * (MANY / 4), (n + 1) * (MANY / 4), n % 2 ? allot_tag("threads", SIZE_MAX) : NULL, n + 3);
    for (size_t i = 0; i < MANY / 16; i++) { /* the next one's, which waits */
        struct known *k = &known[(n + 1) % 4 * (MANY / 4) + i];
        allot_free(k->p);
        k->p = NULL;
    }
    return NULL;
}

/* One after the other, each freeing of what the last one has; and with all still there when they are looked at. */
static void blocks_of_threads(void **state)
{
    (void)state;
    struct graph_blocks before = walk();
    for (uintptr_t n = 0; n < 4; n++) {
        pthread_t id;
        assert_int_equal(pthread_create(&id, NULL, thread, (void *)n), 0);
        assert_int_equal(pthread_join(id, NULL), 0);
    }
    expect_known(&before);
    free_all();
    expect_known(&before);
    snap_walk_free(&before);
}

static pthread_barrier_t barrier;

static void *stays(void *arg)
{
    size_t n = (size_t)(uintptr_t)arg;
    change(n * (MANY / 4), (n + 1) * (MANY / 4), NULL, n + 9);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return NULL;
}

static void blocks_of_threads_that_live(void **state)
{
    (void)state;
    pthread_t id[4];
    struct graph_blocks before = walk();
    pthread_barrier_init(&barrier, NULL, 5);
    for (uintptr_t n = 0; n < 4; n++) {
        assert_int_equal(pthread_create(&id[n], NULL, stays, (void *)n), 0);
    }
    pthread_barrier_wait(&barrier);
    expect_known(&before);
    for (size_t i = 0; i < MANY; i += 3) { /* others' */
        allot_free(known[i].p);
        known[i].p = NULL;
    }
    expect_known(&before);
    pthread_barrier_wait(&barrier);
    for (size_t n = 0; n < 4; n++) {
        pthread_join(id[n], NULL);
    }
    free_all();
    expect_known(&before);
    snap_walk_free(&before);
}

static void blocks_of_a_heap(void **state)
{
    (void)state;
    struct allot_heap heap;
    assert_int_equal(allot_heap_init(&heap, NULL), 0);
    size_t before = walk().count;
    void *p[300];
    for (size_t i = 0; i < 300; i++) {
        p[i] = allot_heap_alloc(&heap, i * i);
    }
    struct graph_blocks blocks = walk();
    assert_int_equal(blocks.count, before + 300);
    for (size_t i = 0; i < 300; i++) {
        assert_int_equal(owner_of(&blocks, p[i]).kind, GRAPH_HEAP);
    }
    allot_heap_done(&heap);
    blocks = walk();
    assert_true(blocks.count <= before);
}

static void expect_objects(void **object, size_t count, enum graph_owner_kind kind, size_t bytes, const char *name,
                           size_t before)
{
    struct graph_blocks blocks = walk();
    uint32_t owner = find(&blocks, object[0])->owner;
    assert_int_equal(blocks.count, before + count);
    for (size_t i = 0; i < count; i++) {
        const struct graph_block *b = find(&blocks, object[i]);
        assert_non_null(b);
        assert_int_equal(b->size, bytes);
        assert_int_equal(b->owner, owner);
    }
    assert_int_equal(blocks.owner[owner].kind, kind);
    assert_int_equal(blocks.owner[owner].object_bytes, bytes);
    assert_string_equal(blocks.owner[owner].name, name);
    snap_walk_free(&blocks);
}

static void objects_of_pools(void **state)
{
    (void)state;
    static const size_t sizes[] = {24, 1000, 20000, 100000, 3000000};
    for (unsigned mode = ALLOT_POOL_PRIVATE; mode <= ALLOT_POOL_LOCAL; mode++) {
        for (unsigned k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            struct allot_pool pool;
            struct allot_pool_opts opts = {.mode = (enum allot_pool_mode)mode, .name = "walked"};
            assert_int_equal(allot_pool_init(&pool, sizes[k], &opts), 0);
            void *object[100];
            allot_pool_put(
                &pool, allot_pool_get(&pool)); /* the tables of the pool, and of the thread, are there from here on */
            size_t before = walk().count, left = 0;
            for (size_t i = 0; i < 100; i++) {
                object[i] = allot_pool_get(&pool);
            }
            expect_objects(object, 100, GRAPH_POOL, sizes[k], "walked", before);
            for (size_t i = 0; i < 100; i++) {
                if (i % 3) {
                    allot_pool_put(&pool, object[i]);
                } else {
                    object[left++] = object[i];
                }
            }
            expect_objects(object, left, GRAPH_POOL, sizes[k], "walked", before);
            for (size_t i = 0; i < left; i++) {
                allot_pool_put(&pool, object[i]);
            }
            assert_int_equal(walk().count, before);
            allot_pool_done(&pool);
        }
    }
}

static int construct(void *object, void *arg)
{
    (void)arg;
    memset(object, 1, 200);
    return 0;
}

static void objects_of_caches(void **state)
{
    (void)state;
    struct allot_cache cache;
    struct allot_cache_opts opts = {.name = "walked", .ctor = construct};
    assert_int_equal(allot_cache_init(&cache, 200, &opts), 0);
    size_t before = walk().count;
    void *object[500];
    for (size_t i = 0; i < 500; i++) {
        object[i] = allot_cache_get(&cache);
    }
    expect_objects(object, 500, GRAPH_CACHE, 200, "walked", before);
    for (size_t i = 250; i < 500; i++) {
        allot_cache_put(&cache, object[i]);
    }
    expect_objects(object, 250, GRAPH_CACHE, 200, "walked", before);
    for (size_t i = 0; i < 250; i++) {
        allot_cache_put(&cache, object[i]);
    }
    allot_cache_done(&cache);
}

static void objects_of_collected_heaps(void **state)
{
    (void)state;
    static const struct allot_gc_type types[] = {{.name = "short", .size = 20}, {.name = "long", .size = 3000}};
    enum { OBJECTS = 3000, LARGE = 5 };
    static void *object[OBJECTS + LARGE];
    for (enum allot_gc_kind kind = ALLOT_GC_MARK; kind <= ALLOT_GC_COUNT; kind++) {
        for (unsigned flags = 0; flags <= ALLOT_GC_EXPLICIT; flags += ALLOT_GC_EXPLICIT) {
            struct allot_gc heap;
            struct allot_gc_mutator me;
            size_t before = walk().count;
            if (allot_gc_init(&heap, kind, &(struct allot_gc_opts){.name = "walked", .flags = flags})) {
                continue;
            }
            assert_int_equal(allot_gc_attach(&heap, &me), 0);
            memset(object, 0, sizeof object);
            assert_int_equal(allot_gc_root(&heap, object, OBJECTS + LARGE), 0);
            for (size_t i = 0; i < OBJECTS + LARGE; i++) {
                object[i] = allot_gc_get(&me, &types[i % 2], i < OBJECTS ? i % 7 * 16 : i * 100);
                assert_non_null(object[i]);
            }
            for (int round = 0; round < 2; round++) {
                struct graph_blocks blocks = walk();
                size_t count = 0;
                for (size_t i = 0; i < OBJECTS + LARGE; i++) {
                    const struct graph_block *b = object[i] ? find(&blocks, object[i]) : NULL;
                    assert_int_equal(b != NULL, object[i] != NULL);
                    if (!b) {
                        continue;
                    }
                    const struct graph_owner *owner = &blocks.owner[b->owner];
                    count++;
                    assert_int_equal(owner->kind, flags ? GRAPH_EXPLICIT : GRAPH_GC);
                    assert_string_equal(owner->name, i % 2 ? "walked: long" : "walked: short");
                    assert_int_equal(owner->object_bytes, types[i % 2].size);
                    assert_true(b->size >= types[i % 2].size + (i < OBJECTS ? i % 7 * 16 : i * 100));
                    assert_int_equal(b->size, allot_gc_size_of(object[i]));
                }
                assert_int_equal(blocks.count, before + count); /* and nothing else is */
                snap_walk_free(&blocks);
                for (size_t i = 0; i < OBJECTS + LARGE; i++) {
                    void *gone = i % 3 ? object[i] : NULL;
                    object[i] = i % 3 ? NULL : object[i];
                    if (flags && gone) {
                        allot_gc_put(&me, gone);
                    } else {
                        allot_gc_unref(&me, gone);
                    }
                }
                allot_gc_collect(&me);
            }
            for (size_t i = 0; i < OBJECTS + LARGE; i++) {
                allot_gc_unref(&me, object[i]);
            }
            allot_gc_done(&heap);
            assert_int_equal(walk().count, before);
        }
    }
}

static int build(void *arg, uint64_t key, void *at, size_t size)
{
    (void)arg;
    memset(at, (int)key, size);
    return 0;
}

/* Of any size, before and after they have moved; what is purged is none. */
static void objects_of_movable_heaps(void **state)
{
    (void)state;
    enum { OBJECTS = 3000 };
    static allot_ref ref[OBJECTS];
    struct allot_movable heap;
    struct allot_movable_opts opts = {.name = "walked", .rebuild = build};
    struct random r = {5};
    size_t before = walk().count, live = OBJECTS;
    assert_int_equal(allot_movable_init(&heap, 0, &opts), 0);
    for (size_t i = 0; i < OBJECTS; i++) {
        size_t size = i % 100 ? 1 + random_below(&r, 1000) : random_below(&r, 5 << 20);
        ref[i] = i % 50 == 1 ? allot_movable_get_purgeable(&heap, size, i) : allot_movable_get(&heap, size);
    }
    for (int moved = 0; moved < 2; moved++) {
        struct graph_blocks blocks = walk();
        assert_int_equal(blocks.count, before + live);
        for (size_t i = 0; i < OBJECTS; i++) {
            const struct graph_block *b = ref[i].gen ? find(&blocks, allot_movable_at(&heap, ref[i])) : NULL;
            assert_true(!ref[i].gen || (b && b->size == allot_movable_size(&heap, ref[i])));
            assert_true(!b || (blocks.owner[b->owner].kind == GRAPH_MOVABLE &&
                               strcmp(blocks.owner[b->owner].name, "walked") == 0));
            if (i % 4 && ref[i].gen) {
                allot_movable_put(&heap, ref[i]);
                ref[i].gen = 0;
                live--;
            }
        }
        snap_walk_free(&blocks);
        while (allot_movable_step(&heap, 1 << 20) > 0) {
        }
    }
    struct allot_movable_stats s;
    allot_movable_purge(&heap, SIZE_MAX);
    allot_movable_stats(&heap, &s);
    assert_int_equal(walk().count, before + live - s.purged);
    allot_movable_done(&heap);
    assert_int_equal(walk().count, before);
}

static void an_arenas_blocks(void **state)
{
    (void)state;
    struct allot_arena arena;
    assert_int_equal(allot_arena_init(&arena, NULL), 0);
    size_t before = walk().count;
    void *p = allot_arena_alloc(&arena, 100);
    struct graph_blocks blocks = walk();
    assert_int_equal(blocks.count, before + 1);
    size_t i = graph_block_at(&blocks, (uintptr_t)p);
    assert_int_equal(blocks.owner[blocks.block[i].owner].kind, GRAPH_ARENA);
    allot_arena_done(&arena);
    assert_int_equal(walk().count, before);
    void *again = allot_malloc(64 << 10);
    blocks = walk();
    assert_int_equal(owner_of(&blocks, again).kind, GRAPH_MALLOC);
    allot_free(again);
}

static void memory_runs_out(void **state)
{
    (void)state;
    static const struct image own = {.own = true};
    void *p = allot_malloc(100);
    unsigned refused = 0;
    for (long n = 0;; n++) {
        struct graph_blocks blocks = {0};
        struct snap_walk wanted = {.image = &own, .desc = (uintptr_t)&own_core_desc, .out = &blocks};
        allot_fail_after(n);
        enum snap_trouble trouble = snap_walk(&wanted);
        allot_fail_after(-1);
        if (trouble == SNAP_OK) {
            assert_non_null(find(&blocks, p));
            break;
        }
        assert_int_equal(trouble, SNAP_NO_MEMORY);
        assert_int_equal(blocks.count, 0);
        refused++;
    }
    assert_true(refused >= 5);
    allot_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_of_any_size),       cmocka_unit_test(blocks_of_tags),
        cmocka_unit_test(blocks_of_threads),        cmocka_unit_test(blocks_of_threads_that_live),
        cmocka_unit_test(blocks_of_a_heap),         cmocka_unit_test(objects_of_pools),
        cmocka_unit_test(objects_of_movable_heaps), cmocka_unit_test(objects_of_collected_heaps),
        cmocka_unit_test(objects_of_caches),        cmocka_unit_test(an_arenas_blocks),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
