/* snap/areas.c - where the heap is in an image: its descriptor, and the memory that is its own or its watchers'. */
#define _GNU_SOURCE
#include <string.h>

#include "graph/grow.h"
#include "os/noscan.h"
#include "os/owned.h"
#include "snap/collected.h"
#include "snap/layout.h"
#include "snap/movable.h"
#include "snap/read.h"

enum { MAGIC_BYTES = 16, NOSCAN_TABLES = 64 };

enum snap_trouble snap_expect(const struct image *image, uintptr_t desc)
{
    const struct core_desc *d = desc % _Alignof(struct core_desc) == 0 ? image_at(image, desc, sizeof *d) : NULL;
    if (!d || memcmp(d->magic, CORE_DESC_MAGIC, sizeof d->magic) != 0 || (uintptr_t)d->self != desc ||
        !atomic_load_explicit(&d->in_use, memory_order_relaxed)) {
        return SNAP_NO_HEAP;
    }
    bool same = d->version == CORE_DESC_VERSION && d->bytes == sizeof *d && d->layout == snap_layout();
    return same ? SNAP_OK : SNAP_OTHER_VERSION;
}

/* Where in a range that may hold variables, from an address on, the 16 bytes of a magic are; 0: nowhere. */
static uintptr_t next_magic(const struct image_range *r, uintptr_t from, const char *magic)
{
    if (!r->bytes || (r->kind != IMAGE_GLOBALS && r->kind != IMAGE_OTHER && r->kind != IMAGE_CONSTANT)) {
        return 0;
    }
    const char *bytes = r->bytes, *at = memmem(bytes + (from - r->from), r->to - from, magic, MAGIC_BYTES);
    return at ? r->from + (uintptr_t)(at - bytes) : 0;
}

uintptr_t snap_find(const struct image *image)
{
    for (size_t i = 0; i < image->ranges; i++) {
        const struct image_range *r = &image->range[i];
        for (uintptr_t at = next_magic(r, r->from, CORE_DESC_MAGIC); at; at = next_magic(r, at + 1, CORE_DESC_MAGIC)) {
            if (snap_expect(image, at) != SNAP_NO_HEAP) {
                return at;
            }
        }
    }
    return 0;
}

enum snap_trouble reader_begin(struct reader *r, const struct image *image, uintptr_t desc)
{
    enum snap_trouble trouble = snap_expect(image, desc);
    *r = (struct reader){.image = image};
    if (trouble != SNAP_OK) {
        return trouble;
    }
    r->desc = image_at(image, desc, sizeof *r->desc);
    const uint32_t *epoch = READ_AT(r, r->desc->epoch, uint32_t);
    const struct hardening *hard = READ_AT(r, r->desc->hardening, struct hardening);
    const uint64_t *secret = reader_at(r, r->desc->secret, sizeof r->secret, sizeof *secret);
    if (!epoch || !hard || !secret) {
        return SNAP_NO_HEAP;
    }
    r->epoch = *epoch;
    r->sealed = hard->redzone != 0;
    memcpy(r->secret, secret, sizeof r->secret);
    return SNAP_OK;
}

const struct part *snap_part_by_id(const struct reader *r, uint32_t n)
{
    struct part *const *const *parts = r->desc->parts;
    struct part *const *const *root = READ_NTH(r, parts, n / PARTS_LEAF % PARTS_ROOT);
    struct part *const *leaf = root && *root ? READ_NTH(r, *root, n % PARTS_LEAF) : NULL;
    return leaf ? *leaf : NULL;
}

const struct set *snap_part_at(const struct reader *r, uint32_t n)
{
    const struct part *part = n < PARTS_SETS ? snap_part_by_id(r, n) : NULL;
    return part ? (const struct set *)((uintptr_t)part - offsetof(struct set, part)) : NULL;
}

const struct os_known *snap_known(const struct reader *r, const struct os_known *before, unsigned *n)
{
    enum { COPIES = 1024 };
    const struct os_known *at = before ? before->next : r->desc->known;
    if (!at || (*n)++ == COPIES || (uintptr_t)at % _Alignof(struct os_known) ||
        (r->image->own && before && !os_readable((uintptr_t)at))) {
        return NULL;
    }
    const struct os_known *known = image_at(r->image, (uintptr_t)at, sizeof *known);
    bool is = known && memcmp(known->magic, OS_KNOWN_MAGIC, sizeof known->magic) == 0 && known->self == at;
    return is ? known : NULL;
}

/* -- memory that is the heap's -- */

static void sift(char *items, size_t from, size_t count, size_t bytes)
{
    uintptr_t one, other;
    for (size_t child; (child = 2 * from + 1) < count; from = child) {
        memcpy(&one, items + child * bytes, sizeof one);
        if (child + 1 < count) {
            memcpy(&other, items + (child + 1) * bytes, sizeof other);
            child += other > one;
            one = other > one ? other : one;
        }
        memcpy(&other, items + from * bytes, sizeof other);
        if (other >= one) {
            return;
        }
        char *a = items + from * bytes, *b = items + child * bytes;
        for (size_t i = 0; i < bytes; i++) {
            char c = a[i];
            a[i] = b[i];
            b[i] = c;
        }
    }
}

void snap_sort(void *items, size_t count, size_t bytes)
{
    char *all = items;
    for (size_t i = count / 2; i-- > 0;) {
        sift(all, i, count, bytes);
    }
    for (size_t last = count; last-- > 1;) {
        for (size_t i = 0; i < bytes; i++) {
            char c = all[i];
            all[i] = all[last * bytes + i];
            all[last * bytes + i] = c;
        }
        sift(all, 0, last, bytes);
    }
}

bool snap_area_add(struct snap_areas *out, uintptr_t from, size_t bytes)
{
    if (!grow((void **)&out->area, &out->room, out->count + 1, sizeof *out->area)) {
        return false;
    }
    out->area[out->count++] = (struct snap_area){from, from + bytes};
    return true;
}

static bool add_segments(struct reader *r, struct snap_areas *out)
{
    struct segment *const *first = READ_AT(r, r->desc->segments, struct segment *);
    const struct segment *at = first ? *first : NULL;
    struct reader_round round = {0};
    for (size_t n = 0; at && n < SEGMENTS_MOST && !reader_comes_round(&round, at); n++) {
        const struct segment *s = READ(r, at);
        if (!s) {
            break;
        }
        if (!snap_area_add(out, (uintptr_t)at, SEGMENT_SIZE)) {
            return false;
        }
        at = s->older;
    }
    return true;
}

static bool add_list(struct reader *r, const void *list, struct snap_areas *out)
{
    struct large *const *first = READ_AT(r, list, struct large *);
    const struct large *at = first ? *first : NULL;
    struct reader_round round = {0};
    for (size_t n = 0; at && n < LARGE_MOST && !reader_comes_round(&round, at); n++) {
        const struct large *l = READ(r, at);
        if (!l) {
            break;
        }
        bool fenced = l->fence != NULL; /* whose record has its address */
        if (!snap_area_add(out, ~l->hidden_at, l->length) ||
            (fenced && !snap_area_add(out, (uintptr_t)l->fence, sizeof *l->fence))) {
            return false;
        }
        at = l->next;
    }
    return true;
}

static bool add_kept(struct reader *r, struct snap_areas *out)
{
    const size_t *count = READ_AT(r, r->desc->kept_count, size_t);
    const struct large_kept *kept =
        reader_at(r, r->desc->kept, LARGE_KEPT_MOST * sizeof *kept, _Alignof(struct large_kept));
    for (size_t i = 0; count && kept && i < size_min(*count, LARGE_KEPT_MOST); i++) {
        if (!snap_area_add(out, (uintptr_t)kept[i].at, kept[i].length)) {
            return false;
        }
    }
    return true;
}

static bool add_guards(struct reader *r, struct snap_areas *out)
{
    const size_t *count = READ_AT(r, r->desc->guard_count, size_t);
    struct guard_place *const *place = reader_at(r, r->desc->guards, GUARD_PLACES_MOST * sizeof *place, sizeof *place);
    for (size_t i = 0; count && place && i < size_min(*count, GUARD_PLACES_MOST); i++) {
        const struct guard_place *p = READ(r, place[i]);
        if (p && (!snap_area_add(out, (uintptr_t)p->base & ~(uintptr_t)(SEGMENT_SIZE - 1), SEGMENT_SIZE) ||
                  !snap_area_add(out, (uintptr_t)place[i], sizeof *p))) {
            return false;
        }
    }
    return true;
}

/* What a hardened heap has in hand. */
static bool add_hands(struct reader *r, struct snap_areas *out)
{
    struct heap *const *first = READ_AT(r, r->desc->heaps, struct heap *);
    const struct heap *at = first ? *first : NULL;
    struct reader_round round = {0};
    for (size_t n = 0; at && n < HEAPS_MOST && !reader_comes_round(&round, at); n++) {
        const struct heap *h = READ(r, at);
        if (!h) {
            break;
        }
        if (h->hard && !snap_area_add(out, (uintptr_t)h->hard, sizeof *h->hard)) {
            return false;
        }
        at = h->older;
    }
    return true;
}

/* Records of pools and caches: what they have in hand is no root. */
static bool add_sets(struct reader *r, struct snap_areas *out)
{
    for (uint32_t n = 0; n < PARTS_ROOT * PARTS_LEAF; n++) {
        const struct set *set = snap_part_at(r, n);
        if (!set) {
            break;
        }
        if (!snap_area_add(out, (uintptr_t)set, sizeof *set)) {
            return false;
        }
    }
    return collected_areas(r, out);
}

static const struct noscan *noscan_at(const struct image *image, uintptr_t at)
{
    return at % _Alignof(struct noscan) == 0 ? image_at(image, at, sizeof(struct noscan)) : NULL;
}

bool snap_noscan_add(const struct image *image, uintptr_t at, struct snap_areas *out)
{
    const struct noscan *noscan = noscan_at(image, at);
    uintptr_t next = noscan ? (uintptr_t)atomic_load_explicit(&noscan->first, memory_order_acquire) : 0;
    for (size_t n = 0; next && next % _Alignof(struct noscan_table) == 0 && n < NOSCAN_TABLES; n++) {
        const struct noscan_table *table = image_at(image, next, sizeof *table);
        size_t places = table ? noscan_places(table) : 0;
        table = table ? image_at(image, next, sizeof *table + places * sizeof table->place[0]) : NULL;
        for (size_t i = 0; table && i < places; i++) {
            uintptr_t hidden = atomic_load_explicit(&table->place[i].hidden, memory_order_relaxed);
            size_t length = atomic_load_explicit(&table->place[i].length, memory_order_relaxed);
            if (hidden && length && !snap_area_add(out, ~hidden, length)) {
                return false;
            }
        }
        next = table ? (uintptr_t)atomic_load_explicit(&table->next, memory_order_acquire) : 0;
    }
    return true;
}

/* Of the heap's own copy of the library, and others: toolkits that programs or libraries have in them. */
static bool add_all_known(const struct reader *r, struct snap_areas *out)
{
    const struct os_known *known = NULL;
    for (unsigned n = 0; (known = snap_known(r, known, &n)) != NULL;) {
        if (!snap_noscan_add(r->image, (uintptr_t)known->noscan, out) || !movables_areas(r, known->movables, out)) {
            return false;
        }
    }
    return true;
}

enum snap_trouble snap_areas_settle(bool had_memory, struct snap_areas *out)
{
    if (!had_memory) {
        grow_free(out->area, out->room, sizeof *out->area);
        *out = (struct snap_areas){0};
        return SNAP_NO_MEMORY;
    }
    snap_sort(out->area, out->count, sizeof *out->area);
    size_t kept = 0;
    for (size_t i = 0; i < out->count; i++) {
        struct snap_area *before = kept ? &out->area[kept - 1] : NULL;
        if (before && out->area[i].from <= before->to) {
            before->to = size_max(before->to, out->area[i].to);
        } else {
            out->area[kept++] = out->area[i];
        }
    }
    out->count = kept;
    return SNAP_OK;
}

enum snap_trouble snap_areas(const struct image *image, uintptr_t desc, struct snap_areas *out)
{
    struct reader r;
    os_memory_init();
    enum snap_trouble trouble = reader_begin(&r, image, desc);
    return trouble != SNAP_OK ? trouble
                              : snap_areas_settle(add_segments(&r, out) && add_list(&r, r.desc->large, out) &&
                                                      add_list(&r, r.desc->deferred, out) && add_kept(&r, out) &&
                                                      add_guards(&r, out) && add_sets(&r, out) && add_hands(&r, out) &&
                                                      add_all_known(&r, out),
                                                  out);
}

enum snap_trouble snap_noscan_areas(const struct image *image, struct snap_areas *out)
{
    bool fine = true;
    os_memory_init();
    for (size_t i = 0; i < image->ranges && fine; i++) {
        const struct image_range *r = &image->range[i];
        uintptr_t at = r->kind == IMAGE_GLOBALS ? next_magic(r, r->from, NOSCAN_MAGIC) : 0;
        for (; at && fine; at = next_magic(r, at + 1, NOSCAN_MAGIC)) {
            const struct noscan *noscan = noscan_at(image, at);
            fine = !noscan || (uintptr_t)noscan->self != at || snap_noscan_add(image, at, out);
        }
    }
    return snap_areas_settle(fine, out);
}
