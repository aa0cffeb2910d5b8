/* snap/movable.c - see snap/movable.h. O(slots); what is in the middle of a move is found where its slot says, or not at all. */
#include "snap/movable.h"

#include "move/movable.h"

#define MOVABLES_MOST ((size_t)1 << 16)

struct visit {
    const struct reader *reader;
    void (*add)(void *arg, uintptr_t at, size_t size, uint32_t owner);
    void *arg;
    const struct movable *h;
    uint32_t owner;
};

static void visit_far(const struct visit *v, const void *stub)
{
    uint32_t number;
    memcpy(&number, stub, sizeof number);
    struct far *const *leaf = number < v->h->fars ? READ_NTH(v->reader, v->h->far_leaf, number / FAR_LEAF) : NULL;
    const struct far *far = leaf ? READ_NTH(v->reader, *leaf, number % FAR_LEAF) : NULL;
    if (far && reader_flag(&far->in_use) && far->at) {
        v->add(v->arg, (uintptr_t)far->at, far->size, v->owner);
    }
}

/* Of this very process, headers may be denied to all but the heap. */
static __attribute__((no_sanitize("address"))) void copy_header(char *to, const volatile char *header, size_t size)
{
    bool is_watched = os_parts_watched();
    if (is_watched) {
        os_watch_pause(true);
    }
    for (size_t i = 0; i < size; i++) {
        to[i] = header[i];
    }
    if (is_watched) {
        os_watch_pause(false);
    }
}

static void visit_slot(const struct visit *v, uintptr_t at)
{
    char copy[16]; /* meta, gen, and of a stub its number, as they lie: two bytes further */
    const char *header = image_at(v->reader->image, at - 6, 10);
    if (!header) {
        ((struct reader *)(uintptr_t)v->reader)->missing++;
        return;
    }
    copy_header(copy + 2, header, 10);
    uint32_t gen;
    uint16_t meta;
    memcpy(&meta, copy + 2, sizeof meta);
    memcpy(&gen, copy + 4, sizeof gen);
    size_t units = units_in(v->h, meta), slack = slack_in(v->h, meta);
    if (gen & GEN_FAR) {
        visit_far(v, copy + 8);
    } else if (gen && units * 8 > 6 + slack) {
        v->add(v->arg, at, units * 8 - 6 - slack, v->owner);
    }
}

static void visit_group(const struct visit *v, uint32_t n)
{
    const struct group *g = READ_NTH(v->reader, v->h->group, n);
    char *const *base = g && g->used ? READ_NTH(v->reader, v->h->base, n) : NULL;
    const uint16_t *entry = base ? reader_at(v->reader, NTH(v->h->entry, (size_t)n * GROUP_SLOTS),
                                             GROUP_SLOTS * sizeof *entry, _Alignof(uint16_t))
                                 : NULL;
    for (unsigned i = 0; entry && i < GROUP_SLOTS; i++) {
        if (entry[i]) {
            visit_slot(v, (uintptr_t)*base + (size_t)entry[i] * 8);
        }
    }
}

void movables_walk(const struct reader *r, struct owners *o, const void *first,
                   void (*add)(void *arg, uintptr_t at, size_t size, uint32_t owner), void *arg)
{
    struct movable *const *at = first ? READ_AT(r, first, struct movable *) : NULL;
    const struct movable *here = at ? *at : NULL;
    struct reader_round round = {0};
    for (size_t n = 0; here && n < MOVABLES_MOST && !reader_comes_round(&round, here); n++) {
        const struct movable *h = READ(r, here);
        if (!h) {
            return;
        }
        struct visit v = {r, add, arg, h, owner_of_owned(o, GRAPH_MOVABLE, h->opts.name)};
        for (uint32_t g = 0; g < h->groups && g < GROUPS_MOST; g++) {
            visit_group(&v, g);
        }
        here = h->next;
    }
}

/* -- areas -- */

/* Records of objects that are no small ones, and those that have pages of their own. */
static bool far_areas(const struct reader *r, const struct movable *h, struct snap_areas *out)
{
    for (uint32_t n = 0; n < h->fars; n += FAR_LEAF) {
        struct far *const *leaf = READ_NTH(r, h->far_leaf, n / FAR_LEAF);
        const struct far *far = leaf ? reader_at(r, *leaf, FAR_LEAF * sizeof *far, _Alignof(struct far)) : NULL;
        if (!far) {
            return true; /* of a damaged one: there are no more */
        }
        bool added = snap_area_add(out, (uintptr_t)*leaf, FAR_LEAF * sizeof *far);
        for (uint32_t i = 0; i < FAR_LEAF && n + i < h->fars && added; i++) {
            uintptr_t place = (uintptr_t)far[i].at - FAR_HEADER;
            if (reader_flag(&far[i].in_use) && far[i].at && far[i].zone == OWN_PAGES) {
                added = snap_area_add(out, place, align_up(FAR_HEADER + far[i].size, os_page));
            }
        }
        if (!added) {
            return false;
        }
    }
    return true;
}

bool movables_areas(const struct reader *r, const void *first, struct snap_areas *out)
{
    struct movable *const *at = first ? READ_AT(r, first, struct movable *) : NULL;
    const struct movable *here = at ? *at : NULL;
    struct reader_round round = {0};
    for (size_t n = 0; here && n < MOVABLES_MOST && !reader_comes_round(&round, here); n++) {
        const struct movable *h = READ(r, here);
        /* All but what the program gave, which may be all that leads to a block of its. */
        size_t given = offsetof(struct movable, opts),
               behind = offsetof(struct movable, moved_arg) + sizeof h->moved_arg;
        if (!h) {
            break;
        }
        if (!snap_area_add(out, (uintptr_t)here, given) ||
            !snap_area_add(out, (uintptr_t)here + behind, size_max(h->tables_size, sizeof *h) - behind) ||
            !snap_area_add(out, (uintptr_t)h->area, h->area_size) ||
            (h->far_area && !snap_area_add(out, (uintptr_t)h->far_area, h->far_size)) || !far_areas(r, h, out)) {
            return false;
        }
        here = h->next;
    }
    return true;
}
