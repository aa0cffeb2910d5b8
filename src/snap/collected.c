/* snap/collected.c - see snap/collected.h. */
#include "snap/collected.h"

#include <string.h>

#include "graph/grow.h"
#include "os/memory.h"

/* A unit of a heap, as an image has it. */
struct view {
    struct owners *owners;
    const struct gc *gc;
    uint32_t id;
    collected_found *found;
    void *arg;
};

static const struct gc *gc_by_id(const struct reader *r, uint32_t id)
{
    const struct part *at = is_part(id) && !is_set(id) ? snap_part_by_id(r, id - OWNER_LIMIT) : NULL;
    const struct gc *gc = at ? READ(r, (const struct gc *)((uintptr_t)at - offsetof(struct gc, part))) : NULL;
    return gc && gc->part.name ? gc : NULL;
}

static bool begin(struct view *v, struct owners *o, uint32_t id, collected_found *found, void *arg)
{
    *v = (struct view){.owners = o, .gc = gc_by_id(o->reader, id), .id = id, .found = found, .arg = arg};
    return v->gc;
}

static uint32_t owner_of(const struct view *v, uint64_t header)
{
    uint32_t kind = gc_is(v->gc, ALLOT_GC_EXPLICIT) ? GRAPH_EXPLICIT : GRAPH_GC;
    return owner_of_type(v->owners, v->id, (enum graph_owner_kind)kind, v->gc->part.name, gc_type(header));
}

/* An object of at most `room` bytes behind the header at an address; none, as that is 0. */
static void see(const struct view *v, uintptr_t at, size_t room)
{
    const uint64_t *header = READ(v->owners->reader, (const uint64_t *)at);
    if (header && *header) {
        size_t length = v->gc->kind == ALLOT_GC_COUNT ? 0 : (*header & GC_LENGTH) * GC_GRAIN;
        size_t size = length && length <= room + ALLOT_GC_HEADER ? length - ALLOT_GC_HEADER : room;
        v->found(v->arg, at + ALLOT_GC_HEADER, size, owner_of(v, *header));
    }
}

static void see_marks(const struct view *v, const struct mark_unit *u, uintptr_t data)
{
    bool swept = u->cycle == v->gc->mark.cycle;
    size_t stride = u->stride16 * GC_GRAIN, slots = stride ? size_min(u->slots, UNIT_SIZE / stride) : 0;
    for (size_t slot = 0; slot < slots; slot++) {
        uint64_t is = *mark_allocated(u, slot / 64);
        is &= swept ? is : *mark_marked(u, slot / 64);
        if (is >> slot % 64 & 1) {
            see(v, data + ALLOT_GC_HEADER + slot * stride, stride - ALLOT_GC_HEADER);
        }
    }
}

static void see_copied(const struct view *v, const struct copy_unit *u, uintptr_t data)
{
    uintptr_t end = size_min((uintptr_t)u->end, data + UNIT_SIZE);
    for (uintptr_t at = data + ALLOT_GC_HEADER; at < end;) {
        const uint64_t *header = READ(v->owners->reader, (const uint64_t *)at);
        size_t bytes = header ? (*header & GC_LENGTH) * GC_GRAIN : 0;
        if (bytes == 0 || bytes > end - at) {
            return;
        }
        if (gc_type(*header)) {
            see(v, at, bytes - ALLOT_GC_HEADER);
        }
        at += bytes;
    }
}

static void see_counted(const struct view *v, const struct count_unit *u, uintptr_t data)
{
    size_t stride = u->stride16 * GC_GRAIN, slots = stride ? size_min(u->slots, UNIT_SIZE / stride) : 0;
    size_t before = reader_flag(&u->lead) ? sizeof(struct count_finish) : 0;
    for (size_t slot = 0; slot < slots && stride >= before + ALLOT_GC_HEADER; slot++) {
        if (!(*unit_free_word(&u->unit, slot / 64) >> slot % 64 & 1)) {
            continue;
        }
        uintptr_t at = data + ALLOT_GC_HEADER + slot * stride;
        size_t room = stride - before - ALLOT_GC_HEADER;
        const size_t *size = stride > COUNT_SMALL * GC_GRAIN
                                 ? READ(v->owners->reader, (const size_t *)(at + stride - sizeof(size_t)))
                                 : NULL;
        see(v, at + before, size ? size_min(*size, room) : room);
    }
}

void collected_unit(struct owners *o, const struct unit *unit, uintptr_t data, collected_found *found, void *arg)
{
    struct view v;
    if (!begin(&v, o, unit_owner(unit), found, arg)) {
        return;
    }
    switch (v.gc->kind) {
    case ALLOT_GC_MARK:
        see_marks(&v, (const struct mark_unit *)unit, data);
        break;
    case ALLOT_GC_COPY:
        see_copied(&v, (const struct copy_unit *)unit, data);
        break;
    case ALLOT_GC_COUNT:
        see_counted(&v, (const struct count_unit *)unit, data);
        break;
    }
}

void collected_pages(struct owners *o, uint32_t id, uintptr_t at, size_t bytes, collected_found *found, void *arg)
{
    enum { BEFORE = 2 * sizeof(uint64_t) };
    struct view v;
    struct large_object *const *record = READ(o->reader, (struct large_object *const *)at);
    const struct large_object *l = record && *record ? READ(o->reader, *record) : NULL;
    const uint64_t *header = READ_AT(o->reader, (const void *)(at + sizeof(uint64_t)), uint64_t);
    if (begin(&v, o, id, found, arg) && l && (uintptr_t)l->at == at && header && bytes >= BEFORE &&
        l->size <= bytes - BEFORE) {
        found(arg, at + BEFORE, l->size, owner_of(&v, *header));
    }
}

static bool add_table(struct snap_areas *out, const void *at, size_t room, size_t each)
{
    return room == 0 || snap_area_add(out, (uintptr_t)at, align_up(room * each, os_page));
}

bool collected_areas(const struct reader *r, struct snap_areas *out)
{
    const struct part *at;
    for (uint32_t n = PARTS_SETS; n < 2 * PARTS_SETS && (at = snap_part_by_id(r, n)) != NULL; n++) {
        uintptr_t record = (uintptr_t)at - offsetof(struct gc, part);
        const struct gc *gc = READ(r, (const struct gc *)record);
        if (!snap_area_add(out, record, sizeof *gc)) {
            return false;
        }
        if (!gc || !gc->part.name) {
            continue;
        }
        bool added = add_table(out, gc->finishables.at, gc->finishables.room, sizeof(struct gc_finishable)) &&
                     add_table(out, gc->weak.at, gc->weak.room, sizeof(void *)) &&
                     add_table(out, gc->ephemeron.at, gc->ephemeron.room, sizeof(void *)) &&
                     add_table(out, gc->large.at, gc->large.room, sizeof(void *)) &&
                     add_table(out, gc->remembered.at, gc->remembered.room, sizeof(void *));
        const struct worklist *work = gc->kind == ALLOT_GC_MARK   ? &gc->mark.work
                                      : gc->kind == ALLOT_GC_COPY ? &gc->copy.work
                                                                  : NULL;
        if (!added || (work && !add_table(out, work->at, work->room, sizeof *work->at))) {
            return false;
        }
    }
    return true;
}
