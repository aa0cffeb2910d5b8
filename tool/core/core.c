/* core.c - a dead process as an image: what can be read of it, and from where; see core.h. What each piece was is range.c's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/core.h"
#include "core/range.h"

/* -- reading -- */

/* The first extent that ends behind an address. */
static size_t first_after(const struct core *core, uint64_t address)
{
    size_t low = 0, high = core->extents;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (address >= core->extent[middle].to) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct core_extent *core_extent_of(const struct core *core, uint64_t address)
{
    const struct core_extent *last = core->last < core->extents ? &core->extent[core->last] : NULL;
    if (last && address >= last->from && address < last->to) {
        return last;
    }
    size_t low = first_after(core, address);
    if (low == core->extents || address < core->extent[low].from) {
        return NULL;
    }
    ((struct core *)core)->last = low; /* a memory of where we were, no part of what the image is */
    return &core->extent[low];
}

const void *core_at(const struct core *core, uint64_t address, uint64_t bytes)
{
    const struct core_extent *e = core_extent_of(core, address);
    return e && bytes <= e->to - address ? e->at + (address - e->from) : NULL;
}

static const void *at(const struct image *image, uintptr_t address, size_t bytes)
{
    return core_at((const struct core *)(const void *)image, address, bytes);
}

static uintptr_t next(const struct image *image, uintptr_t address)
{
    const struct core *core = (const struct core *)(const void *)image;
    size_t i = first_after(core, address);
    return i == core->extents ? UINTPTR_MAX : core->extent[i].from > address ? core->extent[i].from : address;
}

uint64_t core_word(const struct core *core, uint64_t address)
{
    uint64_t word = 0;
    const void *from = core_at(core, address, sizeof word);
    if (from) {
        memcpy(&word, from, sizeof word);
    }
    return word;
}

/* -- what there is -- */

/* Pieces that lie side by side both there and here are one. */
static bool add_extent(struct core *core, size_t *room, uint64_t from, uint64_t to, const unsigned char *bytes)
{
    struct core_extent *last = core->extents ? &core->extent[core->extents - 1] : NULL;
    if (last && last->to == from && last->at + (last->to - last->from) == bytes) {
        last->to = to;
        return true;
    }
    if (core->extents == *room) {
        size_t more = *room ? 2 * *room : 256;
        void *grown = realloc(core->extent, more * sizeof *core->extent);
        if (!grown) {
            return false;
        }
        core->extent = grown;
        *room = more;
    }
    core->extent[core->extents++] = (struct core_extent){from, to, bytes};
    return true;
}

static bool add_missing(struct core *core, uint64_t from, uint64_t to, enum core_missing_why why)
{
    const struct core_mapping *m = core_mapping_of(&core->file, from);
    struct core_missing *last = core->missings ? &core->missing[core->missings - 1] : NULL;
    core->missing_bytes += to - from;
    if (last && last->to == from && last->why == why && last->name == (m ? m->path : NULL)) {
        last->to = to;
        return true;
    }
    if ((core->missings & (core->missings - 1)) == 0) {
        void *grown = realloc(core->missing, (core->missings ? 2 * core->missings : 1) * sizeof *core->missing);
        if (!grown) {
            return false;
        }
        core->missing = grown;
    }
    core->missing[core->missings++] = (struct core_missing){from, to, why, m ? m->path : NULL};
    return true;
}

/* What of [from, to), which the core leaves out, the files of now have. */
static bool add_from_files(struct core *core, size_t *room, const struct core_segment *s)
{
    uint64_t from = s->from + s->bytes, read = from;
    while (from < s->to) {
        const struct core_mapping *m = core_mapping_of(&core->file, from);
        const struct core_module *module = m ? core_module_of(&core->modules, from) : NULL;
        if (!module || !module->map || from % 8 != 0) {
            break;
        }
        uint64_t offset = m->offset + (from - m->from), to = m->to < s->to ? m->to : s->to;
        uint64_t here = offset < module->bytes && offset % 8 == 0 ? module->bytes - offset : 0;
        here = (here < to - from ? here : to - from) & ~7ull;
        if (here > 0 && !add_extent(core, room, from, from + here, module->map + offset)) {
            return false;
        }
        read = from + here;
        from = to;
    }
    bool writable = s->flags & PF_W;
    if (read < s->to && (writable || s->cut)) {
        return add_missing(core, read, s->to, s->cut ? CORE_CUT : CORE_NOT_DUMPED);
    }
    return true;
}

static bool add_extents(struct core *core)
{
    size_t room = 0;
    for (size_t i = 0; i < core->file.segments; i++) {
        const struct core_segment *s = &core->file.segment[i];
        if (s->bytes > 0 && !add_extent(core, &room, s->from, s->from + s->bytes, s->at)) {
            return false;
        }
        if (s->bytes < s->to - s->from && !add_from_files(core, &room, s)) {
            return false;
        }
    }
    return true;
}

static bool begin(struct core *core, const char *program, struct core_error *error)
{
    core->image.at = at;
    core->image.next = next;
    if (!core_modules_find(&core->modules, &core->file, program) || !add_extents(core)) {
        core_close(core);
        snprintf(error->line, sizeof error->line, "no memory to look into it, core, have more memory");
        return false;
    }
    return true;
}

bool core_open(struct core *core, const char *path, const char *program, struct core_error *error)
{
    *core = (struct core){0};
    return core_file_open(&core->file, path, error) && begin(core, program, error);
}

bool core_open_memory(struct core *core, const unsigned char *map, size_t bytes, struct core_error *error)
{
    *core = (struct core){0};
    return core_file_parse(&core->file, map, bytes, error) && begin(core, NULL, error);
}

/* -- what it is -- */

bool core_paint(struct core *core, enum core_layer layer, struct core_paint paint)
{
    struct core_paints *p = &core->layer[layer];
    if (p->count > 0 && p->paint[p->count - 1].to == paint.from && p->paint[p->count - 1].kind == paint.kind &&
        p->paint[p->count - 1].tid == paint.tid && p->paint[p->count - 1].name == paint.name) {
        p->paint[p->count - 1].to = paint.to;
        return true;
    }
    if (p->count == p->room) {
        size_t more = p->room ? 2 * p->room : 16;
        void *grown = realloc(p->paint, more * sizeof *p->paint);
        if (!grown) {
            return false;
        }
        p->paint = grown;
        p->room = more;
    }
    p->paint[p->count++] = paint;
    return true;
}

bool core_settle(struct core *core) { return core_ranges_make(core); }

void core_close(struct core *core)
{
    for (size_t i = 0; i < CORE_LAYERS; i++) {
        free(core->layer[i].paint);
    }
    free(core->range);
    free(core->held);
    free(core->missing);
    free(core->extent);
    core_modules_close(&core->modules);
    core_file_close(&core->file);
    *core = (struct core){0};
}
