/* gc/count_check.c - the objects of a counting heap, one after the other, and the proof of its equations. See gc/count.h.
 *
 *   count of an object = references to it in objects + those that the program has          the latter: at least 0, each; their sum is
 *                                                                                          gc->count.outside
 *   used of a unit = its allocated bits; who is not allocated is zero
 *   a candidate's unit is noted
 *   trial count of a member <= references to it from members that have been COUNTED          as gc/cycles.h says
 *
 * What an object that has gone still refers to is the program's until it has been seen to (count_release.c).
 */
#include "gc/count_ops.h"
#include "os/fault.h"
#include "os/memory.h"

/* It has gone, or is garbage that goes. */
static bool is_dead(const struct gc *gc, const void *object)
{
    const struct cycles *c = &gc->count.cycles;
    const uint32_t *entry = c->phase == CYCLES_COLLECTING ? cycles_entry(gc, object) : NULL;
    return (gc_header_of(object) & COUNT_MASK) == 0 ||
           (entry && (*entry & (TRIAL_IN | TRIAL_LIVE | TRIAL_KEPT)) == TRIAL_IN);
}

struct walk {
    int (*visit)(void *, const struct allot_gc_type *, size_t, void *);
    void *arg;
};

static int walk_unit(struct gc *gc, struct count_unit *u, void *arg)
{
    const struct walk *walk = arg;
    int end = 0;
    for (unsigned i = 0; i < u->slots && !end; i++) {
        void *object = count_object(u, i);
        if (gc_header_of(object) && !is_dead(gc, object)) {
            end = walk->visit(object, gc_type(gc_header_of(object)), count_size_of(object), walk->arg);
        }
    }
    return end;
}

int count_walk(struct gc *gc, int (*visit)(void *, const struct allot_gc_type *, size_t, void *), void *arg)
{
    return count_each_unit(gc, walk_unit, &(struct walk){visit, arg});
}

bool count_is_dead(const struct gc *gc, const void *object) { return is_dead(gc, object); }

void *count_object_at(struct gc *gc, uintptr_t word, bool interior)
{
    (void)gc;
    const struct count_unit *u = count_unit_of((const void *)word);
    if (!u->slots || word % UNIT_SIZE < 2 * ALLOT_GC_HEADER) {
        return NULL;
    }
    unsigned i = count_index(u, (const void *)word);
    if (i >= u->slots) {
        return NULL;
    }
    void *object = count_object(u, i);
    bool is = gc_header_of(object) && (interior ? word >= (uintptr_t)object : word == (uintptr_t)object);
    return is ? object : NULL;
}

size_t count_size(const struct gc *gc, const void *object)
{
    (void)gc;
    return count_size_of(object);
}

/* -- proof -- */

struct proof {
    struct allot_gc_visit visit; /* first */
    struct gc *gc;
    const void *object;
    uint32_t *words; /* two for each slot, and each large object: references, and such from COUNTED members */
    size_t next, room;
    const uint32_t *entry; /* of the object */
};

static size_t large_index(const struct gc *gc, const void *object)
{
    size_t from = 0, to = large_count(gc);
    while (to - from > 1) {
        size_t middle = (from + to) / 2;
        *(large_nth(gc, middle)->at <= (const char *)object ? &from : &to) = middle;
    }
    return from;
}

static uint32_t *words_of(const struct proof *p, const void *object)
{
    if (gc_header_of(object) & GC_LARGE) {
        return p->words + 2 * large_index(p->gc, object);
    }
    const struct count_unit *u = count_unit_of(object);
    return u->proof + 2 * count_index(u, object);
}

static void count_slot(struct allot_gc_visit *visit, void **slot)
{
    struct proof *p = (struct proof *)visit;
    const struct cycles *c = &p->gc->count.cycles;
    if (*slot) {
        uint32_t *words = words_of(p, *slot);
        words[0]++;
        bool later = c->phase == CYCLES_MARKING && c->part == p->object && slot >= (void **)c->part + c->word;
        words[1] += p->entry && *p->entry & TRIAL_COUNTED && !later;
    }
}

static void no_word(struct allot_gc_visit *visit, uintptr_t word)
{
    (void)visit;
    (void)word;
}

static void count_references(struct proof *p, void *object)
{
    uint64_t header = gc_header_of(object);
    if ((header & COUNT_MASK) == 0 && !(gc_type(header)->finish && count_finish_of(object)->age)) {
        return; /* else it waits for its finisher, and refers to what it did */
    }
    p->entry = cycles_entry(p->gc, object);
    p->object = object;
    gc_visit_object(&p->visit, object, gc_type(header), count_size_of(object), count_slot, no_word);
}

static void prove_object(struct proof *p, void *object)
{
    struct gc *gc = p->gc;
    uint64_t header = gc_header_of(object);
    const uint32_t *words = words_of(p, object), *entry = cycles_entry(gc, object);
    bool side = count_side_find(gc, object) || gc_type(header) == &count_weak_type;
    CHECK(side == ((header & COUNT_SIDE) != 0), "object with something beside it", object);
    if ((header & COUNT_MASK) == 0 || (header & COUNT_MASK) == COUNT_STUCK) {
        return;
    }
    CHECK(header & ALLOT_GC_WATCHED, "header of object", object);
    CHECK(count_of(gc, object) >= words[0], "count of object", object);
    gc->count.outside += count_of(gc, object) - words[0];
    bool trial = gc->count.cycles.phase == CYCLES_MARKING || gc->count.cycles.phase == CYCLES_SCANNING;
    CHECK(!trial || !entry || *entry & TRIAL_LIVE || (*entry & TRIAL_COUNT) <= words[1], "trial count of object",
          object);
}

static int each_object(struct gc *gc, struct count_unit *u, void *arg)
{
    struct proof *p = arg;
    for (unsigned i = 0; i < u->slots; i++) {
        if (gc_header_of(count_object(u, i))) {
            (p->next ? count_references : prove_object)(p, count_object(u, i));
        }
    }
    (void)gc;
    return 0;
}

static int prove_unit(struct gc *gc, struct count_unit *u, void *arg)
{
    struct proof *p = arg;
    size_t used = 0;
    bool candidates = false;
    for (unsigned i = 0; i < u->slots; i++) {
        const uint64_t *begin = (const uint64_t *)(const void *)(count_data(u) + i * count_stride(u));
        if (bitmap_test(count_allocated(u, i / 64), i % 64)) {
            used++;
            uint64_t header = gc_header_of(count_object(u, i));
            candidates |= header & COUNT_CANDIDATE && header & COUNT_MASK;
            continue;
        }
        for (size_t w = 0; w < count_stride(u) / sizeof *begin; w++) {
            CHECK(begin[w] == 0, "free slot", begin);
        }
    }
    CHECK(gc->count.torn || used == u->used, "unit", u);
    CHECK(u->low == 0 || used == u->slots || gc->count.torn, "unit", u);
    CHECK(!candidates || u->noted || gc->count.cycles.unit == u, "unit with candidates", u);
    CHECK(!u->trial || u->trial->unit == u, "unit", u);
    u->proof = p->words ? p->words + p->next : NULL;
    p->next += 2 * (size_t)u->slots;
    return 0;
}

static int count_slots(struct gc *gc, struct count_unit *u, void *arg)
{
    (void)gc;
    *(size_t *)arg += 2 * (size_t)u->slots;
    return 0;
}

static void prove_lists(struct gc *gc)
{
    for (unsigned k = 0; k < 2 * COUNT_CLASSES; k++) {
        const struct count_unit *before = NULL;
        for (const struct count_unit *u = gc->count.with_room[k]; u; before = u, u = u->next) {
            CHECK(u->klass == k && u->low == 0 && !u->in_hand && u->prev == before, "list of units", u);
        }
    }
    size_t empties = 0;
    for (const struct count_unit *u = gc->count.empty; u; u = u->next) {
        CHECK(u->slots == 0 && !u->noted && !u->trial, "empty unit", u);
        empties++;
    }
    CHECK(empties == gc->count.empties, "empty units", gc);
}

void count_check(struct gc *gc)
{
    struct proof p = {.visit = {.slot = count_slot}, .gc = gc, .room = 2 * large_count(gc)};
    prove_lists(gc);
    count_each_unit(gc, count_slots, &p.room);
    p.words = p.room ? os_map(p.room * sizeof *p.words) : NULL;
    p.next = 2 * large_count(gc);
    count_each_unit(gc, prove_unit, &p);
    if (!p.words) { /* nothing to count, or no memory for it */
        return;
    }
    p.next = 1;
    count_each_unit(gc, each_object, &p);
    for (size_t i = 0; i < large_count(gc); i++) {
        void *object;
        count_large_nth(gc, i, &object);
        count_references(&p, object);
    }
    p.next = 0;
    gc->count.outside = 0;
    count_each_unit(gc, each_object, &p);
    for (size_t i = 0; i < large_count(gc); i++) {
        void *object;
        count_large_nth(gc, i, &object);
        prove_object(&p, object);
    }
    os_unmap(p.words, p.room * sizeof *p.words);
}
