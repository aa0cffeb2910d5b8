/* oracle.h - every live block of a model run, by address and by number.
 *
 * `block[0 .. count)` is dense and in no order: an operation picks its victim by number, which does not depend on
 * addresses. `order[0 .. count)` holds the same numbers sorted by address: neighbours are compared there. Its memory is
 * static, because the malloc under test must not see the oracle's own needs.
 */
#ifndef TESTS_ORACLE_H
#define TESTS_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ORACLE_MOST = 8192 };

/* Where a block comes from, which is how it may be freed. */
enum origin {
    FROM_MALLOC,  /* malloc, calloc, realloc: free, free_sized */
    FROM_ALIGNED, /* aligned_alloc: free, free_aligned_sized */
    FROM_OTHER,   /* the rest of the family, and what allot_try_expand has grown: free */
    FROM_HEAP,    /* a first-class heap: its free, free */
    FROM_LISTS,   /* a two_level heap: its sized free only; nothing tells what is usable */
};

struct block {
    unsigned char *p;
    size_t asked;
    size_t usable; /* >= asked; filled with the pattern of `tag` */
    size_t align;
    uint64_t tag;
    enum origin origin;
    unsigned heap; /* FROM_HEAP, FROM_LISTS: which */
};

struct oracle {
    struct block block[ORACLE_MOST];
    uint32_t order[ORACLE_MOST];
    uint32_t count;
    size_t asked; /* sum of block[].asked */
    uint64_t next_tag;
};

/* Forgets everything. */
void oracle_reset(struct oracle *oracle);

/* Takes note of a new block: checks its alignment, its usable size and that it touches no other; fills it. */
void oracle_add(struct oracle *oracle, struct block block);

/* Whether the block still holds what was written, to the last usable byte. */
void oracle_verify(const struct oracle *oracle, uint32_t number);
void oracle_verify_all(const struct oracle *oracle);

/* Verifies a block and forgets it; returns what it was. The last block takes its number. */
struct block oracle_remove(struct oracle *oracle, uint32_t number);

/* Number of the block that starts at `p`, or -1. */
int64_t oracle_find(const struct oracle *oracle, const void *p);

/* Whether [p, p + size) contains a block of `origin`. */
bool oracle_covers(const struct oracle *oracle, const void *p, size_t size, enum origin origin);

#endif
