/* pool/set_lists.h - the lists of a set's slabs, for what looks at one (pool/set.c) and at all (pool/set_whole.c). */
#ifndef POOL_SET_LISTS_H
#define POOL_SET_LISTS_H

#include "os/fault.h"
#include "pool/set.h"

/* What the owner has put and got since the last call is folded into the counters. */
static inline void set_sync(struct slab *s)
{
    int puts = s->trip_set - s->trip;
    CHECK(puts <= s->used, "slab", slab_data(s));
    s->used -= (uint16_t)puts;
    s->nmarked += (uint16_t)puts;
    s->trip_set = (int16_t)s->trip;
}

/* Right after that: the list where it belongs. */
static inline unsigned set_place_of(const struct set *set, const struct slab *s)
{
    return s->used == 0 ? SET_EMPTY : s->used == set->slots ? SET_FULL : s->used * SET_FULL / set->slots;
}

/* A slab leaves its list. And one that is on none goes where it belongs, and its trip is set. Right after set_sync. */
void set_unlist(struct set *set, struct slab *s);
void set_enlist(struct set *set, struct slab *s);

/* The current slab goes on its list; what is in hand of it is not any more. */
void set_let_go(struct set *set);

/* A slab that is on no list: another; and one of which nothing is out goes. NULL with ENOMEM. */
struct slab *set_begin_slab(struct set *set);
void set_release(struct set *set, struct slab *s);

/* Empty slabs go but for so many. One of which something is out again, by a hint, goes where it belongs. Returns the bytes. */
size_t set_give_empties(struct set *set, size_t keep);

/* The first of a slab's fresh slots, constructed and out. NULL with what its constructor says. */
void *set_construct_next(struct set *set, struct slab *s);

/* Of each slab, whatever list it is on. */
#define each_slab(set, s)                                                                                        \
    for (unsigned l_ = 0; l_ <= SET_LISTS; l_++)                                                                 \
        for (struct slab *s = l_ < SET_LISTS ? (set)->list[l_] : (set)->current, *next_ = s ? s->next : NULL; s; \
             s = l_ < SET_LISTS ? next_ : NULL, next_ = s ? s->next : NULL)

#endif
