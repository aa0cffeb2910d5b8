/* gc/visit.h - the references of an object, one after the other.
 *
 *   refs     | a | . | b | . | ... first 64 words          a bit each
 *   REFS     | type->size bytes ... | ref | ref | ref ... | all that was asked for beyond
 *   MAYBE    | word | word | word ...                     | any may be one
 *   trace    the user's function calls allot_gc_visit for each slot
 *
 * Inlined into each collector's loop, with its functions known: no call per reference but from a type's own trace. O(references) but
 * for MAYBE, which is O(words). Long tails may be visited piece by piece: `from` and `to` are words.
 */
#ifndef GC_VISIT_H
#define GC_VISIT_H

#include <allot/gc.h>

#include "base/bits.h"

/* What asks; a collector's own struct begins with it. `slot` is given NULLs as well. */
struct allot_gc_visit {
    void (*slot)(struct allot_gc_visit *visit, void **slot);
};

typedef void gc_on_slot(struct allot_gc_visit *visit, void **slot);
typedef void gc_on_word(struct allot_gc_visit *visit, uintptr_t word);

/* Whether an object of the type can refer to anything. */
static inline bool gc_has_references(const struct allot_gc_type *type)
{
    return type->refs != 0 || type->trace || (type->flags & (ALLOT_GC_REFS | ALLOT_GC_MAYBE)) != 0;
}

/* Words [from, to) of what lies behind the type's size, or of all words of a MAYBE object; whatever the size, within it. */
static inline __attribute__((always_inline)) void gc_visit_words(struct allot_gc_visit *visit, void *object,
                                                                 const struct allot_gc_type *type, size_t from,
                                                                 size_t to, gc_on_slot *slot, gc_on_word *word)
{
    void **at = object;
    if (type->flags & ALLOT_GC_MAYBE) {
        for (size_t i = from; i < to; i++) {
            word(visit, (uintptr_t)at[i]);
        }
    } else {
        for (size_t i = from; i < to; i++) {
            slot(visit, &at[i]);
        }
    }
}

/* Where the words begin that gc_visit_words is for; `words` or more: there are none. */
static inline size_t gc_first_word(const struct allot_gc_type *type, size_t words)
{
    return type->flags & ALLOT_GC_MAYBE ? 0 : type->flags & ALLOT_GC_REFS ? (type->size + 7) / 8 : words;
}

/* All but these. */
static inline __attribute__((always_inline)) void gc_visit_head(struct allot_gc_visit *visit, void *object,
                                                                const struct allot_gc_type *type, size_t size,
                                                                gc_on_slot *slot)
{
    for (uint64_t refs = type->refs; refs; refs &= refs - 1) {
        slot(visit, (void **)object + lowest_bit(refs));
    }
    if (unlikely(type->trace != NULL)) {
        type->trace(visit, object, size);
    }
}

static inline __attribute__((always_inline)) void gc_visit_object(struct allot_gc_visit *visit, void *object,
                                                                  const struct allot_gc_type *type, size_t size,
                                                                  gc_on_slot *slot, gc_on_word *word)
{
    gc_visit_head(visit, object, type, size, slot);
    if (unlikely((type->flags & (ALLOT_GC_REFS | ALLOT_GC_MAYBE)) != 0)) {
        gc_visit_words(visit, object, type, gc_first_word(type, size / 8), size / 8, slot, word);
    }
}

#endif
