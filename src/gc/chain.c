/* gc/chain.c - all heaps, in the order in which they were made; and what a fork and a thread's end do to them.
 *
 * The chain's lock is the outermost; then come the heaps' own. A collection holds its heap's lock from its beginning to its end, so a
 * fork finds each heap between two of them, or between two steps of one.
 */
#include "gc/gc.h"
#include "heap/heap.h"
#include "os/process.h"

static struct os_lock lock;
static struct gc *first;
static __thread char mark_of_thread;

void gc_chain_lock(void) { os_lock(&lock); }

void gc_chain_unlock(void) { os_unlock(&lock); }

const void *gc_thread(void)
{
    os_watch_thread();
    return &mark_of_thread;
}

static void before_fork(void)
{
    os_lock(&lock);
    for (struct gc *gc = first; gc; gc = gc->next) {
        os_lock(&gc->lock);
    }
}

static void after_fork_in_parent(void)
{
    for (struct gc *gc = first; gc; gc = gc->next) {
        os_unlock(&gc->lock);
    }
    os_unlock(&lock);
}

static void after_fork_in_child(void)
{
    for (struct gc *gc = first; gc; gc = gc->next) {
        os_lock_reset(&gc->lock);
        gc_lose_others(gc, &mark_of_thread);
    }
    os_lock_reset(&lock);
}

static void thread_ends(void)
{
    os_lock(&lock);
    for (struct gc *gc = first; gc; gc = gc->next) {
        gc_lose_thread(gc, &mark_of_thread);
    }
    os_unlock(&lock);
}

void gc_chain_add(struct gc *gc)
{
    static bool watching;
    if (!watching) {
        watching = true;
        heap_init(); /* whose steps are the inner ones */
        os_on_thread_exit(OS_FLOOR_GC, thread_ends);
        os_on_fork(OS_FLOOR_GC, (struct os_fork_steps){before_fork, after_fork_in_parent, after_fork_in_child});
    }
    list_push(&first, gc);
}

void gc_chain_remove(struct gc *gc) { list_remove(&first, gc); }
