/* gc/mutator.c - threads of a heap: how they come and go, and how all but one of them stand.
 *
 *   running ---- get_slow, poll, while gc->stopping ----> resting ---- the world goes on ----> running
 *      \-------- leave -----------------------------> resting, elsewhere ---- enter -----------/
 *
 * Who wants the world to stand says so, and waits until it is the only one that runs; the others come to a safe point by themselves: no
 * signals. gc->turn counts each change, and is what everybody waits by. A thread that rests has its registers in memory: in the
 * frames of who waits, or, as it may return from allot_gc_leave, in a copy of that frame.
 *
 * Cost: a lock each; a stop takes as long as the slowest thread needs to its next safe point.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "gc/gc.h"
#include "os/fault.h"
#include "os/process.h"
#include "span/map.h"

static struct mutator *unused; /* by next; the chain's lock */

/* -- resting -- */

static void tell(struct gc *gc)
{
    atomic_fetch_add_explicit(&gc->turn, 1, memory_order_relaxed);
    os_word_wake_all(&gc->turn);
}

/* With the lock held, which is let go meanwhile. */
static void wait_for_turn(struct gc *gc)
{
    int turn = atomic_load_explicit(&gc->turn, memory_order_relaxed);
    os_unlock(&gc->lock);
    os_word_wait(&gc->turn, turn);
    os_lock(&gc->lock);
}

static bool stopping(const struct gc *gc) { return atomic_load_explicit(&gc->stopping, memory_order_relaxed); }

static void rest(struct mutator *me)
{
    me->resting = true;
    me->gc->running--;
    if (stopping(me->gc)) {
        tell(me->gc);
    }
}

static void rest_no_more(struct mutator *me)
{
    while (stopping(me->gc)) {
        wait_for_turn(me->gc);
    }
    me->resting = false;
    me->gc->running++;
}

/* Below the frame that has the registers. */
static void __attribute__((noinline)) wait_until_it_goes_on(struct mutator *me)
{
    me->sp = __builtin_frame_address(0);
    me->spilled = 0;
    rest(me);
    rest_no_more(me);
}

static void __attribute__((noinline)) stand(struct mutator *me)
{
    __builtin_unwind_init();
    wait_until_it_goes_on(me);
    __asm__ volatile("" ::: "memory"); /* no jump: this frame stays */
}

void gc_safe_point(struct mutator *me)
{
    if (unlikely(stopping(me->gc))) {
        stand(me);
    }
}

bool gc_stop(struct gc *gc, struct mutator *me)
{
    if (stopping(gc)) {
        if (me) {
            stand(me);
        } else {
            while (stopping(gc)) {
                wait_for_turn(gc);
            }
        }
        return false;
    }
    atomic_store_explicit(&gc->stopping, true, memory_order_relaxed);
    gc->collector = me;
    while (gc->running > (me && !me->resting)) {
        wait_for_turn(gc);
    }
    gc->stopped_at = os_nanoseconds();
    return true;
}

void gc_go_on(struct gc *gc)
{
    gc->collector = NULL;
    atomic_store_explicit(&gc->stopping, false, memory_order_relaxed);
    if (gc->mutators) {
        tell(gc);
    }
}

void gc_go(struct gc *gc)
{
    uint64_t ns = os_nanoseconds() - gc->stopped_at;
    gc->stats.paused_ns += ns;
    gc->stats.longest_ns = size_max(gc->stats.longest_ns, ns);
    gc_go_on(gc);
    if (gc->opts.paused) {
        gc->opts.paused(ns, gc->opts.arg);
    }
}

void gc_poll(struct mutator *me)
{
    if (unlikely(stopping(me->gc))) {
        os_lock(&me->gc->lock);
        gc_safe_point(me);
        os_unlock(&me->gc->lock);
    }
}

/* What lies between its frame and the end of the one that is given, which will not be there any more: all registers are in it. */
__attribute__((noinline, no_sanitize("address", "thread"))) static void keep_frame(struct mutator *me,
                                                                                   const uintptr_t *frame)
{
    enum { MOST = sizeof me->spill / sizeof *me->spill };
    const uintptr_t *end = frame + 2; /* the caller's frame, and where it goes on */
    me->spilled = 0;
    for (const uintptr_t *at = __builtin_frame_address(0); at < end && me->spilled < MOST; at++) {
        me->spill[me->spilled++] = *at;
    }
    CHECK(me->spilled < MOST, "frame", frame);
    me->sp = (char *)(uintptr_t)end;
}

void gc_leave(struct mutator *me, const void *frame)
{
    os_lock(&me->gc->lock);
    if (me->resting) {
        gc_fault(me->gc, "leave of who has left", me->face);
    }
    if (gc_is(me->gc, ALLOT_GC_CONSERVATIVE)) {
        keep_frame(me, frame);
    }
    rest(me);
    os_unlock(&me->gc->lock);
}

void gc_enter(struct mutator *me)
{
    os_lock(&me->gc->lock);
    if (!me->resting) {
        gc_fault(me->gc, "enter of who has not left", me->face);
    }
    rest_no_more(me);
    os_unlock(&me->gc->lock);
}

/* -- coming and going -- */

static bool find_stack(struct mutator *me)
{
    pthread_attr_t attr;
    void *at;
    size_t bytes;
    if (pthread_getattr_np(pthread_self(), &attr) != 0) {
        return false;
    }
    bool known = pthread_attr_getstack(&attr, &at, &bytes) == 0;
    pthread_attr_destroy(&attr);
    me->base = me->sp = known ? (char *)at + bytes : NULL; /* as long as it has not run, it holds nothing */
    return known;
}

static struct mutator *alloc(void)
{
    gc_chain_lock();
    struct mutator *me = unused;
    if (me) {
        unused = me->next;
    }
    gc_chain_unlock();
    return me ? me : record_alloc(sizeof *me);
}

static void forget(struct mutator *me) /* with the chain's lock held */
{
    me->next = unused;
    unused = me;
}

int gc_attach(struct gc *gc, struct allot_gc_mutator *face)
{
    struct mutator *me = alloc();
    if (!me) {
        return -ENOMEM;
    }
    *me = (struct mutator){.face = face, .gc = gc, .thread = gc_thread(), .resting = true};
    bool known = !gc_is(gc, ALLOT_GC_CONSERVATIVE) || find_stack(me);
    if (known) {
        os_lock(&gc->lock);
        known = BY_KIND(gc, attach, me) == 0;
        if (known) {
            face->state = me;
            list_push(&gc->mutators, me);
            rest_no_more(me);
        }
        os_unlock(&gc->lock);
    }
    if (!known) {
        gc_chain_lock();
        forget(me);
        gc_chain_unlock();
        return -ENOMEM;
    }
    return 0;
}

/* With the heap's lock held. */
static void go_away(struct mutator *me, bool lost)
{
    struct gc *gc = me->gc;
    gc_keep_remembered(me);
    BY_KIND(gc, detach, me, lost);
    list_remove(&gc->mutators, me);
    if (!me->resting) {
        rest(me);
    }
}

void gc_detach(struct mutator *me)
{
    struct gc *gc = me->gc;
    if (me->face->frame) {
        gc_fault(gc, "detach with frames", me->face);
    }
    os_lock(&gc->lock);
    gc_safe_point(me);
    go_away(me, false);
    os_unlock(&gc->lock);
    gc_chain_lock();
    forget(me);
    gc_chain_unlock();
}

void gc_lose_thread(struct gc *gc, const void *thread)
{
    os_lock(&gc->lock);
    gc->finishing = gc->finishing && gc->finisher != thread; /* it may have ended in a finisher */
    for (struct mutator *me = gc->mutators, *next; me; me = next) {
        next = me->next;
        if (me->thread == thread) {
            go_away(me, true);
            forget(me);
        }
    }
    os_unlock(&gc->lock);
}

void gc_lose_others(struct gc *gc, const void *thread)
{
    atomic_store_explicit(&gc->stopping, false, memory_order_relaxed);
    gc->collector = NULL;
    gc->finishing = gc->finishing && gc->finisher == thread;
    gc->running = 0;
    for (struct mutator *me = gc->mutators, *next; me; me = next) {
        next = me->next;
        gc->running += !me->resting;
    }
    for (struct mutator *me = gc->mutators, *next; me; me = next) {
        next = me->next;
        if (me->thread != thread) {
            gc->forgot |= !me->resting; /* it may have been in the middle of a store */
            go_away(me, true);
            forget(me);
        }
    }
}
