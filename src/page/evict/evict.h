/* page/evict/evict.h - what the policies of replacement have in common. See include/allot/evict.h.
 *
 *   node:   | frame 0 | frame 1 | ... | frame n-1 | ghost 0 | ... |      each in one list at most, or free
 *              `-- in list[3] --'
 *
 * A list is a queue: items are put at its head and leave at its tail. A frame is vacant, or in one of the lists (Clock has none: its
 * hand goes by number). The equation: present = frames that are not vacant = sum of the lists' counts, ghosts' lists left out.
 *
 * S3-FIFO and ARC want their ghosts exactly, in order: such a ghost is a node behind the frames', and what the caller keeps is its
 * number and its life, which is over when the node has been used for another page.
 *
 * All but `used` and the notes are the lock's.
 */
#ifndef EVICT_EVICT_H
#define EVICT_EVICT_H

#include <allot/evict.h>

#include "base/bits.h"
#include "os/fault.h"
#include "os/lock.h"

enum { NIL = UINT32_MAX, LISTS = 8, GHOSTS = 2, NOTES = 64 };
enum { VACANT = 0x80, JUDGED = 0x40, COOLED = 0x20, PLACE = 0x0f }; /* of a frame's place */

struct evict_node {
    uint32_t next, prev;
};

struct evict_list {
    uint32_t head, tail, count;
};

/* The frame that is looked for, and what it is looked for with. */
struct evict_search {
    bool (*busy)(size_t frame, void *arg);
    void *arg;
    uint64_t looks; /* at frames, that may still be taken; then any will do that is not busy */
};

struct evict_state {
    struct os_lock lock;
    uint8_t policy, levels;
    uint32_t frames, ghosts, present;
    struct evict_node *node;
    uint8_t *used; /* the caller's struct has it as well */
    uint8_t *
        place; /* of each frame: the list it is in; VACANT, and JUDGED with the list that the page it is vacated for goes to;
                     * COOLED: it came to this level from a hotter one, and has not been looked at since */
    uint32_t *life;                                     /* of each ghost, from 1 */
    struct evict_list list[LISTS], ghost[GHOSTS], free; /* of ghosts */
    uint32_t hand;  /* CLOCK: the frame that is next; SIEVE: the same, or NIL: the tail */
    uint32_t fresh; /* the room of what is new; S3FIFO: fixed */
    double recent;  /* ARC: the room of the first list, `p` in its paper */

    /* GRADUAL. */
    uint32_t *entered;             /* of each frame: the count of evictions when it came to its level's head */
    uint64_t evictions;            /* in all; and those */
    uint64_t from_fresh, from_old; /* from the coldest level, and from the others: evictions is their sum */
    uint32_t unit;                 /* ghosts tell time in so many evictions */
    uint32_t fresh_least, fresh_most;
    uint32_t pace, cooling; /* in 1/1024: pages that cool per page that enters; what is due */
    uint32_t fixed_pace[LISTS];
    bool adapts;

    /* Hits of which the order matters, in that order: frame + 1. A place that is claimed and not yet written is passed over. */
    _Atomic uint32_t note[NOTES];
    _Atomic uint32_t noted;
    uint32_t taken_note;
    uint64_t hits_noted, entered_count, gone, refaults;
};

/* -- lists -- */

void evict_push(struct evict_state *s, struct evict_list *list, uint32_t node);
void evict_push_tail(struct evict_state *s, struct evict_list *list, uint32_t node);
void evict_remove(struct evict_state *s, struct evict_list *list, uint32_t node);

/* A frame goes to the head of that list. */
static inline void evict_put(struct evict_state *s, uint32_t frame, uint8_t list)
{
    s->place[frame] = list;
    evict_push(s, &s->list[list], frame);
}

static inline void evict_move(struct evict_state *s, uint32_t frame, uint8_t list)
{
    evict_remove(s, &s->list[s->place[frame] & PLACE], frame);
    evict_put(s, frame, list);
}

/* -- the search for a frame -- */

static inline bool evict_is_busy(const struct evict_search *search, uint32_t frame)
{
    return search->busy && search->busy(frame, search->arg);
}

/* One look more; false: there have been enough. */
static inline bool evict_look(struct evict_search *search) { return search->looks > 0 && search->looks-- > 0; }

/* The first frame of a list, from its tail, that is not busy; NIL. */
uint32_t evict_first_idle(const struct evict_state *s, const struct evict_list *list,
                          const struct evict_search *search);

static inline uint8_t evict_used(const struct evict_state *s, uint32_t frame)
{
    return __atomic_load_n(&s->used[frame], __ATOMIC_RELAXED);
}

static inline void evict_set_used(struct evict_state *s, uint32_t frame, uint8_t used)
{
    __atomic_store_n(&s->used[frame], used, __ATOMIC_RELAXED);
}

/* -- exact ghosts -- */

/* The ghost of a page that goes, newest in that list: where there are `most`, the oldest one's life is over. */
uint64_t evict_ghost_add(struct evict_state *s, unsigned list, uint32_t most);
/* The list that a ghost is in, or -1: its life is over. It is taken out. */
int evict_ghost_take(struct evict_state *s, uint64_t ghost);
void evict_ghost_drop_oldest(struct evict_state *s, unsigned list);

/* -- what each policy gives: the frame that goes, still in its list, and the ghost of its page. `enter` places a frame -- */

struct evict_victim {
    uint32_t frame; /* NIL: there is none */
    uint64_t ghost;
};

struct evict_victim fifo_victim(struct evict_state *s, struct evict_search *search);
struct evict_victim lru_victim(struct evict_state *s, struct evict_search *search);
struct evict_victim clock_victim(struct evict_state *s, struct evict_search *search);
struct evict_victim sieve_victim(struct evict_state *s, struct evict_search *search);
void sieve_leave(struct evict_state *s, uint32_t frame);

/* `coming` is judged once for each page that comes: the list that it goes to. */
struct evict_judgement {
    uint8_t list;
    bool refault, first_ghost;
    uint32_t age; /* GRADUAL: since it was entered when it went, in units */
};

struct evict_judgement s3fifo_judge(struct evict_state *s, uint64_t coming);
struct evict_victim s3fifo_victim(struct evict_state *s, struct evict_search *search);

struct evict_judgement arc_judge(struct evict_state *s, uint64_t coming);
struct evict_victim arc_victim(struct evict_state *s, struct evict_search *search, struct evict_judgement judged);
void arc_hit(struct evict_state *s, uint32_t frame);

void gradual_init(struct evict_state *s, const struct allot_evict_opts *opts);
struct evict_judgement gradual_judge(struct evict_state *s, uint64_t coming);
struct evict_victim gradual_victim(struct evict_state *s, struct evict_search *search, struct evict_judgement *judged);
void gradual_enter(struct evict_state *s, uint32_t frame, uint8_t level, bool cold);

#endif
