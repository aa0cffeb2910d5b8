/* gc/finish.c - objects with finishers: which are due, in what order, and their run.
 *
 *   finishables, by age:  | F | G | H | ...      those that are not reached:  pass 1, from the oldest: a head is who no head before it
 *                                                                             reaches; all it reaches is SEEN
 *     G --> F <--> H                             pass 2, from the last head: due is who is not SEEN, by then or at all; all it
 *     heads: F, G;  due: G                                                    reaches is not SEEN any more
 *   due:  | object | object | ...                roots, until their finishers have run, in this order
 *
 * No head reaches a later one. So who is not SEEN by a later head in pass 2 is reached by nobody but what it reaches itself: a circle,
 * of which it is the oldest. All others wait for another collection. Objects that are SEEN are logged, which is the queue of the
 * pass as well: no recursion, and what it did is undone when memory for the log is out: then nobody is due this time. Each pass
 * costs a visit of what is reached from finishable objects alone.
 */
#include "gc/gc.h"
#include "gc/visit.h"

struct pass {
    struct allot_gc_visit visit; /* first */
    struct gc *gc;
    struct gc_table log;   /* void *, not counted to the heap */
    struct gc_table heads; /* size_t, in the table of the finishable */
    size_t next;
    bool setting, no_memory;
};

static bool is_seen(const void *object) { return (*gc_header(object) & GC_SEEN) != 0; }

static void on_slot(struct allot_gc_visit *visit, void **slot)
{
    struct pass *pass = (struct pass *)visit;
    void *object = *slot;
    if (!object || is_seen(object) == pass->setting || BY_KIND(pass->gc, reached, pass->gc, object)) {
        return;
    }
    if (!gc_table_reserve(NULL, &pass->log, pass->log.count + 1, sizeof object)) {
        pass->no_memory = true;
        return;
    }
    ((void **)pass->log.at)[pass->log.count++] = object;
    *gc_header(object) ^= GC_SEEN;
}

static void on_word(struct allot_gc_visit *visit, uintptr_t word)
{
    void *object = gc_object_at(((struct pass *)visit)->gc, word, gc_is(((struct pass *)visit)->gc, ALLOT_GC_INTERIOR));
    on_slot(visit, &object);
}

static void look_at(struct pass *pass, void *object)
{
    const struct allot_gc_type *type = gc_type(*gc_header(object));
    gc_visit_object(&pass->visit, object, type, gc_size_of(pass->gc, object), on_slot, on_word);
    struct gc_ephemeron *pair = type == &gc_ephemeron_type ? object : NULL;
    if (pair && pair->key && BY_KIND(pass->gc, reached, pass->gc, pair->key)) {
        on_slot(&pass->visit, &pair->value);
    }
}

static void follow(struct pass *pass, void *object)
{
    look_at(pass, object);
    while (pass->next < pass->log.count && !pass->no_memory) {
        look_at(pass, ((void **)pass->log.at)[pass->next++]);
    }
}

static struct gc_finishable *finishable(const struct gc *gc, size_t i)
{
    return (struct gc_finishable *)gc->finishables.at + i;
}

static bool note_head(struct pass *pass, size_t i)
{
    if (!gc_table_reserve(NULL, &pass->heads, pass->heads.count + 1, sizeof i)) {
        pass->no_memory = true;
        return false;
    }
    ((size_t *)pass->heads.at)[pass->heads.count++] = i;
    return true;
}

static void undo(struct pass *pass)
{
    for (size_t i = 0; i < pass->log.count; i++) {
        *gc_header(((void **)pass->log.at)[i]) &= ~GC_SEEN;
    }
    pass->heads.count = 0;
}

/* Who is due becomes what is left of the heads. */
static void find_due(struct pass *pass)
{
    struct gc *gc = pass->gc;
    pass->setting = true;
    for (size_t i = 0; i < gc->finishables.count && !pass->no_memory; i++) {
        void *object = finishable(gc, i)->object;
        if (!BY_KIND(gc, reached, gc, object) && !is_seen(object) && note_head(pass, i)) {
            follow(pass, object);
        }
    }
    if (pass->no_memory) {
        undo(pass);
    }
    if (pass->heads.count == 0) {
        return;
    }
    size_t *head = pass->heads.at, due = pass->heads.count;
    bool circles = false;
    for (size_t i = 0; i < pass->heads.count; i++) { /* the lowest bit: it is SEEN, by itself or by a later one */
        bool seen = is_seen(finishable(gc, head[i])->object);
        circles |= seen;
        head[i] = head[i] << 1 | seen;
    }
    if (!circles) {
        for (size_t i = 0; i < pass->log.count; i++) {
            *gc_header(((void **)pass->log.at)[i]) &= ~GC_SEEN;
        }
    }
    pass->setting = false;
    pass->log.count = pass->next = 0; /* it has room for all that are SEEN */
    for (size_t i = pass->heads.count; i-- > 0;) {
        void *object = finishable(gc, head[i] >> 1)->object;
        if (!(head[i] & 1) || is_seen(object)) {
            if (circles) {
                follow(pass, object);
            }
            head[--due] = head[i] >> 1;
        } else if (circles) {
            follow(pass, object);
        }
    }
    __builtin_memmove(head, head + due, (pass->heads.count - due) * sizeof *head);
    pass->heads.count -= due;
}

void gc_settle_finishables(struct gc *gc)
{
    struct pass pass = {.visit = {.slot = on_slot}, .gc = gc};
    find_due(&pass);
    const size_t *head = pass.heads.at;
    size_t kept = 0, next = 0;
    for (size_t i = 0; i < gc->finishables.count; i++) {
        struct gc_finishable *f = finishable(gc, i);
        if (next < pass.heads.count && head[next] == i) {
            void **due = gc->due_finish.at;
            due[gc->due_finish.count] = f->object;
            BY_KIND(gc, hold, gc, &due[gc->due_finish.count++]);
            next++;
        } else {
            BY_KIND(gc, hold, gc, &f->object);
            *finishable(gc, kept++) = *f;
        }
    }
    gc->finishables.count = kept;
    gc_table_free(NULL, &pass.log, sizeof(void *));
    gc_table_free(NULL, &pass.heads, sizeof(size_t));
    BY_KIND(gc, drain, gc);
}

/* -- coming and going -- */

/* Room in the queue is made with it, so that a collection wants none. */
bool gc_reserve_finishable(struct gc *gc)
{
    size_t all = gc->finishables.count + 1;
    return gc_table_reserve(gc, &gc->finishables, all, sizeof(struct gc_finishable)) &&
           gc_table_reserve(gc, &gc->due_finish, gc->due_finish.count + all, sizeof(void *));
}

void gc_add_finishable(struct gc *gc, void *object)
{
    *finishable(gc, gc->finishables.count++) = (struct gc_finishable){object};
}

void gc_forget_finishable(struct gc *gc, void *object)
{
    size_t i = gc->finishables.count; /* the youngest first */
    while (i > 0 && finishable(gc, i - 1)->object != object) {
        i--;
    }
    if (i > 0) {
        struct gc_finishable *f = finishable(gc, i - 1);
        __builtin_memmove(f, f + 1, (--gc->finishables.count - (i - 1)) * sizeof *f);
    }
}

/* -- the run -- */

static void *next_due(struct gc *gc)
{
    if (gc->finish_next == gc->due_finish.count) {
        gc->finish_next = gc->due_finish.count = 0;
        return NULL;
    }
    return ((void **)gc->due_finish.at)[gc->finish_next++];
}

static size_t run(struct gc *gc, void **held, size_t most)
{
    size_t ran = 0;
    os_lock(&gc->lock);
    if (!gc->finishing) {
        gc->finishing = true;
        gc->finisher = gc_thread();
        while ((most == 0 || ran < most) && (*held = next_due(gc)) != NULL) {
            os_unlock(&gc->lock);
            gc_type(*gc_header(*held))->finish(*held, gc->opts.arg);
            ran++;
            os_lock(&gc->lock);
        }
        gc->stats.finished += ran;
        gc->finishing = false;
    }
    os_unlock(&gc->lock);
    return ran;
}

size_t gc_run_finishers(struct gc *gc, struct mutator *me, size_t most)
{
    if (gc->kind == ALLOT_GC_COUNT) {
        return count_finish(gc, me, most);
    }
    if (!me) {
        void *held;
        return run(gc, &held, most);
    }
    ALLOT_GC_FRAME(me->face, frame, 1);
    return run(gc, frame.slot, most);
}
