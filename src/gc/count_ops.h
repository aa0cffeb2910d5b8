/* gc/count_ops.h - what the counting collector's files share: where a slot begins, and counts that go up and down. See gc/count.h. */
#ifndef GC_COUNT_OPS_H
#define GC_COUNT_OPS_H

#include <string.h>

#include "gc/gc.h"
#include "gc/visit.h"

/* glibc's: the process has one thread, and has had no other since it began, or was forked; else there is none to ask. The thread that
 * makes the second sees it change by then, so nobody has to be told, nor waited for. */
extern char __libc_single_threaded __attribute__((weak));

static inline bool count_is_alone(void) { return &__libc_single_threaded && __libc_single_threaded; }

static inline bool count_is_careful(const struct gc *gc)
{
    return unlikely(!count_is_alone() || gc->count.cycles.phase != CYCLES_NONE);
}

/* -- where things lie -- */

static inline struct count_unit *count_unit_of(const void *object) { return (struct count_unit *)unit_of(object); }

static inline char *count_data(const struct count_unit *u) { return unit_data(&u->unit) + ALLOT_GC_HEADER; }

static inline size_t count_stride(const struct count_unit *u) { return (size_t)u->stride16 * GC_GRAIN; }

static inline unsigned count_index(const struct count_unit *u, const void *in_slot)
{
    return (unsigned)((((uintptr_t)in_slot - ALLOT_GC_HEADER) & (UNIT_SIZE - 1)) * (uint64_t)u->recip >> 32);
}

/* What begins slot i, if it holds an object: else its header is 0. */
static inline void *count_object(const struct count_unit *u, unsigned i)
{
    return count_data(u) + i * count_stride(u) + u->lead * sizeof(struct count_finish) + ALLOT_GC_HEADER;
}

static inline uint64_t *count_allocated(const struct count_unit *u, unsigned w) { return unit_word(&u->unit, w, 1); }
static inline uint64_t *count_pending(const struct count_unit *u, unsigned w) { return unit_word(&u->unit, w, 0); }
static inline unsigned count_words(const struct count_unit *u) { return ((unsigned)u->slots + 63) / 64; }

/* Of a type with a finisher. */
static inline struct count_finish *count_finish_of(void *object)
{
    return unlikely(*gc_header(object) & GC_LARGE) ? &large_object_of(object)->finish
                                                   : (struct count_finish *)(void *)gc_header(object) - 1;
}

/* Bytes of an object, wherever it lies. */
static inline size_t count_size_of(const void *object)
{
    if (unlikely(gc_header_of(object) & GC_LARGE)) {
        return large_object_of(object)->size;
    }
    const struct count_unit *u = count_unit_of(object);
    size_t stride = count_stride(u);
    if (likely(stride <= COUNT_SMALL * GC_GRAIN)) {
        return stride - ALLOT_GC_HEADER - u->lead * sizeof(struct count_finish);
    }
    const char *end = count_data(u) + (count_index(u, object) + 1) * stride;
    return ((const size_t *)(const void *)end)[-1];
}

static inline struct large_object *count_large_nth(const struct gc *gc, size_t i, void **object)
{
    struct large_object *l = large_nth(gc, i);
    *object = l->at + 2 * sizeof(uint64_t);
    return l;
}

/* -- the lock, where it is not held already: of the search it is -- */

static inline void count_lock(struct gc *gc, const struct count_hand *hand)
{
    if (hand != &gc->count.finder) {
        os_lock(&gc->lock);
    }
}

static inline void count_unlock(struct gc *gc, const struct count_hand *hand)
{
    if (hand != &gc->count.finder) {
        os_unlock(&gc->lock);
    }
}

/* -- counts -- */

/* What is not simply one more or less: the side table's share, misuse, and all in careful heaps. */
void count_more_slowly(struct gc *gc, void *object) __attribute__((noinline));
bool count_less_slowly(struct gc *gc, struct count_hand *hand, void *object) __attribute__((noinline));

/* `object` has been left with references, and is noted, if it can be on a circle. Returns its header. */
static inline uint64_t count_note(struct gc *gc, const void *object, uint64_t header)
{
    if (!gc_has_references(gc_type(header))) {
        return header;
    }
    if (unlikely(header & GC_LARGE) || unlikely(!count_unit_of(object)->noted)) {
        cycles_note(gc, object, header);
    }
    return header | COUNT_CANDIDATE;
}

static inline void count_more(struct gc *gc, void *object)
{
    uint64_t *header = gc_header(object);
    if (likely(!count_is_careful(gc) && ((*header - 1) & COUNT_MASK) < COUNT_MOST - 1)) {
        ++*header;
    } else {
        count_more_slowly(gc, object);
    }
}

/* True: that was the last, and the caller lets the object go. `careful` is as count_is_careful says. */
static inline __attribute__((always_inline)) bool count_less_as(struct gc *gc, struct count_hand *hand, void *object,
                                                                bool careful)
{
    if (unlikely(careful)) {
        return count_less_slowly(gc, hand, object);
    }
    uint64_t *header = gc_header(object), h = *header;
    if (likely(((h - 2) & COUNT_MASK) <= COUNT_MOST - 2)) {
        if (unlikely(!(h & COUNT_CANDIDATE))) {
            h = count_note(gc, object, h);
        }
        *header = h - 1;
        return false;
    }
    if (likely((h & (COUNT_MASK | COUNT_SIDE)) == 1)) {
        *header = h - 1;
        return true;
    }
    return count_less_slowly(gc, hand, object);
}

static inline bool count_less(struct gc *gc, struct count_hand *hand, void *object)
{
    return count_less_as(gc, hand, object, count_is_careful(gc));
}

/* With the lock held. */
void count_more_locked(struct gc *gc, void *object);

/* -- barriers of the search for circles -- */

static inline bool count_is_searched(const struct gc *gc)
{
    return unlikely(gc->count.cycles.phase == CYCLES_MARKING || gc->count.cycles.phase == CYCLES_SCANNING);
}

static inline void cycles_referred(struct gc *gc, void *object)
{
    if (count_is_searched(gc)) {
        os_lock(&gc->lock);
        cycles_referred_now(gc, object);
        os_unlock(&gc->lock);
    }
}

/* The object has gone, but for its finisher, which may want all that it refers to. */
static inline void cycles_held(struct gc *gc, const struct count_hand *hand, void *object)
{
    if (count_is_searched(gc)) {
        count_lock(gc, hand);
        cycles_held_now(gc, object);
        count_unlock(gc, hand);
    }
}

static inline void cycles_written(struct gc *gc, void *object, void **slot, void *old)
{
    if (count_is_searched(gc)) {
        os_lock(&gc->lock);
        cycles_written_now(gc, object, slot, old);
        os_unlock(&gc->lock);
    }
}

static inline void cycles_cut(struct gc *gc, const struct count_hand *hand, void *object, void **slot, void *child)
{
    if (count_is_searched(gc)) {
        count_lock(gc, hand);
        cycles_cut_now(gc, object, slot, child);
        count_unlock(gc, hand);
    }
}

/* -- letting go (count_release.c) -- */

/* The object's count has come to 0. It goes at once, or after its finisher; what follows from it waits in `hand`. */
void count_let_go(struct gc *gc, struct count_hand *hand, void *object);
/* Works off what waits there, visiting up to *work references, which it counts down. True: nothing waits any more, but finishers. */
bool count_work_off(struct gc *gc, struct count_hand *hand, size_t *work);
/* All of it, finishers too, unless somebody is about it below. */
void count_settle(struct gc *gc, struct count_hand *hand) __attribute__((noinline));
/* An object with a finisher, and a reference that is ours, waits for count_finish; all that a hand has. The lock is held. */
void count_queue_due(struct gc *gc, void *object);
void count_queue_hands_due(struct gc *gc, struct count_hand *hand);

/* -- slots (count_units.c) -- */

/* An object's slot, or pages, are free from now on. Its references have been seen to. */
void count_free_slowly(struct gc *gc, struct count_hand *hand, void *object) __attribute__((noinline));
/* The unit's last slot in use is free, or the first. */
void count_list_again(struct gc *gc, struct count_hand *hand, struct count_unit *u) __attribute__((noinline));

static inline void count_zero(char *at, size_t bytes)
{
    typedef uint64_t two __attribute__((vector_size(16), aligned(8)));
    if (unlikely(bytes > 128)) {
        memset(at, 0, bytes);
        return;
    }
    char *end = at + bytes;
    do {
        *(two *)(void *)at = (two){0};
        at += sizeof(two);
        __asm__("" : "+r"(at)); /* no call of memset for this */
    } while (at < end);
}

/* True: count_list_again has to be told. */
static inline bool count_give_back(struct count_unit *u, unsigned i)
{
    *unit_words_of_slot(&u->unit, i).free &= ~((uint64_t)1 << i % 64);
    return unlikely(--u->used <= u->low);
}

static inline __attribute__((always_inline)) void count_free_as(struct gc *gc, struct count_hand *hand, void *object,
                                                                bool careful)
{
    struct count_unit *u = count_unit_of(object);
    if (unlikely(careful) || unlikely(*gc_header(object) & GC_LARGE) || unlikely(u->lead)) {
        count_free_slowly(gc, hand, object);
        return;
    }
    size_t stride = count_stride(u);
    hand->freed += stride;
    count_zero((char *)object - ALLOT_GC_HEADER, stride);
    if (count_give_back(u, count_index(u, object))) {
        count_list_again(gc, hand, u);
    }
}

static inline void count_free(struct gc *gc, struct count_hand *hand, void *object)
{
    count_free_as(gc, hand, object, count_is_careful(gc));
}
/* A careful heap's slots go back. The lock is held. */
void count_flush(struct gc *gc, struct count_hand *hand);
/* Of which nothing is in use any more, if so: goes to the empty ones. The lock is held. */
void count_unit_rests(struct gc *gc, struct count_unit *u);
void count_give_empties(struct gc *gc, size_t keep);
/* A mutator goes: its holes are free again. `lost`: there is nobody to say how far they had been used. */
void count_put_away(struct mutator *me, bool lost);
/* Each unit, in no order; until `visit` is not 0. */
int count_each_unit(struct gc *gc, int (*visit)(struct gc *gc, struct count_unit *u, void *arg), void *arg);
void count_units_done(struct gc *gc);

/* -- the side table (count_side.c); the lock is held in careful heaps -- */

struct count_side {
    void *object;            /* NULL: none */
    uint64_t lent;           /* of its count; a multiple of COUNT_LENT */
    struct count_weak *weak; /* to it, which nobody counts */
};

struct count_weak { /* an object; `target` first, as of gc_weak */
    void *target;
    struct count_weak *next, *prev; /* of the same target */
};
extern const struct allot_gc_type count_weak_type;
struct count_side *count_side_find(const struct gc *gc, const void *object);
/* One that is as it was, or empty; NULL: memory is out. */
struct count_side *count_side_make(struct gc *gc, void *object);
/* It goes, if there is nothing in it any more; also from the header. */
void count_side_drop(struct gc *gc, struct count_side *s);
/* The object goes, or is on a circle that does: nobody gets it from its weak reference any more. Of a weak reference: its target has
 * none any more. */
void count_side_clear_weak(struct gc *gc, void *object);
void count_side_done(struct gc *gc);
/* All of it. */
uint64_t count_of(const struct gc *gc, const void *object);

#endif
