/* heap/limit.c - see heap/limit.h. Limits are set seldom and looked at often: `limit_notice` is the only one that a block of
 * pages or a unit reads. */
#include "heap/limit.h"

#include <stdint.h>

#include "heap/heap.h"
#include "os/cgroup.h"
#include "os/process.h"
#include "span/reserve.h"

enum { GROUP_FROM = 64 << 20, GROUP_EVERY = 1000 /* milliseconds */ };

atomic_size_t limit_held, limit_notice = GROUP_FROM;
_Atomic bool limit_near;
static atomic_size_t hard = SIZE_MAX, soft_asked = SIZE_MAX, soft_of_group = SIZE_MAX;
static _Atomic uint64_t group_seen_at;

size_t limit_soft(void)
{
    return size_min(atomic_load_explicit(&soft_asked, memory_order_relaxed),
                    atomic_load_explicit(&soft_of_group, memory_order_relaxed));
}

static size_t near(void) { return limit_soft() == SIZE_MAX ? SIZE_MAX : limit_soft() - limit_soft() / 4; }

/* What the pools may keep beside what is in use. */
static void set_room(size_t held)
{
    size_t most = limit_soft();
    atomic_store_explicit(&reserve_most, most == SIZE_MAX ? SIZE_MAX : (most - size_min(held, most)) / RESERVES,
                          memory_order_relaxed);
    atomic_store_explicit(&sweep_any, held >= most, memory_order_relaxed);
    atomic_store_explicit(&limit_near, held >= near(), memory_order_relaxed);
}

/* When to look again: at once where a limit is near, else at that, or when so much has come that the group is worth a look. */
static void set_notice(size_t held)
{
    size_t next = size_max(held + held / 8, GROUP_FROM);
    next = size_min(next, size_min(near(), atomic_load_explicit(&hard, memory_order_relaxed)));
    atomic_store_explicit(&limit_notice, next, memory_order_relaxed);
}

static void look_at_group(void)
{
    uint64_t now = os_milliseconds(), seen = atomic_load_explicit(&group_seen_at, memory_order_relaxed);
    if ((seen == 0 || now - seen >= GROUP_EVERY) &&
        atomic_compare_exchange_strong_explicit(&group_seen_at, &seen, now, memory_order_relaxed,
                                                memory_order_relaxed)) {
        size_t limit = os_cgroup_limit(OS_CGROUP_SELF, OS_CGROUP_ROOT);
        atomic_store_explicit(&soft_of_group, limit == SIZE_MAX ? limit : limit - limit / 10, memory_order_relaxed);
    }
}

bool limit_look(size_t bytes)
{
    size_t held = atomic_load_explicit(&limit_held, memory_order_relaxed);
    if (held > atomic_load_explicit(&hard, memory_order_relaxed)) {
        atomic_fetch_sub_explicit(&limit_held, bytes, memory_order_relaxed);
        return false;
    }
    if (!in_haste) {
        look_at_group();
    }
    set_room(held);
    set_notice(held);
    if (held >= near()) {
        reserve_leave(); /* what the pools keep beyond their room */
    }
    return true;
}

void limit_relax(void)
{
    size_t held = atomic_load_explicit(&limit_held, memory_order_relaxed);
    set_room(held);
    if (held < near()) {
        set_notice(held);
    }
}

static void set(atomic_size_t *limit, size_t bytes)
{
    atomic_store_explicit(limit, bytes, memory_order_relaxed);
    size_t held = atomic_load_explicit(&limit_held, memory_order_relaxed);
    set_room(held);
    set_notice(held);
}

size_t limit_hard(void) { return atomic_load_explicit(&hard, memory_order_relaxed); }

void limit_set_hard(size_t bytes) { set(&hard, bytes); }

void limit_set_soft(size_t bytes) { set(&soft_asked, bytes); }
