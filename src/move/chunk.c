/* move/chunk.c - 512 KiB cut into blocks and holes of any length. See move/movable.h for the picture.
 *
 * What comes free merges with the holes beside it (boundary tags: Knuth, The Art of Computer Programming 1, 2.5), and with what is
 * above top. Holes are in lists by class in the chunk itself; and for each class a bitmap over all chunks says which have any, so
 * that a place is found in a few words however many chunks there are: the tightest class all of whose holes are long enough, in the
 * lowest chunk that has one. A hole of one unit is in no list, and comes back with its neighbours. O(1), but for making a chunk and
 * giving one back.
 *
 * Not for objects longer than ALLOT_MOVABLE_SMALL: a chunk's end would be lost.
 */
#include "move/movable.h"

#include <errno.h>

#include "os/memory.h"

static uint16_t *heads(const struct movable *h, uint32_t c) { return (uint16_t *)(void *)chunk_at(h, c); }

/* -- which chunks have which classes -- */

static void class_comes(struct movable *h, uint32_t c, unsigned class)
{
    struct chunk *chunk = &h->chunk[c];
    if (!(chunk->bins >> class & 1)) {
        chunk->bins |= (uint64_t)1 << class;
        bitmap_set(h->with[class], c);
        h->with_from[class] = h->with_count[class]++ ? (uint32_t)size_min(h->with_from[class], c / 64) : c / 64;
        h->any |= (uint64_t)1 << class;
    }
}

static void class_goes(struct movable *h, uint32_t c, unsigned class)
{
    struct chunk *chunk = &h->chunk[c];
    chunk->bins &= ~((uint64_t)1 << class);
    bitmap_clear(h->with[class], c);
    if (--h->with_count[class] == 0) {
        h->any &= ~((uint64_t)1 << class);
    }
}

static void class_may_go(struct movable *h, uint32_t c, unsigned class)
{
    if (heads(h, c)[class] == 0 && h->chunk[c].top_class != class) {
        class_goes(h, c, class);
    }
}

uint32_t chunk_with_room(struct movable *h, uint32_t units)
{
    unsigned class = class_for(units);
    uint64_t classes = class < HOLE_CLASSES ? h->any >> class << class : 0;
    if (!classes) {
        return NO_CHUNK;
    }
    class = lowest_bit(classes);
    const uint64_t *with = h->with[class];
    uint32_t w = h->with_from[class];
    while (with[w] == 0) {
        w++;
    }
    h->with_from[class] = w;
    return w * 64 + lowest_bit(with[w]);
}

void chunk_set_top(struct movable *h, uint32_t c, uint32_t top)
{
    struct chunk *chunk = &h->chunk[c];
    uint32_t room = CHUNK_UNITS - top;
    unsigned was = chunk->top_class, class = room >= 2 ? class_of_hole(room) : HOLE_CLASSES;
    chunk->top = top;
    chunk->high = top > chunk->high ? top : chunk->high;
    if (class != was) {
        chunk->top_class = (uint8_t) class;
        if (was < HOLE_CLASSES) {
            class_may_go(h, c, was);
        }
        if (class < HOLE_CLASSES) {
            class_comes(h, c, class);
        }
    }
}

/* -- holes -- */

static uint16_t *next_of(char *hole) { return (uint16_t *)(void *)hole; }
static uint16_t *prev_of(char *hole) { return (uint16_t *)(void *)(hole + 2); }

void chunk_add_hole(struct movable *h, uint32_t c, uint32_t unit, uint32_t units)
{
    char *hole = unit_at(h, c, unit);
    *meta_of(hole) = (uint16_t)units;
    *gen_of(hole) = 0;
    *units_before(unit_at(h, c, unit + units)) = (uint16_t)units;
    if (units >= 2) {
        unsigned class = class_of_hole(units);
        uint16_t *head = &heads(h, c)[class];
        *next_of(hole) = *head;
        *prev_of(hole) = 0;
        if (*head) {
            *prev_of(unit_at(h, c, *head)) = (uint16_t)unit;
        }
        *head = (uint16_t)unit;
        class_comes(h, c, class);
    }
}

static void remove_hole(struct movable *h, uint32_t c, uint32_t unit, uint32_t units)
{
    if (units < 2) {
        return;
    }
    char *hole = unit_at(h, c, unit);
    unsigned class = class_of_hole(units);
    uint16_t next = *next_of(hole), prev = *prev_of(hole);
    if (next) {
        *prev_of(unit_at(h, c, next)) = prev;
    }
    if (prev) {
        *next_of(unit_at(h, c, prev)) = next;
    } else if (!(heads(h, c)[class] = next)) {
        class_may_go(h, c, class);
    }
}

/* A hole's first units become a block's; what is left is a hole. */
static void cut(struct movable *h, uint32_t c, uint32_t unit, uint32_t have, uint32_t units)
{
    remove_hole(h, c, unit, have);
    if (have > units) {
        chunk_add_hole(h, c, unit + units, have - units);
    } else {
        *meta_of(unit_at(h, c, unit + units)) &= (uint16_t)~META_BEFORE;
    }
    h->chunk[c].used += units;
    *meta_of(unit_at(h, c, unit)) = 0;
}

uint32_t chunk_take_top(struct movable *h, uint32_t c, uint32_t units)
{
    struct chunk *chunk = &h->chunk[c];
    uint32_t unit = chunk->top;
    if (units > CHUNK_UNITS - unit) {
        return 0;
    }
    chunk->used += units;
    chunk_set_top(h, c, unit + units);
    *meta_of(unit_at(h, c, unit)) = 0;
    return unit;
}

/* Where so much fits: a hole that is surely long enough, what is above top, or a hole that happens to be. 0: nowhere. */
static uint32_t place_in(const struct movable *h, uint32_t c, uint32_t units)
{
    const struct chunk *chunk = &h->chunk[c];
    unsigned class = class_for(units);
    for (uint64_t classes = class < HOLE_CLASSES ? chunk->bins >> class << class : 0; classes; classes &= classes - 1) {
        uint32_t unit = heads(h, c)[lowest_bit(classes)];
        if (unit) {
            return unit; /* where there is none, that is what is above top */
        }
    }
    if (units <= CHUNK_UNITS - chunk->top) {
        return chunk->top;
    }
    uint32_t unit = heads(h, c)[class_of_hole((uint32_t)size_max(units, 2))];
    while (unit && *meta_of(unit_at(h, c, unit)) < units) {
        unit = *next_of(unit_at(h, c, unit));
    }
    return unit;
}

bool chunk_has(struct movable *h, uint32_t c, uint32_t units) { return place_in(h, c, units) != 0; }

uint32_t chunk_take(struct movable *h, uint32_t c, uint32_t units)
{
    uint32_t unit = place_in(h, c, units);
    if (unit == h->chunk[c].top) {
        return chunk_take_top(h, c, units);
    }
    if (unit) {
        cut(h, c, unit, *meta_of(unit_at(h, c, unit)), units);
    }
    return unit;
}

void chunk_give(struct movable *h, uint32_t c, uint32_t unit)
{
    struct chunk *chunk = &h->chunk[c];
    char *p = unit_at(h, c, unit);
    uint32_t units = units_of(h, p), end = unit + units;
    object_ends(h, p, units * 8 - 6);
    chunk->used -= units;
    chunk->changed = true;
    if (*meta_of(p) & META_BEFORE) {
        uint32_t before = *units_before(p);
        unit -= before;
        remove_hole(h, c, unit, before);
    }
    if (end == chunk->top) {
        *gen_of(p) = 0;
        chunk_set_top(h, c, unit);
        return;
    }
    char *behind = unit_at(h, c, end);
    if (*gen_of(behind) == 0) {
        uint32_t more = *meta_of(behind);
        remove_hole(h, c, end, more);
        end += more;
    } else {
        *meta_of(behind) |= META_BEFORE;
    }
    *gen_of(p) = 0;
    chunk_add_hole(h, c, unit, end - unit);
}

void block_give(struct movable *h, char *p)
{
    uint32_t c = chunk_of(h, p);
    chunk_give(h, c, (uint32_t)((size_t)(p - chunk_at(h, c)) / 8));
    if (h->chunk[c].used == 0) {
        chunk_release(h, c);
    }
}

bool chunk_resize(struct movable *h, uint32_t c, uint32_t unit, uint32_t units)
{
    struct chunk *chunk = &h->chunk[c];
    char *p = unit_at(h, c, unit);
    uint32_t was = units_of(h, p), end = unit + was;
    uint16_t rest = *meta_of(p) & (uint16_t)~META_UNITS;
    if (units == was) {
        return true;
    }
    if (end == chunk->top) {
        if (units > CHUNK_UNITS - unit) {
            return false;
        }
        chunk_set_top(h, c, unit + units);
    } else {
        char *behind = unit_at(h, c, end);
        uint32_t hole = *gen_of(behind) == 0 ? *meta_of(behind) : 0;
        if (units > was + hole) {
            return false;
        }
        if (hole) {
            remove_hole(h, c, end, hole);
        }
        if (was + hole > units) {
            chunk_add_hole(h, c, unit + units, was + hole - units);
            *meta_of(unit_at(h, c, end + hole)) |= META_BEFORE;
        } else {
            *meta_of(unit_at(h, c, end + hole)) &= (uint16_t)~META_BEFORE;
        }
    }
    chunk->used += units - was;
    chunk->changed = true;
    *meta_of(p) = (uint16_t)(rest | units);
    return true;
}

/* The object alone is copied by who watches, with what is known of its bytes' values; a stub has none. */
void block_copy_watched(const struct movable *h, char *to, char *from, size_t bytes)
{
    uint16_t meta = *meta_of(from);
    uint32_t gen = *gen_of(from);
    size_t apart = to < from ? (size_t)(from - to) : bytes, new = size_min(apart, bytes);
    if (is_far(from)) {
        *far_number(to) = *far_number(from);
    } else {
        object_begins(h, to, new);
        memmove(to, from, bytes);
        if (to < from) {
            object_ends(h, from + bytes - new, new);
        }
    }
    *meta_of(to) = meta;
    *gen_of(to) = gen;
}

void chunk_forget_holes(struct movable *h, uint32_t c)
{
    struct chunk *chunk = &h->chunk[c];
    for (uint64_t bits = chunk->bins; bits; bits &= bits - 1) {
        class_goes(h, c, lowest_bit(bits));
    }
    chunk->top_class = HOLE_CLASSES;
    memset(heads(h, c), 0, HEADS_SIZE);
}

/* -- whole chunks -- */

/* One that is free, the lowest; in a heap in debug mode the one that was closed longest ago. */
static uint32_t find_free(struct movable *h)
{
    for (uint32_t n = 0; n < h->chunks_most; n++) {
        uint32_t c = h->debug ? (h->chunk_from + n) % h->chunks_most : h->chunk_from + n;
        if (c >= h->chunks_most) {
            return NO_CHUNK;
        }
        if (c >= h->chunks || h->chunk[c].state == CHUNK_FREE || h->chunk[c].state == CHUNK_CLOSED) {
            return c;
        }
    }
    return NO_CHUNK;
}

uint32_t chunk_make(struct movable *h)
{
    uint32_t c = h->spare;
    if (c == NO_CHUNK) {
        c = movable_may_hold(h, CHUNK_SIZE) ? find_free(h) : NO_CHUNK;
        if (c == NO_CHUNK || os_refused() ||
            (h->chunk[c].state == CHUNK_CLOSED && !os_protect(chunk_at(h, c), CHUNK_SIZE, true))) {
            errno = ENOMEM;
            return NO_CHUNK;
        }
        h->chunk_from = c + 1;
        h->chunks = (uint32_t)size_max(h->chunks, c + 1);
    }
    h->spare = NO_CHUNK;
    struct chunk *chunk = &h->chunk[c];
    *chunk = (struct chunk){
        .open = NO_GROUP, .full = NO_GROUP, .state = CHUNK_USED, .top_class = HOLE_CLASSES, .high = chunk->high};
    h->chunks_used++;
    object_ends(h, chunk_at(h, c) + HEADS_SIZE, CHUNK_SIZE - HEADS_SIZE);
    chunk_forget_holes(h, c);
    chunk_set_top(h, c, FIRST_UNIT);
    movable_note_held(h);
    return c;
}

static size_t purge(struct movable *h, uint32_t c, uint32_t from)
{
    struct chunk *chunk = &h->chunk[c];
    size_t begin = align_up((size_t)from * 8, os_page), end = align_up((size_t)chunk->high * 8, os_page);
    if (begin >= end) {
        return 0;
    }
    size_t bytes = os_purge(chunk_at(h, c) + begin, end - begin);
    chunk->high = bytes ? from : chunk->high;
    h->returned += bytes;
    return bytes;
}

static void forget(struct movable *h, uint32_t c)
{
    struct chunk *chunk = &h->chunk[c];
    purge(h, c, 0);
    chunk->state = CHUNK_FREE;
    if (h->debug) {
        chunk->state = os_protect(chunk_at(h, c), CHUNK_SIZE, false) ? CHUNK_CLOSED : CHUNK_FREE;
    } else {
        h->chunk_from = (uint32_t)size_min(h->chunk_from, c);
    }
}

void chunk_release(struct movable *h, uint32_t c)
{
    chunk_forget_holes(h, c);
    h->chunks_used--;
    h->source = h->source == c ? NO_CHUNK : h->source;
    h->target = h->target == c ? NO_CHUNK : h->target;
    if (h->spare == NO_CHUNK && !h->debug) {
        h->spare = c;
        h->chunk[c].state = CHUNK_SPARE;
        h->chunk[c].bins = 0;
        h->trim_due = true;
    } else {
        forget(h, c);
    }
}

size_t chunk_trim(struct movable *h, uint32_t c)
{
    return h->chunk[c].state == CHUNK_USED ? purge(h, c, h->chunk[c].top) : 0;
}

size_t chunk_drop_spare(struct movable *h)
{
    if (h->spare == NO_CHUNK) {
        return 0;
    }
    uint32_t c = h->spare;
    uint64_t before = h->returned;
    h->spare = NO_CHUNK;
    forget(h, c);
    return (size_t)(h->returned - before);
}

/* -- */

void chunk_check(struct movable *h, uint32_t c, uint32_t *blocks)
{
    const struct chunk *chunk = &h->chunk[c];
    uint64_t bins = 0;
    uint32_t used = 0, listed = 0, holes = 0;
    bool hole_before = false;
    *blocks = 0;
    for (uint32_t unit = FIRST_UNIT, units; unit < chunk->top; unit += units) {
        char *p = unit_at(h, c, unit);
        bool hole = *gen_of(p) == 0;
        units = hole ? *meta_of(p) : units_of(h, p);
        CHECK(units > 0 && units <= chunk->top - unit, "block of a movable heap", p);
        CHECK(!hole || (!hole_before && unit + units < chunk->top), "hole of a movable heap", p);
        CHECK(hole || !(*meta_of(p) & META_BEFORE) == !hole_before, "block of a movable heap", p);
        CHECK(!hole_before || *units_before(p) > 0, "hole of a movable heap", p);
        if (hole) {
            CHECK(*units_before(unit_at(h, c, unit + units)) == units, "hole of a movable heap", p);
            holes += units >= 2;
            bins |= units >= 2 ? (uint64_t)1 << class_of_hole(units) : 0;
        } else {
            used += units;
            ++*blocks;
        }
        hole_before = hole;
    }
    CHECK(used == chunk->used && chunk->top <= CHUNK_UNITS && chunk->top <= chunk->high, "chunk", chunk_at(h, c));
    for (unsigned class = 0; class < HOLE_CLASSES; class ++) {
        uint16_t prev = 0;
        for (uint16_t unit = heads(h, c)[class]; unit; unit = *next_of(unit_at(h, c, unit))) {
            char *p = unit_at(h, c, unit);
            CHECK(*gen_of(p) == 0 && class_of_hole(*meta_of(p)) == class && *prev_of(p) == prev,
                  "hole of a movable heap", p);
            CHECK(listed++ < holes, "holes of a movable heap", p);
            prev = unit;
        }
    }
    CHECK(listed == holes, "chunk", chunk_at(h, c));
    if (chunk->top_class < HOLE_CLASSES) {
        bins |= (uint64_t)1 << chunk->top_class;
        CHECK(class_of_hole(CHUNK_UNITS - chunk->top) == chunk->top_class, "chunk", chunk_at(h, c));
    }
    CHECK(bins == chunk->bins, "chunk", chunk_at(h, c));
    for (unsigned class = 0; class < HOLE_CLASSES; class ++) {
        CHECK(bitmap_test(h->with[class], c) == (bins >> class & 1), "chunk", chunk_at(h, c));
    }
}
