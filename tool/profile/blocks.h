/* profile/blocks.h - a process's live blocks by address, while its events are read.
 *
 *   slots:  |   | b |   | b | b |   | ...     open addressing, in the order of `blocks_key`; 16 bytes each
 *   wide:   | block | block | ...             those that do not fit in a slot, which then says where
 *   runs:   | b b b b b b b b |, ...          what did not fit in memory, on disk in the same order (profile/cold.h)
 *
 * Slots are half in use, and up to 7 of 8 once half of the budget is taken, where a table grows by an eighth: 20 bytes a block then. All tables together keep within a budget:
 * the fullest goes to disk when another slot would pass it, in one sequential write, since slots are in order already. A block on
 * disk that is freed is looked for there, with one read of 512 bytes.
 *
 * Times stand in a slot to within 2^-37 of the greatest: exact up to 2^38, which is four minutes of nanoseconds.
 *
 * Not for concurrent use.
 */
#ifndef ALLOT_PROFILE_BLOCKS_H
#define ALLOT_PROFILE_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block {
    uint64_t address, size;
    uint64_t time; /* when it was allocated */
    uint32_t site; /* from 1 */
    uint32_t thread;
};

/* key: blocks_key without its low bits 45 | site 19, 0: the slot is empty
 * rest: time 38, as the budget shifts it | size 16 | thread 9 | 0
 *       or: index in `wide` 63 | 1; then the site is any but 0 */
struct block_slot {
    uint64_t key, rest;
};

/* One for all tables of a profile: used <= most - others, but for an eighth of `most`, which is theirs in any case. */
struct blocks_budget {
    size_t most;          /* bytes */
    size_t used;          /* by tables */
    size_t others;        /* by what is not here (blocks_beside) */
    struct blocks *first; /* all tables */
    uint64_t spilled;     /* blocks that went to disk so far */
    unsigned shift;       /* of times in slots */
    const char *folder;   /* where to; NULL: $TMPDIR, else /var/tmp */
    int error;            /* errno of what failed, when something returned false */
};

struct cold_run;
struct blocks {
    struct block_slot *slot;
    size_t slots, count; /* count: blocks in slots */
    struct block *wide;
    size_t wides, wide_room; /* wides: that were ever used at once */
    size_t wide_free;        /* index and 1 of the first that is not in use, whose address is the next's; 0: none */
    struct cold_run *cold;   /* newest first */
    struct blocks_budget *budget;
    struct blocks *next, **link;
};

/* Addresses in another order, in which no two are equal: what lies in the same 256 bytes stays together, as it is often touched
 * together, and those are spread evenly. */
static inline uint64_t blocks_key(uint64_t address)
{
    return (address >> 8) * 0x9e3779b97fu << 24 | (address & 0xf8) << 16 | (address & 7) << 16;
}

static inline size_t blocks_home(const struct blocks *blocks, uint64_t key)
{
    return (size_t)((unsigned __int128)key * blocks->slots >> 64);
}

void blocks_begin(struct blocks *blocks, struct blocks_budget *budget);
void blocks_end(struct blocks *blocks);

/* 1: put; 0: likewise, but a block was there already, which is *old now; -1: no memory or no disk (budget->error). */
int blocks_put(struct blocks *blocks, const struct block *block, struct block *old);
/* Takes the block away. 1: *out is it; 0: there is none; -1: the disk fails. */
int blocks_take(struct blocks *blocks, uint64_t address, struct block *out);
/* The same, and it stays. */
int blocks_find(struct blocks *blocks, uint64_t address, struct block *out);

/* Calls `visit` for each block, in any order; which must not change the table. 1: all; 0: visit said false; -1: no memory or no disk. */
int blocks_each(struct blocks *blocks, bool (*visit)(void *arg, const struct block *block), void *arg);

/* Asks for the memory where a block of that address stands or would stand. */
static inline void blocks_prefetch(const struct blocks *blocks, uint64_t address)
{
    if (blocks->slots) {
        __builtin_prefetch(&blocks->slot[blocks_home(blocks, blocks_key(address))], 1);
    }
}

/* The site of the block of that address, where a short look finds it; else any. */
uint32_t blocks_guess_site(const struct blocks *blocks, uint64_t address);

/* So many bytes of the budget are somebody else's now: tables go to disk until they fit beside. False: the disk fails. */
bool blocks_beside(struct blocks_budget *budget, size_t others);

#endif
