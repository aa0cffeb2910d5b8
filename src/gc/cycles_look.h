/* gc/cycles_look.h - an object's references, visited piece by piece. */
#ifndef GC_CYCLES_LOOK_H
#define GC_CYCLES_LOOK_H

#include "gc/count_ops.h"

static inline bool spend(size_t *work, size_t by)
{
    *work -= size_min(*work, by);
    return *work != 0;
}

struct look {
    struct allot_gc_visit visit; /* first */
    struct gc *gc;
    void *object;
    size_t visited;
};

static inline void on_word(struct allot_gc_visit *visit, uintptr_t word)
{
    (void)visit;
    (void)word;
}

/* Visits all of an object, or as much of its tail as there is work for, a word at least: then it is c->part. `slot` is inlined. */
static inline __attribute__((always_inline)) void look_at(struct look *look, void *object, size_t *work,
                                                          gc_on_slot *slot)
{
    struct cycles *c = &look->gc->count.cycles;
    const struct allot_gc_type *type = gc_type(*gc_header(object));
    size_t from = c->part == object ? c->word : 0;
    look->object = object;
    look->visited = 0;
    c->part = NULL;
    if (from == 0) {
        gc_visit_head(&look->visit, object, type, unlikely(type->trace != NULL) ? count_size_of(object) : 0, slot);
    }
    spend(work, 1 + look->visited);
    if (unlikely(type->flags & ALLOT_GC_REFS)) {
        size_t words = count_size_of(object) / sizeof(void *), at = size_max(from, gc_first_word(type, words));
        size_t now = size_max(*work, 1), to = words - size_min(at, words) <= now ? words : at + now;
        c->part = to < words ? object : NULL;
        c->word = to;
        gc_visit_words(&look->visit, object, type, at, to, slot, on_word);
        spend(work, to - size_min(at, to));
    }
    c->visited += look->visited;
}

#endif
