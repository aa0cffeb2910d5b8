/* pages.c - a kernel of larger pages, pretended. Preloaded ahead of all else, it tells a program that a page has PAGE bytes and
 * does for its calls what such a kernel does: mappings begin at a multiple of PAGE, an address that is none is refused, and
 * lengths are rounded up, so that who gives less loses what lies behind. To do either is a bug that large pages bring out: it
 * ends the process with a line.
 *
 * What is touched still comes in the system's own pages. So the resident set says nothing; mincore tells of whole pages of
 * PAGE bytes. Libc's own calls are not seen: its mappings are its own affair.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SYSTEM_PAGE = 4096 };

/* Not by libc's `syscall`, which is among what is replaced here. */
static long call(long number, long a, long b, long c, long d, long e, long f)
{
#ifdef __x86_64__
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
#else
    register long x8 __asm__("x8") = number, result __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(result) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "memory");
#endif
    if (result < 0 && result > -SYSTEM_PAGE) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

static uintptr_t up(uintptr_t x) { return (x + PAGE - 1) & ~(uintptr_t)(PAGE - 1); }

static void must_be_whole(const char *what, const void *at, size_t length)
{
    if (((uintptr_t)at | length) % PAGE != 0) {
        char text[128];
        int n =
            snprintf(text, sizeof text, "pages: %s of [%p, +%#zx) with pages of %d bytes\n", what, at, length, PAGE);
        ssize_t written = write(STDERR_FILENO, text, (size_t)n);
        (void)written;
        abort();
    }
}

/* Anonymous memory at a multiple of PAGE. */
static void *map_aligned(size_t length, int prot, int flags)
{
    long wide = call(SYS_mmap, 0, (long)(length + PAGE), prot, flags, -1, 0);
    if (wide == -1) {
        return MAP_FAILED;
    }
    char *from = (char *)wide, *at = (char *)up((uintptr_t)wide);
    if (at > from) {
        call(SYS_munmap, wide, at - from, 0, 0, 0, 0);
    }
    call(SYS_munmap, (long)(at + length), PAGE - (at - from), 0, 0, 0, 0);
    return at;
}

void *mmap(void *hint, size_t length, int prot, int flags, int fd, off_t offset)
{
    size_t whole = up(length);
    if (whole < length || length == 0) {
        errno = length ? ENOMEM : EINVAL;
        return MAP_FAILED;
    }
    if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
        must_be_whole("mapping", hint, 0);
        return (void *)call(SYS_mmap, (long)hint, (long)length, prot, flags, fd, offset);
    }
    if (!(flags & MAP_ANONYMOUS)) {
        void *at = map_aligned(whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS);
        return at == MAP_FAILED ? at
                                : (void *)call(SYS_mmap, (long)at, (long)length, prot, flags | MAP_FIXED, fd, offset);
    }
    if (hint) {
        long at = call(SYS_mmap, (long)up((uintptr_t)hint), (long)whole, prot, flags, fd, offset);
        if (at == -1 || at % PAGE == 0) {
            return (void *)at;
        }
        call(SYS_munmap, at, (long)whole, 0, 0, 0, 0);
    }
    return map_aligned(whole, prot, flags);
}

int munmap(void *at, size_t length)
{
    must_be_whole("unmapping", at, 0);
    return (int)call(SYS_munmap, (long)at, (long)up(length), 0, 0, 0, 0);
}

void *mremap(void *at, size_t old, size_t now, int flags, ...)
{
    void *place = NULL;
    if (flags & MREMAP_FIXED) {
        va_list rest;
        va_start(rest, flags);
        place = va_arg(rest, void *);
        va_end(rest);
    }
    must_be_whole("moving", at, (uintptr_t)place);
    long done =
        call(SYS_mremap, (long)at, (long)up(old), (long)up(now), flags & ~(place ? 0 : MREMAP_MAYMOVE), (long)place, 0);
    if (done != -1 || place || !(flags & MREMAP_MAYMOVE)) {
        return (void *)done;
    }
    place = map_aligned(up(now), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS);
    return place == MAP_FAILED ? place : mremap(at, old, now, flags | MREMAP_FIXED, place);
}

int madvise(void *at, size_t length, int advice)
{
    must_be_whole("advice", at, length);
    return (int)call(SYS_madvise, (long)at, (long)length, advice, 0, 0, 0);
}

int mincore(void *at, size_t length, unsigned char *pages)
{
    must_be_whole("mincore", at, 0);
    for (size_t done = 0; done < length; done += PAGE) {
        unsigned char small[PAGE / SYSTEM_PAGE];
        if (call(SYS_mincore, (long)at + (long)done, PAGE, (long)small, 0, 0, 0) == -1) {
            return -1;
        }
        *pages++ = memchr(small, 1, sizeof small) != NULL;
    }
    return 0;
}

/* Many purges in one call are for kernels that have it: this one is of the others, so that each is looked at above. */
long syscall(long number, ...)
{
    long a[6];
    va_list rest;
    va_start(rest, number);
    for (int i = 0; i < 6; i++) {
        a[i] = va_arg(rest, long);
    }
    va_end(rest);
    if (number == SYS_process_madvise) {
        errno = ENOSYS;
        return -1;
    }
    return call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

long sysconf(int name)
{
    extern long __sysconf(int name);
    return name == _SC_PAGESIZE ? PAGE : __sysconf(name);
}

int getpagesize(void) { return PAGE; }

/* As libc's, no cancellation point. */
unsigned long getauxval(unsigned long type)
{
    ElfW(auxv_t) entry = {0};
    unsigned long value = 0;
    long fd =
        type == AT_PAGESZ ? -1 : call(SYS_openat, AT_FDCWD, (long)"/proc/self/auxv", O_RDONLY | O_CLOEXEC, 0, 0, 0);
    while (fd >= 0 && call(SYS_read, fd, (long)&entry, sizeof entry, 0, 0, 0) == sizeof entry &&
           entry.a_type != AT_NULL) {
        value = entry.a_type == type ? entry.a_un.a_val : value;
    }
    if (fd >= 0) {
        call(SYS_close, fd, 0, 0, 0, 0, 0);
    }
    return type == AT_PAGESZ ? PAGE : value;
}
