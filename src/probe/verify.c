/* probe/verify.c - see probe/verify.h. Both begin somewhere in this library; ours leaves out what lies in it, so they are compared from
 * the outermost call on, and what libunwind has more must be this library's. */
#include "probe/verify.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/bits.h"
#include "os/fault.h"
#include "os/lock.h"
#include "probe/calls.h"
#include "probe/object.h"

/* libunwind's, where it is loaded as well: `allot record --verify` sees to that. */
extern int unw_backtrace(void **pcs, int most) __attribute__((weak));

enum { MOST = 1000, SHOWN = 10 };

static struct os_lock lock; /* a stack at a time */
static uintptr_t ours[MOST];
static void *theirs[MOST];
static uint64_t compared, differing;

void verify_begin(void)
{
    if (!unw_backtrace) {
        os_say("no libunwind is loaded (libunwind.so.8): no stack is compared with its");
    }
}

static bool is_own(uintptr_t pc)
{
    struct object own, other;
    return object_find((uintptr_t)verify_begin, &own) && object_find(pc - 1, &other) && own.head == other.head;
}

/* Where they differ, counted from the innermost of ours; `count` where they do not. */
static size_t compare(size_t count, size_t have)
{
    if (have < count) {
        return 0;
    }
    size_t more = have - count;
    for (size_t i = count; i-- > 0;) {
        if (ours[i] != (uintptr_t)theirs[more + i]) {
            return i;
        }
    }
    return more == 0 || is_own((uintptr_t)theirs[more - 1]) ? count : 0;
}

void verify_stack(uint32_t id)
{
    if (!unw_backtrace) {
        return;
    }
    os_lock(&lock);
    int have = unw_backtrace(theirs, MOST);
    while (have > 0 && !theirs[have - 1]) {
        have--;
    }
    if (have > 0 && have < MOST) {
        size_t count = calls_frames(id, ours, MOST), at = compare(count, (size_t)have);
        compared++;
        if (at != count && differing++ < SHOWN) {
            size_t theirs_at = (size_t)have > count ? (size_t)have - count + at : at;
            os_say("a stack differs from libunwind's: %zu frames, of its %d; in frame %zu %#lx, it has %#lx", count,
                   have, at, at < count ? (unsigned long)ours[at] : 0ul,
                   theirs_at < (size_t)have ? (unsigned long)(uintptr_t)theirs[theirs_at] : 0ul);
        }
    }
    os_unlock(&lock);
}

void verify_end(void)
{
    os_say("%llu stacks compared with libunwind's, %llu differ", (unsigned long long)compared,
           (unsigned long long)differing);
}
