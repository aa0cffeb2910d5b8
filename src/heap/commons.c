/* heap/commons.c - slabs that all threads share: for threads without a heap, and for the first blocks of a class in any.
 *
 *   class 0, 5, 10 ... --> heap 1: lock, slabs      Whatever a thread takes of them or frees, it does under their lock;
 *   class 1, 4, 11 ... --> heap 2: lock, slabs      what is freed is marked in the bitmap. Their ids are 1 to COMMONS.
 *   ...
 *
 * A page for each class and thread, and a record for each thread, is what ten thousand threads that sleep would cost. So
 * what a thread wants little of shares pages with what others want little of, and its first blocks as well: of these it
 * takes the lowest that are free, one at a time, or as many as fill whole cache lines together, since no two threads should
 * write to one line. Beyond 128 bytes sizes are rounded to whole lines, which also makes few classes of many.
 *
 * A lock is held for tens of nanoseconds, and a thread comes by a few times for each class; so what little there is to wait for
 * is shared out by class, which costs no memory as sharing out by thread or processor would.
 */
#include <errno.h>

#include "heap/heap.h"
#include "heap/nothing.h"
#include "os/fault.h"

enum { LINE = 64, SINGLY = 128 };

static struct commons {
    struct os_lock lock;
    struct heap heap;
} all[COMMONS];

struct heap *commons_heap(unsigned index) { return &all[index].heap; }

/* How many neighbours fill whole lines together. */
static unsigned group_of(size_t stride)
{
    size_t odd = stride & -stride;
    return odd < LINE ? (unsigned)(LINE / odd) : 1;
}

struct block *commons_alloc(size_t size, struct block **list, bool *zeroed)
{
    unsigned wanted = class_of_size(size_max(size, 1)),
             c = size > SINGLY ? class_of_size(align_up(size, LINE)) : wanted;
    unsigned group = list ? group_of(class_size(c)) : 1;
    struct block *rest = NULL, *b = NULL;
    struct commons *one = &all[(c ^ c >> 2) % COMMONS];
    os_lock(&one->lock);
    if (likely(one->heap.id != 0)) {
        b = heap_refill(&one->heap, c, group, &rest, zeroed);
    } else {
        errno = ENOMEM;
    }
    os_unlock(&one->lock);
    if (list) {
        *list = rest;
    }
    if (front.heap) {
        front.heap->common[wanted] += (uint8_t)group;
    } else {
        front.common += (uint32_t)(group * class_size(c));
    }
    return b;
}

void commons_free(void *p, struct slab *s)
{
    struct commons *one = &all[(slab_owner(s) - 1) % COMMONS];
    os_lock(&one->lock);
    if (unlikely(slab_owner(s) != one->heap.id)) { /* two have freed its last block */
        allot_fault("double free", "small block", p);
    }
    slab_mark_free(s, p);
    heap_count(&one->heap, s, -1);
    if (s->used == 0 || s->level == LEVEL_FULL) {
        heap_settle(&one->heap, s);
    }
    os_unlock(&one->lock);
}

size_t commons_trim(void)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < COMMONS; i++) {
        os_lock(&all[i].lock);
        heap_retire_current(&all[i].heap);
        bytes += heap_sweep_all(&all[i].heap);
        os_unlock(&all[i].lock);
    }
    return bytes;
}

void commons_lock(void)
{
    nothing_lock();
    for (unsigned i = 0; i < COMMONS; i++) {
        os_lock(&all[i].lock);
    }
}

void commons_unlock(void)
{
    nothing_unlock();
    for (unsigned i = 0; i < COMMONS; i++) {
        os_unlock(&all[i].lock);
    }
}

void commons_lock_reset(void)
{
    nothing_lock_reset();
    for (unsigned i = 0; i < COMMONS; i++) {
        os_lock_reset(&all[i].lock);
    }
}
