/* move/movable.c - movable heaps: objects come and go, and are found and pinned. See move/movable.h for the picture.
 *
 * An object is small or it is not. A small one grows where it is, else elsewhere in its chunk; where that has no room its block
 * becomes a stub, and it is one of the larger kind from then on: nobody else's object moves for it. Such a one comes home when it
 * shrinks.
 */
#include "move/movable.h"

#include <errno.h>
#include <stdio.h>

#include "os/memory.h"

/* -- memory -- */

#define RESERVE_MOST  ((size_t)64 << 30)
#define RESERVE_LEAST ((size_t)64 << 20)
#define NEAR_SLOTS    512u

/* Cuts the tables from one mapping: counts their bytes when it is NULL. */
static size_t lay_out(struct movable *h, char *tables)
{
    size_t words = align_up(h->chunks_most, 64) / 64, at = align_up(sizeof *h, 64);
    size_t pages = align_up((size_t)h->groups_most * GROUP_SLOTS * sizeof *h->entry, os_page) / os_page;
#define TABLE(field, bytes)                      \
    do {                                         \
        h->field = (void *)(tables + at);        \
        at = align_up(at + (size_t)(bytes), 64); \
    } while (0)
    TABLE(chunk, h->chunks_most * sizeof *h->chunk);
    for (unsigned class = 0; class < HOLE_CLASSES; class ++) {
        TABLE(with[class], words * sizeof(uint64_t));
    }
    TABLE(base, h->groups_most * sizeof *h->base);
    TABLE(group, h->groups_most * sizeof *h->group);
    TABLE(tables_touched, align_up(pages, 64) / 8);
    TABLE(zone, h->zones_most * sizeof *h->zone);
    TABLE(far_leaf, h->far_most / FAR_LEAF * sizeof *h->far_leaf);
    TABLE(closed, h->debug ? CLOSED_PLACES * sizeof *h->closed : 0);
    at = align_up(at, os_page);
    TABLE(entry, pages * os_page);
    TABLE(near_at, align_up(h->near_most * sizeof *h->near_at, os_page));
#undef TABLE
    return at;
}

static struct movable *map_all(size_t reserve, const struct allot_movable_opts *opts)
{
    struct movable all = {
        .locked = opts->lock,
        .debug = opts->debug,
        .odd = opts->align == 16,
        .waste = opts->waste ? opts->waste : 12,
        .opts = *opts,
        .area_size = align_up(reserve, CHUNK_SIZE),
        .far_size = align_up(reserve, ZONE_SIZE),
        .spare = NO_CHUNK,
        .source = NO_CHUNK,
        .target = NO_CHUNK,
        .free_groups = NO_GROUP,
        .free_far = UINT32_MAX,
    };
    all.opts.limit = opts->limit ? opts->limit : SIZE_MAX;
    all.chunks_most = (uint32_t)(all.area_size / CHUNK_SIZE);
    all.zones_most = (uint32_t)(all.far_size / ZONE_SIZE);
    /* 128 groups fill a chunk with objects of the smallest block; as many again serve chunks whose groups are sparse. */
    all.groups_most = (uint32_t)size_min((size_t)all.chunks_most * 256, GROUPS_MOST - 1);
    all.near_most = (uint32_t)size_min(align_up(opts->near_slots ? opts->near_slots : NEAR_SLOTS, GROUP_SLOTS),
                                       (size_t)all.groups_most * GROUP_SLOTS);
    all.watched = os_parts_watched();
    all.quick.units = all.debug || all.watched ? 0 : QUICK_UNITS;
    all.near_slots = all.watched ? 0 : all.near_most;
    all.far_most = (uint32_t)size_min(all.far_size / ZONE_UNIT, (size_t)1 << 31);
    all.tables_size = lay_out(&all, NULL);
    char *tables = os_reserve(all.tables_size, os_page), *area = tables ? os_reserve(all.area_size, CHUNK_SIZE) : NULL;
    if (!area) {
        if (tables) {
            os_unmap(tables, all.tables_size);
        }
        return NULL;
    }
    all.tables = tables;
    all.area = area;
    lay_out(&all, tables);
    os_small_pages(area, all.area_size);
    struct movable *h = (void *)tables;
    *h = all;
    return h;
}

int allot_movable_init(struct allot_movable *heap, size_t reserve, const struct allot_movable_opts *opts)
{
    static const struct allot_movable_opts defaults;
    opts = opts ? opts : &defaults;
    *heap = (struct allot_movable){0};
    if (opts->waste > 99 || (opts->align && opts->align != 8 && opts->align != 16) || reserve > PTRDIFF_MAX / 8) {
        return -EINVAL;
    }
    int saved = errno;
    os_memory_init();
    struct movable *h = NULL;
    for (size_t size = reserve ? reserve : RESERVE_MOST; !h && (reserve ? size == reserve : size >= RESERVE_LEAST);
         size /= 2) {
        h = map_all(size, opts);
    }
    errno = saved;
    if (!h) {
        return -ENOMEM;
    }
    chain_of_movables_add(h);
    *heap =
        (struct allot_movable){.near_at = h->near_at,
                               .near_slots = h->near_slots,
                               .slots = h->watched ? 0 : h->groups_most * GROUP_SLOTS, /* 0: all of `at` is done here */
                               .entry = h->entry,
                               .base = h->base,
                               .state = h};
    return 0;
}

bool movable_may_hold(struct movable *h, size_t bytes)
{
    size_t limit = h->opts.limit, held = movable_held(h);
    if (bytes > limit) {
        return false;
    }
    if (held > limit - bytes && h->spare != NO_CHUNK) {
        chunk_drop_spare(h);
        held = movable_held(h);
    }
    if (held > limit - bytes) {
        far_purge(h, held - (limit - bytes));
        held = movable_held(h);
    }
    return held <= limit - bytes;
}

void movable_note_held(struct movable *h) { h->peak = size_max(h->peak, movable_held(h)); }

/* -- misuse -- */

static void __attribute__((noinline, cold, noreturn)) refuse(const struct movable *h, const char *crime, allot_ref ref)
{
    char object[128];
    const void *at = ref.slot / GROUP_SLOTS < h->groups && h->entry[ref.slot] ? slot_at(h, ref.slot) : NULL;
    snprintf(object, sizeof object, "reference %u.%u of movable heap \"%.39s\"", ref.slot, ref.gen,
             h->opts.name ? h->opts.name : "");
    allot_fault(crime, object, at);
}

/* What the slot of a good reference leads to; NULL. */
static inline char *block_of(const struct movable *h, allot_ref ref)
{
    if (ref.slot / GROUP_SLOTS >= h->groups || !h->entry[ref.slot]) {
        return NULL;
    }
    char *p = slot_at(h, ref.slot);
    return (*gen_of(p) & GEN_MOST) == ref.gen ? p : NULL;
}

static inline char *expect(const struct movable *h, allot_ref ref, const char *crime)
{
    char *p = block_of(h, ref);
    if (unlikely(!p)) {
        refuse(h, crime, ref);
    }
    return p;
}

/* -- coming -- */

/* Any chunk at all that has room, and a slot: also a hole of the class below, when it happens to be long enough. */
static uint32_t search_everywhere(struct movable *h, uint32_t units)
{
    for (uint32_t c = 0; c < h->chunks; c++) {
        const struct chunk *chunk = &h->chunk[c];
        if (chunk->state != CHUNK_USED ||
            (chunk->open == NO_GROUP && h->free_groups == NO_GROUP && h->groups == h->groups_most)) {
            continue;
        }
        if (chunk_has(h, c, units)) {
            return c;
        }
    }
    errno = ENOMEM;
    return NO_CHUNK;
}

static allot_ref begin_block(struct movable *h, uint32_t slot, char *p, size_t size, uint32_t gen_bits)
{
    uint32_t gen = slot_next_gen(h, slot);
    block_begin(p, units_for(h, size), size, gen | gen_bits);
    if (gen_bits == 0) {
        object_begins(h, p, size);
    }
    return (allot_ref){slot, gen};
}

/* A block with a new reference; its header says `size`. */
static allot_ref make_block(struct movable *h, size_t size, uint32_t gen_bits, char **out)
{
    uint32_t units = units_for(h, size), slot = UINT32_MAX;
    *out = quick_last(h, units);
    if (*out && (slot = slot_take(h, chunk_of(h, *out))) != UINT32_MAX) {
        uint32_t c = chunk_of(h, *out);
        quick_pop(h, units);
        slot_leads_to(h, slot, c, (uint32_t)((size_t)(*out - chunk_at(h, c)) / 8));
        return begin_block(h, slot, *out, size, gen_bits);
    }
    uint32_t c = chunk_with_room(h, units);
    if (c == NO_CHUNK && quick_give_all(h)) {
        c = chunk_with_room(h, units);
    }
    c = c == NO_CHUNK ? chunk_make(h) : c;
    if (likely(c != NO_CHUNK)) {
        slot = slot_take(h, c);
    }
    if (unlikely(slot == UINT32_MAX)) {
        if (c != NO_CHUNK && h->chunk[c].used == 0) {
            chunk_release(h, c);
        }
        c = search_everywhere(h, units);
        slot = c != NO_CHUNK ? slot_take(h, c) : UINT32_MAX;
        if (slot == UINT32_MAX) {
            return (allot_ref){0, 0};
        }
    }
    uint32_t unit = chunk_take(h, c, units);
    slot_leads_to(h, slot, c, unit);
    *out = unit_at(h, c, unit);
    return begin_block(h, slot, *out, size, gen_bits);
}

static void drop_block(struct movable *h, uint32_t slot, char *p)
{
    slot_give(h, slot);
    if (!quick_put(h, p)) {
        block_give(h, p);
    }
}

static allot_ref get_far(struct movable *h, size_t size, bool purgeable, uint64_t key)
{
    char *stub;
    uint32_t number = far_make(h, size);
    allot_ref ref = number != UINT32_MAX ? make_block(h, sizeof number, GEN_FAR, &stub) : (allot_ref){0, 0};
    if (ref.gen == 0) {
        if (number != UINT32_MAX) {
            far_forget(h, number);
        }
        return ref;
    }
    struct far *far = far_of(h, number);
    *far_number(stub) = number;
    far->slot = ref.slot;
    far->purgeable = purgeable;
    far->key = key;
    h->purgeable += purgeable;
    int failed = purgeable ? far_build(h, number) : 0;
    if (failed) {
        far_forget(h, number);
        drop_block(h, ref.slot, stub);
        errno = -failed;
        return (allot_ref){0, 0};
    }
    return ref;
}

/* The same after what both kinds of getting need. */
static allot_ref count_in(struct movable *h, allot_ref ref, size_t size)
{
    if (likely(ref.gen != 0)) {
        h->count++;
        h->used += size;
    } else {
        h->refused++;
    }
    return ref;
}

allot_ref allot_movable_get(struct allot_movable *heap, size_t size)
{
    struct movable *h = movable_of(heap);
    char *p;
    size = size_max(size, SIZE_LEAST);
    movable_lock(h);
    allot_ref ref = likely(size <= small_most(h)) ? make_block(h, size, 0, &p) : get_far(h, size, false, 0);
    ref = count_in(h, ref, size);
    movable_tell_near(heap, h);
    movable_unlock(h);
    return ref;
}

allot_ref allot_movable_get_purgeable(struct allot_movable *heap, size_t size, uint64_t key)
{
    struct movable *h = movable_of(heap);
    if (!h->opts.rebuild) {
        errno = EINVAL;
        return (allot_ref){0, 0};
    }
    movable_lock(h);
    size = size_max(size, SIZE_LEAST);
    allot_ref ref = count_in(h, get_far(h, size, true, key), size);
    movable_tell_near(heap, h);
    movable_unlock(h);
    return ref;
}

/* -- being there -- */

bool allot_movable_is(struct allot_movable *heap, allot_ref ref)
{
    struct movable *h = movable_of(heap);
    movable_lock(h);
    bool is = block_of(h, ref) != NULL;
    movable_unlock(h);
    return is;
}

size_t allot_movable_size(struct allot_movable *heap, allot_ref ref)
{
    struct movable *h = movable_of(heap);
    movable_lock(h);
    size_t size = movable_size_of(h, expect(h, ref, "size of a stale reference"));
    movable_unlock(h);
    return size;
}

static bool is_none(allot_ref ref) { return (ref.slot | ref.gen) == 0; }

static char *find(struct movable *h, allot_ref ref)
{
    char *p = expect(h, ref, "use of a stale reference");
    return is_far(p) ? far_use(h, *far_number(p)) : p;
}

const void *movable_thread(void)
{
    static __thread char mark;
    return &mark;
}

void *allot_movable_find(struct allot_movable *heap, allot_ref ref)
{
    struct movable *h = movable_of(heap);
    if (is_none(ref)) {
        return NULL;
    }
    if (h->locked && atomic_load_explicit(&h->asking, memory_order_relaxed) == movable_thread()) {
        movable_lets_in(h,
                        false); /* the lock is ours: this is the program's function that a walk or a step has called */
        char *p = find(h, ref);
        movable_lets_in(h, true);
        return p;
    }
    movable_lock(h);
    char *p = find(h, ref);
    movable_unlock(h);
    return p;
}

/* One more pin of a small object, or one less: how many it has then; UINT32_MAX: out of memory. */
static uint32_t pin_small(struct movable *h, uint32_t slot, char *p)
{
    uint32_t pins = pins_of(p);
    if (pins == PINS_MANY) {
        return pins_add(h, slot, 1);
    }
    if (pins + 1 == PINS_MANY && !pins_more(h, slot)) {
        return UINT32_MAX;
    }
    *meta_of(p) += 1 << META_PINS;
    h->group[slot / GROUP_SLOTS].pinned += pins == 0;
    return pins + 1;
}

static uint32_t unpin_small(struct movable *h, uint32_t slot, char *p)
{
    uint32_t pins = pins_of(p);
    if (pins == PINS_MANY && (pins = pins_add(h, slot, -1)) >= PINS_MANY) {
        return pins;
    }
    if (pins_of(p) == PINS_MANY) {
        pins_drop(h, slot);
    } else {
        pins--;
    }
    *meta_of(p) -= 1 << META_PINS;
    if (pins == 0) {
        h->group[slot / GROUP_SLOTS].pinned--;
        h->chunk[chunk_of(h, p)].changed = true;
    }
    return pins;
}

void *allot_movable_pin(struct allot_movable *heap, allot_ref ref)
{
    struct movable *h = movable_of(heap);
    if (is_none(ref)) {
        return NULL;
    }
    movable_lock(h);
    char *p = expect(h, ref, "pin of a stale reference");
    uint32_t pins;
    if (is_far(p)) {
        uint32_t number = *far_number(p);
        p = far_use(h, number);
        pins = p ? ++far_of(h, number)->pins : 0;
    } else {
        pins = pin_small(h, ref.slot, p);
        p = pins == UINT32_MAX ? NULL : p;
    }
    h->pinned += pins == 1;
    movable_unlock(h);
    return p;
}

void allot_movable_unpin(struct allot_movable *heap, allot_ref ref)
{
    struct movable *h = movable_of(heap);
    movable_lock(h);
    char *p = expect(h, ref, "unpin of a stale reference");
    if ((is_far(p) ? far_at(h, p)->pins : pins_of(p)) == 0) {
        refuse(h, "unpin of an object that is not pinned", ref);
    }
    if (is_far(p)) {
        h->pinned -= --far_at(h, p)->pins == 0;
    } else {
        h->pinned -= unpin_small(h, ref.slot, p) == 0;
    }
    movable_unlock(h);
}

unsigned allot_movable_worth(struct allot_movable *heap, allot_ref ref)
{
    struct movable *h = movable_of(heap);
    movable_lock(h);
    char *p = expect(h, ref, "use of a stale reference");
    const struct chunk *chunk = &h->chunk[chunk_of(h, p)];
    uint32_t held = chunk->top - FIRST_UNIT, percent = (uint32_t)((uint64_t)(held - live_units(chunk)) * 100 / held);
    unsigned worth = !is_far(p) && percent >= h->waste ? percent : 0;
    movable_unlock(h);
    return worth;
}

/* -- another size -- */

/* A small object becomes one of the other kind: its block a stub. */
static int send_away(struct movable *h, uint32_t slot, char *p, size_t size)
{
    uint32_t number = far_make(h, size);
    if (number == UINT32_MAX) {
        return -ENOMEM;
    }
    struct far *far = far_of(h, number);
    memcpy(far->at, p, size_min(size, block_bytes(h, p)));
    far->slot = slot;
    object_ends(h, p, block_bytes(h, p));
    uint32_t units = units_for(h, sizeof number);
    chunk_resize(h, chunk_of(h, p), h->entry[slot], units);
    *meta_of(p) = (uint16_t)((*meta_of(p) & META_BEFORE) | meta_for(units, sizeof number));
    *gen_of(p) |= GEN_FAR;
    *far_number(p) = number;
    return 0;
}

/* A block of the same slot, as long as that, elsewhere in its chunk: NULL when there is no room. The old one is there still. */
static char *another_block(struct movable *h, uint32_t slot, size_t size)
{
    uint32_t c = chunk_of(h, h->base[slot / GROUP_SLOTS]), units = units_for(h, size), unit = chunk_take(h, c, units);
    if (!unit && quick_give_of(h, c)) {
        unit = chunk_take(h, c, units);
    }
    if (!unit) {
        return NULL;
    }
    char *to = unit_at(h, c, unit);
    block_begin(to, units, size, slot_gen(h, slot));
    object_begins(h, to, size);
    return to;
}

static void replace_block(struct movable *h, uint32_t slot, char *to)
{
    uint32_t was = h->entry[slot], c = chunk_of(h, to);
    slot_leads_to(h, slot, c, (uint32_t)((size_t)(to - chunk_at(h, c)) / 8));
    chunk_give(h, c, was);
}

static int resize_small(struct movable *h, uint32_t slot, char *p, size_t size)
{
    uint32_t units = units_for(h, size);
    size_t was = block_bytes(h, p);
    uint32_t c = chunk_of(h, p), unit = h->entry[slot];
    if (size <= small_most(h) &&
        (chunk_resize(h, c, unit, units) || (pins_of(p) && quick_give_of(h, c) && chunk_resize(h, c, unit, units)))) {
        *meta_of(p) = (uint16_t)((*meta_of(p) & (META_BEFORE | PINS_MANY << META_PINS)) | meta_for(units, size));
        object_resizes(h, p, was, size);
        return 0;
    }
    if (pins_of(p)) {
        return -EBUSY;
    }
    char *to = size <= small_most(h) ? another_block(h, slot, size) : NULL;
    if (!to) {
        return send_away(h, slot, p, size);
    }
    memcpy(to, p, was);
    replace_block(h, slot, to);
    return 0;
}

static int resize_far(struct movable *h, uint32_t slot, char *stub, size_t size)
{
    uint32_t number = *far_number(stub);
    struct far *far = far_of(h, number);
    char *home = size <= small_most(h) && far->pins == 0 ? another_block(h, slot, size) : NULL;
    if (!home) {
        return far_resize(h, number, size);
    }
    memcpy(home, far->at, size_min(size, far->size));
    replace_block(h, slot, home);
    far_forget(h, number);
    return 0;
}

int allot_movable_resize(struct allot_movable *heap, allot_ref ref, size_t size)
{
    struct movable *h = movable_of(heap);
    int saved = errno, failed;
    size = size_max(size, SIZE_LEAST);
    movable_lock(h);
    char *p = expect(h, ref, "resize of a stale reference");
    size_t was = movable_size_of(h, p);
    if (is_far(p)) {
        failed = far_at(h, p)->purgeable ? -EINVAL : resize_far(h, ref.slot, p, size);
    } else {
        failed = resize_small(h, ref.slot, p, size);
    }
    h->used += failed ? 0 : size - was;
    h->refused += failed == -ENOMEM;
    movable_unlock(h);
    errno = saved;
    return failed;
}

/* -- going -- */

void movable_drop(struct movable *h, uint32_t slot)
{
    char *p = slot_at(h, slot);
    h->count--;
    h->used -= movable_size_of(h, p);
    if (is_far(p)) {
        far_forget(h, *far_number(p));
    }
    drop_block(h, slot, p);
}

void allot_movable_put(struct allot_movable *heap, allot_ref ref)
{
    struct movable *h = movable_of(heap);
    if (is_none(ref)) {
        return;
    }
    movable_lock(h);
    char *p = expect(h, ref, "double put, or put of a stale reference");
    if (is_far(p) ? far_at(h, p)->pins : pins_of(p)) {
        refuse(h, "put of a pinned object", ref);
    }
    movable_drop(h, ref.slot);
    movable_unlock(h);
}

static int refuse_pinned(void *arg, allot_ref ref, void *at, size_t size)
{
    struct movable *h = arg;
    char *p = slot_at(h, ref.slot);
    (void)at;
    (void)size;
    if (is_far(p) ? far_at(h, p)->pins : pins_of(p)) {
        refuse(h, "done while an object is pinned", ref);
    }
    return 0;
}

void allot_movable_done(struct allot_movable *heap)
{
    struct movable *h = movable_of(heap);
    bool watched = h->watched;
    if (watched) {
        os_watch_pause(true);
    }
    if (h->pinned) {
        movable_walk(h, refuse_pinned, h);
    }
    chain_of_movables_remove(h);
    object_begins(h, h->area, (size_t)h->chunks * CHUNK_SIZE); /* it is nobody's then, and may be anybody's */
    far_done(h);
    pins_free(&h->pins);
    os_unmap(h->area, h->area_size);
    os_unmap(h->tables, h->tables_size);
    if (watched) {
        os_watch_pause(false);
    }
    *heap = (struct allot_movable){0};
}
