/* gc/gc.h - a collected heap inside: what the three collectors share, and what each of them gives.
 *
 *   allot_gc_mutator (the thread's) --state--> mutator --gc--> gc --> mutators, roots, finishables, weak ones, large objects
 *     frames, holes, fresh                                      |
 *                                                               +--> mark | copy | count: units of objects, by `kind`
 *
 *   unit (span/segment.h):  | 8 free | header | object ........ | header | object ... |     headers lie at 16 n + 8
 *   own pages:              | 8: struct large * | header | object .................. |     above GC_UNIT_MOST; header with GC_LARGE
 *
 *   header:  | type / 16 : 44 | 0 | SEEN | LARGE | WATCHED | length in 16 bytes (MARK, COPY); count (COUNT); of large ones 0 : 16 |
 *
 * A collector's own lies in mark.h, copy.h, count.h, and is reached by one switch on the kind, in gc.c. What a reference means is in
 * visit.h. Each of them gives
 *
 *   K_init, K_done      of the heap: 0 or -ENOMEM; gives all units back (large objects go by themselves)
 *   K_attach, K_detach  of a thread, under the lock; detach also of one that was lost in a fork, whose frames are gone
 *   K_get               a block of so many 16 bytes for an object of at most GC_UNIT_MOST, header included, zeroed, with its header
 *                       written; NULL, when that wants a collection, or memory is out. Under the lock, others may run. It
 *                       may leave a hole at hand in the mutator, unless the heap is in STRESS
 *   K_write             a store into a WATCHED object. Without the lock
 *   K_collect           a whole collection: the world stands, the lock is held; finishers are queued, not run. Of MARK and COPY it
 *                       goes  begin, roots_visit, drain, gc_settle (weak.c), end;  live is set with it
 *   K_step              proceeds until `deadline`, likewise; true when a collection is complete
 *   K_due               there is something to do at this allocation: a young collection, a step. Called by get_slow with the lock held
 *                       and no one stopped, when gc->since has come to gc->due, or at any time in a cycle
 *   K_object_at         the object that a word may mean (conservative roots, MAYBE), in one of our units, or NULL
 *   K_size              bytes of an object in a unit
 *   K_walk, K_check     of objects in units; the world stands
 *   K_reached, K_hold, K_drain   for gc_settle, in the middle of a collection: has been reached; reach what a slot refers
 *                       to, and store there where it is now; reach all that follows
 *
 * Locks: gc->lock guards all but what is said to be a thread's own. Under it nothing waits for anybody but stop(). The chain's lock is
 * outside of it, the heap's inside.
 */
#ifndef GC_GC_H
#define GC_GC_H

#include <stdatomic.h>

#include <allot/gc.h>
#include <allot/pool.h>

#include "base/bits.h"
#include "base/list.h"
#include "gc/copy.h"
#include "gc/count.h"
#include "gc/mark.h"
#include "gc/table.h"
#include "heap/part.h"
#include "os/lock.h"

/* -- objects -- */

#define GC_LARGE  ((uint64_t)1 << 17) /* has pages of its own */
#define GC_SEEN   ((uint64_t)1 << 18) /* finish.c's, while the world stands; else 0 */
#define GC_LENGTH ((uint64_t)0xffff)
#define GC_GRAIN  ((size_t)16)
#define GC_UNIT_MOST \
    ((size_t)32752) /* bytes of the largest block in a unit: two of them fill one, but for the first 8 bytes */
#define GC_UNIT_GRAINS ((UNIT_SIZE - ALLOT_GC_HEADER) / GC_GRAIN) /* from unit + 8 on */

static inline uint64_t *gc_header(const void *object) { return (uint64_t *)(uintptr_t)object - 1; }

/* Any thread's: others may count meanwhile. */
static inline uint64_t gc_header_of(const void *object) { return __atomic_load_n(gc_header(object), __ATOMIC_RELAXED); }

static inline const struct allot_gc_type *gc_type(uint64_t header)
{
    return (const struct allot_gc_type *)(uintptr_t)(header >> 16 & ~(uint64_t)15);
}

static inline size_t gc_blocks(size_t size) { return (size + ALLOT_GC_HEADER + GC_GRAIN - 1) / GC_GRAIN; }

/* How the header of a unit of ours begins; the rest of its 64 bytes is the collector's. */
struct gc_unit {
    struct unit unit;
    struct gc_unit *next, *prev; /* in whatever list */
    char own[40];
};
_Static_assert(sizeof(struct gc_unit) == HEADER_SIZE, "a unit's header is one line");

static inline struct gc_unit *gc_unit_of(const void *object) { return (struct gc_unit *)unit_of(object); }
static inline char *gc_unit_data(const struct gc_unit *u) { return unit_data(&u->unit); }

/* A large object's record, which stays in place: in the order of their addresses in gc->large. */
struct large_object {
    char *at;     /* its pages; the object begins 16 bytes behind */
    size_t size;  /* of the object, as it was asked for */
    size_t pages; /* bytes of them */
    bool marked;  /* the collector's, as the rest */
    bool again;
    uint8_t age;
    uint32_t count;
    struct large_object *next;
    struct count_finish finish; /* COUNT's */
};
static inline struct large_object *large_object_of(const void *object)
{
    return ((struct large_object **)(uintptr_t)object)[-2];
}

/* -- the heap -- */

struct gc_roots {
    void **slot;
    size_t count;
    bool words; /* any of which may be a reference */
};

struct gc_finishable {
    void *object;
};

struct gc {
    struct part part; /* first; never given back */
    struct os_lock lock;
    struct gc *next, *prev; /* the chain's (chain.c); of unused ones by next */
    enum allot_gc_kind kind;
    struct allot_gc_opts opts; /* with defaults filled in */
    char name[ALLOT_POOL_NAME_MAX + 1];

    /* Threads (mutator.c). running: those that are not at rest. */
    struct mutator *mutators;
    struct mutator *collector; /* who has stopped the others, or is about to */
    _Atomic bool stopping;
    atomic_uint running;
    atomic_int turn; /* counts up as somebody comes to rest, or the world goes on */

    /* Bytes: held = units, large objects' pages, and tables; peak: the most of it. since: handed out since the last collection, rests
     * of holes included; due: as many start one. used = live at the last whole collection + since, less what was put. */
    size_t held, peak, used, since, due;
    ptrdiff_t aside;           /* of the limit: for what a collection will want; below 0 while it has it. COUNT's */
    uint64_t allocated, freed; /* at the granularity of holes */
    size_t units;
    uintptr_t lowest, highest; /* of addresses that are, or were, ours */

    struct gc_table roots;       /* struct gc_roots */
    struct gc_table large;       /* struct large_object *, by address */
    struct gc_table finishables; /* struct gc_finishable, by age */
    struct gc_table
        due_finish; /* void *: roots, until their finishers have run; first in, first out, from `finish_next` on */
    size_t finish_next;
    bool finishing; /* a thread runs them: */
    const void *finisher;
    bool no_roots;              /* but those: the heap ends */
    struct gc_table weak;       /* struct gc_weak * */
    struct gc_table ephemeron;  /* struct gc_ephemeron * */
    struct gc_table remembered; /* void *: objects that mutators have given up, see gc_remember */
    bool forgot;                /* one could not be kept: the collector has to look at all */

    struct large_object *dead_large, *unused_large; /* by next: still to be ended; records for the next */

    struct allot_gc_stats stats; /* of which those above are filled in when asked */
    uint64_t stopped_at;

    union {
        struct mark mark;
        struct copy copy;
        struct count count;
    };
};

enum { REMEMBERED = 256 };

/* A thread's part in a heap. Its own, but for what others do while the world stands. */
struct mutator {
    struct allot_gc_mutator *face; /* the user's */
    struct gc *gc;
    struct mutator *next, *prev; /* of the heap; the lock's */
    const void *thread;          /* an address that is the thread's alone */
    bool resting;                /* the lock's */
    char *base, *sp;             /* CONSERVATIVE: its stack, while it rests, is [sp, base) */
    size_t spilled;              /* words that registers were at, as it left */
    uintptr_t spill[128];
    size_t remembered;
    void *remember[REMEMBERED];
    union {
        struct mark_mutator mark;
        struct copy_mutator copy;
        struct count_mutator count;
    };
};

static inline struct mutator *mutator_of(const struct allot_gc_mutator *face) { return face->state; }

static inline bool gc_is(const struct gc *gc, unsigned flag) { return (gc->opts.flags & flag) != 0; }

/* One line that names the crime, "object of gc "name"" and the address. */
#define gc_fault(gc, crime, at) part_fault(crime, &(gc)->part, at)

/* -- memory (units.c, large.c); the lock is held -- */

/* A unit, or NULL: the limit, or memory out. What is written of it: `touched` is the taker's to keep. */
struct gc_unit *gc_take_unit(struct gc *gc, enum unit_use use);
/* Its bitmaps are zero. */
void gc_give_unit(struct gc *gc, struct gc_unit *unit);
/* Of what has been set aside by then. */
struct gc_unit *gc_take_unit_set_aside(struct gc *gc);
void gc_give_unit_set_aside(struct gc *gc, struct gc_unit *unit);
/* So many bytes of tables or other records come into use; false: the limit. */
bool gc_hold_bytes(struct gc *gc, size_t bytes);
void gc_let_bytes_go(struct gc *gc, size_t bytes);

/* Whether the heap's limit has room for so many; pages come into use, or go; addresses are ours from now on. */
bool gc_fits(const struct gc *gc, size_t bytes);
void gc_count_pages(struct gc *gc, size_t bytes, bool more);
void gc_note_range(struct gc *gc, const char *at, size_t bytes);

/* An object with pages of its own, with its header and zero; NULL: the limit, or memory out. And back. */
void *large_take(struct gc *gc, const struct allot_gc_type *type, size_t size, uint64_t fresh);
void large_give(struct gc *gc, struct large_object *large);
void large_end(struct gc *gc, struct large_object *large);
struct large_object *large_at(const struct gc *gc, uintptr_t address);
static inline size_t large_count(const struct gc *gc) { return gc->large.count; }
static inline struct large_object *large_nth(const struct gc *gc, size_t i)
{
    return ((struct large_object **)gc->large.at)[i];
}
/* Those for which `goes` is true are objects no more; they are ended by and by, as their pages cost system calls. */
void large_sweep(struct gc *gc, bool (*goes)(struct gc *gc, struct large_object *large));

/* The object that a word may mean, as the heap's flags say: NULL for none. Any address. */
void *gc_object_at(struct gc *gc, uintptr_t word, bool interior);
/* Bytes of an object, as they were asked for or up to 15 more. */
size_t gc_size_of(const struct gc *gc, const void *object);

/* A reference into this heap is one to an object; for check. */
bool gc_is_object(struct gc *gc, const void *object);

/* -- threads (mutator.c) -- */

/* The lock is held before and after, and let go meanwhile: all threads stand but `me`, which may be NULL. Who waits here is at rest.
 * False: another thread had them stand meanwhile, and now nobody does. */
bool gc_stop(struct gc *gc, struct mutator *me);
void gc_go(struct gc *gc);
void gc_go_on(struct gc *gc); /* what was done is none of the heap's pauses */
/* With the lock held: waits while somebody else wants the world to stand. */
void gc_safe_point(struct mutator *me);
void gc_poll(struct mutator *me);
/* `frame`: of who called, who has put all registers there. */
void gc_leave(struct mutator *me, const void *frame);
void gc_enter(struct mutator *me);
int gc_attach(struct gc *gc, struct allot_gc_mutator *face);
void gc_detach(struct mutator *me);
/* The thread has ended; in the child of a fork, all but the one that forked. Their faces are not looked at. */
void gc_lose_thread(struct gc *gc, const void *thread);
void gc_lose_others(struct gc *gc, const void *thread);

/* -- roots (roots.c) -- */

struct gc_root_visit {
    void (*slot)(struct gc *gc, void **slot);
    void (*word)(struct gc *gc, uintptr_t word); /* of stacks and registers */
};
int gc_root(struct gc *gc, void *slots, size_t count, bool words);
void gc_unroot(struct gc *gc, void *slots);
/* Frames, roots, finishers that are due, stacks. The world stands. */
void gc_visit_roots(struct gc *gc, const struct gc_root_visit *visit);

/* -- the remembered (remember.c) -- */

/* Of a thread that goes away. */
void gc_keep_remembered(struct mutator *me);
/* Clears WATCHED of an object and notes it for the next look of the collector. Without the lock. */
void gc_remember(struct mutator *me, void *object);
/* What was stored in one that stays WATCHED; with COPY, where. */
void gc_remember_value(struct mutator *me, void *value);
/* While the world stands: calls `look` for each, and forgets them. gc->forgot is the collector's to clear. */
void gc_look_at_remembered(struct gc *gc, void (*look)(struct gc *gc, void *object, bool is_value));

/* -- weak ones and finishers, in the middle of a collection (weak.c, finish.c) -- */

struct gc_weak {
    void *target;
};
struct gc_ephemeron {
    void *key, *value;
};
extern const struct allot_gc_type gc_weak_type, gc_ephemeron_type;

/* All that can be reached has been: ephemerons' values are reached, weak references cleared, finishers queued and what they want
 * reached, tables rid of what goes, and their slots updated. Ends with nothing left to drain. */
void gc_settle(struct gc *gc);
/* Its parts: values of pairs that are reached; who is due, and what they all want. */
void gc_settle_ephemerons(struct gc *gc);
void gc_settle_finishables(struct gc *gc);
/* An object is to be noted: room for it is made before it is; false with memory out. The lock is held. */
bool gc_reserve_finishable(struct gc *gc);
void gc_add_finishable(struct gc *gc, void *object);
/* EXPLICIT: the object goes, its finisher unrun. COUNT: it is finished otherwise. */
void gc_forget_finishable(struct gc *gc, void *object);
/* EXPLICIT: the object goes; weak references and pairs that it is the target of are cleared, and it is in their tables no more. */
void gc_forget_weak(struct gc *gc, const void *object);
/* Runs up to so many finishers that are due, 0: all, unless a thread does so already; without the lock. */
size_t gc_run_finishers(struct gc *gc, struct mutator *me, size_t most);

/* -- by kind -- */

/* One switch: a call of the kind's own function. */
#define BY_KIND(gc, function, ...)                                  \
    ((gc)->kind == ALLOT_GC_COPY    ? copy_##function(__VA_ARGS__)  \
     : (gc)->kind == ALLOT_GC_COUNT ? count_##function(__VA_ARGS__) \
                                    : mark_##function(__VA_ARGS__))

/* A whole collection, and what follows from it; the world stands. */
void gc_collect_stopped(struct gc *gc);

/* Objects that are not known to be dead, large ones included, in order of address within a unit. The world stands. */
typedef int gc_walk_visit(void *object, const struct allot_gc_type *type, size_t size, void *arg);
int gc_walk_objects(struct gc *gc, gc_walk_visit *visit, void *arg);

/* The slow way to an object, for the collectors too. Takes the lock. */
void *gc_get(struct mutator *me, const struct allot_gc_type *type, size_t size);

/* When `used` is what lives: how much may be handed out until the next collection. */
void gc_set_due(struct gc *gc);

/* -- all heaps (chain.c) -- */

void gc_chain_add(struct gc *gc);
void gc_chain_remove(struct gc *gc);
void gc_chain_lock(void);
void gc_chain_unlock(void);
/* An address that is the calling thread's alone, and the same after a fork. Has its end watched. */
const void *gc_thread(void);

#endif
