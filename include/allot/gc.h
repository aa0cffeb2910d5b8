/* allot/gc.h - memory that frees itself: one heap of typed objects, and three ways to know which of them are done with.
 *
 *     struct pair { struct pair *left, *right; };
 *     static const struct allot_gc_type pair = {.name = "pair", .size = sizeof(struct pair),
 *                                               .refs = ALLOT_GC_REF(struct pair, left) | ALLOT_GC_REF(struct pair, right)};
 *     struct allot_gc heap;
 *     struct allot_gc_mutator me;
 *     allot_gc_init(&heap, ALLOT_GC_MARK, NULL);
 *     allot_gc_attach(&heap, &me);                       // each thread, its own
 *
 *     struct pair *make(struct allot_gc_mutator *me, int depth)
 *     {
 *         ALLOT_GC_FRAME(me, frame, 1);                  // one root, as long as this block runs
 *         frame.slot[0] = allot_gc_get(me, &pair, 0);
 *         ...
 *         struct pair *child = make(me, depth - 1);      // may collect, and with COPY move: so after it ...
 *         struct pair *p = frame.slot[0];                // ... read again what was held
 *         allot_gc_write(me, p, &p->left, child);        // every reference that is stored in an object goes this way
 *         allot_gc_unref(me, child);                     // COUNT: ours is one too many; else nothing. Or, instead of both, cheaper:
 *         allot_gc_give(me, p, &p->left, child);         // the slot takes ours over
 *
 *   ALLOT_GC_MARK   objects stay where they are. Marks what is reachable, sweeps as it allocates. Roots may be conservative: a
 *                   program that was written for plain pointers. (McCarthy 1960; lazy sweep: Hughes 1982; Boehm and Weiser 1988)
 *   ALLOT_GC_COPY   objects move together, allocation is the increase of a pointer, what is dead costs nothing. Objects that a
 *                   conservative root may mean stay, with their page. (Cheney 1970; Bartlett 1988)
 *   ALLOT_GC_COUNT  each object counts the references to it and goes with the last, at once and with its finisher; circles are
 *                   found by trial deletion. (Collins 1960; Bacon and Rajan, "Concurrent cycle collection", 2001)
 *
 * The same program runs on all three if it keeps to the rules of the strictest: hold by frames, roots or objects what is to live
 * (MARK, COPY); read it again after whatever may collect (COPY); store by allot_gc_write or allot_gc_give (all); own what was got,
 * and let it go with allot_gc_unref (COUNT). A program for one of them needs that one's.
 *
 * An object is `size` bytes and what is asked for beyond, zero, at a multiple of 16, behind a header of 8 bytes. References are the
 * addresses of objects' beginnings, or NULL.
 *
 * What may collect: get, poll, step, collect, cycles, enter, and the functions that say so. Nothing else does, in any
 * thread's sight.
 *
 * Memory that runs out is an ordinary return, after a whole collection. Threads: each has a mutator of its own, for the calls it
 * makes; functions of the heap itself say what they want. All threads that are attached come to a safe point before anything moves
 * or goes: an allocation that runs out of room at hand, or allot_gc_poll in loops that do not allocate; or they have said with
 * allot_gc_leave that they will wait. In the child of a fork the heap is as it was for the thread that forked; the mutators of others
 * are gone, with their frames.
 *
 * When to take something else: what dies together, an arena; what has one owner, malloc.
 */
#ifndef ALLOT_GC_H
#define ALLOT_GC_H

#include <allot/part.h>

#ifdef __cplusplus
extern "C" {
#endif

enum allot_gc_kind { ALLOT_GC_MARK, ALLOT_GC_COPY, ALLOT_GC_COUNT };

struct allot_gc_visit; /* the collector's, while it asks an object for its references */

/* What all objects of a type have in common; the user's, and stays as long as the heap. Where references lie: in the words of
 * which `refs` has a bit (see ALLOT_GC_REF); or `trace` says; with neither, and no flag, there are none. */
struct allot_gc_type {
    const char *name;
    size_t size;   /* bytes of each; 0: all is asked for with each object */
    uint64_t refs; /* bit i: the word at 8 * i is a reference; of the first 64 words */

    /* Calls allot_gc_visit for each reference of the object, which has `size` bytes: as many as were asked for, or up to 15 more that
     * are zero. Reads nothing but this object, allocates nothing, takes no lock: it runs while the program stands, or in another thread. */
    void (*trace)(struct allot_gc_visit *visit, void *object, size_t size);

    /* The object is not reachable any more. Runs once in its life, between other calls, in the thread that collects, with no lock
     * held, so it may allocate, write, and make it reachable again, from which nothing more follows: the next time it just goes. Of
     * objects that refer to one another the referrers are finished before what they refer to, in one collection or several; in a
     * circle the older first. All that a finishable object refers to lives until it has been finished. */
    void (*finish)(void *object, void *arg);

    unsigned flags;
} __attribute__((aligned(16)));

/* The bit of a member that is a reference, within the first 512 bytes. */
#define ALLOT_GC_REF(type, member) ((uint64_t)1 << (__builtin_offsetof(type, member) / sizeof(void *)))

enum {
    ALLOT_GC_REFS = 1,  /* of a type: what was asked for beyond `size` is references, all of it */
    ALLOT_GC_MAYBE = 2, /* of a type: any word may be one, or not: as with conservative roots */
};

/* -- what the inline functions know; else private -- */

struct allot_gc_frame {
    struct allot_gc_frame *up;
    struct allot_gc_mutator *mutator;
    size_t count; /* of the slots, which follow */
};

/*   header:  | type, its address / 16 : 44 | flags : 4 | the collector's : 16 |      8 bytes before the object */
#define ALLOT_GC_HEADER  8
#define ALLOT_GC_WATCHED ((uint64_t)1 << 16) /* of an object: a store of a reference has to be told */
#define ALLOT_GC_HOLES   33                  /* room at hand for blocks of 16 * i bytes, header included */

struct allot_gc_mutator {
    struct allot_gc *gc;
    struct allot_gc_frame *frame; /* the innermost */
    uint64_t fresh;               /* what a new object's header has beside its type and its length */
    uint32_t one_hole; /* 0: there is a hole for each size; else all bits: objects of all sizes go to hole 0 */
    uint32_t apart;    /* flags of types whose objects do not lie in holes */
    uint32_t length;   /* 1: a header's last bits are the block's length in 16 bytes; 0: they are `fresh`'s */
    uint32_t gives;    /* 1: a slot that is NULL takes a reference over by a plain store */
    struct {
        char *next, *end; /* zero; next is a multiple of 16, and 8 */
    } hole[ALLOT_GC_HOLES];
    void *state;
};

struct allot_gc {
    void *state; /* all private */
    const void *home;
};

/* -- a heap -- */

enum {
    ALLOT_GC_PLAIN = 1, /* of a heap: references are stored without allot_gc_write. Each collection is a whole one then,
                                * while the program stands. MARK and COPY */
    ALLOT_GC_CONSERVATIVE =
        2,                 /* threads' stacks and registers are roots, word by word; attach finds where they begin. What
                                * such a root may mean stays where it is. MARK and COPY */
    ALLOT_GC_INTERIOR = 4, /* conservative words may point into the middle of objects, up to their last byte */
    ALLOT_GC_EXPLICIT = 8, /* nothing goes but by allot_gc_put; allot_gc_leaks tells what should have. MARK */
    ALLOT_GC_BY_HAND = 16, /* finishers wait for allot_gc_finish */
    ALLOT_GC_STRESS = 32,  /* collects at every allocation, and moves what can be moved: finds what is not held */
};

struct allot_gc_opts {
    const char *name; /* for lines about crimes and for the instrument; copied, cut as a pool's. NULL: "gc" */
    size_t limit;     /* bytes the heap may hold, all included; 0: as many as there are */
    unsigned
        growth; /* a collection is due when so many percent of what was live after the last have been allocated; 0: 100 */
    size_t least; /* and at least so many bytes; 0: 4 MiB */
    size_t
        young; /* COPY: bytes that are allocated between collections of the young; 0: as the machine's caches want it */
    uint64_t step_ns; /* collections proceed in steps of this length, as the program allocates; 0: whole, when due */
    unsigned flags;
    void *arg; /* of the following, and of finishers */
    void (*roots)(
        struct allot_gc_visit *visit,
        void *arg); /* calls allot_gc_visit for slots of the program's that are roots, as its own stacks know them: as
                                 a type's trace does, while the program stands. MARK and COPY */
    void (*paused)(uint64_t ns,
                   void *arg); /* told of each time the program stood; runs in the collecting thread, takes nothing */
};

/* Makes a heap. 0, -ENOMEM, or -EINVAL for a kind, or flags that are not the kind's. Any thread. */
ALLOT_API int allot_gc_init(struct allot_gc *gc, enum allot_gc_kind kind, const struct allot_gc_opts *opts);

/* Finishes what is to be finished, reachable or not, and gives all back. All mutators are detached but the caller's, if it has
 * one; any other ends the process. */
ALLOT_API void allot_gc_done(struct allot_gc *gc);

/* The calling thread takes part from now on, with a mutator of its own that stays in place until it is detached. 0 or -ENOMEM.
 * Detach wants that its frames are left; a thread that ends attached is detached. */
ALLOT_API int allot_gc_attach(struct allot_gc *gc, struct allot_gc_mutator *me);
ALLOT_API void allot_gc_detach(struct allot_gc_mutator *me);

/* A safe point. And the thread will not touch the heap until it enters again: it waits for something, or runs long elsewhere. */
ALLOT_API void allot_gc_poll(struct allot_gc_mutator *me);
ALLOT_API void allot_gc_leave(struct allot_gc_mutator *me);
ALLOT_API void allot_gc_enter(struct allot_gc_mutator *me);

/* -- objects -- */

ALLOT_API void *allot_gc_get_slow(struct allot_gc_mutator *me, const struct allot_gc_type *type, size_t size);
ALLOT_API void allot_gc_write_slow(struct allot_gc_mutator *me, void *object, void **slot, void *value);
ALLOT_API void allot_gc_give_slow(struct allot_gc_mutator *me, void *object, void **slot, void *value);

/* An object of type->size + extra bytes, zero. NULL with ENOMEM. With COUNT the caller owns the one reference there is. May
 * collect. Cost: some ten instructions where there is room at hand. */
static inline void *allot_gc_get(struct allot_gc_mutator *me, const struct allot_gc_type *type, size_t extra)
{
    size_t size = type->size + extra, blocks = (size + ALLOT_GC_HEADER + 15) / 16;
    if (__builtin_expect(size <= (ALLOT_GC_HOLES - 1) * 16 - ALLOT_GC_HEADER && extra <= PTRDIFF_MAX && !type->finish &&
                             !(type->flags & me->apart),
                         1)) {
        size_t i = blocks & ~(size_t)me->one_hole;
        char *at = me->hole[i].next;
        if (__builtin_expect((size_t)(me->hole[i].end - at) >= blocks * 16, 1)) {
            me->hole[i].next = at + blocks * 16;
            *(uint64_t *)(void *)at = (uint64_t)(uintptr_t)type << 16 | me->fresh | blocks * me->length;
            return at + ALLOT_GC_HEADER;
        }
    }
    return extra <= PTRDIFF_MAX ? allot_gc_get_slow(me, type, size) : allot_gc_get_slow(me, type, SIZE_MAX);
}

/* Stores a reference, or NULL, in a slot of `object`. COUNT: the object has a reference of its own from then on, and what was there
 * before loses one, and may go. Never collects. Cost: a test; more for the first store into an object after the collector has
 * looked at it, and with COUNT. */
static inline void allot_gc_write(struct allot_gc_mutator *me, void *object, void *slot, void *value)
{
    if (__builtin_expect((__atomic_load_n((const uint64_t *)object - 1, __ATOMIC_RELAXED) & ALLOT_GC_WATCHED) != 0,
                         0)) {
        allot_gc_write_slow(me, object, (void **)slot, value);
    } else {
        *(void **)slot = value;
    }
}

/* Stores a reference that the caller owns, and lets go of the caller's: with COUNT the slot owns it from then on, and nothing is counted.
 * What was there before loses one, and may go. It is what allot_gc_write and allot_gc_unref of the value do, but that the search for
 * circles is not told of it: so where this closes one, something else than `value` holds `object`, and lets go of it by allot_gc_unref
 * or a store some day. (A parent takes its children over, and they refer back by allot_gc_write. Given the other way round, with the
 * parent held by nothing else, nobody would ever look for the two.) MARK and COPY: allot_gc_write. Never collects. Cost: with COUNT
 * a test and a store, while the slot is NULL and nobody looks for circles. */
static inline void allot_gc_give(struct allot_gc_mutator *me, void *object, void *slot, void *value)
{
    if (me->gives && !*(void **)slot) {
        *(void **)slot = value;
    } else if (__builtin_expect(
                   (__atomic_load_n((const uint64_t *)object - 1, __ATOMIC_RELAXED) & ALLOT_GC_WATCHED) != 0, 0)) {
        allot_gc_give_slow(me, object, (void **)slot, value);
    } else {
        *(void **)slot = value;
    }
}

/* So many slots at once, from wherever: the ranges may overlap. */
ALLOT_API void allot_gc_write_many(struct allot_gc_mutator *me, void *object, void *slots, void *const *from,
                                   size_t count);

/* One reference more, and one less, that the caller has: nothing but with COUNT. NULL is ignored. ref returns the object. The last
 * one to go takes the object along, and all that only it refers to, without recursion. */
ALLOT_API void *allot_gc_ref(struct allot_gc_mutator *me, void *object);
ALLOT_API void allot_gc_unref(struct allot_gc_mutator *me, void *object);

/* EXPLICIT: the object goes now; nothing refers to it, but weakly: that is cleared. Misuse ends the process. Cost: a look at each weak
 * reference that there is, and of an object with a finisher, which is not run, at each such. */
ALLOT_API void allot_gc_put(struct allot_gc_mutator *me, void *object);

/* Its type, and its bytes: as many as were asked for, or up to 15 more. Any object, any thread. */
ALLOT_API const struct allot_gc_type *allot_gc_type_of(const void *object);
ALLOT_API size_t allot_gc_size_of(const void *object);

/* -- roots -- */

/* Slots that are roots until they are taken back: COUNT counts them not. 0 or -ENOMEM. Any thread that is attached. */
ALLOT_API int allot_gc_root(struct allot_gc *gc, void *slots, size_t count);
ALLOT_API void allot_gc_unroot(struct allot_gc *gc, void *slots);
/* CONSERVATIVE: words any of which may be a reference, as those of a stack are: a program's data, say; until they are taken back by
 * allot_gc_unroot. They are read at any time. 0, -ENOMEM, or -EINVAL where the heap is not conservative. */
ALLOT_API int allot_gc_root_words(struct allot_gc *gc, void *words, size_t count);

/* A frame: so many slots, NULL at first, that are roots until the block ends in which this stands. Frames end in the order in
 * which C's blocks do; a longjmp past one is followed by allot_gc_unwind with the frame that was innermost at the setjmp. */
#define ALLOT_GC_FRAME(me_, name_, count_)                                                         \
    struct {                                                                                       \
        struct allot_gc_frame head;                                                                \
        void *slot[count_];                                                                        \
    } name_ __attribute__((cleanup(allot_gc_frame_end))) = {{(me_)->frame, (me_), (count_)}, {0}}; \
    (me_)->frame = allot_gc_frame_begun(&name_.head)

/* The address is hidden from a compiler that would warn of where it is kept: the block's end takes it away. */
static inline struct allot_gc_frame *allot_gc_frame_begun(struct allot_gc_frame *frame)
{
    __asm__("" : "+r"(frame));
    return frame;
}

static inline void allot_gc_frame_end(void *frame)
{
    struct allot_gc_frame *head = (struct allot_gc_frame *)frame;
    head->mutator->frame = head->up;
}

static inline void allot_gc_unwind(struct allot_gc_mutator *me, struct allot_gc_frame *frame) { me->frame = frame; }

/* CONSERVATIVE: the thread's stack counts from `base` on instead, the address of a variable of an outer function. */
ALLOT_API void allot_gc_scan_stack(struct allot_gc_mutator *me, void *base);

/* In a type's trace: one of the object's references. COPY stores there where the object is now. */
ALLOT_API void allot_gc_visit(struct allot_gc_visit *visit, void *slot);

/* -- collecting -- */

/* A whole collection, finishers included. Returns the bytes that are free now and were not. */
ALLOT_API size_t allot_gc_collect(struct allot_gc_mutator *me);

/* Works on a collection for about so long, begins one where none is under way; true when one is complete with that. With several
 * threads they stand as long. Of a PLAIN heap a whole one. MARK and COPY: roots are not divided, so a step that begins or ends marking
 * (with COPY, also one that moves) takes as long as it takes to look at all slots of frames, of allot_gc_root and of opts->roots, and all
 * words of stacks: some 5 ns each, a million of them 5 ms. What is more than a few thousand belongs in an object. */
ALLOT_API bool allot_gc_step(struct allot_gc_mutator *me, uint64_t max_ns);

/* COUNT: looks for circles among what has lost a reference since, visiting up to so many references; 0: until all is looked at.
 * Returns the bytes that went. Happens by itself by bytes allocated. */
ALLOT_API size_t allot_gc_cycles(struct allot_gc_mutator *me, size_t max_work);

/* BY_HAND: runs up to so many finishers that are due, 0: all; how many ran. */
ALLOT_API size_t allot_gc_finish(struct allot_gc_mutator *me, size_t most);

/* EXPLICIT: visits each object that is neither reachable nor put, each circle's too, in order of address; stops at a value other
 * than 0 and returns it. -ENOMEM. */
ALLOT_API int allot_gc_leaks(struct allot_gc_mutator *me,
                             int (*visit)(void *object, const struct allot_gc_type *type, size_t size, void *arg),
                             void *arg);

/* -- weak references: objects, that refer to one without holding it -- */

/* A weak reference to `target`: an object of the heap, with a type of its own; NULL with ENOMEM. Cleared when its target is not
 * reachable any more but by such, before that is finished. May collect: target is held meanwhile. */
ALLOT_API void *allot_gc_weak(struct allot_gc_mutator *me, void *target);
/* What it refers to, or NULL; COUNT: the caller owns a reference. */
ALLOT_API void *allot_gc_weak_get(struct allot_gc_mutator *me, void *weak);

/* Likewise a pair whose value is held as long as key and pair are reachable, though value refers to key. (Hayes, "Ephemerons", 1997.)
 * MARK and COPY; with COUNT NULL with ENOTSUP. */
ALLOT_API void *allot_gc_ephemeron(struct allot_gc_mutator *me, void *key, void *value);
ALLOT_API void *allot_gc_ephemeron_key(struct allot_gc_mutator *me, void *ephemeron);
ALLOT_API void *allot_gc_ephemeron_value(struct allot_gc_mutator *me, void *ephemeron);

/* -- what there is -- */

struct allot_gc_stats {
    struct allot_use use;  /* used, count: of objects that are not known to be dead */
    uint64_t allocated;    /* bytes so far, and */
    uint64_t collections;  /* whole ones that are complete, */
    uint64_t young, steps; /* of the young alone, and steps */
    uint64_t freed, moved; /* bytes */
    uint64_t cycles;       /* COUNT: objects that went in circles */
    uint64_t finished,
        pinned;         /* finishers that ran; objects that stayed as a conservative root may mean them, at the last */
    uint64_t overflows; /* times the stack of marking was full, and objects were looked for again */
    uint64_t paused_ns, longest_ns; /* the program stood, in all and at most */
};

/* Any thread that is attached, or none is. The objects are counted for it, one by one while all threads stand: some 5 ns each, a fifth of
 * a second for 1 GiB of small ones. So it is for a test or a report, not for a loop. */
ALLOT_API void allot_gc_stats(struct allot_gc *gc, struct allot_gc_stats *out);

/* Visits each object that is not known to be dead, while all other threads stand; takes and writes nothing; stops at a value other
 * than 0 and returns it. */
ALLOT_API int allot_gc_walk(struct allot_gc_mutator *me,
                            int (*visit)(void *object, const struct allot_gc_type *type, size_t size, void *arg),
                            void *arg);

/* Proves the heap's equations, and that each reference in it is to an object of it. While all other threads stand. */
ALLOT_API bool allot_gc_check(struct allot_gc_mutator *me);

#ifdef __cplusplus
}
#endif

#endif
