/* heap/heap.h - the general heap inside: what a thread has at hand, what a heap owns, how blocks come and go.
 *
 *   front (thread-local)            heap (a record, immortal)                      slabs (span/segment.h)
 *   +---------------------+         +-----------------------------------+
 *   | heap_id, heap ------|-------->| id, state, inbox <----------------|------- slabs with remote frees
 *   | list[0..64] --------|--+      | class[144]:                       |
 *   +---------------------+  |      |   current ------------------------|------> slab being handed out
 *                            |      |   list[0..7] by occupancy, full --|------> slabs with room; without
 *      blocks at hand <------+      +-----------------------------------+
 *
 * malloc pops a thread's list; free pushes onto the slab's own list, of which the header is found by arithmetic. Both
 * touch nothing else. When a thread's list is empty, heap_refill moves a slab's free slots there; when a slab's trip
 * comes due, heap_settle moves a full slab to the list of its occupancy, or gives an empty one back.
 *
 * A block freed by a thread that does not own its slab is a bit in the slab's remote bitmap (heap/remote.c).
 *
 * A thread that wants little has no heap, and of what it wants little it has no slab: both come from slabs that all threads
 * share (heap/commons.c).
 */
#ifndef HEAP_HEAP_H
#define HEAP_HEAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <allot/malloc.h>

#include "heap/classes.h"
#include "os/lock.h"
#include "os/memory.h"
#include "slab/slab.h"
#include "span/reserve.h"

/* What a thread has at hand. All but heap_id is zero before its first allocation and after its end. */
struct front {
    struct block *list[LISTS]; /* list[i]: blocks for sizes of 16 i - 15 to 16 i; all of one slab */
    uint64_t zeroed[2];        /* bit i: every block of list[i] is zero but for its link */
    struct heap *heap;
    struct hard *hard;         /* its heap's, in a hardened process and outside of tags */
    uint32_t heap_id;          /* its heap's; ID_NOBODY, that owns no slab: none, or a hardened one */
    uint32_t common;           /* bytes had from the commons while without a heap */
    bool known;                /* its thread's end is watched, and it is on the chain */
    bool ended;                /* its heap is gone for good: the commons serve what it still asks for */
    uint64_t number;           /* the thread's own for ever, from 1; 0 until it is asked for */
    struct allot_tag *tag;     /* what it allocates is counted to; then `list` is empty (heap/tagged.c) */
    struct heap *tagged;       /* its heap for such blocks; NULL until it needs one */
    struct front *aside;       /* what was in `list` and `zeroed`, while it is in a tag or recorded; NULL before that */
    struct recorder *recorder; /* is told what it allocates and frees; then `list` is empty (heap/recording.h), */
    struct front *served;      /* its blocks at hand are there, */
    uint32_t own_id;           /* and heap_id is here */
    uint32_t heard;            /* the last request to record that it has heard of */
    struct calls *calls;       /* of its stacks, once one was wanted (heap/site.h) */
    struct front *next, *prev; /* the chain of all threads' fronts: the stats lock's */
};

extern __thread struct front front;

/* A thread's id by which the fast paths know what is its own. */
static inline bool is_open(uint32_t id) { return (int32_t)id > 0; }

/* Occupancy levels: level l holds slabs of which, when they came there, l/8 or more was in use, and less than (l+1)/8; by now
 * it may be less. Then the full ones. */
#define LEVELS     8
#define LEVEL_FULL LEVELS

/* What sweeps of a class gave back of late (heap/sweep.c). */
struct sweep_record {
    uint32_t punched, filled;     /* pages; and how many such had to be made again; since: */
    uint32_t looked_at;           /* what `most` was when all slabs were looked at */
    uint32_t pause;               /* milliseconds for which there is none when that was too early */
    uint64_t since, paused_until; /* in milliseconds */
};

struct heap_class {
    struct slab *current; /* what refills come from; on no list */
    uint32_t occupied;    /* bit l: list[l] is not empty; beside `current`, as each refill reads both */
    uint32_t slabs;
    uint32_t stride;    /* of its slabs; 0 before the first */
    uint32_t out, most; /* slots that are; and the most that have been, since pages last went back too early */
    int32_t unsampled;  /* blocks to be handed out before the next chosen one (heap/choice.h) */
    struct slab *list[LEVELS + 1];
    struct sweep_record swept;
};

enum heap_state {
    HEAP_ACTIVE,  /* a thread's */
    HEAP_IDLE,    /* its thread has ended; the heaps lock guards it until a new thread takes it over */
    HEAP_SHARED,  /* one of the commons: its lock guards it */
    HEAP_PRIVATE, /* a first-class heap: its owner's */
};

#define SWEEP_NOTED 64

/* What a middle class is asked for, by its refills, and what its tuned class has been made for (heap/tune.c). */
struct tuning {
    uint16_t stride;    /* of the tuned class; 0: there is none */
    uint16_t candidate; /* a size that most may have, in 16 bytes */
    uint16_t votes, seen;
};

/* Ids of private heaps have the first of these bits, of threads' heaps for tagged blocks the second; the rest is a number. Both
 * have those of what is no heap (heap/part.h). */
#define ID_PRIVATE 0x80000000u
#define ID_TAGGED  0x40000000u
#define ID_NUMBER  0x3fffffffu
#define ID_NOBODY  0xffffffffu /* nor what lies where a header would, in memory that is not ours: 0, as a rule */

struct heap {
    uint32_t id;
    _Atomic uint32_t state;
    uint32_t
        epoch; /* forks of this process's line when the heap was taken; less than the present: its thread is lost */
    int tid;
    struct front *front;   /* its blocks at hand; NULL while idle, and in the commons. A private or tagged one's is
                                   * its own for good */
    _Atomic uint64_t user; /* a private heap's: the number of the thread that may use it */
    _Atomic(struct slab *) inbox; /* slabs with remote frees, by inbox_next */
    /* Bytes in there, about; and how many they were when slabs were last laid out, and pages last went back (heap/adrift.c) */
    atomic_size_t adrift, laid_out, gone;
    _Atomic bool may_drift; /* a thread's, and not first-class: others may look. The adrift lock's, as all of this: */
    _Atomic bool lent;      /* others have had slots of it */
    atomic_size_t loose_slabs; /* in `loose`, by inbox_next */
    struct heap *_Atomic next_loose;
    struct slab *undrained;   /* such as were taken from there and have not been looked at yet, likewise */
    ptrdiff_t out, published; /* sum of used * stride of its slabs; and what of it is in the process's total */
    uint64_t mid_zeroed[2];   /* as front.zeroed, for mid */
    size_t slabs, slabs_most; /* of all classes; and the most since there were few (sweep_least) */
    size_t noted_count;       /* in `noted` */
    unsigned heard;           /* of changes in what is chosen (heap/choice.h) */
    uint64_t random;          /* what its choices come from; 0: none has been made */
    struct pace pace;         /* of pages made again in them, of all classes */
    uint32_t turns;           /* of slabs; and when, in milliseconds, it was last looked at what need not be kept */
    uint64_t looked_around;
    struct heap *older; /* the chain of all heaps */
    struct heap *next_idle;
    size_t big;                   /* a private heap's runs and large blocks ever made; 0: none to look for */
    struct allot_tag *tag;        /* what a private heap's blocks are counted to, or NULL; */
    atomic_size_t charged;        /* and how many bytes of them are */
    size_t seen_live, seen_slabs; /* what the last survey found (heap/stats.c) */
    struct hard *hard;            /* when the process is hardened (heap/hard.h); not in the commons */
    struct tuning tuning[MID_CLASSES];
    struct block *mid[2 * MID_CLASSES]; /* blocks at hand of the middle classes, then of their tuned ones */
    uint8_t common[CLASSES]; /* blocks of each class, tuned or not, that its present thread has had from the commons */
    struct heap_class classes[ALL_CLASSES];
    struct slab *noted[SWEEP_NOTED]; /* to be swept together (heap/sweep.c) */
    struct slab *loose[ALL_CLASSES]; /* slabs with remote frees, for all to take from while the owner does not look */
};

/* -- heap.c: heaps and their ids -- */

/* The calling thread's heap, taken over or made when it has none and is due one: the first thread at once, others when they
 * have had so many bytes from the commons. NULL when it has none: not yet, or it has ended, or memory is out. */
#define MODEST_BYTES 4096
struct heap *heap_attach(void) __attribute__((cold));

/* The calling thread wants memory, or frees some, for the first time. */
void heap_know_thread(void) __attribute__((cold));

/* What is in the thread's lists is put aside, so that malloc finds them empty; where memory is out, back into the slabs. And brought
 * back. False: there is no place for it. */
bool front_make_aside(void);
void front_set_aside(void);
void front_bring_back(void);
/* NULL for what is no heap's id. */
struct heap *heap_by_id(uint32_t id);

/* Its heap for tagged blocks, taken over or made when it has none: NULL when it has ended, or memory is out. */
struct heap *heap_attach_tagged(void) __attribute__((cold));
struct heap *heaps_newest(void);
/* The thread that used the heap did not come along when this process was forked: what it owns is nobody's to touch. */
bool heap_is_lost(const struct heap *h);

/* A first-class heap, the calling thread's; its front is the beginning of a record of `bytes` that stays with it, as one of those
 * freed before has it, which are all of one kind; or, `for_good`, a new one that is never freed. NULL with ENOMEM. Freed empty. */
struct heap *heap_make_private(size_t bytes, bool for_good);
void heap_free_private(struct heap *h);

/* What is behind the caller's struct, for who counts its slabs. */
struct allot_heap;
const struct heap *heap_of_private(const struct allot_heap *heap);

/* A first-class heap is used by one thread. Who that is must outlast the thread: addresses and ids are given again. */
void heap_make_mine(struct heap *h);
static inline bool heap_is_mine(const struct heap *h)
{
    return front.number != 0 && atomic_load_explicit(&h->user, memory_order_relaxed) == front.number;
}

/* More than one thread has wanted memory so far. */
extern _Atomic uint64_t threads_so_far;
static inline bool threaded(void) { return atomic_load_explicit(&threads_so_far, memory_order_relaxed) > 1; }

/* How many threads have wanted memory and have not ended. */
size_t threads_alive(void);

/* The chain of their fronts, with the stats lock held. */
const struct front *fronts_first(void);

/* For who reads them from an image of the process (snap/walk.h): nobody else. */
extern _Atomic(struct heap *) heaps_list;
extern struct front *fronts_list;
extern uint32_t heaps_epoch;

/* Prepares the process on the first allocation of any kind: options, handlers. */
void heap_init(void);

/* Moves what the calling thread has at hand back into the slabs. */
void heap_flush_front(void);

/* Takes in the remote frees of a heap that no thread owns; nothing for the others. */
void heap_collect_ownerless(struct heap *h);

/* What the heaps without a thread, and those whose threads sleep, need not hold goes back. Returns the bytes. */
size_t heaps_trim(void);

/* -- refill.c: slabs come and go -- */

/* A block of class c; the rest of its batch, as slab_take_batch has it, is left in *list, which was empty. NULL with ENOMEM. */
struct block *heap_refill(struct heap *h, unsigned c, unsigned group, struct block **list, bool *zeroed);

/* What a refill does, in order: another slab than the current one should be handed out, as it has little to give and another
 * has room. (Before fresh slots are touched, what others have freed is taken in first; not more often, as each time fetches
 * lines that others are writing. A batch of a few is not worth a refill.) Then the fullest with room becomes current, false
 * when there is none; or a new one, false with memory out. */
bool heap_should_replace(struct heap *h, const struct heap_class *class);
bool heap_replace_current(struct heap *h, unsigned c);
bool heap_begin_current(struct heap *h, unsigned c);

/* A slab's trip has come due, or its counters have changed: folds the frees in, moves it off the list of the full ones or
 * gives it back, and sets the next trip. The owner. */
void heap_settle(struct heap *h, struct slab *s) __attribute__((noinline));

/* Sets a slab's next trip: for when a quarter of what is out and at least a quarter of a page has come back, or, of a class that
 * is swept, an eighth; or all. Only right after slab_sync. */
void heap_arm(const struct heap *h, struct slab *s);

/* Slabs other than the current one may have something to hand out. */
static inline bool any_with_room(const struct heap_class *class)
{
    return (class->occupied & ((1u << LEVELS) - 1)) != 0;
}

/* The fullest slab with room, off its list; in haste, one of the fullest. NULL when there is none. The owner, or who holds the
 * heap's lock. */
struct slab *heap_pick(struct heap *h, struct heap_class *class);

/* A slab that is on no list passes to another heap, which hands it out: `to` is the calling thread's. */
void heap_hand_over(struct heap *from, struct heap *to, struct slab *s);

/* A slab with room of a thread that has ended, now h's when that is the calling thread's; NULL when none is found. */
struct slab *heap_inherit(struct heap *h, unsigned c);

/* A slab's trip has come due in a free of the owner's. */
void heap_trip(struct heap *h, struct slab *s) __attribute__((noinline));

/* -- sweep.c: pages within slabs go back -- */

/* Heaps that have not had so many slabs since they last had a quarter of it are not swept: what is filled and emptied over and
 * over would have the same pages back at once. */
extern size_t sweep_least;
/* Memory is short: heaps of any size are. */
extern _Atomic bool sweep_any;

/* Pages of a class are to go back: an eighth less of it is out than was, else they are about to come again. */
static inline bool sweeps(const struct heap *h, const struct heap_class *class)
{
    return class->most - class->out > class->most / 8 &&
           (h->slabs_most >= sweep_least || atomic_load_explicit(&sweep_any, memory_order_relaxed));
}

static inline void heap_count_slabs(struct heap *h, int slabs)
{
    h->slabs += (size_t)slabs;
    h->slabs_most = h->slabs < sweep_least / 4 ? h->slabs : size_max(h->slabs, h->slabs_most);
}

/* How many pages of a slab, about, hold nothing any more when so many of its slots have come back, in random places: a page of
 * which m slots are out on average is empty with probability e^-m, in powers of two; and each slot is a page or more where it
 * is so long. A huge page is not cut up for less than half of it, and an explicit one never. */
static inline bool sweep_worth_it(const struct slab *s)
{
    size_t stride = slab_stride(s), came_back = s->nlocal + (size_t)s->unswept;
    size_t halvings = s->used * 23 / (16 * (UNIT_SIZE / os_page)); /* 1 / ln 2 = 23 / 16 */
    return halvings < 16 && size_max(came_back, came_back * stride / os_page) >> halvings != 0 &&
           !(s->unit.dense && s->used * stride > UNIT_SIZE / 2) && !segment_of(s)->hugetlb;
}

/* A slab that is on a list of its heap may have pages to give back. Right after slab_sync. */
static inline void sweep_note(struct heap *h, struct slab *s)
{
    if (!s->noted && h->noted_count < SWEEP_NOTED && sweeps(h, &h->classes[s->klass]) && sweep_worth_it(s)) {
        s->noted = true;
        h->noted[h->noted_count++] = s;
    }
}

static inline bool sweep_is_due(const struct heap *h) { return h->noted_count == SWEEP_NOTED && !in_haste; }
void heap_sweep(struct heap *h) __attribute__((cold));

/* Every page of a heap that has a slab under it and nothing on it goes back. Returns the bytes. */
size_t heap_sweep_all(struct heap *h);

/* Hands out from no slab any more, so that every one of which nothing is out goes back; for a heap at rest. */
void heap_retire_current(struct heap *h);

/* Gives back every slab, whatever is out. The inbox has been emptied. */
void heap_release_all(struct heap *h);

/* The process's total of bytes that are out, as far as it has been told, and the most it has been. */
void bytes_count(ptrdiff_t bytes);
size_t bytes_live(void);
size_t bytes_peak(void);

/* Counts slots of a slab that went out, or came back when negative. The total hears of it when it amounts to something. */
#define PUBLISH_BYTES ((ptrdiff_t)64 * 1024)
static inline void heap_count(struct heap *h, const struct slab *s, int slots)
{
    struct heap_class *class = &h->classes[s->klass];
    class->out += (uint32_t)slots;
    class->most = class->out > class->most ? class->out : class->most;
    h->out += slots * (ptrdiff_t)slab_stride(s);
    ptrdiff_t since = h->out - h->published;
    if (unlikely(since > PUBLISH_BYTES || since < -PUBLISH_BYTES)) {
        h->published = h->out;
        bytes_count(since);
    }
}

/* Folds the frees since the last call into the counters, and what went out by hand. */
static inline void heap_sync(struct heap *h, struct slab *s) { heap_count(h, s, -slab_sync(s)); }

/* -- remote.c: blocks freed by others -- */

/* Frees p, a slot of a slab that another heap owns. The second form for what has been at hand only. */
void remote_free(void *p, struct slab *s);
void remote_put(void *p, struct slab *s);
/* A slab that was noticed is not any more; its owner hears of it again when there is anything. */
void remote_denotice(struct slab *s);
/* Puts a slab into an inbox, its owner's, unless it is in one. True when this call did. And for one that was noticed and has gone to
 * another owner: he hears of it when there is anything. */
bool remote_notice(_Atomic(struct slab *) *inbox, struct slab *s);
void remote_pass_on(struct slab *s);
/* Takes in what others have freed, in at most so many slabs: the owner, or who holds the heap's lock. */
void remote_drain(struct heap *h, size_t most);
/* How many those are within malloc or free. */
static inline size_t drain_steps(void) { return likely(!in_haste) ? SIZE_MAX : HASTE_STEPS; }
/* Forgets the notices, for a heap about to release everything. */
void remote_forget(struct heap *h);

/* -- adrift.c: blocks freed by others while their owner does not look -- */

/* From how many bytes on pages go back; and slots may be had by others. */
extern size_t adrift_least, adrift_slots_least;

/* Some more bytes of a heap have been freed by others. */
void adrift_note(struct heap *h, size_t bytes);

/* Gives back what it can of a heap; returns the bytes. */
size_t adrift_trim(struct heap *h);

/* Slots of class c of a heap whose owner does not look, now out: a list, or NULL when none are at hand. They stay that
 * heap's: who has them frees them as another's. */
struct block *adrift_take(struct heap *h, unsigned c);

/* The owner, who looks or `ends`: slabs that are loose are put to those that it has taken from its inbox. From its end on none
 * are laid out. */
void adrift_take_back(struct heap *h, bool ends);

static inline void adrift_none(struct heap *h)
{
    if (atomic_load_explicit(&h->adrift, memory_order_relaxed) != 0) {
        atomic_store_explicit(&h->adrift, 0, memory_order_relaxed);
        atomic_store_explicit(&h->laid_out, 0, memory_order_relaxed);
        atomic_store_explicit(&h->gone, 0, memory_order_relaxed);
    }
}
void adrift_lock(void);
void adrift_unlock(void);
void adrift_lock_reset(void);

/* -- commons.c: slabs that all threads share -- */

/* The heaps that own them have the first ids. */
#define COMMONS 4
struct heap *commons_heap(unsigned index);
static inline bool is_common(const struct slab *s) { return slab_owner(s) <= COMMONS; }

/* Behind them come those whose blocks are sampled (heap/sample.h): one, and one for what has a tag. */
#define SAMPLE_HEAPS 2
static inline bool is_shared_heap(uint32_t id) { return (id & ID_NUMBER) <= COMMONS + SAMPLE_HEAPS; }
static inline bool is_sample_heap(uint32_t id) { return is_shared_heap(id) && (id & ID_NUMBER) > COMMONS; }

/* A block of at most SLAB_MAX bytes, and a few more of its size for *list, which was empty, unless that is NULL. NULL with
 * ENOMEM. */
struct block *commons_alloc(size_t size, struct block **list, bool *zeroed);
void commons_free(void *p, struct slab *s);

/* Slabs of which nothing is out go back, and pages. Returns the bytes of these. */
size_t commons_trim(void);

void commons_lock(void);
void commons_unlock(void);
void commons_lock_reset(void);

/* -- blocks.c: blocks of any size, for a heap given -- */

/* Blocks at hand, and the bit that says they are zero but for their link. */
struct at_hand {
    struct block **list;
    uint64_t *zeroed, bit;
};
static inline struct at_hand at_hand_small(struct front *f, size_t size)
{
    unsigned i = (unsigned)((size + 15) / 16);
    return (struct at_hand){&f->list[i], &f->zeroed[i / 64], (uint64_t)1 << (i % 64)};
}
static inline struct at_hand at_hand_mid(struct heap *h, unsigned c)
{
    unsigned i = c - SMALL_CLASSES;
    return (struct at_hand){&h->mid[i], &h->mid_zeroed[i / 64], (uint64_t)1 << (i % 64)};
}

/* Where a heap has its blocks of a middle size. Those of a tuned class have no other alignment than to 16. */
static inline unsigned heap_class_of_mid(const struct heap *h, size_t size, bool aligned)
{
    unsigned c = class_of_size(size);
    return !aligned && size <= h->tuning[c - SMALL_CLASSES].stride ? c + MID_CLASSES : c;
}

/* A block of at most SMALL_MAX bytes whose list is empty, which it fills; h may be NULL, for a thread without a heap. And one
 * of a middle class, likewise. NULL with ENOMEM. */
void *heap_alloc_more_small(struct heap *h, struct front *f, size_t size) __attribute__((noinline));
void *heap_alloc_more_mid(struct heap *h, size_t size, unsigned c) __attribute__((noinline));

/* As commons_alloc, of which some are chosen. */
void *heap_alloc_little(size_t size, struct block **list, bool *zeroed);

static inline void *heap_alloc_small(struct heap *h, struct front *f, size_t size, bool *zeroed)
{
    struct at_hand at = at_hand_small(f, size);
    struct block *b = *at.list;
    if (likely(b != NULL)) {
        *at.list = b->next;
    } else {
        b = heap_alloc_more_small(h, f, size);
    }
    *zeroed = *at.zeroed & at.bit;
    return b;
}

static inline void *heap_alloc_mid(struct heap *h, size_t size, bool aligned, bool *zeroed)
{
    unsigned c = heap_class_of_mid(h, size, aligned);
    /* Rather what was freed last: it is in the cache yet, and a refill brings but a slot or two. */
    struct heap_class *class = &h->classes[c];
    struct slab *s = class->current;
    struct block *b = s && likely(class->unsampled > 0) ? slab_take_back(s) : NULL;
    if (b) {
        class->unsampled--;
        *zeroed = false;
        return b;
    }
    struct at_hand at = at_hand_mid(h, c);
    b = *at.list;
    if (b) {
        *at.list = b->next;
    } else {
        b = heap_alloc_more_mid(h, size, c);
    }
    *zeroed = *at.zeroed & at.bit;
    return b;
}

/* A block of at most SLAB_MAX bytes. `aligned`: its size is as size_when_aligned has it. `zeroed`: all but its first 8 bytes is
 * zero. NULL with ENOMEM. */
static inline void *heap_alloc(struct heap *h, struct front *f, size_t size, bool aligned, bool *zeroed)
{
    return likely(size <= SMALL_MAX) ? heap_alloc_small(h, f, size, zeroed) : heap_alloc_mid(h, size, aligned, zeroed);
}

/* The bytes of the slot that such a block will have. */
static inline size_t heap_slot_size(const struct heap *h, size_t size, bool aligned)
{
    if (size <= SMALL_MAX) {
        return align_up(size_max(size, 1), 16);
    }
    unsigned c = heap_class_of_mid(h, size, aligned);
    return c < CLASSES ? class_size(c) : h->classes[c].stride;
}

/* -- tune.c: slots of the size that is wanted -- */

/* A middle class of the heap is about to be refilled for a block of so many bytes. */
void heap_tune(struct heap *h, unsigned c, size_t size);

/* A block of more than SLAB_MAX bytes, or aligned to more. */
void *big_alloc(size_t size, size_t align, uint32_t heap, bool *zeroed);
/* NULL, and every large block, begin where no other block does. */
static inline bool begins_large(const void *p) { return ((uintptr_t)p & (SEGMENT_SIZE - 1)) == 0; }

/* p is no slot. Nothing is read for a large block that may be gone already. */
static inline bool is_big(const void *p) { return begins_large(p) || slab_owner(slab_of(p)) >= OWNER_LIMIT; }

/* Frees p, which is no slot; the second form when no tag counts it yet. */
void big_free(void *p);
void big_free_uncounted(void *p);

/* Makes so many bytes zero, whole pages where they are many, but for a place of its own (span/fenced.h), which sees to it. */
void big_zero(char *p, size_t length);

/* A live block of so many bytes goes: in a process with seals it is zero then, and whoever watches accesses (os/watch.h) is told. */
void big_wipe(void *p, size_t bytes);

/* Makes it so many bytes long where it is; or, a large one, elsewhere, without copying. False, or NULL with ENOMEM, when that
 * cannot be; it is then as it was. */
bool big_resize(void *p, size_t size);
void *big_move(void *p, size_t size);

/* Frees all runs and large blocks of a first-class heap. */
void big_free_all(uint32_t heap);

/* Gives back what the pools need not keep any more, and what threads in haste have left to others. Called now and then, without
 * a pool's lock. */
void heap_catch_up(void) __attribute__((cold));
static inline void catch_up(void)
{
    if (unlikely(atomic_load_explicit(&left_in_haste, memory_order_relaxed)) && !in_haste) {
        heap_catch_up();
    }
}

/* Memory is out: gives up what is kept for big blocks to come. Returns the bytes, 0 when there were none. */
size_t big_give_up(void);
/* The bytes that a live block of any kind takes, 0 when it is none; and how many of them may be used: a tagged one's last few
 * may not. */
size_t block_size(const void *p);
/* The bytes that a live block was asked for with, in a process that knows them (heap/seal.h): as seal_size. */
size_t block_asked(const void *p, size_t room, const char *crime, const char *kind);
size_t block_usable(const void *p);
/* Ends the process: p is no live block that such could be done to, as an object of a pool's is none. */
void block_is_none(const char *crime, const void *p) __attribute__((noreturn, cold));
/* What it is called. */
const char *block_kind(const void *p);
/* The id of the heap that a live block is marked with: 0 for a thread's run or large block. */
uint32_t block_heap(const void *p);

/* -- stats.c: figures; the lock that guards its marks in the heaps -- */

/* All figures at one moment. The tables are the caller's, for so many rows at most; `classes` and `heaps` say how many there are
 * in all. False when another thread is at it. */
struct stats_tables {
    struct allot_stats all;
    struct allot_class_stats *class;
    struct allot_heap_stats *heap;
    size_t classes_most, heaps_most, classes, heaps;
    /* What is live in each piece of the segments, newest first, of cell_units units each: bytes. So many cells at most. */
    uint32_t *cell;
    size_t cells_most, cells, cell_units;
};
bool stats_try(struct stats_tables *out);

void stats_lock(void);
void stats_unlock(void);
void stats_lock_reset(void);

/* -- walk.c: every block, one by one -- */

/* Sets a bit in `map` (BITMAP_WORDS) for each slot of a slab that is live: out, and not at hand in a thread's list.
 * Exact while the threads that own those are still. */
void heap_mark_live(const struct slab *s, uint64_t *map);

/* Proves a heap's equations; returns how many slabs it has. */
size_t heap_check(const struct heap *h);

#endif
