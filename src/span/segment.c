/* span/segment.c - the pool of units.
 *
 * Segments with a free unit hang on lists by how many they have. A taker gets a unit of the fullest segment, so that
 * sparse ones run empty and whole segments become free for page runs. (Hunter et al., "Beyond malloc efficiency to
 * fleet efficiency", OSDI 2021, place by fullness at the grain of huge pages.)
 *
 * Huge pages save page faults and misses of the TLB, and cost what lies unused in them. So they are for units that will be
 * filled, and only once as many are in use that half a segment more is little. Such units come from a frontier: a segment that
 * serves nobody else until its last unit has been taken, and of which the upper half is made a huge page at once, before its
 * first unit is. The lower half has the records in it, of which little is touched. All else begins in small pages, whatever
 * the system's policy is; and what is purged comes back so.
 *
 * With explicit huge pages (option hugetlb) segments are made of those as long as the system's pool has some. They are the
 * process's whether it uses them or not, so nothing in them is purged, and no reserve counts them.
 *
 * Other free units stay resident as the reserve says (span/reserve.h). A list search is one bit scan; every call is O(1) but for
 * the purge, during which others may take and give.
 */
#include "span/segment.h"

#include "base/list.h"
#include "os/fault.h"
#include "os/fence.h"
#include "os/memory.h"
#include "os/watch.h"
#include "span/map.h"
#include "span/reserve.h"

static struct os_lock lock;
static struct os_lock purging; /* held by the one thread that purges. Before `lock`; with that held it is only tried. */
static struct segment *by_free[UNITS]; /* by_free[n]: segments of n free units, n >= 1 */
static uint64_t by_free_map;           /* bit n: by_free[n] is not empty */
static struct segment *frontier;       /* on no list; NULL: none */
static struct segment *apart;          /* nor is this: its units go to unit_take_apart, none has been anybody's */
_Atomic(struct segment *) segments_list;
static atomic_size_t count; /* segments; others read it without the lock */
static size_t used_units;   /* taken, singly or with a whole segment */
static size_t dense_units;  /* of those, taken with UNIT_ALL */
static struct reserve reserve = {.each = UNIT_SIZE};

/* Units that may stay resident though free: 1 MiB, and a thirty-second of what is in use. */
static size_t dirty_bound(void) { return 16 + used_units / 32; }

static void unlist(struct segment *s)
{
    unsigned n = count_bits(s->free);
    list_remove(&by_free[n], s);
    if (!by_free[n]) {
        by_free_map &= ~((uint64_t)1 << n);
    }
}

static void enlist(struct segment *s)
{
    unsigned n = count_bits(s->free);
    list_push(&by_free[n], s);
    by_free_map |= (uint64_t)1 << n;
}

static bool is_listed(const struct segment *s) { return s->free && s != frontier && s != apart; }

/* Changes which units are free, and the list with it. */
static void set_free(struct segment *s, uint64_t free)
{
    if (is_listed(s)) {
        unlist(s);
    }
    s->free = free;
    frontier = free || s != frontier ? frontier : NULL;
    apart = free || s != apart ? apart : NULL;
    if (is_listed(s)) {
        enlist(s);
    }
}

static struct segment *fullest(void) { return by_free_map ? by_free[lowest_bit(by_free_map)] : NULL; }

#define ALL_UNITS  (~(uint64_t)1)
#define EVEN_UNITS (0x5555555555555555 & ALL_UNITS)

/* -- huge pages -- */

#define HALF_UNITS (OS_HUGE_PAGE / UNIT_SIZE)
#define UPPER_HALF (~(uint64_t)0 << HALF_UNITS)

_Static_assert(SEGMENT_SIZE == 2 * OS_HUGE_PAGE, "a segment is two huge pages");

/* Whether another is little beside the units that are in use and filled: a quarter, and less from then on. */
static bool huge_page_fits(void)
{
    return !in_haste && dense_units >= 4 * HALF_UNITS && !segments_fenced && os_huge_pages_worth_it();
}

/* -- segments -- */

bool segments_fenced;

/* All but the records of a new segment, where the kernel's areas allow it. */
static bool shut_segment(struct segment *s)
{
    bool allowed = os_areas_take(UNITS - 1);
    bool done = allowed && os_shut((char *)s + UNIT_SIZE, SEGMENT_SIZE - UNIT_SIZE);
    if (allowed && !done) {
        os_areas_give(UNITS - 1);
    }
    return done;
}

/* With the lock held; false with memory out. Where others have spent the areas the segment has no fences any more, rather than
 * its units no use. */
static bool open_unit(struct segment *s, unsigned i)
{
    uint64_t bit = (uint64_t)1 << i;
    if (likely(!(s->shut & bit))) {
        return true;
    }
    if (os_protect((char *)s + i * UNIT_SIZE, UNIT_SIZE, true)) {
        s->shut &= ~bit;
    } else if (os_protect(s, SEGMENT_SIZE, true)) {
        s->shut = 0;
    }
    return !(s->shut & bit);
}

static uint64_t units_of(const struct segment *s) { return s->fenced ? EVEN_UNITS : ALL_UNITS; }

/* Puts a new segment into the chain; of its free units a huge page made those resident that are `ready`. */
static void add_segment(struct segment *s, uint64_t ready)
{
    for (unsigned i = 0; i < UNITS; i++) {
        atomic_store_explicit(&segment_unit(s, i)->owner, OWNER_FREE, memory_order_relaxed);
    }
    s->kind = SEGMENT_UNITS;
    watch_roots(s, SEGMENT_SIZE, true);
    s->ready = ready;
    s->older = atomic_load_explicit(&segments_list, memory_order_relaxed);
    atomic_store_explicit(&segments_list, s, memory_order_release);
    atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
    set_free(s, units_of(s));
}

/* Segments of explicit huge pages, one or as many as one page has room for; one of them, or NULL. */
static struct segment *segments_map_hugetlb(void)
{
    size_t bytes = size_max(atomic_load_explicit(&os_hugetlb_page, memory_order_relaxed), SEGMENT_SIZE);
    char *at = os_map_hugetlb(bytes, bytes);
    for (size_t done = 0; at && done < bytes; done += SEGMENT_SIZE) {
        struct segment *s = (struct segment *)(at + done);
        if (!map_set(s, MAP_SEGMENT)) { /* the first; the others' places in the map are beside it */
            os_unmap(at, bytes);
            return NULL;
        }
        s->hugetlb = true;
        add_segment(s, ALL_UNITS);
    }
    return (struct segment *)at;
}

static struct segment *segment_map(bool fences)
{
    struct segment *s = segments_map_hugetlb();
    if (s) {
        return s;
    }
    s = os_map_aligned(SEGMENT_SIZE, SEGMENT_SIZE);
    if (!s) {
        return NULL;
    }
    if (!map_set(s, MAP_SEGMENT)) {
        os_unmap(s, SEGMENT_SIZE);
        return NULL;
    }
    os_small_pages(s, SEGMENT_SIZE);
    s->fenced = fences && shut_segment(s);
    s->shut = s->fenced ? EVEN_UNITS : 0;
    add_segment(s, 0);
    return s;
}

/* -- units -- */

/* Makes a segment the frontier, a purged one rather than a new one; not while many units lie free elsewhere. */
static void open_frontier(void)
{
    struct segment *s = by_free[UNITS - 1];
    if (frontier || !huge_page_fits()) {
        return;
    }
    if (!s || s->dirty) {
        s = count * (UNITS - 1) - used_units < UNITS + used_units / 8 ? segment_map(false) : NULL;
    }
    if (s) {
        unlist(s);
        frontier = s;
    }
}

/* A segment with a free unit. */
static struct segment *choose(enum unit_use use, bool few_dirty)
{
    struct segment *s = fullest();
    if (use == UNIT_ALL && few_dirty && !(s && s->dirty)) {
        open_frontier();
        s = frontier;
    }
    s = s ? s : fullest();
    s = s ? s : segment_map(segments_fenced);
    return s ? s : frontier;
}

struct unit *unit_take(enum unit_use use)
{
    os_lock(&lock);
    bool few_dirty = reserve_dirty(&reserve) < dirty_bound() / 2; /* else, not to use them means to purge them */
    struct segment *s = choose(use, few_dirty);
    if (!s) { /* memory is out, but for what is on its way to be purged */
        os_unlock(&lock);
        os_lock(&purging);
        os_lock(&lock);
        os_unlock(&purging);
        s = choose(use, few_dirty);
    }
    if (!s) {
        os_unlock(&lock);
        return NULL;
    }
    bool clean = use == UNIT_FEW && few_dirty;
    uint64_t resident = s->dirty | s->ready, wanted = s->free & (clean ? ~resident : resident);
    unsigned i = lowest_bit(wanted ? wanted : s->free);
    uint64_t bit = (uint64_t)1 << i;
    struct unit *unit = segment_unit(s, i);
    if (!open_unit(s, i)) {
        os_unlock(&lock);
        return NULL;
    }
    reserve_take(&reserve, (s->dirty & bit) != 0, !(resident & bit) && !clean);
    s->dirty &= ~bit;
    s->ready &= ~bit;
    /* The first of the upper half, where nothing is taken or resident. */
    bool first = i == HALF_UNITS && (s->free & ~resident & UPPER_HALF) == UPPER_HALF;
    if (first && s == frontier && huge_page_fits() && os_huge_page((char *)s + OS_HUGE_PAGE)) {
        s->ready |= UPPER_HALF & ~bit;
        reserve_take(&reserve, 0, HALF_UNITS - 1);
    }
    set_free(s, s->free & ~bit);
    used_units++;
    unit->dense = use == UNIT_ALL;
    dense_units += unit->dense;
    os_unlock(&lock);
    return unit;
}

struct unit *unit_take_apart(void)
{
    struct unit *unit = NULL;
    os_lock(&lock);
    if (!apart) {
        struct segment *s = segment_map(segments_fenced);
        if (s) {
            unlist(s);
            apart = s;
        }
    }
    unsigned i = apart ? lowest_bit(apart->free) : 0;
    if (apart && open_unit(apart, i)) {
        unit = segment_unit(apart, i);
        apart->ready &= ~((uint64_t)1 << i);
        set_free(apart, apart->free & ~((uint64_t)1 << i));
        used_units++;
    }
    os_unlock(&lock);
    return unit;
}

static struct unit *find_fence(void)
{
    for (struct segment *s = segments_list; s; s = s->older) {
        for (unsigned i = 1; i < UNITS && s->fenced; i += 2) {
            if (unit_owner(segment_unit(s, i)) == OWNER_FREE) {
                return segment_unit(s, i);
            }
        }
    }
    return NULL;
}

struct unit *unit_take_fence(uint32_t owner)
{
    static bool spent; /* the kernel's areas */
    os_lock(&lock);
    struct unit *unit = segments_fenced && !spent ? find_fence() : NULL;
    if (!unit && segments_fenced && !spent && segment_map(true)) {
        unit = find_fence();
        spent = !unit;
    }
    if (unit) {
        atomic_store_explicit(&unit->owner, owner, memory_order_relaxed);
    }
    os_unlock(&lock);
    return unit;
}

/* Those of a segment with fences cannot be accessed then. */
static bool purge_units(const struct segment *s, unsigned from, unsigned to)
{
    char *at = (char *)s + from * UNIT_SIZE;
    size_t length = (to - from) * UNIT_SIZE;
    return s->fenced ? os_fence(at, length) : os_purge(at, length) != 0;
}

/* Purges the dirty units of a segment, neighbours in one call, without the lock: meanwhile they count as taken. What the
 * system will not purge (locked memory) stays dirty. Returns how many are not any more. `all`: also what a huge page made
 * resident, as in any case where nothing else is left of it. */
static size_t purge(struct segment *s, bool all, size_t *bytes)
{
    uint64_t dirty = s->dirty, ready = (all || s->free == units_of(s)) && !s->hugetlb ? s->ready : 0,
             units = dirty | ready, left = units, fences = ALL_UNITS & ~units_of(s);
    size_t count_taken = count_bits(units);
    if (!units) {
        return 0;
    }
    set_free(s, s->free & ~units);
    s->dirty = 0;
    s->ready &= ~ready;
    used_units += count_taken;
    os_unlock(&lock);
    for (unsigned i = 1; i < UNITS; i++) {
        unsigned from = i;
        while (i < UNITS && (units >> i & 1)) { /* across fences, in which there is nothing */
            i += 1 + (fences >> (i + 1) % UNITS & 1);
        }
        bool done = i > from && purge_units(s, from, i);
        for (unsigned u = from; done && u < i; u++) {
            segment_unit(s, u)->touched = 0;
            segment_unit(s, u)->holes = 0;
            left &= ~((uint64_t)1 << u);
            *bytes += units >> u & 1 ? UNIT_SIZE : 0;
        }
    }
    os_lock(&lock);
    used_units -= count_taken;
    s->dirty |= left & dirty;
    s->ready |= left & ready;
    s->shut |= s->fenced ? units & ~left : 0;
    set_free(s, s->free | units);
    return count_bits(dirty & ~left);
}

static size_t excess(void) { return reserve_excess(&reserve, dirty_bound(), dirty_bound() / 2); }

/* Last in what a caller does with the lock, which is let go in between. Another thread that is purging sees to it, also to
 * what comes meanwhile. */
static void keep_bound(void)
{
    size_t many = excess(), bytes = 0;
    if (likely(many == 0) || !os_try_lock(&purging)) {
        return;
    }
    for (; many; many = excess()) {
        size_t purged = 0;
        for (struct segment *s = segments_list; s && purged < many; s = s->older) {
            purged += purge(s, false, &bytes);
        }
        reserve_purged(&reserve, many, purged);
    }
    os_unlock(&purging);
}

void unit_give(struct unit *unit)
{
    struct segment *s = segment_of(unit);
    uint64_t bit = (uint64_t)1 << unit_index(unit);
    os_lock(&lock);
    atomic_store_explicit(&unit->owner, OWNER_FREE, memory_order_relaxed);
    used_units--;
    dense_units -= unit->dense;
    unit->dense = false;
    if (s->hugetlb) {
        s->ready |= bit;
    } else {
        s->dirty |= bit;
        reserve_add(&reserve, 1);
    }
    set_free(s, s->free | bit);
    keep_bound();
    os_unlock(&lock);
}

struct segment *segment_take(uint64_t *dirty)
{
    os_lock(&lock);
    struct segment *s = by_free[UNITS - 1] ? by_free[UNITS - 1] : segment_map(false);
    if (s) {
        uint64_t resident = s->dirty | s->ready;
        *dirty = s->hugetlb ? 0 : resident;
        reserve_take(&reserve, count_bits(s->dirty), UNITS - 1 - count_bits(resident));
        s->dirty = s->ready = 0;
        set_free(s, 0);
        used_units += UNITS - 1;
    }
    os_unlock(&lock);
    return s;
}

void segment_give(struct segment *s, uint64_t dirty)
{
    os_lock(&lock);
    uint64_t written = s->hugetlb ? ALL_UNITS : dirty;
    s->kind = SEGMENT_UNITS;
    for (unsigned i = 1; i < UNITS; i++) {
        struct unit *unit = segment_unit(s, i);
        atomic_store_explicit(&unit->owner, OWNER_FREE, memory_order_relaxed);
        unit->touched = written >> i & 1 ? UNIT_SIZE / 16 : 0;
        unit->holes = 0;
    }
    used_units -= UNITS - 1;
    s->dirty = dirty;
    s->ready = written & ~dirty;
    reserve_add(&reserve, count_bits(dirty));
    set_free(s, ALL_UNITS);
    os_unlock(&lock);
}

void segments_catch_up(void)
{
    os_lock(&lock);
    keep_bound();
    os_unlock(&lock);
}

size_t segments_trim(void)
{
    size_t bytes = 0, purged = 0;
    os_lock(&purging);
    os_lock(&lock);
    for (struct segment *s = segments_list; s; s = s->older) {
        purged += purge(s, true, &bytes);
    }
    reserve_emptied(&reserve, purged);
    os_unlock(&purging);
    keep_bound();
    os_unlock(&lock);
    return bytes;
}

struct segment *segments_newest(void) { return atomic_load_explicit(&segments_list, memory_order_acquire); }

size_t segments_count(void) { return atomic_load_explicit(&count, memory_order_relaxed); }

size_t segments_kept(void) { return reserve_dirty(&reserve) * UNIT_SIZE; }

bool segments_check(void)
{
    size_t dirty = 0, used = 0, dense = 0, segments = 0;
    segments_lock();
    for (struct segment *s = segments_list; s; s = s->older) {
        segments++;
        CHECK((s->free & 1) == 0, "segment", s);
        CHECK(((s->dirty | s->ready) & ~s->free) == 0 && (s->dirty & s->ready) == 0, "segment", s);
        CHECK(!s->hugetlb || (s->dirty == 0 && s->ready == s->free), "segment", s);
        CHECK(map_get(s) == MAP_SEGMENT, "segment", s);
        dirty += count_bits(s->dirty);
        CHECK(((s->free | s->shut) & ~units_of(s)) == 0 && (s->shut & ~s->free) == 0, "segment", s);
        used += count_bits(units_of(s) & ~s->free);
        for (unsigned i = 1; i < UNITS; i++) {
            dense += segment_unit(s, i)->dense;
        }
    }
    for (unsigned n = 1; n < UNITS; n++) {
        CHECK((by_free[n] != NULL) == (by_free_map >> n & 1), "segment list", &by_free[n]);
        for (struct segment *s = by_free[n]; s; s = s->next) {
            CHECK(count_bits(s->free) == n && is_listed(s), "segment", s);
            CHECK(!s->next || s->next->prev == s, "segment", s);
        }
    }
    CHECK(!frontier || frontier->free, "segment", frontier);
    CHECK(!apart || (apart->free && !apart->dirty), "segment", apart);
    CHECK(segments == count && dirty == reserve_dirty(&reserve) && used == used_units && dense == dense_units,
          "segment pool", &count);
    segments_unlock();
    return true;
}

/* So that no unit is on its way to be purged when the process forks. */
void segments_lock(void)
{
    os_lock(&purging);
    os_lock(&lock);
}

void segments_unlock(void)
{
    os_unlock(&lock);
    os_unlock(&purging);
}

void segments_lock_reset(void)
{
    os_lock_reset(&lock);
    os_lock_reset(&purging);
}
