/* move/chain.c - all movable heaps, in the order in which they were made, and what a fork does to those with a lock.
 *
 * A heap with a lock is as it was in the child of a fork: the forking thread has all locks meanwhile. That of the chain comes first.
 */
#include "move/movable.h"

#include "heap/heap.h"
#include "heap/instance.h"
#include "os/owned.h"
#include "os/process.h"

static struct os_lock lock;
static struct movable *first, *last;

static void before_fork(void)
{
    os_lock(&lock);
    for (struct movable *h = first; h; h = h->next) {
        if (h->locked) {
            os_lock(&h->lock);
        }
    }
}

static void after_fork_in_parent(void)
{
    for (struct movable *h = first; h; h = h->next) {
        if (h->locked) {
            os_unlock(&h->lock);
        }
    }
    os_unlock(&lock);
}

static void after_fork_in_child(void)
{
    for (struct movable *h = first; h; h = h->next) {
        os_lock_reset(&h->lock);
    }
    os_lock_reset(&lock);
}

void chain_of_movables_add(struct movable *h)
{
    static bool watching;
    if (!instance_in_use()) { /* who looks at blocks begins at the heap's (heap/describe.h) */
        heap_init();
    }
    os_lock(&lock);
    if (!watching) {
        watching = true;
        os_known.movables = &first;
        os_on_fork(OS_FLOOR_MOVE, (struct os_fork_steps){before_fork, after_fork_in_parent, after_fork_in_child});
    }
    h->prev = last;
    *(last ? &last->next : &first) = h;
    last = h;
    os_unlock(&lock);
}

void chain_of_movables_remove(struct movable *h)
{
    os_lock(&lock);
    *(h->prev ? &h->prev->next : &first) = h->next;
    *(h->next ? &h->next->prev : &last) = h->prev;
    os_unlock(&lock);
}
