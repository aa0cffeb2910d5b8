/* span/fenced.h - mappings between pages that nobody can access, for large blocks of a process at its highest level of hardening.
 *
 *   place:  | page | length ............ | rest of its room | page |      `at`: a multiple of 4 MiB
 *   live      none   read and write        none               none
 *   held      none ................................................       after its block was freed
 *
 * So an access beyond either end of a block, whole pages, ends the process, and one after its end likewise, until the place
 * is used again: FENCED_HELD others are freed before.
 */
#ifndef SPAN_FENCED_H
#define SPAN_FENCED_H

#include <stdbool.h>
#include <stddef.h>

#define FENCED_HELD 64
#define FENCED_LEAST \
    ((size_t)128 << 10) /* a shorter block is not worth what its pages cost each time (docs/safety.md) */

struct fence {
    char *at;
    size_t room;  /* bytes between the fences */
    size_t asked; /* bytes of the block that has it, or had it last; the caller's to set */
    bool dirty;   /* perhaps resident; zero all the same. Counted as mapped then, and while live */
    bool bare; /* without fences, all of it accessible: the kernel's areas were spent, and `stock` is somebody's own */
    size_t full;               /* so many bytes, from `at` on, have been found resident since it was not dirty */
    struct fence_stock *stock; /* where it waits for another block */
    struct fence *next, *prev;
};

/* Places that nobody has, by room: 32 steps from 64 KiB on, four to a doubling, and longer ones. Who has a stock of his own never
 * gets a place that another's block had, nor do others get his. */
struct fence_stock {
    struct fence *level[33];
};

/* `length` bytes, whole pages, all zero, at a multiple of `align`, which is at least 4 MiB. NULL when memory is spent, or, but for
 * an own stock, the kernel's areas. `own`: the caller's stock, zero at first, immortal; or NULL. */
struct fence *fence_take(size_t length, size_t align, struct fence_stock *own);

/* Nobody can access it any more, and nothing of it is left. */
void fence_give(struct fence *f, size_t length);

/* Makes it `now` bytes long where it stands, whole pages; false when that cannot be. What it has more is zero. */
bool fence_resize(struct fence *f, size_t length, size_t now);

/* Gives all places back that nobody has, those that are held too. Returns their bytes. */
size_t fences_trim(void);

/* Bytes of such places that may be resident: true at some moment. */
size_t fences_kept(void);

/* What of them lies in memory now. Cost: mincore over each. */
size_t fences_resident(void);

/* The place that an address lies in, its fences included, of those that are held or anybody's: how many bytes its last block had,
 * and where it began. For a handler of signals: false also while somebody has the lock. */
bool fence_find_given(const void *address, const void **block, size_t *bytes);
bool fence_spans(const struct fence *f, const void *address);

bool fences_check(void);

void fences_lock(void);
void fences_unlock(void);
void fences_lock_reset(void);

#endif
