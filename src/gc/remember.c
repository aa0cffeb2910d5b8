/* gc/remember.c - objects that have been written to since the collector looked at them.
 *
 *   thread's: remember[256]  --full-->  heap's table, which grows; without memory for it: gc->forgot
 *
 * An object is remembered once, not its slots: until the collector has looked at it again further stores into it cost what they do
 * anywhere. (Steele 1975, for marking; the object-remembering barrier of generational collectors.) O(1).
 */
#include <string.h>

#include "gc/gc.h"

void gc_keep_remembered(struct mutator *me)
{
    struct gc *gc = me->gc;
    struct gc_table *all = &gc->remembered;
    if (gc_table_reserve(gc, all, all->count + me->remembered, sizeof(void *))) {
        memcpy((void **)all->at + all->count, me->remember, me->remembered * sizeof(void *));
        all->count += me->remembered;
    } else {
        gc->forgot = true;
    }
    me->remembered = 0;
}

void gc_note(struct mutator *me, void *entry)
{
    if (unlikely(me->remembered == REMEMBERED)) {
        os_lock(&me->gc->lock);
        gc_keep_remembered(me);
        os_unlock(&me->gc->lock);
    }
    me->remember[me->remembered++] = entry;
}

void gc_remember(struct mutator *me, void *object)
{
    __atomic_fetch_and(gc_header(object), ~ALLOT_GC_WATCHED, __ATOMIC_RELAXED);
    gc_note(me, object);
}

void gc_look_at_remembered(struct gc *gc, void (*look)(struct gc *gc, void *object))
{
    void **all = gc->remembered.at;
    for (size_t i = 0; i < gc->remembered.count; i++) {
        look(gc, all[i]);
    }
    gc->remembered.count = 0;
    for (struct mutator *me = gc->mutators; me; me = me->next) {
        for (size_t i = 0; i < me->remembered; i++) {
            look(gc, me->remember[i]);
        }
        me->remembered = 0;
    }
}
