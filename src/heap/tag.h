/* heap/tag.h - named budgets inside: see include/allot/tag.h for what they do, heap/tag.c for how a tag counts, and
 * heap/tagged.c for how a block is known to be counted. */
#ifndef HEAP_TAG_H
#define HEAP_TAG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <allot/tag.h>

#include "base/bits.h"
#include "heap/heap.h"

/* Immortal. A line of its own, so that tenants do not slow each other. */
struct allot_tag {
    atomic_size_t used; /* bytes; never beyond the limit at that moment */
    atomic_size_t limit;
    atomic_size_t
        notice; /* use beyond this is to be told: `soft`, or SIZE_MAX when it has been, or nobody wants to know */
    atomic_size_t calm; /* use below this makes it worth telling again; 0 when it has not been told */
    atomic_size_t refused;
    size_t soft; /* and the next two: the lock's */
    allot_tag_callback *callback;
    void *arg;
    uint32_t index;         /* from 1, in the order in which tags are made */
    _Atomic uint32_t typed; /* the heap that only its blocks are in (heap/typed.h), or 0 */
    struct allot_tag *child[2];
    char name[];
};

/* -- tag.c: what a tag counts -- */

/* Whether there is any: as long as there is none, nobody looks. */
extern _Atomic bool tag_made;
static inline bool tags_exist(void) { return atomic_load_explicit(&tag_made, memory_order_relaxed); }

/* So many bytes more count. False when that is beyond the limit; then they do not. */
bool tag_take(struct allot_tag *tag, size_t bytes);
void tag_give(struct allot_tag *tag, size_t bytes);

/* What was taken as `guess` bytes has become `now`: more only by what rounding to larger pages than 4 KiB adds. */
static inline void tag_adjust(struct allot_tag *tag, size_t guess, size_t now)
{
    if (now > guess) {
        atomic_fetch_add_explicit(&tag->used, now - guess, memory_order_relaxed);
    } else if (now < guess) {
        tag_give(tag, guess - now);
    }
}

/* Calls back when that is due; with no lock held, and nothing half done. */
void tag_call(struct allot_tag *tag) __attribute__((cold));
static inline void tag_tell(struct allot_tag *tag)
{
    if (unlikely(atomic_load_explicit(&tag->used, memory_order_relaxed) >
                 atomic_load_explicit(&tag->notice, memory_order_relaxed))) {
        tag_call(tag);
    }
}

/* All, by index in two levels: also for who reads them from an image of the process (snap/walk.h). */
#define TAGS_LEAF 1024
#define TAGS_ROOT 4096
extern struct allot_tag **_Atomic tags_table[TAGS_ROOT];

/* NULL when there is none. */
struct allot_tag *tag_by_index(uint32_t index);
struct allot_tag_stats tag_stats(const struct allot_tag *tag);

void tags_lock(void);
void tags_unlock(void);
void tags_lock_reset(void);

/* -- tagged.c: blocks that are counted -- */

/* What a block of such a heap, or marked with its id, has at its end that may not be used. */
#define TAG_WORD sizeof(uint64_t)
static inline size_t tag_word(uint32_t heap_id) { return heap_id & ID_TAGGED ? TAG_WORD : 0; }

/* A block under the calling thread's tag, as if it were in p's, or in the first-class heap's. NULL with ENOMEM. */
void *tag_alloc(size_t size, size_t align, bool *zeroed);
void *tag_alloc_like(const void *p, size_t size);
void *tag_alloc_private(struct heap *h, size_t size, size_t align);

/* What a live block counts to, or NULL. */
struct allot_tag *tag_of(const void *p);

/* A live block of so many bytes, marked with that heap's id, is about to be freed. */
void tag_free(uint32_t heap_id, void *p, size_t bytes);

/* A big block for which old + more bytes were taken has now so many. */
void tag_resized(struct allot_tag *tag, void *p, size_t old, size_t more, size_t now);

#endif
