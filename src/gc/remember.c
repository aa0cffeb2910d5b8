/* gc/remember.c - objects that have been written to since the collector looked at them.
 *
 *   thread's: remember[256]  --full-->  heap's table, which grows; without memory for it: gc->forgot
 *     | object | value + 1 | object ...
 *
 * An object is remembered once, not its slots: until the collector has looked at it again further stores into it cost what they do
 * anywhere. (Steele 1975, for marking; the object-remembering barrier of generational collectors.) Of one that takes long to look
 * at the values are noted that are stored, each, and it stays as it is. (Dijkstra et al. 1978.) O(1).
 */
#include <string.h>

#include "gc/gc.h"

void gc_keep_remembered(struct mutator *me)
{
    struct gc *gc = me->gc;
    struct gc_table *all = &gc->remembered;
    if (me->remembered == 0) {
        return;
    }
    if (gc_table_reserve(gc, all, all->count + me->remembered, sizeof(void *))) {
        memcpy((void **)all->at + all->count, me->remember, me->remembered * sizeof(void *));
        all->count += me->remembered;
    } else {
        gc->forgot = true;
    }
    me->remembered = 0;
}

static void look_at(struct gc *gc, void *entry, void (*look)(struct gc *gc, void *object, bool is_value))
{
    bool is_value = (uintptr_t)entry & 1;
    look(gc, (char *)entry - is_value, is_value);
}

static void note(struct mutator *me, void *entry)
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
    note(me, object);
}

void gc_remember_value(struct mutator *me, void *value)
{
    if (value) {
        note(me, (char *)value + 1);
    }
}

void gc_look_at_remembered(struct gc *gc, void (*look)(struct gc *gc, void *object, bool is_value))
{
    void **all = gc->remembered.at;
    for (size_t i = 0; i < gc->remembered.count; i++) {
        look_at(gc, all[i], look);
    }
    gc->remembered.count = 0;
    for (struct mutator *me = gc->mutators; me; me = me->next) {
        for (size_t i = 0; i < me->remembered; i++) {
            look_at(gc, me->remember[i], look);
        }
        me->remembered = 0;
    }
}
