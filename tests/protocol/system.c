/* system.c - os/ for the checker: memory from one arena, time that stands still, steps of fork and exit that scenarios call.
 *
 *   arena   | records and maps, upwards | segments, upwards                                     |
 *
 * Nothing is ever unmapped: that the heap asks for it is a fault. Purging zeroes, and counts as writing: to whoever touches
 * a purged page afterwards without knowing.
 */
#define _GNU_SOURCE
#include "system.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "explore.h"
#include "heap/instance.h"
#include "memory.h"
#include "os/cgroup.h"
#include "os/fault.h"
#include "os/fence.h"
#include "os/lock.h"
#include "os/maps.h"
#include "os/memory.h"
#include "os/noscan.h"
#include "os/process.h"
#include "os/shared.h"
#include "os/stop.h"
#include "os/watch.h"
#include "span/segment.h"

enum { RECORDS = SEGMENT_SIZE };

char *const arena = (char *)0x100000000000;
static CHECKERS struct {
    size_t records, segments;
} used = {0, RECORDS}, used_first;

static void (*exit_steps[OS_FLOORS])(void);
static struct os_fork_steps fork_steps[OS_FLOORS];

void system_setup_done(void) { used_first = used; }

void system_begin(void) { used = used_first; }

bool system_fork(void)
{
    for (unsigned i = OS_FLOORS; i-- > 0;) {
        if (fork_steps[i].before) {
            fork_steps[i].before();
        }
    }
    bool child = explore_fork();
    for (unsigned i = 0; i < OS_FLOORS; i++) {
        if (fork_steps[i].before) {
            (child ? fork_steps[i].in_child : fork_steps[i].in_parent)();
        }
    }
    return child;
}

void system_thread_ends(void)
{
    for (unsigned i = OS_FLOORS; i-- > 0;) {
        if (exit_steps[i]) {
            exit_steps[i]();
        }
    }
}

/* -- memory -- */

size_t os_page = 4096;
int64_t os_huge_page_worth;
_Atomic size_t os_hugetlb_page;

void os_memory_init(void)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    if (mmap(arena, ARENA_SIZE, PROT_READ | PROT_WRITE, flags, -1, 0) != arena) {
        perror("arena");
        abort();
    }
}

static void *take(size_t *at, size_t bytes, size_t end)
{
    if (*at + bytes > end) {
        explore_fault("the arena is too small");
    }
    void *taken = arena + *at;
    *at += bytes;
    return taken;
}

void *os_map(size_t length) { return take(&used.records, align_up(length, os_page), RECORDS); }

void *os_map_aligned(size_t length, size_t align)
{
    return length == SEGMENT_SIZE && align == SEGMENT_SIZE ? take(&used.segments, length, ARENA_SIZE) : NULL;
}

void os_unmap(void *at, size_t length)
{
    (void)at;
    (void)length;
    explore_fault("memory is unmapped");
}

size_t os_purge(void *at, size_t length)
{
    for (char *word = at; word < (char *)at + length; word += 8) {
        bool begins_page = ((uintptr_t)word & (os_page - 1)) == 0;
        if (begins_page || *(uint64_t *)word) {
            memory_touch(word, 8, true);
            *(uint64_t *)word = 0;
        }
    }
    return length;
}

size_t os_purge_many(const struct iovec *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        os_purge(ranges[i].iov_base, ranges[i].iov_len);
    }
    return count;
}

void os_small_pages(void *at, size_t length)
{
    (void)at;
    (void)length;
}

bool os_huge_pages_worth_it(void) { return false; }
bool os_huge_page(void *at) { return at == NULL; }
bool os_huge_pages(void *at, size_t from, size_t length) { return at == NULL && from > length; }
bool os_resize(void *at, size_t old, size_t now) { return at == NULL && old > now; }
bool os_move(void *at, size_t old, void *place, size_t now) { return at == place && old == now; }
void *os_map_hugetlb(size_t length, size_t align) { return length == align ? NULL : arena; }
size_t os_resident(void *at, size_t length) { return at ? length : 0; }
bool os_protect(void *at, size_t length, bool accessible) { return at && length && accessible; }
bool os_readable(uintptr_t address) { return address == 0; }
size_t os_mapped(void) { return used.records + used.segments; }
size_t os_given_back(void) { return 0; }
void os_fail_after(long n) { (void)n; }
void os_count_mapped(ptrdiff_t bytes) { (void)bytes; }
void os_fence_init(void) {}
bool os_areas_take(size_t areas) { return areas == 0; }
void os_areas_give(size_t areas) { (void)areas; }
void *os_map_fenced(size_t room, size_t align) { return room == align ? NULL : arena; }
void os_unmap_fenced(void *at, size_t room) { os_unmap(at, room); }
bool os_open(void *at, size_t length) { return at && length; }
bool os_shut(void *at, size_t length) { return at && length; }
bool os_fence(void *at, size_t length) { return at && length; }

/* -- process -- */

void os_on_fork(enum os_floor floor, struct os_fork_steps steps) { fork_steps[floor] = steps; }

bool os_on_thread_exit(enum os_floor floor, void (*step)(void))
{
    exit_steps[floor] = step;
    return true;
}

void os_watch_thread(void) {}
uint64_t os_milliseconds(void) { return 1; }
uint64_t os_nanoseconds(void) { return 1; }
int os_call_filters(void) { return 1; }
size_t os_cgroup_limit(const char *self, const char *root) { return self && root ? SIZE_MAX : 0; }
int os_process_id(void) { return 1; }
int os_share(size_t length, void *at) { return length && at ? -EPERM : 0; }
bool os_share_is_open(void) { return false; }
void os_share_close(void) {}
void *os_map_forgotten(size_t length) { return os_map(length); }
void *os_map_noscan(size_t length) { return os_map(length); }
void *os_map_forgotten_noscan(size_t length) { return os_map(length); }
bool os_noscan_begin(const void *at, size_t length) { return at && length; }
void os_noscan_end(const void *at) { (void)at; }
void os_unmap_noscan(void *at, size_t length) { os_unmap(at, length); }
struct noscan os_noscan;
bool os_process_lives(int pid) { return pid > 0; }
uint64_t os_pid_namespace(void) { return 0; }
bool os_thread_is_gone(int tid) { return tid == 0; }
void os_thread_name(char name[16]) { name[0] = 0; }
void os_program(char *path, unsigned size) { path[size - 1] = path[0] = 0; }
void *os_join(const char *path, size_t least, size_t *length) { return path && least > *length ? NULL : arena; }
void os_leave(void *at, size_t length) { os_unmap(at, length); }
void os_wait_shared(_Atomic uint32_t *word, uint32_t value, uint64_t ns) { (void)word, (void)value, (void)ns; }
void os_wake_shared(_Atomic uint32_t *word) { (void)word; }
int os_thread_id(void) { return 1 + (int)running_thread(); }
/* Nobody takes a snapshot here. */
struct os_threads os_stop(uintptr_t sp)
{
    (void)sp;
    return (struct os_threads){0};
}
void os_go(void) {}
void os_stop_reset(void) {}
int os_fork_apart(void (*step)(void *, const void *, size_t), void *arg) { return step && arg ? -EPERM : -EINVAL; }
bool os_maps_read(struct os_maps *maps) { return !maps; }
void os_maps_free(struct os_maps *maps) { (void)maps; }
const struct os_mapping *os_maps_find(const struct os_maps *maps, uintptr_t address)
{
    return address ? NULL : maps->mapping;
}
bool os_maps_can_read(const struct os_maps *maps, uintptr_t from, size_t bytes) { return !maps && from && bytes; }
bool os_is_privileged(void) { return false; }
bool os_watched;
void os_watch(void) {}
bool os_parts_watched(void) { return false; }
void os_watch_pause(bool pause) { (void)pause; }
void os_watch_allow(const void *p, size_t length) { (void)p, (void)length; }
void os_watch_deny(const void *p, size_t length) { (void)p, (void)length; }
void os_watch_begin(const void *p, size_t size, size_t redzone) { (void)p, (void)size, (void)redzone; }
void os_watch_defined(const void *p, size_t size) { (void)p, (void)size; }
void os_watch_undefined(const void *p, size_t size) { (void)p, (void)size; }
void os_watch_resize(const void *p, size_t was, size_t size, size_t rz) { (void)p, (void)was, (void)size, (void)rz; }
void os_watch_end(const void *p, size_t size, size_t redzone) { (void)p, (void)size, (void)redzone; }
void os_watch_roots(const void *p, size_t length, bool are) { (void)p, (void)length, (void)are; }
void os_secret(void *out, unsigned length) { memset(out, 1, length); }

long os_getenv(const char *name, char *out, unsigned size)
{
    (void)name;
    (void)out;
    (void)size;
    return -1;
}

/* -- faults -- */

void (*os_after_fault)(void);
const char fault_free_of_none[] = "free of what is no live block";

void allot_fault_block(const char *crime, const char *kind, size_t bytes, const void *address)
{
    char text[256];
    snprintf(text, sizeof text, "%s: %s of %zu bytes at %p", crime, kind, bytes, address);
    explore_fault(text);
}

void allot_fault(const char *crime, const char *object, const void *address)
{
    char text[256];
    snprintf(text, sizeof text, "%s: %s at %p", crime, object, address);
    explore_fault(text);
}

void os_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
}

int os_write(int fd, const char *text, size_t length) { return fd >= 0 && text && length ? 0 : -1; }

/* -- locks -- */

static uint64_t lock_op(struct os_lock *lock, enum op_kind kind, const void *code)
{
    struct op op = {.kind = (uint8_t)kind, .size = sizeof lock->word, .at = &lock->word, .code = code};
    return explore_op(&op);
}

void os_lock(struct os_lock *lock) { lock_op(lock, OP_LOCK, __builtin_return_address(0)); }
bool os_try_lock(struct os_lock *lock) { return lock_op(lock, OP_TRY_LOCK, __builtin_return_address(0)) != 0; }
void os_unlock(struct os_lock *lock) { lock_op(lock, OP_UNLOCK, __builtin_return_address(0)); }
void os_lock_reset(struct os_lock *lock) { lock_op(lock, OP_UNLOCK, __builtin_return_address(0)); }

/* -- other copies of the heap -- */

const struct instance *instance_find(void) { return NULL; }

void os_word_wait(atomic_int *word, int value)
{
    (void)word;
    (void)value;
    abort();
}

void os_word_wake_all(atomic_int *word)
{
    (void)word;
    abort();
}
