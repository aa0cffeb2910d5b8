/* heap/hard.h - the heap when it is hardened (harden=1 and up, or redzone, fill, quarantine): the same heaps, classes and
 * slabs, of which free slots are bits only, and every call on a slow path.
 *
 *   front (thread-local)        heap                             current slab of a class
 *   list[]: always empty        hard: hand[class] ------------->   a word of its free bits: one of them at random
 *   heap_id: ID_NOBODY               waiting[class]: a ring       slots that were freed, and are not free yet
 *
 * The fast paths know nothing of it: malloc finds an empty list, and free an owner that is not the thread's id. What free
 * finds out is exact: a slot is live when it has been handed out, and is neither free nor freed by another thread; with seals
 * (heap/seal.h) also not held back.
 */
#ifndef HEAP_HARD_H
#define HEAP_HARD_H

#include "base/random.h"
#include "heap/expect.h"
#include "heap/heap.h"
#include "heap/seal.h"

/* Slots that wait to be free: first in, first out. */
struct waiting {
    void **ring;
    uint32_t next, most;
};

struct hard {
    uint32_t id;               /* the heap's */
    struct hand hand[CLASSES]; /* of the class's current slab; one of nothing without */
    struct waiting waiting[CLASSES];
    struct random random;
};

/* The options are known: from here on the process is hardened, or never will be. */
void hard_begin(void) __attribute__((cold));

/* What a heap needs besides, or NULL with ENOMEM. */
struct hard *hard_make(uint32_t heap);

/* The class's current slab is not any more. */
void hard_let_go(struct heap *h, unsigned c);

/* A slab is about to go: what is free of it was wiped, but for the seals; `live`: there may be blocks. Who takes its unit finds
 * what was written there since. */
void hard_let_slab_go(struct slab *s, bool live);

/* What waits in a heap becomes free; or is forgotten, when all of the heap goes. */
void hard_flush(struct heap *h);
void hard_forget(struct heap *h);

/* A block of any size and alignment, a power of two; big ones are marked with `id`. h is NULL for a thread past its end.
 * `zeroed`: all of it is zero. NULL with ENOMEM. */
void *hard_alloc(struct heap *h, uint32_t id, size_t size, size_t align, bool *zeroed);

/* As malloc, for a thread with a front.hard: the way that nearly every call takes. */
void *hard_malloc(size_t size);

/* The bytes that a slot for such a block has, or 0: it is a big one. */
size_t hard_slot_size(size_t size, size_t align);

/* Frees a block of any size, or NULL; or faults. */
void hard_free(void *p);
/* The bytes of a live block that may be used; faults, naming the crime, when it is none. */
size_t hard_usable(const void *p, const char *crime);

/* Makes a slot serve another size, when that is of its class. */
bool hard_resize(void *p, size_t size);

#endif
