/* profile/blocks.h - a process's live blocks by address, while its events are read.
 *
 *   slots:  |   | b |   | b | b |   | ...     open addressing, by the upper bits of a product: so in the order of `blocks_key`
 *   runs:   | b b b b b b b b |, ...          what did not fit, on disk in the same order (profile/cold.h)
 *
 * 32 bytes a slot, at most 7 of 8 in use. All tables together keep within the budget's bytes: the fullest goes to disk when
 * another slot would pass it, in one sequential write, since slots are in order already. A block on disk that is freed is
 * looked for there, with one read of 512 bytes.
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
    uint32_t site; /* from 1; 0: the slot is empty */
    uint32_t thread;
};

/* One for all tables of a profile. */
struct blocks_budget {
    size_t most; /* bytes of slots */
    size_t used;
    struct blocks *first; /* all tables */
    uint64_t spilled;     /* blocks that went to disk so far */
    const char *folder;   /* where to; NULL: $TMPDIR, else /var/tmp */
    int error;            /* errno of what failed, when something returned false */
};

struct cold_run;
struct blocks {
    struct block *slot;
    unsigned bits;         /* 1 << bits slots; 0: none yet */
    size_t count;          /* blocks in slots */
    struct cold_run *cold; /* newest first */
    struct blocks_budget *budget;
    struct blocks *next, **link;
};

/* Keys are addresses in another order: sequences of any step spread evenly, and no two are equal. */
static inline uint64_t blocks_key(uint64_t address) { return address * 0x9e3779b97f4a7c15u; }

void blocks_begin(struct blocks *blocks, struct blocks_budget *budget);
void blocks_end(struct blocks *blocks);

/* 1: put; 0: likewise, but a block was there already, which is *old now; -1: no memory or no disk (budget->error). */
int blocks_put(struct blocks *blocks, const struct block *block, struct block *old);
/* Takes the block away. 1: *out is it; 0: there is none; -1: the disk fails. */
int blocks_take(struct blocks *blocks, uint64_t address, struct block *out);
/* The same, and it stays. */
int blocks_find(struct blocks *blocks, uint64_t address, struct block *out);

/* The site of the block of that address, if it stands at its home; else 0. */
static inline uint32_t blocks_site_at_home(const struct blocks *blocks, uint64_t address)
{
    const struct block *b = blocks->bits ? &blocks->slot[blocks_key(address) >> (64 - blocks->bits)] : NULL;
    return b && b->address == address ? b->site : 0;
}

static inline void blocks_prefetch(const struct blocks *blocks, uint64_t address)
{
    if (blocks->bits) {
        __builtin_prefetch(&blocks->slot[blocks_key(address) >> (64 - blocks->bits)], 1);
    }
}

#endif
