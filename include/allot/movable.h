/* allot/movable.h - a heap whose objects move: references that stay, addresses that change, memory that goes back.
 *
 *     struct allot_movable heap;
 *     allot_movable_init(&heap, 0, NULL);
 *     allot_ref name = allot_movable_get(&heap, 12);
 *     strcpy(allot_movable_at(&heap, name), "hello world");      // good until the next step
 *     while (allot_movable_step(&heap, 128 << 10) > 0) serve();  // some of it moved, some of it given back
 *     allot_movable_put(&heap, name);
 *
 * For what comes and goes in sizes of all kinds for as long as a process lives: the values of a database, pieces of texts, values
 * of a script, what is cached. Where such objects die in any order, malloc's pages stay, each with a few of them; here they are
 * moved together, a bit at a time, and the pages go back to the system.
 *
 * A reference is 8 bytes, a slot and a generation, and may be kept anywhere, also in files (allot_movable_save). It is good for one
 * object and never for another: who uses it after put ends with a line, however often the slot was used since.
 *
 * Objects of up to ALLOT_MOVABLE_SMALL bytes lie in chunks of 512 KiB, after a header of 6 bytes, at multiples of 8, or of 16 for who has
 * long doubles or SSE's types in them (opts.align); each has 2 bytes in a table of slots, which stay until the slots of their group,
 * 256, are all free. Others, and all that may be purged, lie in zones of 16 MiB that are regions (allot/region.h), or in pages of
 * their own, at multiples of 16. Where AddressSanitizer or valgrind's memcheck watch, only objects may be touched, and `at` is a call.
 * (Jones, Hosking and Moss, "The Garbage Collection Handbook", 2012, chapter 3; the Memory Manager of "Inside Macintosh" II, 1985,
 * whose lock bit is a count here.)
 *
 * Not where all is dropped at once (allot/arena.h), where all is of one size (allot/pool.h), or where others keep addresses.
 *
 * Threads: one at a time; the caller sees to it. With opts.lock any thread, any moment, but for one thing: what `at` has returned, and
 * `at` itself, is good while no other thread is in step, purge, trim or load, or in a call on the same object; pin is good
 * always. In the child of a fork a heap with a lock is as it was, another one as whoever used it left it. The struct is the
 * caller's; it may be moved while no call runs.
 */
#ifndef ALLOT_MOVABLE_H
#define ALLOT_MOVABLE_H

#include <allot/part.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An object. All zero: none. */
typedef struct {
    uint32_t slot, gen;
} allot_ref;

#define ALLOT_MOVABLE_SMALL 8178 /* bytes; at multiples of 16 it is 8170 */

struct allot_movable {
    char *const *near_at;  /* private: of each slot below `near_slots` the address of its object, or NULL, */
    uint32_t near_slots;   /* as long as there have never been more slots; then 0 */
    uint32_t slots;        /* that there can be */
    const uint16_t *entry; /* of each, where its object is, in 8 bytes from `base` of its group; 0: free */
    char *const *base;
    void *state;
};

struct allot_movable_opts {
    const char *name; /* for who looks at blocks (allot snap); as long as the heap. NULL: none */
    size_t
        limit; /* bytes that it may hold, in whole chunks; beyond them what is purgeable goes, then calls fail. 0: `reserve` */
    unsigned waste; /* percent: a chunk is worth emptying when so much of it is free; 1 to 99, 0: 12 */
    bool lock;      /* for several threads */
    unsigned align; /* bytes: small objects lie at multiples of 8 or 16, which takes 4 bytes more of each. 0: 8 */

    /* A heap that has never had more than so many slots has 8 bytes for each besides, its object's address: `at` is a load less
     * then, which counts where all lies in the nearest cache, as a large table does not. 0: 512, that is 4 KiB; UINT32_MAX: however
     * many. */
    uint32_t near_slots;

    /* Every step moves all there is, once, whatever its size, and what was there before is unmapped: an address that was kept
     * faults at its next use. Each object of the larger kind has pages of its own. For tests. */
    bool debug;

    /* Of purgeable objects: fills one again that was purged. 0 or -errno. It may not call the heap. */
    int (*rebuild)(void *arg, uint64_t key, void *at, size_t size);
    void *arg;
};

/* An empty heap. `reserve`: bytes of address space, no memory: twice and an eighth of it is set apart, for small objects, for
 * others, and for tables, and neither kind can have more. It may be more than there is memory, which a process that forks needs
 * no more of either (but vm.overcommit_memory=2). 0: 64 GiB, halved until the system grants it (ulimit -v). `opts` NULL: the
 * defaults. 0, -ENOMEM, or -EINVAL. Cost: a few system calls. */
ALLOT_API int allot_movable_init(struct allot_movable *heap, size_t reserve, const struct allot_movable_opts *opts);

/* Gives all back, objects too. One that is pinned ends the process: "done while an object is pinned". */
ALLOT_API void allot_movable_done(struct allot_movable *heap);

/* An object of `size` bytes, without a value; less than 3 count as 3. None with ENOMEM. Cost: O(1), some forty instructions; a chunk,
 * or a system call, now and then; of the larger ones O(log n) and a visit of each zone. */
ALLOT_API allot_ref allot_movable_get(struct allot_movable *heap, size_t size);

/* One that the heap may drop and have built again: of any size, but meant for a KiB and more, as it has 150 bytes of records. It is
 * built at once, by opts.rebuild with `key`, and again when it is used after it was purged. None with ENOMEM, EINVAL where there is no
 * rebuild, or what that returned. */
ALLOT_API allot_ref allot_movable_get_purgeable(struct allot_movable *heap, size_t size, uint64_t key);

/* Takes an object back; none is ignored. A reference that is stale, and one that is pinned, end the process. O(1), or O(log n). */
ALLOT_API void allot_movable_put(struct allot_movable *heap, allot_ref ref);

/* Makes it so many bytes; those that there were stay, as far as there is room. Its address may be another afterwards. 0, -ENOMEM,
 * -EBUSY when it is pinned and would have to move, -EINVAL when it is purgeable; then it is as it was. */
ALLOT_API int allot_movable_resize(struct allot_movable *heap, allot_ref ref, size_t size);

/* Whether there is an object of that reference: for what comes out of files. Any garbage may be asked for. */
ALLOT_API bool allot_movable_is(struct allot_movable *heap, allot_ref ref);

/* Bytes, as asked for. */
ALLOT_API size_t allot_movable_size(struct allot_movable *heap, allot_ref ref);

/* As allot_movable_at, of what that does not have at hand. */
ALLOT_API void *allot_movable_find(struct allot_movable *heap, allot_ref ref);

/* Private: the generation in front of an object. */
static inline uint32_t allot_movable_gen(const char *p)
{
    uint32_t gen;
    __builtin_memcpy(&gen, p - sizeof gen, sizeof gen);
    return gen;
}

/* Where an object is. Good until the next step, purge, trim or load, and until it is resized or put; of a purgeable one until the next
 * call of any kind. NULL for none; and with errno, of a purgeable one that cannot be built again. A stale reference ends the process.
 * Cost: for small ones two loads side by side, in a heap of few slots one, then the object's; for others a call. */
static inline void *allot_movable_at(struct allot_movable *heap, allot_ref ref)
{
    uint64_t both; /* the reference in one load: each that is between them makes the next one later */
    __builtin_memcpy(&both, &ref, sizeof both);
    uint32_t slot = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? (uint32_t)both : (uint32_t)(both >> 32);
    uint32_t gen = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? (uint32_t)(both >> 32) : (uint32_t)both;
    if (slot < __atomic_load_n(&heap->near_slots, __ATOMIC_RELAXED)) {
        char *p = heap->near_at[slot];
        if (__builtin_expect(p && allot_movable_gen(p) == gen, 1)) {
            return p;
        }
    } else if (__builtin_expect(slot < heap->slots, 1)) {
        uint64_t unit = heap->entry[slot];
        char *p = heap->base[slot / 256] + unit * 8;
        if (__builtin_expect(unit && allot_movable_gen(p) == gen, 1)) {
            return p;
        }
    }
    return allot_movable_find(heap, ref);
}

/* Where an object is and stays until it is unpinned as many times; it is not purged either. NULL as of at, and with ENOMEM, from an
 * object's third pin at a time on. An unpin too many ends the process. Others of its group, 256 slots, cannot leave its chunk
 * meanwhile. O(1). */
ALLOT_API void *allot_movable_pin(struct allot_movable *heap, allot_ref ref);
ALLOT_API void allot_movable_unpin(struct allot_movable *heap, allot_ref ref);

/* -- giving memory back -- */

/* Some compaction: moves about `max_bytes` (at least one group of small objects, up to 512 KiB, or one other), and gives back what came
 * free. Returns the bytes that were moved or given back: 0 when there is no more that is worth it. The second form goes on until so
 * many nanoseconds are over. Cost: docs/movable.md has it measured; a visit of each chunk's record besides, now and then. */
ALLOT_API size_t allot_movable_step(struct allot_movable *heap, size_t max_bytes);
ALLOT_API size_t allot_movable_step_for(struct allot_movable *heap, uint64_t max_ns);

/* Drops what is purgeable and not pinned, what was not used for longest first, about, until so many bytes are free; and gives them
 * back to the system. Returns the bytes. */
ALLOT_API size_t allot_movable_purge(struct allot_movable *heap, size_t bytes);

/* Gives back what is free, as it lies: nothing moves. Returns the bytes. Cost: a visit of each chunk and zone, and system calls. */
ALLOT_API size_t allot_movable_trim(struct allot_movable *heap);

/* Calls `moved` for each object that has moved, after that; `from` is no more than a number then. It may not call the heap, but at.
 * NULL: nobody is called. */
ALLOT_API void allot_movable_on_move(struct allot_movable *heap,
                                     void (*moved)(void *arg, allot_ref ref, void *from, void *to), void *arg);

/* For who keeps addresses, of objects pinned for good: whether it would help to take another object for this one, copy it and put it. 0:
 * it lies well; else the percentage of its chunk that is free, and stays the system's loss as long as somebody pins there. O(1). */
ALLOT_API unsigned allot_movable_worth(struct allot_movable *heap, allot_ref ref);

/* -- what it can tell -- */

struct allot_movable_stats {
    struct allot_use
        use;         /* held: pages that may be resident, of objects, holes and tables; peak: of chunks and others */
    uint64_t slots;  /* that the table has: 2.1 bytes each */
    uint64_t chunks; /* of 512 KiB, in use */
    uint64_t pinned; /* objects */
    uint64_t large;  /* objects in zones or pages of their own; of these: */
    uint64_t purgeable, purged;
    uint64_t steps, moves, moved; /* steps so far; objects that they moved, and bytes */
    uint64_t returned;            /* bytes that went back to the system */
    uint64_t rebuilt;             /* times */
};

/* Cost: a visit of each chunk. */
ALLOT_API void allot_movable_stats(struct allot_movable *heap, struct allot_movable_stats *out);

/* Visits each object, by slot; `at` is NULL of one that is purged. Stops at a value other than 0 and returns it. `visit` may call nothing
 * but at. */
ALLOT_API int allot_movable_walk(struct allot_movable *heap,
                                 int (*visit)(void *arg, allot_ref ref, void *at, size_t size), void *arg);

/* Proves the heap's equations; ends the process when one is broken. Returns true. Cost: a visit of each object, hole and slot. */
ALLOT_API bool allot_movable_check(struct allot_movable *heap);

/* -- to a file and back -- */

/* Writes all objects with their references, by calls of `write`, which returns 0 or -errno. Bytes are in the machine's order; what they
 * mean is the program's: references stay good, addresses do not. 0, or what write returned. */
ALLOT_API int allot_movable_save(struct allot_movable *heap, int (*write)(void *arg, const void *bytes, size_t length),
                                 void *arg);

/* Fills a heap that has never had an object with what was saved, at other addresses. `read` fills all of `bytes` and returns 0 or -errno.
 * 0; -EINVAL when the heap is not new, or it is no such image, one of a heap with another opts.align, or a damaged one, as far as can be
 * told from its records; -ENOMEM; or what read returned. On failure the heap has none. */
ALLOT_API int allot_movable_load(struct allot_movable *heap, int (*read)(void *arg, void *bytes, size_t length),
                                 void *arg);

#ifdef __cplusplus
}
#endif

#endif
