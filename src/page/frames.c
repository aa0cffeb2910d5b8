/* page/frames.c - the frame for a page that comes: a free one, or that of the page which goes. See page/pager.h.
 *
 * The policy says which; whether it can be had is in its word. A victim that somebody pins between the two goes back to the policy,
 * as a new page. One that cannot be written back goes back too, marked, and is not proposed again until the next flush or until
 * there is no other: so one full disk does not stop those who only read.
 */
#include <errno.h>

#include "page/pager.h"

static entry *entry_of(const struct pager *p, uint32_t frame)
{
    return atomic_load_explicit(&p->frame[frame].entry, memory_order_acquire);
}

static bool is_idle(uint64_t word, uint32_t frame)
{
    return (word & (RESIDENT | BUSY | WRITING | PINS)) == RESIDENT && frame_in(word) == frame;
}

static bool is_busy(size_t frame, void *arg)
{
    struct pager *p = arg;
    entry *at = entry_of(p, (uint32_t)frame);
    return !at || !is_idle(atomic_load_explicit(at, memory_order_relaxed), (uint32_t)frame) ||
           marked(p, (uint32_t)frame, FAILED);
}

void mark_set(struct pager *p, uint32_t frame, uint8_t mark)
{
    uint8_t was = __atomic_fetch_or(&p->mark[frame], mark, __ATOMIC_RELAXED);
    if (mark & ~was & FAILED) {
        atomic_fetch_add_explicit(&p->failed, 1, memory_order_relaxed);
    }
}

void mark_clear(struct pager *p, uint32_t frame, uint8_t mark)
{
    if (marked(p, frame, mark)) {
        uint8_t was = __atomic_fetch_and(&p->mark[frame], (uint8_t)~mark, __ATOMIC_RELAXED);
        if (mark & was & FAILED) {
            atomic_fetch_sub_explicit(&p->failed, 1, memory_order_relaxed);
        }
    }
}

void marks_clear(struct pager *p, uint8_t mark)
{
    uint32_t begun = atomic_load(&p->begun);
    for (uint32_t i = 0; i < begun; i++) {
        mark_clear(p, i, mark);
    }
}

void frame_forget(struct pager *p, uint32_t frame, uint64_t was)
{
    if (was & HITS) {
        tally(p, hits, (was & HITS) / HIT);
    }
    atomic_store_explicit(&p->frame[frame].entry, NULL, memory_order_relaxed);
    mark_clear(p, frame, UNSYNCED | FAILED | SYNCING);
}

void frame_give(struct pager *p, uint32_t frame)
{
    os_lock(&p->lock);
    p->free[p->free_count++] = frame;
    os_unlock(&p->lock);
    moving_less(p);
}

static bool take_free(struct pager *p, uint32_t *frame)
{
    uint32_t begun = atomic_load_explicit(&p->begun, memory_order_relaxed);
    if (p->free_count) {
        *frame = p->free[--p->free_count];
    } else if (begun < p->frames) {
        *frame = begun;
        atomic_store_explicit(&p->begun, begun + 1, memory_order_release);
    } else {
        return false;
    }
    return true;
}

/* The frame of a page that goes, BUSY, and its word and ghost; IDLE: none can be had. -EAGAIN: look again. */
static int take_victim(struct pager *p, uint64_t coming, uint32_t *frame, uint64_t *word, uint64_t *ghost)
{
    size_t victim = allot_evict_victim(&p->evict, coming, ghost, is_busy, p);
    if (victim == SIZE_MAX) {
        return IDLE;
    }
    *frame = (uint32_t)victim;
    entry *at = entry_of(p, *frame);
    *word = atomic_load_explicit(at, memory_order_relaxed);
    if (is_idle(*word, *frame) && atomic_compare_exchange_strong(at, word, *word | BUSY)) {
        return 0;
    }
    allot_evict_enter(&p->evict, victim, 0, 0);
    return -EAGAIN;
}

/* The victim is clean, or becomes so; then its page is no more. */
static int let_go(struct pager *p, uint32_t frame, uint64_t word, uint64_t ghost)
{
    entry *at = entry_of(p, frame);
    if (word & DIRTY) {
        int wrong = back_write_victim(p, frame);
        if (wrong) {
            allot_evict_enter(&p->evict, frame, 0, 0);
            entry_store(p, at, word);
            return wrong;
        }
    }
    if (word & WINDOWED) {
        window_forget(p, p->frame[frame].page);
    }
    tally(p, evicted, 1);
    frame_forget(p, frame, word);
    entry_store(p, at, ghost);
    return 0;
}

/* A frame that is free, 1, or a victim's, 0; moving. IDLE: none can be had. -EAGAIN: look again. */
static int take(struct pager *p, uint64_t coming, uint32_t *frame, uint64_t *word, uint64_t *ghost)
{
    os_lock(&p->lock);
    int found = take_free(p, frame) ? 1 : take_victim(p, coming, frame, word, ghost);
    if (found >= 0) {
        moving_more(p);
    }
    os_unlock(&p->lock);
    return found;
}

/* The same for who waits until some that are moving have come to rest, and looks again if some have while he looked; and tries those once
 * more that failed to be written. */
static int take_or_wait(struct pager *p, uint64_t coming, uint32_t *frame, uint64_t *word, uint64_t *ghost)
{
    for (bool retried = false;;) {
        uint32_t seen = os_event_expect(&p->moved);
        uint64_t before = atomic_load(&p->moving);
        int found = take(p, coming, frame, word, ghost);
        uint64_t after = atomic_load(&p->moving);
        if (found == IDLE && (uint32_t)after > 0) {
            tally(p, waits, 1);
            os_event_sleep(&p->moved, seen);
            continue;
        }
        os_event_leave(&p->moved);
        if (found == IDLE && after != before) {
            continue;
        }
        if (found != IDLE || retried || atomic_load(&p->failed) == 0) {
            return found;
        }
        retried = true;
        marks_clear(p, FAILED);
    }
}

int frame_take(struct pager *p, uint64_t coming, bool waits, uint32_t *frame)
{
    bool tried_all = false;
    for (;;) {
        uint64_t word, ghost;
        int found = take(p, coming, frame, &word, &ghost);
        if (found == IDLE && waits && !tried_all) {
            tried_all = atomic_load(&p->failed) > 0;
            found = take_or_wait(p, coming, frame, &word, &ghost);
        }
        if (found == IDLE) {
            return atomic_load(&p->failed) ? atomic_load(&p->wrong) : -ENOBUFS;
        }
        if (found == 1) {
            return 0;
        }
        if (found == 0) {
            if (let_go(p, *frame, word, ghost) == 0) {
                return 0;
            }
            moving_less(p);
        }
    }
}
