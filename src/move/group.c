/* move/group.c - slots in groups of 256: which are free, which chunk a group's objects are in, and where references end.
 *
 *   chunk: open --> group --> group      with a free slot to give
 *          full --> group --> ...        without, or done for good: it has given out 2^31 - 1 references
 *   heap:  free_groups --> group --> ... without an object, of no chunk
 *
 * The lowest free slot goes first, so that a group that is not full in a page of the table has it in as few cache lines. O(1), but for
 * the search of that slot: from where the last one was found, at most 256 steps.
 */
#include "move/movable.h"

#include <errno.h>

#include "os/memory.h"

static bool is_open(const struct group *g) { return g->used < GROUP_SLOTS && g->gen < GEN_MOST; }

static void enlist(struct movable *h, uint32_t c, uint32_t n)
{
    struct group *g = &h->group[n];
    g->is_open = is_open(g);
    uint32_t *first = g->is_open ? &h->chunk[c].open : &h->chunk[c].full;
    g->prev = NO_GROUP;
    g->next = *first;
    if (*first != NO_GROUP) {
        h->group[*first].prev = n;
    }
    *first = n;
}

static void delist(struct movable *h, uint32_t c, uint32_t n)
{
    struct group *g = &h->group[n];
    if (g->prev != NO_GROUP) {
        h->group[g->prev].next = g->next;
    } else {
        *(g->is_open ? &h->chunk[c].open : &h->chunk[c].full) = g->next;
    }
    if (g->next != NO_GROUP) {
        h->group[g->next].prev = g->prev;
    }
}

static void relist(struct movable *h, uint32_t c, uint32_t n)
{
    if (h->group[n].is_open != is_open(&h->group[n])) {
        delist(h, c, n);
        enlist(h, c, n);
    }
}

void group_to(struct movable *h, uint32_t n, uint32_t from, uint32_t to)
{
    struct group *g = &h->group[n];
    if (from != NO_CHUNK) {
        delist(h, from, n);
    }
    if (to != NO_CHUNK) {
        h->base[n] = chunk_at(h, to);
        enlist(h, to, n);
    } else if (g->gen < GEN_MOST) {
        g->next = h->free_groups;
        h->free_groups = n;
    }
}

/* There are more slots than near_at has room for: `at` goes by entry and base from now on. */
static void __attribute__((noinline, cold)) forget_near(struct movable *h)
{
    h->near_slots = 0;
    os_purge(h->near_at, h->near_most * sizeof *h->near_at);
}

static size_t table_page(uint32_t group) { return (size_t)group * GROUP_SLOTS * sizeof(uint16_t) / os_page; }

static uint32_t group_make(struct movable *h)
{
    uint32_t n = h->free_groups;
    if (n != NO_GROUP) {
        h->free_groups = h->group[n].next;
    } else if (h->groups < h->groups_most) {
        n = h->groups++;
    } else {
        errno = ENOMEM;
        return NO_GROUP;
    }
    h->group[n].free_from = 0;
    bitmap_set(h->tables_touched, table_page(n));
    if (unlikely(near_is_full(h))) {
        forget_near(h);
    }
    return n;
}

bool group_claim(struct movable *h, uint32_t n, uint32_t c)
{
    if (n != h->groups || n == h->groups_most) {
        return false;
    }
    h->groups++;
    bitmap_set(h->tables_touched, table_page(n));
    if (near_is_full(h)) {
        forget_near(h);
    }
    group_to(h, n, NO_CHUNK, c);
    return true;
}

/* The first entry that is 0 from one on before which none is; there is one. Four at a time: of the lanes that the subtraction
 * borrows from the lowest is 0. (Mycroft, 1987.) */
static uint16_t first_free(const uint16_t *entry, unsigned from)
{
    for (unsigned i = from & ~3u;; i += 4) {
        uint64_t four;
        memcpy(&four, entry + i, sizeof four);
        uint64_t zero = (four - 0x0001000100010001u) & ~four & 0x8000800080008000u;
        if (zero) {
            return (uint16_t)(i + lowest_bit(zero) / 16);
        }
    }
}

uint32_t slot_take(struct movable *h, uint32_t c)
{
    uint32_t n = h->chunk[c].open;
    if (n == NO_GROUP) {
        n = group_make(h);
        if (n == NO_GROUP) {
            return UINT32_MAX;
        }
        group_to(h, n, NO_CHUNK, c);
    }
    struct group *g = &h->group[n];
    g->free_from = first_free(h->entry + (size_t)n * GROUP_SLOTS, g->free_from);
    g->used++;
    return n * GROUP_SLOTS + g->free_from;
}

uint32_t slot_next_gen(struct movable *h, uint32_t slot)
{
    uint32_t n = slot / GROUP_SLOTS;
    uint32_t gen = ++h->group[n].gen;
    if (unlikely(!is_open(&h->group[n]))) {
        relist(h, chunk_of(h, h->base[n]), n);
    }
    return gen;
}

void slot_give(struct movable *h, uint32_t slot)
{
    uint32_t n = slot / GROUP_SLOTS, c = chunk_of(h, h->base[n]);
    struct group *g = &h->group[n];
    h->entry[slot] = 0;
    if (slot < h->near_slots) {
        h->near_at[slot] = NULL;
    }
    g->used--;
    g->free_from = (uint16_t)size_min(g->free_from, slot % GROUP_SLOTS);
    if (g->used == 0) {
        group_to(h, n, c, NO_CHUNK);
        h->trim_due = true;
    } else if (unlikely(!g->is_open)) {
        relist(h, c, n);
    }
}

size_t slots_trim(struct movable *h)
{
    size_t each = os_page / (GROUP_SLOTS * sizeof(uint16_t)), bytes = 0;
    size_t pages = align_up(h->groups, each) / each;
    for (size_t page = bitmap_next_set(h->tables_touched, 0, pages); page < pages;
         page = bitmap_next_set(h->tables_touched, page + 1, pages)) {
        bool empty = true;
        for (size_t n = page * each; n < size_min((page + 1) * each, h->groups) && empty; n++) {
            empty = h->group[n].used == 0;
        }
        if (empty) {
            bytes += os_purge((char *)h->entry + page * os_page, os_page);
            bitmap_clear(h->tables_touched, page);
        }
    }
    h->returned += bytes;
    return bytes;
}

void slots_check(struct movable *h)
{
    uint32_t in_lists = 0, made = 0;
    for (uint32_t c = 0; c < h->chunks; c++) {
        const struct chunk *chunk = &h->chunk[c];
        for (int open = 0; open < 2 && chunk->state == CHUNK_USED; open++) {
            uint32_t prev = NO_GROUP;
            for (uint32_t n = open ? chunk->open : chunk->full; n != NO_GROUP; n = h->group[n].next) {
                const struct group *g = &h->group[n];
                CHECK(n < h->groups && in_lists++ < h->groups && g->prev == prev, "group of a movable heap", g);
                CHECK(h->base[n] == chunk_at(h, c) && g->used > 0, "group of a movable heap", g);
                CHECK(g->is_open == open && is_open(g) == open, "group of a movable heap", g);
                prev = n;
            }
        }
    }
    for (uint32_t n = h->free_groups; n != NO_GROUP; n = h->group[n].next) {
        CHECK(n < h->groups && in_lists++ < h->groups && h->group[n].used == 0, "group of a movable heap",
              &h->group[n]);
    }
    for (uint32_t n = 0; n < h->groups; n++) {
        const struct group *g = &h->group[n];
        uint32_t used = 0, pinned = 0;
        for (uint32_t slot = n * GROUP_SLOTS; slot < (n + 1) * GROUP_SLOTS; slot++) {
            char *p = h->entry[slot] ? slot_at(h, slot) : NULL;
            CHECK(slot >= h->near_slots || h->near_at[slot] == p, "group of a movable heap", g);
            if (!p) {
                continue;
            }
            uint32_t gen = *gen_of(p) & GEN_MOST;
            CHECK(gen > 0 && gen <= g->gen, "object of a movable heap", p);
            CHECK(slot % GROUP_SLOTS < g->free_from || used < GROUP_SLOTS, "group of a movable heap", g);
            used++;
            pinned += pins_of(p) != 0;
            CHECK((pins_of(p) == PINS_MANY) == (pins_count(h, slot) > 0), "object of a movable heap", p);
        }
        CHECK(used == g->used && pinned == g->pinned, "group of a movable heap", g);
        for (uint32_t slot = n * GROUP_SLOTS; slot < n * GROUP_SLOTS + g->free_from && used; slot++) {
            CHECK(h->entry[slot], "group of a movable heap", g);
        }
        made += g->used > 0 || g->gen < GEN_MOST;
    }
    CHECK(in_lists == made, "groups of a movable heap", h);
}
