/* span/large.h - blocks with a mapping of their own: above 2 MiB, or aligned beyond what a run can be.
 *
 * They begin at a multiple of 4 MiB, where no other block does: one test of an address tells them (and NULL) from all
 * others. They are exact to a page and grow in place or move by mremap without copying. Freed, their pages serve the next
 * one or go back to the system.
 */
#ifndef SPAN_LARGE_H
#define SPAN_LARGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "span/advice.h"

/* A block of at least `bytes`, marked as `heap`'s; *zeroed tells whether all of it is zero. NULL with ENOMEM. */
void *large_alloc(size_t bytes, size_t align, uint32_t heap, bool *zeroed);

/* One between fences (span/fenced.h), all zero, of a stock of the caller's unless `own` is NULL; NULL, with errno as it may be,
 * when it has to be made otherwise. Whether a large block is one, and how many bytes were asked for. */
struct fence_stock;
void *large_alloc_fenced(size_t bytes, size_t align, uint32_t heap, struct fence_stock *own);
bool large_is_fenced(const void *p, size_t *asked);
/* Makes it another length where it stands; as large_resize. */
bool large_resize_fenced(void *p, size_t bytes);

/* `p` is where a large block begins: anything else faults. Returns its length in bytes. */
size_t large_free(void *p);

/* Length in bytes of the large block at `p`, and whose it is; 0 when none begins there. */
size_t large_length(const void *p);
uint32_t large_heap(const void *p);

/* Makes it `bytes` long where it stands; false, and unchanged, when that cannot be. */
bool large_resize(void *p, size_t bytes);

/* Makes it `bytes` long elsewhere, without copying. NULL with ENOMEM, and unchanged. */
void *large_move(void *p, size_t bytes);

/* Frees every large block of `heap`. Returns the bytes freed. */
size_t large_free_all(uint32_t heap);

/* Sends back what threads in haste have left. */
void large_catch_up(void);

/* Gives the kept mappings back. Returns their bytes. */
size_t large_trim(void);

struct large_totals {
    size_t bytes, blocks; /* live */
    size_t kept;          /* bytes of mappings kept for the next request, or left by threads in haste */
    size_t hugetlb;       /* of both, in explicit huge pages; but not what was left */
};
struct large_totals large_totals(void);

/* As large_totals' `kept`, without waiting for anybody: true at some moment. */
size_t large_kept(void);

/* Of live and kept mappings, what lies in memory now. Cost: mincore over each. */
size_t large_resident(void);

/* Calls `visit` for each block; stops at a value other than 0 and returns it. */
int large_walk(int (*visit)(void *p, size_t bytes, uint32_t heap, void *arg), void *arg);

/* The block between whose fences an address lies, or the one that was there last; `length` is what can be accessed of it, 0 when
 * it has been freed. For a handler of signals, which waits for nobody: false also where nothing can be found out. */
struct large_fenced {
    const void *block;
    size_t bytes, length;
};
bool large_find_fenced(const void *address, struct large_fenced *out);

/* -- for who reads them from an image of the process (snap/walk.h); changed in large.c and kept.c alone -- */

struct fence;
struct large {
    uintptr_t hidden_at; /* the complement: a pointer would hide a leaked block from who looks for pointers */
    size_t length;       /* bytes, whole pages */
    uint32_t heap;
    enum pages pages;
    struct fence *fence;       /* its place, when it has one of its own (span/fenced.h) */
    struct large *next, *prev; /* on the list of all; or of unused records, by next */
};
extern struct large *large_list;

/* Whole pages, perhaps resident, of one area of the kernel's. Free, as what was left by threads in haste is. */
#define LARGE_KEPT_MOST 32
struct large_kept {
    char *at;
    size_t length;
    enum pages pages;
};
extern struct large_kept large_kept_list[LARGE_KEPT_MOST];
extern size_t large_kept_count;
extern struct large *large_deferred;

bool large_check(void);

void large_lock(void);
void large_unlock(void);
void large_lock_reset(void);

#endif
