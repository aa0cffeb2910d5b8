/* os/watch.h - tells who watches the program's accesses to memory which it may make: valgrind's memcheck, or AddressSanitizer in
 * a program that is built with it. They know the system's malloc; of ours they know what they are told here:
 *
 *   | block, the program's | slack, seal |     | free ........................ |
 *     allowed, undefined     denied              denied
 *
 * Our own accesses to what is denied are allowed before, and denied again. Without anybody who watches all this is one test,
 * and only where a process is hardened (heap/seal.h), or on slow paths. */
#ifndef OS_WATCH_H
#define OS_WATCH_H

#include <stdbool.h>
#include <stddef.h>

extern bool os_watched;

/* Finds out who watches. */
void os_watch(void) __attribute__((cold));

void os_watch_allow(const void *p, size_t length);
void os_watch_deny(const void *p, size_t length);
void os_watch_begin(const void *p, size_t size, size_t redzone);
void os_watch_defined(const void *p, size_t size);
void os_watch_resize(const void *p, size_t was, size_t size, size_t redzone);
void os_watch_end(const void *p, size_t size, size_t redzone);
void os_watch_roots(const void *p, size_t length, bool are);

/* Memcheck says nothing of what this thread does until the same with false: for who reads much of what it has denied. They nest. */
void os_watch_pause(bool pause);

/* The same for the parts, which are watched in any process: asks once who does. */
bool os_parts_watched(void);
void os_watch_undefined(const void *p, size_t size);

static inline bool watched(void) { return __builtin_expect(os_watched, 0); }

/* We may touch the bytes, which have a value; and nobody may. ASan tells multiples of 8 apart, and the first bytes of one. */
static inline void watch_allow(const void *p, size_t length)
{
    if (watched()) {
        os_watch_allow(p, length);
    }
}

static inline void watch_deny(const void *p, size_t length)
{
    if (watched()) {
        os_watch_deny(p, length);
    }
}

/* A block of the program's begins, has the value 0, has another size where it is, ends: it is denied then. At least `redzone`
 * bytes behind it are denied. */
static inline void watch_begin(const void *p, size_t size, size_t redzone)
{
    if (watched()) {
        os_watch_begin(p, size, redzone);
    }
}

static inline void watch_defined(const void *p, size_t size)
{
    if (watched()) {
        os_watch_defined(p, size);
    }
}

static inline void watch_resize(const void *p, size_t was, size_t size, size_t redzone)
{
    if (watched()) {
        os_watch_resize(p, was, size, redzone);
    }
}

static inline void watch_end(const void *p, size_t size, size_t redzone)
{
    if (watched()) {
        os_watch_end(p, size, redzone);
    }
}

/* There are pointers in these bytes from now on, or none any more, that keep others' blocks from being leaks. */
static inline void watch_roots(const void *p, size_t length, bool are)
{
    if (watched()) {
        os_watch_roots(p, length, are);
    }
}

#endif
