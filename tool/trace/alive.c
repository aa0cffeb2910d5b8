/* Linear probing, and back-shifting removal. */
#include <stdlib.h>

#include "trace/alive.h"

#define FIRST_SLOTS 1024

/* Never 0. Blocks lie below 2^48, and processes count from 1: the exception is nobody's block. */
static uint64_t key_of(uint32_t process, uint64_t address)
{
    uint64_t key = address + ((uint64_t)process << 48);
    return key ? key : 1;
}

/* By the product's upper bits: those of the process have a say in them, too. */
static size_t home(const struct alive *alive, uint64_t key)
{
    return (size_t)(key * 0x9e3779b97f4a7c15 >> __builtin_clzll(alive->mask));
}

static size_t place_of(const struct alive *alive, uint64_t key)
{
    size_t at = home(alive, key);

    while (alive->slot[at] && alive->slot[at] != key) {
        at = (at + 1) & alive->mask;
    }
    return at;
}

void alive_done(struct alive *alive)
{
    free(alive->slot);
    *alive = (struct alive){0};
}

enum alive_answer alive_is(const struct alive *alive, uint32_t process, uint64_t address)
{
    if (!alive->slot) {
        return alive->given_up ? ALIVE_UNKNOWN : ALIVE_NO;
    }
    return alive->slot[place_of(alive, key_of(process, address))] ? ALIVE_YES : ALIVE_NO;
}

static bool grow(struct alive *alive)
{
    struct alive larger = {.mask = alive->slot ? alive->mask * 2 + 1 : FIRST_SLOTS - 1, .count = alive->count};

    larger.slot = calloc(larger.mask + 1, sizeof *larger.slot);
    if (!larger.slot) {
        return false;
    }
    for (size_t i = 0; alive->slot && i <= alive->mask; i++) {
        if (alive->slot[i]) {
            larger.slot[place_of(&larger, alive->slot[i])] = alive->slot[i];
        }
    }
    free(alive->slot);
    *alive = larger;
    return true;
}

void alive_begins(struct alive *alive, uint32_t process, uint64_t address)
{
    if (alive->given_up) {
        return;
    }
    bool full = !alive->slot || alive->count >= (alive->mask + 1) / 4 * 3;
    if (alive->count >= ALIVE_MOST || (full && !grow(alive))) {
        alive_done(alive);
        alive->given_up = true;
        return;
    }
    uint64_t key = key_of(process, address);
    alive->slot[place_of(alive, key)] = key;
    alive->count++;
}

void alive_ends(struct alive *alive, uint32_t process, uint64_t address)
{
    if (alive->given_up) {
        return;
    }
    size_t gap = place_of(alive, key_of(process, address));
    for (size_t at = (gap + 1) & alive->mask; alive->slot[at]; at = (at + 1) & alive->mask) {
        /* What would still be found from its home when it stood in the gap moves there. */
        if (((at - home(alive, alive->slot[at])) & alive->mask) >= ((at - gap) & alive->mask)) {
            alive->slot[gap] = alive->slot[at];
            gap = at;
        }
    }
    alive->slot[gap] = 0;
    alive->count--;
}
