/* glibc_find.c - where glibc's malloc keeps its heap: the arenas, and the memory of each.
 *
 * The main arena is a static variable of libc, of which a stripped library tells nothing; but nothing else looks like it. Its 127 bins
 * are rings that begin and end in it: an empty one points to itself, another's neighbours point back. A ring of arenas closes in it,
 * and each one's top chunk lies in memory that could be written. Anything in the globals of any module may be it, so a static
 * program's is found too.
 *
 *   mp_:  | ... | how many are mapped | their limit, 65536 | ... | bytes mapped | their peak | brk at the beginning | ...
 *
 * mp_ is found by its last word here: an address in the heap's memory, with the default limit at its place before it; where the limit
 * was changed, the lowest address from which chunk after chunk leads to the top.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "core/glibc.h"

enum { MOST_ARENAS = 1 << 16, MOST_HEAPS = 1 << 20, BINS_ENOUGH = 100, DEFAULT_LIMIT = 65536 };

/* -- the main arena -- */

static bool ring_is_whole(const struct core *core, uint64_t bins, unsigned bin, bool *empty)
{
    uint64_t links = bins + 16 * bin, self = links - CHUNK_HEAD;
    uint64_t next = core_word(core, links), before = core_word(core, links + 8);
    *empty = next == self && before == self;
    return *empty || (core_word(core, next + CHUNK_HEAD + 8) == self && core_word(core, before + CHUNK_HEAD) == self);
}

static bool is_writable(const struct core *core, uint64_t address)
{
    const struct core_segment *s = core_segment_of(&core->file, address);
    return s && s->flags & PF_W;
}

/* How many bins are whole; 0: they are no arena's for another reason. */
static unsigned whole_bins(const struct core *core, uint64_t bins)
{
    if (!core_at(core, bins + BINS_TOP, BINS_END - BINS_TOP) || !is_writable(core, bins)) {
        return 0;
    }
    unsigned whole = 0, empty = 0;
    for (unsigned bin = 0; bin < ARENA_BIN_COUNT; bin++) {
        bool is_empty;
        whole += ring_is_whole(core, bins, bin, &is_empty);
        empty += is_empty;
    }
    uint64_t top = core_word(core, bins + BINS_TOP);
    return empty > 0 && (is_writable(core, top) || top == bins + BINS_TOP) ? whole : 0;
}

/* A few bins further on or back most bins are whole as well: the place where most are is it. */
static uint64_t best_near(const struct core *core, uint64_t bins)
{
    uint64_t best = bins;
    unsigned most = 0;
    for (unsigned i = 0; i <= ARENA_BIN_COUNT - BINS_ENOUGH; i++) {
        unsigned whole = whole_bins(core, bins + 16 * i);
        if (whole > most) {
            most = whole;
            best = bins + 16 * i;
        }
    }
    return best;
}

/* Whether arenas have so much before their bins: then the main one's successor is itself, or has bins there. */
static bool begins_before(const struct core *core, uint64_t main_bins, uint64_t before)
{
    uint64_t next = core_word(core, main_bins + BINS_NEXT);
    return next == main_bins - before || (next % 8 == 0 && whole_bins(core, next + before) >= BINS_ENOUGH / 2);
}

static void take_arena(struct glibc *g, uint64_t bins)
{
    bool plain = !begins_before(g->core, bins, ARENA_BINS_FAST) && begins_before(g->core, bins, ARENA_BINS_PLAIN);
    g->bins = plain ? ARENA_BINS_PLAIN : ARENA_BINS_FAST;
    g->main_arena = bins - g->bins;
}

/* Follows the ring; the arenas are the list. Those behind one that is none are lost, and that is said. */
static bool follow_ring(struct glibc *g)
{
    size_t room = 0;
    uint64_t arena = g->main_arena;
    do {
        if (!glibc_push(g, &g->arena, &g->arenas, &room, arena)) {
            return false;
        }
        uint64_t next = core_word(g->core, arena + g->bins + BINS_NEXT);
        if (g->arenas == MOST_ARENAS || next % 8 != 0 ||
            (next != g->main_arena && whole_bins(g->core, next + g->bins) < BINS_ENOUGH / 2)) {
            glibc_damaged(g, arena, "arena's successor %#llx is no arena", (unsigned long long)next);
            break;
        }
        arena = next;
    } while (arena != g->main_arena);
    return true;
}

static bool search(struct glibc *g, uint64_t from, uint64_t to)
{
    const struct core *core = g->core;
    for (uint64_t at = from; at < to; at += 8) {
        const struct core_extent *e = core_extent_of(core, at);
        if (!e) {
            return false;
        }
        uint64_t end = (e->to < to ? e->to : to) & ~7ull;
        const unsigned char *bytes = e->at + (at - e->from);
        for (; at + BINS_END <= end; at += 8, bytes += 8) {
            /* At least one of three bins for large chunks is empty, in any heap of a living program. */
            bool may = false;
            for (unsigned bin = 60; bin < ARENA_BIN_COUNT; bin += 33) {
                uint64_t link;
                memcpy(&link, bytes + 16 * bin, sizeof link);
                may |= link == at + 16 * bin - CHUNK_HEAD;
            }
            if (may && whole_bins(core, at) >= BINS_ENOUGH) {
                take_arena(g, best_near(core, at));
                return true;
            }
        }
        at = end;
    }
    return false;
}

/* Of a core that names no files, all that could be written. */
static bool each_global(struct glibc *g, bool (*visit)(struct glibc *g, uint64_t from, uint64_t to))
{
    for (size_t i = 0; g->core->modules.count == 0 && i < g->core->file.segments; i++) {
        const struct core_segment *s = &g->core->file.segment[i];
        if (s->flags & PF_W && s->bytes > 0 && visit(g, s->from, s->from + s->bytes)) {
            return true;
        }
    }
    for (size_t i = 0; i < g->core->modules.count; i++) {
        const struct core_module *m = &g->core->modules.module[i];
        for (size_t h = 0; h < m->headers; h++) {
            const Elf64_Phdr *p = &m->header[h];
            uint64_t from = (m->bias + p->p_vaddr + 7) & ~7ull, to = m->bias + p->p_vaddr + p->p_memsz;
            if (p->p_type == PT_LOAD && p->p_flags & PF_W && from < to && visit(g, from, to)) {
                return true;
            }
        }
    }
    return false;
}

static bool is_there(struct glibc *g, uint64_t arena, uint64_t before)
{
    g->main_arena = arena;
    g->bins = before;
    return arena % 8 == 0 && whole_bins(g->core, arena + before) >= BINS_ENOUGH / 2;
}

bool glibc_find_arena(struct glibc *g, uint64_t hint)
{
    bool known = hint && (is_there(g, hint, ARENA_BINS_FAST) || is_there(g, hint, ARENA_BINS_PLAIN));
    return (known || each_global(g, search)) && follow_ring(g);
}

/* -- where its memory began -- */

static uint32_t half_word(const struct core *core, uint64_t address)
{
    uint32_t word = 0;
    const void *at = core_at(core, address, sizeof word);
    if (at) {
        memcpy(&word, at, sizeof word);
    }
    return word;
}

/* The word at `at` as mp_.sbrk_base: four ints before two sums since 2.26; five and a gap since 2.35. */
static bool is_base(struct glibc *g, uint64_t at)
{
    uint64_t mapped = core_word(g->core, at - 16), peak = core_word(g->core, at - 8), count;
    if (mapped > peak || mapped % CHUNK_ALIGN != 0 || peak % CHUNK_ALIGN != 0) { /* pages, less some heads since 2.43 */
        return false;
    }
    if (half_word(g->core, at - 28) == DEFAULT_LIMIT) {
        count = half_word(g->core, at - 32);
    } else if (half_word(g->core, at - 32) == DEFAULT_LIMIT) {
        count = half_word(g->core, at - 36);
    } else {
        return false;
    }
    if (count > DEFAULT_LIMIT || (count != 0 && mapped == 0)) {
        return false;
    }
    g->report->mapped_told = count;
    return true;
}

/* Whether chunk after chunk leads to the top, or to where that is known already. */
static bool leads_to(const struct glibc *g, uint64_t at, uint64_t top)
{
    while (at < top && at != g->base) {
        uint64_t size = core_word(g->core, at + 8) & ~(uint64_t)CHUNK_FLAGS;
        if (size < CHUNK_LEAST || size % CHUNK_ALIGN != 0 || size > top - at) {
            return false;
        }
        at += size;
    }
    return at == top || at == g->base;
}

/* The two ways to know it: for sure, which ends the search; the lowest of those that lead to the top, which never does. */
static bool take_sure(struct glibc *g, uint64_t at, uint64_t word, uint64_t top)
{
    (void)top;
    g->base = is_base(g, at) ? word : g->base;
    return g->base != 0;
}

static bool take_lowest(struct glibc *g, uint64_t at, uint64_t word, uint64_t top)
{
    (void)at;
    const struct core_segment *s = core_segment_of(&g->core->file, top);
    uint64_t first = (word + CHUNK_ALIGN - 1) & ~(uint64_t)(CHUNK_ALIGN - 1);
    if (s && word >= s->from && (g->base == 0 || first < g->base) && leads_to(g, first, top)) {
        g->base = first;
    }
    return false;
}

static bool search_base(struct glibc *g, uint64_t from, uint64_t to,
                        bool (*take)(struct glibc *g, uint64_t at, uint64_t word, uint64_t top))
{
    const uint64_t top = core_word(g->core, g->main_arena + g->bins + BINS_TOP);
    for (uint64_t at = from; at + 8 <= to; at += 8) {
        uint64_t word = core_word(g->core, at);
        if (word >= 4096 && word <= top && is_writable(g->core, word) && take(g, at, word, top)) {
            return true;
        }
    }
    return false;
}

/* Among the words of the module that the arena is of. */
static bool search_bases(struct glibc *g, bool (*take)(struct glibc *g, uint64_t at, uint64_t word, uint64_t top))
{
    const struct core_module *m = core_module_of(&g->core->modules, g->main_arena);
    if (!m) {
        const struct core_segment *s = core_segment_of(&g->core->file, g->main_arena);
        return s && search_base(g, s->from, s->from + s->bytes, take);
    }
    for (size_t h = 0; h < m->headers; h++) {
        const Elf64_Phdr *p = &m->header[h];
        uint64_t from = (m->bias + p->p_vaddr + 7) & ~7ull, to = m->bias + p->p_vaddr + p->p_memsz;
        const struct core_extent *e;
        while (p->p_type == PT_LOAD && p->p_flags & PF_W && from < to && (e = core_extent_of(g->core, from))) {
            if (search_base(g, from, e->to < to ? e->to : to, take)) {
                return true;
            }
            from = (e->to + 7) & ~7ull;
        }
    }
    return false;
}

void glibc_find_base(struct glibc *g)
{
    g->report->mapped_told = UINT64_MAX;
    if (!search_bases(g, take_sure)) {
        search_bases(g, take_lowest);
    }
}

/* -- what memory it has -- */

static void add_region(struct glibc *g, struct glibc_region region)
{
    if (g->regions == g->region_room) {
        size_t more = g->region_room ? 2 * g->region_room : 16;
        void *grown = realloc(g->region, more * sizeof *g->region);
        if (!grown) {
            g->out_of_memory = true;
            return;
        }
        g->region = grown;
        g->region_room = more;
    }
    g->region[g->regions++] = region;
}

/* Where the top chunk ends, which is where the heap does; no further than the memory around it. */
static uint64_t end_of_top(struct glibc *g, uint64_t top)
{
    const struct core_segment *s = core_segment_of(&g->core->file, top);
    uint64_t size = core_word(g->core, top + 8) & ~(uint64_t)CHUNK_FLAGS;
    if (!s || size > s->to - top || size < CHUNK_ALIGN) {
        glibc_damaged(g, top, "top chunk of %llu bytes", (unsigned long long)size);
        return s ? s->to : top;
    }
    return top + size;
}

static void main_regions(struct glibc *g)
{
    uint64_t top = core_word(g->core, g->main_arena + g->bins + BINS_TOP);
    if (top == g->main_arena + g->bins + BINS_TOP) {
        return; /* it has never served anything */
    }
    const struct core_segment *s = core_segment_of(&g->core->file, top);
    const struct core_segment *b = core_segment_of(&g->core->file, g->base);
    uint64_t end = end_of_top(g, top);
    uint64_t first = (g->base + CHUNK_ALIGN - 1) & ~(uint64_t)(CHUNK_ALIGN - 1);
    if (b && s && b != s && b->to > first) { /* brk could not go on, so it has gone on elsewhere */
        add_region(g, (struct glibc_region){g->base, b->to, first, 0, false});
    }
    if (b == s && s) {
        add_region(g, (struct glibc_region){g->base, end, first, top, false});
    } else if (s) {
        add_region(g, (struct glibc_region){s->from, end, s->from, top, false});
    }
}

/* The head of a heap that an address lies in: at a multiple of the most that a heap can be. */
static uint64_t heap_of(const struct core *core, uint64_t arena, uint64_t address)
{
    for (unsigned shift = 26; shift <= 34; shift++) { /* 64 MiB; more where tunables ask for huge pages */
        uint64_t heap = address >> shift << shift;
        if (core_word(core, heap) == arena) {
            return heap;
        }
    }
    return 0;
}

static void other_regions(struct glibc *g, uint64_t arena)
{
    uint64_t top = core_word(g->core, arena + g->bins + BINS_TOP), own = heap_of(g->core, arena, arena);
    uint64_t heap = heap_of(g->core, arena, top), head = arena - own;
    if (own == 0 || heap == 0 || head < 32 || head > 256) {
        glibc_damaged(g, arena, "arena whose heaps are not where they should be");
        return;
    }
    for (unsigned i = 0; heap != 0; i++) {
        uint64_t bytes = core_word(g->core, heap + 16), before = core_word(g->core, heap + 8);
        const struct core_segment *s = core_segment_of(&g->core->file, heap);
        if (i == MOST_HEAPS || core_word(g->core, heap) != arena || !s || bytes < head || bytes > s->to - heap) {
            glibc_damaged(g, heap, "heap of an arena, with a broken head");
            return;
        }
        uint64_t first = heap + head + (heap == own ? g->bins + BINS_END : 0);
        first = (first + CHUNK_ALIGN - 1) & ~(uint64_t)(CHUNK_ALIGN - 1);
        bool last = top > heap && top - heap < bytes;
        add_region(g,
                   (struct glibc_region){heap, last ? end_of_top(g, top) : heap + bytes, first, last ? top : 0, false});
        heap = before;
    }
}

/* -- chunks that were mapped for themselves -- */

static bool in_regions(const struct glibc *g, uint64_t address, size_t known, uint64_t *end)
{
    for (size_t i = 0; i < known; i++) {
        if (address >= g->region[i].from && address < g->region[i].to) {
            *end = g->region[i].to;
            return true;
        }
    }
    for (size_t i = 0; i < g->core->layer[CORE_LAYER_HEAP].count; i++) { /* another malloc's */
        const struct core_paint *p = &g->core->layer[CORE_LAYER_HEAP].paint[i];
        if (address >= p->from && address < p->to) {
            *end = p->to;
            return true;
        }
    }
    return false;
}

/* Whether the head of a chunk that goes to the end of such a mapping says so: its size is all up to there, or since 2.43 all but a head.
 * What lies before it, whose last bit means huge pages since then, is `before`. */
static bool ends_mapping(const struct core *core, uint64_t chunk, uint64_t bytes, uint64_t before)
{
    uint64_t head = core_word(core, chunk + 8), size = head & ~(uint64_t)CHUNK_FLAGS;
    bool since = size == bytes - CHUNK_HEAD;
    return (head & CHUNK_FLAGS) == CHUNK_MAPPED && (size == bytes || since) &&
           (core_word(core, chunk) & ~(uint64_t)since) == before;
}

/* An aligned block has a second head, behind the space that aligning it left: which says how far before it the mapping begins. */
static uint64_t aligned_chunk(const struct core *core, uint64_t from, uint64_t bytes)
{
    for (uint64_t align = 2 * CHUNK_ALIGN; align < bytes; align *= 2) {
        uint64_t chunk = ((from + CHUNK_HEAD + align - 1) & ~(align - 1)) - CHUNK_HEAD;
        if (chunk > from && chunk + CHUNK_HEAD < from + bytes &&
            ends_mapping(core, chunk, bytes - (chunk - from), chunk - from)) {
            return chunk;
        }
    }
    return from;
}

static void search_mapped(struct glibc *g, const struct core_segment *s)
{
    const uint64_t page = g->core->file.page;
    const size_t known = g->regions;
    uint64_t at = (s->from + page - 1) & ~(page - 1), end = s->from + s->bytes;
    while (at < end && end - at >= page) {
        uint64_t size = core_word(g->core, at + 8) & ~(uint64_t)CHUNK_FLAGS, skip;
        uint64_t bytes = (size + CHUNK_HEAD) & ~(page - 1); /* either way */
        if (bytes >= page && bytes <= s->to - at && ends_mapping(g->core, at, bytes, 0) &&
            !in_regions(g, at, known, &skip)) {
            add_region(g, (struct glibc_region){at, at + bytes, aligned_chunk(g->core, at, bytes), 0, true});
            at += bytes;
        } else if ((at == s->from || at % (1 << 20) == 0) && in_regions(g, at, known, &skip) && skip > at) {
            at = skip < end ? (skip + page - 1) & ~(page - 1) : end;
        } else {
            at += page;
        }
    }
}

static int compare_region(const void *a, const void *b)
{
    const struct glibc_region *x = a, *y = b;
    return x->from < y->from ? -1 : x->from > y->from;
}

void glibc_find_regions(struct glibc *g)
{
    main_regions(g);
    for (size_t i = 1; i < g->arenas; i++) {
        other_regions(g, g->arena[i]);
    }
    for (size_t i = 0; i < g->core->file.segments; i++) {
        const struct core_segment *s = &g->core->file.segment[i];
        if (s->flags & PF_W && s->bytes > 0 && !core_mapping_of(&g->core->file, s->from)) {
            search_mapped(g, s);
        }
    }
    if (g->regions > 1) {
        qsort(g->region, g->regions, sizeof *g->region, compare_region);
    }
    size_t kept = 0; /* none may overlap the one before: a damaged head may claim anything */
    for (size_t i = 0; i < g->regions; i++) {
        if (kept > 0 && g->region[i].from < g->region[kept - 1].to) {
            glibc_damaged(g, g->region[i].from, "heaps that overlap");
            continue;
        }
        g->region[kept++] = g->region[i];
    }
    g->regions = kept;
}
