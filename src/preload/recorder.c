/* preload/recorder.c - the recorder for programs on another malloc: preloaded, it stands before malloc's family and C++'s new and
 * delete, passes every call on to whoever would have had it, and tells a collector (probe/record.h).
 *
 *   program --> malloc, here --> malloc of libc, or of a library that is linked or preloaded after this one
 *                    |
 *                    +--> the thread's recorder, where the option `record` names an area
 *
 * What the other malloc calls while it serves a call is its own affair, and not recorded: `inside`. Operator new may throw through
 * us, so nothing is to be undone there: one that was served by malloc has been told by malloc, which its recorder's place shows.
 * Operator delete of a malloc whose new does not call malloc is told here, else by free.
 *
 * Nothing is known of whose block it was, so where there are several threads the clock is read behind a fence for every event:
 * some 10 ns more. What a program defines itself is found before this library, and not seen; nor is a program that is linked static.
 *
 * While the dynamic linker is asked for the others it may allocate: that is served from a few KiB here, and never freed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <allot/record.h>

#include "base/bits.h"
#include "base/here.h"
#include "os/fault.h"
#include "os/lock.h"
#include "os/memory.h"
#include "os/process.h"
#include "os/stop.h"
#include "preload/blocks.h"
#include "preload/lost.h"
#include "probe/record.h"

extern char __libc_single_threaded __attribute__((weak)); /* musl has none */

/* Another thread may have made what this one frees, or freed what it is given. */
static inline bool others(void) { return !&__libc_single_threaded || !__libc_single_threaded; }

/* -- who comes next -- */

static struct {
    void *(*malloc)(size_t);
    void (*free)(void *);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void *(*memalign)(size_t, size_t);
    void *(*aligned_alloc)(size_t, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    void *(*valloc)(size_t);
    void *(*pvalloc)(size_t);
} next;

static bool resolving;

/* -- what is needed before that is known -- */

static struct {
    _Alignas(16) char bytes[16384];
    size_t used;
} early;

static bool is_early(const void *p)
{
    return (const char *)p >= early.bytes && (const char *)p < early.bytes + sizeof early.bytes;
}

/* Zeroed; its size stands before it. */
static void *take_early(size_t align, size_t size)
{
    size_t at = align_up(early.used + 16, size_max(align, 16));
    if (size > sizeof early.bytes || at > sizeof early.bytes - size) {
        errno = ENOMEM;
        return NULL;
    }
    early.used = at + size;
    memcpy(early.bytes + at - sizeof size, &size, sizeof size);
    return early.bytes + at;
}

static size_t early_size(const void *p)
{
    size_t size;
    memcpy(&size, (const char *)p - sizeof size, sizeof size);
    return size;
}

/* -- recording -- */

static struct os_lock lock; /* for who begins, who ends */
static bool listed;         /* blocks are, as it is to be known at the end which are lost */
static _Atomic uint32_t bell;
static __thread struct recorder *mine;
static __thread bool inside, ended;

static void thread_ends(void)
{
    if (mine) {
        recorder_thread_ends(mine);
    }
    ended = true;
}

static void before_fork(void)
{
    os_lock(&lock);
    blocks_lock();
}

static void in_parent(void)
{
    blocks_unlock();
    os_unlock(&lock);
}

static void in_child(void)
{
    os_lock_reset(&lock);
    blocks_lock_reset();
    os_stop_reset();
}

static void read_options(void)
{
    static const char name[] = "record=";
    char text[1024], *rest = text;
    long length = os_getenv("ALLOT_OPTIONS", text, sizeof text);
    if (length < 0 || length >= (long)sizeof text || os_is_privileged()) {
        return;
    }
    for (char *item; (item = strsep(&rest, ",")) != NULL;) {
        if (strncmp(item, name, sizeof name - 1) == 0) {
            const char *path = item + sizeof name - 1;
            int error = recorder_join(path, RING_BEGIN_EXEC, &bell);
            if (error) {
                recorder_say_refused(path, error);
            }
        }
    }
}

static void *find(const char *name) { return dlsym(RTLD_NEXT, name); }

static void __attribute__((cold, noinline)) resolve(void)
{
    int saved = errno;
    resolving = true;
    next.free = (void (*)(void *))find("free");
    next.calloc = (void *(*)(size_t, size_t))find("calloc");
    next.realloc = (void *(*)(void *, size_t))find("realloc");
    next.memalign = (void *(*)(size_t, size_t))find("memalign");
    next.aligned_alloc = (void *(*)(size_t, size_t))find("aligned_alloc");
    next.posix_memalign = (int (*)(void **, size_t, size_t))find("posix_memalign");
    next.valloc = (void *(*)(size_t))find("valloc");
    next.pvalloc = (void *(*)(size_t))find("pvalloc");
    next.malloc = (void *(*)(size_t))find("malloc");
    resolving = false;
    if (!next.malloc || !next.free || !next.calloc || !next.realloc) {
        os_say("no malloc is found that could serve this program: it is linked in a way that cannot be recorded");
        abort();
    }
    inside = true;
    os_memory_init();
    read_options();
    if (recorder_on()) {
        listed = recorder_flags() & RING_LEAKS_AT_EXIT;
        os_on_thread_exit(OS_FLOOR_HEAP, thread_ends);
        os_on_fork(OS_FLOOR_HEAP, (struct os_fork_steps){before_fork, in_parent, in_child});
    }
    inside = false;
    errno = saved;
}

static __attribute__((constructor)) void resolve_at_start(void)
{
    if (!next.malloc) {
        resolve();
    }
    recorder_loaded();
}

static inline bool is_ready(void)
{
    if (unlikely(!next.malloc)) {
        if (resolving) {
            return false;
        }
        resolve();
    }
    return true;
}

static struct recorder *__attribute__((cold, noinline)) begin_or_end(void)
{
    if (inside || (!mine && ended)) {
        return NULL;
    }
    inside = true;
    struct recorder *r = mine;
    os_lock(&lock);
    if (r && !recorder_on() && !r->busy) {
        recorder_end(r);
        mine = NULL;
    } else if (!r) {
        mine = recorder_begin();
    }
    os_unlock(&lock);
    if (mine && !r) {
        os_watch_thread();
    }
    inside = false;
    return recorder_on() ? mine : NULL;
}

/* The calling thread's, when it is recorded and not in the middle of a call of the other malloc's. */
static inline struct recorder *recorder(void)
{
    bool on = recorder_on();
    return likely(on == (mine != NULL)) ? (inside ? NULL : mine) : begin_or_end();
}

/* A block that was made, by a thread that is recorded; and by one that is not, which may be the other malloc itself. */
static inline void made(struct recorder *r, enum ring_op op, const void *p, size_t size, size_t align)
{
    if (unlikely(listed)) {
        blocks_add(p, size);
    }
    recorder_made(r, op, p, size, align, others());
}

static void *made_unseen(void *p, size_t size)
{
    if (unlikely(listed) && !inside) {
        blocks_add(p, size);
    }
    return p;
}

/* Before it is given back. */
static inline size_t goes(const void *p) { return unlikely(listed) ? blocks_remove(p) : SIZE_MAX; }

/* -- the family -- */

ALLOT_API void *malloc(size_t size)
{
    if (unlikely(!is_ready())) {
        return take_early(16, size);
    }
    struct recorder *r = recorder();
    if (!r) {
        return made_unseen(next.malloc(size), size);
    }
    inside = true;
    void *p = next.malloc(size);
    inside = false;
    made(r, RING_MALLOC, p, size, 1);
    return p;
}

ALLOT_API void free(void *p)
{
    if (unlikely(!p || is_early(p))) {
        return;
    }
    is_ready();
    struct recorder *r = recorder();
    goes(p);
    if (!r) {
        next.free(p);
        return;
    }
    recorder_free(r, p, others());
    inside = true;
    next.free(p);
    inside = false;
}

ALLOT_API void *calloc(size_t n, size_t size)
{
    size_t total;
    if (unlikely(__builtin_mul_overflow(n, size, &total))) {
        errno = ENOMEM;
        return NULL;
    }
    if (unlikely(!is_ready())) {
        return take_early(16, total);
    }
    struct recorder *r = recorder();
    if (!r) {
        return made_unseen(next.calloc(n, size), total);
    }
    inside = true;
    void *p = next.calloc(n, size);
    inside = false;
    made(r, RING_CALLOC, p, total, 1);
    return p;
}

static void *realloc_early(void *p, size_t size)
{
    void *now = malloc(size);
    if (now) {
        memcpy(now, p, size_min(size, early_size(p)));
    }
    return now;
}

/* Where there was no memory the block is as it was. */
static void *stays(void *now, const void *p, size_t before, size_t size)
{
    if (unlikely(before != SIZE_MAX) && !now && size != 0) {
        blocks_add(p, before);
    }
    return now;
}

ALLOT_API void *realloc(void *p, size_t size)
{
    if (unlikely(!p)) {
        return malloc(size);
    }
    if (unlikely(is_early(p))) {
        return realloc_early(p, size);
    }
    is_ready();
    struct recorder *r = recorder();
    size_t before = goes(p);
    if (!r) {
        void *now = next.realloc(p, size);
        return stays(made_unseen(now, size), p, before, size);
    }
    if (size == 0) { /* which frees, or makes a block of no size */
        recorder_free(r, p, others());
        inside = true;
        void *now = next.realloc(p, size);
        inside = false;
        if (now) {
            made(r, RING_MALLOC, now, size, 1);
        }
        return now;
    }
    struct recorder_realloc of = recorder_realloc_begins(r, p, others());
    inside = true;
    void *now = next.realloc(p, size);
    inside = false;
    recorder_realloc_ends(r, of, p, now, size);
    if (unlikely(listed)) {
        blocks_add(now, size);
    }
    return stays(now, p, before, size);
}

ALLOT_API void *reallocarray(void *p, size_t n, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(n, size, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(p, total);
}

static void tell_aligned(struct recorder *r, const void *p, size_t align, size_t size)
{
    made(r, RING_ALIGNED, p, size, is_power_of_2(align) ? align : 16);
}

#define ALIGNED(r, align, size, call)    \
    inside = true;                       \
    void *p = call;                      \
    inside = false;                      \
    tell_aligned(r, p, (align), (size)); \
    return p

ALLOT_API void *memalign(size_t align, size_t size)
{
    if (unlikely(!is_ready())) {
        return take_early(align, size);
    }
    struct recorder *r = recorder();
    if (!r) {
        return made_unseen(next.memalign(align, size), size);
    }
    ALIGNED(r, align, size, next.memalign(align, size));
}

ALLOT_API void *aligned_alloc(size_t align, size_t size)
{
    if (unlikely(!is_ready())) {
        return take_early(align, size);
    }
    struct recorder *r = recorder();
    if (!r) {
        return made_unseen(next.aligned_alloc(align, size), size);
    }
    ALIGNED(r, align, size, next.aligned_alloc(align, size));
}

ALLOT_API void *valloc(size_t size)
{
    if (unlikely(!is_ready())) {
        return take_early(os_page, size);
    }
    struct recorder *r = recorder();
    if (!r) {
        return made_unseen(next.valloc(size), size);
    }
    ALIGNED(r, os_page, size, next.valloc(size));
}

ALLOT_API void *pvalloc(size_t size)
{
    if (unlikely(!is_ready())) {
        return take_early(os_page, size);
    }
    struct recorder *r = recorder();
    if (!r) {
        return made_unseen(next.pvalloc(size), size);
    }
    ALIGNED(r, os_page, size, next.pvalloc(size));
}

ALLOT_API int posix_memalign(void **out, size_t align, size_t size)
{
    if (unlikely(!is_ready())) {
        void *p = take_early(align, size);
        *out = p ? p : *out;
        return p ? 0 : ENOMEM;
    }
    struct recorder *r = recorder();
    if (!r) {
        int error = next.posix_memalign(out, align, size);
        made_unseen(error ? NULL : *out, size);
        return error;
    }
    inside = true;
    int error = next.posix_memalign(out, align, size);
    inside = false;
    if (error == 0 || error == ENOMEM) {
        tell_aligned(r, error ? NULL : *out, align, size);
    }
    return error;
}

ALLOT_API void free_sized(void *p, size_t size)
{
    (void)size;
    free(p);
}

ALLOT_API void free_aligned_sized(void *p, size_t align, size_t size)
{
    (void)align;
    (void)size;
    free(p);
}

/* -- C++ -- */

/* A form of new or delete, by its name in the object file; also where a plugin has brought the C++ library, which keeps its names to
 * itself. NULL when there is none. */
static void *find_form(void **known, const char *name)
{
    static const char *const libraries[] = {"libstdc++.so.6", "libc++abi.so.1", "libc++.so.1"};
    void *found = __atomic_load_n(known, __ATOMIC_ACQUIRE);
    for (unsigned i = 0; !found && i <= sizeof libraries / sizeof libraries[0]; i++) {
        void *handle = i == 0 ? RTLD_NEXT : dlopen(libraries[i - 1], RTLD_NOLOAD | RTLD_LAZY);
        found = handle || i == 0 ? dlsym(handle, name) : NULL;
        if (i > 0 && handle) {
            dlclose(handle);
        }
    }
    __atomic_store_n(known, found, __ATOMIC_RELEASE);
    return found;
}

static _Atomic bool new_is_direct; /* it does not call malloc, as far as has been seen */

struct place {
    uint64_t sequence;
    uint32_t at;
};

static struct place place_of(const struct recorder *r)
{
    return r ? (struct place){r->sequence, r->at} : (struct place){0, 0};
}

static void tell_new(struct place before, const void *p, size_t align, size_t size)
{
    struct recorder *r = recorder();
    struct place now = place_of(r);
    if (r && p && now.sequence == before.sequence && now.at == before.at) {
        atomic_store_explicit(&new_is_direct, true, memory_order_relaxed);
        made(r, align > 16 ? RING_ALIGNED : RING_MALLOC, p, size, align);
    }
}

static void no_form(const char *name)
{
    os_say("%s is called, and no C++ library is found that has it", name);
    abort();
}

/* The struct std::nothrow_t is passed on as it came. */
#define NEW(name, align, parameters, arguments)                                  \
    ALLOT_API void *name parameters;                                             \
    ALLOT_API void *name parameters                                              \
    {                                                                            \
        static void *known;                                                      \
        void *(*form)parameters = (void *(*)parameters)find_form(&known, #name); \
        if (!form) {                                                             \
            no_form(#name);                                                      \
        }                                                                        \
        is_ready();                                                              \
        struct place before = place_of(recorder());                              \
        void *p = form arguments;                                                \
        tell_new(before, p, align, size);                                        \
        return p;                                                                \
    }

NEW(_Znwm, 1, (size_t size), (size))
NEW(_Znam, 1, (size_t size), (size))
NEW(_ZnwmRKSt9nothrow_t, 1, (size_t size, const void *nothrow), (size, nothrow))
NEW(_ZnamRKSt9nothrow_t, 1, (size_t size, const void *nothrow), (size, nothrow))
NEW(_ZnwmSt11align_val_t, align, (size_t size, size_t align), (size, align))
NEW(_ZnamSt11align_val_t, align, (size_t size, size_t align), (size, align))
NEW(_ZnwmSt11align_val_tRKSt9nothrow_t, align, (size_t size, size_t align, const void *nothrow), (size, align, nothrow))
NEW(_ZnamSt11align_val_tRKSt9nothrow_t, align, (size_t size, size_t align, const void *nothrow), (size, align, nothrow))

#define DELETE(name, parameters, arguments)                                            \
    ALLOT_API void name parameters;                                                    \
    ALLOT_API void name parameters                                                     \
    {                                                                                  \
        static void *known;                                                            \
        void(*form) parameters = (void(*) parameters)find_form(&known, #name);         \
        if (!form) {                                                                   \
            no_form(#name);                                                            \
        }                                                                              \
        struct recorder *r = recorder();                                               \
        goes(p);                                                                       \
        if (!r || !p || !atomic_load_explicit(&new_is_direct, memory_order_relaxed)) { \
            form arguments;                                                            \
            return;                                                                    \
        }                                                                              \
        recorder_free(r, p, others());                                                 \
        inside = true;                                                                 \
        form arguments;                                                                \
        inside = false;                                                                \
    }

DELETE(_ZdlPv, (void *p), (p))
DELETE(_ZdaPv, (void *p), (p))
DELETE(_ZdlPvm, (void *p, size_t size), (p, size))
DELETE(_ZdaPvm, (void *p, size_t size), (p, size))
DELETE(_ZdlPvRKSt9nothrow_t, (void *p, const void *nothrow), (p, nothrow))
DELETE(_ZdaPvRKSt9nothrow_t, (void *p, const void *nothrow), (p, nothrow))
DELETE(_ZdlPvSt11align_val_t, (void *p, size_t align), (p, align))
DELETE(_ZdaPvSt11align_val_t, (void *p, size_t align), (p, align))
DELETE(_ZdlPvmSt11align_val_t, (void *p, size_t size, size_t align), (p, size, align))
DELETE(_ZdaPvmSt11align_val_t, (void *p, size_t size, size_t align), (p, size, align))
DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, (void *p, size_t align, const void *nothrow), (p, align, nothrow))
DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, (void *p, size_t align, const void *nothrow), (p, align, nothrow))

/* -- for the program -- */

ALLOT_API void allot_mark(const char *name)
{
    is_ready();
    struct recorder *r = recorder();
    if (r) {
        recorder_text(r, RING_TEXT_MARK, name);
    }
}

ALLOT_API bool allot_recording(void)
{
    is_ready();
    return recorder_on();
}

__attribute__((destructor)) static void say_exit(void)
{
    struct recorder *r = recorder();
    if (r) {
        if (listed) {
            lost_tell(r, (uintptr_t)next.malloc, stack_with_registers());
        }
        recorder_exits(r);
    }
}
