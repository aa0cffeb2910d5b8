// resource.cpp - allot/resource.hpp: std::pmr's containers over an arena, a heap, malloc and any allot_allocator.
#include <allot/resource.hpp>

#include <cstdint>
#include <cstring>
#include <list>
#include <map>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <vector>

#include "check.hpp"
#include "ration.h"

namespace
{

const char *const words = "a string too long to lie in the object itself";

struct alignas(512) wide {
    int value = 0;
};

// Work for a resource: nested containers, which take it on by themselves, against the same over new.
long work(std::pmr::memory_resource *from)
{
    std::pmr::map<int, std::pmr::string> map(from);
    std::pmr::unordered_map<std::pmr::string, std::pmr::vector<int>> hash(from);
    std::pmr::list<wide> wides(from);
    std::map<int, std::string> map_wanted;
    for (int i = 0; i < 300; i++) {
        map[i * 7919 % 1009] = words + i % 20;
        map_wanted[i * 7919 % 1009] = words + i % 20;
        hash[map[i * 7919 % 1009]].push_back(i);
        CHECK(uintptr_t(&wides.emplace_back()) % alignof(wide) == 0);
        if (i % 3 == 0) {
            map.erase(i);
            map_wanted.erase(i);
            wides.pop_front();
        }
    }
    CHECK(map.size() == map_wanted.size());
    long sum = 0;
    for (auto &[key, value] : map) {
        CHECK(std::string_view(value) == map_wanted.at(key) && value.get_allocator().resource() == from);
        sum += key;
    }
    for (auto &[key, value] : hash) {
        for (int i : value) {
            CHECK(std::string_view(key) == words + i % 20);
        }
    }
    return sum;
}

void raw(std::pmr::memory_resource *from)
{
    for (size_t align = 1; align <= 65536; align *= 2) {
        for (size_t size = 0; size < 300000; size = size * 5 + 1) {
            void *p = from->allocate(size, align), *q = from->allocate(size, align);
            CHECK(p && q && p != q && uintptr_t(p) % align == 0 && uintptr_t(q) % align == 0);
            std::memset(p, 1, size);
            std::memset(q, 2, size);
            CHECK(size == 0 || static_cast<char *>(p)[size - 1] == 1);
            from->deallocate(p, size, align);
            from->deallocate(q, size, align);
        }
    }
}

void over_everything()
{
    long wanted = work(std::pmr::new_delete_resource());
    struct allot_stats before, after;
    allot_stats(&before);
    allot::resource malloced;
    CHECK(work(&malloced) == wanted && work(allot::malloc_resource()) == wanted);
    raw(&malloced);
    allot_stats(&after);
    CHECK(after.blocks == before.blocks);

    heap h;
    allot::resource of_heap(allot_allocator_heap(&h));
    CHECK(work(&of_heap) == wanted);
    raw(&of_heap);

    arena a;
    allot::arena_resource of_arena(&a);
    CHECK(work(&of_arena) == wanted && a.used() > 300 * sizeof(wide));
    raw(&of_arena);
    allot_arena_reset(&a, SIZE_MAX);
    CHECK(a.used() == 0);
    CHECK(work(&of_arena) == wanted);
    allot::resource by_interface(allot_arena_allocator(&a));
    CHECK(work(&by_interface) == wanted);

    // Adapters of the standard's, and arenas, filled from ours.
    std::pmr::monotonic_buffer_resource monotonic(&of_heap);
    std::pmr::unsynchronized_pool_resource pool(&of_heap);
    CHECK(work(&monotonic) == wanted && work(&pool) == wanted);
}

// The direct calls and those through the base are the same.
void direct()
{
    arena a;
    allot::arena_resource r(&a);
    std::pmr::memory_resource &base = r;
    char *p = static_cast<char *>(r.allocate(24, 8)), *q = static_cast<char *>(base.allocate(24, 8));
    CHECK(uintptr_t(p) % 16 == 0 && q >= p + 24 && a.used() >= 48);
    r.deallocate(p, 24, 8);
    base.deallocate(q, 24, 8);
    CHECK(a.used() >= 48); // nothing is given back one by one
    CHECK(uintptr_t(r.allocate(1)) % alignof(std::max_align_t) == 0);
    CHECK(r.arena() == &a);
}

void equality()
{
    arena a, b;
    heap h;
    allot::arena_resource a1(&a), a2(&a), b1(&b);
    allot::resource h1(allot_allocator_heap(&h)), h2(allot_allocator_heap(&h)), m1, over_a(allot_allocator_malloc());
    CHECK(a1 == a1 && a1 != b1 && a1 != h1 && h1 != a1 && h1 != m1 && m1 != *std::pmr::new_delete_resource());
#ifdef __cpp_rtti
    CHECK(a1 == a2 && h1 == h2 && m1 == over_a && m1 == *allot::malloc_resource());
#else
    CHECK(a1 != a2 && h1 != h2);
#endif
    // Between unequal ones elements are copied, between equal ones they change hands.
    std::pmr::vector<std::pmr::string> from_a({words, words}, &a1), from_h(&h1);
    from_h = std::move(from_a);
    CHECK(from_h.size() == 2 && from_h[1] == words && from_h.get_allocator().resource() == &h1);
    std::pmr::vector<std::pmr::string> more(&h2);
    const void *place = from_h.data();
    more = std::move(from_h);
    CHECK(more[0] == words);
#ifdef __cpp_rtti
    CHECK(more.data() == place);
#else
    CHECK(more.data() != place);
#endif
}

void as_default()
{
    struct allot_stats before, after;
    std::pmr::memory_resource *was = std::pmr::set_default_resource(allot::malloc_resource());
    allot_stats(&before);
    {
        std::pmr::string text(words);
        allot_stats(&after);
        CHECK(after.blocks == before.blocks + 1);
    }
    allot_stats(&after);
    CHECK(after.blocks == before.blocks);
    std::pmr::set_default_resource(was);
}

#ifdef __cpp_exceptions

void runs_out()
{
    long wanted = work(std::pmr::new_delete_resource());
    for (bool once : {true, false}) {
        for (long n = 0;; n = n < 50 ? n + 1 : n + 37) {
            ration r = {allot_allocator_malloc(), n, once, 0, 0, 0, 0};
            allot::resource from(ration_allocator(&r));
            long sum = 0;
            bool thrown = THROWS(std::bad_alloc, sum = work(&from));
            CHECK(r.blocks == 0 && r.bytes == 0 && thrown == (r.failed > 0));
            if (!thrown) {
                CHECK(sum == wanted && n > 300);
                break;
            }
        }
    }
    allot_arena_opts opts = {};
    opts.first = opts.max = opts.limit = 65536;
    allot_arena a;
    CHECK(allot_arena_init(&a, &opts) == 0);
    allot::arena_resource small(&a);
    CHECK(THROWS(std::bad_alloc, (void)work(&small)));
    CHECK(THROWS(std::bad_alloc, (void)small.allocate(100000)));
    allot_arena_done(&a);

    volatile size_t most = SIZE_MAX;
    arena b;
    heap h;
    allot::arena_resource of_arena(&b);
    allot::resource of_heap(allot_allocator_heap(&h)), of_malloc;
    for (std::pmr::memory_resource *from :
         {static_cast<std::pmr::memory_resource *>(&of_arena), static_cast<std::pmr::memory_resource *>(&of_heap),
          static_cast<std::pmr::memory_resource *>(&of_malloc)}) {
        CHECK(THROWS(std::bad_alloc, (void)from->allocate(most)));
        CHECK(THROWS(std::bad_alloc, (void)from->allocate(most, 1)));
        CHECK(THROWS(std::bad_alloc, (void)from->allocate(most - 4000, 4096)));
        CHECK(THROWS(std::bad_alloc, (void)from->allocate(most / 2 + 1, 64)));
        std::pmr::polymorphic_allocator<long> longs(from);
        CHECK(THROWS(std::bad_alloc, (void)longs.allocate(most / sizeof(long) + 1)));
    }
}

#endif

} // namespace

int main()
{
    over_everything();
    direct();
    equality();
    as_default();
#ifdef __cpp_exceptions
    runs_out();
#endif
    CHECK(allot_check());
}
