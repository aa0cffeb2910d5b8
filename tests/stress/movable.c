/* stress/movable.c - threads that get, put, resize, pin and read objects of one movable heap with a lock, while one compacts it: each has
 * its own objects, whose bytes say whose they are; what is pinned is read and written without a lock.
 */
#include "common/check.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <allot/movable.h>

#include "common/pattern.h"

enum { THREADS = 4, OBJECTS = 500, ROUNDS = 4000 };

static struct allot_movable heap;
static atomic_int working = THREADS;
static atomic_size_t moves;

static int rebuild(void *arg, uint64_t key, void *at, size_t size)
{
    (void)arg;
    pattern_fill(at, size, key);
    return 0;
}

static void moved(void *arg, allot_ref ref, void *from, void *to)
{
    (void)arg;
    (void)ref;
    CHECK(from != to);
    atomic_fetch_add(&moves, 1);
}

static size_t some_size(uint64_t *seed)
{
    return random_below(seed, 40) ? random_below(seed, 400) : random_below(seed, 30000);
}

static void *work(void *arg)
{
    uint64_t seed = (uintptr_t)arg;
    static struct {
        allot_ref ref;
        size_t size;
        bool purgeable;
    } all[THREADS][OBJECTS];
    typeof(all[0][0]) *mine = all[seed - 1];
    for (size_t n = 0; n < ROUNDS * test_scale(); n++) {
        size_t i = random_below(&seed, OBJECTS);
        uint64_t tag = (uintptr_t)arg << 32 | i;
        if (mine[i].ref.gen == 0) {
            mine[i].size = some_size(&seed);
            mine[i].purgeable = random_below(&seed, 20) == 0;
            mine[i].ref = mine[i].purgeable ? allot_movable_get_purgeable(&heap, mine[i].size, tag)
                                            : allot_movable_get(&heap, mine[i].size);
            CHECK(mine[i].ref.gen != 0);
            pattern_fill(allot_movable_pin(&heap, mine[i].ref), mine[i].size, tag);
            allot_movable_unpin(&heap, mine[i].ref);
            continue;
        }
        char *p = allot_movable_pin(&heap, mine[i].ref);
        CHECK(p && pattern_holds(p, mine[i].size, tag, true));
        if (random_below(&seed, 8) == 0)
            CHECK(allot_movable_pin(&heap, mine[i].ref) == p && allot_movable_pin(&heap, mine[i].ref) == p &&
                  (allot_movable_unpin(&heap, mine[i].ref), allot_movable_unpin(&heap, mine[i].ref), true));
        allot_movable_unpin(&heap, mine[i].ref);
        size_t size = some_size(&seed);
        switch (random_below(&seed, 4)) {
        case 0:
            if (!mine[i].purgeable && allot_movable_resize(&heap, mine[i].ref, size) == 0) {
                mine[i].size = size;
                pattern_fill(allot_movable_pin(&heap, mine[i].ref), size, tag);
                allot_movable_unpin(&heap, mine[i].ref);
            }
            break;
        case 1:
        case 2:
            allot_movable_put(&heap, mine[i].ref);
            mine[i].ref = (allot_ref){0, 0};
        }
    }
    for (size_t i = 0; i < OBJECTS; i++) {
        allot_movable_put(&heap, mine[i].ref);
        mine[i].ref = (allot_ref){0, 0};
    }
    working--;
    return NULL;
}

static void *compact(void *arg)
{
    (void)arg;
    for (size_t n = 0; working > 0; n++) {
        allot_movable_step(&heap, 50000);
        if (n % 64 == 0)
            allot_movable_purge(&heap, 100000);
        if (n % 256 == 0)
            allot_movable_check(&heap);
        sched_yield();
    }
    return NULL;
}

int main(void)
{
    check_watch_aborts();
    for (int debug = 0; debug < 2; debug++) {
        pthread_t threads[THREADS + 1];
        struct allot_movable_opts opts = {.lock = true, .debug = debug, .waste = 5, .rebuild = rebuild};
        CHECK(allot_movable_init(&heap, (size_t)1 << 30, &opts) == 0);
        allot_movable_on_move(&heap, moved, NULL);
        working = THREADS;
        for (uintptr_t i = 0; i <= THREADS; i++)
            CHECK(pthread_create(&threads[i], NULL, i < THREADS ? work : compact, (void *)(i + 1)) == 0);
        for (int i = 0; i <= THREADS; i++)
            pthread_join(threads[i], NULL);
        struct allot_movable_stats s;
        allot_movable_stats(&heap, &s);
        CHECK(s.use.count == 0 && s.use.used == 0 && s.pinned == 0);
        allot_movable_check(&heap);
        allot_movable_done(&heap);
    }
    CHECK(moves > 0);
    return 0;
}
