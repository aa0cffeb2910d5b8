/* os/watch.c - see os/watch.h. Valgrind's requests are instructions that do nothing elsewhere; without its header this library
 * is built without them. ASan's functions are there when the program has its runtime. */
#include "os/watch.h"

#include <stdatomic.h>

#include <allot/part.h>

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#else
#define RUNNING_ON_VALGRIND                            0
#define VALGRIND_MAKE_MEM_DEFINED(p, length)           ((void)(p), (void)(length), 0)
#define VALGRIND_MAKE_MEM_UNDEFINED(p, length)         ((void)(p), (void)(length), 0)
#define VALGRIND_MAKE_MEM_NOACCESS(p, length)          ((void)(p), (void)(length), 0)
#define VALGRIND_MALLOCLIKE_BLOCK(p, size, rz, zeroed) ((void)(rz))
#define VALGRIND_RESIZEINPLACE_BLOCK(p, was, size, rz) ((void)(rz))
#define VALGRIND_FREELIKE_BLOCK(p, rz)                 ((void)(rz))
#define VALGRIND_DISABLE_ERROR_REPORTING               ((void)0)
#define VALGRIND_ENABLE_ERROR_REPORTING                ((void)0)
#endif

extern void __asan_poison_memory_region(const volatile void *p, size_t length) __attribute__((weak));
extern void __asan_unpoison_memory_region(const volatile void *p, size_t length) __attribute__((weak));
extern void __lsan_register_root_region(const void *p, size_t length) __attribute__((weak));
extern void __lsan_unregister_root_region(const void *p, size_t length) __attribute__((weak));

bool os_watched;

static bool has_asan(void) { return __asan_poison_memory_region && __asan_unpoison_memory_region; }

/* Of valgrind's tools only memcheck answers. */
static bool somebody_watches(void)
{
    char byte = 0;
    bool memcheck = RUNNING_ON_VALGRIND && VALGRIND_MAKE_MEM_DEFINED(&byte, 1) != 0;
    return memcheck || has_asan();
}

void os_watch(void) { os_watched = somebody_watches(); }

bool os_parts_watched(void)
{
    enum { UNKNOWN, NOBODY, SOMEBODY };
    static _Atomic int known;
    int who = atomic_load_explicit(&known, memory_order_relaxed);
    if (who == UNKNOWN) {
        who = somebody_watches() ? SOMEBODY : NOBODY;
        atomic_store_explicit(&known, who, memory_order_relaxed);
    }
    return who == SOMEBODY;
}

void os_watch_undefined(const void *p, size_t size)
{
    if (has_asan()) {
        __asan_unpoison_memory_region(p, size);
    }
    (void)VALGRIND_MAKE_MEM_UNDEFINED(p, size);
}

void allot_poison(const void *p, size_t size)
{
    if (os_parts_watched()) {
        os_watch_deny(p, size);
    }
}

void allot_unpoison(const void *p, size_t size)
{
    if (os_parts_watched()) {
        os_watch_undefined(p, size);
    }
}

void os_watch_allow(const void *p, size_t length)
{
    if (has_asan()) {
        __asan_unpoison_memory_region(p, length);
    }
    (void)VALGRIND_MAKE_MEM_DEFINED(p, length);
}

void os_watch_deny(const void *p, size_t length)
{
    if (has_asan()) {
        __asan_poison_memory_region(p, length);
    }
    (void)VALGRIND_MAKE_MEM_NOACCESS(p, length);
}

void os_watch_begin(const void *p, size_t size, size_t redzone)
{
    if (has_asan()) {
        __asan_unpoison_memory_region(p, size);
    }
    VALGRIND_MALLOCLIKE_BLOCK(p, size, redzone, 0);
}

void os_watch_defined(const void *p, size_t size) { (void)VALGRIND_MAKE_MEM_DEFINED(p, size); }

void os_watch_resize(const void *p, size_t was, size_t size, size_t redzone)
{
    if (has_asan() && size > was) {
        __asan_unpoison_memory_region(p, size);
    }
    VALGRIND_RESIZEINPLACE_BLOCK(p, was, size, redzone);
}

void os_watch_end(const void *p, size_t size, size_t redzone)
{
    VALGRIND_FREELIKE_BLOCK(p, redzone);
    if (has_asan()) {
        __asan_poison_memory_region(p, size);
    }
}

void os_watch_pause(bool pause)
{
    if (pause) {
        VALGRIND_DISABLE_ERROR_REPORTING;
    } else {
        VALGRIND_ENABLE_ERROR_REPORTING;
    }
}

void os_watch_roots(const void *p, size_t length, bool are)
{
    if (are && __lsan_register_root_region) {
        __lsan_register_root_region(p, length);
    } else if (!are && __lsan_unregister_root_region) {
        __lsan_unregister_root_region(p, length);
    }
}
