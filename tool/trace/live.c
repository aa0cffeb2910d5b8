/* A hash of addresses with linear probing. */
#include <stdlib.h>

#include "trace/live.h"

/* By the product's upper bits, which depend on all bits of both. */
static size_t home(const struct live *live, uint32_t process, uint64_t address)
{
    uint64_t mixed = address * 0x9e3779b97f4a7c15 + process * 0xc2b2ae3d27d4eb4f;
    return (size_t)((mixed ^ mixed >> 32) * 0xd6e8feb86659fd93 >> __builtin_clzll(live->mask));
}

void live_done(struct live *live)
{
    free(live->slot);
    *live = (struct live){0};
}

static struct live_slot *place_of(const struct live *live, uint32_t process, uint64_t address)
{
    size_t at = home(live, process, address);

    while (live->slot[at].process && (live->slot[at].address != address || live->slot[at].process != process)) {
        at = (at + 1) & live->mask;
    }
    return &live->slot[at];
}

struct live_slot *live_find(const struct live *live, uint32_t process, uint64_t address)
{
    struct live_slot *slot = live->slot ? place_of(live, process, address) : NULL;
    return slot && slot->process ? slot : NULL;
}

static bool grow(struct live *live)
{
    struct live larger = {.mask = live->slot ? live->mask * 2 + 1 : 1023, .count = live->count};

    larger.slot = calloc(larger.mask + 1, sizeof *larger.slot);
    if (!larger.slot) {
        return false;
    }
    for (size_t i = 0; live->slot && i <= live->mask; i++) {
        if (live->slot[i].process) {
            *place_of(&larger, live->slot[i].process, live->slot[i].address) = live->slot[i];
        }
    }
    free(live->slot);
    *live = larger;
    return true;
}

struct live_slot *live_add(struct live *live, uint32_t process, uint64_t address, uint64_t value)
{
    if ((!live->slot || live->count > live->mask / 2) && !grow(live)) {
        return NULL;
    }
    struct live_slot *slot = place_of(live, process, address);
    *slot = (struct live_slot){address, value, process};
    live->count++;
    return slot;
}

void live_remove(struct live *live, struct live_slot *slot)
{
    size_t gap = (size_t)(slot - live->slot);

    for (size_t at = (gap + 1) & live->mask; live->slot[at].process; at = (at + 1) & live->mask) {
        /* What would still be found from its home when it stood in the gap moves there. */
        size_t from = home(live, live->slot[at].process, live->slot[at].address);
        if (((at - from) & live->mask) >= ((at - gap) & live->mask)) {
            live->slot[gap] = live->slot[at];
            gap = at;
        }
    }
    live->slot[gap].process = 0;
    live->count--;
}
