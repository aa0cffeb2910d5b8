/* one_heap.c - a program that links the toolkit. Alone, it has allot's heap beside the system's; started under the drop-in
 * it has one heap, whichever copy of the code a call goes to: blocks of either are freed by either, and both tell the same.
 *
 *     one_heap apart      the toolkit alone
 *     one_heap together   under the drop-in
 */
#include <allot/cache.h>
#include <allot/heap.h>
#include <allot/malloc.h>
#include <allot/pool.h>
#include <allot/tag.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../common/check.h"
#include "../../common/pattern.h"

enum { BLOCKS = 2000 };

static void *blocks[BLOCKS];

static size_t size_of(unsigned i) { return i % 100 == 0 ? (size_t)i * 3000 : i % 10 == 0 ? (size_t)i * 40 : i; }

static struct allot_pool pool;
static void *objects[BLOCKS];

static void *put_all(void *arg)
{
    for (unsigned i = 0; i < BLOCKS; i++)
        i % 2 ? allot_put(objects[i]) : allot_pool_put(&pool, objects[i]);
    return arg;
}

static int construct(void *p, void *arg)
{
    memset(p, 9, 100);
    return arg ? -1 : 0;
}

static int is_named(struct allot_cache *cache, const char *name, void *arg)
{
    struct allot_cache_stats stats;
    allot_cache_stats(cache, &stats);
    return strcmp(name, arg) == 0 && stats.use.count == 1;
}

/* The copy that frees a block knows whose object it is: `release` ends with a line. */
static void free_of_object(void *p, void (*release)(void *))
{
    int ends[2];
    char text[4096] = "";
    size_t length = 0;
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        release(p);
        _exit(0);
    }
    close(ends[1]);
    for (ssize_t n; (n = read(ends[0], text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)n;
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    CHECK(strstr(text, "free of what is no live block: object of 100 bytes of pool \"shared\"") != NULL);
    close(ends[0]);
}

static void pools(void (*release)(void *))
{
    for (int mode = ALLOT_POOL_PRIVATE; mode <= ALLOT_POOL_LOCAL; mode++) {
        CHECK(allot_pool_init(&pool, 100, &(struct allot_pool_opts){.name = "shared", .mode = mode}) == 0);
        CHECK(allot_pool_reserve(&pool, 100) == 0);
        for (unsigned i = 0; i < BLOCKS; i++) {
            objects[i] = allot_pool_get(&pool);
            CHECK(objects[i]);
            memset(objects[i], (int)i, 100);
        }
        free_of_object(objects[0], release);
        struct allot_pool_stats stats;
        allot_pool_stats(&pool, &stats);
        CHECK(stats.use.count == BLOCKS && allot_pool_check(&pool) && allot_check());
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, put_all, NULL) == 0);
        pthread_join(thread, NULL);
        CHECK(allot_pool_get_many(&pool, objects, 100) == 100);
        allot_put_many(objects, 100);
        allot_pool_trim(&pool);
        allot_pool_done(&pool);
    }
    struct allot_cache cache;
    CHECK(allot_cache_init(&cache, 100, &(struct allot_cache_opts){.name = "one", .ctor = construct}) == 0);
    CHECK(allot_cache_reserve(&cache, 10) == 0);
    char *p = allot_cache_get(&cache);
    CHECK(p[99] == 9 && allot_cache_check(&cache));
    CHECK(allot_caches_walk(is_named, (void *)"one") == 1);
    allot_put(p);
    allot_cache_put(&cache, allot_cache_get(&cache));
    CHECK(allot_cache_trim(&cache) > 0);
    allot_cache_done(&cache);
}

static void apart(void)
{
    struct allot_stats before, after;
    allot_stats(&before);
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(100);
        CHECK(blocks[i]);
    }
    allot_stats(&after);
    CHECK(after.blocks == before.blocks);
    for (unsigned i = 0; i < BLOCKS; i++)
        free(blocks[i]);
    void *mine = allot_malloc(100);
    allot_stats(&after);
    CHECK(after.blocks == before.blocks + 1);
    allot_free(mine);
    CHECK(allot_check());
}

/* Makes block i with one copy's functions or the other's, in turn. */
static void *take(unsigned i)
{
    void *p = NULL;
    size_t size = size_of(i);
    switch (i % 8) {
    case 0:
        return malloc(size);
    case 1:
        return allot_malloc(size);
    case 2:
        return calloc(1, size);
    case 3:
        return allot_calloc(1, size);
    case 4:
        return allot_realloc(malloc(50), size + 1);
    case 5:
        return realloc(allot_malloc(50), size + 1);
    case 6:
        return allot_aligned_alloc(256, size);
    default:
        CHECK(allot_posix_memalign(&p, 64, size) == 0);
        return p;
    }
}

static void give(unsigned i)
{
    CHECK(pattern_holds(blocks[i], size_of(i), i, true));
    CHECK(malloc_usable_size(blocks[i]) == allot_malloc_usable_size(blocks[i]));
    errno = 4242;
    switch (i / 8 % 3) {
    case 0:
        free(blocks[i]);
        break;
    case 1:
        allot_free(blocks[i]);
        break;
    default:
        CHECK(allot_realloc(blocks[i], 0) == NULL);
    }
    CHECK(errno == 4242);
}

static void *take_and_give(void *arg)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        void *p = take(i);
        CHECK(p);
        free(p);
    }
    for (unsigned i = 0; i < BLOCKS / 2; i++)
        give(i);
    return arg;
}

/* What the C library's own names tell of. */
static size_t live_by_name(void)
{
#ifdef __GLIBC__
    return mallinfo2().uordblks + mallinfo2().hblkhd;
#else
    struct allot_stats stats;
    allot_stats(&stats);
    return stats.live;
#endif
}

static void together(void)
{
    struct allot_stats before, during, after;
    allot_stats(&before);
    size_t in_use = live_by_name();
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = take(i);
        CHECK(blocks[i]);
        pattern_fill(blocks[i], size_of(i), i);
    }
    allot_stats(&during);
    CHECK(during.blocks == before.blocks + BLOCKS);
    CHECK(live_by_name() - in_use == during.live - before.live);

    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, take_and_give, NULL) == 0);
    pthread_join(thread, NULL);
    for (unsigned i = BLOCKS / 2; i < BLOCKS; i++)
        give(i);

    struct allot_heap heap;
    CHECK(allot_heap_init(&heap, NULL) == 0);
    void *p = allot_heap_alloc(&heap, 100), *q = allot_heap_aligned(&heap, 4096, 100);
    CHECK(p && q && malloc_usable_size(p) >= 100);
    free(p);
    allot_heap_stats(&heap, &during);
    CHECK(during.blocks == 1);
    CHECK(allot_heap_check(&heap));
    allot_heap_done(&heap);

    struct allot_tag *tag = allot_tag("tenant", 1 << 20);
    struct allot_tag_stats tags[1];
    CHECK(allot_tag_enter(tag) == NULL);
    p = malloc(100), q = allot_malloc(100);
    CHECK(p && q && malloc((size_t)1 << 20) == NULL);
    CHECK(allot_tag_enter(NULL) == tag && allot_tag_used(tag) == 2 * 112);
    CHECK(allot_stats_tags(tags, 1) == 1 && tags[0].used == 2 * 112 && tags[0].refused == 1);
    free(p), allot_free(q);
    CHECK(allot_tag_used(tag) == 0 && strcmp(allot_tag_name(tag), "tenant") == 0);

    p = malloc(100);
    CHECK(allot_try_expand(p, malloc_usable_size(p)));
    free(p);
    allot_trim();
    allot_fail_after(0);
    CHECK(malloc((size_t)64 << 20) == NULL);
    allot_fail_after(-1);
    allot_stats(&after);
    CHECK(after.blocks <= before.blocks + 2); /* libc keeps what it had for the thread */
    CHECK(allot_check());
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    if (strcmp(argv[1], "apart") == 0) {
        apart();
        pools(allot_free);
    } else if (strcmp(argv[1], "together") == 0) {
        together();
        pools(free);
    } else {
        return 2;
    }
    return 0;
}
