/* allot/arena.h - objects that are freed together: a pointer is bumped for each, and all go at once.
 *
 * For what a request, a function that is compiled, a document or a frame needs: many objects, one end.
 *
 *     struct allot_arena arena;
 *     allot_arena_init(&arena, NULL);
 *     for (each request) {
 *         char *line = allot_arena_alloc(&arena, 100);
 *         allot_arena_defer(&arena, close_file, file);
 *         ...
 *         allot_arena_reset(&arena, SIZE_MAX);       // the file is closed, line is gone, the memory stays warm
 *     }
 *     allot_arena_done(&arena);
 *
 * Not for objects that live for different times, or one that grows while others are made: those are malloc's.
 *
 * Objects have no header and lie one after another at multiples of 16 bytes in blocks that double, from 64 KiB to 4 MiB. What a
 * block has left when an object does not fit any more is lost until the next reset; it is less than that object. An object of
 * more than a quarter of the largest block gets a block of its own. So an arena holds less than twice what is allocated, and a
 * block.
 *
 * Where AddressSanitizer or valgrind's memcheck watch, all that is not allocated may not be touched, and at least 16 bytes behind
 * each object are such.
 *
 * Threads: a struct allot_arena is used by one at a time. A struct allot_arena_shared, further down, by all: under a lock, or each
 * thread in chunks of its own. The structs are the caller's, and may be moved while no call runs, but not while there is an
 * allot_allocator of them; a shared one may not be moved.
 */
#ifndef ALLOT_ARENA_H
#define ALLOT_ARENA_H

#include <allot/allocator.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ALLOT_ARENA_ALIGN 16 /* bytes */

struct allot_arena_block; /* private */
struct allot_arena_defer;

/* The next object begins at `at`, and [at, end) is free; both are multiples of 16. `end` is the end of the block, or the same as
 * `at`: where somebody watches, and before there is a block. Then each object takes the way of one that does not fit. The rest
 * is private. */
struct allot_arena {
    char *at, *end;
    struct allot_arena_block *used;   /* blocks that hold objects, the latest first; it knows which one `at` lies in */
    struct allot_arena_block *spare;  /* warm, for later; the next to be used first */
    struct allot_arena_defer *defers; /* cleanups that have not run, the latest first */
    /* `at` and `used` of the mark that was made, or gone back to, last: what ends there is not extended. */
    char *fence;
    struct allot_arena_block *fence_used;
    struct allot_allocator from; /* ops NULL: allot's heap */
    size_t first, max, limit;    /* as in the options, and never 0 */
    size_t next;                 /* bytes of the next new block */
    size_t held, peak, refused;  /* bytes in blocks, used and spare; the most of it; see struct allot_use */
    bool watched;                /* somebody watches this process's accesses */
    const char *name;            /* as in the options */
};

struct allot_arena_opts {
    size_t first; /* bytes of the first block, 0: 64 KiB; at least 256 */
    size_t max; /* blocks double up to that many bytes, 0: 4 MiB, or `first` if that is more; SIZE_MAX: without a cap */
    size_t limit; /* bytes that are never exceeded by all blocks together, spare ones included; 0: none */
    struct allot_allocator from; /* where blocks come from, at multiples of 16; ops NULL: allot's heap */
    const char *name;            /* for who looks for leaks: as long as the arena; NULL: none */
    bool local;                  /* of allot_arena_shared_init alone: each thread allocates in chunks of its own */
};

/* Prepares an empty arena; `opts` NULL or all zero: the defaults. 0, or -EINVAL for sizes that cannot be. Takes no memory: the
 * first block comes with the first object. */
ALLOT_API int allot_arena_init(struct allot_arena *arena, const struct allot_arena_opts *opts);

/* The way of an object that does not fit the block. As allot_arena_alloc. */
ALLOT_API void *allot_arena_alloc_slow(struct allot_arena *arena, size_t size) __attribute__((cold, noinline));

/* An object of `size` bytes at a multiple of 16, contents undefined; of size 0 one of its own. NULL with ENOMEM, the limit's
 * included. Cost: ten instructions; a call for each block. */
static inline __attribute__((malloc, alloc_size(2))) void *allot_arena_alloc(struct allot_arena *arena, size_t size)
{
    char *p = arena->at;
    if (__builtin_expect(size - 1 >= (size_t)(arena->end - p), 0)) {
        return allot_arena_alloc_slow(arena, size);
    }
    arena->at = p + ((size + (ALLOT_ARENA_ALIGN - 1)) & ~(size_t)(ALLOT_ARENA_ALIGN - 1));
    return p;
}

/* One at a multiple of `align`, a power of two; EINVAL when it is none. What is skipped to get there is lost. */
ALLOT_API void *allot_arena_aligned(struct allot_arena *arena, size_t size, size_t align)
    __attribute__((malloc, alloc_size(2), alloc_align(3)));

/* Makes an object of `old` bytes `now` bytes long where it lies: true, or false and nothing has changed. It always becomes
 * shorter. It becomes longer when it is the last that was allocated, no mark was made since, and the block has room; an object in a
 * block of its own when it is the latest of these, no mark was made since, and the block has room or can be made longer where it
 * comes from. What it loses at the end is free again on the same conditions. */
ALLOT_API bool allot_arena_extend(struct allot_arena *arena, void *p, size_t old, size_t now);

/* -- going back ------------------------------------------------------------------------------------------------- */

/* A moment in an arena's life. Private. */
struct allot_arena_mark {
    char *at;
    struct allot_arena_block *used;
    struct allot_arena_defer *defers;
};

/* The present moment. It lasts until the arena goes back to an earlier one, or is reset. Marks nest, and are nothing to be freed. */
ALLOT_API struct allot_arena_mark allot_arena_mark(struct allot_arena *arena);

/* Goes back there: runs the cleanups that were deferred since, the latest first, and frees every object that was allocated since.
 * Blocks stay warm for what comes next, but those that an object had for its own go back. The mark may be used again. One that
 * lies beyond the present, as it was made before a rewind to an earlier one, ends the process with a line; that is found out
 * where its place is not in use now. Cost: a visit for each block since. */
ALLOT_API void allot_arena_rewind(struct allot_arena *arena, struct allot_arena_mark mark);

/* Has `fn` called with `arg` when the arena goes back beyond this moment, is reset or done: the latest first, while all objects
 * are still there. It may allocate from the arena, and defer; that is gone, or has run, when the call is over. It may not go back.
 * 0 or -ENOMEM: then nothing is deferred. Cost: 32 bytes of the arena. */
ALLOT_API int allot_arena_defer(struct allot_arena *arena, void (*fn)(void *arg), void *arg);

/* Runs all cleanups and frees all objects. Of the blocks those that were used first stay warm, up to `keep` bytes in all (SIZE_MAX:
 * all of them; 0: none), and the others go back. An arena whose rounds are alike then takes no memory any more, and touches none
 * for the first time. */
ALLOT_API void allot_arena_reset(struct allot_arena *arena, size_t keep);

/* The same, and every block goes back. The struct may be given to init again; to nothing else. */
ALLOT_API void allot_arena_done(struct allot_arena *arena);

/* -- what it can tell ------------------------------------------------------------------------------------------- */

struct allot_arena_stats {
    struct allot_use
        use;        /* used: bytes of objects, each rounded up to 16, and of what was skipped to align them; of a local
                             arena, of chunks. count: the blocks that they lie in */
    uint64_t spare; /* of `held`: bytes of blocks that are warm */
    uint64_t lost;  /* and what blocks had left when an object did not fit */
    uint64_t deferred; /* cleanups that have not run */
};

/* Cost: a visit for each block and cleanup. */
ALLOT_API void allot_arena_stats(const struct allot_arena *arena, struct allot_arena_stats *out);

/* Walks blocks and cleanups and proves what the fields say of each other; a broken one ends the process with a line. Returns true. */
ALLOT_API bool allot_arena_check(const struct allot_arena *arena);

/* The arena for whoever wants memory at a border: what is given back one by one stays until the reset. As long as the arena. */
ALLOT_API struct allot_allocator allot_arena_allocator(struct allot_arena *arena);

/* -- one for all threads ---------------------------------------------------------------------------------------- */

/* Locked: a lock, and an arena behind it. Local: a thread's objects lie in chunks that it has for itself, of 1 KiB at first, then
 * each twice as long, up to 64 KiB; the lock is for the chunks. What a thread has left when it ends stays unused until the reset:
 * no more than 1 KiB and four times what it had allocated, nor than 64 KiB. All are freed together. Private. */
struct allot_arena_shared {
    struct allot_arena arena; /* the lock's */
    int lock;
    bool local;
    uint64_t round; /* another after each reset, by which threads know their chunks; of no two arenas */
    struct allot_arena_chunk *chunk; /* the chunks that threads have, in the arena; the lock's */
};

/* As allot_arena_init. */
ALLOT_API int allot_arena_shared_init(struct allot_arena_shared *shared, const struct allot_arena_opts *opts);

/* As those of an arena; any thread at any time. A local object takes 28 instructions and no lock; a thread that
 * uses more than 4 arenas in turn takes the lock more often. */
ALLOT_API void *allot_arena_shared_alloc(struct allot_arena_shared *shared, size_t size)
    __attribute__((malloc, alloc_size(2)));
ALLOT_API void *allot_arena_shared_aligned(struct allot_arena_shared *shared, size_t size, size_t align)
    __attribute__((malloc, alloc_size(2), alloc_align(3)));

/* Cleanups run in the thread that resets, and may allocate and defer. Under the lock. */
ALLOT_API int allot_arena_shared_defer(struct allot_arena_shared *shared, void (*fn)(void *arg), void *arg);

/* While no other thread uses it. */
ALLOT_API void allot_arena_shared_reset(struct allot_arena_shared *shared, size_t keep);
ALLOT_API void allot_arena_shared_done(struct allot_arena_shared *shared);

/* Under the lock: any thread. */
ALLOT_API void allot_arena_shared_stats(struct allot_arena_shared *shared, struct allot_arena_stats *out);
ALLOT_API bool allot_arena_shared_check(struct allot_arena_shared *shared);
ALLOT_API struct allot_allocator allot_arena_shared_allocator(struct allot_arena_shared *shared);

#ifdef __cplusplus
}
#endif

#endif
