/* See blocks.h. */
#include <errno.h>
#include <sys/mman.h>

#include "blocks.h"
#include "cold.h"

#define BITS_LEAST 7
#define GIVE_BACK  ((size_t)1 << 20)

static size_t slots(const struct blocks *blocks) { return blocks->bits ? (size_t)1 << blocks->bits : 0; }
static size_t home(const struct blocks *blocks, uint64_t address) { return blocks_key(address) >> (64 - blocks->bits); }
static bool full(const struct blocks *blocks) { return blocks->count >= slots(blocks) - slots(blocks) / 8; }

void blocks_begin(struct blocks *blocks, struct blocks_budget *budget)
{
    *blocks = (struct blocks){.budget = budget, .next = budget->first, .link = &budget->first};
    if (blocks->next) {
        blocks->next->link = &blocks->next;
    }
    budget->first = blocks;
}

static void drop_slots(struct blocks *blocks)
{
    if (blocks->bits) {
        munmap(blocks->slot, slots(blocks) * sizeof *blocks->slot);
        blocks->budget->used -= slots(blocks) * sizeof *blocks->slot;
    }
    blocks->slot = NULL;
    blocks->bits = 0;
    blocks->count = 0;
}

void blocks_end(struct blocks *blocks)
{
    drop_slots(blocks);
    cold_end(blocks->cold);
    blocks->cold = NULL;
    *blocks->link = blocks->next;
    if (blocks->next) {
        blocks->next->link = blocks->link;
    }
    blocks->budget = NULL;
}

/* The slot of that address, or the empty one where it would stand. */
static struct block *slot_of(const struct blocks *blocks, uint64_t address)
{
    size_t mask = slots(blocks) - 1;
    for (size_t i = home(blocks, address);; i = (i + 1) & mask) {
        struct block *b = &blocks->slot[i];
        if (b->site == 0 || b->address == address) {
            return b;
        }
    }
}

/* Both tables are gone through once, from one end to the other, and what is behind in the old one is given back at once: together
 * they never take more than the new one will. */
static bool resize(struct blocks *blocks, unsigned bits)
{
    size_t bytes = sizeof *blocks->slot << bits;
    struct blocks old = *blocks;
    struct block *slot = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (slot == MAP_FAILED) {
        blocks->budget->error = ENOMEM;
        return false;
    }
    blocks->slot = slot;
    blocks->bits = bits;
    blocks->budget->used += bytes;
    for (size_t i = 0, n = slots(&old), step = GIVE_BACK / sizeof *slot; i < n; i++) {
        if (old.slot[i].site) {
            *slot_of(blocks, old.slot[i].address) = old.slot[i];
        }
        if ((i + 1) % step == 0) {
            madvise(&old.slot[i + 1 - step], GIVE_BACK, MADV_DONTNEED);
        }
    }
    if (old.bits) {
        munmap(old.slot, slots(&old) * sizeof *slot);
        blocks->budget->used -= slots(&old) * sizeof *slot;
    }
    return true;
}

/* All blocks to the front of the slots, in the order of their keys. They nearly are: a block is out of place only by its way from
 * home, and at the front by those that came around the end. */
static size_t sort(struct blocks *blocks)
{
    struct block *b = blocks->slot;
    size_t n = 0, around = 0, mask = slots(blocks) - 1;
    while (around <= mask && b[around].site && home(blocks, b[around].address) > around) {
        around++;
    }
    /* The table, begun behind those, is in order; they follow at the end, where there is room for them. */
    struct block wrapped[64];
    size_t kept = around < 64 ? around : 0;
    for (size_t i = 0; i < kept; i++) {
        wrapped[i] = b[i];
    }
    for (size_t i = kept; i <= mask; i++) {
        if (b[i].site) {
            b[n++] = b[i];
        }
    }
    for (size_t i = 0; i < kept; i++) {
        b[n++] = wrapped[i];
    }
    for (size_t i = 1; i < n; i++) {
        struct block moving = b[i];
        size_t to = i;
        for (; to > 0 && blocks_key(b[to - 1].address) > blocks_key(moving.address); to--) {
            b[to] = b[to - 1];
        }
        b[to] = moving;
    }
    return n;
}

static bool spill_largest(struct blocks_budget *budget)
{
    struct blocks *victim = NULL; /* there is one with slots: some are used */
    for (struct blocks *b = budget->first; b; b = b->next) {
        if (b->bits && (!victim || b->count > victim->count)) {
            victim = b;
        }
    }
    size_t n = sort(victim);
    budget->spilled += n;
    budget->error = n ? cold_put(&victim->cold, victim->slot, n, budget->folder) : 0;
    drop_slots(victim);
    return budget->error == 0;
}

/* Room for one block more. */
static bool grow(struct blocks *blocks)
{
    struct blocks_budget *budget = blocks->budget;
    unsigned bits = blocks->bits ? blocks->bits + 1 : BITS_LEAST;
    while (budget->used - slots(blocks) * sizeof *blocks->slot + (sizeof *blocks->slot << bits) > budget->most &&
           budget->used > 0) {
        if (!spill_largest(budget)) {
            return false;
        }
        bits = blocks->bits ? blocks->bits + 1 : BITS_LEAST;
        if (blocks->bits && !full(blocks)) {
            return true;
        }
    }
    return resize(blocks, bits);
}

int blocks_put(struct blocks *blocks, const struct block *block, struct block *old)
{
    if ((blocks->bits == 0 || full(blocks)) && !grow(blocks)) {
        return -1;
    }
    struct block *b = slot_of(blocks, block->address);
    if (b->site) {
        *old = *b;
        *b = *block;
        return 0;
    }
    *b = *block;
    blocks->count++;
    return 1;
}

/* Those behind come forward as far as their homes allow, so that no search ends too early. */
static void empty(struct blocks *blocks, struct block *b)
{
    size_t mask = slots(blocks) - 1, hole = (size_t)(b - blocks->slot);
    for (size_t i = (hole + 1) & mask; blocks->slot[i].site; i = (i + 1) & mask) {
        if (((i - home(blocks, blocks->slot[i].address)) & mask) >= ((i - hole) & mask)) {
            blocks->slot[hole] = blocks->slot[i];
            hole = i;
        }
    }
    blocks->slot[hole].site = 0;
    blocks->count--;
}

static int search(struct blocks *blocks, uint64_t address, struct block *out, bool take)
{
    struct block *b = blocks->bits ? slot_of(blocks, address) : NULL;
    if (b && b->site) {
        *out = *b;
        if (take) {
            empty(blocks, b);
        }
        return 1;
    }
    int found = blocks->cold ? cold_find(blocks->cold, address, out, take) : 0;
    if (found < 0) {
        blocks->budget->error = -found;
        return -1;
    }
    return found;
}

int blocks_take(struct blocks *blocks, uint64_t address, struct block *out)
{
    return search(blocks, address, out, true);
}
int blocks_find(struct blocks *blocks, uint64_t address, struct block *out)
{
    return search(blocks, address, out, false);
}
