/* gc/cycles_finish.c - garbage that has to be finished before it goes: which objects are due, and what they want. See gc/cycles.h.
 *
 *   LIST     weak references to garbage are cleared; unfinished objects are listed
 *   SORT     the older first: by merging, a comparison at a time (runs of 2^i, as a counter counts; Knuth 5.2.4)
 *   HEADS    from the oldest: a head is who is not KEPT yet; all it reaches is KEPT
 *              G --> F <--> H, F the oldest, G the youngest:  heads: F, G
 *   DUE      from the last head: due is who has not been reached AGAIN by a later one; all it reaches is reached AGAIN
 *              due: G
 *
 * No head reaches a later one. So who is due is reached by nobody but what it reaches itself: a circle, of which it is the oldest. All
 * others wait for another round: who is due is a candidate as soon as it has been finished. What is garbage and not KEPT goes in this
 * one. Garbage does not change, so all of this stops and goes on anywhere. Links lie before the objects: no memory.
 */
#include "gc/cycles_look.h"

static void *next(void *object) { return count_finish_of(object)->next; }

static void push(void **list, void *object)
{
    count_finish_of(object)->next = *list;
    *list = object;
}

static void *pull(void **list)
{
    void *object = *list;
    if (object) {
        *list = next(object);
    }
    return object;
}

static bool list_some(struct gc *gc, size_t *work)
{
    struct cycles *c = &gc->count.cycles;
    uint32_t *entry;
    for (void *object; (object = cycles_next_member(gc, &c->place, work, &entry)) != NULL;) {
        if (*entry & TRIAL_LIVE) {
            continue;
        }
        uint64_t header = *gc_header(object);
        if (header & COUNT_SIDE) {
            count_side_clear_weak(gc, object);
        }
        if (gc_type(header)->finish && count_finish_of(object)->age) {
            push(&c->listed, object);
        }
    }
    return *work != 0;
}

/* -- SORT -- */

static void begin_merge(struct cycles *c, void *a, void *b, unsigned level)
{
    c->merge.a = a;
    c->merge.b = b;
    c->merge.first = c->merge.last = NULL;
    c->merge.level = level;
    c->merge.busy = true;
}

/* One object more is in its place; a list that is complete, or the next run to merge it with. */
static void merge_one(struct cycles *c)
{
    bool a = !c->merge.b || (c->merge.a && count_finish_of(c->merge.a)->age < count_finish_of(c->merge.b)->age);
    void *object = pull(a ? &c->merge.a : &c->merge.b);
    if (c->merge.last) {
        count_finish_of(c->merge.last)->next = object;
    } else {
        c->merge.first = object;
    }
    c->merge.last = object;
    count_finish_of(object)->next = NULL;
    if (c->merge.a || c->merge.b) {
        return;
    }
    void *run = c->merge.first;
    unsigned level = c->merge.level + 1;
    if (level < sizeof c->run / sizeof *c->run && c->run[level]) {
        begin_merge(c, c->run[level], run, level);
        c->run[level] = NULL;
    } else {
        c->run[level] = run;
        c->merge.busy = false;
    }
}

/* All has been taken up: two runs are one, until there is one. True: so it is. */
static bool merge_rest(struct cycles *c)
{
    unsigned least = sizeof c->run / sizeof *c->run;
    for (unsigned i = least; i-- > 0;) {
        least = c->run[i] ? i : least;
    }
    for (unsigned i = least + 1; i < sizeof c->run / sizeof *c->run; i++) {
        if (c->run[i]) {
            void *a = c->run[least], *b = c->run[i];
            c->run[least] = c->run[i] = NULL;
            begin_merge(c, a, b, i);
            return false;
        }
    }
    c->sorted = c->run[least];
    c->run[least] = NULL;
    return true;
}

static bool sort_some(struct cycles *c, size_t *work)
{
    while (*work) {
        if (c->merge.busy) {
            merge_one(c);
            spend(work, 1);
        } else if (c->listed) {
            void *object = pull(&c->listed);
            count_finish_of(object)->next = NULL;
            begin_merge(c, object, NULL, (unsigned)-1);
        } else if (merge_rest(c)) {
            return true;
        }
    }
    return false;
}

/* -- HEADS and DUE -- */

static inline void reach(struct look *look, void *object, uint32_t was, uint32_t becomes)
{
    uint32_t *entry = object ? cycles_entry(look->gc, object) : NULL;
    look->visited++;
    if (entry && (*entry & (TRIAL_IN | TRIAL_LIVE | was | becomes)) == (TRIAL_IN | was)) {
        *entry |= becomes;
        cycles_pend(look->gc, object);
    }
}

static inline void keep_slot(struct allot_gc_visit *visit, void **slot)
{
    reach((struct look *)visit, *slot, 0, TRIAL_KEPT);
}

static inline void again_slot(struct allot_gc_visit *visit, void **slot)
{
    reach((struct look *)visit, *slot, TRIAL_KEPT, TRIAL_AGAIN);
}

static void keep_slot_called(struct allot_gc_visit *visit, void **slot) { keep_slot(visit, slot); }
static void again_slot_called(struct allot_gc_visit *visit, void **slot) { again_slot(visit, slot); }

static bool find_heads(struct gc *gc, size_t *work)
{
    struct cycles *c = &gc->count.cycles;
    struct look look = {.visit = {.slot = keep_slot_called}, .gc = gc};
    while (*work) {
        void *object = c->part ? c->part : cycles_next_pending(gc);
        if (!object) {
            object = pull(&c->sorted);
            if (!object) {
                return true;
            }
            if (*cycles_entry(gc, object) & TRIAL_KEPT) {
                spend(work, 1);
                continue;
            }
            push(&c->heads, object);
        }
        look_at(&look, object, work, keep_slot);
    }
    return false;
}

static bool find_due(struct gc *gc, size_t *work)
{
    struct cycles *c = &gc->count.cycles;
    struct look look = {.visit = {.slot = again_slot_called}, .gc = gc};
    while (*work) {
        void *object = c->part ? c->part : cycles_next_pending(gc);
        if (!object) {
            object = pull(&c->heads);
            if (!object) {
                return true;
            }
            uint32_t *entry = cycles_entry(gc, object);
            if (*entry & TRIAL_AGAIN) {
                spend(work, 1);
                continue;
            }
            *entry |= TRIAL_KEPT | TRIAL_AGAIN;
            push(&c->due, object);
        }
        look_at(&look, object, work, again_slot);
    }
    return false;
}

/* Each with a reference that is ours. */
static bool queue_due(struct gc *gc, size_t *work)
{
    for (void *object; *work && (object = pull(&gc->count.cycles.due)) != NULL; spend(work, 1)) {
        count_more_locked(gc, object);
        count_queue_due(gc, object);
    }
    return *work != 0;
}

bool cycles_order_finishers(struct gc *gc, size_t *work)
{
    struct cycles *c = &gc->count.cycles;
    bool done = true;
    while (done && c->pass <= PASS_QUEUE) {
        switch (c->pass) {
        case PASS_LIST:
            done = list_some(gc, work);
            break;
        case PASS_SORT:
            done = sort_some(c, work);
            break;
        case PASS_HEADS:
            done = find_heads(gc, work);
            break;
        case PASS_DUE:
            done = find_due(gc, work);
            break;
        case PASS_QUEUE:
            done = queue_due(gc, work);
            break;
        case PASS_OVER:
            break;
        }
        if (done) {
            c->pass = c->pass == PASS_LIST && !c->listed ? PASS_OVER : c->pass + 1;
        }
    }
    return c->pass == PASS_OVER;
}
