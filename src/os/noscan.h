/* os/noscan.h - memory of those who watch the program: no word of it counts as a reference when leaks are looked for.
 *
 *   os_noscan --> first | place place ... |      place: ~address, length
 *                 next  --> | place place ... .. |     twice as many
 *
 * A recorder, samples and last stacks are full of what the program has in its blocks, registers and stacks: each such word would
 * hold a block that the program has lost. So what they keep lies in mappings of their own, which are listed here; who looks
 * for leaks, in the process itself or in its core, takes them out (snap/areas.c). The list holds complements: it refers to nothing.
 *
 * A place is found by its address's hash, within NOSCAN_PROBES of each table: to make and to unmap one is O(log n) looks, without
 * a lock. Any thread; whole in the child of any fork. Not for memory that the program knows of, or that holds what is its own.
 */
#ifndef OS_NOSCAN_H
#define OS_NOSCAN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NOSCAN_PROBES = 8, NOSCAN_BITS = 40 };

/* Taken and empty are told apart by `hidden` alone; the length is 0 until it is known. */
struct noscan_place {
    _Atomic uintptr_t hidden; /* ~address; 0: the place is free */
    _Atomic size_t length;
};

struct noscan_table {
    _Atomic(struct noscan_table *) next;
    uint32_t bits; /* of the hash, NOSCAN_BITS at most: there are 2^bits + NOSCAN_PROBES places */
    struct noscan_place place[];
};

/* One in each copy of the library, found in a core by its magic and `self`, which is its own address. */
#define NOSCAN_MAGIC "allot no scan\n\n\n" /* 16 bytes, without the 0 */
struct noscan {
    char magic[16];
    const void *self;
    _Atomic(struct noscan_table *) first;
};
extern struct noscan os_noscan __attribute__((visibility("hidden")));

static inline size_t noscan_places(const struct noscan_table *table)
{
    return ((size_t)1 << (table->bits < NOSCAN_BITS ? table->bits : NOSCAN_BITS)) + NOSCAN_PROBES;
}

/* A mapping becomes such memory, before anything is in it; false: out of memory. It is so no more: before it is unmapped. */
bool os_noscan_begin(const void *at, size_t length);
void os_noscan_end(const void *at);

/* os_map and os_unmap of such memory, and os_map_forgotten. */
void *os_map_noscan(size_t length);
void *os_map_forgotten_noscan(size_t length);
void os_unmap_noscan(void *at, size_t length);

#endif
