/* snap/walk.c - see snap/walk.h. A visit of each unit of each segment, of each big block, and of what threads have at hand: lists
 * are followed only in the slab that they are of. Order of address comes from sorting what segments and large blocks begin with.
 */
#include "snap/walk.h"

#include "heap/live.h"
#include "heap/site.h"

#include "graph/grow.h"
#include "os/owned.h"
#include "snap/collected.h"
#include "snap/layout.h"
#include "snap/movable.h"
#include "snap/owners.h"
#include "snap/read.h"

/* A segment, a large block or a guarded one. */
struct piece {
    uintptr_t at; /* first: snap_sort */
    const struct segment *segment;
    const struct large *large;
    const struct guard_place *guard;
};

struct walker {
    struct reader reader;
    struct snap_walk *wanted;
    struct owners owners;
    struct piece *piece;
    size_t pieces, piece_room;
    const struct heap **heap; /* by the number in their ids */
    size_t heaps;             /* the largest number + 1 */
    const struct front **front;
    size_t fronts, front_room;
    bool no_memory;
};

/* -- what is live of a slab -- */

static const void *live_at(const void *of, const void *address, size_t bytes)
{
    return image_at(((const struct walker *)of)->reader.image, (uintptr_t)address, bytes);
}

static bool is_lost(const void *of, const struct heap *h)
{
    return atomic_load_explicit(&h->state, memory_order_relaxed) == HEAP_ACTIVE &&
           h->epoch != ((const struct walker *)of)->reader.epoch;
}

static const struct front *next_front(const void *of, const struct front *before, size_t *n)
{
    const struct walker *w = of;
    (void)before;
    return *n < w->fronts ? w->front[(*n)++] : NULL;
}

static const struct heap *next_heap(const void *of, const struct heap *before, size_t *n)
{
    const struct walker *w = of;
    (void)before;
    while (++*n < w->heaps) {
        if (w->heap[*n]) {
            return w->heap[*n];
        }
    }
    return NULL;
}

static const struct heap *heap_of(const struct walker *w, uint32_t id)
{
    return (id & ID_NUMBER) < w->heaps ? w->heap[id & ID_NUMBER] : NULL;
}

static void mark_live(const struct walker *w, const struct live_slab *v, uint64_t *map)
{
    const struct live live = {w, live_at, is_lost, next_front, next_heap};
    uint32_t owner = slab_owner(v->slab);
    live_mark(&live, v, is_part(owner) ? NULL : heap_of(w, owner), map);
}

/* -- blocks -- */

static void append(struct walker *w, const struct graph_block *block)
{
    struct graph_blocks *out = w->wanted->out;
    if (grow((void **)&out->block, &out->room, out->count + 1, sizeof *out->block)) {
        out->block[out->count++] = *block;
    } else {
        w->no_memory = true;
    }
}

static void add(struct walker *w, uintptr_t at, size_t size, uint32_t owner)
{
    if (w->owners.tables && is_own_table(&w->owners, at)) {
        return;
    }
    if (owner == 0 && size >= sizeof(struct allot_arena_block) && at % _Alignof(struct allot_arena_block) == 0) {
        const struct allot_arena_block *b = image_at(w->reader.image, at, sizeof *b);
        owner = b && b->mark == arena_mark_of((const void *)at) ? owner_of_arena(&w->owners, b->name) : 0;
    }
    uint32_t site = w->wanted->site ? w->wanted->site(w->wanted->arg, w->reader.image, at) : 0;
    append(w, &(struct graph_block){at, size, site, owner});
}

/* The size of a block in so much room, or SIZE_MAX: its seal says that it is free. */
static size_t sealed_size(const struct walker *w, uintptr_t at, size_t room)
{
    const void *end = image_at(w->reader.image, at + room - SEAL_BYTES, SEAL_BYTES);
    uint64_t seal = 0;
    if (end) {
        memcpy(&seal, end, sizeof seal); /* wherever a record that is not ours says that it lies */
    }
    uint64_t says = seal ? seal_read(seal, seal_mask(at, w->reader.secret)) : SEAL_FREED;
    return says == SEAL_FREED ? SIZE_MAX : says <= room - SEAL_BYTES ? says : room - SEAL_BYTES;
}

/* A live block of a heap, in so much room. */
static void add_block(struct walker *w, uintptr_t at, size_t room, size_t size, uint32_t id)
{
    size_t word = tag_word(id);
    uint32_t owner = 0;
    if (word && size >= word) {
        const void *tag = image_at(w->reader.image, at + size - word, word);
        uint32_t index = 0;
        if (tag) {
            memcpy(&index, tag, sizeof index); /* wherever a record that is not ours says that it lies */
        }
        owner = tag ? owner_of_tag(&w->owners, index) : 0;
        size -= word;
    } else if (id & ID_PRIVATE) {
        owner = owner_of_heap(&w->owners, id, heap_of(w, id));
    }
    add(w, at, size_min(size, room), owner);
}

static void walk_heaps_slab(struct walker *w, const struct live_slab *v)
{
    uint64_t map[BITMAP_WORDS];
    size_t stride = slab_stride(v->slab);
    mark_live(w, v, map);
    for (unsigned i = 0; i < slab_words(v->slab); i++) {
        for (uint64_t bits = map[i]; bits && !w->no_memory; bits &= bits - 1) {
            uintptr_t at = v->data + (i * 64 + lowest_bit(bits)) * stride;
            size_t size = w->reader.sealed ? sealed_size(w, at, stride) : stride;
            if (size != SIZE_MAX) {
                add_block(w, at, stride, size, slab_owner(v->slab));
            }
        }
    }
}

static void walk_parts_slab(struct walker *w, const struct live_slab *v)
{
    struct part_view part = part_view(&w->owners, slab_owner(v->slab));
    uint64_t map[BITMAP_WORDS];
    if (!part.set) {
        return;
    }
    mark_live(w, v, map);
    for (unsigned i = 0; i < slab_words(v->slab); i++) {
        for (uint64_t bits = map[i]; bits && !w->no_memory; bits &= bits - 1) {
            uintptr_t at = v->data + v->slab->klass * 64u + (i * 64 + lowest_bit(bits)) * (size_t)part.set->stride;
            add(w, at, part.set->part.size, part.owner);
        }
    }
}

/* Addresses in a fence, of no bytes. */
static void walk_nothings(struct walker *w, const struct unit *unit, uintptr_t data)
{
    for (size_t i = 0; i < BITMAP_WORDS; i++) {
        for (uint64_t bits = *unit_free_word(unit, i); bits && !w->no_memory; bits &= bits - 1) {
            add(w, data + (i * 64 + lowest_bit(bits)) * 16, 0, 0);
        }
    }
}

static void add_found(void *arg, uintptr_t object, size_t size, uint32_t owner)
{
    struct walker *w = arg;
    if (!w->no_memory) {
        add(w, object, size, owner);
    }
}

static void walk_units(struct walker *w, const struct segment *s, uintptr_t at)
{
    for (unsigned i = 1; i < UNITS && !w->no_memory; i++) {
        const struct unit *unit = (const struct unit *)((const char *)s + i * HEADER_SIZE);
        struct live_slab v = {(const struct slab *)unit, at + i * UNIT_SIZE};
        uint32_t owner = unit_owner(unit);
        if (owner == OWNER_NONE) {
            walk_nothings(w, unit, v.data);
        } else if (is_part(owner) && !is_set(owner)) {
            collected_unit(&w->owners, unit, v.data, add_found, w);
        } else if (v.slab->stride16 != 0 && owner != 0 && owner < OWNER_FREE) {
            (is_part(owner) ? walk_parts_slab : walk_heaps_slab)(w, &v);
        }
    }
}

/* A page run or a large block. */
static void add_big(struct walker *w, uintptr_t at, size_t bytes, size_t asked, uint32_t id)
{
    if (is_part(id) && !is_set(id)) {
        collected_pages(&w->owners, id, at, bytes, add_found, w);
        return;
    }
    if (is_part(id)) {
        struct part_view part = part_view(&w->owners, id);
        if (part.set && part_single_is_out(&w->owners, &part, at)) {
            add(w, at, part.set->part.size, part.owner);
        }
        return;
    }
    size_t size = asked != SIZE_MAX ? asked : w->reader.sealed ? sealed_size(w, at, bytes) : bytes;
    add_block(w, at, bytes, size == SIZE_MAX ? bytes : size, id);
}

static void walk_runs(struct walker *w, const struct segment *s, uintptr_t at)
{
    const struct run_map *map = run_map_of((struct segment *)(uintptr_t)s);
    for (size_t p = RUN_FIRST_PAGE; p < RUN_PAGES && !w->no_memory;) {
        size_t pages = size_min(map->length[p], RUN_PAGES - p);
        if (pages) {
            add_big(w, at + p * RUN_PAGE, pages * RUN_PAGE, SIZE_MAX, map->heap[p]);
        }
        p += pages ? pages : 1;
    }
}

static void walk_piece(struct walker *w, const struct piece *p)
{
    if (p->guard) {
        add(w, p->at, p->guard->size, 0);
    } else if (p->large) {
        const struct fence *f = p->large->fence ? READ(&w->reader, p->large->fence) : NULL;
        add_big(w, p->at, p->large->length, f && w->reader.sealed ? f->asked : SIZE_MAX, p->large->heap);
    } else if (p->segment->kind == SEGMENT_RUNS) {
        walk_runs(w, p->segment, p->at);
    } else {
        walk_units(w, p->segment, p->at);
    }
}

/* -- what there is -- */

static void add_piece(struct walker *w, struct piece piece)
{
    if (!grow((void **)&w->piece, &w->piece_room, w->pieces + 1, sizeof piece)) {
        w->no_memory = true;
        return;
    }
    w->piece[w->pieces++] = piece;
}

static void find_segments(struct walker *w)
{
    struct segment *const *first = READ_AT(&w->reader, w->reader.desc->segments, struct segment *);
    const struct segment *at = first ? *first : NULL;
    struct reader_round round = {0};
    for (size_t n = 0; at && n < SEGMENTS_MOST && !w->no_memory && !reader_comes_round(&round, at); n++) {
        const struct segment *s = reader_at(&w->reader, at, UNIT_SIZE, _Alignof(struct segment));
        if (!s || (uintptr_t)at % SEGMENT_SIZE) {
            return;
        }
        add_piece(w, (struct piece){.at = (uintptr_t)at, .segment = s});
        at = s->older;
    }
}

static void find_large(struct walker *w)
{
    struct large *const *first = READ_AT(&w->reader, w->reader.desc->large, struct large *);
    const struct large *at = first ? *first : NULL;
    struct reader_round round = {0};
    for (size_t n = 0; at && n < LARGE_MOST && !w->no_memory && !reader_comes_round(&round, at); n++) {
        const struct large *l = READ(&w->reader, at);
        if (!l) {
            return;
        }
        add_piece(w, (struct piece){.at = ~l->hidden_at, .large = l});
        at = l->next;
    }
}

static void find_guarded(struct walker *w)
{
    const size_t *count = READ_AT(&w->reader, w->reader.desc->guard_count, size_t);
    const struct guard_place *const *place =
        reader_at(&w->reader, w->reader.desc->guards, GUARD_PLACES_MOST * sizeof *place, sizeof *place);
    for (size_t i = 0; count && place && i < size_min(*count, GUARD_PLACES_MOST) && !w->no_memory; i++) {
        const struct guard_place *p = READ(&w->reader, place[i]);
        if (p && reader_flag(&p->live)) {
            add_piece(w, (struct piece){.at = (uintptr_t)p->block, .guard = p});
        }
    }
}

static void find_heaps(struct walker *w)
{
    struct heap *const *first = READ_AT(&w->reader, w->reader.desc->heaps, struct heap *);
    const struct heap *at = first ? *first : NULL, *h = at ? READ(&w->reader, at) : NULL;
    size_t numbers = h ? (h->id & ID_NUMBER) + (size_t)1 : 0, room = 0;
    if (numbers > HEAPS_MOST || !grow((void **)&w->heap, &room, numbers, sizeof *w->heap)) {
        w->no_memory = true;
        return;
    }
    w->heaps = room;
    struct reader_round round = {0};
    for (size_t n = 0; at && n < numbers && !reader_comes_round(&round, at); n++) {
        h = READ(&w->reader, at);
        if (!h) {
            return;
        }
        if ((h->id & ID_NUMBER) < room) {
            w->heap[h->id & ID_NUMBER] = h;
        }
        at = h->older;
    }
}

static void find_fronts(struct walker *w)
{
    struct front *const *first = READ_AT(&w->reader, w->reader.desc->fronts, struct front *);
    const struct front *at = first ? *first : NULL;
    struct reader_round round = {0};
    while (at && w->fronts < FRONTS_MOST && !reader_comes_round(&round, at)) {
        const struct front *f = READ(&w->reader, at);
        if (!f) {
            return;
        }
        if (!grow((void **)&w->front, &w->front_room, w->fronts + 1, sizeof *w->front)) {
            w->no_memory = true;
            return;
        }
        w->front[w->fronts++] = f;
        at = f->next;
    }
}

static void name_owned(struct walker *w, const struct os_known *known)
{
    const struct os_owned *at = known->owned;
    struct reader_round round = {0};
    for (size_t n = 0; at && n < OWNED_MOST && !reader_comes_round(&round, at); n++) {
        const struct os_owned *o = READ(&w->reader, at);
        size_t i = o ? graph_block_at(w->wanted->out, ~o->hidden) : GRAPH_NONE;
        if (i != GRAPH_NONE && w->wanted->out->block[i].owner == 0) {
            w->wanted->out->block[i].owner =
                owner_of_owned(&w->owners, o->kind == OS_OWNED_REGION ? GRAPH_REGION : GRAPH_OVERLAY, o->name);
        }
        at = o ? o->next : NULL;
    }
}

/* Blocks of malloc's that another part manages, or in which one does. */
static void name_all_owned(struct walker *w)
{
    const struct os_known *known = NULL;
    for (unsigned n = 0; (known = snap_known(&w->reader, known, &n)) != NULL;) {
        name_owned(w, known);
    }
}

/* Where they lie is no memory of the heap's, which is where sites are kept for. */
static void add_movable(void *arg, uintptr_t at, size_t size, uint32_t owner)
{
    append(arg, &(struct graph_block){at, size, 0, owner});
}

/* They come by slot, and among the others by address; of one that was on its way just then only what overlaps no other stays. */
static void walk_movables(struct walker *w)
{
    struct graph_blocks *out = w->wanted->out;
    const struct os_known *known = NULL;
    size_t others = out->count;
    for (unsigned n = 0; (known = snap_known(&w->reader, known, &n)) != NULL;) {
        movables_walk(&w->reader, &w->owners, known->movables, add_movable, w);
    }
    if (out->count == others || w->no_memory) {
        return;
    }
    snap_sort(out->block, out->count, sizeof *out->block);
    size_t kept = 0;
    for (size_t i = 0; i < out->count; i++) {
        const struct graph_block *before = kept ? &out->block[kept - 1] : NULL;
        if (!before || out->block[i].address - before->address >= size_max(before->size, 1)) {
            out->block[kept++] = out->block[i];
        }
    }
    out->count = kept;
}

uint32_t snap_own_site(void *arg, const struct image *image, uintptr_t block)
{
    (void)arg;
    (void)image;
    return site_of_locked((const void *)block);
}

enum snap_trouble snap_walk(struct snap_walk *wanted)
{
    struct walker w = {.wanted = wanted};
    os_memory_init();
    enum snap_trouble trouble = reader_begin(&w.reader, wanted->image, wanted->desc);
    if (trouble != SNAP_OK) {
        return trouble;
    }
    if (owners_begin(&w.owners, &w.reader, wanted->out)) {
        find_heaps(&w);
        find_fronts(&w);
        find_segments(&w);
        find_large(&w);
        find_guarded(&w);
        snap_sort(w.piece, w.pieces, sizeof *w.piece);
        for (size_t i = 0; i < w.pieces && !w.no_memory; i++) {
            walk_piece(&w, &w.piece[i]);
        }
        if (!w.no_memory) {
            walk_movables(&w);
            name_all_owned(&w);
        }
    }
    bool no_memory = w.no_memory || w.owners.no_memory;
    owners_end(&w.owners);
    grow_free(w.piece, w.piece_room, sizeof *w.piece);
    grow_free(w.heap, w.heaps, sizeof *w.heap);
    grow_free(w.front, w.front_room, sizeof *w.front);
    wanted->missing = w.reader.missing;
    if (no_memory) {
        snap_walk_free(wanted->out);
        return SNAP_NO_MEMORY;
    }
    return SNAP_OK;
}

void snap_walk_free(struct graph_blocks *blocks)
{
    grow_free(blocks->block, blocks->room, sizeof *blocks->block);
    grow_free(blocks->owner, blocks->owner_room, sizeof *blocks->owner);
    for (struct graph_names *names = blocks->names, *next; names; names = next) {
        next = names->next;
        owners_free_names(names);
    }
    *blocks = (struct graph_blocks){0};
}
