/* heap/typed.h - memory of one tag alone, in a process at its highest level of hardening: no others get what blocks of a tag have
 * had, nor these what others have had. So a pointer to a block that was freed never points into one of another tag.
 *
 *   tag --> typed:  heap    its slabs; whatever a thread takes of them or frees, it does under their lock
 *                   units   such as held slabs of the tag's blocks, purged; for its next slabs
 *                   places  the same of its big blocks, each of which has a place of its own (span/fenced.h)
 *
 * Below that level a tag has no such record, and its blocks lie among those of other tags (heap/tagged.c). A first-class heap that
 * has a tag is another heap of the tag, that of one thread, and takes units and places from here. What was taken for a tag once
 * stays its own for ever: address space, not memory. */
#ifndef HEAP_TYPED_H
#define HEAP_TYPED_H

#include "heap/heap.h"
#include "span/fenced.h"

struct allot_tag;

/* Makes a tag's record, where it has none yet. The id of its heap, or 0 with memory out. */
uint32_t typed_heap(struct allot_tag *tag);

/* As hard_alloc, a slot of the tag's heap, whose id that is; any thread. And a slot of it is free from now on. */
void *typed_alloc(uint32_t id, size_t size, size_t align, bool *zeroed);
void typed_free(struct slab *s, void *p);

/* The heap is a tag's own, rather than a thread's or a first-class one. */
bool typed_is_own(const struct heap *h);

/* A unit that no blocks but those of the heap's tag have been in, or NULL. And back, with what is in it wiped. */
struct unit *typed_take_unit(const struct heap *h);
void typed_give_unit(const struct heap *h, struct unit *unit);

/* Where big blocks marked with that id come from and go to; NULL where any will do. */
struct fence_stock *typed_places(uint32_t id);

/* Slabs of which nothing is out go, and pages. Returns the bytes of these. */
size_t typed_trim(void);

void typed_lock(void);
void typed_unlock(void);
void typed_lock_reset(void);

#endif
