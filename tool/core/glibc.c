/* glibc.c - glibc's heap in a dead process, chunk after chunk; see glibc.h.
 *
 *   chunk:  | size of the one before, if that is free | own size, 3 flags | what malloc gave ... | the next one's first word |
 *                                                                         ^ block                                           ^ its end
 *
 * A chunk is used when the next one's flag says so. Its size leads to the next; where it cannot be true - too small, not aligned,
 * beyond the heap - it is damaged, and what follows is looked for: a place from which several chunks lead on, each free one with its
 * size at its end too. So one overwritten head costs the blocks up to there, and no more.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/glibc.h"
#include "graph/grow.h"

enum { LEADS_ON = 6 };

void glibc_damaged(struct glibc *g, uint64_t address, const char *format, ...)
{
    if (g->report->damages < GLIBC_SAID) {
        struct glibc_damage *damage = &g->report->damage[g->report->damages];
        damage->address = address;
        va_list args;
        va_start(args, format);
        vsnprintf(damage->what, sizeof damage->what, format, args);
        va_end(args);
    }
    g->report->damages++;
}

bool glibc_push(struct glibc *g, uint64_t **list, size_t *count, size_t *room, uint64_t word)
{
    if (*count == *room) {
        size_t more = *room ? 2 * *room : 64;
        void *grown = realloc(*list, more * sizeof **list);
        if (!grown) {
            g->out_of_memory = true;
            return false;
        }
        *list = grown;
        *room = more;
    }
    (*list)[(*count)++] = word;
    return true;
}

static void add_block(struct glibc *g, uint64_t address, uint64_t bytes)
{
    struct graph_blocks *b = g->blocks;
    if (!grow((void **)&b->block, &b->room, b->count + 1, sizeof *b->block)) {
        g->out_of_memory = true;
        return;
    }
    b->block[b->count++] = (struct graph_block){.address = address, .size = bytes};
}

static void add_cache(struct glibc *g, uint64_t address, uint64_t bytes)
{
    if (!grow((void **)&g->cache, &g->cache_room, g->caches + 1, sizeof *g->cache)) {
        g->out_of_memory = true;
        return;
    }
    g->cache[g->caches++] = (struct glibc_cache){.at = address, .larger = bytes != CACHE_CHUNK};
}

static void count(struct glibc_sum *sum, uint64_t bytes)
{
    sum->blocks++;
    sum->bytes += bytes;
}

static bool size_can_be(uint64_t size, uint64_t room)
{
    return size >= CHUNK_LEAST && size % CHUNK_ALIGN == 0 && size <= room;
}

/* Whether chunks lead on from here: to a heap's end, or for a while. */
static bool leads_on(const struct core *core, uint64_t at, uint64_t end)
{
    for (unsigned i = 0; i < LEADS_ON; i++) {
        uint64_t head = core_word(core, at + 8), size = head & ~(uint64_t)CHUNK_FLAGS;
        if (at == end) {
            return i > 0;
        }
        if (!size_can_be(size, end - at) || head & CHUNK_MAPPED) {
            return false;
        }
        if (at + size < end && !(core_word(core, at + size + 8) & CHUNK_PREV_IN_USE) &&
            core_word(core, at + size) != size) {
            return false;
        }
        at += size;
    }
    return true;
}

/* The next place from which chunks lead on; `end` where there is none. */
static uint64_t find_next(struct glibc *g, uint64_t at, uint64_t end)
{
    for (at += CHUNK_ALIGN; at < end; at += CHUNK_ALIGN) {
        const struct core_extent *e = core_extent_of(g->core, at);
        if (!e) { /* cut off, or not dumped: on where there is memory again */
            for (size_t i = 0; i < g->core->extents; i++) {
                if (g->core->extent[i].from > at) {
                    at = ((g->core->extent[i].from + CHUNK_ALIGN - 1) & ~(uint64_t)(CHUNK_ALIGN - 1)) - CHUNK_ALIGN;
                    e = &g->core->extent[i];
                    break;
                }
            }
            if (!e) {
                return end;
            }
        } else if (leads_on(g->core, at, end)) {
            return at;
        }
    }
    return end;
}

static bool is_fence(const struct core *core, uint64_t at, uint64_t size)
{
    uint64_t next = core_word(core, at + CHUNK_HEAD + 8) & ~(uint64_t)CHUNK_FLAGS;
    return size == CHUNK_HEAD && (next == 0 || next == CHUNK_HEAD);
}

/* The heads are read from one stretch of the core at a time, as core_word would find it anew for each. */
struct stretch {
    uint64_t from, to;
    const unsigned char *at;
};

static bool head_at(const struct glibc *g, struct stretch *s, uint64_t chunk, uint64_t *before, uint64_t *head)
{
    if (chunk < s->from || chunk + CHUNK_HEAD > s->to) {
        const struct core_extent *e = core_extent_of(g->core, chunk);
        if (!e || e->to - chunk < CHUNK_HEAD) {
            return false;
        }
        *s = (struct stretch){e->from, e->to, e->at};
    }
    memcpy(before, s->at + (chunk - s->from), sizeof *before);
    memcpy(head, s->at + (chunk - s->from) + 8, sizeof *head);
    return true;
}

static void walk_heap(struct glibc *g, const struct glibc_region *r)
{
    const uint64_t end = r->top ? r->top : r->to;
    struct stretch stretch = {0};
    uint64_t at = r->first, before, head;
    while (at < end && !g->out_of_memory) {
        bool there = head_at(g, &stretch, at, &before, &head);
        uint64_t size = there ? head & ~(uint64_t)CHUNK_FLAGS : 0, next_head;
        if (there && is_fence(g->core, at, size)) {
            if (!r->top) {
                return;
            }
            at = find_next(g, at + CHUNK_HEAD, end); /* somebody else has moved brk: its memory lies between */
            continue;
        }
        if (!there || !size_can_be(size, r->to - at) || (r->top && size > end - at) || head & CHUNK_MAPPED) {
            uint64_t next = find_next(g, at, end);
            if (there) {
                glibc_damaged(g, at, "chunk of %llu bytes; %llu skipped", (unsigned long long)size,
                              (unsigned long long)(next - at));
            } else {
                glibc_damaged(g, at, "heap that is not in the core; %llu bytes skipped",
                              (unsigned long long)(next - at));
            }
            at = next;
            continue;
        }
        if (at + size == r->to) {
            next_head = CHUNK_PREV_IN_USE;
        } else if (!head_at(g, &stretch, at + size, &before, &next_head)) {
            next_head = CHUNK_PREV_IN_USE; /* as far as can be known */
        }
        if (next_head & CHUNK_PREV_IN_USE) {
            count(&g->report->used, size);
            add_block(g, at + CHUNK_HEAD, size - 8);
            if (size == CACHE_CHUNK || size == CACHE_LARGER_CHUNK || size == CACHE_LARGEST_CHUNK) {
                add_cache(g, at + CHUNK_HEAD, size);
            }
        } else {
            count(&g->report->free, size);
            if (before != size) {
                glibc_damaged(g, at, "free chunk of %llu bytes, of which the next one says %llu",
                              (unsigned long long)size, (unsigned long long)before);
            }
        }
        at += size;
    }
    if (r->top) {
        count(&g->report->top, r->to - r->top);
    }
}

static void walk_mapped(struct glibc *g, const struct glibc_region *r)
{
    uint64_t bytes = core_word(g->core, r->first + 8) & ~(uint64_t)CHUNK_FLAGS;
    bool to_end = bytes == r->to - r->first; /* else, since 2.43, it ends as others do, in a next one's head */
    count(&g->report->mapped, r->to - r->from);
    add_block(g, r->first + CHUNK_HEAD, bytes - (to_end ? CHUNK_HEAD : CHUNK_HEAD / 2));
}

static int compare_block(const void *a, const void *b)
{
    const struct graph_block *x = a, *y = b;
    return x->address < y->address ? -1 : x->address > y->address;
}

/* In order, and with what others had found before. */
static void sort(struct graph_blocks *blocks)
{
    for (size_t i = 1; i < blocks->count; i++) {
        if (blocks->block[i].address < blocks->block[i - 1].address) {
            qsort(blocks->block, blocks->count, sizeof *blocks->block, compare_block);
            return;
        }
    }
}

/* As libc itself says it, in its constants. */
static void find_version(struct glibc *g)
{
    static const char before[] = " release version ";
    const struct core_module *m = core_module_of(&g->core->modules, g->main_arena);
    const char *at = m && m->map ? memmem(m->map, m->bytes, before, sizeof before - 1) : NULL;
    if (!at) {
        return;
    }
    at += sizeof before - 1;
    size_t room = (size_t)((const char *)m->map + m->bytes - at), digits = 0;
    while (digits < room && digits < sizeof g->report->version - 1 &&
           (at[digits] == '.' || (at[digits] >= '0' && at[digits] <= '9'))) {
        digits++;
    }
    memcpy(g->report->version, at, digits);
    while (digits > 0 && g->report->version[digits - 1] == '.') {
        g->report->version[--digits] = 0;
    }
}

static void walk(struct glibc *g)
{
    glibc_find_base(g);
    glibc_find_regions(g);
    find_version(g);
    g->report->arenas = g->arenas;
    /* Its bins point to the heads of free chunks, which lie at the end of the blocks before them: no reference. */
    struct core_paint arena = {g->main_arena, g->main_arena + g->bins + BINS_END, IMAGE_HEAP, 0, NULL};
    if (!core_paint(g->core, CORE_LAYER_HEAP, arena)) {
        g->out_of_memory = true;
        return;
    }
    for (size_t i = 0; i < g->arenas; i++) {
        g->report->system += core_word(g->core, g->arena[i] + g->bins + BINS_SYSTEM);
    }
    for (size_t i = 0; i < g->regions && !g->out_of_memory; i++) {
        const struct glibc_region *r = &g->region[i];
        if (!core_paint(g->core, CORE_LAYER_HEAP, (struct core_paint){r->from, r->to, IMAGE_HEAP, 0, NULL})) {
            g->out_of_memory = true;
            return;
        }
        if (r->mapped) {
            walk_mapped(g, r);
        } else {
            walk_heap(g, r);
        }
    }
    sort(g->blocks);
    glibc_take_out_kept(g);
}

bool glibc_walk(struct core *core, uint64_t arena, struct graph_blocks *blocks, struct glibc_report *report)
{
    struct glibc g = {.core = core, .blocks = blocks, .report = report};
    *report = (struct glibc_report){0};
    if (glibc_find_arena(&g, arena)) {
        walk(&g);
    }
    free(g.arena);
    free(g.region);
    free(g.kept);
    grow_free(g.cache, g.cache_room, sizeof *g.cache);
    return !g.out_of_memory;
}
