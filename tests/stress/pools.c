/* pools.c - pools and caches among threads: objects go from thread to thread and are put wherever they are; threads come and go, with
 * what they have left behind gone on with; and in the end nothing is out. Each object says whose it is, so that no two threads can
 * have the same.
 *
 * Usage: pools [ROUNDS]
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <allot/cache.h>
#include <allot/pool.h>

#include "../common/check.h"

enum { THREADS = 4, GENERATIONS = 6, STEPS = 4000, MINE = 200, MAILBOX = 64 };

struct object {
    _Atomic int owner; /* a thread; 0: nobody has it */
    uint64_t stamp;
    char rest[40];
};

static struct allot_pool pool;
static _Atomic(struct object *) mailbox[MAILBOX];
static atomic_int names;

static void have(struct object *o, int me)
{
    o->stamp = (uint64_t)me * 1000003;
    memset(o->rest, me, sizeof o->rest);
    atomic_store_explicit(&o->owner, me, memory_order_relaxed);
}

static void let_go(struct object *o, int me)
{
    CHECK(atomic_load_explicit(&o->owner, memory_order_relaxed) == me);
    CHECK(o->stamp == (uint64_t)me * 1000003 && o->rest[39] == (char)me);
    atomic_store_explicit(&o->owner, 0, memory_order_relaxed);
}

static void get_some(struct object **mine, size_t *count, uint64_t *random, int me)
{
    void *batch[40];
    size_t wanted = 1 + random_below(random, 40);
    if (*count + wanted > MINE) {
        return;
    }
    if (wanted % 2) {
        wanted = 1;
        batch[0] = allot_pool_get(&pool);
        CHECK(batch[0]);
    } else {
        CHECK(allot_pool_get_many(&pool, batch, wanted) == wanted);
    }
    for (size_t i = 0; i < wanted; i++) {
        have(batch[i], me);
        mine[(*count)++] = batch[i];
    }
}

static void put_some(struct object **mine, size_t *count, uint64_t *random, int me)
{
    void *batch[40];
    size_t n = random_below(random, 40);
    n = n < *count ? n : *count;
    for (size_t i = 0; i < n; i++) {
        size_t at = random_below(random, *count);
        let_go(mine[at], me);
        batch[i] = mine[at];
        mine[at] = mine[--*count];
    }
    if (n % 3 == 0) {
        allot_put_many(batch, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        n % 3 == 1 ? allot_put(batch[i]) : allot_pool_put(&pool, batch[i]);
    }
}

static void *work(void *arg)
{
    int me = 1 + atomic_fetch_add(&names, 1) % 100;
    uint64_t random = (uintptr_t)arg * 7919 + (uint64_t)me;
    struct object *mine[MINE];
    size_t count = 0;
    for (int i = 0; i < STEPS; i++) {
        size_t what = random_below(&random, 8), box = random_below(&random, MAILBOX);
        if (what < 3) {
            get_some(mine, &count, &random, me);
        } else if (what < 5) {
            put_some(mine, &count, &random, me);
        } else if (count) { /* one goes to whoever finds it */
            struct object *o = mine[--count];
            let_go(o, me);
            o = atomic_exchange(&mailbox[box], o);
            if (o) {
                have(o, me);
                mine[count++] = o;
            }
        }
        if (i % 1000 == 0) {
            CHECK(allot_pool_reserve(&pool, 10) == 0);
        }
    }
    if (random_below(&random, 2)) { /* else others put what is left */
        while (count) {
            put_some(mine, &count, &random, me);
        }
    }
    while (count) {
        struct object *o = mine[--count];
        let_go(o, me);
        o = atomic_exchange(&mailbox[random_below(&random, MAILBOX)], o);
        if (o) {
            allot_put(o);
        }
    }
    return NULL;
}

static void empty_mailbox(void)
{
    for (int i = 0; i < MAILBOX; i++) {
        allot_put(atomic_exchange(&mailbox[i], NULL));
    }
}

/* The child of a process whose threads are at it has what it needs. */
static void fork_amid(void)
{
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__) /* see stress/forks */
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        void *p[100];
        CHECK(allot_pool_get_many(&pool, p, 100) == 100);
        allot_put_many(p, 100);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
#endif
}

static void round_of(enum allot_pool_mode mode)
{
    struct allot_pool_opts opts = {.name = "stressed", .mode = mode};
    CHECK(allot_pool_init(&pool, sizeof(struct object), &opts) == 0);
    for (int g = 0; g < GENERATIONS; g++) {
        pthread_t thread[THREADS];
        for (uintptr_t i = 0; i < THREADS; i++) {
            CHECK(pthread_create(&thread[i], NULL, work, (void *)(i + 1)) == 0);
        }
        if (g == 1) {
            fork_amid();
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(thread[i], NULL);
        }
        if (g % 2) {
            empty_mailbox();
        }
        CHECK(allot_pool_check(&pool));
    }
    empty_mailbox();
    struct allot_pool_stats stats;
    allot_pool_stats(&pool, &stats);
    CHECK(stats.use.count == 0 && stats.shares <= THREADS);
    allot_pool_done(&pool);
}

/* Pools that begin and end while the threads that used them end: a share is let go once. */
static struct allot_pool brief;
static pthread_barrier_t barrier;

static void *use_briefly(void *arg)
{
    (void)arg;
    allot_put(allot_pool_get(&brief));
    pthread_barrier_wait(&barrier);
    return NULL; /* while the pool is done */
}

static void ends_beside(void)
{
    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    for (int i = 0; i < 50; i++) {
        pthread_t thread[THREADS];
        CHECK(allot_pool_init(&brief, 100, &(struct allot_pool_opts){.mode = ALLOT_POOL_LOCAL}) == 0);
        for (int t = 0; t < THREADS; t++) {
            CHECK(pthread_create(&thread[t], NULL, use_briefly, NULL) == 0);
        }
        pthread_barrier_wait(&barrier);
        allot_pool_done(&brief);
        for (int t = 0; t < THREADS; t++) {
            pthread_join(thread[t], NULL);
        }
    }
    pthread_barrier_destroy(&barrier);
}

int main(int argc, char **argv)
{
    unsigned rounds = (argc > 1 ? (unsigned)atoi(argv[1]) : 2) * test_scale();
    for (unsigned i = 0; i < rounds; i++) {
        round_of(ALLOT_POOL_LOCAL);
        round_of(ALLOT_POOL_LOCKED);
        ends_beside();
    }
    return 0;
}
