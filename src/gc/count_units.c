/* gc/count_units.c - slots of the counting collector: where new objects lie, and where old ones were. See gc/count.h.
 *
 *   with_room[class] ----> unit ----> unit ----> ...     full ones are in no list       a mutator's hand: a unit, out of it hole by hole
 *   empty            ----> unit ----> ...                zero, of no class
 *
 * A hole is a run of free slots, lowest first. Free slots are zero: who frees one makes it so. A unit none of whose slots is in use goes
 * to the empty ones, of which an eighth as many stay as are in use; while the search for circles knows it, when that has seen
 * to it. O(1), but for the search for a hole, which looks at the up to 60 words of a unit's map once from its beginning to its end.
 */
#include <errno.h>

#include "gc/count_ops.h"
#include "os/fault.h"

/* -- sizes -- */

/* Above COUNT_SMALL grains: four to a doubling, and then as long as leaves room for as many. */
static unsigned medium(unsigned k)
{
    unsigned grains = (4 + k % 4 + 1) << (k / 4 + 3);
    unsigned fit = (unsigned)GC_UNIT_GRAINS / grains;
    return (unsigned)GC_UNIT_GRAINS / size_max(fit, 2);
}

static unsigned class_of(size_t grains)
{
    if (grains <= COUNT_SMALL) {
        return (unsigned)grains - 1;
    }
    unsigned k = (log2_floor(grains - 1) - 5) * 4 + (unsigned)(((grains - 1) >> (log2_floor(grains - 1) - 2)) & 3);
    while (k > 0 && grains <= medium(k - 1)) {
        k--;
    }
    return COUNT_SMALL + k;
}

static size_t grains_of(unsigned klass) { return klass < COUNT_SMALL ? klass + 1 : medium(klass - COUNT_SMALL); }

/* -- units -- */

/* The search for circles has its address somewhere. */
static bool is_known(const struct gc *gc, const struct count_unit *u)
{
    return u->trial || u->noted || gc->count.cycles.unit == u;
}

static void unlist(struct gc *gc, struct count_unit *u) { list_remove(&gc->count.with_room[u->klass], u); }

/* Bytes that its trial counts may want: a word for each slot, in units that are not quite filled (cycles_trial.c). */
static ptrdiff_t trial_room(unsigned slots) { return (ptrdiff_t)(slots * sizeof(uint32_t) * 4 / 3 + 256); }

/* It is zero. */
static void give(struct gc *gc, struct count_unit *u)
{
    gc->aside -= u->slots ? trial_room(u->slots) : 0;
    u->unit.touched = 0;
    gc_give_unit(gc, (struct gc_unit *)u);
}

void count_give_empties(struct gc *gc, size_t keep)
{
    while (gc->count.empties > keep) {
        struct count_unit *u = gc->count.empty;
        list_remove(&gc->count.empty, u);
        gc->count.empties--;
        give(gc, u);
    }
}

static void keep_empty(struct gc *gc, struct count_unit *u)
{
    for (unsigned w = 0; w < count_words(u); w++) {
        *count_allocated(u, w) = 0;
    }
    gc->aside -= trial_room(u->slots);
    u->slots = 0;
    list_push(&gc->count.empty, u);
    gc->count.empties++;
    count_give_empties(gc, 16 + gc->units / 8);
}

void count_unit_rests(struct gc *gc, struct count_unit *u)
{
    if (u->used == 0 && !u->in_hand && !is_known(gc, u)) {
        unlist(gc, u);
        keep_empty(gc, u);
    }
}

/* A unit of ours, zero. */
static struct count_unit *take(struct gc *gc)
{
    struct count_unit *u = gc->count.empty;
    if (u) {
        list_remove(&gc->count.empty, u);
        gc->count.empties--;
        return u;
    }
    u = (struct count_unit *)gc_take_unit(gc, UNIT_SOME);
    if (u) {
        memset(unit_data(&u->unit), 0, u->unit.touched * GC_GRAIN);
    }
    return u;
}

static struct count_unit *begin(struct gc *gc, unsigned klass)
{
    size_t stride = grains_of(klass % COUNT_CLASSES) * GC_GRAIN;
    size_t slots = size_min((UNIT_SIZE - ALLOT_GC_HEADER) / stride, BITMAP_WORDS * 64);
    gc->aside += trial_room((unsigned)slots);
    struct count_unit *u = gc_fits(gc, 0) ? take(gc) : NULL;
    if (!u) {
        gc->aside -= trial_room((unsigned)slots);
        return NULL;
    }
    *u = (struct count_unit){
        .unit = {.touched = u->unit.touched, .dense = u->unit.dense, .holes = u->unit.holes},
        .recip = (uint32_t)((((uint64_t)1 << 32) + stride - 1) / stride),
        .stride16 = (uint16_t)(stride / GC_GRAIN),
        .slots = (uint16_t)slots,
        .klass = (uint8_t)klass,
        .lead = klass >= COUNT_CLASSES,
    };
    atomic_store_explicit(&u->unit.owner, gc->part.id, memory_order_release);
    if (u->slots % 64) {
        *count_allocated(u, count_words(u) - 1) = ~(uint64_t)0 << u->slots % 64;
    }
    return u;
}

/* -- holes -- */

struct hole {
    unsigned from, to;
};

/* The next run of free slots, at most `most` of them, and takes it. */
static bool next_hole(struct count_unit *u, size_t most, struct hole *hole)
{
    unsigned w = u->cursor, words = count_words(u);
    if (u->used == u->slots) {
        return false;
    }
    while (w < words && *count_allocated(u, w) == ~(uint64_t)0) {
        w++;
    }
    u->cursor = (uint8_t)w;
    if (w == words) {
        return false;
    }
    uint64_t free = ~*count_allocated(u, w);
    hole->from = w * 64 + lowest_bit(free);
    hole->to = hole->from;
    for (; w < words && hole->to == size_max(hole->from, w * 64) && hole->to - hole->from < most; w++) {
        free = ~*count_allocated(u, w) >> hole->to % 64;
        unsigned run = ~free ? lowest_bit(~free) : 64;
        run = (unsigned)size_min(run, most - (hole->to - hole->from));
        *count_allocated(u, w) |= (run == 64 ? ~(uint64_t)0 : (((uint64_t)1 << run) - 1)) << hole->to % 64;
        hole->to += run;
    }
    u->used += (uint16_t)(hole->to - hole->from);
    return true;
}

/* Out of the hand. */
static void put_away(struct gc *gc, struct count_unit *u)
{
    u->in_hand = false;
    u->cursor = 0;
    u->low = u->used < u->slots ? 0 : COUNT_FULL;
    if (u->used < u->slots) {
        list_push(&gc->count.with_room[u->klass], u);
        count_unit_rests(gc, u);
    }
}

/* One of the class that has holes: in hand from now on. */
static struct count_unit *next_unit(struct gc *gc, unsigned klass)
{
    struct count_unit *u = gc->count.with_room[klass];
    if (u) {
        unlist(gc, u);
    } else {
        u = begin(gc, klass);
    }
    if (u) {
        u->in_hand = true;
    }
    return u;
}

static bool find_hole(struct mutator *me, unsigned klass, size_t most, struct count_unit **in, struct hole *hole)
{
    struct count_unit **hand = &me->count.unit[klass];
    while (!*hand || !next_hole(*hand, most, hole)) {
        if (*hand) {
            put_away(me->gc, *hand);
        }
        *hand = next_unit(me->gc, klass);
        if (!*hand) {
            return false;
        }
    }
    *in = *hand;
    return true;
}

/* Objects with finishers come one at a time, and no unit of theirs stays in hand. */
static bool find_slot_apart(struct gc *gc, unsigned klass, struct count_unit **in, struct hole *hole)
{
    while ((*in = next_unit(gc, klass)) != NULL) {
        bool found = next_hole(*in, 1, hole);
        put_away(gc, *in);
        if (found) {
            return true;
        }
    }
    return false;
}

static void *get_large(struct mutator *me, const struct allot_gc_type *type, size_t size)
{
    struct gc *gc = me->gc;
    void *object = large_take(gc, type, size, me->face->fresh);
    if (object) {
        if (type->finish) {
            count_finish_of(object)->age = ++gc->count.ages;
        }
    }
    return object;
}

void *count_get(struct mutator *me, const struct allot_gc_type *type, size_t size)
{
    struct gc *gc = me->gc;
    if (size > GC_UNIT_MOST - 4 * GC_GRAIN) {
        return get_large(me, type, size);
    }
    count_flush(gc, &me->count.hand);
    size_t lead = type->finish ? 1 : 0, blocks = gc_blocks(size), grains = blocks + lead;
    if (grains > COUNT_SMALL) {
        grains = lead + gc_blocks(size + sizeof(size_t));
    }
    unsigned klass = class_of(grains);
    bool single = lead || grains > COUNT_SMALL || gc_is(gc, ALLOT_GC_STRESS);
    bool in_steps = gc->count.cycles.phase != CYCLES_NONE && gc->opts.step_ns;
    size_t most = in_steps ? size_max(COUNT_STEP / GC_GRAIN / grains, 1) : UNIT_SIZE;
    struct count_unit *u = NULL;
    struct hole hole = {0};
    if (!(lead ? find_slot_apart(gc, klass + COUNT_CLASSES, &u, &hole)
               : find_hole(me, klass, single ? 1 : most, &u, &hole))) {
        return NULL;
    }
    size_t stride = count_stride(u), bytes = (hole.to - hole.from) * stride;
    gc->since += bytes;
    gc->allocated += bytes;
    if (!single) {
        me->face->hole[blocks].next = count_data(u) + (hole.from + 1) * stride;
        me->face->hole[blocks].end = count_data(u) + hole.to * stride;
    }
    void *object = count_object(u, hole.from);
    *gc_header(object) = (uint64_t)(uintptr_t)type << 16 | me->face->fresh;
    if (stride > COUNT_SMALL * GC_GRAIN) {
        ((size_t *)(void *)(count_data(u) + hole.to * stride))[-1] = align_up(size, sizeof(size_t));
    }
    if (lead) {
        count_finish_of(object)->age = ++gc->count.ages;
    }
    return object;
}

/* -- free slots -- */

/* What a free slot means to its unit's lists. The lock is held. */
static void list_again(struct gc *gc, struct count_unit *u)
{
    if (u->low == COUNT_FULL) {
        u->low = 0;
        list_push(&gc->count.with_room[u->klass], u);
    }
    count_unit_rests(gc, u);
}

void count_list_again(struct gc *gc, struct count_hand *hand, struct count_unit *u)
{
    count_lock(gc, hand);
    list_again(gc, u);
    count_unlock(gc, hand);
}

void count_flush(struct gc *gc, struct count_hand *hand)
{
    while (hand->slots > 0) {
        char *at = hand->slot[--hand->slots];
        struct count_unit *u = count_unit_of(at);
        if (count_give_back(u, count_index(u, at + ALLOT_GC_HEADER))) {
            list_again(gc, u);
        }
    }
}

static void free_large(struct gc *gc, struct count_hand *hand, void *object)
{
    struct large_object *l = large_object_of(object);
    hand->freed += l->size;
    count_lock(gc, hand);
    cycles_forget(gc, object);
    large_give(gc, l);
    count_unlock(gc, hand);
}

void count_free_slowly(struct gc *gc, struct count_hand *hand, void *object)
{
    if (*gc_header(object) & GC_LARGE) {
        free_large(gc, hand, object);
        return;
    }
    struct count_unit *u = count_unit_of(object);
    size_t stride = count_stride(u);
    if (u->trial) {
        count_lock(gc, hand);
        cycles_forget(gc, object);
        count_unlock(gc, hand);
    }
    char *at = (char *)object - ALLOT_GC_HEADER - u->lead * sizeof(struct count_finish);
    hand->freed += stride;
    count_zero(at, stride);
    hand->slot[hand->slots++] = at;
    bool now = hand == &gc->count.finder || !count_is_careful(gc);
    if (now || hand->slots == sizeof hand->slot / sizeof *hand->slot) {
        count_lock(gc, hand);
        count_flush(gc, hand);
        count_unlock(gc, hand);
    }
}

/* -- coming and going -- */

/* Slots that are allocated and hold nothing. */
static void free_rest(struct count_unit *u, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        if (bitmap_test(count_allocated(u, i / 64), i % 64) && !*gc_header(count_object(u, i))) {
            count_give_back(u, i);
        }
    }
}

void count_put_away(struct mutator *me, bool lost)
{
    struct gc *gc = me->gc;
    for (unsigned k = 0; k < COUNT_CLASSES; k++) {
        struct count_unit *u = me->count.unit[k];
        if (!u) {
            continue;
        }
        if (!lost) {
            char *next = k < COUNT_SMALL ? me->face->hole[k + 1].next : NULL,
                 *end = next ? me->face->hole[k + 1].end : NULL;
            for (; next < end; next += count_stride(u)) {
                count_give_back(u, count_index(u, next + ALLOT_GC_HEADER));
            }
        } else if (!count_is_careful(gc)) {
            free_rest(u, 0, u->slots);
        }
        put_away(gc, u);
        me->count.unit[k] = NULL;
    }
}

int count_each_unit(struct gc *gc, int (*visit)(struct gc *gc, struct count_unit *u, void *arg), void *arg)
{
    int end = 0;
    for (struct segment *s = segments_newest(); s && !end; s = s->older) {
        for (unsigned i = 1; s->kind == SEGMENT_UNITS && i < UNITS && !end; i++) {
            struct count_unit *u = (struct count_unit *)segment_unit(s, i);
            if (unit_owner(&u->unit) == gc->part.id && u->slots) {
                end = visit(gc, u, arg);
            }
        }
    }
    return end;
}

static int give_unit(struct gc *gc, struct count_unit *u, void *arg)
{
    (void)arg;
    memset(unit_data(&u->unit), 0, UNIT_SIZE);
    for (unsigned w = 0; w < count_words(u); w++) {
        *count_allocated(u, w) = 0;
        *count_pending(u, w) = 0;
    }
    give(gc, u);
    return 0;
}

void count_units_done(struct gc *gc)
{
    count_give_empties(gc, 0);
    count_each_unit(gc, give_unit, NULL);
}
