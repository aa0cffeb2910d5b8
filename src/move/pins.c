/* move/pins.c - how many pins an object has, of the few that have more than two at a time: a hash table by slot.
 *
 * Open addressing, linear probes; what goes is replaced from behind (Knuth, The Art of Computer Programming 3, 6.4, algorithm R). O(1) on
 * average, as at most half of it is in use.
 */
#include "move/movable.h"

#include "os/memory.h"

static size_t home(const struct pins *pins, uint32_t slot) { return slot * 0x9e3779b1u & (pins->room - 1); }

static struct pinned *place_of(const struct pins *pins, uint32_t slot)
{
    size_t i = home(pins, slot);
    while (pins->of[i].count && pins->of[i].slot != slot) {
        i = (i + 1) & (pins->room - 1);
    }
    return &pins->of[i];
}

static bool grow(struct pins *pins)
{
    struct pins more = {.used = pins->used, .room = pins->room ? pins->room * 2 : os_page / sizeof *pins->of};
    more.of = os_map(more.room * sizeof *more.of);
    if (!more.of) {
        return false;
    }
    for (size_t i = 0; i < pins->room; i++) {
        if (pins->of[i].count) {
            *place_of(&more, pins->of[i].slot) = pins->of[i];
        }
    }
    pins_free(pins);
    *pins = more;
    return true;
}

bool pins_more(struct movable *h, uint32_t slot)
{
    struct pins *pins = &h->pins;
    if (pins->used * 2 >= pins->room && !grow(pins)) {
        return false;
    }
    *place_of(pins, slot) = (struct pinned){slot, PINS_MANY};
    pins->used++;
    return true;
}

uint32_t pins_add(struct movable *h, uint32_t slot, int by)
{
    struct pinned *p = place_of(&h->pins, slot);
    CHECK(p->count >= PINS_MANY && p->count < UINT32_MAX, "pins of a movable heap", p);
    return p->count += (uint32_t)by;
}

void pins_drop(struct movable *h, uint32_t slot)
{
    struct pins *pins = &h->pins;
    size_t hole = (size_t)(place_of(pins, slot) - pins->of), mask = pins->room - 1;
    for (size_t i = (hole + 1) & mask; pins->of[i].count; i = (i + 1) & mask) {
        if (((i - home(pins, pins->of[i].slot)) & mask) >= ((i - hole) & mask)) {
            pins->of[hole] = pins->of[i];
            hole = i;
        }
    }
    pins->of[hole].count = 0;
    pins->used--;
}

uint32_t pins_count(const struct movable *h, uint32_t slot)
{
    return h->pins.used ? place_of(&h->pins, slot)->count : 0;
}

void pins_free(struct pins *pins)
{
    if (pins->of) {
        os_unmap(pins->of, pins->room * sizeof *pins->of);
    }
    *pins = (struct pins){0};
}
