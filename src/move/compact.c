/* move/compact.c - a step of compaction.
 *
 *   source  | a . . b . c | . . . a |        the chunk of which most is free: its groups leave it, one at a time
 *   target  | ............... | a b c | a'   where they are laid, side by side; nothing but those that leave is copied
 *
 * When nothing is left of a source it is the next target, or goes back to the system; so all that is copied is what lives, once, and
 * half a MiB more than before is needed for it. A group one of whose objects is pinned stays: what else is in its chunk then slides
 * down, around what is pinned, and the pages that come free go back. That is done also when there is no chunk to be had.
 *
 * Then the zones of the others are compacted, by the region's plan (move/far.c), and last all free pages go back.
 *
 * Bounds: a move is a group, at most 256 objects and 512 KiB, or a slide, at most a chunk; picking a source is a visit of each chunk's
 * record, once for each chunk that is emptied. It ends: each chunk that is emptied makes the next target fuller, and what was
 * looked at in vain is not looked at again before something in it has changed.
 */
#include "move/movable.h"

#include "os/memory.h"
#include "os/process.h"

enum { TRIMS = 16 }; /* system calls of a step at most */

/* -- a group leaves its chunk -- */

static uint32_t units_of_group(const struct movable *h, uint32_t g)
{
    uint32_t units = 0;
    for (uint32_t slot = g * GROUP_SLOTS; slot < (g + 1) * GROUP_SLOTS; slot++) {
        units += h->entry[slot] ? units_of(h, slot_at(h, slot)) : 0;
    }
    return units;
}

/* `unit`: of so many units that were taken for it. */
static size_t move_group(struct movable *h, uint32_t g, uint32_t to, uint32_t unit)
{
    uint16_t was[GROUP_SLOTS];
    const uint16_t *entry = h->entry + g * GROUP_SLOTS;
    char *old = h->base[g], *now = chunk_at(h, to);
    uint32_t from = chunk_of(h, old);
    size_t bytes = 0;
    memcpy(was, entry, sizeof was);
    for (unsigned i = 0; i < GROUP_SLOTS; i++) {
        if (was[i]) {
            char *p = old + (size_t)was[i] * 8, *q = now + (size_t)unit * 8;
            uint32_t units = units_of(h, p);
            block_copy(h, q, p);
            *meta_of(q) &= (uint16_t)~META_BEFORE;
            slot_leads_to(h, g * GROUP_SLOTS + i, to, unit);
            unit += units;
            bytes += units * 8;
        }
    }
    group_to(h, g, from, to);
    for (unsigned i = 0; i < GROUP_SLOTS; i++) {
        if (was[i]) {
            char *p = old + (size_t)was[i] * 8, *q = now + (size_t)entry[i] * 8;
            if (!is_far(q)) {
                movable_tell(h, g * GROUP_SLOTS + i, p, q);
            }
            chunk_give(h, from, was[i]);
        }
    }
    h->moved += bytes;
    return bytes;
}

static uint32_t first_unpinned(const struct movable *h, uint32_t n)
{
    while (n != NO_GROUP && h->group[n].pinned) {
        n = h->group[n].next;
    }
    return n;
}

static uint32_t group_to_move(const struct movable *h, uint32_t c)
{
    uint32_t n = first_unpinned(h, h->chunk[c].open);
    return n != NO_GROUP ? n : first_unpinned(h, h->chunk[c].full);
}

static bool is_sparse(const struct movable *h, const struct chunk *chunk)
{
    uint32_t held = chunk->top - FIRST_UNIT, waste = held - live_units(chunk);
    return (uint64_t)waste * 100 >= (uint64_t)held * h->waste && (size_t)waste * 8 >= os_page;
}

/* The chunk that is not sparse and has the least room above top of those that have so much. */
static uint32_t pick_target(struct movable *h, uint32_t units)
{
    uint32_t best = NO_CHUNK;
    for (uint32_t c = 0; c < h->chunks; c++) {
        const struct chunk *chunk = &h->chunk[c];
        if (chunk->state == CHUNK_USED && c != h->source && CHUNK_UNITS - chunk->top >= units && !is_sparse(h, chunk) &&
            (best == NO_CHUNK || chunk->top > h->chunk[best].top)) {
            best = c;
        }
    }
    return best != NO_CHUNK ? best : chunk_make(h);
}

/* The one of which most is free, as a share of what it holds. */
static uint32_t pick_source(const struct movable *h)
{
    uint32_t best = NO_CHUNK;
    uint64_t best_used = 0, best_held = 1;
    for (uint32_t c = 0; c < h->chunks; c++) {
        const struct chunk *chunk = &h->chunk[c];
        if (chunk->state != CHUNK_USED || !chunk->changed || !is_sparse(h, chunk)) {
            continue;
        }
        uint64_t held = chunk->top - FIRST_UNIT;
        if (best == NO_CHUNK || live_units(chunk) * best_held < best_used * held) {
            best = c;
            best_used = live_units(chunk);
            best_held = held;
        }
    }
    return best;
}

/* -- what is in a chunk slides down -- */

struct placed {
    uint32_t unit, slot;
};

/* Two rounds of counting by a byte each. (Knuth, The Art of Computer Programming 3, 5.2.5.) */
static void sort_by_unit(struct placed *all, struct placed *other, size_t count)
{
    for (unsigned shift = 0; shift < 16; shift += 8) {
        uint32_t begins[257] = {0};
        for (size_t i = 0; i < count; i++) {
            begins[(all[i].unit >> shift & 255) + 1]++;
        }
        for (unsigned b = 0; b < 256; b++) {
            begins[b + 1] += begins[b];
        }
        for (size_t i = 0; i < count; i++) {
            other[begins[all[i].unit >> shift & 255]++] = all[i];
        }
        struct placed *was = all;
        all = other;
        other = was;
    }
}

static size_t collect(const struct movable *h, uint32_t n, struct placed *all, size_t count)
{
    for (; n != NO_GROUP; n = h->group[n].next) {
        for (uint32_t slot = n * GROUP_SLOTS; slot < (n + 1) * GROUP_SLOTS; slot++) {
            if (h->entry[slot]) {
                all[count++] = (struct placed){h->entry[slot], slot};
            }
        }
    }
    return count;
}

static size_t count_objects(const struct movable *h, uint32_t n)
{
    size_t count = 0;
    for (; n != NO_GROUP; n = h->group[n].next) {
        count += h->group[n].used;
    }
    return count;
}

static size_t purge_hole(struct movable *h, uint32_t c, uint32_t unit, uint32_t end)
{
    /* Its links, and its length at the end, stay. */
    size_t from = align_up((size_t)unit * 8 + 8, os_page), to = align_down((size_t)end * 8 - 8, os_page);
    size_t bytes = from < to ? os_purge(chunk_at(h, c) + from, to - from) : 0;
    h->returned += bytes;
    return bytes;
}

static size_t slide_all(struct movable *h, uint32_t c, const struct placed *all, size_t count)
{
    uint32_t to = FIRST_UNIT;
    size_t bytes = 0;
    chunk_forget_holes(h, c);
    for (size_t i = 0; i < count; i++) {
        uint32_t unit = all[i].unit;
        char *p = unit_at(h, c, unit);
        uint32_t units = units_of(h, p);
        *meta_of(p) &= (uint16_t)~META_BEFORE;
        if (unit == to || (pins_of(p) && !is_far(p))) {
            if (unit > to) {
                chunk_add_hole(h, c, to, unit - to);
                *meta_of(p) |= META_BEFORE;
                bytes += purge_hole(h, c, to, unit);
            }
            to = unit + units;
            continue;
        }
        char *q = unit_at(h, c, to);
        block_copy(h, q, p);
        slot_leads_to(h, all[i].slot, c, to);
        if (!is_far(q)) {
            movable_tell(h, all[i].slot, p, q);
        }
        h->moved += units * 8;
        bytes += units * 8;
        to += units;
    }
    chunk_set_top(h, c, to);
    return bytes + chunk_trim(h, c);
}

static size_t slide(struct movable *h, uint32_t c)
{
    size_t count = count_objects(h, h->chunk[c].open) + count_objects(h, h->chunk[c].full);
    size_t length = 2 * count * sizeof(struct placed);
    struct placed *all = os_map(length);
    if (!all) {
        return 0;
    }
    collect(h, h->chunk[c].full, all, collect(h, h->chunk[c].open, all, 0));
    sort_by_unit(all, all + count, count);
    size_t bytes = slide_all(h, c, all, count);
    os_unmap(all, length);
    return bytes;
}

/* -- a step -- */

/* Empties the source some more; what was moved and given back, or 0: nothing is worth it. */
static size_t compact_some(struct movable *h)
{
    uint64_t returned = h->returned;
    for (;;) {
        if (h->source == NO_CHUNK && (h->source = pick_source(h)) == NO_CHUNK) {
            if (quick_give_all(h)) {
                continue;
            }
            return (size_t)(h->returned - returned);
        }
        quick_give_of(h, h->source);
        if (h->source == NO_CHUNK) {
            continue; /* that was all there was */
        }
        uint32_t source = h->source, g = group_to_move(h, source);
        size_t bytes = 0;
        uint32_t units = g != NO_GROUP ? units_of_group(h, g) : 0;
        if (g != NO_GROUP &&
            (h->target == NO_CHUNK || h->target == source || CHUNK_UNITS - h->chunk[h->target].top < units)) {
            h->target = pick_target(h, units);
        }
        if (g != NO_GROUP && h->target != NO_CHUNK) {
            bytes = move_group(h, g, h->target, chunk_take_top(h, h->target, units));
            if (h->chunk[source].used == 0) {
                chunk_release(h, source);
            }
            return bytes + (size_t)(h->returned - returned);
        }
        bytes = slide(h, source);
        h->chunk[source].changed = false;
        h->source = NO_CHUNK;
        if (bytes) {
            return bytes;
        }
    }
}

/* Free pages, as long as there are any; 0: there are none. */
static size_t trim_some(struct movable *h)
{
    size_t bytes = chunk_drop_spare(h);
    unsigned calls = bytes > 0;
    if (!h->trim_due && h->trim_from == 0) {
        return bytes;
    }
    h->trim_due = h->trim_due && h->trim_from != 0;
    while (h->trim_from < h->chunks && calls < TRIMS) {
        size_t some = chunk_trim(h, h->trim_from++);
        bytes += some;
        calls += some > 0;
    }
    if (h->trim_from < h->chunks) {
        return size_max(bytes, 1);
    }
    h->trim_from = 0;
    return bytes + slots_trim(h) + far_trim(h);
}

/* Of a heap in debug mode: all that can move does, once. */
static size_t move_all(struct movable *h)
{
    size_t bytes = 0;
    uint32_t chunks = h->chunks;
    h->round++;
    h->target = NO_CHUNK;
    for (uint32_t c = 0; c < chunks; c++) {
        if (h->chunk[c].state != CHUNK_USED || h->chunk[c].round == h->round) {
            continue;
        }
        for (uint32_t g; h->chunk[c].used && (g = group_to_move(h, c)) != NO_GROUP;) {
            uint32_t units = units_of_group(h, g);
            if (h->target == NO_CHUNK || CHUNK_UNITS - h->chunk[h->target].top < units) {
                h->target = chunk_make(h);
            }
            if (h->target == NO_CHUNK) {
                return bytes;
            }
            h->chunk[h->target].round = h->round;
            bytes += move_group(h, g, h->target, chunk_take_top(h, h->target, units));
        }
        if (h->chunk[c].used == 0) {
            chunk_release(h, c);
        }
    }
    return bytes + far_move_all(h);
}

static size_t step(struct movable *h, size_t most, uint64_t until)
{
    size_t bytes = 0, some = 1;
    h->steps++;
    if (h->debug) {
        return move_all(h);
    }
    while (some && bytes < most && (!until || bytes == 0 || os_nanoseconds() < until)) {
        some = compact_some(h);
        bytes += some;
    }
    if (!some && bytes < most) {
        bytes += far_compact(h, most - bytes);
        bytes += bytes == 0 ? trim_some(h) : 0;
    }
    return bytes;
}

size_t allot_movable_step(struct allot_movable *heap, size_t max_bytes)
{
    struct movable *h = movable_of(heap);
    movable_lock(h);
    size_t bytes = step(h, size_max(max_bytes, 1), 0);
    movable_unlock(h);
    return bytes;
}

size_t allot_movable_step_for(struct allot_movable *heap, uint64_t max_ns)
{
    struct movable *h = movable_of(heap);
    size_t bytes = 0, some = 1;
    movable_lock(h);
    /* By pieces that are short beside any time worth asking for; a heap in debug mode moves all at once. */
    uint64_t until = os_deadline(max_ns);
    do {
        some = step(h, 64 * KIB, until);
        bytes += some;
    } while (some && !h->debug && os_nanoseconds() < until);
    movable_unlock(h);
    return bytes;
}

size_t allot_movable_purge(struct allot_movable *heap, size_t bytes)
{
    struct movable *h = movable_of(heap);
    movable_lock(h);
    size_t done = far_purge(h, bytes);
    movable_unlock(h);
    return done;
}

size_t allot_movable_trim(struct allot_movable *heap)
{
    struct movable *h = movable_of(heap);
    movable_lock(h);
    uint64_t returned = h->returned;
    quick_give_all(h);
    chunk_drop_spare(h);
    for (uint32_t c = 0; c < h->chunks; c++) {
        chunk_trim(h, c);
    }
    slots_trim(h);
    far_trim(h);
    h->trim_due = false;
    h->trim_from = 0;
    size_t bytes = (size_t)(h->returned - returned);
    movable_unlock(h);
    return bytes;
}
