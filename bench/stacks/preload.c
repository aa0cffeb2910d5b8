/* preload.c - a preload that takes the stack of every allocation, and at the exit says what that cost. Beneath lies whatever malloc
 * the program has otherwise.
 *
 * STACKS says how: `none`, `here` (probe/calls.h), `take` (probe/stack.h, into a buffer), `unwind` (libunwind's unw_backtrace), or
 * `verify`: each number that calls_here gives is turned back into frames, and these are compared with what libunwind finds by
 * stepping. Which of the innermost frames are this preload's each side knows for itself: calls_here leaves them out, and of
 * libunwind's those in front that lie in this object.
 *
 * STACKS_RECORD names a file to which each process appends a line at its exit: counts, and with `verify` how many differ. The first
 * ten that do are printed on standard error, frame by frame.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef HAVE_LIBUNWIND
#define UNW_LOCAL_ONLY
#include <libunwind.h>
#endif

#include "probe/calls.h"
#include "probe/stack.h"

enum { MOST = CALLS_DEEPEST };

static enum { PLAIN, HERE, TAKE, UNWIND, VERIFY } mode;
static char record[4096];
static uintptr_t own_start, own_end;
static _Atomic uint64_t stacks, differing, without;
static bool begun;

/* What the malloc beneath has; blocks from before it is known come from a small store, and stay there. */
static void *(*next_malloc)(size_t), *(*next_calloc)(size_t, size_t), *(*next_realloc)(void *, size_t);
static void *(*next_aligned)(size_t, size_t);
static void (*next_free)(void *);
static char early[1 << 16] __attribute__((aligned(64)));
static size_t early_used;

static void *take_early(size_t size)
{
    void *p = early + early_used;
    early_used += (size + 63) & ~(size_t)63;
    if (early_used > sizeof early) {
        abort();
    }
    return p;
}

static bool is_early(const void *p) { return (uintptr_t)p - (uintptr_t)early < sizeof early; }

static int find_own(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    (void)arg;
    uintptr_t start = UINTPTR_MAX, end = 0;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        if (info->dlpi_phdr[i].p_type == PT_LOAD) {
            uintptr_t from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr, to = from + info->dlpi_phdr[i].p_memsz;
            start = from < start ? from : start;
            end = to > end ? to : end;
        }
    }
    if ((uintptr_t)find_own >= start && (uintptr_t)find_own < end) {
        own_start = start;
        own_end = end;
        return 1;
    }
    return 0;
}

static bool find_next(void)
{
    static bool finding;
    if (finding) {
        return next_free != NULL;
    }
    finding = true;
    *(void **)&next_malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&next_calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&next_realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&next_aligned = dlsym(RTLD_NEXT, "aligned_alloc");
    *(void **)&next_free = dlsym(RTLD_NEXT, "free");
    return true;
}

static __thread struct calls *own_calls __attribute__((tls_model("initial-exec")));
static __thread bool busy __attribute__((tls_model("initial-exec")));

static struct calls *of_thread(void)
{
    if (__builtin_expect(!own_calls, 0)) {
        own_calls = calls_begin();
        if (!own_calls) {
            abort();
        }
    }
    return own_calls;
}

#ifdef HAVE_LIBUNWIND
static void print_difference(const uintptr_t *ours, size_t count, const uintptr_t *theirs, size_t have)
{
    fprintf(stderr, "stacks: %zu frames here, %zu by libunwind\n", count, have);
    for (size_t i = 0; i < (count > have ? count : have) && i < 400; i++) {
        char text[2][300] = {"-", "-"};
        if (i < count) {
            stack_print(text[0], sizeof text[0], (void *)ours[i], false);
        }
        if (i < have) {
            stack_print(text[1], sizeof text[1], (void *)theirs[i], false);
        }
        bool differs = i >= count || i >= have || ours[i] != theirs[i];
        fprintf(stderr, "%c %3zu %-60s %s\n", differs ? '*' : ' ', i, text[0], differs ? text[1] : "");
    }
}

static __thread uintptr_t ours[MOST], theirs[MOST];

__attribute__((noinline)) static void verify(void)
{
    unw_context_t context;
    unw_cursor_t cursor;
    uint32_t id = calls_here(of_thread());
    size_t count = calls_frames(id, ours, MOST), have = 0;
    unw_getcontext(&context);
    unw_init_local(&cursor, &context);
    bool own = true;
    do {
        unw_word_t pc;
        unw_get_reg(&cursor, UNW_REG_IP, &pc);
        own = own && pc - own_start < own_end - own_start;
        if (!own && pc != 0) {
            theirs[have++] = pc;
        }
    } while (have < MOST && unw_step(&cursor) > 0);
    without += id == 0;
    if (count != have || memcmp(ours, theirs, have * sizeof ours[0]) != 0) {
        if (differing++ < 10) {
            print_difference(ours, count, theirs, have);
        }
    }
}
#endif

static inline void look(void)
{
    if (!begun || busy) {
        return;
    }
    switch (mode) {
    case PLAIN:
        break;
    case HERE:
        calls_here(of_thread());
        break;
    case TAKE: {
        void *pcs[256];
        stack_take(pcs, 256);
        break;
    }
#ifdef HAVE_LIBUNWIND
    case UNWIND: {
        void *pcs[256];
        busy = true;
        unw_backtrace(pcs, 256);
        busy = false;
        break;
    }
    case VERIFY:
        busy = true;
        verify();
        busy = false;
        stacks++;
        break;
#endif
    default:
        break;
    }
}

void *malloc(size_t size)
{
    if (__builtin_expect(!next_malloc, 0) && (!find_next() || !next_malloc)) {
        return take_early(size);
    }
    void *p = next_malloc(size);
    look();
    return p;
}

void *calloc(size_t n, size_t size)
{
    if (__builtin_expect(!next_calloc, 0) && (!find_next() || !next_calloc)) {
        return take_early(n * size);
    }
    void *p = next_calloc(n, size);
    look();
    return p;
}

void *realloc(void *old, size_t size)
{
    if (__builtin_expect(!next_realloc, 0)) {
        find_next();
    }
    if (__builtin_expect(is_early(old), 0)) {
        void *p = malloc(size);
        return p ? memcpy(p, old, size) : NULL;
    }
    void *p = next_realloc(old, size);
    look();
    return p;
}

void *aligned_alloc(size_t align, size_t size)
{
    if (__builtin_expect(!next_aligned, 0)) {
        find_next();
    }
    void *p = next_aligned(align, size);
    look();
    return p;
}

int posix_memalign(void **out, size_t align, size_t size)
{
    void *p = aligned_alloc(align, size);
    *out = p ? p : *out;
    return p ? 0 : 12;
}

void free(void *p)
{
    if (__builtin_expect(!is_early(p), 1)) {
        next_free(p);
    }
}

__attribute__((constructor)) static void begin(void)
{
    static const char *const names[] = {"none", "here", "take", "unwind", "verify"};
    const char *how = getenv("STACKS"), *path = getenv("STACKS_RECORD");
    for (unsigned i = 0; how && i < sizeof names / sizeof names[0]; i++) {
        mode = strcmp(how, names[i]) == 0 ? i : mode;
    }
    if (path && strlen(path) < sizeof record) {
        strcpy(record, path);
    }
    dl_iterate_phdr(find_own, NULL);
    begun = true;
}

#ifdef CALLS_COUNTED
extern uint64_t calls_walked, calls_same, calls_taken, calls_branches;
#endif

static void end(void)
{
    char line[300];
    if (!record[0]) {
        return;
    }
    begun = false;
    uint64_t taken = stacks, walked = 0, same = 0, branches = 0;
#ifdef CALLS_COUNTED
    taken = taken ? taken : calls_taken;
    walked = calls_walked;
    same = calls_same;
    branches = calls_branches;
#endif
    int length =
        snprintf(line, sizeof line, "stacks=%lu branches=%lu walked=%lu same=%lu nodes=%u differing=%lu without=%lu\n",
                 (unsigned long)taken, (unsigned long)branches, (unsigned long)walked, (unsigned long)same,
                 calls_nodes(), (unsigned long)differing, (unsigned long)without);
    int fd = open(record, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    (void)!write(fd, line, (size_t)length);
    close(fd);
    record[0] = 0;
}

__attribute__((destructor)) static void at_exit(void) { end(); }

/* Programs that leave by _exit run no destructors. */
void _exit(int status)
{
    end();
    syscall(SYS_exit_group, status);
    __builtin_unreachable();
}
