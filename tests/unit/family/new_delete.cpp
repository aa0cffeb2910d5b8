// new_delete.cpp - every replaceable operator new and delete of C++17: they meet malloc's heap, align, throw, ask the handler.
#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include <malloc.h>

#define CHECK(condition)                                                                 \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            std::fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition); \
            std::abort();                                                                \
        }                                                                                \
    } while (0)

namespace
{

const size_t sizes[] = {0, 1, 8, 16, 17, 100, 1024, 1025, 4096, 32769, 100000, 3000000, 9000000};
const size_t aligns[] = {1, 2, 8, 16, 32, 64, 128, 4096, 65536, 1 << 20, 8 << 20};

size_t absurd()
{
    volatile size_t size = PTRDIFF_MAX;
    return size;
}

// The block is there, aligned, and of the heap that malloc is: it can say how much of it is usable, to the last byte.
void *sound(void *p, size_t size, size_t align)
{
    CHECK(p != nullptr);
    CHECK(reinterpret_cast<uintptr_t>(p) % align == 0);
    size_t usable = malloc_usable_size(p);
    CHECK(usable >= size);
    std::memset(p, 0x5a, usable < 65536 ? usable : 65536);
    if (usable > 0)
        static_cast<char *>(p)[usable - 1] = 0x5a;
    return p;
}

void plain_forms()
{
    for (size_t size : sizes) {
        ::operator delete(sound(::operator new(size), size, 16));
        ::operator delete[](sound(::operator new[](size), size, 16));
        ::operator delete(sound(::operator new(size), size, 16), size);
        ::operator delete[](sound(::operator new[](size), size, 16), size);
        ::operator delete(sound(::operator new(size, std::nothrow), size, 16), std::nothrow);
        ::operator delete[](sound(::operator new[](size, std::nothrow), size, 16), std::nothrow);
    }
    ::operator delete(nullptr);
    ::operator delete[](nullptr);
    ::operator delete(nullptr, size_t(10));
    ::operator delete[](nullptr, size_t(10));
    ::operator delete(nullptr, std::nothrow);
}

void aligned_forms()
{
    for (size_t a : aligns) {
        std::align_val_t align{a};
        for (size_t size : sizes) {
            ::operator delete(sound(::operator new(size, align), size, a), align);
            ::operator delete[](sound(::operator new[](size, align), size, a), align);
            ::operator delete(sound(::operator new(size, align), size, a), size, align);
            ::operator delete[](sound(::operator new[](size, align), size, a), size, align);
            ::operator delete(sound(::operator new(size, align, std::nothrow), size, a), align, std::nothrow);
            ::operator delete[](sound(::operator new[](size, align, std::nothrow), size, a), align, std::nothrow);
        }
    }
    ::operator delete (nullptr, std::align_val_t{64});
    ::operator delete[](nullptr, std::align_val_t{64});
}

template <typename F> bool throws_bad_alloc(F request)
{
    try {
        request();
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

void exhaustion_throws()
{
    std::align_val_t align{64};
    CHECK(throws_bad_alloc([] { return ::operator new(absurd()); }));
    CHECK(throws_bad_alloc([] { return ::operator new[](absurd()); }));
    CHECK(throws_bad_alloc([&] { return ::operator new(absurd(), align); }));
    CHECK(throws_bad_alloc([&] { return ::operator new[](absurd(), align); }));
    CHECK(::operator new(absurd(), std::nothrow) == nullptr);
    CHECK(::operator new[](absurd(), std::nothrow) == nullptr);
    CHECK(::operator new(absurd(), align, std::nothrow) == nullptr);
    CHECK(::operator new[](absurd(), align, std::nothrow) == nullptr);
}

int asked;

void gives_up_at_the_third()
{
    if (++asked == 3) {
        std::set_new_handler(nullptr);
    }
}

struct no_more : std::bad_alloc {
};

void throws_at_once()
{
    asked++;
    throw no_more();
}

void the_handler_is_asked()
{
    std::align_val_t align{64};
    for (int form = 0; form < 8; form++) {
        asked = 0;
        std::set_new_handler(gives_up_at_the_third);
        switch (form) {
        case 0:
            CHECK(throws_bad_alloc([] { return ::operator new(absurd()); }));
            break;
        case 1:
            CHECK(throws_bad_alloc([] { return ::operator new[](absurd()); }));
            break;
        case 2:
            CHECK(throws_bad_alloc([&] { return ::operator new(absurd(), align); }));
            break;
        case 3:
            CHECK(throws_bad_alloc([&] { return ::operator new[](absurd(), align); }));
            break;
        case 4:
            CHECK(::operator new(absurd(), std::nothrow) == nullptr);
            break;
        case 5:
            CHECK(::operator new[](absurd(), std::nothrow) == nullptr);
            break;
        case 6:
            CHECK(::operator new(absurd(), align, std::nothrow) == nullptr);
            break;
        case 7:
            CHECK(::operator new[](absurd(), align, std::nothrow) == nullptr);
            break;
        }
        CHECK(asked == 3);
    }
}

void what_the_handler_throws_goes_through()
{
    asked = 0;
    std::set_new_handler(throws_at_once);
    bool caught = false;
    try {
        ::operator delete(::operator new(absurd()));
    } catch (const no_more &) {
        caught = true;
    }
    CHECK(caught);
    CHECK(::operator new(absurd(), std::nothrow) == nullptr);
    CHECK(asked == 2);
    std::set_new_handler(nullptr);
}

struct alignas(256) wide {
    char bytes[300];
    std::string text = "a text too long to lie in the string itself";
};

void containers_and_threads()
{
    std::vector<wide *> wides;
    for (int i = 0; i < 1000; i++) {
        wides.push_back(new wide);
        CHECK(reinterpret_cast<uintptr_t>(wides.back()) % 256 == 0);
    }
    std::thread([&] {
        for (wide *w : wides) {
            CHECK(w->text.size() == 43);
            delete w;
        }
    }).join();
    wide *many = new wide[10];
    CHECK(reinterpret_cast<uintptr_t>(&many[0]) % 256 == 0);
    delete[] many;
}

// What the compiler itself tells of size and alignment is right, however an object came to be: a hardened process, which looks at
// it, goes on.

struct base {
    virtual ~base() {}
    int member = 0;
};

struct derived : base {
    std::string text = "a text too long to lie in the string itself";
    char more[500];
};

struct alignas(128) wide_derived : base {
    char more[500];
};

struct counted {
    ~counted() { CHECK(seven == 7); }
    int seven = 7;
};

struct throws_when_made {
    throws_when_made() { throw 1; }
    char bytes[3000];
};

template <typename T> bool cannot_be_made()
{
    try {
        delete new T;
    } catch (int) {
        return true;
    }
    return false;
}

void sizes_that_the_compiler_tells()
{
    delete new char;
    delete new (std::nothrow) derived;
    delete new (std::nothrow) wide;
    delete[] new (std::nothrow) counted[33];
    delete[] new (std::nothrow) wide[3];
    delete[] new counted[1000];
    delete[] new counted[0];
    delete[] new char[0];
    delete[] new std::string[100000];
    delete static_cast<base *>(new derived);
    delete static_cast<base *>(new wide_derived);
    CHECK(cannot_be_made<throws_when_made>());
    ::operator delete(::operator new(0), size_t(0));
    ::operator delete(std::malloc(1), size_t(0)); // as a C++ library's own new asks for 0 bytes
    std::unique_ptr<derived[]> several(new derived[4]);
    std::shared_ptr<base> shared = std::make_shared<wide_derived>();
    std::vector<int> numbers;
    std::deque<derived> queue;
    std::map<int, std::string> map;
    std::string text;
    for (int i = 0; i < 30000; i++) {
        numbers.push_back((i * 7919) % 10007);
        text += char('a' + i % 26);
    }
    for (int i = 0; i < 100; i++) {
        queue.emplace_back();
        map[i] = text.substr(0, size_t(i) * 10);
    }
    std::stable_sort(numbers.begin(), numbers.end());
    CHECK(std::is_sorted(numbers.begin(), numbers.end()));
    numbers.shrink_to_fit();
    text.resize(100);
    text.shrink_to_fit();
}

} // namespace

int main()
{
    plain_forms();
    aligned_forms();
    exhaustion_throws();
    the_handler_is_asked();
    what_the_handler_throws_goes_through();
    containers_and_threads();
    sizes_that_the_compiler_tells();
    return 0;
}
