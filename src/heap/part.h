/* heap/part.h - owners of memory that are no heaps: pools and caches (src/pool), collected heaps (src/gc).
 *
 *   owner word   1 .. 0xbfffffff   a heap's id                 part ----> id, what it is called
 *                0xc0000000 ..     a part's: by its id ------>            inbox <---- slabs of which others have put slots
 *                0xffffff00 ..     nobody's, page runs, ...               noticed(): nobody looks in there by himself
 *
 * A part takes units of the heap's segments and makes slabs of them (of a pool or cache: a set, pool/set.h), or, for what is longer than a slot, page runs and large blocks
 * that are marked with its id. They count to the process's limit and to what it holds, not to its blocks: malloc's family ends
 * with a line that names the part when it is given one of its objects. Frees of slots by others go the way of the heap's
 * (heap/remote.c). Like a heap's record, a part is never unmapped, as a late notice may still look at its inbox.
 */
#ifndef HEAP_PART_H
#define HEAP_PART_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "slab/slab.h"

struct part {
    uint32_t id;
    const char *kind;             /* "pool", "cache" */
    const char *name;             /* its user's; NULL: there is none at present, the part waits for the next one */
    size_t size;                  /* of a set's objects, as they were asked for */
    _Atomic(struct slab *) inbox; /* slabs that others have put slots of, by inbox_next */
    _Atomic bool owned;           /* somebody looks at the inbox by himself; else: */
    void (*noticed)(struct part *part);
    struct slab *undrained; /* such as were taken from there and have not been looked at yet */
};

/* Whether an owner word or a mark is a part's. */
static inline bool is_part(uint32_t owner) { return owner >= OWNER_LIMIT && owner < OWNER_FREE; }

/* Gives a part its id, for good: sets, of pools and caches, have the lower half. False when memory is out, or half a million of its
 * sort have one. */
enum part_sort { PART_SET, PART_OTHER, PART_SORTS };
bool part_enlist(struct part *part, enum part_sort sort);
#define PARTS_LEAF 1024
#define PARTS_ROOT 1024
#define PARTS_SETS ((uint32_t)PARTS_LEAF * PARTS_ROOT / 2)

/* Whether an owner word is a set's. */
static inline bool is_set(uint32_t owner) { return owner - OWNER_LIMIT < PARTS_SETS; }
extern _Atomic(struct part *) *_Atomic parts_table[PARTS_ROOT];

/* NULL when nobody has it. */
static inline struct part *part_by_id(uint32_t id)
{
    uint32_t n = id - OWNER_LIMIT;
    if (unlikely(n >= PARTS_ROOT * PARTS_LEAF)) {
        return NULL;
    }
    _Atomic(struct part *) *leaf = atomic_load_explicit(&parts_table[n / PARTS_LEAF], memory_order_acquire);
    return leaf ? atomic_load_explicit(&leaf[n % PARTS_LEAF], memory_order_acquire) : NULL;
}

extern _Atomic bool parts_any;
static inline bool parts_exist(void) { return atomic_load_explicit(&parts_any, memory_order_relaxed); }

/* Whose object p is, which lies in memory of ours: NULL for nobody's. */
struct part *part_of(const void *p);

/* One line that names crime, object and address, and the end. */
void part_fault(const char *crime, const struct part *part, const void *p) __attribute__((noreturn, cold));
/* Such a line when p lies in a part's memory, and is no block therefore; else nothing. */
void part_expect_none(const char *crime, const void *p);

/* -- slots that others put -- */

/* Slots of a part's slab have been freed by a thread that does not own it (slab_set_remote): its owner hears of it. */
void part_tell(struct part *part, struct slab *s) __attribute__((noinline));
static inline void part_has_put(struct part *part, struct slab *s)
{
    if (unlikely(!atomic_load_explicit(&s->pending, memory_order_seq_cst))) {
        part_tell(part, s);
    }
}
/* A slab is that part's now, and has been noticed by somebody else's means. */
void part_noticed(uint32_t id, struct slab *s);
/* The next slab that was noticed and is the part's; NULL when there is none any more. `emptied`, false at first, says that the
 * inbox has been. The owner, or who holds the part's lock. */
struct slab *part_next_noticed(struct part *part, bool *emptied);

/* -- memory -- */

/* A unit, counted; or NULL with ENOMEM. And back, as a slab of which nothing is out. */
struct unit *part_take_unit(enum unit_use use);
void part_give_unit(struct unit *unit);

/* Whole pages of their own for an object, marked: a run, or a large block. NULL with ENOMEM. */
void *part_take_pages(const struct part *part, size_t bytes, size_t align);
void part_give_pages(void *p);
/* The same, all zero; and how many bytes they are. */
void *part_take_zero_pages(const struct part *part, size_t bytes, size_t align);
size_t part_pages(const void *p);

/* What the figures of page runs and large blocks have of such in them. */
struct part_totals {
    size_t runs, runs_bytes, large, large_bytes;
};
struct part_totals part_totals(void);

void parts_lock(void);
void parts_unlock(void);
void parts_lock_reset(void);

#endif
