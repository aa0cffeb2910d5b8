/* dead.c - a dead process's heaps and their blocks, in one list; see dead.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/dead.h"
#include "graph/grow.h"

static bool no_memory(struct dead *dead, struct core_error *error)
{
    dead_close(dead);
    snprintf(error->line, sizeof error->line, "no memory for its blocks, core, have more memory");
    return false;
}

/* -- allot's heap -- */

/* What an allot heap has from the system is no root; without one, what a recorder has. */
static bool paint_areas(struct dead *dead, uintptr_t desc)
{
    struct snap_areas areas = {0};
    const struct image *image = &dead->core.image;
    bool fine = (desc ? snap_areas(image, desc, &areas) : snap_noscan_areas(image, &areas)) != SNAP_NO_MEMORY;
    for (size_t i = 0; i < areas.count && fine; i++) {
        fine = core_paint(&dead->core, CORE_LAYER_HEAP,
                          (struct core_paint){areas.area[i].from, areas.area[i].to, IMAGE_HEAP, 0, NULL});
    }
    grow_free(areas.area, areas.room, sizeof *areas.area);
    return fine;
}

/* Its descriptor is a variable of a module, so only modules are searched; where the core names none, all that it has. */
static bool find_allot(struct dead *dead, uintptr_t *desc)
{
    struct core part = dead->core;
    struct image_range *range = calloc(part.image.ranges + 1, sizeof *range);
    if (!range) {
        return false;
    }
    size_t count = 0;
    for (size_t i = 0; i < part.image.ranges; i++) {
        enum image_kind kind = part.image.range[i].kind;
        if (kind == IMAGE_GLOBALS || kind == IMAGE_CONSTANT || part.modules.count == 0) {
            range[count++] = part.image.range[i];
        }
    }
    part.image.range = range;
    part.image.ranges = count;
    *desc = snap_find(&part.image);
    free(range);
    return true;
}

static bool walk_allot(struct dead *dead)
{
    uintptr_t desc = 0;
    if (!find_allot(dead, &desc)) {
        return false;
    }
    if (!desc) {
        return paint_areas(dead, 0);
    }
    dead->on_allot = true;
    dead->trouble = snap_expect(&dead->core.image, desc);
    if (dead->trouble != SNAP_OK) {
        return dead->trouble != SNAP_NO_MEMORY;
    }
    if (!core_sites_begin(&dead->sites, &dead->core, desc)) {
        return false;
    }
    struct snap_walk walk = {
        .image = &dead->core.image, .desc = desc, .site = core_site_of, .arg = &dead->sites, .out = &dead->blocks};
    dead->trouble = snap_walk(&walk);
    dead->unread = walk.missing;
    for (size_t i = 0; i < dead->blocks.count; i++) {
        dead->allot.blocks++;
        dead->allot.bytes += dead->blocks.block[i].size;
    }
    return dead->trouble != SNAP_NO_MEMORY && paint_areas(dead, desc);
}

/* -- glibc's -- */

/* Where the symbols say that the main arena is. Only asked when its shape does not tell: symbols may have to come from afar. */
static uint64_t arena_by_name(struct dead *dead)
{
    const struct core_modules *modules = &dead->core.modules;
    for (size_t i = 0; i < modules->count; i++) {
        const char *base = strrchr(modules->module[i].path, '/');
        if (modules->module[i].program || (base && strncmp(base, "/libc", 5) == 0)) {
            uint64_t arena = objects_address(dead->objects, &modules->module[i], "main_arena");
            if (arena) {
                return arena;
            }
        }
    }
    return 0;
}

static bool walk_glibc(struct dead *dead, struct graph_blocks *blocks)
{
    if (!glibc_walk(&dead->core, 0, blocks, &dead->glibc)) {
        return false;
    }
    uint64_t arena = dead->glibc.arenas == 0 && !dead->on_allot ? arena_by_name(dead) : 0;
    return arena == 0 || glibc_walk(&dead->core, arena, blocks, &dead->glibc);
}

/* -- both -- */

static uint64_t memory_of(const struct core_file *file)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < file->segments; i++) {
        bytes += file->segment[i].to - file->segment[i].from;
    }
    return bytes;
}

/* A block that cannot be, as records in the core may be damaged: beyond its memory, or over the next one. Those are left out and
 * counted, as what comes after relies on blocks that do not overlap. */
static void drop_impossible(struct dead *dead, struct graph_blocks *blocks)
{
    const struct core_file *file = &dead->core.file;
    const struct core_segment *s = NULL;
    const uint64_t most = memory_of(file);
    uint64_t end = 0;
    size_t kept = 0;
    for (size_t i = 0; i < blocks->count; i++) {
        struct graph_block b = blocks->block[i];
        uint64_t last = b.address + (b.size ? b.size - 1 : 0);
        if (!s || b.address < s->from || b.address >= s->to) {
            s = core_segment_of(file, b.address);
        }
        bool can_be = s && b.address >= end && b.size <= most && last >= b.address &&
                      (last < s->to || core_segment_of(file, last)) &&
                      (i + 1 == blocks->count || last < blocks->block[i + 1].address);
        if (can_be) {
            blocks->block[kept++] = b;
            end = last + 1;
        }
    }
    dead->unread += blocks->count - kept;
    blocks->count = kept;
}

/* Both lists in the first one's memory, from behind. */
static bool merge(struct graph_blocks *a, const struct graph_blocks *b)
{
    if (!grow((void **)&a->block, &a->room, a->count + b->count, sizeof *a->block)) {
        return false;
    }
    size_t i = a->count, k = b->count, to = i + k;
    while (k > 0) {
        bool first = i > 0 && a->block[i - 1].address > b->block[k - 1].address;
        a->block[--to] = first ? a->block[--i] : b->block[--k];
    }
    a->count += b->count;
    return true;
}

/* A block of one heap within one of the other's is left out, as a heap may be had from the other. */
static void drop_inner(struct graph_blocks *blocks)
{
    size_t kept = 0;
    for (size_t i = 0; i < blocks->count; i++) {
        const struct graph_block *last = kept ? &blocks->block[kept - 1] : NULL;
        if (!last || last->address + last->size <= blocks->block[i].address) {
            blocks->block[kept++] = blocks->block[i];
        }
    }
    blocks->count = kept;
}

/* glibc's blocks among allot's, which are there. */
static bool join(struct dead *dead, struct graph_blocks *glibc)
{
    struct graph_blocks *all = &dead->blocks;
    const uint32_t owner = (uint32_t)all->owners;
    drop_impossible(dead, all);
    drop_impossible(dead, glibc);
    if (!grow((void **)&all->owner, &all->owner_room, all->owners + 1, sizeof *all->owner)) {
        return false;
    }
    all->owner[all->owners++] = (struct graph_owner){.kind = GRAPH_MALLOC};
    for (size_t i = 0; owner > 0 && i < glibc->count; i++) {
        glibc->block[i].owner = owner;
    }
    if (all->count == 0) {
        struct graph_block *block = all->block;
        size_t room = all->room;
        all->block = glibc->block;
        all->room = glibc->room;
        all->count = glibc->count;
        glibc->block = block;
        glibc->room = room;
        return true;
    }
    if (!merge(all, glibc)) {
        return false;
    }
    drop_inner(all);
    return true;
}

static bool walk(struct dead *dead, struct core_error *error)
{
    struct graph_blocks glibc = {0};
    os_memory_init();
    dead->objects = objects_begin(&dead->core.modules);
    bool fine = dead->objects && core_settle(&dead->core) && walk_allot(dead) && walk_glibc(dead, &glibc) &&
                core_settle(&dead->core) && join(dead, &glibc);
    grow_free(glibc.block, glibc.room, sizeof *glibc.block);
    return fine || no_memory(dead, error);
}

bool dead_open(struct dead *dead, const char *path, const char *program, void (*told)(const char *what),
               struct core_error *error)
{
    *dead = (struct dead){0};
    if (!core_open(&dead->core, path, program, error)) {
        return false;
    }
    if (told) {
        told("looking for the heap");
    }
    return walk(dead, error);
}

bool dead_open_memory(struct dead *dead, const unsigned char *map, size_t bytes, struct core_error *error)
{
    *dead = (struct dead){0};
    return core_open_memory(&dead->core, map, bytes, error) && walk(dead, error);
}

bool dead_mark(struct dead *dead)
{
    if (!graph_begin(&dead->graph, &dead->blocks, &dead->core.image)) {
        return false;
    }
    dead->marked = true;
    return graph_mark(&dead->graph);
}

void dead_close(struct dead *dead)
{
    if (dead->marked) {
        graph_end(&dead->graph);
    }
    core_sites_end(&dead->sites);
    snap_walk_free(&dead->blocks);
    objects_end(dead->objects);
    core_close(&dead->core);
}
