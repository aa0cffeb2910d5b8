/* snap/foreign.c - see snap/foreign.h. A search for the arenas, one pass over the blocks for areas, then as of our own heap.
 *
 *   chunk of glibc's:   | size of the one before | size, 1: that is in use, 2: mapped for itself, 4: not of the main arena | block ...
 *   heap of an arena:   | arena | heap before | bytes in use | bytes that could be | ...      at a multiple of 64 MiB
 *   arena:              | ... | top | rest | 127 rings of free chunks | ... |
 */
#include "snap/foreign.h"

#include <string.h>

#include "graph/grow.h"
#include "os/noscan.h"
#include "snap/self.h"

#define ARENA_HEAP ((uintptr_t)64 << 20)
#define GAP_MOST   ((size_t)1 << 20) /* between blocks that are one malloc's memory */

enum { CHUNK_MAPPED = 2, CHUNK_FLAGS = 7, RINGS = 127, RINGS_ENOUGH = 100, RINGS_BYTES = 2088 };

struct looking {
    const struct snap_foreign *of;
    struct snap_self *self;
    struct graph_blocks blocks;
};

static const uintptr_t *words_at(uintptr_t at) { return (const uintptr_t *)at; }

/* -- glibc's -- */

/* What arenas have before their rings: with the lists of small free chunks, which 2.43 has no more. */
static size_t before_rings(const struct snap_foreign *of) { return of->glibc < 43 ? 112 : 24; }

static bool is_ring(const struct os_maps *maps, uintptr_t links)
{
    uintptr_t self = links - 16, next = words_at(links)[0], before = words_at(links)[1];
    return (next == self && before == self) ||
           (next % 8 == 0 && before % 8 == 0 && os_maps_can_read(maps, next, 32) &&
            os_maps_can_read(maps, before, 32) && words_at(next)[3] == self && words_at(before)[2] == self);
}

/* A heap that the program has damaged is one as well, as long as most of it is whole. */
static bool are_rings(const struct os_maps *maps, uintptr_t at)
{
    unsigned whole = 0;
    for (unsigned i = 0; i < RINGS && whole + RINGS - i >= RINGS_ENOUGH; i++) {
        whole += is_ring(maps, at + 16 * i);
    }
    return whole >= RINGS_ENOUGH && is_ring(maps, at);
}

static bool is_arena(const struct looking *l, uintptr_t arena)
{
    const struct os_maps *maps = &l->self->maps;
    size_t before = before_rings(l->of);
    return arena % 8 == 0 && os_maps_can_read(maps, arena, before + RINGS_BYTES) && are_rings(maps, arena + before);
}

static bool is_own_file(const struct os_mapping *m)
{
    return (m->flags & (OS_MAP_READ | OS_MAP_WRITE | OS_MAP_SHARED)) == (OS_MAP_READ | OS_MAP_WRITE);
}

/* The main arena is a variable of libc's: its record points to free chunks, whose heads are the ends of blocks. */
static bool add_main_arena(struct looking *l, struct snap_areas *out)
{
    const struct os_maps *maps = &l->self->maps;
    const struct os_mapping *code = os_maps_find(maps, l->of->malloc);
    for (size_t i = 0; code && i < maps->count; i++) {
        const struct os_mapping *m = &maps->mapping[i];
        if (!is_own_file(m) || strcmp(m->name, code->name) != 0) {
            continue;
        }
        for (uintptr_t at = m->from + before_rings(l->of); at + RINGS_BYTES <= m->to; at += 8) {
            if (are_rings(maps, at)) {
                return snap_area_add(out, at - before_rings(l->of), before_rings(l->of) + RINGS_BYTES);
            }
        }
    }
    return true;
}

/* brk's memory, and of each arena the heaps, whether blocks of them are live or not. By address. */
static bool add_heaps(struct looking *l, struct snap_areas *out)
{
    const struct os_maps *maps = &l->self->maps;
    for (size_t i = 0; i < maps->count; i++) {
        const struct os_mapping *m = &maps->mapping[i];
        if (strcmp(m->name, "[heap]") == 0 && !snap_area_add(out, m->from, m->to - m->from)) {
            return false;
        }
        for (uintptr_t at = align_up(m->from, ARENA_HEAP); is_own_file(m) && *m->name == 0 && at < m->to;
             at += ARENA_HEAP) {
            size_t used = words_at(at)[2], could = words_at(at)[3];
            if (used >= os_page && used <= could && os_maps_can_read(maps, at, could) && is_arena(l, words_at(at)[0]) &&
                !snap_area_add(out, at, could)) {
                return false;
            }
        }
    }
    return true;
}

static bool is_mapped_chunk(uintptr_t block) { return words_at(block)[-1] & CHUNK_MAPPED; }

static bool add_mapped_chunk(uintptr_t block, struct snap_areas *out)
{
    uintptr_t chunk = block - 16, from = align_down(chunk - words_at(chunk)[0], os_page);
    return snap_area_add(out, from, align_up(chunk + (words_at(chunk)[1] & ~(uintptr_t)CHUNK_FLAGS), os_page) - from);
}

/* -- any malloc's -- */

/* What the list says, as far as it can be read: a block that went without a word may be no more. By address. */
static void keep_readable(struct looking *l)
{
    const struct os_maps *maps = &l->self->maps;
    struct graph_blocks *b = &l->blocks;
    size_t kept = 0;
    for (size_t i = 0; i < b->count; i++) {
        const struct graph_block *one = &b->block[i];
        bool after = kept == 0 || one->address - b->block[kept - 1].address >= size_max(b->block[kept - 1].size, 1);
        if (after && os_maps_can_read(maps, one->address, size_max(one->size, 1))) {
            b->block[kept++] = *one;
        }
    }
    b->count = kept;
}

/* Of the blocks in no area of `known`, of which there are so many by address. */
static bool add_around_blocks(struct looking *l, size_t known, struct snap_areas *out)
{
    struct snap_area now = {0, 0};
    const struct os_mapping *in = NULL;
    size_t k = 0;
    for (size_t i = 0; i < l->blocks.count; i++) {
        const struct graph_block *b = &l->blocks.block[i];
        uintptr_t end = b->address + size_max(b->size, 1);
        while (k < known && out->area[k].to <= b->address) {
            k++;
        }
        if (k < known && out->area[k].from <= b->address) {
            continue;
        }
        if (l->of->glibc && is_mapped_chunk(b->address)) {
            if (!add_mapped_chunk(b->address, out)) {
                return false;
            }
        } else if (in && end <= in->to && b->address - now.to <= GAP_MOST) {
            now.to = end;
        } else {
            if (in && !snap_area_add(out, now.from, now.to - now.from)) {
                return false;
            }
            in = os_maps_find(&l->self->maps, b->address);
            now = (struct snap_area){align_down(b->address, os_page), end};
        }
    }
    return !in || snap_area_add(out, now.from, now.to - now.from);
}

static bool find_areas(void *arg, struct snap_self *self, const struct image *own)
{
    struct looking *l = arg;
    struct snap_areas *out = &self->areas;
    l->self = self;
    if (!l->of->list(l->of->arg, &l->blocks.block, &l->blocks.count)) {
        return false;
    }
    snap_sort(l->blocks.block, l->blocks.count, sizeof *l->blocks.block);
    keep_readable(l);
    bool fine = !l->of->glibc || add_heaps(l, out);
    fine = fine && add_around_blocks(l, out->count, out);
    fine = fine && (!l->of->glibc || add_main_arena(l, out));
    fine = fine && snap_noscan_add(own, (uintptr_t)&os_noscan, out);
    return snap_areas_settle(fine, out) == SNAP_OK;
}

bool snap_foreign_verdicts(const struct snap_foreign *of, uintptr_t sp, snap_tell *tell, void *arg)
{
    static struct graph_owner malloc_itself = {.kind = GRAPH_MALLOC};
    struct looking l = {.of = of, .blocks = {.owner = &malloc_itself, .owners = 1}};
    struct snap_self self = {0};
    struct graph graph = {0};
    os_memory_init();
    struct os_threads threads = os_stop(sp);
    bool done = threads.trouble == 0 && snap_self_make(&self, &threads, NULL, 0, find_areas, &l) &&
                graph_begin(&graph, &l.blocks, &self.image) && graph_mark(&graph);
    os_go();
    size_t count = done ? l.blocks.count : 0;
    uint64_t *led = done ? grow_map((count + 1) * sizeof *led) : NULL;
    if (led) {
        graph_led(&graph, led);
    }
    for (size_t i = 0; led && i < count; i++) {
        const struct graph_block *b = &l.blocks.block[i];
        tell(arg, (const void *)b->address, led[i] > b->size ? led[i] : 0, graph.verdict[i]);
    }
    grow_free(led, count + 1, sizeof *led);
    if (graph.blocks) {
        graph_end(&graph);
    }
    snap_self_end(&self);
    return led != NULL;
}
