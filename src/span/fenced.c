/* span/fenced.c - see span/fenced.h. Two system calls a block, or three.
 *
 *   live -- give --> held: a ring of FENCED_HELD --> stock, by room -- take --> live
 *                                                '-> unmapped, when it is long or the stock is full, and nobody's own
 *
 * A block of which all is resident is wiped and keeps its pages, within what the reserve says (span/reserve.h): a page that is
 * there costs a tenth of one that must be faulted in. Else its pages go back, which wipes them as well.
 */
#include "span/fenced.h"

#include <string.h>

#include "base/bits.h"
#include "base/list.h"
#include "os/fault.h"
#include "os/fence.h"
#include "os/lock.h"
#include "os/memory.h"
#include "span/map.h"
#include "span/reserve.h"
#include "span/segment.h"

enum {
    LEVELS = sizeof(struct fence_stock) / sizeof(struct fence *) - 1, /* of rooms; longer places have the last list */
    STOCK_MOST = 128,                                                 /* places */
    AREAS = 3,                                                        /* of the kernel's, that a live place makes */
};
#define ROOM_LEAST (64 * KIB)
#define WIPE_MOST  (2 * MIB)   /* longer blocks are given back rather than wiped */
#define HELD_ONE   (32 * MIB)  /* longer ones are not held, */
#define HELD_MOST  (512 * MIB) /* nor more than so many bytes of address space */

static struct os_lock lock;
static struct fence *unused;      /* records without a place, by next */
static struct fence_stock common; /* nobody's own; none that is longer */
static size_t common_count, live_room;
static struct fence *ring[FENCED_HELD]; /* [at - held, at): those that are held, oldest first */
static size_t ring_at, held, held_room;
static struct reserve reserve = {.each = 1}; /* of dirty places that are held or in stock, in bytes of room */

/* -- rooms -- */

static size_t room_of(unsigned level) { return align_up((ROOM_LEAST << level / 4) / 4 * (4 + level % 4), os_page); }

/* The first with room for so much; LEVELS for none. */
static unsigned level_of(size_t length)
{
    unsigned level = 0;
    while (level < LEVELS && room_of(level) < length) {
        level++;
    }
    return level;
}

/* -- what nobody has; with the lock held -- */

static void set_clean(struct fence *f)
{
    f->dirty = false;
    f->full = 0;
    os_count_mapped(-(ptrdiff_t)f->room);
}

/* The caller tells the reserve. Returns the bytes. */
static size_t purge(struct fence *f)
{
    size_t bytes = f->dirty ? os_purge(f->at, f->room) : 0;
    if (bytes) {
        set_clean(f);
    }
    return bytes;
}

/* Does not count as kept any more, whether the system purges it or not. */
static void let_go(struct fence *f)
{
    if (f->dirty) {
        set_clean(f);
        reserve_purged(&reserve, f->room, f->room);
    }
}

static void unmap(struct fence *f)
{
    let_go(f);
    if (f->bare) {
        os_count_mapped((ptrdiff_t)f->room);
        os_unmap(f->at, f->room);
    } else {
        os_unmap_fenced(f->at, f->room);
        os_areas_give(AREAS);
    }
    f->next = unused;
    unused = f;
}

static void put_to_stock(struct fence *f)
{
    unsigned level = level_of(f->room);
    if (f->stock != &common) {
        if (f->dirty) {
            os_purge(f->at, f->room);
        }
        let_go(f);
        list_push(&f->stock->level[level], f);
    } else if (level < LEVELS && common_count < STOCK_MOST) {
        list_push(&common.level[level], f);
        common_count++;
    } else {
        unmap(f);
    }
}

static void remove_from_stock(struct fence *f)
{
    list_remove(&f->stock->level[level_of(f->room)], f);
    common_count -= f->stock == &common;
}

static void release_oldest(void)
{
    struct fence *f = ring[(ring_at - held) % FENCED_HELD];
    held--;
    held_room -= f->room;
    put_to_stock(f);
}

static void hold(struct fence *f)
{
    if (f->room > HELD_ONE) {
        put_to_stock(f);
        return;
    }
    while (held == FENCED_HELD || (held && held_room + f->room > HELD_MOST)) {
        release_oldest();
    }
    ring[ring_at++ % FENCED_HELD] = f;
    held++;
    held_room += f->room;
}

/* So many bytes or some more: of the stock, and of those that will be held longest. */
static size_t purge_many(size_t most)
{
    size_t bytes = 0;
    for (unsigned level = LEVELS; level-- > 0;) {
        for (struct fence *f = common.level[level]; f && bytes < most; f = f->next) {
            bytes += purge(f);
        }
    }
    for (size_t i = 1; i <= held && bytes < most; i++) {
        bytes += purge(ring[(ring_at - i) % FENCED_HELD]);
    }
    return bytes;
}

static void keep_bound(void)
{
    size_t excess = reserve_excess(&reserve, MIB + live_room / 8, 0);
    if (excess) {
        reserve_purged(&reserve, excess, purge_many(excess));
    }
}

size_t fences_trim(void)
{
    size_t bytes = 0;
    os_lock(&lock);
    while (held) {
        release_oldest();
    }
    for (unsigned level = 0; level < LEVELS; level++) {
        while (common.level[level]) {
            struct fence *f = common.level[level];
            bytes += f->room;
            remove_from_stock(f);
            unmap(f);
        }
    }
    reserve_emptied(&reserve, 0);
    os_unlock(&lock);
    return bytes;
}

/* -- live -- */

/* From the stock, or a record without a place yet; NULL without either. */
static struct fence *find(size_t length, size_t align, struct fence_stock *stock)
{
    unsigned level = level_of(length), end = stock == &common ? (unsigned)size_min(level + 4, LEVELS) : LEVELS + 1;
    for (; level < end; level++) {
        struct fence *f = stock->level[level];
        while (f && (f->room < length || (uintptr_t)f->at % align)) {
            f = f->next;
        }
        if (f) {
            remove_from_stock(f);
            reserve_take(&reserve, f->dirty ? f->room : 0, f->dirty ? 0 : f->room);
            return f;
        }
    }
    struct fence *f = unused;
    unused = f ? f->next : NULL;
    f = f ? f : record_alloc(sizeof *f);
    if (f) {
        f->at = NULL;
        f->stock = stock;
    }
    return f;
}

static bool map_place(struct fence *f, size_t length, size_t align)
{
    unsigned level = level_of(length);
    f->room = level < LEVELS ? room_of(level) : length;
    f->dirty = false;
    f->full = 0;
    if (os_areas_take(AREAS) && !(f->at = os_map_fenced(f->room, align))) {
        os_areas_give(AREAS);
    }
    f->bare = !f->at && f->stock != &common;
    if (f->bare && (f->at = os_map_aligned(f->room, align))) {
        os_count_mapped(-(ptrdiff_t)f->room);
    }
    return f->at;
}

/* Changes what can be accessed of it; false when the system refuses. */
static bool open(const struct fence *f, size_t from, size_t to) { return f->bare || os_open(f->at + from, to - from); }

static bool shut(const struct fence *f, size_t from, size_t to) { return f->bare || os_shut(f->at + from, to - from); }

struct fence *fence_take(size_t length, size_t align, struct fence_stock *own)
{
    os_lock(&lock);
    struct fence *f = find(length, align, own ? own : &common);
    os_unlock(&lock);
    bool placed = f && (f->at || map_place(f, length, align)), done = placed && open(f, 0, length);
    if (!f) {
        return NULL;
    }
    os_lock(&lock);
    if (done) {
        os_count_mapped(f->dirty ? 0 : (ptrdiff_t)f->room);
        f->dirty = true;
        live_room += f->room;
    } else if (placed) {
        reserve_add(&reserve, f->dirty ? f->room : 0);
        if (f->stock == &common) {
            unmap(f);
        } else {
            put_to_stock(f);
        }
    } else {
        f->next = unused;
        unused = f;
    }
    os_unlock(&lock);
    return done ? f : NULL;
}

/* What can be accessed is zero from now on, and goes back where the system lets it. */
static void wipe(char *at, size_t length)
{
    if (os_purge(at, length) == 0) {
        memset(at, 0, length);
    }
}

void fence_give(struct fence *f, size_t length)
{
    bool stays = !in_haste && length <= WIPE_MOST && (length <= f->full || os_resident(f->at, length) >= length);
    if (stays) {
        memset(f->at, 0, length);
    }
    stays = stays && shut(f, 0, length);
    if (!stays && f->bare) {
        wipe(f->at, length);
    } else if (!stays) {
        os_fence(f->at, length);
    }
    os_lock(&lock);
    live_room -= f->room;
    if (stays) {
        f->full = size_max(f->full, length);
        reserve_add(&reserve, f->room);
    } else {
        set_clean(f);
    }
    hold(f);
    keep_bound();
    os_unlock(&lock);
}

bool fence_resize(struct fence *f, size_t length, size_t now)
{
    if (now > length) {
        return now <= f->room && open(f, length, now);
    }
    char *rest = f->at + now;
    if (!shut(f, now, length)) {
        return false;
    }
    if (f->bare) {
        wipe(rest, length - now);
    } else if (os_purge(rest, length - now) == 0 && os_protect(rest, length - now, true)) { /* locked memory */
        memset(rest, 0, length - now);
        os_shut(rest, length - now);
    }
    f->full = size_min(f->full, now);
    return true;
}

size_t fences_kept(void) { return reserve_dirty(&reserve); }

size_t fences_resident(void)
{
    size_t bytes = 0;
    os_lock(&lock);
    for (unsigned level = 0; level < LEVELS; level++) {
        for (const struct fence *f = common.level[level]; f; f = f->next) {
            bytes += f->dirty ? os_resident(f->at, f->room) : 0;
        }
    }
    for (size_t i = 1; i <= held; i++) {
        const struct fence *f = ring[(ring_at - i) % FENCED_HELD];
        bytes += f->dirty ? os_resident(f->at, f->room) : 0;
    }
    os_unlock(&lock);
    return bytes;
}

bool fences_check(void)
{
    size_t count = 0, dirty = 0, room = 0;
    os_lock(&lock);
    for (unsigned level = 0; level < LEVELS; level++) {
        for (struct fence *f = common.level[level]; f; f = f->next) {
            CHECK(f->room == room_of(level) && (!f->next || f->next->prev == f), "fenced place", f);
            dirty += f->dirty ? f->room : 0;
            count++;
        }
    }
    for (size_t i = 1; i <= held; i++) {
        const struct fence *f = ring[(ring_at - i) % FENCED_HELD];
        dirty += f->dirty ? f->room : 0;
        room += f->room;
    }
    CHECK(count == common_count && room == held_room && dirty == reserve_dirty(&reserve), "fenced places", &lock);
    os_unlock(&lock);
    return true;
}

bool fence_spans(const struct fence *f, const void *address)
{
    return (uintptr_t)address - (uintptr_t)(f->at - os_page) < f->room + 2 * os_page;
}

bool fence_find_given(const void *address, const void **block, size_t *bytes)
{
    const struct fence *found = NULL;
    if (!os_try_lock(&lock)) {
        return false;
    }
    for (size_t i = 1; i <= held && !found; i++) {
        const struct fence *f = ring[(ring_at - i) % FENCED_HELD];
        found = fence_spans(f, address) ? f : NULL;
    }
    for (unsigned level = 0; level < LEVELS; level++) {
        for (const struct fence *f = common.level[level]; f && !found; f = f->next) {
            found = fence_spans(f, address) ? f : NULL;
        }
    }
    if (found) {
        *block = found->at;
        *bytes = found->asked;
    }
    os_unlock(&lock);
    return found;
}

void fences_lock(void) { os_lock(&lock); }

void fences_unlock(void) { os_unlock(&lock); }

void fences_lock_reset(void) { os_lock_reset(&lock); }
