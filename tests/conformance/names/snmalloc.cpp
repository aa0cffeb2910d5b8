/* names/snmalloc.cpp - the names under which snmalloc's own tests call it, by the standard ones: whatever malloc is the
 * process's answers. It is asked for blocks as large and as aligned as snmalloc makes them; what no standard name tells, the
 * block around an address and what is still in use, comes from a list of the blocks.
 */
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <map>
#include <mutex>

namespace
{
enum : std::size_t { STEP = 16, LARGEST_SMALL = 1 << 16, NO_SIZE = PTRDIFF_MAX / 2 };

/* What snmalloc makes of a size: four steps to each power of two, and whole powers of two when it is large. */
std::size_t rounded(std::size_t size)
{
    if (size <= STEP) {
        return STEP;
    }
    if (size > NO_SIZE) {
        return size;
    }
    std::size_t power = std::size_t{1} << (63 - __builtin_clzl(size - 1));
    std::size_t step = size > LARGEST_SMALL ? 2 * power : power / 4;
    step = step < STEP ? STEP : step;
    return (size + step - 1) / step * step;
}

std::size_t alignment_of(std::size_t size)
{
    size = rounded(size);
    return size & -size;
}

class Blocks
{
  public:
    void *noted(void *p, std::size_t size)
    {
        if (p != nullptr) {
            if (malloc_usable_size(p) < size || reinterpret_cast<std::uintptr_t>(p) % alignment_of(size) != 0) {
                std::abort();
            }
            std::lock_guard<std::mutex> held(lock);
            if (!sizes.emplace(static_cast<char *>(p), size).second) {
                std::abort();
            }
        }
        return p;
    }

    void forget(void *p)
    {
        std::lock_guard<std::mutex> held(lock);
        if (p != nullptr && sizes.erase(static_cast<char *>(p)) == 0) {
            std::abort();
        }
    }

    /* The block around an address and its size; none is {nullptr, 0}. */
    std::pair<char *, std::size_t> around(const void *address)
    {
        char *p = static_cast<char *>(const_cast<void *>(address));
        std::lock_guard<std::mutex> held(lock);
        auto next = sizes.upper_bound(p);
        if (next == sizes.begin()) {
            return {nullptr, 0};
        }
        --next;
        return p < next->first + next->second ? std::pair<char *, std::size_t>(*next)
                                              : std::pair<char *, std::size_t>();
    }

    bool empty()
    {
        std::lock_guard<std::mutex> held(lock);
        return sizes.empty();
    }

  private:
    std::mutex lock;
    std::map<char *, std::size_t> sizes;
};

Blocks &blocks()
{
    static Blocks &only = *new Blocks; // never ended: others' destructors free blocks too
    return only;
}

void *aligned(std::size_t align, std::size_t size)
{
    size = rounded(size);
    align = align < alignment_of(size) && size <= NO_SIZE ? alignment_of(size) : align;
    return blocks().noted(align <= alignof(std::max_align_t) ? malloc(size) : memalign(align, size), size);
}

void *zeroed(std::size_t size)
{
    void *p = calloc(1, rounded(size));
    if (p == nullptr || reinterpret_cast<std::uintptr_t>(p) % alignment_of(size) == 0) {
        return blocks().noted(p, rounded(size));
    }
    free(p);
    p = aligned(1, size);
    return p != nullptr ? std::memset(p, 0, rounded(size)) : nullptr;
}

std::size_t size_of(const void *p) { return blocks().around(p).second; }

bool product(std::size_t n, std::size_t size, std::size_t *bytes) { return !__builtin_mul_overflow(n, size, bytes); }
} // namespace

extern "C" {
void *testlib_malloc(std::size_t size) { return aligned(1, size); }

void testlib_free(void *p)
{
    blocks().forget(p);
    free(p);
}

void testlib_cfree(void *p) { testlib_free(p); }

void *testlib_calloc(std::size_t n, std::size_t size)
{
    std::size_t bytes;
    return product(n, size, &bytes) ? zeroed(bytes) : (errno = ENOMEM, nullptr);
}

std::size_t testlib_malloc_usable_size(void *p) { return size_of(p); }
std::size_t testlib_malloc_good_size(std::size_t size) { return rounded(size); }

void *testlib_realloc(void *p, std::size_t size)
{
    if (p == nullptr || size == 0) {
        testlib_free(p);
        return p == nullptr ? aligned(1, size) : nullptr;
    }
    std::size_t had = size_of(p);
    blocks().forget(p);
    void *q = realloc(p, rounded(size));
    if (q == nullptr) {
        blocks().noted(p, had);
        return nullptr;
    }
    if (reinterpret_cast<std::uintptr_t>(q) % alignment_of(size) == 0) {
        return blocks().noted(q, rounded(size));
    }
    void *moved = aligned(1, size);
    if (moved != nullptr) {
        std::memcpy(moved, q, had < size ? had : size);
    }
    free(q);
    return moved;
}

void *testlib_reallocarray(void *p, std::size_t n, std::size_t size)
{
    std::size_t bytes;
    return product(n, size, &bytes) ? testlib_realloc(p, bytes) : (errno = ENOMEM, nullptr);
}

int testlib_reallocarr(void *where, std::size_t n, std::size_t size)
{
    int before = errno;
    std::size_t bytes;
    if (!product(n, size, &bytes)) {
        return EOVERFLOW;
    }
    void *p, *q = nullptr;
    std::memcpy(&p, where, sizeof p);
    if (bytes != 0 && (q = testlib_realloc(p, bytes)) != nullptr) {
        std::memcpy(where, &q, sizeof q);
    }
    int error = bytes != 0 && q == nullptr ? ENOMEM : 0;
    errno = before;
    return error;
}

void *testlib_memalign(std::size_t align, std::size_t size) { return aligned(align, size); }
void *testlib_aligned_alloc(std::size_t align, std::size_t size) { return aligned(align, size); }

int testlib_posix_memalign(void **out, std::size_t align, std::size_t size)
{
    bool valid = align >= sizeof(void *) && (align & (align - 1)) == 0 && size <= NO_SIZE;
    int error = posix_memalign(out, valid && align < alignment_of(size) ? alignment_of(size) : align, rounded(size));
    if (error == 0) {
        blocks().noted(*out, rounded(size));
    }
    return error;
}
}

struct malloc_info_v1 {
    std::size_t current, peak;
};

void get_malloc_info_v1(malloc_info_v1 *info)
{
    static std::size_t peak;
    struct mallinfo2 now = mallinfo2();
    info->current = now.uordblks + now.hblkhd;
    info->peak = peak = info->current > peak ? info->current : peak;
}

namespace snmalloc
{
enum class ZeroMem { NoZero, YesZero };
struct smallsizeclass_t {
    std::size_t raw;
};

template <ZeroMem> void *alloc(std::size_t size);
template <> void *alloc<ZeroMem::NoZero>(std::size_t size) { return aligned(1, size); }
template <> void *alloc<ZeroMem::YesZero>(std::size_t size) { return zeroed(size); }

void dealloc(void *p) { testlib_free(p); }
void dealloc(void *p, std::size_t) { testlib_free(p); }
void dealloc(void *p, std::size_t, std::size_t) { testlib_free(p); }

bool is_owned(void *p) { return blocks().around(p).first != nullptr; }
std::size_t alloc_size(const void *p) { return size_of(p); }

std::size_t remaining_bytes(const void *p)
{
    auto block = blocks().around(p);
    return block.first != nullptr ? block.first + block.second - static_cast<const char *>(p) : SIZE_MAX;
}

void debug_check_empty(bool *result)
{
    bool empty = blocks().empty();
    if (result == nullptr && !empty) {
        std::abort();
    }
    if (result != nullptr) {
        *result = empty;
    }
}

void debug_in_use(std::size_t) {}
void debug_teardown() {}
void cleanup_unused() {}

struct TestScopedAllocator;
struct ScopedAllocHandle {
    TestScopedAllocator *ptr;
    ScopedAllocHandle() : ptr(nullptr) {}
    ~ScopedAllocHandle();
    void *alloc(std::size_t size);
    void dealloc(void *p);
    void dealloc(void *p, std::size_t size);
    ScopedAllocHandle *operator->();
};

ScopedAllocHandle::~ScopedAllocHandle() {}
void *ScopedAllocHandle::alloc(std::size_t size) { return aligned(1, size); }
void ScopedAllocHandle::dealloc(void *p) { testlib_free(p); }
void ScopedAllocHandle::dealloc(void *p, std::size_t) { testlib_free(p); }
ScopedAllocHandle *ScopedAllocHandle::operator->() { return this; }
ScopedAllocHandle get_scoped_allocator() { return {}; }

namespace libc
{
void *malloc_small(smallsizeclass_t sizeclass)
{
    std::size_t n = sizeclass.raw + 1, power = n >> 2;
    return aligned(1, ((n & 3) + (power ? 4 : 0)) * STEP << (power ? power - 1 : 0));
}

void *__malloc_start_pointer(void *p) { return blocks().around(p).first; }

void *__malloc_last_byte_pointer(void *p)
{
    auto block = blocks().around(p);
    return block.first != nullptr ? block.first + block.second - 1 : reinterpret_cast<void *>(UINTPTR_MAX);
}
} // namespace libc
} // namespace snmalloc
