/* A table of addresses; see blocks.h. Removal closes the gap behind it, so that no entry is ever looked for in vain. It is on huge
 * pages where it is large: every event goes to another place in it. */
#include <string.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "record/blocks.h"

static struct block_entry *find(struct blocks *b, uint64_t unit)
{
    size_t at = blocks_home(b, unit << 3);
    while (b->entry[at].address && (b->entry[at].address & BLOCKS_ADDRESS) != unit) {
        at = (at + 1) & b->mask;
    }
    return &b->entry[at];
}

static void remove_entry(struct blocks *b, struct block_entry *entry)
{
    size_t gap = (size_t)(entry - b->entry), at = gap;

    b->count--;
    for (;;) {
        b->entry[gap].address = 0;
        do {
            at = (at + 1) & b->mask;
            if (!b->entry[at].address) {
                return;
            }
            size_t home = blocks_home(b, (b->entry[at].address & BLOCKS_ADDRESS) << 3);
            if (((at - home) & b->mask) >= ((at - gap) & b->mask)) {
                break;
            }
        } while (true);
        b->entry[gap] = b->entry[at];
        gap = at;
    }
}

#define HUGE (2 * MIB)

static size_t bytes_of(const struct blocks *b) { return (b->mask + 1) * sizeof *b->entry; }

static bool map(struct blocks *b, size_t entries)
{
    size_t bytes = entries * sizeof *b->entry;
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) {
        return false;
    }
    if (bytes >= HUGE) {
        madvise(at, bytes, MADV_HUGEPAGE);
    }
    b->entry = at;
    b->mask = entries - 1;
    b->count = 0;
    return true;
}

bool blocks_reserve(struct blocks *b, size_t more, uint64_t since, size_t most)
{
    if (b->entry && (b->count + more) * 3 <= b->mask * 2) {
        return true;
    }
    struct blocks old = *b;
    size_t wanted = 1024;
    while (wanted < (old.count + more) * 5 / 2) {
        wanted *= 2;
    }
    if (wanted * sizeof *b->entry > most || !map(b, wanted)) {
        return false;
    }
    for (size_t i = 0; old.entry && i <= old.mask; i++) {
        const struct block_entry *e = &old.entry[i];
        if (e->address & BLOCKS_LIVE || (e->address && e->time >= since)) {
            *find(b, e->address & BLOCKS_ADDRESS) = *e;
            b->count++;
        }
    }
    if (old.entry) {
        munmap(old.entry, bytes_of(&old));
    }
    return true;
}

void blocks_alloc(struct blocks *b, uint64_t address, uint64_t size, uint32_t stack, uint64_t time)
{
    uint64_t unit = address >> 3 & BLOCKS_ADDRESS;
    struct block_entry *entry = find(b, unit);

    if (unit == 0) {
        return;
    }
    uint64_t marked = 0;
    if (!entry->address) {
        b->count++;
    } else if (entry->address & BLOCKS_LIVE) {
        if (entry->time > time) {
            return;
        }
        marked = entry->address & BLOCKS_MARKED;
    } else if (entry->time >= time) {
        return;
    } else {
        marked = BLOCKS_MARKED;
    }
    *entry =
        (struct block_entry){unit | BLOCKS_LIVE | marked | (size >> 32 & 0xffff) << 48, time, (uint32_t)size, stack};
}

void blocks_free(struct blocks *b, uint64_t address, uint64_t time)
{
    uint64_t unit = address >> 3 & BLOCKS_ADDRESS;
    struct block_entry *entry = find(b, unit);

    if (unit == 0) {
        return;
    }
    if (!entry->address) {
        b->count++;
        *entry = (struct block_entry){unit, time, 0, 0};
    } else if (!(entry->address & BLOCKS_LIVE)) {
        entry->time = entry->time > time ? entry->time : time;
    } else if (entry->time > time) {
        return;
    } else if (entry->address & BLOCKS_MARKED) {
        *entry = (struct block_entry){unit, time, 0, 0};
    } else {
        remove_entry(b, entry);
    }
}

void blocks_done(struct blocks *b)
{
    if (b->entry) {
        munmap(b->entry, bytes_of(b));
    }
    *b = (struct blocks){0};
}
