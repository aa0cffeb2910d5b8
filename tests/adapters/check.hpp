// adapters/check.hpp - what the tests of the C++ adapters share.
#ifndef ADAPTERS_CHECK_HPP
#define ADAPTERS_CHECK_HPP

#include <cstdio>
#include <cstdlib>

#include <allot/arena.h>
#include <allot/heap.h>

#define CHECK(condition)                                                                 \
    do {                                                                                 \
        if (!(condition)) {                                                              \
            std::fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition); \
            std::abort();                                                                \
        }                                                                                \
    } while (0)

#ifdef __cpp_exceptions
#define THROWS(what, ...)  \
    [&] {                  \
        try {              \
            __VA_ARGS__;   \
        } catch (what &) { \
            return true;   \
        }                  \
        return false;      \
    }()
#endif

struct arena : allot_arena {
    arena() { CHECK(allot_arena_init(this, nullptr) == 0); }
    arena(const arena &) = delete;
    ~arena()
    {
        CHECK(allot_arena_check(this));
        allot_arena_done(this);
    }
    size_t used() const
    {
        struct allot_arena_stats stats;
        ::allot_arena_stats(this, &stats);
        return stats.use.used;
    }
};

// Proves when it ends that everything has been given back.
struct heap : allot_heap {
    heap() { CHECK(allot_heap_init(this, nullptr) == 0); }
    heap(const heap &) = delete;
    ~heap()
    {
        CHECK(blocks() == 0);
        CHECK(allot_heap_check(this));
        allot_heap_done(this);
    }
    size_t blocks()
    {
        struct allot_stats stats;
        allot_heap_stats(this, &stats);
        return stats.blocks;
    }
};

#endif
