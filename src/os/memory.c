/* os/memory.c - mmap and its kin, behind os/memory.h. */
#define _GNU_SOURCE
#include "os/memory.h"

#include <errno.h>
#include <limits.h>
#include <linux/mman.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/bits.h"
#include "os/process.h"
#include "os/watch.h"

size_t os_page = 4096;

static atomic_size_t mapped, given_back;
static atomic_long failing = LONG_MAX; /* requests left before they fail; LONG_MAX: never */

void os_memory_init(void)
{
    /* Again and again, by whoever comes first of each part: threads that make regions at once find it right, and write nothing. */
    size_t page = getauxval(AT_PAGESZ);
    if (is_power_of_2(page) && page != __atomic_load_n(&os_page, __ATOMIC_RELAXED)) {
        __atomic_store_n(&os_page, page, __ATOMIC_RELAXED);
    }
}

void os_fail_after(long n) { atomic_store(&failing, n < 0 ? LONG_MAX : n); }

bool os_refused(void)
{
    if (likely(atomic_load_explicit(&failing, memory_order_relaxed) == LONG_MAX)) {
        return false;
    }
    long left = atomic_load(&failing);
    while (left != LONG_MAX && left > 0) {
        if (atomic_compare_exchange_weak(&failing, &left, left - 1)) {
            return false;
        }
    }
    return left == 0;
}

/* Where a mapping is of other pages than os_page, `flags` says so. */
static void *map(void *hint, size_t length, int flags)
{
    void *at = mmap(hint, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

void *os_map(size_t length)
{
    length = align_up(length, os_page);
    void *at = length != 0 && !os_refused() ? map(NULL, length, 0) : NULL;
    if (!at) {
        errno = ENOMEM;
        return NULL;
    }
    atomic_fetch_add_explicit(&mapped, length, memory_order_relaxed);
    return at;
}

/* The last byte of where the next aligned mapping is asked for: right below the last one, so that neighbours merge into one area
 * of the kernel's. Not the address of that: a pointer would hide a leaked block from who looks for pointers. */
static _Atomic(uintptr_t) next_hint;

/* The aligned place at or below `wish`, if it is free. */
static void *map_there(uintptr_t wish, size_t length, size_t align, int flags)
{
    char *at = map((void *)align_down(wish, align), length, flags);
    if (at && ((uintptr_t)at & (align - 1)) != 0) {
        munmap(at, length);
        return NULL;
    }
    return at;
}

/* More than is needed, and what sticks out cut off. */
static void *map_and_cut(size_t length, size_t align, size_t page, int flags)
{
    size_t slack = align - page;
    if (length + slack < length) {
        return NULL;
    }
    char *wide = map(NULL, length + slack, flags);
    if (!wide) {
        return NULL;
    }
    char *at = (char *)align_up((uintptr_t)wide, align);
    char *end = wide + length + slack;
    if (at > wide) {
        munmap(wide, (size_t)(at - wide));
    }
    if (end > at + length) {
        munmap(at + length, (size_t)(end - (at + length)));
    }
    return at;
}

static void *map_aligned(size_t length, size_t align, size_t page, int flags)
{
    uintptr_t below = atomic_load_explicit(&next_hint, memory_order_relaxed) + 1;
    void *at = below > length ? map_there(below - length, length, align, flags) : NULL;
    if (at) {
        return at;
    }
    /* The kernel shows where it has room, mostly with more below. Never more than `length` is mapped at a time: under a
     * limit on address space (ulimit -v) the slack of the last resort may be what is missing. */
    void *room = map(NULL, length, flags);
    if (!room) {
        return NULL;
    }
    if (((uintptr_t)room & (align - 1)) == 0) {
        return room;
    }
    munmap(room, length);
    at = map_there((uintptr_t)room, length, align, flags);
    return at ? at : map_and_cut(length, align, page, flags);
}

/* Keeps the books of a mapping that is there. */
static void *mapped_there(void *at, size_t length)
{
    if (at) {
        atomic_store_explicit(&next_hint, (uintptr_t)at - 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&mapped, length, memory_order_relaxed);
    }
    return at;
}

static void *map_or_say(size_t length, size_t align, int flags)
{
    align = size_max(align, os_page);
    length = align_up(length, os_page);
    void *at = length != 0 && !os_refused() ? map_aligned(length, align, os_page, flags) : NULL;
    if (!at) {
        errno = ENOMEM;
    }
    return mapped_there(at, length);
}

void *os_map_aligned(size_t length, size_t align) { return map_or_say(length, align, 0); }

void *os_reserve(size_t length, size_t align) { return map_or_say(length, align, MAP_NORESERVE); }

_Atomic size_t os_hugetlb_page;

void *os_map_hugetlb(size_t length, size_t align)
{
    size_t page = atomic_load_explicit(&os_hugetlb_page, memory_order_relaxed);
    if (page == 0 || length == 0 || length % page != 0 || os_refused()) {
        return NULL;
    }
    int saved = errno, size = (int)(log2_floor(page) << MAP_HUGE_SHIFT);
    void *at = map_aligned(length, size_max(align, page), page, MAP_HUGETLB | size);
    errno = saved;
    return mapped_there(at, length);
}

void os_count_back(size_t length) { atomic_fetch_add_explicit(&given_back, length, memory_order_relaxed); }

void os_unmap(void *at, size_t length)
{
    int saved = errno;
    length = align_up(length, os_page);
    watch_allow(at, length);
    if (munmap(at, length) == 0) {
        atomic_fetch_sub_explicit(&mapped, length, memory_order_relaxed);
        os_count_back(length);
    } else if (madvise(at, length, MADV_DONTNEED) == 0) {
        os_count_back(length);
    }
    errno = saved;
}

static bool advise(void *at, size_t length, int advice)
{
    int saved = errno;
    bool done = madvise(at, length, advice) == 0;
    errno = saved;
    return done;
}

bool os_protect(void *at, size_t length, bool accessible)
{
    int saved = errno;
    bool done = mprotect(at, length, accessible ? PROT_READ | PROT_WRITE : PROT_NONE) == 0;
    errno = saved;
    return done;
}

size_t os_purge(void *at, size_t length)
{
    uintptr_t from = align_up((uintptr_t)at, os_page);
    uintptr_t to = align_down((uintptr_t)at + length, os_page);
    if (from >= to || !advise((void *)from, to - from, MADV_DONTNEED)) {
        return 0;
    }
    os_count_back(to - from);
    return to - from;
}

/* The calling process, where a descriptor of a process is wanted (Linux 6.14). */
#define SELF (-10001)

static atomic_bool one_call_is_unknown;

/* A filter of system calls may end the process for one that it does not know. It may be set at any time, and looking takes longer
 * than a few calls: so it is done once in a second. */
static bool may_be_one_call(void)
{
    enum { VALID = 1000 };
    static __thread uint64_t looked_until;
    static __thread bool filtered;
    if (atomic_load_explicit(&one_call_is_unknown, memory_order_relaxed)) {
        return false;
    }
    uint64_t now = os_milliseconds();
    if (now >= looked_until) {
        filtered = os_calls_are_filtered();
        looked_until = now + VALID;
    }
    return !filtered;
}

size_t os_purge_many(const struct iovec *ranges, size_t count)
{
    size_t done = 0;
    int saved = errno;
    if (count > 2 && may_be_one_call()) {
        long bytes = syscall(SYS_process_madvise, SELF, ranges, count, MADV_DONTNEED, 0);
        if (bytes < 0 && (errno == EBADF || errno == ENOSYS || errno == EPERM)) {
            atomic_store_explicit(&one_call_is_unknown, true, memory_order_relaxed);
        }
        for (; done < count && bytes >= (long)ranges[done].iov_len; done++) {
            bytes -= (long)ranges[done].iov_len;
        }
    }
    while (done < count && madvise(ranges[done].iov_base, ranges[done].iov_len, MADV_DONTNEED) == 0) {
        done++;
    }
    for (size_t i = 0; i < done; i++) {
        os_count_back(ranges[i].iov_len);
    }
    errno = saved;
    return done;
}

void os_small_pages(void *at, size_t length) { advise(at, length, MADV_NOHUGEPAGE); }

int64_t os_huge_page_worth = 1000000; /* 512 small pages take 100 to 900 us, and a huge one a quarter of that */

enum { PAUSE_LEAST = 100, PAUSE_MOST = 10000 }; /* milliseconds */
static _Atomic uint64_t paused_until;
static atomic_uint next_pause = PAUSE_LEAST;

bool os_huge_pages_worth_it(void)
{
    return os_milliseconds() >= atomic_load_explicit(&paused_until, memory_order_relaxed);
}

/* The thread's own time: to be interrupted says nothing. */
static int64_t nanoseconds(void)
{
    struct timespec now;
    return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0 ? now.tv_sec * INT64_C(1000000000) + now.tv_nsec : 0;
}

/* The first touch of what has been advised. False when it came to a small page. */
static bool touch_huge_page(char *at)
{
    watch_allow(at, 1); /* it is nobody's, and may be denied to all */
    int64_t began = nanoseconds();
    *(volatile char *)at = 0;
    bool worth_it = nanoseconds() - began < os_huge_page_worth;
    unsigned pause = atomic_load_explicit(&next_pause, memory_order_relaxed);
    if (!worth_it) {
        atomic_store_explicit(&paused_until, os_milliseconds() + pause, memory_order_relaxed);
    }
    pause = worth_it ? PAUSE_LEAST : pause < PAUSE_MOST ? 2 * pause : pause;
    atomic_store_explicit(&next_pause, pause, memory_order_relaxed);
    return os_resident(at + OS_HUGE_PAGE / 2, os_page) != 0;
}

/* The advice stands only while the first touch makes the page: neighbours stay one area of the kernel's, and its daemon does
 * not fill with huge pages again what was purged. Purging all at once lets go the kernel's table of small pages, if there was
 * one (since Linux 6.14; before, it stays and they do). */
bool os_huge_page(void *at)
{
    if (!advise(at, OS_HUGE_PAGE, MADV_HUGEPAGE)) {
        return false;
    }
    advise(at, OS_HUGE_PAGE, MADV_DONTNEED);
    bool done = touch_huge_page(at);
    os_small_pages(at, OS_HUGE_PAGE);
    return done;
}

bool os_huge_pages(void *at, size_t from, size_t length)
{
    length = align_up(length, os_page);
    if (advise(at, length, MADV_HUGEPAGE) && touch_huge_page((char *)at + from) && os_huge_pages_worth_it()) {
        return true;
    }
    os_small_pages(at, length);
    return false;
}

bool os_resize(void *at, size_t old, size_t now)
{
    old = align_up(old, os_page);
    now = align_up(now, os_page);
    if (now < old) {
        os_unmap((char *)at + now, old - now);
        return true;
    }
    if (now == old) {
        return true;
    }
    int saved = errno;
    bool done = !os_refused() && mremap(at, old, now, 0) != MAP_FAILED;
    errno = saved;
    if (done) {
        atomic_fetch_add_explicit(&mapped, now - old, memory_order_relaxed);
    }
    return done;
}

bool os_move(void *at, size_t old, void *place, size_t now)
{
    old = align_up(old, os_page);
    watch_allow(at, old);
    int saved = errno;
    bool done = !os_refused() && mremap(at, old, now, MREMAP_MAYMOVE | MREMAP_FIXED, place) != MAP_FAILED;
    errno = saved;
    atomic_fetch_sub_explicit(&mapped, done ? old : align_up(now, os_page), memory_order_relaxed);
    return done;
}

size_t os_resident(void *at, size_t length)
{
    enum { CHUNK = 1024 };
    unsigned char pages[CHUNK];
    size_t resident = 0;
    int saved = errno;
    for (size_t done = 0; done < length; done += CHUNK * os_page) {
        size_t part = size_min(length - done, CHUNK * os_page);
        if (mincore((char *)at + done, part, pages) != 0) {
            continue;
        }
        for (size_t i = 0; i < (part + os_page - 1) / os_page; i++) {
            resident += pages[i] & 1 ? os_page : 0;
        }
    }
    errno = saved;
    return resident;
}

/* rt_sigprocmask copies the new set in before it looks at what to do with it, and there is no -1 to be done. */
bool os_readable(uintptr_t address)
{
    int saved = errno;
    bool done = syscall(SYS_rt_sigprocmask, -1, address, NULL, sizeof(uint64_t)) == -1 && errno == EINVAL;
    errno = saved;
    return done;
}

void os_count_mapped(ptrdiff_t bytes) { atomic_fetch_add_explicit(&mapped, (size_t)bytes, memory_order_relaxed); }

void os_map_below(uintptr_t address) { atomic_store_explicit(&next_hint, address, memory_order_relaxed); }

size_t os_mapped(void) { return atomic_load_explicit(&mapped, memory_order_relaxed); }

size_t os_given_back(void) { return atomic_load_explicit(&given_back, memory_order_relaxed); }
