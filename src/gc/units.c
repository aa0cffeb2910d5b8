/* gc/units.c - memory of a heap: units, and the count of what it holds. O(1).
 *
 *   held = units * UNIT_SIZE + pages of large objects + tables and worklists       held + aside <= opts.limit
 */
#include <errno.h>

#include "gc/gc.h"
#include "heap/limit.h"

static bool fits(const struct gc *gc, size_t bytes)
{
    size_t held = gc->held + (gc->aside > 0 ? (size_t)gc->aside : 0);
    return gc->opts.limit == 0 || (held <= gc->opts.limit && bytes <= gc->opts.limit - held);
}

static void count_held(struct gc *gc, size_t bytes)
{
    gc->held += bytes;
    gc->peak = size_max(gc->peak, gc->held);
}

bool gc_hold_bytes(struct gc *gc, size_t bytes)
{
    if (!fits(gc, bytes) || !limit_take(bytes)) {
        return false;
    }
    count_held(gc, bytes);
    return true;
}

void gc_let_bytes_go(struct gc *gc, size_t bytes)
{
    gc->held -= bytes;
    limit_give(bytes);
}

void gc_note_range(struct gc *gc, const char *at, size_t bytes)
{
    uintptr_t from = (uintptr_t)at;
    gc->lowest = gc->lowest && gc->lowest < from ? gc->lowest : from;
    gc->highest = size_max(gc->highest, from + bytes);
}

void gc_count_pages(struct gc *gc, size_t bytes, bool more)
{
    if (more) {
        count_held(gc, bytes);
    } else {
        gc->held -= bytes;
    }
}

bool gc_fits(const struct gc *gc, size_t bytes) { return fits(gc, bytes); }

struct gc_unit *gc_take_unit(struct gc *gc, enum unit_use use)
{
    int saved = errno;
    struct unit *unit = fits(gc, UNIT_SIZE) ? part_take_unit(use) : NULL;
    errno = saved;
    if (!unit) {
        return NULL;
    }
    count_held(gc, UNIT_SIZE);
    gc->units++;
    gc_note_range(gc, unit_data(unit), UNIT_SIZE);
    struct gc_unit *own = (struct gc_unit *)unit;
    own->next = own->prev = NULL;
    __builtin_memset(own->own, 0, sizeof own->own);
    atomic_store_explicit(&unit->owner, gc->part.id, memory_order_release);
    return own;
}

void gc_give_unit(struct gc *gc, struct gc_unit *unit)
{
    unit->next = unit->prev = NULL;
    __builtin_memset(unit->own, 0, sizeof unit->own); /* it is no slab either */
    gc->held -= UNIT_SIZE;
    gc->units--;
    part_give_unit(&unit->unit);
}

struct gc_unit *gc_take_unit_set_aside(struct gc *gc)
{
    gc->aside -= (ptrdiff_t)UNIT_SIZE;
    struct gc_unit *unit = gc_take_unit(gc, UNIT_ALL);
    if (!unit) {
        gc->aside += (ptrdiff_t)UNIT_SIZE;
    }
    return unit;
}

void gc_give_unit_set_aside(struct gc *gc, struct gc_unit *unit)
{
    gc_give_unit(gc, unit);
    gc->aside += (ptrdiff_t)UNIT_SIZE;
}
