/* gc/copy_step.c - cycles: whole collections in steps, while the program runs in between; and when what is due. See gc/copy.h.
 *
 *   IDLE --> MARKING ------- nothing left to do, from the roots and with an empty nursery ------> SWEEPING --> EVACUATING --> IDLE
 *             old objects, by the worklist;                tables settled, in one go              a unit      a few units
 *             slots into wanted units are noted
 *
 * New objects are young, and promoted ones count as marked: so marking is of what was old when it began. An old object that is written to
 * is looked at once more, with the next collection of the young (Steele 1975). The nursery is the least there is meanwhile, as steps that
 * end marking, or evacuate, begin with a collection of it.
 *
 * A step looks at the clock each LOOKS objects, or units; its length is `max_ns`, that of a collection of the young, and what is
 * not divided: the roots, the tables of finishable and weak objects, and once the last piece of each.
 */
#include "gc/copy_parts.h"
#include "gc/copy_trace.h"
#include "os/fault.h"
#include "os/process.h"

enum {
    LOOKS = 128,
    SWEEPS = 4,
    TRIES = 16, /* ends of marking that found more to do than fits a step: then the step takes as long as it takes */
    NURSERY_LEAST = 1 << 20,
    NURSERY_FREE = 4 << 20, /* up to so much it grows though the heap has not held as much before */
    NS_EACH = 24,           /* to follow a slot, or copy an object: how much is evacuated in a step */
    TAKEN_MOST = 60000,     /* units of copies in a cycle, that serials may tell apart */
    DUE_LEAST = 256 * 1024
};

/* -- when -- */

/* Of what the heap has held at some time what is not in use now. */
static size_t room_below(const struct gc *gc, size_t held)
{
    return held - size_min(held, gc->held - gc->copy.spares * UNIT_SIZE);
}

/* Not all of it, as what is free below stays resident for a while. */
static size_t nearly_all_held(const struct gc *gc) { return gc->peak - gc->peak / 16; }

/* Due when so many bytes have been promoted: as the heap's opts say of what lives; but where that would take more memory than the heap has
 * held before, when a sixth of what lives has been. Half of that memory may be the nursery's. */
void copy_set_due(struct gc *gc)
{
    struct copy *c = &gc->copy;
    size_t live = gc->used, most = live / 100 * gc->opts.growth, room = room_below(gc, nearly_all_held(gc));
    c->nursery_most = size_min(size_max(room / 2 / UNIT_SIZE * UNIT_SIZE, NURSERY_FREE), gc->opts.young);
    room -= size_min(room, c->nursery_most);
    size_t due = size_max(size_min(size_max(live / 6, room), most), gc->opts.least);
    if (gc->opts.limit) {
        size_t left = gc->opts.limit - size_min(gc->opts.limit, gc->held + c->nursery);
        due = size_min(due, size_max(left, size_max(live / 16, DUE_LEAST)));
    }
    c->promoted = 0;
    c->due = due;
    gc->since = 0;
    gc->due = gc_is(gc, ALLOT_GC_PLAIN) ? due : c->nursery;
}

/* Where few survive, a larger nursery saves copies of what would have died soon; where most do, it saves nothing, and is made small again
 * if it takes memory that the heap has not had before. Whatever has survived so far, all of the next may: so it is never larger than what
 * it and as many copies find room in, but for the first NURSERY_FREE bytes. */
static void fit_nursery(struct gc *gc, size_t young)
{
    struct copy *c = &gc->copy;
    size_t left = c->due - size_min(c->due, c->promoted);
    bool room = left + 2 * c->nursery <= room_below(gc, nearly_all_held(gc));
    if (c->phase != COPY_IDLE || c->nursery > c->nursery_most || (c->survived > young / 4 * 3 && !room)) {
        c->nursery = size_max(c->nursery / 2, size_min(gc->opts.young, NURSERY_LEAST));
    } else if ((room || c->survived < young / 2) && 2 * c->nursery <= c->nursery_most) {
        c->nursery *= 2;
    }
    while (c->nursery > NURSERY_FREE && 2 * c->nursery > room_below(gc, gc->peak)) {
        c->nursery /= 2;
    }
}

static bool past(uint64_t deadline) { return deadline != UINT64_MAX && os_nanoseconds() >= deadline; }

/* What was made old, as it is large or of type MAYBE, counts as promoted. */
static void count_old_ones(struct gc *gc)
{
    struct copy *c = &gc->copy;
    c->promoted += gc->since - size_min(gc->since, c->young_bytes);
    gc->since = c->young_bytes;
}

static void collect_young(struct gc *gc)
{
    struct copy *c = &gc->copy;
    count_old_ones(gc);
    size_t young = c->young_bytes;
    copy_young(gc);
    gc->since = 0;
    fit_nursery(gc, young);
    copy_trim(gc);
}

/* -- marking -- */

static inline __attribute__((always_inline)) void slot_marking(struct allot_gc_visit *visit, void **slot)
{
    struct copy_visit *v = (struct copy_visit *)visit;
    copy_reach(v->gc, slot, COPY_MARKS | COPY_RECORDS, v->large);
}

static void called_marking(struct allot_gc_visit *visit, void **slot) { slot_marking(visit, slot); }

static void word_marking(struct allot_gc_visit *visit, uintptr_t word)
{
    copy_reach_word(((struct copy_visit *)visit)->gc, word, COPY_MARKS);
}

static void look_marking(struct copy_visit *visit, void *object)
{
    copy_look(visit, object, 0, COPY_MARKS, slot_marking, word_marking);
}

/* False: the deadline. */
static bool mark(struct gc *gc, uint64_t deadline)
{
    struct copy *c = &gc->copy;
    struct copy_visit visit = {.visit = {.slot = called_marking}, .gc = gc};
    for (;;) {
        for (uint64_t until = c->visited + LOOKS; c->work.count && c->visited < until;) {
            size_t from;
            void *object = worklist_pop(&c->work, &from);
            copy_look(&visit, object, from, COPY_MARKS, slot_marking, word_marking);
        }
        if (c->work.count == 0) {
            if (!c->again) {
                return true;
            }
            copy_look_again(&visit, look_marking);
        }
        if (past(deadline)) {
            return false;
        }
    }
}

static void mark_root(struct gc *gc, void **slot) { copy_reach(gc, slot, COPY_MARKS, false); }

static void mark_root_word(struct gc *gc, uintptr_t word) { copy_reach_word(gc, word, COPY_MARKS); }

static void begin(struct gc *gc)
{
    struct copy *c = &gc->copy;
    copy_count_cycle(gc);
    c->phase = COPY_MARKING;
    c->tries = 0;
    c->begun = c->promoted;
    copy_begin_copies(gc, true);
    c->maybe = (struct copy_bump){0};
    for (size_t i = 0; i < large_count(gc); i++) {
        large_nth(gc, i)->age = 1;
    }
    copy_forget_starts(gc);
    gc_visit_roots(gc, &(struct gc_root_visit){mark_root, mark_root_word});
}

static void note_slots_of(struct gc *gc, const struct gc_table *table, size_t slots)
{
    void ***all = table->at;
    for (size_t i = 0; i < table->count; i++) {
        for (size_t k = 0; k < slots; k++) {
            copy_reach_slot(gc, &all[i][k], false);
        }
    }
}

/* With the nursery empty. False: it is not the end yet. */
static bool end_marking(struct gc *gc, uint64_t deadline)
{
    struct copy *c = &gc->copy;
    collect_young(gc);
    if (!mark(gc, ++c->tries < TRIES ? deadline : UINT64_MAX)) {
        return false;
    }
    gc_settle(gc);
    copy_note_all_tables(gc);
    note_slots_of(gc, &gc->weak, 1);
    note_slots_of(gc, &gc->ephemeron, 2);
    CHECK(c->work.count == 0 && !c->again, "worklist of a heap", gc);
    c->swept = copy_sweep_large(gc);
    c->phase = COPY_SWEEPING;
    c->cursor = c->old;
    c->late = c->promoted;
    return true;
}

/* -- sweeping, evacuating -- */

static bool sweep(struct gc *gc, uint64_t deadline)
{
    struct copy *c = &gc->copy;
    while (copy_end_large(gc)) {
        if (past(deadline)) {
            return false;
        }
    }
    for (size_t n = 0; c->cursor; n++) {
        if (n % SWEEPS == SWEEPS - 1 && past(deadline)) {
            return false;
        }
        struct copy_unit *u = c->cursor;
        bool wanted = u->wanted == c->cycle;
        struct copy_slots *slots = u->slots;
        uint16_t noted = u->noted;
        c->cursor = u->next;
        size_t live = copy_sweep_unit(gc, u);
        c->swept += live;
        if (wanted && live) { /* what was noted of it holds */
            u->wanted = c->cycle;
            u->slots = slots;
            u->noted = noted;
        }
    }
    size_t live = c->swept + (c->promoted - c->late);
    copy_set_used(gc, live + c->young_bytes);
    c->phase = COPY_EVACUATING;
    c->cursor = c->old;
    return true;
}

void copy_end_sweep(struct gc *gc)
{
    if (gc->copy.phase == COPY_SWEEPING) {
        sweep(gc, UINT64_MAX);
    }
}

/* Units that are to be evacuated in this step, by what they cost; how many. */
static size_t choose(struct gc *gc, struct copy_unit **chosen, size_t most, uint64_t ns)
{
    struct copy *c = &gc->copy;
    size_t n = 0;
    uint64_t cost = 0;
    while (c->cursor && n < most && (n == 0 || cost < ns)) {
        struct copy_unit *u = c->cursor;
        c->cursor = u->next;
        if (u->wanted == c->cycle && c->taken < TAKEN_MOST) {
            u->is = COPY_FROM;
            cost += (u->noted + u->objects) * (uint64_t)NS_EACH;
            chosen[n++] = u;
        }
    }
    return n;
}

static void evacuate_some(struct gc *gc, uint64_t ns)
{
    struct copy_unit *chosen[64];
    collect_young(gc);
    size_t n = choose(gc, chosen, sizeof chosen / sizeof *chosen, ns);
    if (n == 0) {
        return;
    }
    copy_begin_copies(gc, false);
    copy_pin(gc, false);
    copy_reach_roots(gc);
    for (size_t i = 0; i < n; i++) {
        copy_each_slot(gc, chosen[i], copy_reach_slot);
    }
    copy_follow_all(gc);
    copy_end_copies(gc);
    for (size_t i = 0; i < n; i++) {
        chosen[i]->wanted = 0;
        if (chosen[i]->is == COPY_STAYS) {
            copy_settle_unit(gc, chosen[i]);
            chosen[i]->is = COPY_OLD;
        } else {
            copy_drop_old(gc, chosen[i]);
        }
    }
}

/* At least once, so that it comes to an end. */
static bool evacuate(struct gc *gc, uint64_t deadline)
{
    struct copy *c = &gc->copy;
    while (c->cursor) {
        uint64_t now = deadline == UINT64_MAX ? 0 : os_nanoseconds();
        evacuate_some(gc, now < deadline ? deadline - now : 0);
        if (past(deadline)) {
            break;
        }
    }
    if (c->cursor) {
        return false;
    }
    copy_drop_slots(gc);
    c->phase = COPY_IDLE;
    copy_set_due(gc);
    return true;
}

bool copy_step(struct gc *gc, uint64_t deadline)
{
    struct copy *c = &gc->copy;
    if (c->phase == COPY_IDLE) {
        begin(gc);
    }
    if (c->phase == COPY_MARKING && (!mark(gc, deadline) || !end_marking(gc, deadline) || past(deadline))) {
        return false;
    }
    if (c->phase == COPY_SWEEPING && (!sweep(gc, deadline) || past(deadline))) {
        return false;
    }
    return evacuate(gc, deadline);
}

/* -- what is due -- */

static void collect_due(struct gc *gc)
{
    gc->copy.is_due = true;
    gc_collect_stopped(gc);
    gc->copy.is_due = false;
}

/* The program allocates; the old grow by what is promoted. */
static void proceed(struct gc *gc)
{
    struct copy *c = &gc->copy;
    bool late = c->phase != COPY_IDLE && c->promoted - c->begun > c->due;
    if (c->phase == COPY_IDLE && gc->opts.step_ns == 0) {
        collect_due(gc);
    } else if (c->phase == COPY_IDLE || gc->opts.step_ns || late) {
        gc->stats.steps++;
        gc->stats.collections += copy_step(gc, late ? UINT64_MAX : os_deadline(gc->opts.step_ns));
    }
}

void copy_due(struct mutator *me)
{
    struct gc *gc = me->gc;
    struct copy *c = &gc->copy;
    if (!gc_stop(gc, me)) {
        return;
    }
    if (gc_is(gc, ALLOT_GC_PLAIN)) {
        collect_due(gc);
        gc_go(gc);
        return;
    }
    count_old_ones(gc);
    if (c->young_bytes >= c->nursery) {
        collect_young(gc);
    }
    if (c->phase != COPY_IDLE || c->promoted >= c->due) {
        proceed(gc);
    }
    gc->due = c->phase != COPY_IDLE && gc->opts.step_ns ? size_min(gc->since + c->nursery / 8, c->nursery) : c->nursery;
    gc_go(gc);
}
