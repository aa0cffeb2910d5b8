/* span/segment.c - the pool of units.
 *
 * Segments with a free unit hang on lists by how many they have. A taker gets a unit of the fullest segment, so that
 * sparse ones run empty and whole segments become free for page runs. (Hunter et al., "Beyond malloc efficiency to
 * fleet efficiency", OSDI 2021, place by fullness at the grain of huge pages.)
 *
 * Free units stay resident as the reserve says (span/reserve.h). A list search is one bit scan; every call is O(1) but for
 * the purge, during which others may take and give.
 */
#include "span/segment.h"

#include "base/list.h"
#include "os/fault.h"
#include "os/memory.h"
#include "span/map.h"
#include "span/reserve.h"

static struct os_lock lock;
static struct os_lock purging; /* held by the one thread that purges. Before `lock`; with that held it is only tried. */
static struct segment *by_free[UNITS]; /* by_free[n]: segments of n free units, n >= 1 */
static uint64_t by_free_map;           /* bit n: by_free[n] is not empty */
static _Atomic(struct segment *) newest;
static size_t count;      /* segments */
static size_t used_units; /* taken, singly or with a whole segment */
static struct reserve reserve;

/* Units that may stay resident though free: 1 MiB, and an eighth of what is in use. */
static size_t dirty_bound(void) { return 16 + used_units / 8; }

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

/* Changes which units are free, and the list with it. */
static void set_free(struct segment *s, uint64_t free)
{
    if (s->free) {
        unlist(s);
    }
    s->free = free;
    if (free) {
        enlist(s);
    }
}

#define ALL_UNITS (~(uint64_t)1)

static struct segment *segment_map(void)
{
    struct segment *s = os_map_aligned(SEGMENT_SIZE, SEGMENT_SIZE);
    if (!s) {
        return NULL;
    }
    if (!map_set(s, MAP_SEGMENT)) {
        os_unmap(s, SEGMENT_SIZE);
        return NULL;
    }
    for (unsigned i = 0; i < UNITS; i++) {
        atomic_store_explicit(&segment_unit(s, i)->owner, OWNER_FREE, memory_order_relaxed);
    }
    s->kind = SEGMENT_UNITS;
    s->older = atomic_load_explicit(&newest, memory_order_relaxed);
    atomic_store_explicit(&newest, s, memory_order_release);
    count++;
    set_free(s, ALL_UNITS);
    return s;
}

struct unit *unit_take(bool clean)
{
    os_lock(&lock);
    struct segment *s = by_free_map ? by_free[lowest_bit(by_free_map)] : segment_map();
    if (!s) { /* memory is out, but for what is on its way to be purged */
        os_unlock(&lock);
        os_lock(&purging);
        os_lock(&lock);
        os_unlock(&purging);
        s = by_free_map ? by_free[lowest_bit(by_free_map)] : NULL;
    }
    if (!s) {
        os_unlock(&lock);
        return NULL;
    }
    /* Once too many are dirty, not to use them means to purge them. */
    clean = clean && reserve.dirty < dirty_bound() / 2;
    uint64_t wanted = s->free & (clean ? ~s->dirty : s->dirty);
    unsigned i = lowest_bit(wanted ? wanted : s->free);
    uint64_t bit = (uint64_t)1 << i;
    bool dirty = s->dirty & bit;
    s->dirty &= ~bit;
    reserve_take(&reserve, dirty, !dirty && !clean);
    set_free(s, s->free & ~bit);
    used_units++;
    os_unlock(&lock);
    return segment_unit(s, i);
}

/* Purges the dirty units of a segment, neighbours in one call, without the lock: meanwhile they count as taken. What the
 * system will not purge (locked memory) stays dirty. Returns how many are not any more. */
static size_t purge(struct segment *s, size_t *bytes)
{
    uint64_t units = s->dirty, left = units;
    size_t count_taken = count_bits(units);
    if (!units) {
        return 0;
    }
    set_free(s, s->free & ~units);
    s->dirty = 0;
    used_units += count_taken;
    os_unlock(&lock);
    for (unsigned i = 1; i < UNITS; i++) {
        unsigned from = i;
        while (i < UNITS && (units >> i & 1)) {
            i++;
        }
        size_t covered = i > from ? os_purge((char *)s + from * UNIT_SIZE, (i - from) * UNIT_SIZE) : 0;
        for (unsigned u = from; covered != 0 && u < i; u++) {
            segment_unit(s, u)->touched = 0;
            left &= ~((uint64_t)1 << u);
        }
        *bytes += covered;
    }
    os_lock(&lock);
    used_units -= count_taken;
    s->dirty |= left;
    set_free(s, s->free | units);
    return count_taken - count_bits(left);
}

static size_t excess(void) { return reserve_excess(&reserve, dirty_bound(), dirty_bound() / 2); }

/* Last in what a caller does with the lock, which is let go in between. Another thread that is purging sees to it, also to
 * what comes meanwhile. */
static void keep_bound(void)
{
    size_t many = excess(), purged = 1, bytes = 0;
    if (likely(many == 0) || !os_try_lock(&purging)) {
        return;
    }
    for (; many && purged; many = excess()) {
        purged = 0;
        for (struct segment *s = newest; s && purged < many; s = s->older) {
            purged += purge(s, &bytes);
        }
        reserve_purged(&reserve, purged);
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
    s->dirty |= bit;
    reserve_add(&reserve, 1);
    set_free(s, s->free | bit);
    keep_bound();
    os_unlock(&lock);
}

struct segment *segment_take(uint64_t *dirty)
{
    os_lock(&lock);
    struct segment *s = by_free[UNITS - 1] ? by_free[UNITS - 1] : segment_map();
    if (s) {
        *dirty = s->dirty;
        unsigned taken = count_bits(s->dirty);
        reserve_take(&reserve, taken, UNITS - 1 - taken);
        s->dirty = 0;
        set_free(s, 0);
        used_units += UNITS - 1;
    }
    os_unlock(&lock);
    return s;
}

void segment_give(struct segment *s, uint64_t dirty)
{
    os_lock(&lock);
    s->kind = SEGMENT_UNITS;
    for (unsigned i = 1; i < UNITS; i++) {
        struct unit *unit = segment_unit(s, i);
        atomic_store_explicit(&unit->owner, OWNER_FREE, memory_order_relaxed);
        unit->touched = dirty >> i & 1 ? UNIT_SIZE / 16 : 0;
    }
    used_units -= UNITS - 1;
    s->dirty = dirty;
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
    for (struct segment *s = newest; s; s = s->older) {
        purged += purge(s, &bytes);
    }
    reserve_emptied(&reserve, purged);
    os_unlock(&purging);
    keep_bound();
    os_unlock(&lock);
    return bytes;
}

struct segment *segments_newest(void) { return atomic_load_explicit(&newest, memory_order_acquire); }

size_t segments_count(void) { return count; }

bool segments_check(void)
{
    size_t dirty = 0, used = 0, segments = 0;
    segments_lock();
    for (struct segment *s = newest; s; s = s->older) {
        segments++;
        CHECK((s->free & 1) == 0, "segment", s);
        CHECK((s->dirty & ~s->free) == 0, "segment", s);
        CHECK(map_get(s) == MAP_SEGMENT, "segment", s);
        dirty += count_bits(s->dirty);
        used += UNITS - 1 - count_bits(s->free);
    }
    for (unsigned n = 1; n < UNITS; n++) {
        CHECK((by_free[n] != NULL) == (by_free_map >> n & 1), "segment list", &by_free[n]);
        for (struct segment *s = by_free[n]; s; s = s->next) {
            CHECK(count_bits(s->free) == n, "segment", s);
            CHECK(!s->next || s->next->prev == s, "segment", s);
        }
    }
    CHECK(segments == count && dirty == reserve.dirty && used == used_units, "segment pool", &count);
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
