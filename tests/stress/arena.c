/* stress/arena.c - one arena for all threads (allot/arena.h): what a thread has allocated is its own, aligned, and holds what it wrote
 * until all is freed together; threads come and go, and use more arenas in turn than they have places for.
 */
#include "common/check.h"

#include <pthread.h>
#include <stdbool.h>

#include <allot/arena.h>

#include "common/pattern.h"

enum { THREADS = 8, ARENAS = 12, OBJECTS = 1500, ROUNDS = 12 };

static struct allot_arena_shared arenas[ARENAS];
static _Atomic unsigned cleaned;
static unsigned deferred[THREADS];

struct object {
    unsigned char *p;
    size_t size;
};

static void clean(void *arg)
{
    struct object *o = arg;
    CHECK(pattern_holds(o->p, o->size, (uintptr_t)o->p, true));
    cleaned++;
}

static void *work(void *arg)
{
    static struct object all[THREADS][OBJECTS];
    size_t thread = (uintptr_t)arg;
    struct object *objects = all[thread];
    uint64_t seed = thread + 1;
    deferred[thread] = 0;
    for (size_t i = 0; i < OBJECTS; i++) {
        struct allot_arena_shared *s = &arenas[random_below(&seed, i < OBJECTS / 2 ? ARENAS : 1)];
        size_t size = random_below(&seed, random_below(&seed, 50) ? 200 : 100000);
        size_t align = random_below(&seed, 10) ? 16 : (size_t)1 << random_below(&seed, 12);
        unsigned char *p = align == 16 ? allot_arena_shared_alloc(s, size) : allot_arena_shared_aligned(s, size, align);
        CHECK(p && (uintptr_t)p % align == 0);
        pattern_fill(p, size, (uintptr_t)p);
        objects[i] = (struct object){p, size};
        if (random_below(&seed, 50) == 0) {
            CHECK(allot_arena_shared_defer(s, clean, &objects[i]) == 0);
            deferred[thread]++;
        }
        if (random_below(&seed, 100) == 0) {
            struct allot_arena_stats stats;
            allot_arena_shared_stats(s, &stats);
            CHECK(stats.use.used > 0 && stats.use.used <= stats.use.held);
            allot_arena_shared_check(s);
        }
    }
    for (size_t i = 0; i < OBJECTS; i++)
        CHECK(pattern_holds(objects[i].p, objects[i].size, (uintptr_t)objects[i].p, true));
    return NULL;
}

static void threads_share(bool local)
{
    for (int i = 0; i < ARENAS; i++)
        CHECK(allot_arena_shared_init(&arenas[i], &(struct allot_arena_opts){.local = local}) == 0);
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[THREADS];
        cleaned = 0;
        for (uintptr_t t = 0; t < THREADS; t++)
            CHECK(pthread_create(&threads[t], NULL, work, (void *)t) == 0);
        unsigned all = 0;
        for (int t = 0; t < THREADS; t++) {
            CHECK(pthread_join(threads[t], NULL) == 0);
            all += deferred[t];
        }
        for (int i = 0; i < ARENAS; i++) {
            allot_arena_shared_check(&arenas[i]);
            allot_arena_shared_reset(&arenas[i], round % 2 ? SIZE_MAX : 0);
        }
        CHECK(all > 0 && cleaned == all);
    }
    for (int i = 0; i < ARENAS; i++)
        allot_arena_shared_done(&arenas[i]);
}

/* Two threads' local objects lie in no line in common: neither is slowed down by what the other writes. */
static void *lines_of[2];
static pthread_barrier_t both;

static void *allocate_few(void *arg)
{
    void **mine = arg;
    for (int i = 0; i < 200; i++) {
        pthread_barrier_wait(&both);
        *mine = allot_arena_shared_alloc(&arenas[0], 16);
        pthread_barrier_wait(&both);
        CHECK(!arenas[0].local || (uintptr_t)lines_of[0] / 64 != (uintptr_t)lines_of[1] / 64);
    }
    return NULL;
}

static void no_two_threads_share_a_line(void)
{
    CHECK(allot_arena_shared_init(&arenas[0], &(struct allot_arena_opts){.local = true}) == 0);
    pthread_t threads[2];
    pthread_barrier_init(&both, NULL, 2);
    for (int t = 0; t < 2; t++)
        CHECK(pthread_create(&threads[t], NULL, allocate_few, &lines_of[t]) == 0);
    for (int t = 0; t < 2; t++)
        CHECK(pthread_join(threads[t], NULL) == 0);
    allot_arena_shared_done(&arenas[0]);
}

/* Threads that come, take little and go leave little: no more than 1 KiB and four times what they had, each. */
static void *take_little(void *arg)
{
    memset(allot_arena_shared_alloc(&arenas[0], (uintptr_t)arg), 1, (uintptr_t)arg);
    return NULL;
}

static void little_is_left(void)
{
    for (size_t size = 16; size <= 4096; size *= 4) {
        CHECK(allot_arena_shared_init(&arenas[0], &(struct allot_arena_opts){.local = true}) == 0);
        for (int t = 0; t < 100; t++) {
            pthread_t thread;
            CHECK(pthread_create(&thread, NULL, take_little, (void *)size) == 0);
            CHECK(pthread_join(thread, NULL) == 0);
        }
        struct allot_arena_stats stats;
        allot_arena_shared_stats(&arenas[0], &stats);
        CHECK(stats.use.used <= 100 * (size + 1024 + 4 * size + 128));
        allot_arena_shared_done(&arenas[0]);
    }
}

/* What a reset has freed is not found again, nor in an arena that begins where another was. */
static void a_round_is_over(void)
{
    for (int i = 0; i < 100; i++) {
        CHECK(allot_arena_shared_init(&arenas[0], &(struct allot_arena_opts){.local = true, .first = 4096}) == 0);
        for (int round = 0; round < 3; round++) {
            struct allot_arena_stats before, after;
            allot_arena_shared_stats(&arenas[0], &before);
            CHECK(before.use.used == 0);
            memset(allot_arena_shared_alloc(&arenas[0], 100), 1, 100);
            allot_arena_shared_stats(&arenas[0], &after);
            CHECK(after.use.used >= 100);
            allot_arena_shared_reset(&arenas[0], 0);
        }
        allot_arena_shared_done(&arenas[0]);
    }
}

int main(void)
{
    check_watch_aborts();
    for (int local = 0; local < 2; local++) {
        snprintf(check_run, sizeof check_run, local ? "local" : "locked");
        threads_share(local);
    }
    no_two_threads_share_a_line();
    little_is_left();
    a_round_is_over();
    return 0;
}
