/* arena.cpp - 200 000 objects of 16 to 128 bytes a round, the first word of each written, then all freed at once; 12 rounds, of
 * which the best counts. `faults` is of the last.
 */
#include "part.h"

#include <memory_resource>
#include <new>
#include <sys/resource.h>

#include <obstack.h>

#include <allot/arena.h>

#if PEER_APR
#include <apr_pools.h>
#endif
#if PEER_TALLOC
#include <talloc.h>
#endif

namespace
{

enum { OBJECTS = 200000, ROUNDS = 12 };

uint16_t sizes[OBJECTS];

long faults()
{
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt + usage.ru_majflt;
}

/* `fill` makes the objects of a round, given what makes one; `end` frees them. Both are inlined. */
template <class Begin, class Make, class End> void rounds(Begin begin, Make make, End end)
{
    uint64_t seed = 1, best = UINT64_MAX;
    for (auto &size : sizes) {
        size = (uint16_t)(16 + below(&seed, 113));
    }
    long faulted = 0;
    for (int round = 0; round < ROUNDS; round++) {
        long before = faults();
        uint64_t start = now();
        begin();
        for (size_t i = 0; i < OBJECTS; i++) {
            *static_cast<uint64_t *>(make(sizes[i])) = i;
        }
        end();
        uint64_t taken = now() - start;
        best = taken < best ? taken : best;
        faulted = faults() - before;
    }
    figure("object", (double)best / OBJECTS, "ns");
    figure("faults", (double)faulted, "a_round");
}

void nothing() {}

/* A pointer that is bumped through chunks of 1 MiB. */
struct bump {
    struct chunk {
        chunk *next;
        char *end;
    };
    char *at = nullptr, *end = nullptr;
    chunk *first = nullptr, *current = nullptr;

    __attribute__((noinline)) void *more(size_t size)
    {
        enum { CHUNK = 1 << 20 };
        chunk *&next = current ? current->next : first;
        if (!next) {
            char *p = static_cast<char *>(malloc(CHUNK));
            if (!p)
                fail("out of memory");
            next = new (p) chunk{nullptr, p + CHUNK};
        }
        current = next;
        at = reinterpret_cast<char *>(current + 1);
        end = current->end;
        return alloc(size);
    }

    void *alloc(size_t size)
    {
        size_t length = (size + 15) & ~(size_t)15;
        if (__builtin_expect(length > (size_t)(end - at), 0))
            return more(size);
        char *p = at;
        at += length;
        return p;
    }

    void keep() { at = end = nullptr, current = nullptr; }

    void free_all()
    {
        while (first) {
            chunk *next = first->next;
            free(first);
            first = next;
        }
        keep();
    }
};

void bare()
{
    bump b;
    rounds(
        nothing, [&](size_t size) { return b.alloc(size); }, [&] { b.keep(); });
    b.free_all();
}

void bare_freed()
{
    bump b;
    rounds(
        nothing, [&](size_t size) { return b.alloc(size); }, [&] { b.free_all(); });
}

void allot()
{
    allot_arena a;
    allot_arena_init(&a, nullptr);
    rounds(
        nothing, [&](size_t size) { return allot_arena_alloc(&a, size); }, [&] { allot_arena_reset(&a, SIZE_MAX); });
    allot_arena_done(&a);
}

void allot_done()
{
    allot_arena a;
    rounds([&] { allot_arena_init(&a, nullptr); }, [&](size_t size) { return allot_arena_alloc(&a, size); },
           [&] { allot_arena_done(&a); });
}

void allot_border()
{
    allot_arena a;
    allot_arena_init(&a, nullptr);
    allot_allocator from = allot_arena_allocator(&a);
    used(&from);
    rounds(
        nothing, [&](size_t size) { return allot_take(from, size, 8); }, [&] { allot_arena_reset(&a, SIZE_MAX); });
    allot_arena_done(&a);
}

void shared(bool local)
{
    allot_arena_shared s;
    allot_arena_opts opts = {};
    opts.local = local;
    allot_arena_shared_init(&s, &opts);
    rounds(
        nothing, [&](size_t size) { return allot_arena_shared_alloc(&s, size); },
        [&] { allot_arena_shared_reset(&s, SIZE_MAX); });
    allot_arena_shared_done(&s);
}

void allot_local() { shared(true); }
void allot_locked() { shared(false); }

void pmr()
{
    alignas(std::pmr::monotonic_buffer_resource) static char place[sizeof(std::pmr::monotonic_buffer_resource)];
    std::pmr::monotonic_buffer_resource *r = nullptr;
    rounds([&] { r = new (place) std::pmr::monotonic_buffer_resource; },
           [&](size_t size) { return r->allocate(size, 16); }, [&] { r->~monotonic_buffer_resource(); });
}

#define obstack_chunk_alloc malloc
#define obstack_chunk_free  free

void obstacks()
{
    struct obstack o;
    rounds([&] { obstack_init(&o); }, [&](size_t size) { return obstack_alloc(&o, size); },
           [&] { obstack_free(&o, nullptr); });
}

void system_malloc()
{
    static void *objects[OBJECTS];
    size_t count = 0;
    rounds([&] { count = 0; }, [&](size_t size) { return objects[count++] = malloc(size); },
           [&] {
               for (void *p : objects)
                   free(p);
           });
}

#if PEER_APR
void apr()
{
    apr_initialize();
    apr_pool_t *pool = nullptr;
    rounds([&] { apr_pool_create(&pool, nullptr); }, [&](size_t size) { return apr_palloc(pool, size); },
           [&] { apr_pool_destroy(pool); });
    apr_terminate();
}
#else
void (*const apr)() = nullptr;
#endif

#if PEER_TALLOC
void talloc_children()
{
    void *context = nullptr;
    rounds([&] { context = talloc_new(nullptr); }, [&](size_t size) { return talloc_size(context, size); },
           [&] { talloc_free(context); });
}

void talloc_pools()
{
    void *context = nullptr;
    rounds([&] { context = talloc_pool(nullptr, 64 << 20); }, [&](size_t size) { return talloc_size(context, size); },
           [&] { talloc_free(context); });
}
#else
void (*const talloc_children)() = nullptr, (*const talloc_pools)() = nullptr;
#endif

const variant variants[] = {
    {"bare", "a pointer bumped through chunks that are kept", bare},
    {"bare-freed", "the same, chunks freed each round", bare_freed},
    {"allot", "allot_arena, reset each round", allot},
    {"allot-done", "allot_arena, init and done each round", allot_done},
    {"allot-border", "allot_arena behind allot_allocator", allot_border},
    {"allot-local", "allot_arena_shared, local, one thread", allot_local},
    {"allot-locked", "allot_arena_shared, locked, one thread", allot_locked},
    {"apr", "APR's pools, created and destroyed each round (libapr1-dev)", apr},
    {"pmr", "std::pmr::monotonic_buffer_resource, made anew each round", pmr},
    {"obstack", "the C library's obstacks", obstacks},
    {"talloc", "talloc, children of one context (libtalloc-dev)", talloc_children},
    {"talloc-pool", "talloc, in a pool of 64 MiB (libtalloc-dev)", talloc_pools},
    {"*malloc", "malloc, and free of each", system_malloc},
};

const char *const demands[] = {
    "object allot <= 1.3 bare",
    "object allot-done <= 0.5 apr",
    "faults allot <= 0",
    "faults allot-done <= 0",
};

} // namespace

int main(int argc, char **argv) { return part_main(argc, argv, variants, COUNT(variants), demands, COUNT(demands)); }
