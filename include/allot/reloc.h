/* allot/reloc.h - an area that can be moved as a whole: base and limit, an offset checked and translated at each access.
 *
 *     struct allot_reloc area;
 *     allot_reloc_init(&area, 1 << 20, NULL);
 *     struct node *n = ALLOT_RELOC_AT(&area, 4096, struct node);   // base + 4096, if that is within the limit
 *     allot_reloc_resize(&area, 1 << 24);                          // elsewhere, maybe; offset 4096 has the same node
 *     allot_reloc_save(&area, write_to, file);                     // and in another process: allot_reloc_load
 *
 * For data that refers to itself: a graph, an index, a compiled table, the memory of an emulated machine. It holds offsets, not
 * addresses, and so may lie anywhere, be grown, be kept in a file and come back at another address, as it is, in one piece. An
 * offset beyond the limit ends the process with a line, in place of reading somebody else's memory. Where things go within the
 * area is the program's own matter, or a region's (allot/region.h).
 *
 * This is dynamic relocation by a base register and a limit register, in software. (Denning, "Virtual memory", ACM Computing Surveys
 * 2(3), 1970; Tanenbaum, "Modern Operating Systems", chapter 3.)
 *
 * Not for pieces that come and go one by one and are to be moved together: that is a movable heap's (allot/movable.h).
 *
 * Threads: any number may access at once; everything else one at a time, with no access under way. The struct is the caller's, and may
 * be moved; an address that `at` has returned is good until the next call but `at`. In the child of a fork it is as it was.
 */
#ifndef ALLOT_RELOC_H
#define ALLOT_RELOC_H

#include <allot/part.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ALLOT_RELOC_CLOSED 8

struct allot_reloc {
    char *base;     /* where it is now, */
    uint64_t limit; /* and how many bytes it has */

    size_t room; /* private: bytes at `base` that may be had without moving */
    const char *name;
    bool own, debug; /* own: `base` is a mapping of the library's */
    uint64_t moves, copied, remapped, refused;
    size_t peak;
    struct {
        void *at;
        size_t length;
    } closed[ALLOT_RELOC_CLOSED]; /* debug: where it was */
    size_t closed_next;
};

struct allot_reloc_opts {
    const char *name; /* for who reads a fault's line; as long as the area. NULL: none */

    /* Where it lies at first; the caller's, and its again when the area has moved, or is done. NULL: pages of its own. */
    void *memory;
    size_t memory_size;

    /* Every call but `at` moves the area, and what was there before is unmapped, for a while: an address that was kept faults at its
     * next use. For tests. */
    bool debug;
};

/* An area of `size` bytes, all zero. `opts` NULL: the defaults. 0, -ENOMEM, or -EINVAL when it is longer than opts.memory_size, or than
 * PTRDIFF_MAX. Cost: a system call; or zeroing the caller's memory. */
ALLOT_API int allot_reloc_init(struct allot_reloc *area, size_t size, const struct allot_reloc_opts *opts);
ALLOT_API void allot_reloc_done(struct allot_reloc *area);

/* Ends the process: names the offset and the limit. */
ALLOT_API void allot_reloc_fault(const struct allot_reloc *area, uint64_t offset, uint64_t length)
    __attribute__((noreturn, cold));

/* Where `length` bytes from an offset on are now. Those that are not all within the limit end the process. Cost: a compare, an addition. */
static inline void *allot_reloc_at(const struct allot_reloc *area, uint64_t offset, uint64_t length)
{
    if (__builtin_expect(length > area->limit || offset > area->limit - length, 0)) {
        allot_reloc_fault(area, offset, length);
    }
    return area->base + offset;
}

#define ALLOT_RELOC_AT(area, offset, type) ((type *)allot_reloc_at(area, offset, sizeof(type)))

/* The offset of an address within the area, one past its end included; another one ends the process. */
static inline uint64_t allot_reloc_offset(const struct allot_reloc *area, const void *at)
{
    uint64_t offset = (uint64_t)((uintptr_t)at - (uintptr_t)area->base);
    if (__builtin_expect(offset > area->limit, 0)) {
        allot_reloc_fault(area, offset, 0);
    }
    return offset;
}

/* Makes it so many bytes long; those that come are zero. 0; or -ENOMEM, and it is as it was. Cost: a system call, that moves pages and not
 * bytes; a copy where it was the caller's memory, and where the system refuses. */
ALLOT_API int allot_reloc_resize(struct allot_reloc *area, size_t size);

/* Moves it to another address, pages of its own; as resize. Of one in debug mode, it is what any call does. */
ALLOT_API int allot_reloc_move(struct allot_reloc *area);

/* Moves it into memory of the caller's, by copying: 0, or -ENOSPC when that is too short. */
ALLOT_API int allot_reloc_move_to(struct allot_reloc *area, void *memory, size_t memory_size);

/* Somewhere that it may be moved: in debug mode it is, else nothing happens. */
ALLOT_API void allot_reloc_chance(struct allot_reloc *area);

struct allot_reloc_stats {
    struct allot_use use;             /* used: the limit; count: 1; held: with what is left of its memory */
    uint64_t moves, copied, remapped; /* so often has it moved; bytes of these that were copied, and that were not */
};
ALLOT_API void allot_reloc_stats(const struct allot_reloc *area, struct allot_reloc_stats *out);

/* Ends the process when an equation is broken. Returns true. */
ALLOT_API bool allot_reloc_check(const struct allot_reloc *area);

/* Writes it, by calls of `write`, which returns 0 or -errno; and makes an area of that, by calls of `read`, which fills `bytes`, in place
 * of init. 0; what write or read has returned; -EINVAL when it is no such image, or opts as of init; -ENOMEM. Bytes are as they are: in
 * the machine's order. */
ALLOT_API int allot_reloc_save(struct allot_reloc *area, int (*write)(void *arg, const void *bytes, size_t length),
                               void *arg);
ALLOT_API int allot_reloc_load(struct allot_reloc *area, int (*read)(void *arg, void *bytes, size_t length), void *arg,
                               const struct allot_reloc_opts *opts);

#ifdef __cplusplus
}
#endif

#endif
