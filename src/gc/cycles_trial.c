/* gc/cycles_trial.c - what a round of the search for circles notes of its members, and what the program tells it meanwhile. See
 * gc/cycles.h.
 *
 *   arena:   unit ----> unit          trials are cut from them, one after the other, and all go at the round's end
 *   queue:   trial ----> trial        units with members that are to be visited: bits of the unit's pending map
 *
 * So a visit needs no stack: whatever waits is a bit, and a unit's members are visited one after the other while the unit is at hand.
 */
#include "gc/count_ops.h"

static struct cycles *cycles(struct gc *gc) { return &gc->count.cycles; }

/* -- entries -- */

uint32_t *cycles_entry(const struct gc *gc, const void *object)
{
    (void)gc;
    if (unlikely(gc_header_of(object) & GC_LARGE)) {
        return &large_object_of(object)->count;
    }
    const struct count_unit *u = count_unit_of(object);
    return u->trial ? &u->trial->entry[count_index(u, object)] : NULL;
}

/* Of a member; NULL: it is none. */
static uint32_t *member(const struct gc *gc, const void *object)
{
    uint32_t *entry = cycles_entry(gc, object);
    return entry && *entry & TRIAL_IN ? entry : NULL;
}

static size_t trial_bytes(const struct count_unit *u)
{
    return align_up(sizeof(struct trial) + u->slots * sizeof(uint32_t), GC_GRAIN);
}

static struct trial *cut(struct gc *gc, struct count_unit *u)
{
    struct cycles *c = cycles(gc);
    size_t bytes = trial_bytes(u);
    if ((size_t)(c->end - c->at) < bytes) {
        struct count_unit *unit = (struct count_unit *)gc_take_unit_set_aside(gc);
        if (!unit) {
            return NULL;
        }
        unit->next = c->arena;
        c->arena = unit;
        c->at = unit_data(&unit->unit);
        c->end = c->at + UNIT_SIZE;
    }
    struct trial *t = (struct trial *)(void *)c->at;
    c->at += bytes;
    memset(t, 0, bytes);
    c->extra += bytes / 128;
    t->unit = u;
    t->next = c->trials;
    c->trials = t;
    u->trial = t;
    return t;
}

uint32_t *cycles_join(struct gc *gc, void *object)
{
    uint32_t *entry = cycles_entry(gc, object);
    if (!entry) {
        struct count_unit *u = count_unit_of(object);
        struct trial *t = cut(gc, u);
        if (!t) {
            cycles(gc)->no_memory = true;
            return NULL;
        }
        entry = &t->entry[count_index(u, object)];
    }
    if (!(*entry & TRIAL_IN)) {
        *entry = TRIAL_IN;
        cycles(gc)->members++;
        cycles_pend(gc, object);
    }
    return entry;
}

/* -- members that are to be visited -- */

void cycles_pend(struct gc *gc, void *object)
{
    struct cycles *c = cycles(gc);
    if (unlikely(gc_header_of(object) & GC_LARGE)) {
        struct large_object *l = large_object_of(object);
        c->large_low = c->large_pending && c->large_low < (uintptr_t)l->at ? c->large_low : (uintptr_t)l->at;
        c->large_pending += !l->again;
        l->again = true;
        return;
    }
    struct count_unit *u = count_unit_of(object);
    struct trial *t = u->trial;
    unsigned i = count_index(u, object);
    uint64_t *word = count_pending(u, i / 64), bit = (uint64_t)1 << i % 64;
    if (*word & bit) {
        return;
    }
    *word |= bit;
    t->low = t->pending && t->low < i / 64 ? t->low : (uint8_t)(i / 64);
    t->pending++;
    if (!t->queued) {
        t->queued = true;
        t->queue_next = c->queue;
        c->queue = t;
    }
}

/* The first large object from an address on; NULL: none. */
static struct large_object *large_from(const struct gc *gc, uintptr_t address)
{
    size_t from = 0, to = large_count(gc);
    while (from < to) {
        size_t middle = (from + to) / 2;
        if ((uintptr_t)large_nth(gc, middle)->at < address) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    return from < large_count(gc) ? large_nth(gc, from) : NULL;
}

static void *object_of(struct large_object *l) { return l->at + 2 * sizeof(uint64_t); }

void *cycles_next_pending(struct gc *gc)
{
    struct cycles *c = cycles(gc);
    if (unlikely(c->large_pending)) {
        struct large_object *l = large_from(gc, c->large_low);
        while (!l->again) {
            l = large_from(gc, (uintptr_t)l->at + 1);
        }
        l->again = false;
        c->large_pending--;
        c->large_low = (uintptr_t)l->at;
        return object_of(l);
    }
    while (c->queue && c->queue->pending == 0) {
        c->queue->queued = false;
        c->queue = c->queue->queue_next;
    }
    struct trial *t = c->queue;
    if (!t) {
        return NULL;
    }
    unsigned w = t->low;
    while (!*count_pending(t->unit, w)) {
        w++;
    }
    uint64_t *word = count_pending(t->unit, w);
    unsigned i = w * 64 + lowest_bit(*word);
    *word &= *word - 1;
    t->low = (uint8_t)w;
    t->pending--;
    return count_object(t->unit, i);
}

/* -- all members -- */

void cycles_from_start(struct gc *gc, struct cycles_place *place)
{
    *place = (struct cycles_place){.trial = cycles(gc)->trials};
}

/* NULL: there is none any more, or the work is spent: that says which. */
void *cycles_next_member(struct gc *gc, struct cycles_place *place, size_t *work, uint32_t **entry)
{
    for (struct large_object *l; place->large != UINTPTR_MAX;) {
        l = large_from(gc, place->large);
        if (!l) {
            place->large = UINTPTR_MAX;
        } else if (*work == 0) {
            return NULL;
        } else {
            --*work;
            place->large = (uintptr_t)l->at + 1;
            if (l->count & TRIAL_IN) {
                *entry = &l->count;
                return object_of(l);
            }
        }
    }
    while (place->trial) {
        struct trial *t = place->trial;
        for (unsigned end = t->unit->slots; place->slot < end; place->slot++) {
            if (*work == 0) {
                return NULL;
            }
            if (t->entry[place->slot] & TRIAL_IN) {
                --*work;
                *entry = &t->entry[place->slot];
                return count_object(t->unit, place->slot++);
            }
            *work -= place->slot % 64 == 63;
        }
        place->trial = t->next;
        place->slot = 0;
    }
    return NULL;
}

/* -- the round's end -- */

bool cycles_give_trials(struct gc *gc, size_t *work)
{
    struct cycles *c = cycles(gc);
    for (; c->trials && *work; --*work) {
        struct count_unit *u = c->trials->unit;
        for (unsigned w = 0; c->trials->pending && w < count_words(u); w++) {
            *count_pending(u, w) = 0;
        }
        c->trials = c->trials->next;
        u->trial = NULL;
        count_unit_rests(gc, u);
    }
    for (; !c->trials && c->arena && *work; --*work) {
        struct count_unit *u = c->arena;
        c->arena = u->next;
        u->unit.touched = UNIT_SIZE / GC_GRAIN;
        gc_give_unit_set_aside(gc, (struct gc_unit *)u);
    }
    c->queue = NULL;
    return !c->trials && !c->arena;
}

/* -- what the program does meanwhile; with the lock held -- */

void cycles_note(struct gc *gc, const void *object, uint64_t header)
{
    if (unlikely(header & GC_LARGE)) {
        gc->count.large_noted = true;
        return;
    }
    struct count_unit *u = count_unit_of(object);
    if (!u->noted) {
        u->noted = true;
        u->noted_next = gc->count.noted;
        gc->count.noted = u;
    }
}

static void take_for_live(struct gc *gc, void *object, uint32_t *entry)
{
    if (!(*entry & TRIAL_LIVE)) {
        *entry |= TRIAL_LIVE;
        cycles(gc)->live++;
        cycles_pend(gc, object);
    }
}

void cycles_referred_now(struct gc *gc, void *object)
{
    uint32_t *entry = cycles(gc)->phase == CYCLES_SCANNING ? member(gc, object) : NULL;
    if (entry) {
        take_for_live(gc, object, entry);
    }
}

/* While MARKING it is enough to say so: SCANNING comes to all members. */
static void hold(struct gc *gc, void *object, uint32_t *entry)
{
    if (cycles(gc)->phase == CYCLES_SCANNING) {
        take_for_live(gc, object, entry);
    } else {
        *entry |= TRIAL_HELD;
    }
}

void cycles_held_now(struct gc *gc, void *object)
{
    uint32_t *entry = member(gc, object);
    if (entry) {
        hold(gc, object, entry);
    }
}

/* What the slot refers to has been counted with its object. */
static bool is_counted(struct gc *gc, const uint32_t *entry, const void *object, void *const *slot)
{
    const struct cycles *c = cycles(gc);
    return entry && *entry & TRIAL_COUNTED &&
           !(c->phase == CYCLES_MARKING && c->part == object && slot >= (void *const *)object + c->word);
}

static void count_down(struct gc *gc, const void *object)
{
    uint32_t *entry = member(gc, object);
    if (entry && *entry & TRIAL_COUNT) {
        --*entry;
    }
}

void cycles_written_now(struct gc *gc, void *object, void **slot, void *old)
{
    uint32_t *entry = member(gc, object);
    if (!is_counted(gc, entry, object, slot)) {
        return;
    }
    if (old) {
        count_down(gc, old);
    }
    hold(gc, object, entry);
}

void cycles_cut_now(struct gc *gc, void *object, void **slot, void *child)
{
    if (child && is_counted(gc, member(gc, object), object, slot)) {
        count_down(gc, child);
    }
}

void cycles_forget(struct gc *gc, void *object)
{
    struct cycles *c = cycles(gc);
    uint32_t *entry = member(gc, object);
    if (!entry) {
        return;
    }
    c->members--;
    c->live -= (*entry & TRIAL_LIVE) != 0;
    *entry = 0;
    if (c->part == object) {
        c->part = NULL;
    }
    if (unlikely(*gc_header(object) & GC_LARGE)) {
        c->large_pending -= large_object_of(object)->again;
        large_object_of(object)->again = false;
        return;
    }
    struct count_unit *u = count_unit_of(object);
    unsigned i = count_index(u, object);
    uint64_t *word = count_pending(u, i / 64), bit = (uint64_t)1 << i % 64;
    u->trial->pending -= (*word & bit) != 0;
    *word &= ~bit;
}

bool cycles_has_given_up(const struct gc *gc, const void *object)
{
    const uint32_t *entry = gc->count.cycles.phase > CYCLES_SCANNING && gc->count.cycles.phase < CYCLES_ABORTING
                                ? member(gc, object)
                                : NULL;
    return entry && !(*entry & TRIAL_LIVE);
}
