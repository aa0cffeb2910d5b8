/* See slots.h. */
#include "replay/slots.h"

#include <stdlib.h>

#include "pool/pool.h"
#include "span/segment.h"

_Static_assert(SLAB_METADATA == UNIT_SIZE / 64, "a unit of a segment, whose first has it all");

static struct set *set_of_slots(const struct slots *s) { return ((struct pool *)s->pool.state)->set; }

static bool begin(struct slots *s, size_t stride)
{
    return s->pool.state || allot_pool_init(&s->pool, stride, &(struct allot_pool_opts){.name = "replay"}) == 0;
}

void *slots_get(struct slots *s, size_t stride, uint64_t *slabs)
{
    if (!begin(s, stride)) {
        return NULL;
    }
    size_t before = set_of_slots(s)->slabs;
    void *object = allot_pool_get(&s->pool);
    *slabs += set_of_slots(s)->slabs - before;
    s->out += object != NULL;
    return object;
}

size_t slots_get_many(struct slots *s, size_t stride, void **objects, size_t count, uint64_t *slabs)
{
    if (!begin(s, stride)) {
        return 0;
    }
    size_t before = set_of_slots(s)->slabs, got = allot_pool_get_many(&s->pool, objects, count);
    *slabs += set_of_slots(s)->slabs - before;
    s->out += got;
    return got;
}

void slots_put(struct slots *s, void *object, uint64_t *slabs)
{
    size_t before = set_of_slots(s)->slabs;
    allot_pool_put(&s->pool, object);
    *slabs += set_of_slots(s)->slabs - before;
    s->out--;
}

void slots_end(struct slots *s)
{
    if (s->pool.state) {
        allot_pool_done(&s->pool);
    }
}

/* -- what is memory -- */

static uintptr_t slab_at(const void *object) { return (uintptr_t)object & ~(uintptr_t)(UNIT_SIZE - 1); }

/* Where it is, or would be. */
static struct place *find(const struct unit_places *p, uintptr_t slab)
{
    uint64_t i = (slab >> UNIT_SHIFT) * 0x9e3779b97f4a7c15u >> 20 & (p->room - 1);
    while (p->place[i].slab && p->place[i].slab != slab) {
        i = (i + 1) & (p->room - 1);
    }
    return &p->place[i];
}

bool unit_places_ready(struct unit_places *p)
{
    if (2 * p->count < p->room) {
        return true;
    }
    struct unit_places grown = *p;
    grown.room = p->room ? 2 * p->room : 64;
    grown.place = calloc(grown.room, sizeof *grown.place);
    grown.idle = malloc(grown.room * sizeof *grown.idle);
    if (!grown.place || !grown.idle) {
        unit_places_end(&grown);
        return false;
    }
    for (uint64_t i = 0; i < p->room; i++) {
        if (p->place[i].slab) {
            *find(&grown, p->place[i].slab) = p->place[i];
        }
    }
    for (uint64_t i = 0; i < p->idles; i++) {
        grown.idle[i] = p->idle[i];
    }
    unit_places_end(p);
    *p = grown;
    return true;
}

static uint16_t pages_until(size_t bytes)
{
    return (uint16_t)(((uint32_t)1 << (bytes + MODEL_PAGE - 1) / MODEL_PAGE) - 1);
}

static void forget(struct unit_places *p, struct place *place, uint16_t touched)
{
    uint64_t pages = (uint64_t)__builtin_popcount(place->touched & touched);
    p->pages -= pages;
    p->of_class[place->class] -= pages;
    place->touched &= (uint16_t)~touched;
}

/* Pages of its own that the object has, which is in no slab; else 0. */
static size_t pages_of_run(const void *object, size_t bytes)
{
    return segment_of(object)->kind == SEGMENT_RUNS ? (bytes + MODEL_PAGE - 1) / MODEL_PAGE : 0;
}

void unit_places_out(struct unit_places *p, const void *object, size_t bytes, unsigned class)
{
    struct place *place = find(p, slab_at(object));
    const struct slab *s = slab_of(object);
    if (!place->slab) {
        *place = (struct place){.slab = slab_at(object), .at = p->from + p->count++ * UNIT_SIZE};
    }
    size_t own = pages_of_run(object, bytes);
    if (own) {
        p->pages += own;
        p->of_class[class] += own;
        return;
    }
    if (place->out++ == 0) {
        /* Perhaps another slab has begun there. */
        bool same = place->owner == slab_owner(s) && place->class == class;
        forget(p, place, same ? (uint16_t)~pages_until(s->fresh * slab_stride(s)) : UINT16_MAX);
        place->owner = slab_owner(s);
        place->class = (uint8_t) class;
    }
    size_t offset = (uintptr_t)object - place->slab;
    size_t end = offset + bytes < UNIT_SIZE ? offset + bytes : UNIT_SIZE;
    uint16_t on = pages_until(end) & (uint16_t) ~(pages_until(offset + 1) >> 1);
    uint64_t more = (uint64_t)__builtin_popcount(on & (uint16_t)~place->touched);
    p->pages += more;
    p->of_class[place->class] += more;
    place->touched |= on;
}

void unit_places_back(struct unit_places *p, const void *object, size_t bytes, unsigned class)
{
    size_t own = pages_of_run(object, bytes);
    if (own) {
        p->pages -= own;
        p->of_class[class] -= own;
        return;
    }
    struct place *place = find(p, slab_at(object));
    if (--place->out == 0 && !place->idle) {
        place->idle = true;
        p->idle[p->idles++] = place->slab;
    }
}

void unit_places_sweep(struct unit_places *p)
{
    uint64_t to = 0;
    for (uint64_t i = 0; i < p->idles; i++) {
        struct place *place = find(p, p->idle[i]);
        bool gone = place->out == 0 && slab_owner(slab_of((void *)place->slab)) != place->owner;
        if (gone) {
            forget(p, place, UINT16_MAX);
        }
        place->idle = place->out == 0 && !gone;
        if (place->idle) {
            p->idle[to++] = place->slab;
        }
    }
    p->idles = to;
}

uint64_t unit_places_of(const struct unit_places *p, const void *object)
{
    return find(p, slab_at(object))->at + ((uintptr_t)object - slab_at(object));
}

void unit_places_end(struct unit_places *p)
{
    free(p->place);
    free(p->idle);
    p->place = NULL;
    p->idle = NULL;
}
