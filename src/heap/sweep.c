/* heap/sweep.c - what a heap no longer needs goes back to the system although its slabs are in use.
 *
 *   a slab's trip comes due -> noted, when a page of it may have come free -> with 64 noted: folded, free pages punched out
 *
 * A slab of which little is left in use holds pages on which nothing is. Its owner looks at it each time an eighth of what is
 * in use has come back (heap_arm), its header then being in the cache; when a page is likely to be free by then, it is noted.
 * Noted slabs are swept together: their lists are folded into their bitmaps, and pages go back, many in one call. So what can
 * go back has gone, but for the last 64 slabs, with the last free of a wave; nobody has to call, and nobody looks at slabs from
 * which nothing is to be had, but once at all of a class that begins to fall.
 *
 * Purge what drops, keep what comes back: when a quarter as many pages of a class as went back had to be made again soon, and
 * faster than what costs next to nothing (span/reserve.h), that was too early, and it is left alone for a second, then two, up
 * to sixteen.
 */
#include "base/bits.h"
#include "heap/heap.h"
#include "os/memory.h"
#include "os/process.h"

_Atomic bool sweep_any;
size_t sweep_least = ((size_t)64 << 20) / UNIT_SIZE;

enum { SOON = 10000, PAUSE_LEAST = 1000, PAUSE_MOST = 16000, FEW_PAGES = 64 }; /* milliseconds, but for the last */

/* The class is to be left alone: its pages come back. */
static bool too_early(struct heap *h, struct heap_class *class, uint64_t now)
{
    struct sweep_record *record = &class->swept;
    if (now < record->paused_until) {
        return true;
    }
    bool early = record->filled > record->punched / 4;
    if (early && record->punched >= FEW_PAGES) {
        record->filled = (uint32_t)(pace_beyond(&h->pace, record->filled * os_page, now) / os_page);
        early = record->filled > record->punched / 4;
    }
    if (early && record->punched >= FEW_PAGES) {
        record->pause = record->pause ? (uint32_t)size_min(2 * record->pause, PAUSE_MOST) : PAUSE_LEAST;
        record->paused_until = now + record->pause;
        class->most = class->out;
    }
    if (record->punched >= FEW_PAGES && (early || now - record->since > SOON)) {
        record->pause = early ? record->pause : 0;
        record->punched = record->filled = 0;
        record->since = now;
    }
    return now < record->paused_until;
}

/* What is on its way back, many pages in one call: each may have to wait for all cores that run a thread of the process. */
struct sweep {
    struct heap *heap;
    struct slab *fold[FOLD_MOST];
    size_t folds, purges;
    struct iovec range[OS_PURGE_MANY];
    struct {
        struct slab *slab;
        unsigned pages;
    } of[OS_PURGE_MANY];
    size_t punched;
};

static void purge(struct sweep *w)
{
    size_t done = os_purge_many(w->range, w->purges);
    for (size_t i = 0; i < done; i++) {
        struct slab *s = w->of[i].slab;
        slab_punch(s, w->of[i].pages);
        w->heap->classes[s->klass].swept.punched += count_bits(w->of[i].pages);
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
        w->fold[i]->noted = false;
        heap_arm(w->heap, w->fold[i]);
    }
    w->folds = 0;
}

static void begin(struct sweep *w, struct heap *h)
{
    w->heap = h;
    w->folds = w->purges = w->punched = 0;
}

/* Once, though it be met twice. */
static void add(struct sweep *w, struct slab *s)
{
    if (s->noted) {
        return;
    }
    s->noted = true;
    w->fold[w->folds++] = s;
    if (w->folds == FOLD_MOST) {
        fold(w);
    }
}

static size_t end(struct sweep *w)
{
    fold(w);
    purge(w);
    return w->punched;
}

/* The slabs of a class that may have pages to give back, or `all`. */
static void add_class(struct sweep *w, struct heap_class *class, bool all)
{
    for (unsigned level = 0; level < LEVELS; level++) {
        for (struct slab *s = class->list[level], *next; s; s = next) {
            next = s->next;
            heap_sync(w->heap, s);
            if (s->used == 0) {
                heap_settle(w->heap, s);
            } else if (all || sweep_worth_it(s)) {
                add(w, s);
            }
        }
    }
}

/* The first time that pages of a class are to go back, all of it is looked at: what came back before was not noted. */
static void add_noted(struct sweep *w, struct heap_class *class, struct slab *s)
{
    if (class->swept.looked_at != class->most) {
        class->swept.looked_at = class->most;
        add_class(w, class, false);
    } else if (s != class->current && sweep_worth_it(s)) {
        add(w, s);
    }
}

/* Those that have been noted, but for such as went back meanwhile; returns how many. */
static size_t take_noted(struct heap *h, struct slab *noted[SWEEP_NOTED])
{
    size_t count = 0;
    for (size_t i = 0; i < h->noted_count; i++) {
        struct slab *s = h->noted[i];
        if (slab_owner(s) == h->id && s->noted) {
            s->noted = false;
            noted[count++] = s;
        }
    }
    h->noted_count = 0;
    return count;
}

void heap_sweep(struct heap *h)
{
    struct slab *noted[SWEEP_NOTED];
    struct sweep w;
    size_t count = take_noted(h, noted);
    uint64_t now = os_milliseconds();
    begin(&w, h);
    for (size_t i = 0; i < count; i++) {
        struct slab *s = noted[i];
        if (slab_owner(s) != h->id) {
            continue; /* it went back with others of its class */
        }
        struct heap_class *class = &h->classes[s->klass];
        heap_sync(h, s);
        if (!too_early(h, class, now)) {
            add_noted(&w, class, s);
        }
    }
    end(&w);
}

size_t heap_sweep_all(struct heap *h)
{
    struct slab *noted[SWEEP_NOTED];
    struct sweep w;
    take_noted(h, noted);
    begin(&w, h);
    for (unsigned c = 0; c < ALL_CLASSES; c++) {
        add_class(&w, &h->classes[c], true);
    }
    return end(&w) * os_page;
}
