/* gc/count.h - the counting collector's part of a heap.
 *
 *   header:  | type / 16 : 44 | SIDE | CANDIDATE | LARGE | WATCHED | count : 16 |        WATCHED: set, as long as it lives
 *
 *   count = references in the heap's objects, and those that the program has (allot_gc_get, allot_gc_ref, allot_gc_weak_get)
 *           less 32767 for each that the side table has of it (count_side.c); 0: it goes; 65535: nobody knows any more, it stays
 *   CANDIDATE: it lost a reference, and was left with some, since circles were looked for: one may hang on it. Its unit is noted.
 *   SIDE: the side table has something of it, or for it: counts, weak references.
 *
 *   unit of one size:   | 8 | object | object | free ... run ... free | object |             zero, where it is free
 *   its allocated map:        1        1        0   0    0        0      1        a bit a slot, holes at hand included
 *   its pending map:          cycles.c's
 *   of objects with finishers:   | next, age | header | object |                 16 bytes more
 *   slots of more than 512 bytes end with the object's size
 *
 * An object goes when its count comes to 0: what it refers to loses a reference each, and then its slot is free. What goes that way waits
 * in a list through the objects' own first reference (count_release.c): no recursion, no memory.
 *
 * Threads. As long as the process has one, and no round of the search for circles is open (cycles.h), counts are plain words. Else the heap
 * is careful: counts change by atomic instructions, free slots go back by dozens under the lock, and while a round is open each change is
 * told to it under the lock. A round opens and ends while all threads stand.
 */
#ifndef GC_COUNT_H
#define GC_COUNT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <allot/gc.h>

#include "gc/cycles.h"
#include "span/segment.h"

struct gc;
struct mutator;

#define COUNT_MASK      ((uint64_t)0xffff)
#define COUNT_CANDIDATE ((uint64_t)1 << 18)
#define COUNT_SIDE      ((uint64_t)1 << 19)
#define COUNT_STUCK     ((uint64_t)65535)
#define COUNT_MOST      ((uint64_t)65534)
#define COUNT_LENT      ((uint64_t)32767) /* so many at a time move to the side table, and back */

/* Sizes: each multiple of 16 up to 512, then four to a doubling. Those with finishers have units of their own. */
#define COUNT_SMALL   32
#define COUNT_MEDIUM  24
#define COUNT_CLASSES (COUNT_SMALL + COUNT_MEDIUM)

#define COUNT_FULL UINT16_MAX

struct count_unit {
    struct unit unit;
    struct count_unit *next, *prev; /* in its class's list, or the empty ones' */
    uint32_t recip;                 /* ceil(2^32 / stride): offset * recip >> 32 is offset / stride, as of a slab */
    uint16_t stride16, slots;       /* bytes of a slot / 16; how many */
    uint16_t used;                  /* allocated bits */
    uint16_t
        low; /* a free that makes `used` as low has to be told: COUNT_FULL, when it is in no list and no hand; else 0 */
    uint8_t klass;  /* COUNT_CLASSES and up: with finishers */
    uint8_t cursor; /* in hand: the word where the search for holes goes on */
    bool lead;      /* a slot's header comes after 16 bytes */
    bool in_hand : 1;
    bool noted : 1;      /* in the list of those with candidates; in careful heaps the lock's, both */
    struct trial *trial; /* of the round that is open, or NULL */
    struct count_unit *noted_next;
    uint32_t *proof; /* count_check.c's, while it runs */
};
_Static_assert(sizeof(struct count_unit) == HEADER_SIZE, "a unit's header is one line");

/* In front of the header of an object with a finisher; of a large one in its record. */
struct count_finish {
    void *next;   /* in a queue, or cycles.c's lists */
    uint64_t age; /* the smaller, the older; 0: it has been finished, or is about to be */
};

/* What somebody who lets objects go has at hand: a mutator, or the search for circles, which runs while the world stands. */
struct count_hand {
    void *dead; /* through the first reference of each */
    void *simple,
        *up;    /* of dead ones: whose references are being visited, and that it was come to from (count_release.c) */
    void *part; /* and of which the words from `word` on are still to be visited */
    size_t word;
    void *due, *due_last; /* to be finished: by count_finish.next */
    bool busy;            /* somewhere below, all of that is being worked off */
    uint64_t freed;       /* bytes so far */
    uint64_t finished;    /* finishers that ran */
    unsigned slots;       /* of a careful heap: zero, and still allocated */
    char *slot[64];
};

#define COUNT_STEP ((size_t)512) /* bytes of holes, while a round goes on by steps: so often there may be one */

struct count_mutator {
    struct count_hand hand;
    struct count_unit *unit[COUNT_CLASSES]; /* where holes come from */
};

struct count {
    struct count_unit *with_room[2 * COUNT_CLASSES];
    struct count_unit *empty; /* zero, of no class */
    size_t empties;
    struct count_unit *noted; /* by noted_next */
    bool large_noted;
    uint64_t freed_seen;      /* as `since` has been told of it */
    uint64_t ages;            /* of objects with finishers, so far */
    uint64_t unfinished;      /* count_figures': finishers that have not run */
    uint64_t outside;         /* count_check's: references that are not in objects */
    bool torn;                /* a thread was lost, perhaps in the middle of something: sums may be off by that */
    struct count_hand finder; /* the search's; and what mutators have left behind */
    void *due, *due_last;     /* finishers of circles; and all of BY_HAND. The lock's */
    struct count_side *side;  /* open addressing: by the object's address */
    size_t side_count, side_room;
    struct cycles cycles;
};

/* -- gc.h's -- */

int count_init(struct gc *gc);
void count_done(struct gc *gc);
int count_attach(struct mutator *me);
void count_detach(struct mutator *me, bool lost);
void *count_get(struct mutator *me, const struct allot_gc_type *type, size_t size);
void count_write(struct mutator *me, void *object, void **slot, void *value);
void count_give(struct mutator *me, void *object, void **slot, void *value);
void count_write_many(struct mutator *me, void *object, void **to, void *const *from, size_t count);
void count_collect(struct gc *gc);
bool count_step(struct gc *gc, uint64_t deadline);
void count_due(struct mutator *me);
void *count_object_at(struct gc *gc, uintptr_t word, bool interior);
size_t count_size(const struct gc *gc, const void *object);
int count_walk(struct gc *gc, int (*visit)(void *, const struct allot_gc_type *, size_t, void *), void *arg);
void count_check(struct gc *gc);
void *count_ref(struct mutator *me, void *object);
void count_unref(struct mutator *me, void *object);
size_t count_cycles(struct mutator *me, size_t max_work);
void *count_weak(struct mutator *me, void *target);
void *count_weak_get(struct mutator *me, void *weak);
size_t count_finish(struct gc *gc, struct mutator *me, size_t most);
bool count_is_dead(const struct gc *gc, const void *object);
void count_figures(struct gc *gc);

/* Never asked: gc_settle is for who traces. */
static inline bool count_reached(struct gc *gc, const void *object) { return gc && object; }
static inline void count_hold(struct gc *gc, void **slot) { (void)gc, (void)slot; }
static inline void count_drain(struct gc *gc) { (void)gc; }

#endif
