/* gc/copy_whole.c - whole collections, and the sweep after any marking: see gc/copy.h.
 *
 *   young    | o . . o . |   FROM     -->  copies         all goes
 *   sparse   | . o . . . |   FROM     -->  copies         all goes: as the last sweep has found it
 *   others   | o o . o o |   marked   -->  | o o gap o o |, or all goes
 *   pinned   | o . . o . |   STAYS    -->  | o gap o gap |
 *
 * Cost: a visit of what lives, the sum of it and of units. Should what is sparse now be much of the heap, it is done once more, at the
 * limit as often as that helps: so one call leaves at most as much unused as a quarter of what lives, but for what is pinned.
 */
#include "gc/copy_parts.h"
#include "gc/copy_trace.h"
#include "os/fault.h"

void copy_count_cycle(struct gc *gc)
{
    struct copy *c = &gc->copy;
    c->cycle = copy_next_cycle(c);
    c->taken = 0;
}

/* -- the sweep -- */

static size_t count_marks(const struct copy_unit *u)
{
    size_t n = 0;
    for (size_t w = 0; w < COPY_WORDS; w++) {
        n += count_bits(*copy_marks(u, w));
    }
    return n;
}

void copy_drop_old(struct gc *gc, struct copy_unit *u)
{
    list_remove(&gc->copy.old, u);
    copy_give_unit(gc, u);
}

size_t copy_sweep_unit(struct gc *gc, struct copy_unit *u)
{
    struct copy *c = &gc->copy;
    bool open = u == c->to[0].unit || u == c->to[1].unit || u == c->maybe.unit;
    if (u->black) {
        u->black = false;
        u->objects = COPY_UNKNOWN;
        u->live16 = (uint16_t)((size_t)(u->end - copy_first(u)) / GC_GRAIN);
    } else {
        size_t marks = count_marks(u);
        if (marks == 0 && !open) {
            copy_drop_old(gc, u);
            return 0;
        }
        if (marks != u->objects) {
            copy_settle_unit(gc, u);
        } else {
            copy_clear_marks(u);
        }
    }
    u->again = u->pinned = false;
    u->objects = open ? COPY_UNKNOWN : u->objects;
    size_t live = u->live16 * GC_GRAIN;
    copy_want(c, u, !open);
    return live;
}

bool copy_end_large(struct gc *gc)
{
    struct large_object *l = gc->dead_large;
    if (l) {
        gc->dead_large = l->next;
        large_end(gc, l);
    }
    return l;
}

/* One that was made in the cycle has age 0. */
static bool large_goes(struct gc *gc, struct large_object *l)
{
    bool lives = l->marked || (gc->copy.phase == COPY_MARKING && l->age == 0);
    l->marked = l->again = false;
    return !lives;
}

size_t copy_sweep_large(struct gc *gc)
{
    large_sweep(gc, large_goes);
    size_t live = 0;
    for (size_t i = 0; i < large_count(gc); i++) {
        live += large_nth(gc, i)->size;
    }
    return live;
}

void copy_note_all_tables(struct gc *gc)
{
    struct copy *c = &gc->copy;
    c->finishables = c->weak = c->ephemerons = 0;
    copy_note_tables(gc);
}

/* used = allocated - freed */
void copy_set_used(struct gc *gc, size_t live)
{
    size_t less = gc->used - size_min(gc->used, live);
    gc->freed += less;
    gc->used -= less;
}

/* -- the whole of it -- */

/* What copies may take for certain, but for the end of a unit. Without a limit memory is not expected to be out. */
static size_t room_for_copies(const struct gc *gc)
{
    if (!gc->opts.limit || gc_is(gc, ALLOT_GC_STRESS)) {
        return SIZE_MAX;
    }
    size_t left = gc->opts.limit - size_min(gc->opts.limit, gc->held), units = gc->copy.spares + left / UNIT_SIZE;
    return units ? (units - 1) * (UNIT_SIZE / 8 * 7) : 0;
}

/* Only of so many units as their copies have room for: should it end in the middle, something would stay in each of them. */
static void choose(struct gc *gc)
{
    struct copy *c = &gc->copy;
    size_t room = room_for_copies(gc);
    for (struct copy_unit *u = c->old; u; u = u->next) {
        bool moves = gc_is(gc, ALLOT_GC_STRESS) || u->wanted == c->cycle;
        u->is = moves && !u->maybe && u->live16 * GC_GRAIN <= room ? COPY_FROM : COPY_OLD;
        u->tabled = false;
        room -= u->is == COPY_FROM && room != SIZE_MAX ? u->live16 * GC_GRAIN : 0;
    }
    for (struct copy_unit *u = c->young; u; u = u->next) {
        size_t bytes = (size_t)(u->end - copy_first(u));
        if (bytes > room) {
            copy_stay(gc, u);
        } else {
            room -= room != SIZE_MAX ? bytes : 0;
        }
    }
}

static size_t end_old_units(struct gc *gc)
{
    size_t live = 0;
    for (struct copy_unit *u = gc->copy.old, *next; u; u = next) {
        next = u->next;
        if (u->is == COPY_FROM) {
            copy_drop_old(gc, u);
            continue;
        }
        if (u->is == COPY_STAYS) {
            copy_settle_unit(gc, u);
            u->is = COPY_OLD;
            u->wanted = 0;
            live += u->live16 * GC_GRAIN;
        } else {
            live += copy_sweep_unit(gc, u);
        }
    }
    return live;
}

static void forget(struct gc *gc, void *entry, bool is_slot)
{
    (void)gc;
    (void)entry;
    (void)is_slot;
}

static void collect(struct gc *gc)
{
    struct copy *c = &gc->copy;
    copy_count_cycle(gc);
    c->whole = true;
    copy_begin_copies(gc, true);
    choose(gc);
    gc_look_at_remembered(gc, forget);
    gc->forgot = false;
    copy_pin(gc, true);
    copy_reach_roots(gc);
    copy_follow_all(gc);
    gc_settle(gc);
    copy_end_copies(gc);
    size_t live = end_old_units(gc);
    c->whole = false;
    live += copy_end_young_units(gc);
    live += copy_sweep_large(gc);
    while (copy_end_large(gc)) {
    }
    copy_note_all_tables(gc);
    copy_set_used(gc, live);
}

/* Bytes in sparse units that nothing lies in. */
static size_t unused(const struct gc *gc)
{
    const struct copy *c = &gc->copy;
    size_t bytes = 0;
    for (const struct copy_unit *u = c->old; u; u = u->next) {
        bytes += u->wanted == copy_next_cycle(c) ? UNIT_SIZE - u->live16 * GC_GRAIN : 0;
    }
    return bytes;
}

void copy_abandon(struct gc *gc)
{
    struct copy *c = &gc->copy;
    if (c->phase == COPY_IDLE) {
        return;
    }
    for (struct copy_unit *u = c->old; u; u = u->next) {
        if (!u->black) {
            copy_clear_marks(u);
        }
        u->black = u->again = false;
        if (u->wanted == c->cycle) {
            u->wanted = copy_next_cycle(c);
            u->slots = NULL;
            u->noted = 0;
        }
    }
    for (size_t i = 0; i < large_count(gc); i++) {
        large_nth(gc, i)->marked = large_nth(gc, i)->again = false;
    }
    copy_drop_slots(gc);
    c->work.count = 0;
    c->again = false;
    c->cursor = NULL;
    c->phase = COPY_IDLE;
}

/* Asked for, it gives back what it can; if it was due, much of that will be wanted again. */
void copy_collect(struct gc *gc)
{
    struct copy *c = &gc->copy;
    copy_abandon(gc);
    c->promoted = 0;
    c->spares_kept = c->is_due ? gc->units / 2 : 0;
    c->lean = !c->is_due;
    collect(gc);
    size_t before = SIZE_MAX;
    for (size_t rest; (rest = unused(gc)) > 2 * UNIT_SIZE && rest > gc->used / 4 && rest < before; before = rest) {
        collect(gc);
    }
    copy_set_due(gc);
    copy_trim(gc);
    c->lean = false;
}
