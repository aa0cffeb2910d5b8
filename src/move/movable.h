/* move/movable.h - a movable heap inside. See include/allot/movable.h.
 *
 *   reference {slot, gen}
 *       |
 *   entry[slot] ------.      unit, 16 bits
 *   base[slot / 256] --+--> | heads | 2 4 object | 2 4 hole  ...  | 2 4 object |      top |            chunk, 65536 units of 8 bytes
 *                             of holes| | gen                                          never used
 *                                     meta: units, slack ...
 *
 * A group of 256 slots has its objects in one chunk, a chunk those of any number of groups. So a slot is 16 bits, and what moves
 * from chunk to chunk is a group: its objects are laid side by side in another chunk, and `base` says so. Within a chunk anything may
 * move, around what is pinned.
 *
 * A reference is good when the header in front of what its slot leads to has its gen. Each group counts the gens it has given out,
 * and is done for good after 2^31 - 1: none comes twice, so no reference is ever good again.
 *
 * What is no small object has a stub of 2 units in its group's chunk (FAR in its gen, so that allot_movable_at finds another one), which
 * leads to a record of `struct far`.
 */
#ifndef MOVE_MOVABLE_H
#define MOVE_MOVABLE_H

#include <string.h>

#include <allot/movable.h>
#include <allot/region.h>

#include "base/bits.h"
#include "move/closed.h"
#include "os/fault.h"
#include "os/lock.h"
#include "os/watch.h"

#define CHUNK_SHIFT 19
#define CHUNK_SIZE  ((size_t)1 << CHUNK_SHIFT)
#define CHUNK_UNITS 65536u
#define FIRST_UNIT  18u /* behind the heads; even, as all are in a heap whose objects lie at multiples of 16 */
#define HEADS_SIZE  (FIRST_UNIT * 8 - 8)
#define SIZE_LEAST  3u /* as slack has three bits */

#define GROUP_SLOTS 256u
#define GROUPS_MOST ((uint32_t)1 << 24)
#define NO_GROUP    UINT32_MAX
#define NO_CHUNK    UINT32_MAX

#define GEN_MOST 0x7fffffffu
#define GEN_FAR  0x80000000u

#define HOLE_CLASSES 62u

#define ZONE_SIZE  ((size_t)16 << 20)
#define ZONE_UNIT  64u
#define ZONE_PAGES 4096u           /* at most; os_page may be longer */
#define ZONE_MOST  (ZONE_SIZE / 4) /* what is longer has a mapping of its own */
#define OWN_PAGES  UINT32_MAX      /* instead of a zone's number */
#define FAR_HEADER 16u
#define FAR_LEAF   64u

/* -- what a chunk consists of: blocks and holes, side by side from FIRST_UNIT to top; no two holes touch, none touches top --
 *
 *   byte 8e - 6: meta, 16 bits   of a block: units, 10; slack in bytes, 3; a hole is before it, 1; pins, 2. Where objects lie at
 *                                multiples of 16 units are even, and their lowest bit is the slack's fourth
 *                                of a hole: units
 *   byte 8e - 4: gen, 32 bits    0: a hole
 *   byte 8e:     the object; of a hole of 2 units and more, its links in the list of its class, 16 bits each: next, prev (0: none)
 *   and in the last two bytes of a hole, which are before the next one's header, its units again
 */
#define META_UNITS  0x03ffu
#define META_SLACK  10
#define META_BEFORE 0x2000u
#define META_PINS   14 /* 3: more than two; how many is in struct pins */
#define PINS_MANY   3u

static inline uint16_t *meta_of(char *p) { return (uint16_t *)(void *)(p - 6); }
static inline uint32_t *gen_of(char *p) { return (uint32_t *)(void *)(p - 4); }
static inline uint16_t *units_before(char *p) { return (uint16_t *)(void *)(p - 8); }
static inline uint32_t pins_of(char *p) { return *meta_of(p) >> META_PINS; }
static inline bool is_far(char *p) { return *gen_of(p) & GEN_FAR; }

/* The class of a hole, 4 to a doubling from 16 units on; and the first one all of whose holes are so long. */
static inline unsigned class_of_hole(uint32_t units)
{
    if (units < 16) {
        return units - 2;
    }
    unsigned l = log2_floor(units);
    return 14 + (l - 4) * 4 + (units >> (l - 2) & 3);
}

static inline unsigned class_for(uint32_t units)
{
    units = size_max(units, 2);
    return units < 16 ? units - 2 : class_of_hole(units + (1u << (log2_floor(units) - 2)) - 1);
}

enum chunk_state { CHUNK_FREE, CHUNK_USED, CHUNK_SPARE, CHUNK_CLOSED };

/* used = sum of its blocks' units; used <= top - FIRST_UNIT; quick: those of them that are no object's (move/quick.c). bins has a bit for
 * each class that has holes, and for that of what is left above top. `open` are groups that have a free slot to give, `full` the others,
 * in lists. */
struct chunk {
    uint64_t bins;
    uint32_t used, quick, top;
    uint32_t high; /* units up to which pages may be resident */
    uint32_t open, full;
    uint32_t round; /* debug: the step that it was made in */
    uint8_t state;
    uint8_t top_class; /* HOLE_CLASSES: none */
    bool changed;      /* since it was last looked at whether it is worth emptying */
};

static inline uint32_t live_units(const struct chunk *chunk) { return chunk->used - chunk->quick; }

/* used: its slots that have an object; pinned: of these. A free one has no slot used, and is in a list by `next`. */
struct group {
    uint32_t prev, next;
    uint32_t gen;
    uint16_t used, pinned;
    uint16_t free_from; /* no slot below is free */
    uint16_t is_open;
};

/* What is no small object. `at` begins FAR_HEADER bytes behind its place, where its number is. */
struct far {
    char *at; /* NULL: purged */
    size_t size;
    uint64_t key;
    uint32_t slot, pins;
    uint32_t zone; /* its number, OWN_PAGES, */
    uint32_t id;   /* and the range's in it; or next free record */
    bool in_use, purgeable, was_used;
};

/* A region of ZONE_SIZE bytes. Its pages that are taken, or were and have not gone back since, have a bit in `touched`. */
struct zone {
    struct allot_region region;
    uint64_t touched[ZONE_PAGES / 64];
    size_t used;
    size_t refused; /* no room for so many bytes since something was last given back */
    bool made, changed, moved_out;
};

/* Objects with more than two pins, by slot: open addressing, room is 0 or a power of two, and half of it at most is used. */
struct pins {
    struct pinned {
        uint32_t slot, count; /* count 0: the place is free */
    } * of;
    size_t used, room;
};

#define QUICK_UNITS 66u /* of fewer */
#define QUICK_DEPTH 8u

/* Blocks that came free last (move/quick.c); `units`: QUICK_UNITS, or 0: none are kept. total = sum of the counts. */
struct quick {
    uint32_t units, total;
    uint8_t count[QUICK_UNITS];
    char *of[QUICK_UNITS][QUICK_DEPTH];
};

#define CLOSED_PLACES 1024 /* of objects with pages of their own, in a heap in debug mode */

/* All of a heap. Whoever has the lock, where there is one, may touch all of it; near_at, entry, base and gens are read without it by
 * allot_movable_at (see the header for when).
 *   near_at[slot] is where entry and base lead, for all slots there are, as long as near_slots is not 0
 *   count = objects, and of the chunks' blocks those that are in `quick` are none; used = sum of their sizes; chunks_used = chunks that
 *   are CHUNK_USED; far_held = bytes of zones that are taken and pages of others' own, as much as was asked of the system */
struct movable {
    struct os_lock lock;
    _Atomic(const void *)
        asking; /* whose function is called with the lock held (movable_thread): its thread may look things up; or NULL */
    bool locked, debug;
    bool watched; /* somebody watches the program's accesses (os/watch.h): all is denied but objects; near_slots is 0 */
    uint32_t odd; /* 1: objects lie at multiples of 16, and no unit's number or count is odd; else 0 */
    unsigned waste;
    struct movable *prev, *next; /* all of them (move/chain.c) */
    struct allot_movable_opts opts;
    void (*moved_to)(void *arg, allot_ref ref, void *from, void *to);
    void *moved_arg;

    char *tables, *area, *far_area; /* three mappings; the last one when it is needed */
    size_t tables_size, area_size, far_size;
    uint16_t *entry;
    char **base;
    char **near_at;
    uint32_t near_most, near_slots; /* slots that near_at has room for; the same, or 0 once there were more */
    struct group *group;
    struct chunk *chunk;
    struct zone *zone;
    struct far **far_leaf;
    uint64_t *with[HOLE_CLASSES]; /* chunks that have a hole of that class, or so much above top */
    uint32_t with_count[HOLE_CLASSES], with_from[HOLE_CLASSES];
    uint64_t any; /* classes whose with_count is not 0 */

    uint32_t groups_most, groups, free_groups; /* how many there can be; were made; the first free one */
    uint32_t chunks_most, chunks;              /* how many there can be; were made */
    uint32_t chunks_used, spare,
        chunk_from; /* spare: a free chunk whose pages are kept; chunk_from: no free one below */
    uint32_t zones_most, zones;
    uint32_t far_most, fars, free_far, far_hand; /* far_hand: the clock's */
    struct pins pins;
    struct quick quick;

    uint64_t count, used, pinned, far_count, purgeable, purged;
    size_t far_held, peak;
    uint64_t refused, steps, moves, moved, returned, rebuilt;

    /* Compaction. */
    uint32_t source, target; /* the chunk that is being emptied, and the one that is being filled; or NO_CHUNK */
    uint32_t round;
    uint32_t trim_from;       /* the next chunk to be trimmed, */
    bool trim_due;            /* when there may be any; */
    uint64_t *tables_touched; /* pages of `entry` that groups have been made in */
    struct closed *closed;
    size_t closed_next;
};

static inline struct movable *movable_of(const struct allot_movable *heap)
{
    struct movable *h = heap->state;
    if (unlikely(!h)) {
        allot_fault("use of a movable heap that was not initialised, or is done", "heap", heap);
    }
    return h;
}

static inline void movable_lock(struct movable *h)
{
    if (h->locked) {
        os_lock(&h->lock);
    }
    if (unlikely(h->watched)) {
        os_watch_pause(true);
    }
}

/* While a function of the program's runs it is watched again. */
static inline void movable_lets_in(const struct movable *h, bool in)
{
    if (unlikely(h->watched)) {
        os_watch_pause(!in);
    }
}

static inline void movable_unlock(struct movable *h)
{
    movable_lets_in(h, true);
    if (h->locked) {
        os_unlock(&h->lock);
    }
}

/* An address that is the calling thread's alone. */
const void *movable_thread(void);

/* A function of the program's is called that may call allot_movable_at, or has been. */
static inline void movable_asks(struct movable *h, bool asks)
{
    movable_lets_in(h, asks);
    if (h->locked) {
        atomic_store_explicit(&h->asking, asks ? movable_thread() : NULL, memory_order_relaxed);
    }
}

static inline char *chunk_at(const struct movable *h, uint32_t c) { return h->area + ((size_t)c << CHUNK_SHIFT); }
static inline uint32_t chunk_of(const struct movable *h, const char *p)
{
    return (uint32_t)((size_t)(p - h->area) >> CHUNK_SHIFT);
}
static inline char *unit_at(const struct movable *h, uint32_t c, uint32_t unit)
{
    return chunk_at(h, c) + (size_t)unit * 8;
}
static inline char *slot_at(const struct movable *h, uint32_t slot)
{
    return h->base[slot / GROUP_SLOTS] + (size_t)h->entry[slot] * 8;
}
static inline void slot_leads_to(struct movable *h, uint32_t slot, uint32_t c, uint32_t unit)
{
    h->entry[slot] = (uint16_t)unit;
    if (slot < h->near_slots) {
        h->near_at[slot] = unit_at(h, c, unit);
    }
}
static inline uint32_t slot_gen(const struct movable *h, uint32_t slot) { return *gen_of(slot_at(h, slot)) & GEN_MOST; }

static inline uint32_t units_in(const struct movable *h, uint32_t meta) { return meta & META_UNITS & ~h->odd; }
static inline uint32_t slack_in(const struct movable *h, uint32_t meta)
{
    return (meta >> META_SLACK & 7) | (meta & h->odd) << 3;
}
static inline uint32_t units_of(const struct movable *h, char *p) { return units_in(h, *meta_of(p)); }
static inline size_t block_bytes(const struct movable *h, char *p)
{
    return (size_t)units_of(h, p) * 8 - 6 - slack_in(h, *meta_of(p));
}
static inline uint32_t units_for(const struct movable *h, size_t size)
{
    return ((uint32_t)((size + 6 + 7) / 8) + h->odd) & ~h->odd;
}
/* An object's bytes may be touched, and have no value; or are nobody's. */
static inline void object_begins(const struct movable *h, const char *p, size_t size)
{
    if (unlikely(h->watched)) {
        os_watch_undefined(p, size);
    }
}
static inline void object_ends(const struct movable *h, const char *p, size_t size)
{
    if (unlikely(h->watched)) {
        os_watch_deny(p, size);
    }
}
static inline void object_resizes(const struct movable *h, const char *p, size_t was, size_t size)
{
    if (size > was) {
        object_begins(h, p + was, size - was);
    } else if (size < was) {
        object_ends(h, p + size, was - size);
    }
}
/* The longest that is a small object. */
static inline size_t small_most(const struct movable *h) { return ALLOT_MOVABLE_SMALL - 8 * h->odd; }

/* -- chunk.c -- */

/* A chunk with room for so many units, or NO_CHUNK; the second makes one; errno is ENOMEM then. */
uint32_t chunk_with_room(struct movable *h, uint32_t units);
uint32_t chunk_make(struct movable *h);
/* Takes so many units of a chunk: the block's place, without a header but for META_BEFORE, which is cleared; 0: it has no such hole. */
uint32_t chunk_take(struct movable *h, uint32_t c, uint32_t units);
/* Whether it has them. */
bool chunk_has(struct movable *h, uint32_t c, uint32_t units);
/* Above top only. */
uint32_t chunk_take_top(struct movable *h, uint32_t c, uint32_t units);
/* A block becomes a hole; the chunk stays, though it may be empty. */
void chunk_give(struct movable *h, uint32_t c, uint32_t unit);
/* A block changes its length where it is; false when what follows is taken. */
bool chunk_resize(struct movable *h, uint32_t c, uint32_t unit, uint32_t units);
/* Nothing is in it any more. */
void chunk_release(struct movable *h, uint32_t c);
/* All of its holes are forgotten; the one that is made is not in touch with another. What is to be top. */
void chunk_forget_holes(struct movable *h, uint32_t c);
void chunk_add_hole(struct movable *h, uint32_t c, uint32_t unit, uint32_t units);
void chunk_set_top(struct movable *h, uint32_t c, uint32_t top);
/* Pages above top, or of the spare one, go back: bytes. */
size_t chunk_trim(struct movable *h, uint32_t c);
size_t chunk_drop_spare(struct movable *h);
void block_copy_watched(const struct movable *h, char *to, char *from, size_t bytes);
/* The same of where it lies, and a chunk that is empty then is released. */
void block_give(struct movable *h, char *p);
void chunk_check(struct movable *h, uint32_t c, uint32_t *blocks);
/* A block with its header goes elsewhere; the places may overlap when that is below. */
static inline void block_copy(const struct movable *h, char *to, char *from)
{
    size_t bytes = block_bytes(h, from);
    if (unlikely(h->watched)) {
        block_copy_watched(h, to, from, bytes);
    } else {
        memmove(to - 6, from - 6, 6 + bytes);
    }
}

/* -- quick.c -- */

/* Keeps a block that is no object's any more; false: it is to be given to its chunk. */
bool quick_put(struct movable *h, char *p);
/* The one of so many units that came last, or NULL; and takes it. */
static inline char *quick_last(const struct movable *h, uint32_t units)
{
    const struct quick *q = &h->quick;
    return units < q->units && q->count[units] ? q->of[units][q->count[units] - 1] : NULL;
}
void quick_pop(struct movable *h, uint32_t units);
/* Gives those of a chunk, or all, to their chunks: whether there were any. */
bool quick_give_of(struct movable *h, uint32_t c);
bool quick_give_all(struct movable *h);

/* -- group.c -- */

/* A free slot of a group of the chunk, or UINT32_MAX with ENOMEM; and its next gen, once there is an object. */
uint32_t slot_take(struct movable *h, uint32_t c);
uint32_t slot_next_gen(struct movable *h, uint32_t slot);
void slot_give(struct movable *h, uint32_t slot);
/* A group goes to another chunk, or to none; the next one that was never used, `g`, comes to one. */
void group_to(struct movable *h, uint32_t g, uint32_t from, uint32_t to);
bool group_claim(struct movable *h, uint32_t g, uint32_t c);
size_t slots_trim(struct movable *h);
/* After there are more groups: whether they are too many for near_at. */
static inline bool near_is_full(const struct movable *h)
{
    return h->near_slots && h->groups > h->near_slots / GROUP_SLOTS;
}
void slots_check(struct movable *h);

/* -- far.c -- */

struct far *far_of(struct movable *h, uint32_t number);
static inline uint32_t *far_number(char *stub) { return (uint32_t *)(void *)stub; }
static inline struct far *far_at(struct movable *h, char *stub) { return far_of(h, *far_number(stub)); }
/* A record with a place for so many bytes, of no slot yet; UINT32_MAX: ENOMEM. */
uint32_t far_make(struct movable *h, size_t size);
uint32_t far_make_purged(struct movable *h, size_t size, uint64_t key);
void far_forget(struct movable *h, uint32_t number);
int far_resize(struct movable *h, uint32_t number, size_t size);
/* Its address; one that was purged is built. NULL with errno. */
void *far_use(struct movable *h, uint32_t number);
int far_build(struct movable *h, uint32_t number);
size_t far_purge(struct movable *h, size_t bytes);
/* Moves at most so many bytes, at least one; the bytes moved and given back. */
size_t far_compact(struct movable *h, size_t most);
size_t far_trim(struct movable *h);
size_t far_move_all(struct movable *h);
void far_done(struct movable *h);
size_t far_touched(const struct movable *h);
void far_check(struct movable *h);

/* -- movable.c -- */

/* A live object goes. */
void movable_drop(struct movable *h, uint32_t slot);
/* Bytes, as asked for. */
static inline size_t movable_size_of(struct movable *h, char *p)
{
    return is_far(p) ? far_at(h, p)->size : block_bytes(h, p);
}

/* Whether so many bytes more are within the limit; what is purgeable goes first. */
bool movable_may_hold(struct movable *h, size_t bytes);
static inline size_t movable_held(const struct movable *h)
{
    return ((size_t)h->chunks_used + (h->spare != NO_CHUNK)) * CHUNK_SIZE + h->far_held;
}
void movable_note_held(struct movable *h);
/* Other threads may read it, in allot_movable_at. */
static inline void movable_tell_near(struct allot_movable *heap, const struct movable *h)
{
    if (unlikely(heap->near_slots != h->near_slots)) {
        __atomic_store_n(&heap->near_slots, h->near_slots, __ATOMIC_RELAXED);
    }
}
static inline void movable_tell(struct movable *h, uint32_t slot, void *from, void *to)
{
    h->moves++;
    if (h->moved_to) {
        allot_ref ref = {slot, slot_gen(h, slot)};
        movable_asks(h, true);
        h->moved_to(h->moved_arg, ref, from, to);
        movable_asks(h, false);
    }
}
/* What meta says of the length of a block: units, and slack. */
static inline uint16_t meta_for(uint32_t units, size_t size)
{
    uint32_t slack = units * 8 - 6 - (uint32_t)size;
    return (uint16_t)(units | (slack & 7) << META_SLACK | slack >> 3);
}
/* A block for an object in a chunk, with its header, which says so far whether a hole is before it. */
static inline void block_begin(char *p, uint32_t units, size_t size, uint32_t gen)
{
    *meta_of(p) = (uint16_t)((*meta_of(p) & META_BEFORE) | meta_for(units, size));
    *gen_of(p) = gen;
}

/* -- tell.c -- */

/* Each object, by slot; until `visit` is not 0. */
int movable_walk(struct movable *h, int (*visit)(void *arg, allot_ref ref, void *at, size_t size), void *arg);

/* -- pins.c -- */

bool pins_more(struct movable *h, uint32_t slot);            /* a third; false: out of memory */
uint32_t pins_add(struct movable *h, uint32_t slot, int by); /* of one with more than two: how many it has then */
void pins_drop(struct movable *h, uint32_t slot);
void pins_free(struct pins *pins);
uint32_t pins_count(const struct movable *h, uint32_t slot);

/* -- chain.c: all movable heaps, for forks and for who looks at blocks -- */

void chain_of_movables_add(struct movable *h);
void chain_of_movables_remove(struct movable *h);

#endif
