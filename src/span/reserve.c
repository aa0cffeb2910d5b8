/* span/reserve.c - see span/reserve.h. */
#include "span/reserve.h"

#include "base/bits.h"
#include "os/process.h"

enum { SECOND = 1000, REGRET = 10 * SECOND }; /* milliseconds */

__thread bool in_haste;
_Atomic bool left_in_haste;
atomic_size_t reserve_most = SIZE_MAX;

size_t pace_beyond(struct pace *pace, size_t bytes, uint64_t now)
{
    size_t passed = pace->at == 0 ? 0 : size_min(now - pace->at, SECOND);
    size_t left = size_min(pace->left + passed * PACE_BYTES, SECOND * PACE_BYTES), free = size_min(left, bytes);
    *pace = (struct pace){left - free, now};
    return bytes - free;
}

void reserve_take(struct reserve *r, size_t dirty, size_t clean)
{
    reserve_add(r, -dirty);
    r->least = size_min(r->least, reserve_dirty(r));
    if (unlikely(clean && r->purged)) {
        size_t back = size_min(clean, r->purged);
        uint64_t now = os_milliseconds();
        bool recent = now - r->purged_at < REGRET;
        r->kept += recent ? pace_beyond(&r->pace, back * r->each, now) / r->each : 0;
        r->purged = recent ? r->purged - back : 0;
    }
}

size_t reserve_excess(struct reserve *r, size_t bound, size_t slack)
{
    if (unlikely(r->stuck) && os_milliseconds() - r->stuck_at >= SECOND) {
        r->stuck = 0;
    }
    size_t most = atomic_load_explicit(&reserve_most, memory_order_relaxed),
           dirty = reserve_dirty(r) - size_min(r->stuck, reserve_dirty(r));
    if (unlikely(dirty > most / r->each) && !in_haste) {
        return dirty - most / r->each;
    }
    if (likely(dirty <= bound)) {
        return 0;
    }
    if (unlikely(in_haste)) {
        if (dirty > bound + r->kept) {
            reserve_leave();
        }
        return 0;
    }
    uint64_t now = os_milliseconds(), passed = now - r->window;
    if (passed >= RESERVE_WINDOW) {
        size_t unneeded = size_min(r->kept, r->least > bound - slack ? r->least - (bound - slack) : 0);
        r->kept -=
            size_min(unneeded, size_max(unneeded * size_min(passed, SECOND) / SECOND, passed * PACE_BYTES / r->each));
        r->least = reserve_dirty(r);
        r->window = now;
    }
    return dirty > bound + r->kept ? dirty - (bound - slack + r->kept) : 0;
}

void reserve_purged(struct reserve *r, size_t excess, size_t count)
{
    reserve_take(r, count, 0);
    r->purged += count;
    r->purged_at = os_milliseconds();
    if (unlikely(excess > count)) {
        r->stuck_at = r->stuck ? r->stuck_at : r->purged_at;
        r->stuck = size_min(r->stuck + excess - count, reserve_dirty(r));
    }
}

void reserve_emptied(struct reserve *r, size_t count)
{
    reserve_take(r, count, 0);
    r->kept = r->purged = r->stuck = 0;
}
