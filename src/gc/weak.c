/* gc/weak.c - weak references and ephemerons, and the end of marking, when it is known what is reachable.
 *
 *   reached ----> ephemerons, until nothing follows ----> weak ones cleared ----> finishers (finish.c) ----> ephemerons again,
 *                 key and pair reached: value too          key or target not       what they want           tables updated
 *
 * Weak references and ephemerons lie in tables of the heap: 8 bytes each. Cost: a look at each of them in each collection. Ephemerons are
 * looked at from the first made to the last and back, each time with all that follows from those before: a chain of keys that only values
 * hold costs two looks or three if it was made in one direction, and one more for each time that it turns. (As Lua's:
 * "convergeephemerons".)
 */
#include <errno.h>
#include <string.h>

#include "gc/home.h"

const struct allot_gc_type gc_weak_type = {.name = "weak reference", .size = sizeof(struct gc_weak)};
const struct allot_gc_type gc_ephemeron_type = {.name = "ephemeron", .size = sizeof(struct gc_ephemeron)};

/* One look at each: whether something more has been reached. */
static bool settle_once(struct gc *gc, bool back)
{
    struct gc_ephemeron **all = gc->ephemeron.at;
    bool more = false;
    for (size_t n = 0; n < gc->ephemeron.count; n++) {
        size_t i = back ? gc->ephemeron.count - 1 - n : n;
        if (!BY_KIND(gc, reached, gc, all[i])) {
            continue;
        }
        BY_KIND(gc, hold, gc, (void **)&all[i]); /* where it is now */
        struct gc_ephemeron *e = all[i];
        if (e->key && e->value && BY_KIND(gc, reached, gc, e->key) && !BY_KIND(gc, reached, gc, e->value)) {
            BY_KIND(gc, hold, gc, &e->value);
            BY_KIND(gc, drain, gc);
            more = true;
        }
    }
    return more;
}

void gc_settle_ephemerons(struct gc *gc)
{
    BY_KIND(gc, drain, gc);
    bool back = false;
    while (settle_once(gc, back)) {
        back = !back;
    }
}

static void clear(struct gc *gc)
{
    struct gc_weak **weak = gc->weak.at;
    for (size_t i = 0; i < gc->weak.count; i++) {
        if (BY_KIND(gc, reached, gc, weak[i])) {
            BY_KIND(gc, hold, gc, (void **)&weak[i]); /* where it is now */
        }
        if (weak[i]->target && !BY_KIND(gc, reached, gc, weak[i]->target)) {
            weak[i]->target = NULL;
        }
    }
    struct gc_ephemeron **pair = gc->ephemeron.at;
    for (size_t i = 0; i < gc->ephemeron.count; i++) {
        if (pair[i]->key && !BY_KIND(gc, reached, gc, pair[i]->key)) {
            pair[i]->key = pair[i]->value = NULL;
        }
    }
}

/* What holds so many slots, each of which is NULL or has been reached. */
static void update(struct gc *gc, struct gc_table *table, size_t slots)
{
    void ***all = table->at;
    size_t kept = 0;
    for (size_t i = 0; i < table->count; i++) {
        if (BY_KIND(gc, reached, gc, all[i])) {
            all[kept] = all[i];
            BY_KIND(gc, hold, gc, (void **)&all[kept]);
            void **object = all[kept++];
            for (size_t k = 0; k < slots; k++) {
                if (object[k]) {
                    BY_KIND(gc, hold, gc, &object[k]);
                }
            }
        }
    }
    table->count = kept;
}

void gc_settle(struct gc *gc)
{
    gc_settle_ephemerons(gc);
    clear(gc);
    gc_settle_finishables(gc);
    gc_settle_ephemerons(gc);
    update(gc, &gc->weak, sizeof(struct gc_weak) / sizeof(void *));
    update(gc, &gc->ephemeron, sizeof(struct gc_ephemeron) / sizeof(void *));
}

/* In the order in which they were made. */
static void forget_in(struct gc_table *table, const void *object)
{
    void **all = table->at;
    size_t i = table->count; /* the youngest first */
    while (i > 0 && all[i - 1] != object) {
        i--;
    }
    if (i > 0) {
        memmove(all + i - 1, all + i, (table->count-- - i) * sizeof *all);
    }
}

void gc_forget_weak(struct gc *gc, const void *object)
{
    const struct allot_gc_type *type = gc_type(*gc_header(object));
    if (type == &gc_weak_type) {
        forget_in(&gc->weak, object);
    } else if (type == &gc_ephemeron_type) {
        forget_in(&gc->ephemeron, object);
    }
    struct gc_weak **weak = gc->weak.at;
    for (size_t i = 0; i < gc->weak.count; i++) {
        weak[i]->target = weak[i]->target == object ? NULL : weak[i]->target;
    }
    struct gc_ephemeron **pair = gc->ephemeron.at;
    for (size_t i = 0; i < gc->ephemeron.count; i++) {
        if (pair[i]->key == object) {
            *pair[i] = (struct gc_ephemeron){0};
        }
    }
}

/* -- for the program -- */

/* An object of two or one of the slots, which are held meanwhile, in its table. */
static void *make(struct mutator *me, const struct allot_gc_type *type, void *first, void *second)
{
    struct gc *gc = me->gc;
    struct gc_table *table = type == &gc_weak_type ? &gc->weak : &gc->ephemeron;
    ALLOT_GC_FRAME(me->face, frame, 2);
    frame.slot[0] = first;
    frame.slot[1] = second;
    void **object = gc_get(me, type, type->size);
    if (!object) {
        return NULL;
    }
    os_lock(&gc->lock);
    bool noted = gc_table_reserve(gc, table, table->count + 1, sizeof object);
    if (noted) {
        memcpy(object, frame.slot, type->size);
        ((void **)table->at)[table->count++] = object;
    }
    os_unlock(&gc->lock);
    errno = noted ? errno : ENOMEM;
    return noted ? object : NULL;
}

void *allot_gc_weak(struct allot_gc_mutator *face, void *target)
{
    struct mutator *me = here(face);
    if (!me) {
        return away(face)->weak(face, target);
    }
    return me->gc->kind == ALLOT_GC_COUNT ? count_weak(me, target) : make(me, &gc_weak_type, target, NULL);
}

void *allot_gc_ephemeron(struct allot_gc_mutator *face, void *key, void *value)
{
    struct mutator *me = here(face);
    if (!me) {
        return away(face)->ephemeron(face, key, value);
    }
    if (me->gc->kind == ALLOT_GC_COUNT) {
        errno = ENOTSUP;
        return NULL;
    }
    return make(me, &gc_ephemeron_type, key, value);
}

static void *part_of_pair(const struct allot_gc_mutator *face, const void *object, const struct allot_gc_type *type,
                          size_t i)
{
    if (gc_type(*gc_header(object)) != type) {
        gc_fault(mutator_of(face)->gc,
                 type == &gc_weak_type ? "use of what is no weak reference" : "use of what is no ephemeron", object);
    }
    return ((void *const *)object)[i];
}

void *allot_gc_weak_get(struct allot_gc_mutator *face, void *weak)
{
    struct mutator *me = here(face);
    if (!me) {
        return away(face)->weak_get(face, weak);
    }
    return me->gc->kind == ALLOT_GC_COUNT ? count_weak_get(me, weak) : part_of_pair(face, weak, &gc_weak_type, 0);
}

void *allot_gc_ephemeron_key(struct allot_gc_mutator *face, void *ephemeron)
{
    return here(face) ? part_of_pair(face, ephemeron, &gc_ephemeron_type, 0)
                      : away(face)->ephemeron_key(face, ephemeron);
}

void *allot_gc_ephemeron_value(struct allot_gc_mutator *face, void *ephemeron)
{
    return here(face) ? part_of_pair(face, ephemeron, &gc_ephemeron_type, 1)
                      : away(face)->ephemeron_value(face, ephemeron);
}
