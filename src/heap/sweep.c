/* heap/sweep.c - what a heap no longer needs goes back to the system although its slabs are in use.
 *
 * A slab of which little is left in use holds pages on which nothing is. When an eighth of what was out of a class has come
 * back since its last sweep, its slabs' lists are folded into their bitmaps, and free pages punched out. So what can go back
 * has gone, but for the last eighth, with the last free of a wave, and nobody has to call. A sweep looks once at each slab
 * of the class, and visits each slot that was freed since the last one: these frees pay for it.
 *
 * Purge what drops, keep what comes back: when a quarter as many pages as a sweep gave back had to be made again soon, that was
 * too early, and there is none for a second, then two, up to sixteen.
 */
#include "base/bits.h"
#include "heap/heap.h"
#include "os/memory.h"
#include "os/process.h"

_Atomic bool sweep_any;
struct sweep_least sweep_least = {(size_t)64 << 10, ((size_t)64 << 20) / UNIT_SIZE};

enum { SOON = 10000, PAUSE_LEAST = 1000, PAUSE_MOST = 16000 }; /* milliseconds */

static bool too_early(struct sweep_record *last)
{
    uint64_t now = os_milliseconds();
    if (now < last->paused_until) {
        return true;
    }
    bool early = last->filled > last->punched / 4 && now - last->at < SOON;
    if (last->punched) {
        last->pause = !early ? 0 : last->pause ? (uint32_t)size_min(2 * last->pause, PAUSE_MOST) : PAUSE_LEAST;
        last->paused_until = now + last->pause;
    }
    *last = (struct sweep_record){.pause = last->pause, .at = now, .paused_until = last->paused_until};
    return last->pause != 0 && now < last->paused_until;
}

/* Whether a page of a slab may well have come free since the last time. A huge page is not cut up for less than half of it, and an
 * explicit one never. */
static bool worth_it(const struct slab *s)
{
    size_t came_back = s->nlocal + (size_t)s->unswept, in_use = s->used * slab_stride(s);
    return pages_expected(came_back, s->used, UNIT_SIZE / os_page, slab_stride(s)) > 0 &&
           !(s->unit.dense && in_use > UNIT_SIZE / 2) && !segment_of(s)->hugetlb;
}

/* What is on its way back, many pages in one call: each may have to wait for all cores that run a thread of the process. */
struct sweep {
    const struct heap *heap;
    struct slab *fold[FOLD_MOST];
    size_t folds, purges;
    struct iovec range[OS_PURGE_MANY];
    struct {
        struct slab *slab;
        unsigned pages;
    } of[OS_PURGE_MANY];
    unsigned punched;
};

static void purge(struct sweep *w)
{
    size_t done = os_purge_many(w->range, w->purges);
    for (size_t i = 0; i < done; i++) {
        slab_punch(w->of[i].slab, w->of[i].pages);
        w->punched += count_bits(w->of[i].pages);
    }
    w->purges = 0;
}

static void punch(struct sweep *w, struct slab *s)
{
    for (unsigned left = slab_free_pages(s); left;) {
        unsigned from = lowest_bit(left), length = lowest_bit(~(left >> from));
        unsigned pages = ((1u << length) - 1) << from;
        if (w->purges == OS_PURGE_MANY) {
            purge(w);
        }
        w->range[w->purges] = (struct iovec){slab_data(s) + from * os_page, length * os_page};
        w->of[w->purges].slab = s;
        w->of[w->purges].pages = pages;
        w->purges++;
        left &= ~pages;
    }
}

static void fold(struct sweep *w)
{
    slab_fold(w->fold, w->folds);
    for (size_t i = 0; i < w->folds; i++) {
        punch(w, w->fold[i]);
        w->fold[i]->unswept = 0;
        heap_arm(w->heap, w->fold[i]);
    }
    w->folds = 0;
}

/* Returns how many pages went back. `asked`: by somebody who does not care what that costs. */
static unsigned sweep(struct heap *h, struct heap_class *class, bool asked)
{
    struct sweep w;
    w.heap = h;
    w.folds = w.purges = w.punched = 0;
    for (unsigned level = 0; level < LEVELS; level++) {
        for (struct slab *s = class->list[level], *next; s; s = next) {
            next = s->next;
            __builtin_prefetch(next);
            heap_sync(h, s);
            if (s->used == 0) {
                heap_settle(h, s);
            } else if (asked || worth_it(s)) {
                w.fold[w.folds++] = s;
                if (w.folds == FOLD_MOST) {
                    fold(&w);
                }
            } else {
                heap_arm(h, s);
            }
        }
    }
    fold(&w);
    purge(&w);
    class->most = class->out;
    return w.punched;
}

void heap_sweep(struct heap *h, struct heap_class *class)
{
    if (!in_haste && !too_early(&class->swept)) {
        class->swept.punched = sweep(h, class, false);
    }
}

size_t heap_sweep_all(struct heap *h)
{
    size_t pages = 0;
    for (unsigned c = 0; c < ALL_CLASSES; c++) {
        pages += any_with_room(&h->classes[c]) ? sweep(h, &h->classes[c], true) : 0;
    }
    return pages * os_page;
}
