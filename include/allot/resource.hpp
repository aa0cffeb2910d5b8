/* allot/resource.hpp - allot's memory for std::pmr: memory resources over an arena, a heap, and any allot_allocator.
 *
 *     struct allot_arena arena;
 *     allot_arena_init(&arena, NULL);
 *     allot::arena_resource request(&arena);
 *     {
 *         std::pmr::vector<std::pmr::string> words(&request);
 *         ...
 *     }
 *     allot_arena_reset(&arena, SIZE_MAX);
 *
 * For programs whose containers have std::pmr's types already; others do with allot/allocator.hpp, which needs no virtual call.
 * An arena_resource is what std::pmr::monotonic_buffer_resource is, but keeps its memory warm from one round to the next, and
 * has marks, limits and figures. An allot::resource over allot_allocator_heap is what the unsynchronized pool resource is.
 *
 * What a resource is over has to outlive it, and it what is allocated from it. As with any memory_resource: a container keeps its
 * resource for life, assignments between different ones copy or move each element, and swaps between different ones are
 * undefined. Out of memory: std::bad_alloc, or without exceptions std::terminate. Threads: those of what it is over.
 */
#ifndef ALLOT_RESOURCE_HPP
#define ALLOT_RESOURCE_HPP

#include <cstddef>
#include <memory_resource>

#include <allot/allocator.hpp>

namespace allot
{

/* Over any allot_allocator. Equal are those over the same. Cost: a virtual call, and an indirect one. */
class resource final : public std::pmr::memory_resource
{
  public:
    /* Over malloc. */
    resource() noexcept : from_(allot_allocator_malloc()) {}
    explicit resource(allot_allocator from) noexcept : from_(from) {}

    allot_allocator from() const noexcept { return from_; }

  private:
    void *do_allocate(std::size_t size, std::size_t align) override
    {
        return detail::take_or_throw(from_, size, align);
    }

    void do_deallocate(void *p, std::size_t size, std::size_t align) override { allot_give(from_, p, size, align); }

    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
    {
#ifdef __cpp_rtti
        auto *same = dynamic_cast<const resource *>(&other);
        return same && detail::same(from_, same->from_);
#else
        return this == &other;
#endif
    }

    allot_allocator from_;
};

/* Over an arena: nothing is given back one by one. Where the compiler sees that it is one of these, which a call of its own
 * allocate shows, the arena's bump is inline; through a memory_resource it costs the virtual call. Equal are those over the
 * same arena. */
class arena_resource final : public std::pmr::memory_resource
{
  public:
    explicit arena_resource(allot_arena *arena) noexcept : arena_(arena) {}

    allot_arena *arena() const noexcept { return arena_; }

    [[nodiscard]] void *allocate(std::size_t size, std::size_t align = alignof(std::max_align_t))
    {
        return detail::take_or_throw(arena_, size, align);
    }

    void deallocate(void *, std::size_t, std::size_t = alignof(std::max_align_t)) noexcept {}

  private:
    void *do_allocate(std::size_t size, std::size_t align) override { return allocate(size, align); }

    void do_deallocate(void *, std::size_t, std::size_t) override {}

    bool do_is_equal(const std::pmr::memory_resource &other) const noexcept override
    {
#ifdef __cpp_rtti
        auto *same = dynamic_cast<const arena_resource *>(&other);
        return same && arena_ == same->arena_;
#else
        return this == &other;
#endif
    }

    allot_arena *arena_;
};

/* The resource over malloc: one, immortal, any thread; for std::pmr::set_default_resource. */
inline std::pmr::memory_resource *malloc_resource() noexcept
{
    alignas(resource) static unsigned char place[sizeof(resource)];
    static std::pmr::memory_resource *const made = ::new (static_cast<void *>(place)) resource;
    return made;
}

} // namespace allot

#endif
