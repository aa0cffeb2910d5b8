/* span/run.c - best fit over holes of whole pages, with boundary tags.
 *
 *   segment of runs: unit 0 | page 16 ........................................ page 1023
 *   length[]                |       5         . 2         9                     at a run's first page: its pages
 *   hole[]                  | 3 . 3             4 . . 4                         at a hole's first and last page: its pages
 *   dirty bits              | 1 1 0             0 0 1 1                         free, and perhaps resident
 *
 * The holes of all segments hang on lists by their pages: exactly, up to 31, then in eighths of a doubling. A run is cut
 * from the low end of a hole of the first list that has one; on the lists that are not exact, and for an alignment, some
 * holes may disappoint, and after a few of those the next list is taken. A freed run grows together with its neighbours,
 * which the tags tell of (Knuth's boundary tags; the lists: Lea's bins). So no call searches; waste: less than a page a
 * run.
 *
 * Not for blocks under 32 KiB: a slab hands those out without a lock.
 */
#include "span/run.h"

#include <errno.h>
#include <string.h>

#include "base/list.h"
#include "os/fault.h"
#include "os/memory.h"
#include "os/watch.h"
#include "span/reserve.h"
#include "span/segment.h"

#define PAGES       RUN_PAGES
#define FIRST_PAGE  RUN_FIRST_PAGE
#define HOLE_LEVELS 72

static struct os_lock lock;
static struct os_lock purging; /* held by the one thread that purges. Before `lock`; with that held it is only tried. */
static struct run_hole *level[HOLE_LEVELS];      /* holes by their pages */
static uint64_t levels[(HOLE_LEVELS + 63) / 64]; /* bit l: level[l] is not empty */
static struct segment *empty;   /* one without a run is kept, so that a lone run that comes and goes costs no segment */
static struct run_hole *cursor; /* where purging goes on in a list; new holes come before it */
static bool segment_given;      /* to the pool, which has yet to be told that it may purge */
static size_t used_pages, used_runs;
static struct reserve reserve = {.each = RUN_PAGE}; /* in pages */

_Static_assert(sizeof(struct run_map) <= UNIT_SIZE - HEADER_SIZE * UNITS, "the map fits in unit 0");

static struct run_map *map_of(const void *p) { return (struct run_map *)((char *)segment_of(p) + HEADER_SIZE * UNITS); }

static size_t page_of(const void *p) { return ((uintptr_t)p & (SEGMENT_SIZE - 1)) / RUN_PAGE; }

static size_t pages_for(size_t bytes) { return align_up(size_max(bytes, 1), RUN_PAGE) / RUN_PAGE; }

/* -- holes -- */

/* Levels are exact up to 31 pages, then eight to a doubling. */
static unsigned level_of(size_t pages)
{
    unsigned doubling = log2_floor(pages);
    return doubling < 5 ? (unsigned)pages : 32 + (doubling - 5) * 8 + (pages >> (doubling - 3) & 7);
}

static size_t hole_start(const struct run_hole *h) { return (size_t)(h - map_of(h)->link); }

static void add_hole(struct run_map *map, size_t from, size_t to)
{
    if (from == to) {
        return;
    }
    unsigned l = level_of(to - from);
    map->hole[from] = map->hole[to - 1] = (uint16_t)(to - from);
    list_push(&level[l], &map->link[from]);
    bitmap_set(levels, l);
}

static void remove_hole(struct run_map *map, size_t from)
{
    size_t pages = map->hole[from];
    unsigned l = level_of(pages);
    map->hole[from] = map->hole[from + pages - 1] = 0;
    cursor = cursor == &map->link[from] ? cursor->next : cursor;
    list_remove(&level[l], &map->link[from]);
    if (!level[l]) {
        bitmap_clear(levels, l);
    }
}

/* A hole that takes a run, and where in it the run goes; looks at no more than `most` holes of each list that may not. */
static struct run_hole *search(size_t pages, size_t align, size_t most, size_t *at)
{
    for (size_t l = level_of(pages); (l = bitmap_next_set(levels, l, HOLE_LEVELS)) < HOLE_LEVELS; l++) {
        size_t left = most;
        for (struct run_hole *h = level[l]; h && left > 0; h = h->next, left--) {
            size_t from = hole_start(h);
            *at = align_up(from, align);
            if (*at + pages <= from + map_of(h)->hole[from]) {
                return h;
            }
        }
    }
    return NULL;
}

/* -- segments -- */

static bool new_segment(void)
{
    uint64_t dirty;
    struct segment *s = segment_take(&dirty);
    if (!s) {
        return false;
    }
    struct run_map *map = map_of(s);
    s->kind = SEGMENT_RUNS;
    for (unsigned i = 1; i < UNITS; i++) {
        atomic_store_explicit(&segment_unit(s, i)->owner, OWNER_RUN, memory_order_relaxed);
        if (dirty >> i & 1) {
            bitmap_set_range(map->dirty, i * RUN_FIRST_PAGE, (i + 1) * RUN_FIRST_PAGE);
            reserve_add(&reserve, RUN_FIRST_PAGE);
        }
    }
    add_hole(map, FIRST_PAGE, PAGES);
    watch_deny((char *)s + FIRST_PAGE * RUN_PAGE, (PAGES - FIRST_PAGE) * RUN_PAGE);
    return true;
}

static struct run_hole *find(size_t pages, size_t align, size_t *at)
{
    enum { CANDIDATES = 8 };
    struct run_hole *h = search(pages, align, CANDIDATES, at);
    if (!h && new_segment()) {
        h = search(pages, align, CANDIDATES, at);
    }
    return h ? h : search(pages, align, SIZE_MAX, at);
}

/* A segment without a run goes back to the pool. */
static void give_back(struct segment *s)
{
    struct run_map *map = map_of(s);
    uint64_t dirty = 0;
    remove_hole(map, FIRST_PAGE);
    for (unsigned i = 1; i < UNITS; i++) {
        dirty |= (uint64_t)bitmap_any(map->dirty, i * RUN_FIRST_PAGE, (i + 1) * RUN_FIRST_PAGE) << i;
    }
    for (size_t w = 0; w < PAGES / 64; w++) {
        reserve_take(&reserve, count_bits(map->dirty[w]), 0);
    }
    memset(map, 0, sizeof *map);
    segment_give(s, dirty);
    segment_given = true;
}

/* -- pages -- */

/* Takes pages out of a hole; true when any of them may not be zero. In explicit huge pages nothing is ever purged, so no page
 * counts as dirty, and none as clean. */
static bool use_pages(struct run_map *map, size_t from, size_t to)
{
    size_t taken = 0;
    if (segment_of(map)->hugetlb) {
        used_pages += to - from;
        return true;
    }
    for (size_t w = from / 64; w * 64 < to; w++) {
        uint64_t dirty = map->dirty[w] & bitmap_word_mask(w, from, to);
        if (dirty) {
            taken += count_bits(dirty);
            map->dirty[w] &= ~dirty;
        }
    }
    reserve_take(&reserve, taken, to - from - taken);
    used_pages += to - from;
    return taken != 0;
}

/* Puts free pages on the lists, as one hole with those beside them. */
static void free_hole(struct run_map *map, size_t from, size_t to)
{
    if (map->hole[from - 1]) {
        size_t before = map->hole[from - 1];
        remove_hole(map, from - before);
        from -= before;
    }
    if (to < PAGES && map->hole[to]) {
        size_t after = map->hole[to];
        remove_hole(map, to);
        to += after;
    }
    add_hole(map, from, to);
    if (unlikely(to - from == PAGES - FIRST_PAGE)) {
        if (empty) {
            give_back(segment_of(map));
        } else {
            empty = segment_of(map);
        }
    }
}

/* The first whole pages of the system's in [*from, end) that hold dirty ones, [*from, *to); false when there are none. */
static bool purgeable(const uint64_t *dirty, size_t *from, size_t *to, size_t end)
{
    size_t page = os_page / RUN_PAGE, last = align_down(end, page);
    size_t at = bitmap_next_set(dirty, align_up(*from, page), last);
    if (at >= last) {
        return false;
    }
    *from = align_down(at, page);
    *to = align_up(bitmap_next_clear(dirty, at, last), page);
    return true;
}

/* Purges a hole without the lock: meanwhile it is neither hole nor run. Returns how many pages are not dirty any
 * more; none where the system will not (locked memory). */
static size_t purge(struct run_hole *h, size_t *bytes)
{
    struct run_map *map = map_of(h);
    size_t start = hole_start(h), end = start + map->hole[start], purged = 0;
    uint64_t dirty[PAGES / 64] = {0};
    empty = segment_of(h) == empty ? NULL : empty;
    remove_hole(map, start);
    for (size_t w = start / 64; w * 64 < end; w++) {
        dirty[w] = map->dirty[w] & bitmap_word_mask(w, start, end);
        map->dirty[w] &= ~dirty[w];
        purged += count_bits(dirty[w]);
    }
    os_unlock(&lock);
    for (size_t from = start, to; purgeable(dirty, &from, &to, end); from = to) {
        size_t covered = os_purge((char *)segment_of(h) + from * RUN_PAGE, (to - from) * RUN_PAGE);
        if (covered) {
            bitmap_clear_range(dirty, from, to);
            *bytes += covered;
        }
    }
    os_lock(&lock);
    for (size_t w = start / 64; w * 64 < end; w++) {
        map->dirty[w] |= dirty[w];
        purged -= count_bits(dirty[w]);
    }
    free_hole(map, start, end);
    return purged;
}

/* Purges so many pages or some more, the longest holes first. */
static size_t purge_pages(size_t pages, size_t *bytes)
{
    size_t purged = 0;
    for (unsigned l = HOLE_LEVELS; l-- > 0 && purged < pages;) {
        for (cursor = level[l]; cursor && purged < pages;) {
            struct run_hole *h = cursor;
            size_t from = hole_start(h), to, end = from + map_of(h)->hole[from];
            cursor = h->next;
            if (purgeable(map_of(h)->dirty, &from, &to, end)) {
                purged += purge(h, bytes);
            }
        }
    }
    cursor = NULL;
    return purged;
}

/* Pages that may stay resident though free: 256 KiB, and an eighth of what is in use. */
static size_t dirty_bound(void) { return 64 + used_pages / 8; }

static size_t excess(void) { return reserve_excess(&reserve, dirty_bound(), dirty_bound() / 2); }

/* The lock is let go in between. Another thread that is purging sees to it, also to what comes meanwhile. */
static void keep_bound(void)
{
    size_t many = excess(), bytes = 0;
    if (likely(many == 0) || !os_try_lock(&purging)) {
        return;
    }
    for (; many; many = excess()) {
        reserve_purged(&reserve, many, purge_pages(many, &bytes));
    }
    os_unlock(&purging);
}

/* Purges what is too much, here and, when a segment was given back, there, and lets the lock go. */
static void settle_and_unlock(void)
{
    keep_bound();
    bool given = segment_given;
    segment_given = false;
    os_unlock(&lock);
    if (unlikely(given)) {
        segments_catch_up();
    }
}

void runs_catch_up(void)
{
    os_lock(&lock);
    settle_and_unlock();
}

static void free_pages(struct run_map *map, size_t from, size_t to)
{
    if (!segment_of(map)->hugetlb) {
        bitmap_set_range(map->dirty, from, to);
        reserve_add(&reserve, to - from);
    }
    used_pages -= to - from;
    free_hole(map, from, to);
}

/* -- runs -- */

void *run_alloc(size_t bytes, size_t align, uint32_t heap, bool *zeroed)
{
    size_t pages = pages_for(bytes), at;
    os_lock(&lock);
    struct run_hole *h = find(pages, size_max(align / RUN_PAGE, 1), &at);
    if (!h) { /* memory is out, but for what is on its way to be purged */
        os_unlock(&lock);
        os_lock(&purging);
        os_lock(&lock);
        os_unlock(&purging);
        h = find(pages, size_max(align / RUN_PAGE, 1), &at);
    }
    if (!h) {
        os_unlock(&lock);
        return NULL;
    }
    struct segment *s = segment_of(h);
    struct run_map *map = map_of(h);
    size_t from = hole_start(h), to = from + map->hole[from];
    empty = s == empty ? NULL : empty;
    remove_hole(map, from);
    add_hole(map, from, at);
    add_hole(map, at + pages, to);
    *zeroed = !use_pages(map, at, at + pages);
    map->length[at] = (uint16_t)pages;
    if (map->heap[at] != heap) {
        map->heap[at] = heap;
    }
    used_runs++;
    os_unlock(&lock);
    return (char *)s + at * RUN_PAGE;
}

size_t run_length(const void *p) { return (uintptr_t)p % RUN_PAGE == 0 ? map_of(p)->length[page_of(p)] * RUN_PAGE : 0; }

uint32_t run_heap(const void *p) { return map_of(p)->heap[page_of(p)]; }

static size_t free_locked(void *run)
{
    struct run_map *map = map_of(run);
    size_t at = page_of(run), pages = map->length[at];
    map->length[at] = 0;
    used_runs--;
    free_pages(map, at, at + pages);
    return pages * RUN_PAGE;
}

size_t run_free(void *run)
{
    os_lock(&lock);
    if (run_length(run) == 0) {
        os_unlock(&lock);
        allot_fault(fault_free_of_none, "page run", run);
    }
    size_t bytes = free_locked(run);
    settle_and_unlock();
    return bytes;
}

bool run_resize(void *run, size_t bytes)
{
    if (bytes > RUN_MAX) {
        return false;
    }
    size_t now = pages_for(bytes), at = page_of(run);
    struct run_map *map = map_of(run);
    os_lock(&lock);
    size_t old = map->length[at], end = at + old;
    size_t after = end < PAGES ? map->hole[end] : 0;
    bool done = now <= old + after;
    if (now < old) {
        map->length[at] = (uint16_t)now;
        free_pages(map, at + now, end);
    } else if (now > old && done) {
        remove_hole(map, end);
        add_hole(map, at + now, end + after);
        use_pages(map, end, at + now);
        map->length[at] = (uint16_t)now;
    }
    settle_and_unlock();
    return done;
}

size_t runs_free_all(uint32_t heap)
{
    size_t bytes = 0;
    os_lock(&lock);
    for (struct segment *s = segments_newest(); s; s = s->older) {
        struct run_map *map = map_of(s);
        for (size_t at = FIRST_PAGE; s->kind == SEGMENT_RUNS && at < PAGES;) {
            size_t pages = map->length[at];
            if (pages != 0 && map->heap[at] == heap) {
                bytes += free_locked((char *)s + at * RUN_PAGE);
            }
            at += pages ? pages : 1;
        }
    }
    settle_and_unlock();
    return bytes;
}

size_t runs_trim(void)
{
    os_lock(&purging);
    os_lock(&lock);
    if (empty) {
        give_back(empty);
        empty = NULL;
    }
    size_t bytes = 0;
    reserve_emptied(&reserve, purge_pages(SIZE_MAX, &bytes));
    os_unlock(&purging);
    settle_and_unlock();
    return bytes;
}

struct run_totals runs_totals(void)
{
    os_lock(&lock);
    struct run_totals totals = {used_pages * RUN_PAGE, used_runs};
    os_unlock(&lock);
    return totals;
}

size_t runs_kept(void) { return reserve_dirty(&reserve) * RUN_PAGE; }

int runs_walk(struct segment *s, int (*visit)(void *run, size_t bytes, uint32_t heap, void *arg), void *arg)
{
    struct run_map *map = map_of(s);
    for (size_t at = FIRST_PAGE; at < PAGES;) {
        size_t pages = map->length[at];
        if (pages != 0) {
            int stop = visit((char *)s + at * RUN_PAGE, pages * RUN_PAGE, map->heap[at], arg);
            if (stop) {
                return stop;
            }
        }
        at += pages ? pages : 1;
    }
    return 0;
}

static void check_segment(struct segment *s, size_t *used, size_t *dirty, size_t *runs)
{
    struct run_map *map = map_of(s);
    for (size_t w = 0; w < PAGES / 64; w++) {
        *dirty += count_bits(map->dirty[w]);
    }
    for (size_t at = FIRST_PAGE; at < PAGES;) {
        size_t pages = map->length[at];
        if (pages != 0) {
            CHECK(at + pages <= PAGES && !bitmap_any(map->dirty, at, at + pages), "run segment", s);
            ++*runs;
            *used += pages;
        } else {
            pages = map->hole[at];
            CHECK(pages != 0 && at + pages <= PAGES && map->hole[at + pages - 1] == pages, "run segment", s);
            CHECK(map->hole[at - 1] == 0, "run segment", s); /* no two holes in a row */
        }
        at += pages;
    }
}

bool runs_check(void)
{
    size_t used = 0, dirty = 0, runs = 0;
    runs_lock();
    for (struct segment *s = segments_newest(); s; s = s->older) {
        if (s->kind == SEGMENT_RUNS) {
            check_segment(s, &used, &dirty, &runs);
        }
    }
    CHECK(used == used_pages && dirty == reserve_dirty(&reserve) && runs == used_runs, "page runs", &used_pages);
    runs_unlock();
    return true;
}

/* So that no hole is on its way to be purged when the process forks. */
void runs_lock(void)
{
    os_lock(&purging);
    os_lock(&lock);
}

void runs_unlock(void)
{
    os_unlock(&lock);
    os_unlock(&purging);
}

void runs_lock_reset(void)
{
    os_lock_reset(&lock);
    os_lock_reset(&purging);
}
