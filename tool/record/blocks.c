/* A table of addresses; see blocks.h. It is on huge pages where it is large: every event goes to another place in it. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "record/blocks.h"

#define HUGE         (2 * MIB)
#define FIRST        1024 /* entries */
#define RESERVED     align_up(BLOCKS_MOST * sizeof(struct block_entry), HUGE)
#define BALANCE_MOST ((1 << 22) - 1)

_Static_assert(sizeof(struct block_entry) == 24, "as told");

static struct block_entry *find(struct blocks *b, uint64_t unit)
{
    size_t at = blocks_home(b, unit << 3);
    while (b->entry[at].unit && b->entry[at].unit != unit) {
        at = (at + 1) & b->mask;
    }
    return &b->entry[at];
}

static bool map(struct blocks *b)
{
    void *at = mmap(NULL, RESERVED, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) {
        return false;
    }
    if (mprotect(at, FIRST * sizeof *b->entry, PROT_READ | PROT_WRITE) != 0) {
        munmap(at, RESERVED);
        return false;
    }
    madvise(at, RESERVED, MADV_HUGEPAGE);
    b->entry = at;
    b->mask = FIRST - 1;
    return true;
}

/* All from before `since` has come: a balance from then is what it is for good, and one of several says that frees were lost. */
static bool is_wanted(const struct blocks *b, const struct block_entry *e, uint64_t since)
{
    return e->unit && (e->balance > 0 || e->time >= since) && blocks_keep(b, (uint64_t)e->unit << 3);
}

static void put(struct blocks *b, struct block_entry e, uint64_t since)
{
    if (is_wanted(b, &e, since)) {
        if (e.time < since) {
            e.balance = 1;
        }
        *find(b, e.unit) = e;
        b->count++;
    }
}

/* Every entry to where it belongs by `mask`: in order, so that what is between an entry's home and its place has been put already.
 * Those at the beginning, among which may be some from the end of the table, wait aside for all others. False: no memory. */
static bool spread(struct blocks *b, size_t mask, uint64_t since)
{
    size_t entries = b->mask + 1, first = 0;
    while (b->entry[first].unit) {
        first++;
    }
    struct block_entry *aside = malloc((first + 1) * sizeof *aside);
    if (!aside) {
        return false;
    }
    memcpy(aside, b->entry, first * sizeof *aside);
    memset(b->entry, 0, first * sizeof *aside);
    b->mask = mask;
    b->count = 0;
    for (size_t i = first; i < entries; i++) {
        struct block_entry e = b->entry[i];
        b->entry[i].unit = 0;
        put(b, e, since);
    }
    for (size_t i = 0; i < first; i++) {
        put(b, aside[i], since);
    }
    free(aside);
    return true;
}

static size_t wanted(const struct blocks *b, uint64_t since)
{
    size_t count = 0;
    for (size_t i = 0; i <= b->mask; i++) {
        count += is_wanted(b, &b->entry[i], since);
    }
    return count;
}

bool blocks_reserve(struct blocks *b, size_t more, uint64_t since)
{
    if (!b->entry && !map(b)) {
        return false;
    }
    if ((b->count + more) * 3 <= b->mask * 2) {
        return true;
    }
    size_t count = wanted(b, since) + more, entries = b->mask + 1;
    while (count * 2 > entries && entries < BLOCKS_MOST) {
        entries *= 2;
    }
    while (count * 2 > entries) {
        b->halvings++;
        count = wanted(b, since) + more;
    }
    return mprotect(b->entry, entries * sizeof *b->entry, PROT_READ | PROT_WRITE) == 0 && spread(b, entries - 1, since);
}

/* The entry of an address, which an event of that time is about; a free's time is not later than that of what it leaves live. */
static struct block_entry *touch(struct blocks *b, uint64_t address, uint64_t time, int sign)
{
    struct block_entry *e = find(b, address >> 3);
    if (!e->unit) {
        *e = (struct block_entry){.unit = address >> 3};
        b->count++;
    }
    if (e->balance * sign < BALANCE_MOST) {
        e->balance += sign;
    }
    if (e->time < time) {
        e->time = time;
    }
    return e;
}

void blocks_alloc(struct blocks *b, uint64_t address, const struct birth *birth)
{
    if (address >> 3 == 0) {
        return;
    }
    struct block_entry *e = touch(b, address, birth->time, 1);
    if (e->time == birth->time) {
        e->size_low = birth->size;
        e->size_high = birth->size >> 41;
        e->stack_low = birth->stack;
        e->stack_high = birth->stack >> 12;
    }
}

void blocks_free(struct blocks *b, uint64_t address, uint64_t time)
{
    if (address >> 3 != 0) {
        touch(b, address, time, -1);
    }
}

void blocks_done(struct blocks *b)
{
    if (b->entry) {
        munmap(b->entry, RESERVED);
    }
    *b = (struct blocks){0};
}
