/* span/run.c - best fit over bitmaps of pages.
 *
 *   segment of runs: unit 0 | page 16 ........................................ page 1023
 *   free bits          0    | 1 1 1 0 0 0 0 0 1 1 0 0 ...                       1: the page is free
 *   length[]                |       5         . 2                               at a run's first page: its pages
 *
 * Segments hang on ten lists by the longest hole they have, in powers of two: a request looks at a few segments of its
 * own level, then takes the first of the next. Within the segment the smallest hole that fits is cut, at its lowest
 * end. Cost: a scan of 16 words for each call; waste: less than a page a run.
 *
 * Not for blocks under 32 KiB: a slab hands those out without a lock.
 */
#include "span/run.h"

#include <errno.h>
#include <string.h>

#include "os/fault.h"
#include "os/memory.h"
#include "span/segment.h"

#define PAGES      (SEGMENT_SIZE / RUN_PAGE)
#define UNIT_PAGES (UNIT_SIZE / RUN_PAGE)
#define FIRST_PAGE UNIT_PAGES
#define LEVELS     10

/* In unit 0 of a segment of runs, where other segments have their bitmaps. Zero is what it is given and given back as.
 */
struct run_map {
    uint64_t free[PAGES / 64];
    uint64_t dirty[PAGES / 64]; /* free, and perhaps resident */
    uint16_t length[PAGES];     /* at the first page of a run: its pages; else 0 */
    uint32_t heap[PAGES];       /* at the first page of a run: whose it is */
};

static struct os_lock lock;
static struct segment *level[LEVELS]; /* level[l]: segments whose longest hole is of 2^l to 2^(l+1)-1 pages */
static struct segment *empty; /* one without a run is kept, so that a lone run that comes and goes costs no segment */
static size_t used_pages, used_runs, dirty_pages;

_Static_assert(sizeof(struct run_map) <= UNIT_SIZE - HEADER_SIZE * UNITS, "the map fits in unit 0");

static struct run_map *map_of(const void *p) { return (struct run_map *)((char *)segment_of(p) + HEADER_SIZE * UNITS); }

static size_t page_of(const void *p) { return ((uintptr_t)p & (SEGMENT_SIZE - 1)) / RUN_PAGE; }

static size_t pages_for(size_t bytes) { return align_up(size_max(bytes, 1), RUN_PAGE) / RUN_PAGE; }

static void list_remove(struct segment *s)
{
    if (s->longest == 0) {
        return;
    }
    if (s->prev) {
        s->prev->next = s->next;
    } else {
        level[s->longest_level] = s->next;
    }
    if (s->next) {
        s->next->prev = s->prev;
    }
}

static void list_insert(struct segment *s)
{
    if (s->longest == 0) {
        return;
    }
    s->longest_level = (uint8_t)log2_floor(s->longest);
    struct segment **head = &level[s->longest_level];
    s->prev = NULL;
    s->next = *head;
    if (s->next) {
        s->next->prev = s;
    }
    *head = s;
}

static void measure_holes(struct segment *s)
{
    const struct run_map *map = map_of(s);
    size_t longest = 0;
    for (size_t from = bitmap_next_set(map->free, FIRST_PAGE, PAGES); from < PAGES;) {
        size_t to = bitmap_next_clear(map->free, from, PAGES);
        longest = size_max(longest, to - from);
        from = bitmap_next_set(map->free, to, PAGES);
    }
    list_remove(s);
    s->longest = (uint16_t)longest;
    list_insert(s);
}

/* The place for a run in the smallest hole that takes it, or PAGES. */
static size_t best_fit(struct segment *s, size_t pages, size_t align)
{
    const struct run_map *map = map_of(s);
    size_t best = PAGES, best_hole = PAGES + 1;
    for (size_t from = bitmap_next_set(map->free, FIRST_PAGE, PAGES); from < PAGES;) {
        size_t to = bitmap_next_clear(map->free, from, PAGES);
        size_t at = align_up(from, align);
        if (at + pages <= to && to - from < best_hole) {
            best = at;
            best_hole = to - from;
        }
        from = bitmap_next_set(map->free, to, PAGES);
    }
    return best;
}

static struct segment *new_segment(void)
{
    uint64_t dirty;
    struct segment *s = segment_take(&dirty);
    if (!s) {
        return NULL;
    }
    struct run_map *map = map_of(s);
    s->kind = SEGMENT_RUNS;
    for (unsigned i = 1; i < UNITS; i++) {
        atomic_store_explicit(&segment_unit(s, i)->owner, OWNER_RUN, memory_order_relaxed);
        if (dirty >> i & 1) {
            bitmap_set_range(map->dirty, i * UNIT_PAGES, (i + 1) * UNIT_PAGES);
            dirty_pages += UNIT_PAGES;
        }
    }
    bitmap_set_range(map->free, FIRST_PAGE, PAGES);
    s->longest = 0;
    measure_holes(s);
    return s;
}

/* A segment with room, and where in it. */
static struct segment *find(size_t pages, size_t align, size_t *at)
{
    enum { CANDIDATES = 8 };
    for (unsigned l = log2_floor(pages); l < LEVELS; l++) {
        int tried = 0;
        for (struct segment *s = level[l]; s && tried < CANDIDATES; s = s->next) {
            if (s->longest < pages) {
                continue;
            }
            *at = best_fit(s, pages, align);
            if (*at < PAGES) {
                return s;
            }
            tried++;
        }
    }
    struct segment *s = new_segment();
    if (s) {
        *at = best_fit(s, pages, align);
    }
    return s;
}

static void use_pages(struct run_map *map, size_t from, size_t to)
{
    bitmap_clear_range(map->free, from, to);
    for (size_t w = from / 64; w * 64 < to; w++) {
        uint64_t dirty = map->dirty[w] & bitmap_word_mask(w, from, to);
        dirty_pages -= count_bits(dirty);
        map->dirty[w] &= ~dirty;
    }
    used_pages += to - from;
}

static size_t purge(struct segment *s)
{
    struct run_map *map = map_of(s);
    size_t bytes = 0;
    for (size_t from = bitmap_next_set(map->dirty, FIRST_PAGE, PAGES); from < PAGES;) {
        size_t to = bitmap_next_clear(map->dirty, from, PAGES);
        size_t covered = os_purge((char *)s + from * RUN_PAGE, (to - from) * RUN_PAGE);
        bytes += covered;
        /* With larger pages than RUN_PAGE the ends of the range stay as they were. */
        if (covered == (to - from) * RUN_PAGE) {
            bitmap_clear_range(map->dirty, from, to);
            dirty_pages -= to - from;
        }
        from = bitmap_next_set(map->dirty, to, PAGES);
    }
    return bytes;
}

/* Pages that may stay resident though free: two of the longest runs, so that one that comes and goes keeps its pages, and
 * an eighth of what is in use. */
static size_t dirty_bound(void) { return 2 * RUN_MAX / RUN_PAGE + used_pages / 8; }

/* A segment without a run goes back to the pool. */
static void give_back(struct segment *s)
{
    struct run_map *map = map_of(s);
    uint64_t dirty = 0;
    list_remove(s);
    for (unsigned i = 1; i < UNITS; i++) {
        dirty |= (uint64_t)bitmap_any(map->dirty, i * UNIT_PAGES, (i + 1) * UNIT_PAGES) << i;
    }
    for (size_t w = 0; w < PAGES / 64; w++) {
        dirty_pages -= count_bits(map->dirty[w]);
    }
    memset(map, 0, sizeof *map);
    segment_give(s, dirty);
}

static void free_pages(struct segment *s, size_t from, size_t to)
{
    struct run_map *map = map_of(s);
    bitmap_set_range(map->free, from, to);
    bitmap_set_range(map->dirty, from, to);
    dirty_pages += to - from;
    used_pages -= to - from;
    measure_holes(s);
    if (s->longest == PAGES - FIRST_PAGE && empty) {
        give_back(s);
        return;
    }
    if (s->longest == PAGES - FIRST_PAGE) {
        empty = s;
    }
    if (dirty_pages > dirty_bound()) {
        purge(s);
    }
}

void *run_alloc(size_t bytes, size_t align, uint32_t heap, bool *zeroed)
{
    size_t pages = pages_for(bytes), at;
    os_lock(&lock);
    struct segment *s = find(pages, size_max(align / RUN_PAGE, 1), &at);
    if (!s) {
        os_unlock(&lock);
        return NULL;
    }
    struct run_map *map = map_of(s);
    empty = s == empty ? NULL : empty;
    *zeroed = !bitmap_any(map->dirty, at, at + pages);
    use_pages(map, at, at + pages);
    map->length[at] = (uint16_t)pages;
    if (map->heap[at] != heap) {
        map->heap[at] = heap;
    }
    used_runs++;
    measure_holes(s);
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
    free_pages(segment_of(run), at, at + pages);
    return pages * RUN_PAGE;
}

size_t run_free(void *run)
{
    os_lock(&lock);
    if (run_length(run) == 0) {
        os_unlock(&lock);
        allot_fault("free of what is no live block", "page run", run);
    }
    size_t bytes = free_locked(run);
    os_unlock(&lock);
    return bytes;
}

bool run_resize(void *run, size_t bytes)
{
    if (bytes > RUN_MAX) {
        return false;
    }
    size_t now = pages_for(bytes), at = page_of(run);
    struct segment *s = segment_of(run);
    struct run_map *map = map_of(run);
    bool done = true;
    os_lock(&lock);
    size_t old = map->length[at];
    if (now < old) {
        map->length[at] = (uint16_t)now;
        free_pages(s, at + now, at + old);
    } else if (now > old) {
        done = at + now <= PAGES && bitmap_all(map->free, at + old, at + now);
        if (done) {
            use_pages(map, at + old, at + now);
            map->length[at] = (uint16_t)now;
            measure_holes(s);
        }
    }
    os_unlock(&lock);
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
    os_unlock(&lock);
    return bytes;
}

size_t runs_trim(void)
{
    size_t bytes = 0;
    os_lock(&lock);
    if (empty) {
        give_back(empty);
        empty = NULL;
    }
    for (unsigned l = 0; l < LEVELS; l++) {
        for (struct segment *s = level[l]; s; s = s->next) {
            bytes += purge(s);
        }
    }
    os_unlock(&lock);
    return bytes;
}

struct run_totals runs_totals(void)
{
    os_lock(&lock);
    struct run_totals totals = {used_pages * RUN_PAGE, used_runs};
    os_unlock(&lock);
    return totals;
}

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
    for (size_t at = FIRST_PAGE; at < PAGES;) {
        size_t pages = map->length[at];
        if (pages != 0) {
            CHECK(at + pages <= PAGES && !bitmap_any(map->free, at, at + pages), "run segment", s);
            ++*runs;
            *used += pages;
            at += pages;
        } else {
            CHECK(bitmap_test(map->free, at), "run segment", s);
            *dirty += bitmap_test(map->dirty, at);
            at++;
        }
    }
}

bool runs_check(void)
{
    size_t used = 0, dirty = 0, runs = 0;
    os_lock(&lock);
    for (struct segment *s = segments_newest(); s; s = s->older) {
        if (s->kind == SEGMENT_RUNS) {
            check_segment(s, &used, &dirty, &runs);
        }
    }
    CHECK(used == used_pages && dirty == dirty_pages && runs == used_runs, "page runs", &used_pages);
    os_unlock(&lock);
    return true;
}

void runs_lock(void) { os_lock(&lock); }

void runs_unlock(void) { os_unlock(&lock); }

void runs_lock_reset(void) { os_lock_reset(&lock); }
