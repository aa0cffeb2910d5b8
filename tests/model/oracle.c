/* oracle.c - see oracle.h. */
#include "oracle.h"

#include "../common/check.h"
#include "../common/pattern.h"

/* A block of no usable byte still has an address of its own. */
static uintptr_t end_of(const struct block *block) { return (uintptr_t)block->p + (block->usable ? block->usable : 1); }

/* How many blocks start below `p`: where it stands, or would stand, in `order`. */
static uint32_t rank(const struct oracle *oracle, const void *p)
{
    uint32_t low = 0, high = oracle->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if ((uintptr_t)oracle->block[oracle->order[middle]].p < (uintptr_t)p)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void oracle_reset(struct oracle *oracle)
{
    oracle->count = 0;
    oracle->asked = 0;
    oracle->next_tag = 1;
}

void oracle_add(struct oracle *oracle, struct block block)
{
    CHECK(oracle->count < ORACLE_MOST);
    CHECK(block.p != NULL);
    CHECK((uintptr_t)block.p % block.align == 0);
    CHECK(block.usable >= block.asked);

    uint32_t at = rank(oracle, block.p);
    if (at > 0) {
        const struct block *before = &oracle->block[oracle->order[at - 1]];
        CHECK(end_of(before) <= (uintptr_t)block.p);
    }
    if (at < oracle->count) {
        const struct block *after = &oracle->block[oracle->order[at]];
        CHECK(end_of(&block) <= (uintptr_t)after->p);
    }

    block.tag = oracle->next_tag++;
    pattern_fill(block.p, block.usable, block.tag);
    memmove(&oracle->order[at + 1], &oracle->order[at], (oracle->count - at) * sizeof oracle->order[0]);
    oracle->order[at] = oracle->count;
    oracle->block[oracle->count++] = block;
    oracle->asked += block.asked;
}

void oracle_verify(const struct oracle *oracle, uint32_t number)
{
    const struct block *block = &oracle->block[number];
    CHECK(pattern_holds(block->p, block->usable, block->tag, true));
}

void oracle_verify_all(const struct oracle *oracle)
{
    for (uint32_t i = 0; i < oracle->count; i++)
        oracle_verify(oracle, i);
}

struct block oracle_remove(struct oracle *oracle, uint32_t number)
{
    oracle_verify(oracle, number);
    struct block gone = oracle->block[number];
    uint32_t at = rank(oracle, gone.p), last = oracle->count - 1;
    memmove(&oracle->order[at], &oracle->order[at + 1], (last - at) * sizeof oracle->order[0]);
    oracle->count = last;
    oracle->asked -= gone.asked;
    if (number != last) {
        oracle->order[rank(oracle, oracle->block[last].p)] = number;
        oracle->block[number] = oracle->block[last];
    }
    return gone;
}

int64_t oracle_find(const struct oracle *oracle, const void *p)
{
    uint32_t at = rank(oracle, p);
    return at < oracle->count && oracle->block[oracle->order[at]].p == p ? (int64_t)oracle->order[at] : -1;
}

bool oracle_covers(const struct oracle *oracle, const void *p, size_t size, enum origin origin)
{
    for (uint32_t at = rank(oracle, p); at < oracle->count; at++) {
        const struct block *block = &oracle->block[oracle->order[at]];
        if ((uintptr_t)block->p >= (uintptr_t)p + size)
            return false;
        if (block->origin == origin)
            return true;
    }
    return false;
}
