/* adapters.cpp - memory for C++, by the ways that there are to it.
 *
 *     object  200 000 objects of 16 to 128 bytes by calls of allocate, the first word of each written, then all freed at once
 *     list    a std::list of 200 000 numbers is made, and destroyed
 *     small   1 000 times: a list, a map and a hash table of 32 numbers each are made, and destroyed
 *
 * in nanoseconds an object or element; the best of 12 rounds counts. What a resource is made and ended with each round, or with each
 * of the 1 000 times, is in it: std::pmr::monotonic_buffer_resource is made anew, an arena reset. `over` is what an object takes
 * more than by a direct call of the arena, both in turns in one process, the median of 101 rounds.
 */
#include "part.h"

#include <algorithm>
#include <list>
#include <map>
#include <memory>
#include <memory_resource>
#include <unordered_map>
#include <vector>

#include <allot/allocator.hpp>
#include <allot/resource.hpp>

namespace
{

enum { OBJECTS = 200000, ROUNDS = 12, TIMES = 1000, ELEMENTS = 32 };

uint16_t sizes[OBJECTS];

void choose_sizes()
{
    uint64_t seed = 1;
    for (auto &size : sizes) {
        size = (uint16_t)(16 + below(&seed, 113));
    }
}

template <class Round> double best_of(size_t objects, Round round)
{
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t start = now();
        round();
        best = std::min(best, now() - start);
    }
    return (double)best / (double)objects;
}

/* A way to memory: begin() gives what allocators are made from, end() frees all that a round has left. take and give are of one
 * object. */
template <class Way> void objects(Way &way)
{
    static void *made[OBJECTS];
    figure("object",
           best_of(OBJECTS,
                   [&] {
                       auto from = way.begin();
                       for (size_t i = 0; i < OBJECTS; i++) {
                           *static_cast<uint64_t *>(made[i] = way.take(from, sizes[i])) = i;
                       }
                       if (Way::gives) {
                           for (size_t i = 0; i < OBJECTS; i++) {
                               way.give(from, made[i], sizes[i]);
                           }
                       }
                       way.end();
                   }),
           "ns");
}

template <class Way> void containers(Way &way)
{
    using Alloc = typename Way::alloc;
    using Pair = typename std::allocator_traits<Alloc>::template rebind_alloc<std::pair<const int, int>>;
    figure("list",
           best_of(OBJECTS,
                   [&] {
                       auto from = way.begin();
                       {
                           std::list<int, Alloc> list{Alloc(way.allocator(from))};
                           for (int i = 0; i < OBJECTS; i++) {
                               list.push_back(i);
                           }
                           used(&list);
                       }
                       way.end();
                   }),
           "ns");
    figure("small",
           best_of(TIMES * ELEMENTS * 3,
                   [&] {
                       for (int time = 0; time < TIMES; time++) {
                           auto from = way.begin();
                           {
                               Alloc alloc(way.allocator(from));
                               std::list<int, Alloc> list(alloc);
                               std::map<int, int, std::less<int>, Pair> map{Pair(alloc)};
                               std::unordered_map<int, int, std::hash<int>, std::equal_to<int>, Pair> hash{Pair(alloc)};
                               for (int i = 0; i < ELEMENTS; i++) {
                                   list.push_back(i);
                                   map.emplace(i * 7 % ELEMENTS, i);
                                   hash.emplace(i * 7, i);
                               }
                               used(&list), used(&map), used(&hash);
                           }
                           way.end();
                       }
                   }),
           "ns");
}

template <class Way> void measure()
{
    choose_sizes();
    Way way;
    objects(way);
    containers(way);
}

/* -- the bare reference: a pointer that is bumped through memory that is there, and nobody asks whether it is enough -- */

char *bump_at;

template <class T> struct bump_allocator {
    using value_type = T;
    using is_always_equal = std::true_type;
    bump_allocator() = default;
    template <class U> bump_allocator(const bump_allocator<U> &) {}
    T *allocate(size_t n)
    {
        char *p = bump_at;
        bump_at += (n * sizeof(T) + 15) & ~(size_t)15;
        return reinterpret_cast<T *>(p);
    }
    void deallocate(T *, size_t) {}
    bool operator==(const bump_allocator &) const { return true; }
    bool operator!=(const bump_allocator &) const { return false; }
};

struct bare_way {
    using alloc = bump_allocator<int>;
    static constexpr bool gives = false;
    enum { ROOM = 32 << 20 };
    char *room = static_cast<char *>(calloc(1, ROOM));
    bare_way() { memset(room, 1, ROOM); }
    int begin()
    {
        bump_at = room;
        return 0;
    }
    void *take(int, size_t size) { return bump_allocator<char>().allocate(size); }
    void give(int, void *, size_t) {}
    alloc allocator(int) { return {}; }
    void end() {}
};

/* -- allot's -- */

struct warm_arena {
    allot_arena arena;
    warm_arena()
    {
        if (allot_arena_init(&arena, nullptr) != 0)
            fail("no arena");
    }
    ~warm_arena() { allot_arena_done(&arena); }
    void end() { allot_arena_reset(&arena, SIZE_MAX); }
};

struct arena_way : warm_arena {
    using alloc = allot::arena_allocator<int>;
    static constexpr bool gives = false;
    allot_arena *begin() { return &arena; }
    void *take(allot_arena *from, size_t size) { return allot_arena_alloc(from, size); }
    void give(allot_arena *, void *, size_t) {}
    alloc allocator(allot_arena *from) { return from; }
};

/* As those who get a memory_resource see it: nothing is known of its type. */
std::pmr::memory_resource *hidden(std::pmr::memory_resource *p)
{
    __asm__ volatile("" : "+r"(p));
    return p;
}

template <class Resource> struct pmr_way {
    using alloc = std::pmr::polymorphic_allocator<int>;
    void *take(Resource &from, size_t size) { return hidden(&from)->allocate(size); }
    void give(Resource &from, void *p, size_t size) { hidden(&from)->deallocate(p, size); }
    alloc allocator(Resource &from) { return hidden(&from); }
};

struct arena_resource_way : warm_arena, pmr_way<allot::arena_resource> {
    static constexpr bool gives = false;
    allot::arena_resource begin() { return allot::arena_resource(&arena); }
};

struct interface_way : warm_arena, pmr_way<allot::resource> {
    static constexpr bool gives = false;
    allot::resource begin() { return allot::resource(allot_arena_allocator(&arena)); }
};

struct fresh_way : pmr_way<allot::arena_resource> {
    static constexpr bool gives = false;
    allot_arena arena;
    allot::arena_resource begin()
    {
        if (allot_arena_init(&arena, nullptr) != 0)
            fail("no arena");
        return allot::arena_resource(&arena);
    }
    void end() { allot_arena_done(&arena); }
};

struct malloc_way {
    using alloc = allot::allocator<int>;
    static constexpr bool gives = true;
    int begin() { return 0; }
    void *take(int, size_t size) { return allot_malloc(size); }
    void give(int, void *p, size_t size) { allot_free_sized(p, size); }
    alloc allocator(int) { return {}; }
    void end() {}
};

struct malloc_resource_way : pmr_way<allot::resource> {
    static constexpr bool gives = true;
    allot::resource begin() { return allot::resource(); }
    void end() {}
};

struct heap_way {
    using alloc = allot::heap_allocator<int>;
    static constexpr bool gives = true;
    allot_heap heap;
    heap_way()
    {
        if (allot_heap_init(&heap, nullptr) != 0)
            fail("no heap");
    }
    allot_heap *begin() { return &heap; }
    void *take(allot_heap *from, size_t size) { return allot_heap_alloc(from, size); }
    void give(allot_heap *from, void *p, size_t size) { allot_heap_free_sized(from, p, size); }
    alloc allocator(allot_heap *from) { return from; }
    void end() {}
};

/* -- the standard library's -- */

struct std_way {
    using alloc = std::allocator<int>;
    static constexpr bool gives = true;
    int begin() { return 0; }
    void *take(int, size_t size) { return std::allocator<char>().allocate(size); }
    void give(int, void *p, size_t size) { std::allocator<char>().deallocate(static_cast<char *>(p), size); }
    alloc allocator(int) { return {}; }
    void end() {}
};

struct monotonic_way : pmr_way<std::pmr::monotonic_buffer_resource> {
    static constexpr bool gives = false;
    std::pmr::monotonic_buffer_resource begin() { return std::pmr::monotonic_buffer_resource(); }
    void end() {}
};

struct buffer_way : pmr_way<std::pmr::monotonic_buffer_resource> {
    static constexpr bool gives = false;
    enum { ROOM = 32 << 20 };
    void *room = memset(malloc(ROOM), 1, ROOM);
    std::pmr::monotonic_buffer_resource begin() { return std::pmr::monotonic_buffer_resource(room, ROOM); }
    void end() {}
};

struct pool_way : pmr_way<std::pmr::unsynchronized_pool_resource> {
    static constexpr bool gives = true;
    std::pmr::unsynchronized_pool_resource begin() { return std::pmr::unsynchronized_pool_resource(); }
    void end() {}
};

/* -- the adapters' own cost -- */

double round_of(warm_arena &warm, void *(*fill)(warm_arena &))
{
    uint64_t start = now();
    fill(warm);
    double taken = (double)(now() - start) / OBJECTS;
    warm.end();
    return taken;
}

void *fill_direct(warm_arena &warm)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        *static_cast<uint64_t *>(allot_arena_alloc(&warm.arena, sizes[i])) = i;
    }
    return warm.arena.at;
}

template <class Resource> void *fill_known(Resource &from)
{
    for (size_t i = 0; i < OBJECTS; i++) {
        *static_cast<uint64_t *>(from.allocate(sizes[i])) = i;
    }
    return nullptr;
}

void over(void *(*fill)(warm_arena &))
{
    enum { TURNS = 101 };
    warm_arena warm;
    std::vector<double> more;
    round_of(warm, fill_direct);
    for (int i = 0; i < TURNS; i++) {
        double direct = round_of(warm, fill_direct);
        more.push_back(round_of(warm, fill) - direct);
    }
    std::sort(more.begin(), more.end());
    figure("over", more[TURNS / 2], "ns");
}

void arena_resource()
{
    measure<arena_resource_way>();
    over([](warm_arena &warm) {
        allot::arena_resource from(&warm.arena);
        return fill_known(*hidden(&from));
    });
}

void arena_resource_known()
{
    choose_sizes();
    over([](warm_arena &warm) {
        allot::arena_resource from(&warm.arena);
        return fill_known(from);
    });
}

void interface()
{
    measure<interface_way>();
    over([](warm_arena &warm) {
        allot::resource from(allot_arena_allocator(&warm.arena));
        return fill_known(*hidden(&from));
    });
}

const struct variant variants[] = {
    {"bare", "a pointer that is bumped, and nothing else", measure<bare_way>},
    {"allot", "allot_arena, reset: by its own call, and allot::arena_allocator", measure<arena_way>},
    {"allot-resource", "allot::arena_resource, reset, as a memory_resource", arena_resource},
    {"allot-known", "the same where its type is known", arena_resource_known},
    {"allot-interface", "allot::resource over the arena's allot_allocator", interface},
    {"allot-fresh", "allot::arena_resource, the arena made and ended each time", measure<fresh_way>},
    {"allot-malloc", "allot::allocator", measure<malloc_way>},
    {"allot-malloc-resource", "allot::resource over malloc", measure<malloc_resource_way>},
    {"allot-heap", "allot::heap_allocator", measure<heap_way>},
    {"monotonic", "std::pmr::monotonic_buffer_resource", measure<monotonic_way>},
    {"monotonic-buffer", "the same in a buffer of 32 MiB that is there", measure<buffer_way>},
    {"pool", "std::pmr::unsynchronized_pool_resource", measure<pool_way>},
    {"*std", "new and delete, and std::allocator", measure<std_way>},
};

const char *const demands[] = {
    "over allot-resource <= 1",
    "over allot-known <= 1",
    "object allot-resource <= 0.1 monotonic",
    "list allot-resource <= 1 monotonic",
    "small allot-resource <= 1 monotonic",
};

} // namespace

int main(int argc, char **argv) { return part_main(argc, argv, variants, COUNT(variants), demands, COUNT(demands)); }
