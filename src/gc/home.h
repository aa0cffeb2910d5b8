/* gc/home.h - which copy of the library has a heap: the one in use may be another's, as a drop-in brings its own (heap/instance.h). */
#ifndef GC_HOME_H
#define GC_HOME_H

#include "gc/gc.h"
#include "heap/instance.h"
#include "os/fault.h"

static inline bool is_here(const struct allot_gc *heap)
{
    if (unlikely(!heap->state)) {
        allot_fault("use of a heap that was not initialised, or is done", "gc", heap);
    }
    return likely(heap->home == &own_instance);
}

static inline const struct instance_gc *elsewhere(const struct allot_gc *heap)
{
    return &((const struct instance *)heap->home)->gc;
}

/* NULL: another has it. */
static inline struct mutator *here(const struct allot_gc_mutator *face)
{
    if (unlikely(!face->gc || !face->state)) {
        allot_fault("use of a mutator that is not attached", "gc mutator", face);
    }
    return is_here(face->gc) ? mutator_of(face) : NULL;
}

static inline const struct instance_gc *away(const struct allot_gc_mutator *face) { return elsewhere(face->gc); }

#endif
