/* gc/roots.c - where the program holds objects from: frames, slots it has named, stacks and registers, and what is to be finished.
 *
 *   mutator->frame --> | up | mutator | count | slot, slot ... |
 *                        `--> ...
 *   CONSERVATIVE: words it has named; [sp, base) of a thread that rests, and what its registers held; of the collecting one, from here on
 *
 * O(slots + bytes of stacks in use).
 */
#include <errno.h>

#include "gc/gc.h"
#include "gc/visit.h"
#include "os/fault.h"

int gc_root(struct gc *gc, void *slots, size_t count, bool words)
{
    if (!gc_table_reserve(gc, &gc->roots, gc->roots.count + 1, sizeof(struct gc_roots))) {
        return -ENOMEM;
    }
    ((struct gc_roots *)gc->roots.at)[gc->roots.count++] = (struct gc_roots){slots, count, words};
    return 0;
}

void gc_unroot(struct gc *gc, void *slots)
{
    struct gc_roots *all = gc->roots.at;
    for (size_t i = gc->roots.count; i-- > 0;) { /* the last first: as a rule they go as blocks do */
        if (all[i].slot == slots) {
            all[i] = all[--gc->roots.count];
            return;
        }
    }
    gc_fault(gc, "unroot of what is no root", slots);
}

/* No one's redzones are looked at, and words that others may be writing are as good as they were or will be. */
__attribute__((no_sanitize("address", "thread"))) static void
visit_words(struct gc *gc, const void *from, const void *to, const struct gc_root_visit *visit)
{
    for (const uintptr_t *at = (const uintptr_t *)align_up((uintptr_t)from, sizeof *at); at < (const uintptr_t *)to;
         at++) {
        visit->word(gc, *at);
    }
}

static void __attribute__((noinline))
visit_from_here(struct gc *gc, const struct mutator *me, const struct gc_root_visit *visit)
{
    visit_words(gc, __builtin_frame_address(0), me->base, visit);
}

static void __attribute__((noinline))
visit_own_stack(struct gc *gc, const struct mutator *me, const struct gc_root_visit *visit)
{
    __builtin_unwind_init();
    visit_from_here(gc, me, visit);
    __asm__ volatile("" ::: "memory"); /* no jump: this frame stays */
}

static void visit_stack(struct gc *gc, const struct mutator *me, const struct gc_root_visit *visit)
{
    if (me == gc->collector) {
        visit_own_stack(gc, me, visit);
    } else {
        visit_words(gc, me->sp, me->base, visit);
        visit_words(gc, me->spill, me->spill + me->spilled, visit);
    }
}

static void visit_due(struct gc *gc, const struct gc_root_visit *visit)
{
    void **due = gc->due_finish.at;
    for (size_t i = gc->finish_next; i < gc->due_finish.count; i++) {
        visit->slot(gc, &due[i]);
    }
}

/* The program's own way to its roots. */
struct asked {
    struct allot_gc_visit visit; /* first */
    struct gc *gc;
    const struct gc_root_visit *to;
};

static void visit_asked(struct allot_gc_visit *visit, void **slot)
{
    const struct asked *asked = (const struct asked *)visit;
    asked->to->slot(asked->gc, slot);
}

void gc_visit_roots(struct gc *gc, const struct gc_root_visit *visit)
{
    visit_due(gc, visit);
    if (gc->no_roots) {
        return;
    }
    for (const struct mutator *me = gc->mutators; me; me = me->next) {
        for (struct allot_gc_frame *f = me->face->frame; f; f = f->up) {
            void **slot = (void **)(f + 1);
            for (size_t i = 0; i < f->count; i++) {
                visit->slot(gc, &slot[i]);
            }
        }
        if (gc_is(gc, ALLOT_GC_CONSERVATIVE)) {
            visit_stack(gc, me, visit);
        }
    }
    if (gc->opts.roots) {
        struct asked asked = {.visit = {.slot = visit_asked}, .gc = gc, .to = visit};
        gc->opts.roots(&asked.visit, gc->opts.arg);
    }
    const struct gc_roots *roots = gc->roots.at;
    for (size_t i = 0; i < gc->roots.count; i++) {
        if (roots[i].words) {
            visit_words(gc, roots[i].slot, roots[i].slot + roots[i].count, visit);
            continue;
        }
        for (size_t k = 0; k < roots[i].count; k++) {
            visit->slot(gc, &roots[i].slot[k]);
        }
    }
}
