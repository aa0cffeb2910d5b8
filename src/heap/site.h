/* heap/site.h - where each live block was allocated: the number of its stack (probe/calls.h), kept beside it (sites=1).
 *
 *   sites_table[address >> 35] --> leaf[address >> 22 & 8191]: of 4 MiB of addresses
 *                                    large: of the block that begins there
 *                                    slots: of units' slots, SITE_SLOTS for each; of runs and guarded blocks, of each page
 *
 * Kept in arrays of their own and not in the blocks, so that sizes, alignment and usable sizes are what they are without, a block
 * that is overrun does not lose it, and every kind of block has one: of malloc and its kin, aligned, big, tagged, of first-class
 * heaps. Costs 4 bytes a slot, of pages that are touched as slots are; and a stack for each allocation, for which each takes the
 * slow path: every block is a chosen one (heap/choice.h), and lists stay empty.
 *
 * Slots are cleared when they are handed out, beyond what was asked for as well, since who keeps sites looks for leaks: a word that
 * an earlier block has left there, and that nobody has written since, is no reference.
 *
 * The number is that of the call by which the block came where it is: realloc that moves it, else whoever made it. What is read
 * of a block that is not live is anybody's. Blocks that a program makes of another - those of a first-class heap's two-level
 * lists, of arenas and pools - have none. Not in a hardened process.
 */
#ifndef HEAP_SITE_H
#define HEAP_SITE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bits.h"
#include "span/run.h"
#include "span/segment.h"

#define SITE_LEAF  8192
#define SITE_ROOT  8192
#define SITE_SLOTS 4096

/* Of 4 MiB of addresses. */
struct site_chunk {
    _Atomic uint32_t large;
    _Atomic(_Atomic uint32_t *) slots; /* UNITS * SITE_SLOTS of them, or NULL */
};
extern struct site_chunk *_Atomic sites_table[SITE_ROOT];

/* Where an address of a slot has its entry among those: by its page where its unit is one of a run or of guarded blocks, else by the
 * `recip` of its unit (slab/slab.h). */
static inline size_t site_index(uintptr_t p, bool by_page, uint32_t recip)
{
    size_t unit = p / UNIT_SIZE % UNITS;
    return by_page ? p % SEGMENT_SIZE / RUN_PAGE : unit * SITE_SLOTS + ((p % UNIT_SIZE) * (uint64_t)recip >> 32);
}

/* For who reads this process's memory from the outside: where all that leads to a block's stack is. One in each copy of the library,
 * in memory that is written to, so that every core has it; found under the name allot_site_desc, or by its magic and `self`, its
 * own address. A block that is sampled is in `samples` whether sites are kept or not. */
#define SITE_DESC_MAGIC "allot site desc\n" /* 16 bytes, without the 0 */
struct site_desc {
    char magic[16];
    const void *self;
    uint32_t version, bytes; /* 1; of this struct */
    const void *kept;        /* bool: sites_kept */
    const void *table;       /* sites_table */
    const void *samples;     /* struct sample * [1 << SAMPLE_BITS], by sample_hash (heap/sample.h) */
    const void *stacks;      /* struct trie: the tree of stacks (probe/trie.h, probe/calls_tree.h) */
    const void *modules;     /* struct module *: the objects that have numbers (probe/module.h) */
};

/* Chosen at the start, for good. */
extern bool sites_kept;
bool sites_keep(void);

/* The number of the calling thread's stack; 0 when it is not known. */
uint32_t site_here(void);

/* Of a block, where it begins; 0: not known, so of none that lies elsewhere. */
void site_set(const void *p, uint32_t site);
uint32_t site_of(const void *p);
/* The same for who holds the lock of samples (sample_stack_of_locked). */
uint32_t site_of_locked(const void *p);

static inline void site_note(const void *p)
{
    if (unlikely(sites_kept) && p) {
        site_set(p, site_here());
    }
}

/* The same of a slot, which is cleared: what an earlier block has left in it would hold what the program has lost. */
void site_clear(void *p, bool zeroed);
static inline void site_note_slot(void *p, bool zeroed)
{
    if (unlikely(sites_kept) && p) {
        site_set(p, site_here());
        site_clear(p, zeroed);
    }
}

/* A thread ends: what it kept of its stacks goes. */
void site_thread_ends(void);

#endif
