/* blocks.h - which blocks of a process are live, for key frames.
 *
 *   address -> size, stack, time of the last event       open addressing, two thirds full at most
 *
 * Events come thread by thread, not in order: so for each address the latest counts. What was freed before its
 * allocation has been seen stays as a mark for as long as that could come. 24 bytes an entry.
 */
#ifndef ALLOT_RECORD_BLOCKS_H
#define ALLOT_RECORD_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block_entry {
    uint64_t
        address; /* in units of 8; bit 47: live, 46: a mark was here before; above them bits 32 to 47 of the size; 0: nothing */
    uint64_t time;
    uint32_t size, stack;
};
struct blocks {
    struct block_entry *entry;
    size_t mask, count;
};
#define BLOCKS_LIVE    ((uint64_t)1 << 47)
#define BLOCKS_MARKED  ((uint64_t)1 << 46)
#define BLOCKS_ADDRESS (BLOCKS_MARKED - 1)

static inline size_t blocks_home(const struct blocks *b, uint64_t address)
{
    return (size_t)((address >> 3) * 0x9e3779b97f4a7c15u >> 24) & b->mask;
}
static inline void blocks_prefetch(const struct blocks *b, uint64_t address)
{
    __builtin_prefetch(&b->entry[blocks_home(b, address)], 1);
}

/* Room for so many events more, of which none before `since` comes any more; false: no memory, or more than `most` bytes. */
bool blocks_reserve(struct blocks *blocks, size_t more, uint64_t since, size_t most);
void blocks_alloc(struct blocks *blocks, uint64_t address, uint64_t size, uint32_t stack, uint64_t time);
void blocks_free(struct blocks *blocks, uint64_t address, uint64_t time);
void blocks_done(struct blocks *blocks);

static inline uint64_t block_size(const struct block_entry *entry)
{
    return entry->size | (entry->address >> 48) << 32;
}

#endif
