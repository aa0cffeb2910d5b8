/* units.c - units that come and go while others are purged. */
#include "scenarios.h"

#include "span/segment.h"
#include "system.h"

enum { UNITS_KEPT = 3, UNITS_FREED = 16 };
static struct unit *unit[UNITS_KEPT];

static void take_unit(struct unit **taken)
{
    *taken = unit_take(UNIT_SOME);
    EXPECT(*taken != NULL);
    size_t touched = (*taken)->touched * (size_t)16;
    uint64_t *data = (uint64_t *)unit_data(*taken);
    EXPECT(touched >= 16 || data[0] == 0);
    data[0] = 1;
    (*taken)->touched = 1;
}

static void purge_begins(void)
{
    threads_with_heaps(1);
    struct unit *freed[UNITS_FREED];
    for (unsigned i = 0; i < UNITS_FREED + UNITS_KEPT; i++) {
        take_unit(i < UNITS_FREED ? &freed[i] : &unit[i - UNITS_FREED]);
    }
    for (unsigned i = 0; i < UNITS_FREED; i++) {
        unit_give(freed[i]);
    }
}

static void give_0(void) { unit_give(unit[0]); }
static void give_1(void) { unit_give(unit[1]); }

static void take_two(void)
{
    struct unit *other;
    take_unit(&other);
    take_unit(&unit[2]);
    unit_give(other);
}

static void fork_unit(void)
{
    system_fork();
    take_two();
}

static void purge_ends(void)
{
    unit_give(unit[2]);
    segments_check();
}

/* clang-format off */
const struct scenario unit_scenarios[] = {
    {"purge", purge_begins, {give_0, give_1, take_two}, purge_ends, NULL, false},
    {"purge-fork", purge_begins, {give_0, give_1, fork_unit}, purge_ends, NULL, false},
    {.name = NULL},
};
/* clang-format on */
