/* blocks.h - which blocks of a process are live, for key frames.
 *
 *   young, of a thread's frame:   index in the frame -> size, stack, time      most blocks are freed where they were allocated,
 *                |                                                             soon: nobody else hears of them
 *                v  what is live when the frame ends
 *   old, of the process:   address -> balance, size, stack, time               open addressing, two thirds full at most
 *
 * Events come thread by thread, not in order: so an address has a balance, its allocations less its frees. When all that was before a
 * time has come, a block is live there if it is 1, and it is the latest of these allocations: whatever came first, and though an
 * allocation and a free of one frame are left out that do not belong together, as others freed and allocated the block in between.
 * What is 0 stays until room is made, once all from before its time has come. Where events were lost a balance may be off for good.
 *
 * Of more than BLOCKS_MOST * 2/3 the table keeps one in 2, 4, 8 ..., chosen by address, and each counts for so many; but of those
 * at the beginning of a page, where large ones lie, 256 times as many. So what it costs is bounded, however much a program has.
 *
 * The table doubles where it lies, in a range of addresses that is reserved for it: what it has is not copied and cleared anew.
 * 24 bytes an entry, 12 MiB at most; 24 an allocation of a frame.
 */
#ifndef ALLOT_RECORD_BLOCKS_H
#define ALLOT_RECORD_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BLOCKS_MOST (1u << 19) /* entries */

struct block_entry {
    uint64_t unit : 45; /* the address in units of 8; 0: nothing */
    uint64_t size_high : 7, stack_high : 12;
    uint64_t time : 52; /* of its latest event */
    uint64_t stack_low : 12;
    uint64_t size_low : 41;
    int64_t balance : 23; /* as many as a round may have, since an allocation takes 16 bytes of the area */
};
struct blocks {
    struct block_entry *entry;
    size_t mask, count; /* entries in use */
    unsigned halvings;  /* one in 2 to the power of so many is kept */
};

/* What was allocated in a frame. */
struct birth {
    uint64_t time, size;
    uint32_t stack;
    bool old; /* the table has it */
};

static inline uint64_t blocks_hash(uint64_t address) { return (address >> 3) * 0x9e3779b97f4a7c15u; }

static inline size_t blocks_home(const struct blocks *b, uint64_t address)
{
    return (size_t)(blocks_hash(address) >> 24) & b->mask;
}

/* An address is one of 2 to the power of so many that are there for each that is kept. */
static inline unsigned blocks_halvings(const struct blocks *b, uint64_t address)
{
    unsigned fewer = (address & 4095) < 64 ? 8 : 0;
    return b->halvings > fewer ? b->halvings - fewer : 0;
}

/* Whether it is kept; the others need not be told of. */
static inline bool blocks_keep(const struct blocks *b, uint64_t address)
{
    unsigned halvings = blocks_halvings(b, address);
    return halvings == 0 || blocks_hash(address) >> (64 - halvings) == 0;
}

static inline void blocks_prefetch(const struct blocks *b, uint64_t address)
{
    __builtin_prefetch(&b->entry[blocks_home(b, address)], 1);
}

/* Room for so many events more, of which none before `since` comes any more; false: no memory. */
bool blocks_reserve(struct blocks *blocks, size_t more, uint64_t since);
void blocks_alloc(struct blocks *blocks, uint64_t address, const struct birth *birth);
void blocks_free(struct blocks *blocks, uint64_t address, uint64_t time);
void blocks_done(struct blocks *blocks);

/* How many blocks it stands for. */
static inline uint64_t block_weight(const struct blocks *b, const struct block_entry *e)
{
    return (uint64_t)1 << blocks_halvings(b, (uint64_t)e->unit << 3);
}
static inline bool block_is_live(const struct block_entry *e) { return e->balance > 0; }
static inline uint64_t block_size(const struct block_entry *e) { return e->size_low | (uint64_t)e->size_high << 41; }
static inline uint32_t block_stack(const struct block_entry *e) { return e->stack_low | (uint32_t)e->stack_high << 12; }

#endif
