/* gc/count_collect.c - when a counting heap looks for circles, and for how long. See gc/cycles.h.
 *
 *   get_slow:  since >= due? ----> a round, or with step_ns as much of one as that lasts; the next after so many bytes more
 *   collect:   rounds until nothing is found any more
 *   cycles:    so much work;  step: so much time, in pieces
 *
 * A round that goes by steps keeps pace with the program by its work, not its time: the next step comes after as many bytes as that did
 * work. An object costs some eight from MARKING to CLEANING, and is at least 16 bytes, so a heap grows by half at most while a round is
 * open.
 *
 *   since = bytes handed out since the last round - 7/8 of those that have gone by their counts since
 *
 * What has gone is on no circle, so what there can be of circles has grown by the rest at most, and the heap holds at most what it held
 * after the last round, and `due` more. But it may have shrunk meanwhile, and the circles not: so an eighth counts, and circles are looked
 * for after eight times `due` at the latest. What a round found says nothing about when to look again, nor does what is resident.
 */
#include <errno.h>

#include "gc/count_ops.h"
#include "os/process.h"

#define PIECE (2 * COUNT_STEP) /* work */

/* A round is over: when the next is due. */
static void settle_figures(struct gc *gc)
{
    count_figures(gc);
    gc->count.freed_seen = gc->freed;
    gc_set_due(gc);
}

/* The world stands. */
static bool is_due(struct gc *gc)
{
    count_figures(gc);
    uint64_t gone = (gc->freed - gc->count.freed_seen) / 8 * 7;
    gc->count.freed_seen = gc->freed;
    gc->since -= size_min(gc->since, gone);
    return gc->since >= gc->due;
}

static int note_unit(struct gc *gc, struct count_unit *u, void *arg)
{
    (void)arg;
    cycles_note(gc, count_object(u, 0), 0);
    return 0;
}

static void finish_anyway(struct gc *gc, void *object)
{
    uint64_t header = *gc_header(object);
    if (header & COUNT_MASK && gc_type(header)->finish && count_finish_of(object)->age) {
        count_more_locked(gc, object);
        count_queue_due(gc, object);
    }
}

static int finish_unit(struct gc *gc, struct count_unit *u, void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < u->slots; i++) {
        finish_anyway(gc, count_object(u, i));
    }
    return 0;
}

/* What the round that is open has let go goes, or is finished before it does, ahead of all others. */
static void end_round_early(struct gc *gc)
{
    size_t work = SIZE_MAX;
    count_work_off(gc, &gc->count.finder, &work);
    count_queue_hands_due(gc, &gc->count.finder);
    cycles_drop(gc);
}

void count_collect(struct gc *gc)
{
    bool more = true;
    if (gc->no_roots) {
        end_round_early(gc);
        count_each_unit(gc, note_unit, NULL);
    }
    for (size_t work = SIZE_MAX; more && cycles_wanted(gc); work = SIZE_MAX) {
        uint64_t found = gc->count.cycles.found;
        bool begun = gc->count.cycles.phase != CYCLES_NONE;
        if (!begun) {
            cycles_begin(gc);
        }
        cycles_proceed(gc, &work);
        more = begun || (found != gc->count.cycles.found && !gc->no_roots);
    }
    settle_figures(gc);
    count_give_empties(gc, 0);
    if (gc->no_roots && !gc->count.due && gc->count.unfinished) { /* memory was out for their order */
        count_each_unit(gc, finish_unit, NULL);
        for (size_t i = 0; i < large_count(gc); i++) {
            void *object;
            count_large_nth(gc, i, &object);
            finish_anyway(gc, object);
        }
    }
}

static bool step(struct gc *gc, uint64_t deadline, size_t *done)
{
    bool over = gc->count.cycles.phase == CYCLES_NONE && !cycles_begin(gc);
    while (!over) {
        size_t work = PIECE;
        over = cycles_proceed(gc, &work);
        *done += PIECE - work;
        if (os_nanoseconds() >= deadline) {
            break;
        }
    }
    if (over) {
        settle_figures(gc);
    } else {
        count_figures(gc);
    }
    return over;
}

bool count_step(struct gc *gc, uint64_t deadline)
{
    size_t done = 0;
    return step(gc, deadline, &done);
}

void count_due(struct mutator *me)
{
    struct gc *gc = me->gc;
    if (!cycles_wanted(gc)) {
        settle_figures(gc);
        return;
    }
    if (!gc_stop(gc, me)) {
        return;
    }
    if (!is_due(gc)) {
        gc_go_on(gc);
        return;
    }
    if (gc->opts.step_ns == 0) {
        size_t work = SIZE_MAX;
        cycles_begin(gc);
        cycles_proceed(gc, &work);
        settle_figures(gc);
        gc->stats.collections++;
    } else {
        size_t done = 0;
        gc->stats.steps++;
        if (step(gc, os_deadline(gc->opts.step_ns), &done)) {
            gc->stats.collections++;
        } else {
            gc->since = gc->due - size_min(done, gc->due);
        }
    }
    gc_go(gc);
}

/* The lock is held. Whether the round is over. */
static bool work_on(struct mutator *me, size_t *work)
{
    struct gc *gc = me->gc;
    while (!gc_stop(gc, me)) {
    }
    bool over = gc->count.cycles.phase == CYCLES_NONE && !cycles_begin(gc);
    over = over || cycles_proceed(gc, work);
    if (over) {
        settle_figures(gc);
        gc->stats.collections++;
    } else {
        count_figures(gc);
    }
    gc_go(gc);
    return over;
}

size_t count_cycles(struct mutator *me, size_t max_work)
{
    struct gc *gc = me->gc;
    size_t work = max_work ? max_work : SIZE_MAX;
    uint64_t unfinished = UINT64_MAX;
    os_lock(&gc->lock);
    uint64_t freed = gc->count.finder.freed + me->count.hand.freed;
    bool again = true;
    while (again && work) {
        uint64_t found = gc->count.cycles.found;
        bool over = work_on(me, &work);
        bool finished = gc->count.due && !gc_is(gc, ALLOT_GC_BY_HAND) && gc->count.unfinished < unfinished;
        unfinished = gc->count.unfinished;
        if (finished) {
            os_unlock(&gc->lock);
            count_finish(gc, me, 0);
            os_lock(&gc->lock);
        }
        again = max_work == 0 && over && cycles_wanted(gc) && (finished || found != gc->count.cycles.found);
    }
    freed = gc->count.finder.freed + me->count.hand.freed - freed;
    os_unlock(&gc->lock);
    return freed;
}

/* -- the heap's end -- */

void count_done(struct gc *gc)
{
    cycles_drop(gc);
    count_side_done(gc);
    count_units_done(gc);
}

int count_init(struct gc *gc)
{
    gc->aside = UNIT_SIZE;
    return 0;
}
