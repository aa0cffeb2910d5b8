/* allot/tag.h - named budgets: what a tenant, a request kind or a subsystem allocates is counted, and may be limited.
 *
 *     struct allot_tag *tenant = allot_tag("tenant 17", 64 << 20);
 *     struct allot_tag *before = allot_tag_enter(tenant);
 *     serve(request);                                // every malloc in here counts to tenant 17, or fails at 64 MiB
 *     allot_tag_enter(before);
 *
 * A thread that has entered a tag allocates under it, by malloc (allot_malloc, the drop-in's malloc and new) and all its kin,
 * until it enters another or none. A first-class heap may have a tag of its own (allot/heap.h). A block keeps its tag, whoever
 * frees it and wherever, and when realloc moves it; a block without one stays without one.
 *
 * What counts of a block is what it takes: a slot of its size class, or whole pages of 4 KiB above 32 KiB. A block of a
 * thread's tag takes 8 bytes more than was asked for, at its end, which say whose it is: allot_malloc_usable_size counts them
 * out, and a program that writes over them ends with one line when it frees the block. A block that is moved by realloc counts
 * twice meanwhile. What is in use of memory that other threads share, or keep for later, counts to nobody.
 *
 * In a process that is hardened to level 3 (docs/safety.md) a tag is a type as well: blocks of one lie where no others have ever
 * been, nor ever will be, so that a pointer to one that was freed never points into a block of another tag, or of none. There
 * blocks are as long as they are without a tag, and a lock is what threads share that work under one.
 *
 * Threads: any function, any thread. A thread whose own storage is gone, as in the last destructors, is in no tag and enters
 * none. After a fork the child counts on from the same figures by itself.
 *
 * Cost: 136 bytes a tag, with a name of up to 39 bytes; a thread that ever enters one has a second heap (at level 3 each tag
 * has one, of a few pages, and a slab for each size class it has blocks of). Outside of tags malloc
 * and free are as they were; within, the pair for a small block takes 260 instructions instead of 33, among them two atomic
 * operations on the tag.
 */
#ifndef ALLOT_TAG_H
#define ALLOT_TAG_H

#include <allot/malloc.h>

#ifdef __cplusplus
extern "C" {
#endif

/* It lives as long as the process, and is the library's. */
struct allot_tag;

#define ALLOT_TAG_NAME_MAX 127 /* bytes */

/* The tag of that name, made when there is none yet; its limit is now `limit` bytes, SIZE_MAX for none. An allocation that would
 * take it beyond fails with ENOMEM; a limit below what is in use leaves that be. The name is copied. NULL with ENOMEM, or EINVAL
 * for a name that is empty or too long. Cost: a search in a tree under a lock. */
ALLOT_API struct allot_tag *allot_tag(const char *name, size_t limit);

/* Has `callback` called when the tag's use comes to be more than `soft` bytes: by the thread and in the call that allocates,
 * once, and again after the use was below seven eighths of it. The callback may allocate (which counts), free and call anything
 * here. It may still be called by another thread that is just about to when this call replaces it. `callback` NULL: none. */
typedef void allot_tag_callback(struct allot_tag *tag, void *arg);
ALLOT_API void allot_tag_soft(struct allot_tag *tag, size_t soft, allot_tag_callback *callback, void *arg);

/* From now on the calling thread allocates under `tag`, NULL: under none. Returns the tag it was in before, for the way back, or
 * NULL. Cost: a few instructions; between none and one, two copies of 500 bytes; the first time, a heap, without which (when
 * memory is out) allocations under a tag fail. */
ALLOT_API struct allot_tag *allot_tag_enter(struct allot_tag *tag);

/* The bytes that count to the tag now, exactly; and its name. */
ALLOT_API size_t allot_tag_used(const struct allot_tag *tag);
ALLOT_API const char *allot_tag_name(const struct allot_tag *tag);

struct allot_tag_stats {
    const char *name;
    size_t used;    /* bytes */
    size_t limit;   /* SIZE_MAX: none */
    size_t refused; /* allocations that the limit made fail */
};

/* Fills at most `max` entries, one for each tag in the order in which they were made, and returns how many there are in all. */
ALLOT_API size_t allot_stats_tags(struct allot_tag_stats *out, size_t max);

#ifdef __cplusplus
}
#endif

#endif
