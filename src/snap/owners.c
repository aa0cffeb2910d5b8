/* snap/owners.c - see snap/owners.h. O(1) a block; a search in the table of a pool of single objects. */
#include "snap/owners.h"

#include <string.h>

#include <allot/gc.h>

#include "graph/grow.h"
#include "heap/tag.h"
#include "pool/cache.h"
#include "pool/pool.h"

enum { NAME_MOST = 256 };
#define PARTS_MOST ((size_t)PARTS_ROOT * PARTS_LEAF)
#define TAGS_MOST  ((size_t)TAGS_ROOT * TAGS_LEAF)

static uint32_t add(struct owners *o, struct graph_owner owner)
{
    struct graph_blocks *out = o->out;
    if (!grow((void **)&out->owner, &out->owner_room, out->owners + 1, sizeof owner)) {
        o->no_memory = true;
        return 0;
    }
    out->owner[out->owners] = owner;
    return (uint32_t)out->owners++;
}

/* A name, where it can be read as a whole. */
static const char *name_at(const struct owners *o, const char *at)
{
    for (size_t n = 0; at && n < NAME_MOST; n++) {
        const char *c = image_at(o->reader->image, (uintptr_t)at + n, 1);
        if (!c) {
            return NULL;
        }
        if (*c == 0) {
            return n ? image_at(o->reader->image, (uintptr_t)at, n + 1) : NULL;
        }
    }
    return NULL;
}

/* Those that have no number: by kind and name, as a rule those of the one before. */
uint32_t owner_of_owned(struct owners *o, enum graph_owner_kind kind, const char *name)
{
    const char *text = name ? name_at(o, name) : NULL;
    const struct graph_owner *last = &o->out->owner[o->named];
    if (o->named && last->kind == kind && last->name == text) {
        return o->named;
    }
    o->named = 0;
    for (uint32_t i = 1; i < o->out->owners && !o->named; i++) {
        o->named = o->out->owner[i].kind == kind && o->out->owner[i].name == text ? i : 0;
    }
    o->named = o->named ? o->named : add(o, (struct graph_owner){.kind = kind, .name = text});
    return o->named;
}

uint32_t owner_of_arena(struct owners *o, const char *name) { return owner_of_owned(o, GRAPH_ARENA, name); }

static uint32_t owner_of_known_tag(struct owners *o, const struct allot_tag *at, const struct allot_tag *tag)
{
    uint32_t *owner = &o->tag[tag->index % TAGS_MOST];
    if (!*owner) {
        *owner = add(o, (struct graph_owner){.kind = GRAPH_TAG, .name = name_at(o, at->name)});
    }
    return *owner;
}

uint32_t owner_of_tag(struct owners *o, uint32_t index)
{
    if (index < TAGS_MOST && o->tag[index]) {
        return o->tag[index];
    }
    struct allot_tag *const *const *tags = o->reader->desc->tags;
    struct allot_tag *const *const *root = READ_NTH(o->reader, tags, index / TAGS_LEAF % TAGS_ROOT);
    struct allot_tag *const *leaf = root && *root ? READ_NTH(o->reader, *root, index % TAGS_LEAF) : NULL;
    const struct allot_tag *tag = leaf && *leaf ? READ(o->reader, *leaf) : NULL;
    return tag && tag->index == index ? owner_of_known_tag(o, *leaf, tag) : 0;
}

uint32_t owner_of_heap(struct owners *o, uint32_t id, const struct heap *h)
{
    const struct allot_tag *tag = h && h->tag ? READ(o->reader, h->tag) : NULL;
    if (tag && atomic_load_explicit(&tag->typed, memory_order_relaxed) == id) {
        return owner_of_known_tag(o, h->tag, tag);
    }
    uint32_t *owner = &o->heap[(id & ID_NUMBER) % HEAPS_MOST];
    if (!*owner) {
        *owner = add(o, (struct graph_owner){.kind = GRAPH_HEAP, .name = tag ? name_at(o, h->tag->name) : NULL});
    }
    return *owner;
}

/* -- types of collected heaps -- */

enum { NAMES_BYTES = 64 << 10 };

/* "heap: type", kept with the list. */
static const char *name_of_type(struct owners *o, const char *heap, const char *type)
{
    struct graph_names *names = o->out->names;
    size_t heap_length = strlen(heap), length = heap_length + 2 + strlen(type) + 1;
    if (!names || NAMES_BYTES - sizeof *names - names->used < length) {
        names = os_map(NAMES_BYTES);
        if (!names) {
            o->no_memory = true;
            return NULL;
        }
        names->next = o->out->names;
        o->out->names = names;
    }
    char *name = names->text + names->used;
    names->used += length;
    memcpy(name, heap, heap_length);
    memcpy(name + heap_length, ": ", 2);
    memcpy(name + heap_length + 2, type, length - heap_length - 2);
    return name;
}

void owners_free_names(struct graph_names *names) { os_unmap(names, NAMES_BYTES); }

uint32_t owner_of_type(struct owners *o, uint32_t id, enum graph_owner_kind kind, const char *heap,
                       const struct allot_gc_type *type)
{
    if (o->last_type < o->types && o->type[o->last_type].type == type && o->type[o->last_type].id == id) {
        return o->type[o->last_type].owner;
    }
    for (size_t i = 0; i < o->types; i++) {
        if (o->type[i].type == type && o->type[i].id == id) {
            o->last_type = i;
            return o->type[i].owner;
        }
    }
    if (!grow((void **)&o->type, &o->type_room, o->types + 1, sizeof *o->type)) {
        o->no_memory = true;
        return 0;
    }
    const struct allot_gc_type *t = READ(o->reader, type);
    const char *heap_name = name_at(o, heap), *type_name = t ? name_at(o, t->name) : NULL;
    const char *name = name_of_type(o, heap_name ? heap_name : "gc", type_name ? type_name : "?");
    uint32_t owner = add(o, (struct graph_owner){.kind = kind, .name = name, .object_bytes = t ? t->size : 0});
    o->last_type = o->types;
    o->type[o->types++] = (struct owned_type){type, id, owner};
    return owner;
}

/* -- parts -- */

/* NULL: there is no such part, or it waits for its next use. *end: nor is there any after it. */
static const struct set *set_by_id(struct owners *o, uint32_t id, bool *end)
{
    const struct set *at = snap_part_at(o->reader, id - OWNER_LIMIT), *set = at ? READ(o->reader, at) : NULL;
    *end = !at;
    return set && set->part.name && set->stride ? set : NULL;
}

static const struct singles *singles_of(struct owners *o, const struct set *set)
{
    const struct pool *pool = set->pool ? READ(o->reader, set->pool) : NULL;
    const struct cache *cache = set->cache ? READ(o->reader, set->cache) : NULL;
    return pool && reader_flag(&pool->is_single)     ? &pool->singles
           : cache && reader_flag(&cache->is_single) ? &cache->singles
                                                     : NULL;
}

static void find_tables(struct owners *o)
{
    bool end = false;
    for (uint32_t n = 0; n < PARTS_MOST && !end && !o->no_memory; n++) {
        const struct set *set = set_by_id(o, OWNER_LIMIT + n, &end);
        const struct singles *all = set ? singles_of(o, set) : NULL;
        if (all && grow((void **)&o->table, &o->table_room, o->tables + 2, sizeof *o->table)) {
            o->table[o->tables++] = (uintptr_t)all->one;
            o->table[o->tables++] = (uintptr_t)all->free;
        } else {
            o->no_memory = all != NULL;
        }
    }
}

bool is_own_table(const struct owners *o, uintptr_t at)
{
    for (size_t i = 0; i < o->tables; i++) {
        if (o->table[i] == at) {
            return true;
        }
    }
    return false;
}

bool owners_begin(struct owners *o, struct reader *r, struct graph_blocks *out)
{
    *o = (struct owners){.reader = r, .out = out};
    o->part = os_map(PARTS_MOST * sizeof *o->part);
    o->tag = os_map(TAGS_MOST * sizeof *o->tag);
    o->heap = os_map(HEAPS_MOST * sizeof *o->heap);
    o->no_memory = !o->part || !o->tag || !o->heap;
    add(o, (struct graph_owner){.kind = GRAPH_MALLOC});
    find_tables(o);
    return !o->no_memory;
}

void owners_end(struct owners *o)
{
    grow_free(o->part, PARTS_MOST, sizeof *o->part);
    grow_free(o->tag, TAGS_MOST, sizeof *o->tag);
    grow_free(o->heap, HEAPS_MOST, sizeof *o->heap);
    grow_free(o->table, o->table_room, sizeof *o->table);
    grow_free(o->type, o->type_room, sizeof *o->type);
}

/* All shares of a local pool are one owner: that of the pool's first one. */
static uint32_t first_share(struct owners *o, const struct set *set)
{
    const struct pool *pool = set->pool ? READ(o->reader, set->pool) : NULL;
    const struct set *first = pool && pool->set ? READ(o->reader, pool->set) : NULL;
    return first ? first->part.id : set->part.id;
}

struct part_view part_view(struct owners *o, uint32_t id)
{
    if (o->last.set && o->last.id == id) {
        return o->last;
    }
    bool end;
    const struct set *set = is_set(id) ? set_by_id(o, id, &end) : NULL;
    o->last = (struct part_view){.set = set, .id = id};
    if (set) {
        uint32_t *owner = &o->part[(first_share(o, set) - OWNER_LIMIT) % PARTS_MOST];
        if (!*owner) {
            *owner = add(o, (struct graph_owner){.kind = set->cache ? GRAPH_CACHE : GRAPH_POOL,
                                                 .name = name_at(o, set->part.name),
                                                 .object_bytes = set->part.size});
        }
        o->last.owner = *owner;
    }
    return o->last;
}

bool part_single_is_out(struct owners *o, const struct part_view *part, uintptr_t at)
{
    const struct singles *all = singles_of(o, part->set);
    size_t from = 0, to = all ? all->count : 0;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        const struct single *one = READ_NTH(o->reader, all->one, middle);
        if (!one) {
            return false;
        }
        if ((uintptr_t)one->at == at) {
            return reader_flag(&one->out);
        }
        if ((uintptr_t)one->at < at) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return false;
}
