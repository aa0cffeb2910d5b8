/* pool/set_whole.c - what looks at every slab of a set: making ready, giving back, counting, proving. A visit of each slab. */
#include <errno.h>

#include "heap/heap.h"
#include "os/fault.h"
#include "os/memory.h"
#include "pool/set_lists.h"

/* Puts each slab on the list where it belongs by now. */
static void relist(struct set *set)
{
    struct slab *all = NULL;
    for (unsigned l = 0; l < SET_LISTS; l++) {
        for (struct slab *s = set->list[l], *next; s; s = next) {
            next = s->next;
            set_sync(s);
            if (set_place_of(set, s) != l) {
                set_unlist(set, s);
                s->next = all;
                all = s;
            }
        }
    }
    for (struct slab *next; all; all = next) {
        next = all->next;
        set_enlist(set, all);
    }
}

/* So many of the next gets, `left`, are served by this slab, as long as it has room: what is fresh of it is constructed. */
static int construct_in(struct set *set, struct slab *s, size_t *left)
{
    set_sync(s);
    size_t serves = set->lowest ? set->slots : size_min(*left, set->slots - s->used);
    *left -= size_min(serves, *left);
    while (s->fresh < set->slots && s->fresh - (size_t)s->used < serves) {
        unsigned slot = s->fresh;
        void *p = set_construct_next(set, s);
        if (!p) {
            return errno;
        }
        uint64_t *word = unit_free_word(&s->unit, slot / 64);
        slab_set_free_word(word, *word | (uint64_t)1 << (slot % 64));
        s->trip--;
        set_watch_free(set, p);
    }
    return 0;
}

/* In the order in which slabs are picked. */
static int construct_ahead(struct set *set, size_t objects)
{
    int wrong = set->current ? construct_in(set, set->current, &objects) : 0;
    for (unsigned l = SET_FULL; l-- > 0;) {
        for (struct slab *s = set->list[l]; s && !wrong; s = s->next) {
            wrong = construct_in(set, s, &objects);
        }
    }
    for (struct slab *s = set->list[SET_EMPTY]; s && !wrong; s = s->next) {
        wrong = construct_in(set, s, &objects);
    }
    return wrong;
}

int set_reserve(struct set *set, size_t objects)
{
    set_drain(set, false);
    relist(set);
    if (set->current) {
        set_sync(set->current);
    }
    size_t free = set->slabs * set->slots - set_count(set);
    size_t slabs = objects > free ? (objects - free + set->slots - 1) / set->slots : 0;
    for (; slabs; slabs--) {
        struct slab *s = set_begin_slab(set);
        if (!s) {
            return ENOMEM;
        }
        set_enlist(set, s);
    }
    set->keep = size_max(set->keep, objects / set->slots + 1);
    set->reserved = true;
    if (set->lowest) {
        set_let_go(set);
    }
    return set->construct ? construct_ahead(set, objects) : 0;
}

/* Pages of a slab on which nothing is out go back. */
static size_t punch_free(struct slab *s)
{
    unsigned pages = slab_free_pages(s);
    size_t bytes = 0;
    while (pages) {
        unsigned from = lowest_bit(pages), length = lowest_bit(~((uint64_t)pages >> from));
        bytes += os_purge(slab_data(s) + from * os_page, length * os_page);
        pages &= ~(((1u << length) - 1) << from);
    }
    return bytes;
}

size_t set_trim(struct set *set, bool punch)
{
    set->reserved = false;
    set->keep = set->keep_least;
    set_drain(set, false);
    set_retire(set);
    relist(set);
    size_t bytes = set_give_empties(set, 0);
    for (unsigned l = 0; punch && l < SET_FULL; l++) {
        for (struct slab *s = set->list[l]; s; s = s->next) {
            bytes += punch_free(s);
        }
    }
    return bytes;
}

size_t set_count(struct set *set)
{
    size_t out = 0;
    each_slab(set, s)
    {
        set_sync(s);
        out += s->used;
    }
    relist(set);
    return out;
}

struct set_places set_places(const struct set *set)
{
    struct set_places at = {0};
    each_slab(set, s)
    {
        unsigned place = set_place_of(set, s);
        *(place == SET_FULL ? &at.full : place == SET_EMPTY ? &at.empty : &at.partial) += 1;
    }
    return at;
}

int set_walk(struct set *set, int (*visit)(void *object, void *arg), void *arg)
{
    each_slab(set, s)
    {
        uint64_t map[BITMAP_WORDS];
        slab_mark_out(s, map);
        for (unsigned w = 0; w < slab_words(s); w++) {
            for (uint64_t bits = map[w]; bits; bits &= bits - 1) {
                int stop = visit(set_slot(set, s, w * 64 + lowest_bit(bits)), arg);
                if (stop) {
                    return stop;
                }
            }
        }
    }
    return 0;
}

void set_release_all(struct set *set)
{
    set_drain(set, false);
    set_retire(set);
    for (unsigned l = 0; l < SET_LISTS; l++) {
        for (struct slab *s; (s = set->list[l]);) {
            set_unlist(set, s);
            set_release(set, s);
        }
    }
}

/* -- proof -- */

static void check_slab(struct set *set, struct slab *s, unsigned place)
{
    CHECK(slab_owner(s) == set->part.id && s->level == place && slab_stride(s) == set->stride, "slab", s);
    CHECK(s->local_free == NULL && s->fresh <= set->slots, "slab", s);
    set_sync(s);
    slab_check(s);
}

bool set_check(struct set *set)
{
    size_t slabs = 0, empties = 0;
    each_slab(set, s)
    {
        check_slab(set, s, l_);
        CHECK(l_ == SET_LISTS || !s->next || s->next->prev == s, "slab", s);
        CHECK(l_ != SET_FULL || set->slots - s->used < set->wake || s->used == 0, "slab", s);
        slabs++;
        empties += l_ == SET_EMPTY;
    }
    for (unsigned l = 0; l < SET_LISTS; l++) {
        CHECK((set->list[l] != NULL) == (set->occupied >> l & 1), "lists of slabs", set);
    }
    for (unsigned i = 1; i <= set->hints; i++) {
        void *p = set->hint[(set->hint_at + HINTS - i) % HINTS];
        bool is_slot;
        unsigned slot = set_slot_of(slab_of(p), p, true, &is_slot);
        CHECK(slab_owner(slab_of(p)) == set->part.id && is_slot && slab_is_free(slab_of(p), slot), "hint", p);
    }
    CHECK(slabs == set->slabs && empties == set->empties, "set of slabs", set);
    return true;
}
