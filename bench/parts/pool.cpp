/* pool.cpp - 200 000 objects of 64 bytes a round: all made, the first word of each written, then freed in random order; 12 rounds,
 * of which the best counts. `object` is one made and freed.
 *
 *   put          ns of the free alone, where it is another thread's
 *   churned      how long a scan of all objects takes, as many having been freed and made again at random as there are, over how long
 *                it took when they were all fresh
 *   passed       ns an object that one thread makes and fills and another frees, as xmalloc-test passes them: in batches of 4096,
 *                eight of them on their way at most
 *   resident     MiB at the end of that
 *
 * What has locks runs beside another thread, which sleeps: many do without while there is but one.
 */
#include "part.h"

#include <condition_variable>
#include <memory_resource>
#include <mutex>
#include <thread>
#include <vector>

#include <allot/malloc.h>
#include <allot/pool.h>

#if PEER_BOOST
#include <boost/pool/pool.hpp>
#endif
#if PEER_GSLICE
#include <glib.h>
#endif

namespace
{

enum { OBJECTS = 200000, ROUNDS = 12, SIZE = 64 };

void *object[OBJECTS];
uint32_t order[OBJECTS];

void shuffle()
{
    uint64_t seed = 7;
    for (uint32_t i = 0; i < OBJECTS; i++) {
        order[i] = i;
    }
    for (uint32_t i = OBJECTS - 1; i > 0; i--) {
        std::swap(order[i], order[below(&seed, i + 1)]);
    }
}

template <class Get, class Put> void rounds(Get get, Put put)
{
    uint64_t best = UINT64_MAX;
    shuffle();
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = now();
        for (auto &p : object) {
            p = get();
            *static_cast<void **>(p) = nullptr;
        }
        for (uint32_t i : order) {
            put(object[i]);
        }
        uint64_t taken = now() - start;
        best = taken < best ? taken : best;
    }
    figure("object", (double)best / OBJECTS, "ns");
}

/* A thread that does nothing, as long as this lives. */
class Beside
{
  public:
    Beside() : busy(lock), thread([this] { std::lock_guard<std::mutex> wait(lock); }) {}
    ~Beside()
    {
        busy.unlock();
        thread.join();
    }

  private:
    std::mutex lock;
    std::unique_lock<std::mutex> busy;
    std::thread thread;
};

void bare()
{
    struct Free {
        Free *next;
    };
    static Free *head;
    char *area = static_cast<char *>(aligned_alloc(64, (size_t)OBJECTS * SIZE));
    for (size_t i = OBJECTS; i-- > 0;) {
        auto *slot = reinterpret_cast<Free *>(area + i * SIZE);
        slot->next = head;
        head = slot;
    }
    rounds(
        [] {
            Free *p = head;
            head = p->next;
            return static_cast<void *>(p);
        },
        [](void *p) {
            auto *slot = static_cast<Free *>(p);
            slot->next = head;
            head = slot;
        });
}

allot_pool made(allot_pool_mode mode)
{
    allot_pool pool;
    allot_pool_opts opts = {};
    opts.mode = mode;
    if (allot_pool_init(&pool, SIZE, &opts) != 0) {
        fail("no pool");
    }
    return pool;
}

void with_mode(allot_pool_mode mode)
{
    allot_pool pool = made(mode);
    rounds([&pool] { return allot_pool_get(&pool); }, [&pool](void *p) { allot_pool_put(&pool, p); });
    allot_pool_done(&pool);
}

void allot_private() { with_mode(ALLOT_POOL_PRIVATE); }

void allot_locked()
{
    Beside beside;
    with_mode(ALLOT_POOL_LOCKED);
}

void allot_local()
{
    Beside beside;
    with_mode(ALLOT_POOL_LOCAL);
}

/* The pool found from the address. */
void allot_address()
{
    allot_pool pool = made(ALLOT_POOL_PRIVATE);
    rounds([&pool] { return allot_pool_get(&pool); }, [](void *p) { allot_put(p); });
    allot_pool_done(&pool);
}

void allot_foreign()
{
    allot_pool pool = made(ALLOT_POOL_LOCAL);
    uint64_t best = UINT64_MAX, best_pair = UINT64_MAX;
    shuffle();
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = now(), put = 0;
        for (auto &p : object) {
            p = allot_pool_get(&pool);
            *static_cast<void **>(p) = nullptr;
        }
        uint64_t got = now() - start;
        std::thread([&put] {
            uint64_t began = now();
            for (uint32_t i : order) {
                allot_put(object[i]);
            }
            put = now() - began;
        }).join();
        best = put < best ? put : best;
        best_pair = put + got < best_pair ? put + got : best_pair;
    }
    figure("object", (double)best / OBJECTS, "ns");
    figure("pair", (double)best_pair / OBJECTS, "ns");
    allot_pool_done(&pool);
}

uint64_t scan()
{
    uint64_t best = UINT64_MAX, sum = 0;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = now();
        for (void *p : object) {
            sum += *static_cast<uint64_t *>(p);
        }
        used(&sum);
        uint64_t taken = now() - start;
        best = taken < best ? taken : best;
    }
    return best;
}

int add(void *p, void *sum)
{
    *static_cast<uint64_t *>(sum) += *static_cast<uint64_t *>(p);
    return 0;
}

uint64_t walk(allot_pool *pool)
{
    uint64_t best = UINT64_MAX, sum = 0;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t start = now();
        allot_pool_walk(pool, add, &sum);
        used(&sum);
        uint64_t taken = now() - start;
        best = taken < best ? taken : best;
    }
    return best;
}

/* The objects in the order in which they were made, and in the pool's own. */
template <class Get, class Put> void scans(Get get, Put put, allot_pool *pool)
{
    uint64_t seed = 11;
    shuffle();
    for (auto &p : object) {
        p = get();
        *static_cast<uint64_t *>(p) = 1;
    }
    uint64_t fresh = scan(), fresh_walk = pool ? walk(pool) : 0;
    for (int i = 0; i < 2 * OBJECTS; i++) {
        size_t at = below(&seed, OBJECTS);
        put(object[at]);
        object[at] = get();
        *static_cast<uint64_t *>(object[at]) = 1;
    }
    for (uint32_t i : order) {
        put(object[i]);
    }
    for (auto &p : object) {
        p = get();
        *static_cast<uint64_t *>(p) = 1;
    }
    figure("churned", (double)scan() / (double)fresh, "times");
    if (pool) {
        figure("walked", (double)walk(pool) / (double)fresh_walk, "times");
    }
    for (void *p : object) {
        put(p);
    }
}

void allot_scan()
{
    allot_pool pool = made(ALLOT_POOL_PRIVATE);
    scans([&pool] { return allot_pool_get(&pool); }, [&pool](void *p) { allot_pool_put(&pool, p); }, &pool);
    allot_pool_done(&pool);
}

void malloc_scan()
{
    scans([] { return malloc(SIZE); }, [](void *p) { free(p); }, nullptr);
}

/* -- from thread to thread -- */

enum { BATCH = 4096, BATCHES = 2000, AHEAD = 8 };

class Queue
{
  public:
    void put(size_t batch)
    {
        std::unique_lock<std::mutex> held(lock);
        changed.wait(held, [this] { return count < AHEAD; });
        ring[(first + count++) % AHEAD] = batch;
        changed.notify_all();
    }
    size_t get()
    {
        std::unique_lock<std::mutex> held(lock);
        changed.wait(held, [this] { return count > 0; });
        return ring[first];
    }
    void done()
    {
        std::lock_guard<std::mutex> held(lock);
        first = (first + 1) % AHEAD;
        count--;
        changed.notify_all();
    }

  private:
    std::mutex lock;
    std::condition_variable changed;
    size_t ring[AHEAD], first = 0, count = 0;
};

double resident()
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    double kib = 0;
    while (file && fgets(line, sizeof line, file)) {
        sscanf(line, "VmRSS: %lf", &kib);
    }
    if (file) {
        fclose(file);
    }
    return kib / 1024;
}

template <class Get, class Put> void passing(Get get, Put put)
{
    static void *batch[AHEAD + 1][BATCH];
    Queue queue;
    uint64_t start = now();
    std::thread consumer([&queue, put] {
        for (int i = 0; i < BATCHES; i++) {
            for (void *p : batch[queue.get()]) {
                put(p);
            }
            queue.done();
        }
    });
    for (int i = 0; i < BATCHES; i++) {
        for (auto &p : batch[i % (AHEAD + 1)]) {
            p = get();
            memset(p, i, SIZE);
        }
        queue.put((size_t)i % (AHEAD + 1));
    }
    consumer.join();
    figure("passed", (double)(now() - start) / ((double)BATCHES * BATCH), "ns");
    figure("resident", resident(), "MiB");
}

void allot_passing()
{
    allot_pool pool = made(ALLOT_POOL_LOCAL);
    passing([&pool] { return allot_pool_get(&pool); }, [](void *p) { allot_put(p); });
    allot_pool_done(&pool);
}

/* The same by the batch. */
void allot_batches()
{
    allot_pool pool = made(ALLOT_POOL_LOCAL);
    static void *batch[AHEAD + 1][BATCH];
    Queue queue;
    uint64_t start = now();
    std::thread consumer([&queue] {
        for (int i = 0; i < BATCHES; i++) {
            allot_put_many(batch[queue.get()], BATCH);
            queue.done();
        }
    });
    for (int i = 0; i < BATCHES; i++) {
        auto &made = batch[i % (AHEAD + 1)];
        if (allot_pool_get_many(&pool, made, BATCH) != BATCH) {
            fail("out of memory");
        }
        for (void *p : made) {
            memset(p, i, SIZE);
        }
        queue.put((size_t)i % (AHEAD + 1));
    }
    consumer.join();
    figure("passed", (double)(now() - start) / ((double)BATCHES * BATCH), "ns");
    figure("resident", resident(), "MiB");
    allot_pool_done(&pool);
}

void malloc_passing()
{
    passing([] { return malloc(SIZE); }, [](void *p) { free(p); });
}

/* -- others -- */

void with_malloc()
{
    Beside beside;
    rounds([] { return malloc(SIZE); }, [](void *p) { free(p); });
}

void pmr(std::pmr::memory_resource *pool)
{
    rounds([pool] { return pool->allocate(SIZE, 16); }, [pool](void *p) { pool->deallocate(p, SIZE, 16); });
}

void pmr_private()
{
    std::pmr::unsynchronized_pool_resource pool;
    pmr(&pool);
}

void pmr_locked()
{
    Beside beside;
    std::pmr::synchronized_pool_resource pool;
    pmr(&pool);
}

#if PEER_BOOST
void boost_pool()
{
    boost::pool<> pool(SIZE);
    rounds([&pool] { return pool.malloc(); }, [&pool](void *p) { pool.free(p); });
}
#else
void (*const boost_pool)() = nullptr;
#endif

#if PEER_GSLICE
void g_slice()
{
    rounds([] { return g_slice_alloc(SIZE); }, [](void *p) { g_slice_free1(SIZE, p); });
}
#else
void (*const g_slice)() = nullptr;
#endif

} // namespace

int main(int argc, char **argv)
{
    static const struct variant variants[] = {
        {"bare", "a list through the free objects and nothing else", bare},
        {"allot", "allot_pool, private", allot_private},
        {"allot-local", "allot_pool, each thread's own", allot_local},
        {"allot-locked", "allot_pool, locked", allot_locked},
        {"allot-address", "allot_pool, private, and allot_put", allot_address},
        {"allot-foreign", "allot_put by another thread than got: the put alone", allot_foreign},
        {"allot-scan", "allot_pool, private: a scan of what was made again", allot_scan},
        {"allot-passing", "allot_pool, local: one thread gets, another puts", allot_passing},
        {"allot-batches", "allot_pool, local: the same by allot_pool_get_many and allot_put_many", allot_batches},
        {"boost", "boost::pool (libboost-dev)", boost_pool},
        {"pmr", "std::pmr::unsynchronized_pool_resource", pmr_private},
        {"pmr-locked", "std::pmr::synchronized_pool_resource", pmr_locked},
        {"g_slice", "GLib's slices (libglib2.0-dev)", g_slice},
        {"*malloc", "malloc and free", with_malloc},
        {"*scan", "malloc: a scan of what was made again", malloc_scan},
        {"*passing", "one thread mallocs, another frees", malloc_passing},
    };
    static const char *const demands[] = {
        "object allot <= 1.1 bare",
        "object allot-local <= 1.3 bare",
        "object allot-foreign <= 2.2 bare",
        "object allot-locked <= 2 allot",
        "walked allot-scan <= 1.1",
        "passed allot-batches <= 1 passing@system",
        "passed allot-batches <= 1 passing@allot",
        "passed allot-batches <= 1 passing@mimalloc",
        "passed allot-batches <= 1 passing@jemalloc",
        "passed allot-batches <= 1 passing@tcmalloc",
    };
    return part_main(argc, argv, variants, COUNT(variants), demands, COUNT(demands));
}
