/* move/far.c - objects that are no small ones: in zones, which are regions, or in pages of their own; and those that may be purged.
 *
 *   stub --> far: at, size, key, pins ... --> | number, 16 bytes | object |      in a zone of 16 MiB, placed by first fit in units of 64
 *                                             | number, 16 bytes | object |      in a mapping, where it is longer than a quarter of that
 *
 * A zone is compacted by the region's own plan (allot/region.h, the same that a GPU's memory is defragmented with), some moves at a
 * time. Zones are short so that a plan is: O(n log n) of the ranges in one. What is free of a zone is given back by whole pages. Not
 * for small objects: a range is a node of 32 bytes, and there would be a million of them to a plan.
 *
 * Purgeable objects go by the clock: a hand goes round over all, and takes those that nobody has used since it last came by. (Corbato,
 * "A paging experiment with the Multics system", 1968.)
 */
#include "move/movable.h"

#include <errno.h>

#include "os/memory.h"

struct far *far_of(struct movable *h, uint32_t number) { return &h->far_leaf[number / FAR_LEAF][number % FAR_LEAF]; }

static char *zone_at(const struct movable *h, uint32_t z) { return h->far_area + (size_t)z * ZONE_SIZE; }

static char *place_of(const struct far *far) { return far->at - FAR_HEADER; }

static size_t own_bytes(size_t size) { return align_up(FAR_HEADER + size, os_page); }

static bool wants_own(const struct movable *h, size_t size) { return FAR_HEADER + size > ZONE_MOST || h->debug; }

static size_t held_by(bool own, size_t size) { return own ? own_bytes(size) : align_up(FAR_HEADER + size, ZONE_UNIT); }

static struct allot_range range_of(const struct movable *h, const struct far *far)
{
    uint64_t at = (uint64_t)(place_of(far) - zone_at(h, far->zone));
    return (struct allot_range){.at = at, .size = align_up(FAR_HEADER + far->size, ZONE_UNIT), .id = far->id};
}

static void settle(struct far *far, char *place, uint32_t number)
{
    memcpy(place, &number, sizeof number);
    far->at = place + FAR_HEADER;
}

/* -- zones -- */

static void touch(struct movable *h, uint32_t z, uint64_t at, uint64_t size)
{
    bitmap_set_range(h->zone[z].touched, at / os_page, (at + size - 1) / os_page + 1);
    h->zone[z].used += size;
    h->far_held += size;
}

/* An object's place in a mapping: all else of that is nobody's. */
static void begin_own(const struct movable *h, const char *own, size_t size)
{
    object_ends(h, own, own_bytes(size));
    object_begins(h, own + FAR_HEADER, size);
}

static void give(struct movable *h, struct far *far)
{
    struct zone *zone = &h->zone[far->zone];
    struct allot_range range = range_of(h, far);
    allot_region_give(&zone->region, &range);
    zone->used -= range.size;
    h->far_held -= range.size;
    zone->refused = SIZE_MAX;
    zone->changed = true;
    h->trim_due = true;
}

static bool zone_begin(struct movable *h, uint32_t z)
{
    struct zone *zone = &h->zone[z];
    if (!h->far_area && !(h->far_area = os_reserve(h->far_size, os_page))) {
        return false;
    }
    if (z == 0) {
        os_small_pages(h->far_area, h->far_size);
    }
    struct allot_region_opts opts = {.fit = ALLOT_FIRST, .unit = ZONE_UNIT};
    if (!zone->made && allot_region_init(&zone->region, 0, ZONE_SIZE, &opts) != 0) {
        return false;
    }
    if (!zone->made) {
        object_ends(h, zone_at(h, z), ZONE_SIZE);
    }
    zone->made = true;
    zone->refused = SIZE_MAX;
    h->zones = (uint32_t)size_max(h->zones, z + 1);
    return true;
}

static bool place_in_zone(struct movable *h, struct far *far, uint32_t number, size_t bytes)
{
    for (uint32_t z = 0; z < h->zones_most; z++) {
        struct zone *zone = &h->zone[z];
        if (z == h->zones && !zone_begin(h, z)) {
            return false;
        }
        struct allot_range range;
        if (bytes >= zone->refused || bytes > ZONE_SIZE - zone->used) {
            continue;
        }
        int failed = allot_region_take(&zone->region, bytes, 0, &range);
        if (failed == -ENOMEM) {
            return false;
        }
        if (failed) {
            zone->refused = bytes;
            continue;
        }
        touch(h, z, range.at, range.size);
        far->zone = z;
        far->id = range.id;
        settle(far, zone_at(h, z) + range.at, number);
        object_begins(h, far->at, bytes - FAR_HEADER);
        return true;
    }
    return false;
}

/* -- places -- */

static bool place(struct movable *h, uint32_t number, size_t size)
{
    struct far *far = far_of(h, number);
    bool wants = wants_own(h, size);
    if (size > PTRDIFF_MAX / 2 || !movable_may_hold(h, held_by(wants, size))) {
        return false;
    }
    if (!wants) {
        if (!place_in_zone(h, far, number, FAR_HEADER + size)) {
            return false;
        }
    } else {
        char *own = os_map(own_bytes(size));
        if (!own) {
            return false;
        }
        h->far_held += own_bytes(size);
        far->zone = OWN_PAGES;
        settle(far, own, number);
        begin_own(h, own, size);
    }
    far->size = size;
    movable_note_held(h);
    return true;
}

static void close_place(struct movable *h, char *own, size_t length)
{
    object_begins(h, own, length); /* the place is no object's, and may be anybody's */
    if (h->debug) {
        closed_add(h->closed, CLOSED_PLACES, &h->closed_next, own, length);
    } else {
        os_unmap(own, length);
    }
}

static void unplace(struct movable *h, struct far *far)
{
    if (far->zone == OWN_PAGES) {
        h->far_held -= own_bytes(far->size);
        h->returned += own_bytes(far->size);
        close_place(h, place_of(far), own_bytes(far->size));
    } else {
        object_ends(h, far->at, far->size);
        give(h, far);
    }
    far->at = NULL;
}

static uint32_t new_record(struct movable *h)
{
    uint32_t number = h->free_far;
    if (number != UINT32_MAX) {
        h->free_far = far_of(h, number)->id;
    } else {
        if (h->fars % FAR_LEAF == 0) {
            h->far_leaf[h->fars / FAR_LEAF] = h->fars < h->far_most ? os_map(FAR_LEAF * sizeof(struct far)) : NULL;
            if (!h->far_leaf[h->fars / FAR_LEAF]) {
                return UINT32_MAX;
            }
        }
        number = h->fars++;
    }
    *far_of(h, number) = (struct far){.in_use = true};
    return number;
}

uint32_t far_make(struct movable *h, size_t size)
{
    uint32_t number = new_record(h);
    if (number != UINT32_MAX && place(h, number, size)) {
        h->far_count++;
        return number;
    }
    if (number != UINT32_MAX) {
        *far_of(h, number) = (struct far){.id = h->free_far};
        h->free_far = number;
    }
    errno = ENOMEM;
    return UINT32_MAX;
}

uint32_t far_make_purged(struct movable *h, size_t size, uint64_t key)
{
    uint32_t number = new_record(h);
    if (number != UINT32_MAX) {
        *far_of(h, number) = (struct far){.in_use = true, .purgeable = true, .size = size, .key = key};
        h->far_count++;
        h->purgeable++;
        h->purged++;
    }
    return number;
}

void far_forget(struct movable *h, uint32_t number)
{
    struct far *far = far_of(h, number);
    h->purgeable -= far->purgeable;
    if (far->at) {
        unplace(h, far);
    } else {
        h->purged--;
    }
    h->far_count--;
    *far = (struct far){.id = h->free_far};
    h->free_far = number;
}

/* -- another size -- */

static bool resize_in_place(struct movable *h, struct far *far, size_t size)
{
    if (far->zone == OWN_PAGES) {
        size_t was = own_bytes(far->size), now = own_bytes(size);
        if (now < was) {
            object_begins(h, place_of(far) + now, was - now);
        }
        if (!os_resize(place_of(far), was, now)) {
            return false;
        }
        h->far_held += now - was;
        size_t left = size_min(far->size, now - FAR_HEADER); /* what is behind is nobody's already */
        object_resizes(h, far->at, left, size);
        object_ends(h, far->at + size, now - FAR_HEADER - size);
        return true;
    }
    struct zone *zone = &h->zone[far->zone];
    struct allot_range range = range_of(h, far);
    size_t was = range.size;
    if (allot_region_resize(&zone->region, &range, FAR_HEADER + size) != 0) {
        return false;
    }
    zone->used -= was;
    h->far_held -= was;
    touch(h, far->zone, range.at, range.size);
    object_resizes(h, far->at, far->size, size);
    zone->changed = true;
    h->trim_due = true;
    return true;
}

/* From pages of its own to others, which are these pages where the system can do that. */
static bool resize_pages(struct movable *h, uint32_t number, size_t size)
{
    struct far *far = far_of(h, number);
    size_t was = own_bytes(far->size), now = own_bytes(size);
    char *from = place_of(far), *to = os_map(now);
    if (h->watched) {
        os_watch_allow(from, was); /* where it was may be anybody's then */
    }
    if (!to || !os_move(from, was, to, now)) {
        return false;
    }
    h->far_held += now - was;
    settle(far, to, number);
    object_resizes(h, far->at, far->size, size);
    object_ends(h, to, FAR_HEADER);
    object_ends(h, far->at + size, now - FAR_HEADER - size);
    return true;
}

static bool resize_where_it_is(struct movable *h, struct far *far, size_t size)
{
    bool done = resize_in_place(h, far, size);
    if (done) {
        far->size = size;
        movable_note_held(h);
    }
    return done;
}

/* One in pages of its own that becomes short enough for a zone goes there, unless it is pinned, or there is no room for both. */
int far_resize(struct movable *h, uint32_t number, size_t size)
{
    struct far *far = far_of(h, number);
    size_t was = far->size;
    bool own = wants_own(h, size), is_own = far->zone == OWN_PAGES;
    if (size > PTRDIFF_MAX / 2) {
        return -ENOMEM;
    }
    size_t held = held_by(is_own, was), holds = held_by(own, size);
    if (holds > held && !movable_may_hold(h, holds - held)) {
        return -ENOMEM;
    }
    if ((own == is_own || (is_own && far->pins)) && resize_where_it_is(h, far, size)) {
        return 0;
    }
    if (far->pins) {
        return -EBUSY;
    }
    if (own && is_own && !h->debug && resize_pages(h, number, size)) {
        far->size = size;
        movable_note_held(h);
        return 0;
    }
    struct far old = *far;
    if (!place(h, number, size)) {
        return is_own && size <= was && resize_where_it_is(h, far, size) ? 0 : -ENOMEM;
    }
    memcpy(far->at, old.at, size_min(was, size));
    unplace(h, &old);
    return 0;
}

/* -- purging -- */

int far_build(struct movable *h, uint32_t number)
{
    struct far *far = far_of(h, number);
    far->was_used = true;
    movable_lets_in(h, true);
    int failed = h->opts.rebuild(h->opts.arg, far->key, far->at, far->size);
    movable_lets_in(h, false);
    return failed;
}

void *far_use(struct movable *h, uint32_t number)
{
    struct far *far = far_of(h, number);
    if (far->at) {
        far->was_used = true;
        return far->at;
    }
    if (!place(h, number, far->size)) {
        h->refused++;
        errno = ENOMEM;
        return NULL;
    }
    int failed = far_build(h, number);
    if (failed) {
        unplace(h, far);
        errno = -failed;
        return NULL;
    }
    h->purged--;
    h->rebuilt++;
    return far->at;
}

size_t far_purge(struct movable *h, size_t bytes)
{
    size_t held = h->far_held;
    for (uint64_t n = 0; n < 2 * (uint64_t)h->fars && held - h->far_held < bytes && h->purgeable > h->purged; n++) {
        h->far_hand = h->far_hand + 1 < h->fars ? h->far_hand + 1 : 0;
        struct far *far = far_of(h, h->far_hand);
        if (!far->in_use || !far->purgeable || !far->at || far->pins) {
            continue;
        }
        if (far->was_used) {
            far->was_used = false;
            continue;
        }
        unplace(h, far);
        h->purged++;
    }
    far_trim(h);
    return held - h->far_held;
}

/* -- giving back -- */

struct trimming {
    struct movable *h;
    uint32_t zone;
    size_t bytes;
};

static int trim_hole(struct allot_range range, bool taken, void *arg)
{
    struct trimming *t = arg;
    struct zone *zone = &t->h->zone[t->zone];
    size_t page = align_up(range.at, os_page) / os_page, end = (range.at + range.size) / os_page;
    while (!taken && (page = bitmap_next_set(zone->touched, page, end)) < end) {
        size_t to = bitmap_next_clear(zone->touched, page, end);
        t->bytes += os_purge(zone_at(t->h, t->zone) + page * os_page, (to - page) * os_page);
        bitmap_clear_range(zone->touched, page, to);
        page = to;
    }
    return 0;
}

static size_t trim_zone(struct movable *h, uint32_t z)
{
    struct trimming t = {h, z, 0};
    if (h->zone[z].changed) {
        h->zone[z].changed = false;
        h->zone[z].moved_out = true; /* it may be worth compacting */
        allot_region_walk(&h->zone[z].region, trim_hole, &t);
        h->returned += t.bytes;
    }
    return t.bytes;
}

size_t far_trim(struct movable *h)
{
    size_t bytes = 0;
    for (uint32_t z = 0; z < h->zones; z++) {
        bytes += trim_zone(h, z);
    }
    return bytes;
}

size_t far_touched(const struct movable *h)
{
    size_t bytes = align_up(h->fars, FAR_LEAF) * sizeof(struct far), pages = 0;
    for (uint32_t z = 0; z < h->zones; z++) {
        for (size_t i = 0; i < ZONE_PAGES / 64; i++) {
            pages += count_bits(h->zone[z].touched[i]);
        }
    }
    for (uint32_t n = 0; n < h->fars; n++) {
        struct far *far = far_of((struct movable *)(uintptr_t)h, n);
        bytes += far->in_use && far->at && far->zone == OWN_PAGES ? own_bytes(far->size) : 0;
    }
    return bytes + pages * os_page;
}

/* -- compaction -- */

struct asking {
    struct movable *h;
    uint32_t zone;
};

static uint32_t number_at(const struct movable *h, uint32_t z, uint64_t at)
{
    uint32_t number;
    memcpy(&number, zone_at(h, z) + at, sizeof number);
    return number;
}

static bool may_move(void *arg, struct allot_range range, struct allot_bounds *bounds)
{
    const struct asking *a = arg;
    (void)bounds;
    return far_of(a->h, number_at(a->h, a->zone, range.at))->pins == 0;
}

static size_t carry_out(struct movable *h, uint32_t z, const struct allot_move *move)
{
    struct zone *zone = &h->zone[z];
    uint32_t number = number_at(h, z, move->from.at);
    struct far *far = far_of(h, number);
    char *from = far->at;
    char *to = zone_at(h, z) + move->to.at;
    object_begins(h, to + FAR_HEADER, far->size);
    memcpy(to + FAR_HEADER, from, far->size);
    object_ends(h, from, far->size);
    allot_region_commit(&zone->region, move);
    settle(far, to, number);
    far->id = move->to.id;
    touch(h, z, move->to.at, move->to.size);
    zone->used -= move->from.size;
    h->far_held -= move->from.size;
    zone->changed = true;
    h->moved += far->size;
    far->pins--;
    movable_tell(h, far->slot, from, far->at);
    return far->size;
}

size_t far_compact(struct movable *h, size_t most)
{
    size_t done = 0;
    for (uint32_t z = 0; z < h->zones && done < most; z++) {
        struct zone *zone = &h->zone[z];
        if (!zone->changed && !zone->moved_out) {
            continue;
        }
        enum { MOVES = 32 };
        struct allot_move moves[MOVES];
        struct asking asking = {h, z};
        struct allot_plan_opts opts = {.most = most - done, .may_move = may_move, .arg = &asking};
        int count = allot_region_plan(&zone->region, &opts, moves, MOVES);
        /* Who is told of the first may use what was purged, and others go for that: not these. */
        for (int i = 0; i < count; i++) {
            far_of(h, number_at(h, z, moves[i].from.at))->pins++;
        }
        for (int i = 0; i < count; i++) {
            done += carry_out(h, z, &moves[i]);
        }
        if (count <= 0) {
            zone->refused = SIZE_MAX;
            done += trim_zone(h, z);
            zone->moved_out = false;
        }
    }
    return done;
}

size_t far_move_all(struct movable *h)
{
    size_t done = 0;
    for (uint32_t n = 0; n < h->fars; n++) {
        struct far *far = far_of(h, n);
        char *to = far->in_use && far->at && !far->pins ? os_map(own_bytes(far->size)) : NULL;
        if (!to) {
            continue;
        }
        char *from = place_of(far);
        begin_own(h, to, far->size);
        memcpy(to + FAR_HEADER, far->at, far->size);
        settle(far, to, n);
        close_place(h, from, own_bytes(far->size));
        h->moved += far->size;
        done += far->size;
        movable_tell(h, far->slot, from + FAR_HEADER, far->at);
    }
    return done;
}

void far_done(struct movable *h)
{
    for (uint32_t n = 0; n < h->fars; n++) {
        struct far *far = far_of(h, n);
        if (far->in_use && far->at && far->zone == OWN_PAGES) {
            object_begins(h, place_of(far), own_bytes(far->size));
            os_unmap(place_of(far), own_bytes(far->size));
        }
    }
    closed_done(h->closed, h->debug ? CLOSED_PLACES : 0);
    for (uint32_t z = 0; z < h->zones; z++) {
        allot_region_done(&h->zone[z].region);
    }
    for (uint32_t leaf = 0; leaf * FAR_LEAF < h->fars; leaf++) {
        os_unmap(h->far_leaf[leaf], FAR_LEAF * sizeof(struct far));
    }
    if (h->far_area) {
        object_begins(h, h->far_area, h->zones * ZONE_SIZE);
        os_unmap(h->far_area, h->far_size);
    }
}

/* -- */

void far_check(struct movable *h)
{
    uint64_t count = 0, purgeable = 0, purged = 0, ranges = 0;
    size_t held = 0;
    for (uint32_t n = 0; n < h->fars; n++) {
        const struct far *far = far_of(h, n);
        if (!far->in_use) {
            continue;
        }
        CHECK(h->entry[far->slot], "object of a movable heap", far);
        char *stub = slot_at(h, far->slot);
        CHECK(is_far(stub) && *far_number(stub) == n && pins_of(stub) == 0, "object of a movable heap", far);
        CHECK(far->at || (far->purgeable && !far->pins), "object of a movable heap", far);
        count++;
        purgeable += far->purgeable;
        purged += !far->at;
        if (far->at) {
            uint32_t number;
            memcpy(&number, place_of(far), sizeof number);
            CHECK(number == n, "object of a movable heap", far->at);
            bool own = far->zone == OWN_PAGES;
            CHECK(own || (far->zone < h->zones && far->at > zone_at(h, far->zone)), "object of a movable heap",
                  far->at);
            held += held_by(own, far->size);
            ranges += !own;
        }
    }
    CHECK(count == h->far_count && purgeable == h->purgeable && purged == h->purged, "movable heap", h);
    CHECK(held == h->far_held, "movable heap", h);
    for (uint32_t z = 0; z < h->zones; z++) {
        struct allot_region_stats stats;
        allot_region_check(&h->zone[z].region);
        allot_region_stats(&h->zone[z].region, &stats);
        CHECK(stats.use.used == h->zone[z].used, "zone of a movable heap", zone_at(h, z));
        ranges -= stats.use.count;
    }
    CHECK(ranges == 0, "movable heap", h);
}
