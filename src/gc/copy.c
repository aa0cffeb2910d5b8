/* gc/copy.c - the copying collector's units, and how they are filled: see gc/copy.h.
 *
 *   mutator:  | object, object ... | hole, zero ... |  not zero yet  |      a unit of its own, zeroed as far as its holes go
 *
 * A hole is a few KiB, so that what is zeroed is in the nearest cache when it is used; the next one follows it. O(1), and the
 * zeroing.
 */
#include "gc/copy.h"

#include <errno.h>

#include "gc/copy_parts.h"
#include "gc/copy_trace.h"
#include "heap/part.h"
#include "os/fault.h"
#include "os/memory.h"
#include "os/process.h"

#ifndef GC_WORK_MOST
#define GC_WORK_MOST 8192 /* entries of the worklist */
#endif

enum {
    HOLE = 8192,      /* bytes, and for larger blocks as many as one wants */
    SHUT_MOST = 64,   /* units that are inaccessible, in STRESS */
    SPARE_BEYOND = 4, /* units that are kept for copies beside a nursery of them */
    NURSERY_LEAST = 1 << 20,
    NURSERY_MOST = 16 << 20,
    STRESS_BYTE = 0xdb
};

/* -- units -- */

struct copy_unit *copy_take_unit(struct gc *gc)
{
    struct copy *c = &gc->copy;
    struct copy_unit *u = c->spare;
    if (u) {
        c->spare = u->next;
        c->spares--;
    } else {
        u = (struct copy_unit *)gc_take_unit(gc, UNIT_SOME);
    }
    if (u) {
        u->next = u->prev = NULL;
        u->end = u->scan = copy_first(u);
    }
    return u;
}

/* With nothing known of it any more; what has been written of it stays known. */
static void clear(struct copy_unit *u)
{
    size_t touched = u->end > copy_data(u) ? (size_t)(u->end - copy_data(u)) / GC_GRAIN + 1 : 0;
    struct unit unit = u->unit;
    unit.touched = (uint16_t)size_min(size_max(unit.touched, touched), UNIT_SIZE / GC_GRAIN) & 0x7fff;
    *u = (struct copy_unit){.unit = unit};
}

/* As many as will be wanted for the nursery, and for what may be promoted until the next whole collection; and
 * some of those that a collection has freed that was due. */
static size_t spares_wanted(const struct copy *c)
{
    if (c->lean) {
        return 0;
    }
    size_t wanted = (c->nursery + c->due - size_min(c->due, c->promoted)) / UNIT_SIZE + SPARE_BEYOND;
    return size_max(wanted, c->spares_kept);
}

static void keep_or_give(struct gc *gc, struct copy_unit *u)
{
    struct copy *c = &gc->copy;
    if (c->spares < spares_wanted(c)) {
        u->next = c->spare;
        c->spare = u;
        c->spares++;
    } else {
        gc_give_unit(gc, (struct gc_unit *)u);
    }
}

static void open_oldest(struct gc *gc)
{
    struct copy *c = &gc->copy;
    struct copy_unit *u = c->shut;
    c->shut = u->next;
    c->shuts--;
    os_protect(copy_data(u), UNIT_SIZE, true);
    keep_or_give(gc, u);
}

/* What still refers into it is no reference: in STRESS the unit is shut for a while, so that one faults. */
static void shut(struct gc *gc, struct copy_unit *u)
{
    struct copy *c = &gc->copy;
    if (!os_protect(copy_data(u), UNIT_SIZE, false)) {
        memset(copy_data(u), STRESS_BYTE, UNIT_SIZE);
        keep_or_give(gc, u);
        return;
    }
    if (c->shut) {
        c->shut_last->next = u;
    } else {
        c->shut = u;
    }
    c->shut_last = u;
    if (++c->shuts > SHUT_MOST) {
        open_oldest(gc);
    }
}

void copy_give_unit(struct gc *gc, struct copy_unit *u)
{
    clear(u);
    if (unlikely(gc_is(gc, ALLOT_GC_STRESS))) {
        u->unit.touched = UNIT_SIZE / GC_GRAIN;
        shut(gc, u);
    } else {
        keep_or_give(gc, u);
    }
}

void copy_trim(struct gc *gc)
{
    struct copy *c = &gc->copy;
    while (c->spares > spares_wanted(c)) {
        struct copy_unit *u = c->spare;
        c->spare = u->next;
        c->spares--;
        gc_give_unit(gc, (struct gc_unit *)u);
    }
}

/* The holes, and what else is being filled with young objects. */
void copy_close_young(struct gc *gc)
{
    for (struct mutator *me = gc->mutators; me; me = me->next) {
        me->copy.unit = NULL;
        me->face->hole[0].next = me->face->hole[0].end = NULL;
    }
    gc->copy.medium = (struct copy_bump){0};
    gc->copy.young_bytes = 0;
}

void copy_clear_marks(struct copy_unit *u)
{
    for (size_t w = 0; w < COPY_WORDS; w += HEADER_SIZE / 8) {
        memset(copy_marks(u, w), 0, HEADER_SIZE);
    }
}

/* -- objects -- */

/* Zero from `from` to `to`, as far as it has been written. */
static void zero(struct copy_unit *u, char *from, char *to)
{
    char *written = copy_data(u) + u->unit.touched * GC_GRAIN;
    if (from < written) {
        memset(from, 0, (size_t)((to < written ? to : written) - from));
    }
}

static void hand_out(struct gc *gc, size_t bytes)
{
    gc->since += bytes;
    gc->used += bytes;
    gc->allocated += bytes;
}

/* Of a heap with a limit a sixteenth, a unit at least and four at most, is left to copies: with none at all nothing could be evacuated. */
static bool is_left_to_copies(const struct gc *gc)
{
    size_t all = gc->opts.limit / UNIT_SIZE, keep = size_min(size_max(all / 16, 1), 4);
    return all > 2 && gc->copy.spares * UNIT_SIZE + gc->opts.limit < gc->held + (keep + 1) * UNIT_SIZE;
}

static struct copy_unit *take_young(struct gc *gc)
{
    struct copy_unit *u = is_left_to_copies(gc) ? NULL : copy_take_unit(gc);
    if (u) {
        u->is = COPY_FROM;
        list_push(&gc->copy.young, u);
    }
    return u;
}

/* Makes the mutator's hole at least so long. */
static bool refill(struct mutator *me, size_t bytes)
{
    struct gc *gc = me->gc;
    struct allot_gc_mutator *face = me->face;
    struct copy_unit *u = me->copy.unit;
    if (!u || (size_t)(copy_last(u) - face->hole[0].next) < bytes) {
        u = take_young(gc);
        if (!u) {
            return false;
        }
        me->copy.unit = u;
        face->hole[0].next = face->hole[0].end = u->end;
    }
    size_t room = (size_t)(copy_last(u) - face->hole[0].next);
    char *end = face->hole[0].next + size_min(room, size_max(bytes, gc_is(gc, ALLOT_GC_STRESS) ? 0 : HOLE));
    size_t more = (size_t)(end - u->end);
    zero(u, u->end, end);
    face->hole[0].end = u->end = end;
    gc->copy.young_bytes += more;
    hand_out(gc, more);
    return true;
}

static char *take_from_hole(struct mutator *me, size_t bytes)
{
    struct allot_gc_mutator *face = me->face;
    if ((size_t)(face->hole[0].end - face->hole[0].next) < bytes && !refill(me, bytes)) {
        return NULL;
    }
    char *block = face->hole[0].next;
    face->hole[0].next += bytes;
    return block;
}

/* Of a unit that all mutators share. */
static char *take_from(struct gc *gc, struct copy_bump *bump, bool maybe, size_t bytes)
{
    struct copy *c = &gc->copy;
    if ((size_t)(bump->end - bump->at) < bytes) {
        struct copy_unit *u = maybe ? copy_take_unit(gc) : take_young(gc);
        if (!u) {
            return NULL;
        }
        if (maybe) {
            u->maybe = true;
            copy_begin_old(gc, u);
        }
        *bump = (struct copy_bump){.unit = u, .at = u->end, .end = copy_last(u)};
    }
    char *block = bump->at;
    bump->at = bump->unit->end = block + bytes;
    zero(bump->unit, block, bump->at);
    c->young_bytes += maybe ? 0 : bytes;
    hand_out(gc, bytes);
    return block;
}

void *copy_get(struct mutator *me, const struct allot_gc_type *type, size_t size)
{
    struct gc *gc = me->gc;
    struct copy *c = &gc->copy;
    size_t blocks = gc_blocks(size), bytes = blocks * GC_GRAIN;
    uint64_t header = (uint64_t)(uintptr_t)type << 16 | blocks;
    char *block;
    if (unlikely(type->flags & ALLOT_GC_MAYBE)) {
        c->maybes = true;
        header |= c->watch;
        block = take_from(gc, &c->maybe, true, bytes);
    } else {
        block = bytes > COPY_MEDIUM ? take_from(gc, &c->medium, false, bytes) : take_from_hole(me, bytes);
    }
    if (!block) {
        return NULL;
    }
    memcpy(block, &header, sizeof header);
    return block + ALLOT_GC_HEADER;
}

/* A large object's slots are remembered one by one, and it stays WATCHED: it may have very many. What is to be remembered is before it is
 * stored, as a fork may come in between. */
void copy_write(struct mutator *me, void *object, void **slot, void *value)
{
    uint64_t header = *gc_header(object);
    if ((header & GC_LARGE) && !(gc_type(header)->flags & ALLOT_GC_MAYBE)) {
        gc_remember_value(me, slot);
    } else {
        gc_remember(me, object);
    }
    *(void *volatile *)slot = value;
}

uint64_t copy_fresh_large(struct gc *gc, const struct allot_gc_type *type)
{
    gc->copy.maybes |= (type->flags & ALLOT_GC_MAYBE) != 0;
    return gc->copy.watch;
}

size_t copy_size(const struct gc *gc, const void *object)
{
    (void)gc;
    return (*gc_header(object) & GC_LENGTH) * GC_GRAIN - ALLOT_GC_HEADER;
}

/* -- words -- */

void copy_forget_starts(struct gc *gc)
{
    for (size_t i = 0; i < COPY_STARTS; i++) {
        gc->copy.starts[i].unit = NULL;
    }
}

/* Where objects begin; as long as nobody makes one. */
static const uint64_t *starts_of(struct gc *gc, struct copy_unit *u)
{
    struct copy_starts *s = &gc->copy.starts[(uintptr_t)u / HEADER_SIZE % COPY_STARTS];
    if (s->unit != u) {
        *s = (struct copy_starts){.unit = u};
        copy_each_block(u, block, header)
        {
            if (gc_type(header)) {
                bitmap_set(s->bit, copy_bit(block + ALLOT_GC_HEADER));
            }
        }
    }
    return s->bit;
}

void *copy_object_at(struct gc *gc, uintptr_t word, bool interior)
{
    struct copy_unit *u = copy_unit_of((const void *)word);
    size_t i = copy_bit((const void *)word);
    if (u->is == COPY_NONE || (!interior && word % GC_GRAIN)) {
        return NULL;
    }
    const uint64_t *bit = starts_of(gc, u);
    if (!bitmap_test(bit, i)) {
        if (!interior) {
            return NULL;
        }
        size_t w = i / 64;
        uint64_t before = bit[w] & (((uint64_t)1 << (i % 64)) - 1);
        while (!before && w > 0) {
            before = bit[--w];
        }
        if (!before) {
            return NULL;
        }
        i = w * 64 + log2_floor(before);
    }
    char *object = copy_data(u) + i * GC_GRAIN;
    size_t size = copy_block_bytes(*gc_header(object)) - ALLOT_GC_HEADER;
    return word - (uintptr_t)object < size_max(size, 1) ? object : NULL;
}

/* -- begin and end -- */

int copy_init(struct gc *gc)
{
    struct copy *c = &gc->copy;
    *c = (struct copy){.cycle = 1};
    c->watch = gc_is(gc, ALLOT_GC_PLAIN) ? 0 : ALLOT_GC_WATCHED;
    gc->opts.young = gc->opts.young ? size_max(align_up(gc->opts.young, UNIT_SIZE), UNIT_SIZE) : NURSERY_MOST;
    c->nursery = size_min(gc->opts.young, NURSERY_LEAST);
    if (!worklist_init(gc, &c->work, GC_WORK_MOST) || !worklist_init(gc, &c->staying, GC_WORK_MOST / 8 + 2)) {
        worklist_done(gc, &c->work);
        return -ENOMEM;
    }
    copy_set_due(gc);
    return 0;
}

static void give_list(struct gc *gc, struct copy_unit *u)
{
    for (struct copy_unit *next; u; u = next) {
        next = u->next;
        copy_clear_marks(u);
        clear(u);
        gc_give_unit(gc, (struct gc_unit *)u);
    }
}

void copy_done(struct gc *gc)
{
    struct copy *c = &gc->copy;
    while (c->shut) {
        open_oldest(gc);
    }
    give_list(gc, c->young);
    give_list(gc, c->old);
    give_list(gc, c->spare);
    copy_drop_slots(gc);
    worklist_done(gc, &c->work);
    worklist_done(gc, &c->staying);
    *c = (struct copy){0};
}

int copy_attach(struct mutator *me)
{
    me->face->one_hole = ~(uint32_t)0;
    me->face->length = 1;
    me->face->apart = ALLOT_GC_MAYBE;
    me->face->fresh = 0;
    me->copy = (struct copy_mutator){0};
    return 0;
}

/* Its unit is zero behind what it has made, so nothing more has to be known of it. */
void copy_detach(struct mutator *me, bool lost)
{
    (void)lost;
    me->copy = (struct copy_mutator){0};
}
