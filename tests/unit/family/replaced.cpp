// replaced.cpp - a program's own operator new and delete, of which it replaces the basic forms only: every other form ends there,
// and the blocks are what the program says, also in a hardened process.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#define CHECK(condition)                                                                 \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            std::fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition); \
            std::abort();                                                                \
        }                                                                                \
    } while (0)

static size_t live, made;

// Before each block is how it was asked for, so free(p) is wrong, and the heap knows another size.
static void *take(size_t size, size_t align)
{
    size_t head = align > 16 ? align : 16;
    char *at = static_cast<char *>(std::aligned_alloc(head, size + head));
    CHECK(at);
    size_t *says = reinterpret_cast<size_t *>(at + head) - 2;
    says[0] = head;
    says[1] = 4711;
    live++;
    made++;
    return at + head;
}

static void give(void *p)
{
    if (p) {
        size_t *says = static_cast<size_t *>(p) - 2;
        CHECK(says[1] == 4711);
        live--;
        std::free(static_cast<char *>(p) - says[0]);
    }
}

#ifndef __clang__ // gcc thinks that the sized forms are missing; that is the point
#pragma GCC diagnostic ignored "-Wsized-deallocation"
#endif
void *operator new(size_t size) { return take(size, 1); }
void *operator new(size_t size, std::align_val_t align) { return take(size, size_t(align)); }
void operator delete(void *p) noexcept { give(p); }
void operator delete(void *p, std::align_val_t) noexcept { give(p); }

// The compiler may leave out a pair of new and delete that it sees.
static void *seen(void *p)
{
    __asm__ volatile("" : "+r"(p) : : "memory");
    return p;
}

struct alignas(64) wide {
    char bytes[100];
};

int main()
{
    const std::align_val_t align{64};
    const size_t size = 100;
    size_t before = live, made_before = made;
    ::operator delete(seen(::operator new(size)), size);
    ::operator delete[](seen(::operator new[](size)));
    ::operator delete[](seen(::operator new[](size)), size);
    ::operator delete(seen(::operator new(size, std::nothrow)), std::nothrow);
    ::operator delete[](seen(::operator new[](size, std::nothrow)), std::nothrow);
    ::operator delete(seen(::operator new(size, align)), size, align);
    ::operator delete[](seen(::operator new[](size, align)), align);
    ::operator delete[](seen(::operator new[](size, align)), size, align);
    ::operator delete(seen(::operator new(size, align, std::nothrow)), align, std::nothrow);
    ::operator delete[](seen(::operator new[](size, align, std::nothrow)), align, std::nothrow);
    CHECK(made == made_before + 10 && live == before);
    {
        std::vector<std::string> texts;
        for (size_t i = 0; i < 100; i++)
            texts.push_back(std::string(i, 'x'));
        std::vector<wide> wides(33);
        CHECK(live > before + 80);
        std::stable_sort(texts.rbegin(), texts.rend());
    }
    CHECK(live == before);
    return 0;
}
