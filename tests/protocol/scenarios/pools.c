/* pools.c - objects of a local pool put by others, beside an owner that collects or ends. See frees.c: it is the same protocol, with a
 * pool's share in place of the heap.
 */
#include "scenarios.h"

#include <allot/pool.h>

#include "pool/local.h"
#include "pool/pool.h"
#include "system.h"

static struct allot_pool pool;
static void *object[3];

static void *get_object(void)
{
    uintptr_t *p = allot_pool_get(&pool);
    EXPECT(p != NULL);
    p[1] = (uintptr_t)p;
    return p;
}

static void put_object(unsigned i)
{
    uintptr_t *p = object[i];
    object[i] = NULL;
    if (p) {
        EXPECT(p[1] == (uintptr_t)p);
        p[1] = 1;
        allot_put(p);
    }
}

static void begins_with(size_t size)
{
    EXPECT(allot_pool_init(&pool, size, &(struct allot_pool_opts){.mode = ALLOT_POOL_LOCAL}) == 0);
    threads_with_heaps(3);
    for (unsigned i = 0; i < 3; i++) {
        object[i] = get_object();
    }
}

static void begins(void) { begins_with(SIZE); }
static void begins_with_two_slabs(void) { begins_with(HALF); }

static void collect(void)
{
    struct set *mine = shares.count ? shares.of[((struct pool *)pool.state)->number].set : NULL;
    if (mine) {
        set_drain(mine, true);
    }
}

static void collect_twice(void)
{
    collect();
    collect();
}

static void put_0(void) { put_object(0); }
static void put_1(void) { put_object(1); }
static void put_0_and_2(void)
{
    put_object(0);
    put_object(2);
}
static void put_1_and_2(void)
{
    put_object(1);
    put_object(2);
}
static void put_many_1_and_2(void)
{
    void *many[] = {object[1], object[2]};
    object[1] = object[2] = NULL;
    allot_put_many(many, 2);
}
static void get_and_put_2(void)
{
    void *p = get_object();
    put_object(2);
    allot_put(p);
}
static void put_twice(void) { allot_put(twice); }

/* Nothing is out, or waits to be collected, and each share has its slabs on its lists. */
static void nothing_is_out(void)
{
    for (unsigned t = 0; t < THREADS; t++) {
        act_as(t);
        collect();
    }
    act_as(0);
    for (unsigned i = 0; i < 3; i++) {
        put_object(i);
    }
    struct allot_pool_stats stats;
    allot_pool_check(&pool);
    allot_pool_stats(&pool, &stats);
    EXPECT(stats.use.count == 0);
    allot_pool_done(&pool);
}

/* The share of a thread that is no more has been looked after by who put. */
static void ends(void)
{
    struct pool *own = pool.state;
    struct set *left = own->idle;
    EXPECT(!left || (left->part.inbox == NULL && left->part.undrained == NULL));
    nothing_is_out();
}

static void double_begins(void)
{
    begins();
    twice = object[0];
    object[0] = NULL;
}

static void double_ends(void)
{
    put_object(1);
    put_object(2);
    for (unsigned t = 0; t < THREADS; t++) {
        act_as(t);
        collect();
    }
}

/* clang-format off */
const struct scenario pool_scenarios[] = {
    {"pool-put", begins, {collect_twice, put_0, put_1_and_2}, nothing_is_out, NULL, false},
    {"pool-many", begins, {collect_twice, put_0, put_many_1_and_2}, nothing_is_out, NULL, false},
    {"pool-slabs", begins_with_two_slabs, {collect, put_0_and_2, put_1}, nothing_is_out, NULL, false},
    {"pool-end", begins, {system_thread_ends, put_0_and_2, put_1}, ends, NULL, false},
    {"pool-adopt", begins, {system_thread_ends, put_0, get_and_put_2}, nothing_is_out, NULL, false},
    {"pool-double", double_begins, {collect, put_twice, put_twice}, double_ends, &twice, false},
    {.name = NULL},
};
/* clang-format on */
