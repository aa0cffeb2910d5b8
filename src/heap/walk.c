/* heap/walk.c - every live block, one by one; and the proof that the books are right.
 *
 * What is live is never recorded: it is what slabs have out, less what threads have at hand (heap/live.h). Here in place, for who is in
 * the process and wants neither memory nor order; snap/walk.c reads an image by the same rule, and has blocks by address, with owners.
 */
#include <allot/malloc.h>

#include "heap/guard.h"
#include "heap/heap.h"
#include "heap/instance.h"
#include "heap/live.h"
#include "heap/nothing.h"
#include "heap/part.h"
#include "heap/seal.h"
#include "heap/tag.h"
#include "os/fault.h"
#include "span/large.h"
#include "span/map.h"
#include "span/run.h"

/* -- this process's heap, as heap/live.h reads one -- */

static const void *own_at(const void *of, const void *address, size_t bytes)
{
    (void)of;
    (void)bytes;
    return address;
}

static bool own_is_lost(const void *of, const struct heap *h)
{
    (void)of;
    return heap_is_lost(h);
}

static const struct front *own_next_front(const void *of, const struct front *before, size_t *n)
{
    (void)of;
    (void)n;
    return before ? before->next : fronts_first();
}

static const struct heap *own_next_heap(const void *of, const struct heap *before, size_t *n)
{
    (void)of;
    (void)n;
    return before ? before->older : heaps_newest();
}

void heap_mark_live(const struct slab *s, uint64_t *map)
{
    static const struct live own = {NULL, own_at, own_is_lost, own_next_front, own_next_heap};
    const struct live_slab slab = {s, (uintptr_t)slab_data(s)};
    bool of_all = is_common(s); /* whose fronts come and go */
    if (of_all) {
        stats_lock();
    }
    live_mark(&own, &slab, heap_by_id(slab_owner(s)), map);
    if (of_all) {
        stats_unlock();
    }
}

/* What is held back after it was freed. */
static void unmark_waiting(const struct slab *s, uint64_t *map)
{
    for (unsigned w = 0; w < slab_words(s); w++) {
        for (uint64_t bits = map[w]; bits; bits &= bits - 1) {
            unsigned i = w * 64 + lowest_bit(bits);
            if (seal_says_free(slab_slot(s, i), slab_stride(s))) {
                bitmap_clear(map, i);
            }
        }
    }
}

static int walk_slab(const struct slab *s, int (*visit)(void *, size_t, void *), void *arg)
{
    uint64_t live[BITMAP_WORDS];
    size_t usable = slab_stride(s) - tag_word(slab_owner(s));
    heap_mark_live(s, live);
    if (sealed()) {
        unmark_waiting(s, live);
    }
    for (unsigned w = 0; w < slab_words(s); w++) {
        for (uint64_t bits = live[w]; bits; bits &= bits - 1) {
            void *p = slab_slot(s, w * 64 + lowest_bit(bits));
            int stop = visit(p, sealed() ? block_usable(p) : usable, arg);
            if (stop) {
                return stop;
            }
        }
    }
    return 0;
}

struct visitor {
    int (*visit)(void *, size_t, void *);
    void *arg;
};

static int visit_big(void *p, size_t bytes, uint32_t heap, void *arg)
{
    struct visitor *visitor = arg;
    if (unlikely(is_part(heap))) { /* an object's, which is no block */
        return 0;
    }
    return visitor->visit(p, sealed() ? block_usable(p) : bytes - tag_word(heap), visitor->arg);
}

int allot_walk(int (*visit)(void *block, size_t usable, void *arg), void *arg)
{
    const struct instance *first = instance_in_use();
    if (first) {
        return first->walk(visit, arg);
    }
    struct visitor visitor = {visit, arg};
    int nothing_stop = nothing_walk(visit, arg);
    if (nothing_stop) {
        return nothing_stop;
    }
    for (struct segment *segment = segments_newest(); segment; segment = segment->older) {
        int stop = 0;
        if (segment->kind == SEGMENT_RUNS) {
            stop = runs_walk(segment, visit_big, &visitor);
        }
        for (unsigned i = 1; i < UNITS && segment->kind == SEGMENT_UNITS && !stop; i++) {
            struct unit *unit = segment_unit(segment, i);
            stop = unit_owner(unit) < OWNER_LIMIT ? walk_slab((struct slab *)unit, visit, arg) : 0;
        }
        if (stop) {
            return stop;
        }
    }
    int stop = guard_walk(visit, arg);
    return stop ? stop : large_walk(visit_big, &visitor);
}

/* -- proof -- */

/* What a heap amounts to. */
struct sum {
    size_t slabs;
    ptrdiff_t out; /* bytes */
};

static void check_slab(const struct heap *h, unsigned c, const struct slab *s, struct sum *sum)
{
    CHECK(slab_owner(s) == h->id && s->klass == c, "slab", s);
    slab_check(s);
    sum->slabs++;
    sum->out += (ptrdiff_t)(s->used * slab_stride(s));
}

static void check_list(const struct heap *h, unsigned c, unsigned level, struct sum *sum)
{
    for (const struct slab *s = h->classes[c].list[level]; s; s = s->next) {
        CHECK(s->level == level && (!s->next || s->next->prev == s), "slab", s);
        CHECK(level == LEVEL_FULL || slab_out(s) < slab_nslots(s), "slab", s);
        check_slab(h, c, s, sum);
    }
}

size_t heap_check(const struct heap *h)
{
    struct sum sum = {0};
    CHECK(heap_by_id(h->id) == h, "heap", h);
    for (unsigned c = 0; c < ALL_CLASSES; c++) {
        const struct heap_class *class = &h->classes[c];
        size_t before = sum.slabs;
        ptrdiff_t out_before = sum.out;
        if (class->current) {
            check_slab(h, c, class->current, &sum);
        }
        for (unsigned l = 0; l <= LEVELS; l++) {
            CHECK((class->list[l] != NULL) == (class->occupied >> l & 1), "lists of class", class);
            check_list(h, c, l, &sum);
        }
        CHECK(sum.slabs - before == class->slabs && class->out <= class->most, "slabs of class", class);
        CHECK(sum.out - out_before == (ptrdiff_t)((size_t) class->out * class->stride), "slots of class", class);
    }
    CHECK(sum.out == h->out && sum.slabs == h->slabs, "heap", h);
    return sum.slabs;
}

bool allot_check(void)
{
    const struct instance *first = instance_in_use();
    if (first) {
        return first->check();
    }
    segments_check();
    runs_check();
    large_check();
    size_t listed = 0, lost = 0, found = 0;
    for (const struct heap *h = heaps_newest(); h; h = h->older) {
        listed += heap_is_lost(h) ? 0 : heap_check(h);
    }
    for (struct segment *segment = segments_newest(); segment; segment = segment->older) {
        for (unsigned i = 1; i < UNITS && segment->kind == SEGMENT_UNITS; i++) {
            struct unit *unit = segment_unit(segment, i);
            CHECK(!is_part(unit_owner(unit)) || part_by_id(unit_owner(unit)), "slab", unit);
            if (unit_owner(unit) < OWNER_LIMIT) {
                const struct heap *h = heap_by_id(slab_owner((struct slab *)unit));
                CHECK(h, "slab", unit);
                lost += heap_is_lost(h);
                found++;
            }
        }
    }
    CHECK(found == listed + lost, "slabs of all heaps", &listed);
    return true;
}
