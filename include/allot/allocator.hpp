/* allot/allocator.hpp - allot's memory for C++: allocators of standard containers, and what deletes for std::unique_ptr.
 *
 *     std::vector<int, allot::allocator<int>> numbers;                  // allot's own heap, beside the system's
 *     std::list<int, allot::arena_allocator<int>> line(&arena);         // an arena's: nothing is given back one by one
 *     std::map<int, int, std::less<>, allot::allocator<std::pair<const int, int>, allot_allocator>>
 *         tree(allot_allocator_heap(&heap));                            // whoever is behind the interface of borders
 *     auto one = allot::make_unique<connection>(7);                     // std::unique_ptr that gives back with the size
 *     auto two = allot::make_unique_in<connection>(&arena, 7);          // whose memory goes when the arena's does
 *
 * Where memory comes from is the second parameter: `from_malloc`, which takes no room in a container; `allot_arena *` and
 * `allot_heap *`, whose calls are direct, the arena's inline; `allot_allocator`, which is any of these and any other, by an
 * indirect call. The arena or heap has to outlive the container, and may not be moved meanwhile.
 *
 * A container keeps its source for life. Assigned from one of another source it copies or moves each element into its own memory,
 * so that nothing comes to lie in an arena that ends first. Swapped, two containers exchange their sources with their elements. A
 * copy of a container has the original's source, unless its constructor is told another. The elements' own memory is theirs: a
 * std::scoped_allocator_adaptor hands a source down to the containers in a container.
 *
 * Out of memory: std::bad_alloc; an array longer than the address space: std::bad_array_new_length. Compiled without exceptions:
 * std::terminate. Threads: those of where the memory comes from. C++17 and later, nothing to link but liballot.
 */
#ifndef ALLOT_ALLOCATOR_HPP
#define ALLOT_ALLOCATOR_HPP

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <allot/allocator.h>
#include <allot/arena.h>
#include <allot/heap.h>
#include <allot/malloc.h>

namespace allot
{

/* From allot's own heap (allot/malloc.h). */
struct from_malloc {
};

namespace detail
{

constexpr std::size_t aligned_anyway = 16; /* what allot_malloc does by itself */

inline void *take(from_malloc, std::size_t size, std::size_t align) noexcept
{
    return align <= aligned_anyway ? allot_malloc(size) : allot_aligned_alloc(align, size);
}

inline void give(from_malloc, void *p, std::size_t size, std::size_t align) noexcept
{
    if (align <= aligned_anyway) {
        allot_free_sized(p, size);
    } else {
        allot_free_aligned_sized(p, align, size);
    }
}

inline void *take(allot_arena *from, std::size_t size, std::size_t align) noexcept
{
    return align <= ALLOT_ARENA_ALIGN ? allot_arena_alloc(from, size) : allot_arena_aligned(from, size, align);
}

inline void give(allot_arena *, void *, std::size_t, std::size_t) noexcept {}

inline void *take(allot_heap *from, std::size_t size, std::size_t align) noexcept
{
    constexpr std::size_t anyway = 8; /* of a two_level heap */
    return align <= anyway ? allot_heap_alloc(from, size) : allot_heap_aligned(from, align, size);
}

inline void give(allot_heap *to, void *p, std::size_t size, std::size_t) noexcept
{
    allot_heap_free_sized(to, p, size);
}

inline void *take(allot_allocator from, std::size_t size, std::size_t align) noexcept
{
    return allot_take(from, size, align);
}

inline void give(allot_allocator to, void *p, std::size_t size, std::size_t align) noexcept
{
    allot_give(to, p, size, align);
}

constexpr bool same(from_malloc, from_malloc) noexcept { return true; }
constexpr bool same(const void *a, const void *b) noexcept { return a == b; }
constexpr bool same(allot_allocator a, allot_allocator b) noexcept { return a.ops == b.ops && a.self == b.self; }

[[noreturn]] inline void out_of_memory()
{
#ifdef __cpp_exceptions
    throw std::bad_alloc();
#else
    std::terminate();
#endif
}

[[noreturn]] inline void too_long()
{
#ifdef __cpp_exceptions
    throw std::bad_array_new_length();
#else
    std::terminate();
#endif
}

template <class From> void *take_or_throw(From from, std::size_t size, std::size_t align)
{
    void *p = take(from, size, align);
    if (__builtin_expect(!p, 0)) {
        out_of_memory();
    }
    return p;
}

template <class T, class From> T *take_array(From from, std::size_t n)
{
    if (__builtin_expect(n > SIZE_MAX / sizeof(T), 0)) {
        too_long();
    }
    return static_cast<T *>(take_or_throw(from, n * sizeof(T), alignof(T)));
}

/* A base that holds it; without a byte for from_malloc. */
template <class From> class holder
{
  public:
    constexpr holder() noexcept = default;
    constexpr holder(From from) noexcept : from_(from) {}

    /* Where the memory comes from. */
    constexpr From from() const noexcept { return from_; }

  private:
    From from_ = {};
};

template <> class holder<from_malloc>
{
  public:
    constexpr holder() noexcept = default;
    constexpr holder(from_malloc) noexcept {}
    constexpr from_malloc from() const noexcept { return {}; }
};

/* Gives memory back when the constructor of what was to lie there throws. */
template <class From> struct undo {
    From from;
    void *p;
    std::size_t size, align;

    ~undo()
    {
        if (p) {
            give(from, p, size, align);
        }
    }
};

} // namespace detail

/* -- containers ------------------------------------------------------------------------------------------------- */

/* An allocator as the standard names its requirements ([allocator.requirements]). Cost: what the call costs; no word in a
 * container from malloc, one from an arena or heap, two from an allot_allocator. */
template <class T, class From = from_malloc> class allocator : public detail::holder<From>
{
    static_assert(!std::is_const_v<T> && !std::is_volatile_v<T>, "containers hold no const or volatile elements");

  public:
    using value_type = T;
    using is_always_equal = std::is_empty<From>;
    using propagate_on_container_copy_assignment = std::false_type;
    using propagate_on_container_move_assignment = std::is_empty<From>;
    using propagate_on_container_swap = std::true_type;

    /* Only from_malloc goes without saying. */
    template <class F = From, std::enable_if_t<std::is_empty_v<F>, int> = 0> constexpr allocator() noexcept {}
    constexpr allocator(From from) noexcept : detail::holder<From>(from) {}
    template <class U> constexpr allocator(const allocator<U, From> &other) noexcept : allocator(other.from()) {}

    [[nodiscard]] T *allocate(std::size_t n) { return detail::take_array<T>(this->from(), n); }

    void deallocate(T *p, std::size_t n) noexcept { detail::give(this->from(), p, n * sizeof(T), alignof(T)); }
};

template <class T, class U, class From>
constexpr bool operator==(const allocator<T, From> &a, const allocator<U, From> &b) noexcept
{
    return detail::same(a.from(), b.from());
}

template <class T, class U, class From>
constexpr bool operator!=(const allocator<T, From> &a, const allocator<U, From> &b) noexcept
{
    return !(a == b);
}

template <class T> using arena_allocator = allocator<T, allot_arena *>;
template <class T> using heap_allocator = allocator<T, allot_heap *>;

/* -- std::unique_ptr -------------------------------------------------------------------------------------------- */

/* Destroys what make_unique or make_unique_in made, and gives its memory back with its size: to an arena nothing. It deletes no
 * object of a type derived from T, as the size would be another's. Cost: the words of `From`, and the count for an array. */
template <class T, class From = from_malloc> class deleter : public detail::holder<From>
{
  public:
    using detail::holder<From>::holder;

    void operator()(T *p) const noexcept
    {
        p->~T();
        detail::give(this->from(), p, sizeof(T), alignof(T));
    }
};

template <class T, class From> class deleter<T[], From> : public detail::holder<From>
{
  public:
    constexpr deleter() noexcept = default;
    constexpr deleter(From from, std::size_t n) noexcept : detail::holder<From>(from), n_(n) {}

    std::size_t size() const noexcept { return n_; }

    void operator()(T *p) const noexcept
    {
        for (std::size_t i = n_; i > 0; i--) {
            p[i - 1].~T();
        }
        detail::give(this->from(), p, n_ * sizeof(T), alignof(T));
    }

  private:
    std::size_t n_ = 0;
};

template <class T, class From = from_malloc> using unique_ptr = std::unique_ptr<T, deleter<T, From>>;

/* An object made from `args`, in memory from there. */
template <class T, class From, class... Args, std::enable_if_t<!std::is_array_v<T>, int> = 0>
[[nodiscard]] unique_ptr<T, From> make_unique_in(From from, Args &&...args)
{
    detail::undo<From> undo{from, detail::take_or_throw(from, sizeof(T), alignof(T)), sizeof(T), alignof(T)};
    T *p = ::new (undo.p) T(std::forward<Args>(args)...);
    undo.p = nullptr;
    return unique_ptr<T, From>(p, deleter<T, From>(from));
}

/* An array of n, make_unique_in<T[]>(from, n), each value-initialised; destroyed from the last to the first. */
template <class T, class From, std::enable_if_t<std::is_array_v<T> && std::extent_v<T> == 0, int> = 0>
[[nodiscard]] unique_ptr<T, From> make_unique_in(From from, std::size_t n)
{
    using E = std::remove_extent_t<T>;
    E *p = detail::take_array<E>(from, n);
    detail::undo<From> undo{from, p, n * sizeof(E), alignof(E)};
    std::uninitialized_value_construct_n(p, n);
    undo.p = nullptr;
    return unique_ptr<T, From>(p, deleter<T, From>(from, n));
}

/* The same from malloc. */
template <class T, class... Args> [[nodiscard]] unique_ptr<T> make_unique(Args &&...args)
{
    return make_unique_in<T>(from_malloc(), std::forward<Args>(args)...);
}

/* For what C functions return that is to be freed with allot_free: std::unique_ptr<char, allot::free_deleter>. */
struct free_deleter {
    void operator()(void *p) const noexcept { allot_free(p); }
};

} // namespace allot

#endif
