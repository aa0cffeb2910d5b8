// allocator.cpp - allot/allocator.hpp: containers of every kind over every source, against std::allocator's; containers of
// unequal allocators; memory that runs out at each allocation; deleters. Compiled as C++17 and C++20, with exceptions and without.
#include <allot/allocator.hpp>

#include <algorithm>
#include <deque>
#include <list>
#include <map>
#include <scoped_allocator>
#include <set>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <unordered_map>
#include <vector>

#include "check.hpp"
#include "ration.h"

namespace
{

template <class From> using string = std::basic_string<char, std::char_traits<char>, allot::allocator<char, From>>;

template <class T> using any_allocator = allot::allocator<T, allot_allocator>;

using counted = any_allocator<int>;

struct rationed : ration {
    rationed(allot_allocator behind = allot_allocator_malloc()) : ration{behind, -1, false, 0, 0, 0, 0} {}
    operator allot_allocator() { return ration_allocator(this); }
};

struct alignas(256) wide {
    int value = 0;
};

// -- what the types promise --

static_assert(std::is_empty_v<allot::allocator<int>>);
static_assert(sizeof(std::vector<int, allot::allocator<int>>) == sizeof(std::vector<int>));
static_assert(sizeof(allot::arena_allocator<int>) == sizeof(void *));
static_assert(sizeof(allot::unique_ptr<int>) == sizeof(int *));
static_assert(std::allocator_traits<allot::allocator<int>>::is_always_equal::value);
static_assert(!std::allocator_traits<counted>::is_always_equal::value);
static_assert(std::is_nothrow_move_assignable_v<std::vector<int, allot::allocator<int>>>);
static_assert(std::is_nothrow_swappable_v<std::vector<int, counted>>);
static_assert(!std::is_default_constructible_v<allot::arena_allocator<int>>);
static_assert(!std::is_default_constructible_v<counted>);
static_assert(
    std::is_same_v<std::allocator_traits<counted>::rebind_alloc<char>, allot::allocator<char, allot_allocator>>);

struct base {
    virtual ~base() = default;
};
struct derived : base {
    long more[10];
};
static_assert(!std::is_convertible_v<allot::unique_ptr<derived>, allot::unique_ptr<base>>);
static_assert(!std::is_convertible_v<allot::unique_ptr<derived, allot_heap *>, allot::unique_ptr<base, allot_heap *>>);

// -- every container does over `from` what it does over std::allocator --

template <class Same, class Ours> bool equal(const Same &wanted, const Ours &ours)
{
    return std::equal(wanted.begin(), wanted.end(), ours.begin(), ours.end());
}

template <class From> void containers(From from)
{
    allot::allocator<int, From> of(from);
    std::vector<int> vector_wanted;
    std::deque<int> deque_wanted;
    std::list<int> list_wanted;
    std::map<int, int> map_wanted;
    std::multiset<int> set_wanted;
    std::unordered_map<int, int> hash_wanted;
    std::string string_wanted;
    std::vector<bool> bits_wanted;
    std::vector<int, allot::allocator<int, From>> vector(of);
    std::deque<int, allot::allocator<int, From>> deque(of);
    std::list<int, allot::allocator<int, From>> list(of);
    std::map<int, int, std::less<int>, allot::allocator<std::pair<const int, int>, From>> map(of);
    std::multiset<int, std::less<int>, allot::allocator<int, From>> set(of);
    std::unordered_map<int, int, std::hash<int>, std::equal_to<int>, allot::allocator<std::pair<const int, int>, From>>
        hash(of);
    string<From> text(of);
    std::vector<bool, allot::allocator<bool, From>> bits(of);

    unsigned random = 1;
    for (int i = 0; i < 20000; i++) {
        random = random * 1664525 + 1013904223;
        int value = int(random >> 20);
        vector.push_back(value), vector_wanted.push_back(value);
        deque.push_front(value), deque_wanted.push_front(value);
        list.push_back(value), list_wanted.push_back(value);
        map[value] = i, map_wanted[value] = i;
        set.insert(value % 100), set_wanted.insert(value % 100);
        hash[value] += i, hash_wanted[value] += i;
        text += char(value), string_wanted += char(value);
        bits.push_back(value & 1), bits_wanted.push_back(value & 1);
        if (value % 3 == 0) {
            deque.pop_back(), deque_wanted.pop_back();
            list.pop_front(), list_wanted.pop_front();
            map.erase(value), map_wanted.erase(value);
            hash.erase(value + 1), hash_wanted.erase(value + 1);
            set.erase(value % 100), set_wanted.erase(value % 100);
        }
        if (value % 1000 == 0) {
            vector.resize(vector.size() / 2), vector_wanted.resize(vector.size());
            vector.shrink_to_fit();
            text.erase(text.begin(), text.begin() + long(text.size() / 2));
            string_wanted.erase(0, string_wanted.size() / 2);
        }
    }
    list.sort(), list_wanted.sort();
    CHECK(equal(vector_wanted, vector) && equal(deque_wanted, deque) && equal(list_wanted, list));
    CHECK(equal(map_wanted, map) && equal(set_wanted, set) && equal(string_wanted, text) && equal(bits_wanted, bits));
    CHECK(hash.size() == hash_wanted.size());
    for (auto [key, value] : hash_wanted) {
        CHECK(hash.at(key) == value);
    }

    // Nodes of one container go to another that has its memory from the same place.
    std::list<int, allot::allocator<int, From>> other(of);
    other.splice(other.begin(), list);
    CHECK(list.empty() && equal(list_wanted, other));
    std::map<int, int, std::less<int>, allot::allocator<std::pair<const int, int>, From>> merged(of);
    merged.merge(map);
    CHECK(map.empty() && equal(map_wanted, merged));

    std::shared_ptr<wide> shared = std::allocate_shared<wide>(of);
    CHECK(uintptr_t(shared.get()) % alignof(wide) == 0);

    std::vector<wide, allot::allocator<wide, From>> wides(of);
    std::list<wide, allot::allocator<wide, From>> wide_list(of);
    for (int i = 0; i < 100; i++) {
        wides.emplace_back().value = i;
        wide_list.emplace_back().value = i;
        CHECK(uintptr_t(wides.data()) % alignof(wide) == 0 && uintptr_t(&wide_list.back()) % alignof(wide) == 0);
    }
    CHECK(wides[99].value == 99 && wide_list.back().value == 99);
}

void from_everywhere()
{
    struct allot_stats before, after;
    allot_stats(&before);
    containers(allot::from_malloc());
    allot_stats(&after);
    CHECK(after.blocks == before.blocks);
    containers(allot_allocator_malloc());
    allot_stats(&after);
    CHECK(after.blocks == before.blocks);

    heap h;
    containers<allot_heap *>(&h);
    containers(allot_allocator_heap(&h));
    arena a;
    containers<allot_arena *>(&a);
    containers(allot_arena_allocator(&a));
    rationed r;
    containers<allot_allocator>(r);
    CHECK(r.blocks == 0 && r.bytes == 0 && r.taken > 1000);
}

// -- containers of unequal allocators --

template <class Make> void unequal(Make make)
{
    using Container = decltype(make(std::declval<counted>()));
    rationed here, there;
    counted from_here(here), from_there(there);
    const Container wanted = make(from_here);
    {
        Container a = make(from_here), b(from_there);
        size_t taken = here.blocks;

        b = a; // each keeps its own
        CHECK(b == a && a == wanted && b.get_allocator() == from_there && here.blocks == taken);
        CHECK((there.blocks == 0) == (taken == 0));
        a = Container(from_here);
        a = std::move(b); // nothing of there's comes here
        CHECK(a == wanted && a.get_allocator() == from_here && b.get_allocator() == from_there);

        Container c(std::move(a)); // the same allocator: nothing is taken
        taken = here.taken;
        CHECK(c == wanted && c.get_allocator() == from_here);
        Container d(std::move(c), from_here);
        CHECK(d == wanted && here.taken <= taken + 2); // what an empty container has
        Container e(std::move(d), from_there);
        CHECK(e == wanted && e.get_allocator() == from_there);
        Container f(e, from_here);
        CHECK(f == wanted && f.get_allocator() == from_here);
        Container g(f);
        CHECK(g == wanted && g.get_allocator() == from_here);

        size_t here_taken = here.taken, there_taken = there.taken;
        e.clear();
        swap(e, f); // elements and allocators change sides, and none is copied
        CHECK(e == wanted && e.get_allocator() == from_here && f.empty() && f.get_allocator() == from_there);
        CHECK(here.taken == here_taken && there.taken == there_taken);
        swap(e, g);
        CHECK(e == wanted && g == wanted && here.taken == here_taken);
    }
    CHECK(there.blocks == 0 && there.bytes == 0);
}

void of_unequal_allocators()
{
    using text = string<allot_allocator>;
    using map = std::map<int, int, std::less<int>, any_allocator<std::pair<const int, int>>>;
    using hash =
        std::unordered_map<int, int, std::hash<int>, std::equal_to<int>, any_allocator<std::pair<const int, int>>>;
    unequal([](counted from) { return std::vector<int, counted>({1, 2, 3, 4, 5}, from); });
    unequal([](counted from) { return std::deque<int, counted>({1, 2, 3, 4, 5}, from); });
    unequal([](counted from) { return std::list<int, counted>({1, 2, 3, 4, 5}, from); });
    unequal([](counted from) { return map({{1, 2}, {3, 4}}, from); });
    unequal([](counted from) { return hash({{1, 2}, {3, 4}}, 8, from); });
    unequal([](counted from) { return text("a string too long to lie in the object itself", from); });
    unequal([](counted from) { return text("short", from); });
}

// What outlives an arena has nothing in it.
void outlives()
{
    heap h;
    std::vector<int, any_allocator<int>> stays(allot_allocator_heap(&h));
    {
        arena a;
        std::vector<int, any_allocator<int>> request(allot_arena_allocator(&a));
        request.assign(1000, 7);
        stays = std::move(request);
    }
    CHECK(stays.size() == 1000 && stays[999] == 7 && h.blocks() == 1);
}

// A container of containers, all of it from one place; and with the plain allocator only the outer one.
void scoped()
{
    using text = string<allot_allocator>;
    using table =
        std::map<int, text, std::less<int>, std::scoped_allocator_adaptor<any_allocator<std::pair<const int, text>>>>;
    rationed r;
    const char *words = "a string too long to lie in the object itself";
    {
        table t{any_allocator<std::pair<const int, text>>(r)};
        for (int i = 0; i < 10; i++) {
            t[i] = words;
        }
        CHECK(r.blocks == 20 && t[3].get_allocator() == t.get_allocator().outer_allocator());
        table copy(t);
        CHECK(r.blocks == 40 && copy == t);
    }
    CHECK(r.blocks == 0 && r.bytes == 0);

    using rows =
        std::vector<std::vector<int, counted>, std::scoped_allocator_adaptor<any_allocator<std::vector<int, counted>>>>;
    {
        rows m{any_allocator<std::vector<int, counted>>(r)};
        m.resize(5);
        for (auto &row : m) {
            row.assign(100, 1);
        }
        CHECK(r.blocks == 6);
    }
    CHECK(r.blocks == 0 && r.bytes == 0);
}

// -- std::unique_ptr --

int alive, order[10], ended;

struct object {
    int id;
    explicit object(int i = 0) : id(i) { alive++; }
    object(const object &) = delete;
    ~object()
    {
        order[ended++ % 10] = id;
        alive--;
    }
};

template <class From> void pointers(From from)
{
    {
        auto one = allot::make_unique_in<object>(from, 7);
        CHECK(one->id == 7 && alive == 1);
        auto two = std::move(one);
        CHECK(!one && two->id == 7);
        two.reset();
        CHECK(alive == 0);
        allot::unique_ptr<object, From> three;
        three = allot::make_unique_in<object>(from, 8);
        CHECK(three->id == 8);
    }
    CHECK(alive == 0);
    {
        auto many = allot::make_unique_in<object[]>(from, 4);
        for (int i = 0; i < 4; i++) {
            many[size_t(i)].id = i;
        }
        CHECK(alive == 4 && many.get_deleter().size() == 4);
        ended = 0;
        auto moved = std::move(many);
        moved.reset();
        CHECK(alive == 0 && order[0] == 3 && order[3] == 0); // the last first, as delete[] does
        auto none = allot::make_unique_in<object[]>(from, 0);
        CHECK(none);
        auto numbers = allot::make_unique_in<int[]>(from, 1000);
        CHECK(numbers[0] == 0 && numbers[999] == 0);
    }
    auto aligned = allot::make_unique_in<wide>(from);
    auto array = allot::make_unique_in<wide[]>(from, 3);
    CHECK(uintptr_t(aligned.get()) % alignof(wide) == 0 && uintptr_t(array.get()) % alignof(wide) == 0);
}

void deleters()
{
    struct allot_stats before, after;
    allot_stats(&before);
    pointers(allot::from_malloc());
    {
        auto one = allot::make_unique<object>(9);
        auto many = allot::make_unique<object[]>(3);
        CHECK(one->id == 9 && alive == 4);
        std::unique_ptr<char, allot::free_deleter> raw(static_cast<char *>(allot_malloc(100)));
    }
    allot_stats(&after);
    CHECK(after.blocks == before.blocks && alive == 0);
    heap h;
    pointers<allot_heap *>(&h);
    arena a;
    pointers<allot_arena *>(&a);
    rationed r;
    pointers<allot_allocator>(r);
    CHECK(r.blocks == 0 && r.bytes == 0);
}

#ifdef __cpp_exceptions

// -- memory that runs out --

// Does `work` with each of its allocations failing, that one alone or all from there on: std::bad_alloc each time, and everything
// given back. Returns how many there were.
template <class Work> long at_each_allocation(Work work)
{
    long n = 0;
    for (bool once : {true, false}) {
        for (n = 0;; n++) {
            rationed r;
            r.left = n, r.once = once;
            bool thrown = THROWS(std::bad_alloc, work(static_cast<allot_allocator>(r)));
            CHECK(r.blocks == 0 && r.bytes == 0 && alive == 0);
            CHECK(thrown == (r.failed > 0));
            if (!thrown) {
                break;
            }
        }
    }
    return n;
}

struct picky : object {
    static int left;
    picky()
    {
        if (left-- == 0) {
            throw 42;
        }
    }
};
int picky::left;

void runs_out()
{
    using text = string<allot_allocator>;
    long n = at_each_allocation([](allot_allocator from) {
        std::vector<int, counted> v(from);
        for (int i = 0; i < 1000; i++) {
            v.push_back(i);
        }
    });
    CHECK(n >= 10);
    n = at_each_allocation([](allot_allocator from) {
        using table = std::map<int, text, std::less<int>,
                               std::scoped_allocator_adaptor<any_allocator<std::pair<const int, text>>>>;
        table t{any_allocator<std::pair<const int, text>>(from)};
        for (int i = 0; i < 20; i++) {
            t[i] = "a string too long to lie in the object itself";
        }
        table copy(t);
        copy.erase(3);
        t = copy;
    });
    CHECK(n >= 80);
    n = at_each_allocation([](allot_allocator from) {
        std::unordered_map<int, int, std::hash<int>, std::equal_to<int>, any_allocator<std::pair<const int, int>>> h(
            counted{from});
        std::deque<int, counted> d(from);
        std::list<int, counted> l(from);
        for (int i = 0; i < 100; i++) {
            h[i] = i, d.push_back(i), l.push_back(i);
        }
    });
    CHECK(n >= 200);
    n = at_each_allocation([](allot_allocator from) {
        auto one = allot::make_unique_in<object>(from, 1);
        auto two = allot::make_unique_in<object[]>(from, 10);
        std::shared_ptr<object> three = std::allocate_shared<object>(any_allocator<object>(from), 3);
    });
    CHECK(n == 3);

    // A vector whose growth fails is as it was.
    rationed r;
    std::vector<int, counted> v({1, 2, 3}, static_cast<allot_allocator>(r));
    r.left = 0;
    CHECK(THROWS(std::bad_alloc, v.resize(100)));
    CHECK(v.size() == 3 && v[2] == 3);

    // A constructor that throws leaves nothing behind.
    r.left = -1;
    size_t blocks = r.blocks;
    picky::left = 0;
    CHECK(THROWS(int, (void)allot::make_unique_in<picky>(static_cast<allot_allocator>(r))));
    picky::left = 5;
    CHECK(THROWS(int, (void)allot::make_unique_in<picky[]>(static_cast<allot_allocator>(r), 10)));
    CHECK(r.blocks == blocks && alive == 0);
}

// The sources' own ends: the system's, and an arena's limit.
void sources_run_out()
{
    const size_t much = size_t(1) << 40;
    allot_fail_after(0);
    bool thrown = THROWS(std::bad_alloc, (void)allot::allocator<char>().allocate(much));
    bool also = THROWS(std::bad_alloc, (void)allot::allocator<wide>().allocate(much / sizeof(wide)));
    allot_fail_after(-1);
    CHECK(thrown && also);

    allot_arena_opts opts = {};
    opts.first = opts.max = 4096, opts.limit = 4096;
    allot_arena a;
    CHECK(allot_arena_init(&a, &opts) == 0);
    std::list<int, allot::arena_allocator<int>> list(&a);
    CHECK(THROWS(std::bad_alloc, for (;;) list.push_back(1)));
    CHECK(list.size() > 50 && list.size() < 200 && list.back() == 1);
    allot_arena_done(&a);

    heap h;
    allot_fail_after(0);
    thrown = THROWS(std::bad_alloc, (void)allot::heap_allocator<char>(&h).allocate(much));
    allot_fail_after(-1);
    CHECK(thrown);
}

template <class From> void too_long(From from)
{
    volatile size_t most = SIZE_MAX;
    allot::allocator<long, From> longs(from);
    allot::allocator<wide, From> wides(from);
    allot::allocator<char, From> chars(from);
    CHECK(THROWS(std::bad_array_new_length, (void)longs.allocate(most)));
    CHECK(THROWS(std::bad_array_new_length, (void)longs.allocate(most / sizeof(long) + 1)));
    CHECK(THROWS(std::bad_array_new_length, (void)wides.allocate(most / sizeof(wide) + 1)));
    CHECK(THROWS(std::bad_alloc, (void)longs.allocate(most / sizeof(long))));
    CHECK(THROWS(std::bad_alloc, (void)wides.allocate(most / sizeof(wide))));
    CHECK(THROWS(std::bad_alloc, (void)chars.allocate(most)));
    CHECK(THROWS(std::bad_alloc, (void)chars.allocate(most / 2 + 1)));
    CHECK(THROWS(std::bad_array_new_length, (void)allot::make_unique_in<object[]>(from, most)));
    std::vector<int, allot::allocator<int, From>> v{allot::allocator<int, From>(from)};
    CHECK(THROWS(std::length_error, v.reserve(most)));
}

void lengths()
{
    too_long(allot::from_malloc());
    too_long(allot_allocator_malloc());
    heap h;
    too_long<allot_heap *>(&h);
    arena a;
    too_long<allot_arena *>(&a);
}

#else

// What would throw ends the process by std::terminate instead.
template <class Code> bool terminates(Code code)
{
    pid_t pid = fork();
    if (pid == 0) {
        std::set_terminate([] { _exit(17); });
        code();
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 17;
}

void ends()
{
    volatile size_t most = SIZE_MAX;
    CHECK(terminates([&] { (void)allot::allocator<long>().allocate(most); }));
    CHECK(terminates([&] { (void)allot::allocator<char>().allocate(most); }));
    CHECK(!terminates([] { allot::allocator<int>().deallocate(allot::allocator<int>().allocate(10), 10); }));
}

#endif

} // namespace

int main()
{
    from_everywhere();
    of_unequal_allocators();
    outlives();
    scoped();
    deleters();
#ifdef __cpp_exceptions
    runs_out();
    sources_run_out();
    lengths();
#else
    ends();
#endif
    CHECK(allot_check());
}
