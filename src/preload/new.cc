/* preload/new.cc - C++'s operator new and delete.
 *
 *   delete[](p, size, align) --> delete[](p, align) --> delete(p, align) --> free       new[](size, align) --> new(size, align)
 *   delete[](p, size) ---------> delete[](p) ---------> delete(p) ---------> free       new[](size) ---------> new(size)
 *   delete(p, size, align) ----> delete(p, align);      delete(p, size) ---> delete(p)
 *
 * By the standard each form calls the next, and a program that replaces some must find its own called: so each call goes by the
 * name that the program may have given to its own, also out of this library (preload/replaceable.list), and the static drop-in's
 * are weak. It is cut short where no form is the program's. The forms that do not throw are the C++ library's. A hardened process
 * checks size and alignment on the way, unless the program has forms of its own: then who knows what a block is.
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
#include "heap/expect.h"
#include "os/fault.h"
void *malloc(size_t size) noexcept;
void free(void *p) noexcept;
void *aligned_alloc(size_t align, size_t size) noexcept;
}

namespace
{

/* The address of a function that may be missing, or another's; the compiler would take it for granted that it is not. */
template <typename F> F present(F function) noexcept
{
    __asm__("" : "+r"(function));
    return function;
}

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

#define REPLACEABLE ALLOT_API __attribute__((weak))

REPLACEABLE void *operator new(size_t size) { return get(size); }
REPLACEABLE void *operator new(size_t size, std::align_val_t align) { return get(size, align); }
REPLACEABLE void *operator new[](size_t size) { return ::operator new(size); }
REPLACEABLE void *operator new[](size_t size, std::align_val_t align) { return ::operator new(size, align); }

REPLACEABLE void operator delete(void *p) noexcept { free(p); }
REPLACEABLE void operator delete[](void *p) noexcept { ::operator delete(p); }
REPLACEABLE void operator delete[](void *p, std::align_val_t align) noexcept { ::operator delete(p, align); }

/* The forms as they are here, whatever the program calls so. By the assembler: compilers warn of other names for what is weak. */
#define OWN(name)                                                                   \
    __asm__(".globl own" #name "\n.hidden own" #name "\n.set own" #name "," #name); \
    extern "C" __attribute__((visibility("hidden"))) const char own##name[]
OWN(_Znwm);
OWN(_Znam);
OWN(_ZnwmSt11align_val_t);
OWN(_ZnamSt11align_val_t);
OWN(_ZdlPv);
OWN(_ZdaPv);
OWN(_ZdlPvSt11align_val_t);
OWN(_ZdaPvSt11align_val_t);

namespace
{

template <typename F> bool is(F called, const char *own) noexcept
{
    return reinterpret_cast<const char *>(present(called)) == own;
}

/* What a free has to do besides; any thread finds the same. */
enum : char {
    UNKNOWN,
    NOTHING,
    CHECK,
    CALL
} deletes; /* all forms are ours: nothing, or a check; else the next is called */

bool all_are_ours() noexcept
{
    return is<void *(*)(size_t)>(::operator new, own_Znwm) && is<void *(*)(size_t)>(::operator new[], own_Znam) &&
           is<void *(*)(size_t, std::align_val_t)>(::operator new, own_ZnwmSt11align_val_t) &&
           is<void *(*)(size_t, std::align_val_t)>(::operator new[], own_ZnamSt11align_val_t) &&
           is<void (*)(void *)>(::operator delete, own_ZdlPv) && is<void (*)(void *)>(::operator delete[], own_ZdaPv) &&
           is<void (*)(void *, std::align_val_t)>(::operator delete, own_ZdlPvSt11align_val_t) &&
           is<void (*)(void *, std::align_val_t)>(::operator delete[], own_ZdaPvSt11align_val_t);
}

inline bool nothing_to_do() { return __builtin_expect(__atomic_load_n(&deletes, __ATOMIC_RELAXED) == NOTHING, 1); }

/* There is a block, so it is known whether the process is hardened. */
[[gnu::noinline, gnu::cold]] bool is_checked() noexcept
{
    auto found = __atomic_load_n(&deletes, __ATOMIC_RELAXED);
    if (found == UNKNOWN) {
        found = !all_are_ours() ? CALL : is_hard() ? CHECK : NOTHING;
        __atomic_store_n(&deletes, found, __ATOMIC_RELAXED);
    }
    return found == CHECK;
}

void expect(const void *p, size_t size, std::align_val_t align = std::align_val_t{1}) noexcept
{
    if (p && is_checked()) {
        hard_expect_size(p, size_t(align), size);
    }
}

template <typename... Align> [[gnu::noinline]] void free_one(void *p, size_t size, Align... align) noexcept
{
    expect(p, size, align...);
    ::operator delete(p, align...);
}

template <typename... Align> [[gnu::noinline]] void free_array(void *p, size_t size, Align... align) noexcept
{
    expect(p, size, align...);
    ::operator delete[](p, align...);
}

} // namespace

REPLACEABLE void operator delete(void *p, std::align_val_t align) noexcept
{
    if (!nothing_to_do() && p && is_checked()) {
        hard_expect_align(p, size_t(align));
    }
    free(p);
}

REPLACEABLE void operator delete(void *p, size_t size) noexcept { nothing_to_do() ? free(p) : free_one(p, size); }

REPLACEABLE void operator delete[](void *p, size_t size) noexcept { nothing_to_do() ? free(p) : free_array(p, size); }

REPLACEABLE void operator delete(void *p, size_t size, std::align_val_t align) noexcept
{
    nothing_to_do() ? free(p) : free_one(p, size, align);
}

REPLACEABLE void operator delete[](void *p, size_t size, std::align_val_t align) noexcept
{
    nothing_to_do() ? free(p) : free_array(p, size, align);
}
