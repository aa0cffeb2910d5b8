/* preload/new.cc - C++'s operator new and delete.
 *
 * The four basic forms are here. The others - arrays, nothrow, sized - are the C++ library's, which by the standard
 * call the basic ones: a program that replaces only those must find its own called, so they may not be cut short.
 *
 * The shared drop-in must not need the C++ library: a C program that preloads it would pull that in. So what is used of
 * it is weak there, and is the program's own: one that calls operator new has a C++ library loaded. When that came
 * later than this library (a plugin in C++), it is looked up at the moment it is needed: when memory is out.
 *
 * In the static drop-in this file is only linked into programs that call operator new; there the references are plain.
 */
#include <new>

#include <dlfcn.h>
#include <stdlib.h>

#include <allot/malloc.h>

extern "C" {
#include "os/fault.h"
void *malloc(size_t size) noexcept;
void free(void *p) noexcept;
void *aligned_alloc(size_t align, size_t size) noexcept;
}

namespace
{

#ifdef ALLOT_WEAK_CXX

__asm__(".weak __gxx_personality_v0\n"
        ".weak __cxa_allocate_exception\n"
        ".weak __cxa_throw\n"
        ".weak _ZSt15get_new_handlerv\n"
        ".weak _ZTISt9bad_alloc\n"
        ".weak _ZTVSt9bad_alloc\n"
        ".weak _ZNSt9bad_allocD1Ev\n");

/* A function of the C++ library that was loaded after this one, also by a plugin that keeps its names to itself. */
void *look_up(const char *name)
{
    static const char *const libraries[] = {"libstdc++.so.6", "libc++abi.so.1", "libc++.so.1"};
    for (const char *library : libraries) {
        void *handle = dlopen(library, RTLD_NOLOAD | RTLD_LAZY);
        void *found = handle ? dlsym(handle, name) : nullptr;
        if (handle) {
            dlclose(handle);
        }
        if (found) {
            return found;
        }
    }
    return nullptr;
}

/* The address of a function that may be missing; the compiler would take it for granted that it is not. */
template <typename F> F present(F function)
{
    __asm__("" : "+r"(function));
    return function;
}

extern "C" void __cxa_throw(void *, void *, void (*)(void *));

std::new_handler current_handler()
{
    auto get = present(&std::get_new_handler);
    if (!get) {
        get = reinterpret_cast<std::new_handler (*)() noexcept>(look_up("_ZSt15get_new_handlerv"));
    }
    return get ? get() : nullptr;
}

[[noreturn]] void throw_bad_alloc()
{
    if (present(&__cxa_throw)) {
        throw std::bad_alloc();
    }
    auto thrower = reinterpret_cast<void (*)()>(look_up("_ZSt17__throw_bad_allocv"));
    if (thrower) {
        thrower();
    }
    os_say("operator new: out of memory, and no C++ library is loaded to say so with std::bad_alloc");
    abort();
}

#else

std::new_handler current_handler() { return std::get_new_handler(); }
[[noreturn]] void throw_bad_alloc() { throw std::bad_alloc(); }

#endif

/* What the standard asks for when memory is out: the handler frees some, or ends the attempt; without one, false. */
bool ask_handler()
{
    std::new_handler handler = current_handler();
    if (handler) {
        handler();
    }
    return handler;
}

void *take(size_t align, size_t size) { return align ? aligned_alloc(align, size) : malloc(size); }

[[gnu::cold]] void *take_or_throw(size_t align, size_t size)
{
    while (ask_handler()) {
        if (void *p = take(align, size)) {
            return p;
        }
    }
    throw_bad_alloc();
}

inline void *get(size_t size)
{
    void *p = malloc(size);
    return __builtin_expect(p != nullptr, 1) ? p : take_or_throw(0, size);
}

inline void *get(size_t size, std::align_val_t align)
{
    void *p = aligned_alloc(size_t(align), size);
    return __builtin_expect(p != nullptr, 1) ? p : take_or_throw(size_t(align), size);
}

} // namespace

ALLOT_API void *operator new(size_t size) { return get(size); }
ALLOT_API void *operator new(size_t size, std::align_val_t align) { return get(size, align); }
ALLOT_API void operator delete(void *p) noexcept { free(p); }
ALLOT_API void operator delete(void *p, std::align_val_t) noexcept { free(p); }
