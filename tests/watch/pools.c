/* pools.c DEED - one crime against what a pool or a cache has free, or none: what valgrind and AddressSanitizer are to see. Deeds
 * whose names begin with "well" are no crimes.
 */
#include "../common/check.h"

#include <allot/allocator.h>
#include <allot/cache.h>
#include <allot/pool.h>

#include "deeds.h"

enum { SIZE = 40 };

static struct allot_pool pool;
static struct allot_cache cache;

static char *object(void)
{
    void *p = allot_pool_get(&pool);
    CHECK(p);
    return opaque_pointer(p);
}

static void init(size_t size, enum allot_pool_mode mode)
{
    CHECK(allot_pool_init(&pool, size, &(struct allot_pool_opts){.mode = mode}) == 0);
}

static int construct(void *p, void *arg)
{
    memset(p, 5, SIZE);
    return arg ? -1 : 0;
}

static void init_cache(unsigned flags)
{
    CHECK(allot_cache_init(&cache, SIZE, &(struct allot_cache_opts){.ctor = construct, .flags = flags}) == 0);
}

static void overrun(void)
{
    init(SIZE, ALLOT_POOL_PRIVATE);
    object()[SIZE] = 1;
}

static void underrun(void)
{
    init(48, ALLOT_POOL_LOCAL);
    char *p = object();
    char *q = object();
    allot_put(p);
    q[-1] = 1;
}

static void use_of_what_is_not_out(void)
{
    init(48, ALLOT_POOL_LOCKED);
    object()[48] = 1;
}

static void use_after_put(void)
{
    init(SIZE, ALLOT_POOL_PRIVATE);
    char *p = object();
    object();
    allot_put(p);
    p[3] = 1;
}

static void use_after_put_of_long(void)
{
    init(100000, ALLOT_POOL_PRIVATE);
    char *p = object();
    allot_put(p);
    p[3] = 1;
}

static void use_after_local_put(void)
{
    init(SIZE, ALLOT_POOL_LOCAL);
    char *p = object();
    allot_pool_put(&pool, p);
    p[SIZE - 1] = 1;
}

static void use_after_cache_put(void)
{
    init_cache(0);
    char *p = opaque_pointer(allot_cache_get(&cache));
    allot_cache_put(&cache, p);
    p[0] = 1;
}

static void uninitialised(void)
{
    init(SIZE, ALLOT_POOL_PRIVATE);
    char *p = object();
    p[0] = 1;
    allot_put(p);
    p = object();
    if (p[0]) {
        printf("%d\n", p[0]);
    }
}

static void well_pool(void)
{
    for (int m = ALLOT_POOL_PRIVATE; m <= ALLOT_POOL_LOCAL; m++) {
        static char *p[3000];
        init(SIZE, m);
        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < 3000; i++) {
                memset(p[i] = object(), i, SIZE);
            }
            for (int i = 0; i < 3000; i++) {
                CHECK(p[i][SIZE - 1] == (char)i);
                allot_put(p[i]);
            }
            allot_pool_check(&pool);
            allot_pool_trim(&pool);
        }
        allot_pool_done(&pool);
    }
    for (int i = 0; i < 100; i++) { /* what has gone back is the heap's */
        char *p = allot_allocator_malloc().ops->take(NULL, 30000, 16);
        memset(p, 1, 30000);
    }
}

/* A constructed object keeps its values while it is free. */
static void well_constructed(void)
{
    static unsigned char mask[SIZE] = {255};
    struct allot_cache_opts opts = {.ctor = construct, .mask = mask};
    CHECK(allot_cache_init(&cache, SIZE, &opts) == 0);
    char *p = opaque_pointer(allot_cache_get(&cache));
    allot_put(p);
    p = opaque_pointer(allot_cache_get(&cache));
    CHECK(p[0] == 5 && p[SIZE - 1] == 5);
    allot_put(p);
    CHECK(allot_cache_reserve(&cache, 100) == 0);
    allot_cache_done(&cache);
}

static void well_type_stable(void)
{
    init_cache(ALLOT_CACHE_TYPE_STABLE);
    char *p = opaque_pointer(allot_cache_get(&cache));
    allot_cache_put(&cache, p);
    CHECK(p[0] == 5);
    allot_cache_done(&cache);
}

static const struct deed deeds[] = {
    DEED(overrun),
    DEED(underrun),
    DEED(use_of_what_is_not_out),
    DEED(use_after_put),
    DEED(use_after_put_of_long),
    DEED(use_after_local_put),
    DEED(use_after_cache_put),
    DEED(uninitialised),
    DEED(well_pool),
    DEED(well_constructed),
    DEED(well_type_stable),
};

int main(int argc, char **argv) { return deeds_main(argc, argv, deeds, sizeof deeds / sizeof *deeds); }
