/* heap/refill.c - from slabs to lists and back.
 *
 * A class hands out its current slab: first what its owner freed, then what others freed, then fresh slots. When it has
 * little to give the fullest slab with room takes its place, so that sparse ones run empty and go back, and fresh pages are
 * hardly touched while free slots lie elsewhere; with none, a new one.
 *
 * A slab leaves the full list once a sixteenth of it is free: a refill is then worth its cost. From there on its owner's
 * frees are counted when it is looked at, when a quarter of what was out and of a page has come back, or the last of its
 * blocks: `trip` counts down to that. So the list that a slab is on says how full it was, and picking moves it down first when
 * it is not so any more. (The lists by occupancy: tcmalloc's central free list; the countdown: snmalloc's `needed`.)
 */
#include <errno.h>
#include <string.h>

#include "base/list.h"
#include "heap/checks.h"
#include "heap/hard.h"
#include "heap/heap.h"
#include "heap/limit.h"
#include "heap/share.h"
#include "heap/typed.h"
#include "os/fault.h"
#include "os/process.h"

/* -- totals -- */

static atomic_long total, peak;

void bytes_count(ptrdiff_t bytes)
{
    long now = atomic_fetch_add_explicit(&total, bytes, memory_order_relaxed) + bytes;
    long most = atomic_load_explicit(&peak, memory_order_relaxed);
    while (now > most &&
           !atomic_compare_exchange_weak_explicit(&peak, &most, now, memory_order_relaxed, memory_order_relaxed)) {
    }
    share_note();
}

static size_t not_negative(long bytes) { return bytes > 0 ? (size_t)bytes : 0; }

size_t bytes_live(void) { return not_negative(atomic_load_explicit(&total, memory_order_relaxed)); }

size_t bytes_peak(void) { return not_negative(atomic_load_explicit(&peak, memory_order_relaxed)); }

/* -- the lists of a class -- */

static void unlist(struct heap_class *class, struct slab *s)
{
    list_remove(&class->list[s->level], s);
    if (!class->list[s->level]) {
        class->occupied &= ~(1u << s->level);
    }
}

static void enlist(struct heap_class *class, struct slab *s, unsigned level)
{
    s->level = (uint8_t)level;
    list_push(&class->list[level], s);
    class->occupied |= 1u << level;
}

/* Free slots from which on a full slab is worth a refill again: a sixteenth, or, where that is still many, half as many. At the
 * first, slabs come and go 50 times as often and everything takes 1.2 times as long; at a quarter, 4 % more memory is held
 * (docs/experiments.md, 8). Hardened, more than an eighth: one of many at random, and each word of the bitmap has some. */
static unsigned wake_at(const struct slab *s)
{
    unsigned slots = slab_nslots(s);
    if (is_hard()) {
        return slots / 8 + 1;
    }
    return slots < 16 ? 1 : slots / (slots < 1024 ? 16 : 32);
}

static unsigned occupancy(const struct slab *s) { return s->used * LEVELS / slab_nslots(s); }

static bool occupied_as_listed(const struct slab *s) { return s->used * LEVELS >= s->level * slab_nslots(s); }

static bool is_typed(const struct heap *h) { return fenced() && h->tag; }

static void release(struct heap *h, struct slab *s, bool live)
{
    if (sealed()) {
        hard_let_slab_go(s, live);
    }
    if (CHECKS_ARE_ON) {
        slab_check(s);
    }
    slab_done(s);
    if (is_typed(h)) {
        typed_give_unit(h, &s->unit);
    } else {
        unit_give(&s->unit);
    }
    limit_give(UNIT_SIZE);
}

void heap_settle(struct heap *h, struct slab *s)
{
    struct heap_class *class = &h->classes[s->klass];
    heap_sync(h, s);
    if (s == class->current) {
        slab_arm(s, TRIP_NEVER);
        return;
    }
    if (s->used == 0) {
        unlist(class, s);
        class->slabs--;
        heap_count_slabs(h, -1);
        release(h, s, false);
        return;
    }
    if (s->level == LEVEL_FULL) {
        unsigned free = slab_nslots(s) - s->used;
        if (free < wake_at(s)) {
            slab_arm(s, wake_at(s) - free);
            return;
        }
        unlist(class, s);
        enlist(class, s, occupancy(s));
    }
    sweep_note(h, s);
    heap_arm(h, s);
}

void heap_arm(const struct heap *h, struct slab *s)
{
    enum { QUARTER_PAGE = 1024 };
    bool swept = sweeps(h, &h->classes[s->klass]);
    size_t least = swept ? 1 : QUARTER_PAGE / slab_stride(s) + 1;
    slab_arm(s, (unsigned)size_min(size_max(s->used / (swept ? 8u : 4u), least), s->used));
}

/* A heap in which slabs change looks once a window at what is kept, also where nothing of the kind comes or goes any more. */
static void look_around(struct heap *h)
{
    enum { TURNS = 16 };
    if (likely(++h->turns % TURNS != 0) || in_haste) {
        return;
    }
    uint64_t now = os_milliseconds();
    if (now - h->looked_around < RESERVE_WINDOW) {
        return;
    }
    h->looked_around = now;
    heap_catch_up();
    if (h->noted_count) {
        heap_sweep(h);
    }
}

void heap_trip(struct heap *h, struct slab *s)
{
    heap_settle(h, s);
    if (unlikely(sweep_is_due(h))) {
        heap_sweep(h);
    }
    look_around(h);
    share_poll();
}

/* -- refill -- */

struct slab *heap_pick(struct heap *h, struct heap_class *class)
{
    for (size_t steps = 1; any_with_room(class); steps++) {
        struct slab *s = class->list[log2_floor(class->occupied & ((1u << LEVELS) - 1))];
        unlist(class, s);
        heap_sync(h, s);
        if (occupied_as_listed(s) || (in_haste && steps == HASTE_STEPS)) {
            return s;
        }
        enlist(class, s, occupancy(s));
        heap_arm(h, s);
    }
    return NULL;
}

void heap_hand_over(struct heap *from, struct heap *to, struct slab *s)
{
    struct heap_class *old = &from->classes[s->klass], *new = &to->classes[s->klass];
    heap_count(from, s, -(int)s->used);
    old->slabs--;
    heap_count_slabs(from, -1);
    s->noted = false;
    /* Who frees a block of it may not have heard of that heap otherwise. */
    atomic_store_explicit(&s->unit.owner, to->id, memory_order_release);
    heap_count(to, s, (int)s->used);
    new->stride = old->stride;
    new->slabs++;
    heap_count_slabs(to, 1);
}

/* Puts the current slab of a class on a list, or gives it back when nothing of it is out. */
static void retire_current(struct heap *h, unsigned c)
{
    struct heap_class *class = &h->classes[c];
    struct slab *s = class->current;
    class->current = NULL;
    if (is_hard() && h->hard) {
        hard_let_go(h, c);
    }
    enlist(class, s, LEVEL_FULL);
    heap_settle(h, s);
}

/* So many slabs are enough for what a thread uses over and over. */
enum { FEW_SLABS = 4 };

/* How much of another slab will be used. The first of a class: perhaps a few blocks are all that is wanted. After a few that
 * are full: as much as fits. */
static enum unit_use expected_use(const struct heap_class *class)
{
    enum { PAGE = 4096 };
    bool fills = UNIT_SIZE - slab_slots_of(class->stride) * class->stride < PAGE;
    return class->slabs == 0 ? UNIT_FEW : class->slabs >= FEW_SLABS && fills ? UNIT_ALL : UNIT_SOME;
}

static struct unit *take_unit_of(const struct heap *h, enum unit_use use)
{
    return is_typed(h) ? typed_take_unit(h) : unit_take(use);
}

static struct unit *take_unit(const struct heap *h, enum unit_use use)
{
    if (!limit_take(UNIT_SIZE)) {
        return NULL;
    }
    struct unit *unit = take_unit_of(h, use);
    if (!unit && big_give_up() > 0) {
        unit = take_unit_of(h, use);
    }
    if (!unit) {
        limit_give(UNIT_SIZE);
    }
    return unit;
}

bool heap_replace_current(struct heap *h, unsigned c)
{
    struct heap_class *class = &h->classes[c];
    look_around(h);
    if (class->current) {
        retire_current(h, c);
    } else { /* with a current slab, heap_should_replace has done so */
        remote_drain(h, drain_steps());
    }
    struct slab *s = heap_pick(h, class);
    class->current = s ? s : heap_inherit(h, c);
    return class->current;
}

bool heap_begin_current(struct heap *h, unsigned c)
{
    struct heap_class *class = &h->classes[c];
    catch_up();
    class->stride = c < CLASSES ? (uint32_t)class_size(c) : class->stride;
    struct unit *unit = take_unit(h, expected_use(class));
    if (!unit) {
        return false;
    }
    class->slabs++;
    heap_count_slabs(h, 1);
    class->current = (struct slab *)unit;
    slab_init(unit, h->id, class->stride, c);
    return true;
}

bool heap_should_replace(struct heap *h, const struct heap_class *class)
{
    const struct slab *s = class->current;
    if (s->nlocal + s->nmarked == 0) {
        remote_drain(h, drain_steps());
    }
    bool little = s->nlocal + s->nmarked < wake_at(s);
    return little && (any_with_room(class) || (is_hard() && s->fresh == slab_nslots(s)));
}

/* The chosen block comes before the end of the batch: it ends there, and the rest of it goes back. */
static void __attribute__((cold)) cut(struct heap *h, struct slab *s, struct batch *batch)
{
    int32_t *unsampled = &h->classes[s->klass].unsampled;
    if (is_shared_heap(h->id)) { /* whose blocks are not chosen from here */
        *unsampled = INT32_MAX;
        return;
    }
    int64_t left = *unsampled + (int64_t)batch->count, count = left > 1 ? left : 1;
    struct block *last = batch->first;
    for (int64_t i = 1; i < count; i++) {
        last = last->next;
    }
    unsigned rest = batch->count - (unsigned)count;
    s->local_free = last->next;
    last->next = NULL;
    s->nlocal += (uint16_t)rest;
    s->used -= (uint16_t)rest;
    batch->count = (unsigned)count;
    *unsampled = 0;
}

/* Slots that another heap's owner does not look at, as far as the chosen block: whatever they are, the class counts them. */
static struct block *take_adrift(struct heap *h, unsigned c)
{
    enum { MOST = 64 }; /* of a word */
    struct heap_class *class = &h->classes[c];
    bool may = class->slabs >= FEW_SLABS && class->unsampled > MOST && !is_sample_heap(h->id);
    struct block *first = may ? adrift_take(h, c) : NULL;
    for (const struct block *b = first; b; b = b->next) {
        class->unsampled--;
    }
    return first;
}

struct block *heap_refill(struct heap *h, unsigned c, unsigned group, struct block **list, bool *zeroed)
{
    struct heap_class *class = &h->classes[c];
    checks_refill(h);
    if (unlikely(sweep_is_due(h))) {
        heap_sweep(h);
    }
    for (bool looked = false;; looked = true) {
        struct slab *s = class->current;
        if (s) {
            heap_sync(h, s);
            if (looked || !heap_should_replace(h, class)) {
                struct batch batch = slab_take_batch(s, group);
                slab_arm(s, TRIP_NEVER);
                if (likely(batch.count)) {
                    if (unlikely((class->unsampled -= (int32_t)batch.count) < 0)) {
                        cut(h, s, &batch);
                    }
                    heap_count(h, s, (int)batch.count);
                    class->swept.filled += batch.filled;
                    *list = batch.first->next;
                    *zeroed = batch.zeroed;
                    return batch.first;
                }
            }
        }
        if (heap_replace_current(h, c)) {
            continue;
        }
        struct block *b = take_adrift(h, c);
        if (b) {
            *list = b->next;
            *zeroed = false;
            return b;
        }
        if (!heap_begin_current(h, c)) {
            errno = ENOMEM;
            return NULL;
        }
    }
}

/* -- giving back -- */

void heap_retire_current(struct heap *h)
{
    for (unsigned c = 0; c < ALL_CLASSES; c++) {
        struct slab *s = h->classes[c].current;
        if (s) {
            retire_current(h, c);
        }
    }
}

static void release_with_all(struct heap *h, struct slab *s)
{
    for (unsigned w = 0; w < slab_words(s); w++) {
        _Atomic uint64_t *remote = unit_remote_word(&s->unit, w);
        if (atomic_load_explicit(remote, memory_order_relaxed)) {
            atomic_store_explicit(remote, 0, memory_order_relaxed);
        }
    }
    release(h, s, true);
}

void heap_release_all(struct heap *h)
{
    for (unsigned c = 0; c < ALL_CLASSES; c++) {
        struct heap_class *class = &h->classes[c];
        if (class->current) {
            release_with_all(h, class->current);
        }
        for (unsigned l = 0; l <= LEVELS; l++) {
            for (struct slab *s = class->list[l], *next; s; s = next) {
                next = s->next;
                release_with_all(h, s);
            }
        }
        *class = (struct heap_class){0};
    }
    if (h->hard) {
        hard_forget(h);
    }
    bytes_count(-h->published);
    h->published = h->out = 0;
    h->slabs = h->slabs_most = 0;
    memset(h->tuning, 0, sizeof h->tuning);
}
