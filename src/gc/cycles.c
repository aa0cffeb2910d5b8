/* gc/cycles.c - the search for circles, phase by phase. See gc/cycles.h.
 *
 * Cost of a round: the candidates, and what follows from them, are visited twice, what is garbage of it a third time; so what has been
 * stored and left alone since the last round costs nothing, unless a candidate leads there.
 */
#include "gc/cycles_look.h"

/* -- MARKING -- */

static inline void trial_slot(struct allot_gc_visit *visit, void **slot)
{
    struct look *look = (struct look *)visit;
    void *child = *slot;
    if (!child || !gc_has_references(gc_type(*gc_header(child)))) {
        return;
    }
    look->visited++;
    uint32_t *entry = cycles_join(look->gc, child);
    if (likely(entry && (*entry & TRIAL_COUNT) != TRIAL_COUNT)) {
        ++*entry;
    } else if (entry) {
        *entry |= TRIAL_HELD;
    }
}

static void trial_slot_called(struct allot_gc_visit *visit, void **slot) { trial_slot(visit, slot); }

static void mark_member(struct gc *gc, void *object, size_t *work)
{
    struct look look = {.visit = {.slot = trial_slot_called}, .gc = gc};
    *cycles_entry(gc, object) |= TRIAL_COUNTED;
    look_at(&look, object, work, trial_slot);
    spend(work, gc->count.cycles.extra);
    gc->count.cycles.extra = 0;
}

/* A candidate, or at the heap's end any object, becomes a member. */
static void begin_with(struct gc *gc, void *object)
{
    uint64_t *header = gc_header(object);
    if ((*header & COUNT_MASK) == 0 || !(gc->no_roots || *header & COUNT_CANDIDATE)) {
        return;
    }
    *header &= ~COUNT_CANDIDATE;
    if (gc_has_references(gc_type(*header)) || gc_type(*header)->finish) {
        cycles_join(gc, object);
    }
}

static void begin_with_large(struct gc *gc)
{
    gc->count.cycles.large_from = false;
    for (size_t i = 0; i < large_count(gc); i++) {
        void *object;
        count_large_nth(gc, i, &object);
        begin_with(gc, object);
    }
}

/* Goes on in the unit with candidates that is at hand. */
static void look_for_candidates(struct gc *gc, size_t *work)
{
    struct cycles *c = &gc->count.cycles;
    struct count_unit *u = c->unit;
    if (!u) {
        u = c->unit = c->from;
        c->from = u->noted_next;
        c->slot = 0;
        u->noted = false;
    }
    size_t members = c->members;
    while (c->slot < u->slots && c->members == members && !c->no_memory) {
        void *object = count_object(u, c->slot++);
        if (*gc_header(object)) {
            begin_with(gc, object);
        }
        if (c->slot % 64 == 0 && !spend(work, 1)) {
            return;
        }
    }
    if (c->slot == u->slots) {
        c->unit = NULL;
        count_unit_rests(gc, u);
    }
    spend(work, 1);
}

/* What has not been looked at stays noted. True: all of it. */
static bool leave_the_rest(struct gc *gc, size_t *work)
{
    struct cycles *c = &gc->count.cycles;
    if (c->unit) {
        cycles_note(gc, count_object(c->unit, 0), 0);
        c->unit = NULL;
    }
    while (c->from && *work) {
        struct count_unit *u = c->from;
        c->from = u->noted_next;
        u->noted_next = gc->count.noted;
        gc->count.noted = u;
        spend(work, 1);
    }
    gc->count.large_noted |= c->large_from;
    c->large_from = false;
    return !c->from;
}

/* Stores by allot_gc_give are plain ones as long as none has to be told. The world stands. */
static void begin_phase(struct gc *gc, enum cycles_phase phase)
{
    gc->count.cycles.phase = phase;
    for (struct mutator *m = gc->mutators; m; m = m->next) {
        m->face->gives = !count_is_searched(gc);
    }
}

static void to(struct gc *gc, enum cycles_phase phase)
{
    begin_phase(gc, phase);
    gc->count.cycles.part = NULL;
    cycles_from_start(gc, &gc->count.cycles.place);
}

/* A member is a candidate again: it was not looked at, as there were too many, or memory was out. */
static void become_candidate(struct gc *gc, void *object)
{
    uint64_t *header = gc_header(object);
    if (*header & COUNT_MASK && !(*header & COUNT_CANDIDATE)) {
        *header = count_note(gc, object, *header);
    }
}

static void mark_some(struct gc *gc, size_t *work)
{
    struct cycles *c = &gc->count.cycles;
    while (*work) {
        if (c->no_memory) {
            to(gc, CYCLES_ABORTING);
            return;
        }
        if (c->members > c->most) {
            if (leave_the_rest(gc, work)) {
                break;
            }
            return;
        }
        void *object = c->part ? c->part : cycles_next_pending(gc);
        if (object) {
            mark_member(gc, object, work);
        } else if (c->large_from) {
            begin_with_large(gc);
        } else if (c->unit || c->from) {
            look_for_candidates(gc, work);
        } else {
            break;
        }
    }
    if (*work) {
        if (c->part) { /* there are too many, and it has been counted in part */
            *cycles_entry(gc, c->part) |= TRIAL_HELD;
            become_candidate(gc, c->part);
        }
        to(gc, gc->no_roots ? CYCLES_FINISHERS : CYCLES_SCANNING);
    }
}

/* -- SCANNING -- */

static inline void scan_slot(struct allot_gc_visit *visit, void **slot)
{
    struct look *look = (struct look *)visit;
    if (!*slot) {
        return;
    }
    look->visited++;
    uint32_t *entry = cycles_entry(look->gc, *slot);
    if (entry && (*entry & (TRIAL_IN | TRIAL_LIVE)) == TRIAL_IN) {
        *entry |= TRIAL_LIVE;
        look->gc->count.cycles.live++;
        cycles_pend(look->gc, *slot);
    }
}

static void scan_slot_called(struct allot_gc_visit *visit, void **slot) { scan_slot(visit, slot); }

/* What is pending is LIVE, or is taken for that as it has not been COUNTED. */
static void scan(struct gc *gc, void *object, size_t *work)
{
    struct look look = {.visit = {.slot = scan_slot_called}, .gc = gc};
    uint32_t *entry = cycles_entry(gc, object);
    if (!(*entry & TRIAL_LIVE)) {
        *entry |= TRIAL_LIVE;
        gc->count.cycles.live++;
    }
    if (unlikely(!(*entry & TRIAL_COUNTED))) {
        become_candidate(gc, object);
    }
    look_at(&look, object, work, scan_slot);
}

static void scan_some(struct gc *gc, size_t *work)
{
    struct cycles *c = &gc->count.cycles;
    while (*work) {
        void *object = c->part ? c->part : cycles_next_pending(gc);
        if (object) {
            scan(gc, object, work);
            continue;
        }
        uint32_t *entry;
        object = cycles_next_member(gc, &c->place, work, &entry);
        if (!object) {
            break;
        }
        if (!(*entry & TRIAL_LIVE) && (*entry & TRIAL_HELD || count_of(gc, object) > (*entry & TRIAL_COUNT))) {
            *entry |= TRIAL_LIVE;
            c->live++;
            cycles_pend(gc, object);
        }
    }
    if (*work) {
        to(gc, c->live < c->members ? CYCLES_FINISHERS : CYCLES_CLEANING);
    }
}

/* -- COLLECTING -- */

/* A reference from garbage to garbage goes. Only the round knows of either. */
static void lose(struct gc *gc, void *object, uint32_t entry)
{
    uint64_t *header = gc_header(object);
    if ((*header & COUNT_MASK) > 1) {
        --*header;
    } else if (count_less(gc, &gc->count.finder, object) && entry & TRIAL_CLEARED) {
        gc->count.cycles.found++;
        count_free(gc, &gc->count.finder, object);
    }
}

static inline void collect_slot(struct allot_gc_visit *visit, void **slot)
{
    struct look *look = (struct look *)visit;
    struct gc *gc = look->gc;
    void *child = *slot;
    if (!child) {
        return;
    }
    *slot = NULL;
    look->visited++;
    const uint32_t *entry = cycles_entry(gc, child);
    if (entry && (*entry & (TRIAL_IN | TRIAL_LIVE | TRIAL_KEPT)) == TRIAL_IN) {
        lose(gc, child, *entry);
    } else if (count_less(gc, &gc->count.finder, child)) {
        count_let_go(gc, &gc->count.finder, child);
    }
}

static void collect_slot_called(struct allot_gc_visit *visit, void **slot) { collect_slot(visit, slot); }

static void collect_one(struct gc *gc, void *object, size_t *work)
{
    struct cycles *c = &gc->count.cycles;
    struct look look = {.visit = {.slot = collect_slot_called}, .gc = gc};
    look_at(&look, object, work, collect_slot);
    if (c->part == object) {
        return;
    }
    *cycles_entry(gc, object) |= TRIAL_CLEARED;
    if ((*gc_header(object) & COUNT_MASK) == 0) {
        c->found++;
        count_free(gc, &gc->count.finder, object);
    }
}

static void collect_some(struct gc *gc, size_t *work)
{
    struct cycles *c = &gc->count.cycles;
    while (*work) {
        if (!count_work_off(gc, &gc->count.finder, work)) {
            return;
        }
        if (c->part) {
            collect_one(gc, c->part, work);
            continue;
        }
        uint32_t *entry;
        void *object = cycles_next_member(gc, &c->place, work, &entry);
        if (!object) {
            break;
        }
        if (!(*entry & (TRIAL_LIVE | TRIAL_KEPT | TRIAL_CLEARED))) {
            collect_one(gc, object, work);
        }
    }
    if (*work) {
        count_queue_hands_due(gc, &gc->count.finder);
        to(gc, CYCLES_CLEANING);
    }
}

/* -- ABORTING, CLEANING -- */

static void abort_some(struct gc *gc, size_t *work)
{
    struct cycles *c = &gc->count.cycles;
    uint32_t *entry;
    if (!leave_the_rest(gc, work)) {
        return;
    }
    for (void *object; (object = cycles_next_member(gc, &c->place, work, &entry)) != NULL;) {
        become_candidate(gc, object);
    }
    if (*work) {
        to(gc, CYCLES_CLEANING);
    }
}

static void forget_large(struct gc *gc)
{
    for (size_t i = 0; i < large_count(gc); i++) {
        large_nth(gc, i)->count = 0;
        large_nth(gc, i)->again = false;
    }
    gc->count.cycles.large_pending = 0;
}

static void end(struct gc *gc)
{
    struct cycles *c = &gc->count.cycles;
    forget_large(gc);
    *c = (struct cycles){.rounds = c->rounds + !c->no_memory, .found = c->found, .visited = c->visited};
    begin_phase(gc, CYCLES_NONE);
}

void cycles_drop(struct gc *gc)
{
    size_t work = SIZE_MAX;
    if (gc->count.cycles.phase != CYCLES_NONE) {
        leave_the_rest(gc, &work);
        cycles_give_trials(gc, &work);
        end(gc);
    }
}

/* -- a round -- */

bool cycles_wanted(const struct gc *gc)
{
    return gc->count.cycles.phase != CYCLES_NONE || gc->count.noted || gc->count.large_noted;
}

bool cycles_begin(struct gc *gc)
{
    struct cycles *c = &gc->count.cycles;
    if (!cycles_wanted(gc)) {
        return false;
    }
    count_figures(gc);
    begin_phase(gc, CYCLES_MARKING);
    c->from = gc->count.noted;
    c->large_from = gc->count.large_noted || gc->no_roots;
    c->most = gc->no_roots ? SIZE_MAX : gc->used / GC_GRAIN + large_count(gc);
    gc->count.noted = NULL;
    gc->count.large_noted = false;
    return true;
}

bool cycles_proceed(struct gc *gc, size_t *work)
{
    struct cycles *c = &gc->count.cycles;
    while (*work && c->phase != CYCLES_NONE) {
        switch (c->phase) {
        case CYCLES_MARKING:
            mark_some(gc, work);
            break;
        case CYCLES_SCANNING:
            scan_some(gc, work);
            break;
        case CYCLES_FINISHERS:
            if (cycles_order_finishers(gc, work)) {
                to(gc, gc->no_roots ? CYCLES_CLEANING : CYCLES_COLLECTING);
            }
            break;
        case CYCLES_COLLECTING:
            collect_some(gc, work);
            break;
        case CYCLES_ABORTING:
            abort_some(gc, work);
            break;
        case CYCLES_CLEANING:
            if (cycles_give_trials(gc, work)) {
                end(gc);
            }
            break;
        case CYCLES_NONE:
            break;
        }
    }
    return c->phase == CYCLES_NONE;
}
