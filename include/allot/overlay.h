/* allot/overlay.h - phases that never live together share memory.
 *
 * Segments - the tables of a compiler's phase, a level's data, a bank of an emulated machine - are given places in one area, so that
 * any two that may live together lie apart, and others may lie on each other. Each has a place for good, so pointers into it are
 * good again whenever it is. What is not there is loaded when it is entered; what it displaces is saved.
 *
 *     enum { PROGRAM, PARSE, EMIT };
 *     static const struct allot_overlay_seg segs[] = {
 *         [PROGRAM] = {.name = "program", .size = 4096},
 *         [PARSE] = {.name = "parse", .size = 65536, .parent = PROGRAM + 1},       // never while EMIT
 *         [EMIT] = {.name = "emit", .size = 50000, .parent = PROGRAM + 1},
 *     };
 *     struct allot_overlay overlay;
 *     allot_overlay_init(&overlay, NULL, 0, segs, 3, NULL);                       // 69632 bytes, not 119648
 *     struct table *t = allot_overlay_enter(&overlay, PARSE);
 *     ...
 *     allot_overlay_leave(&overlay, PARSE);
 *
 * What may live together is said in one of two ways. As a tree of phases: a segment lives together with those on its way to the
 * root, and with nothing beside that. Or as exclusions: all live together but for the pairs that are named.
 *
 * The layout of a tree, and of exclusions that amount to one, is the smallest there can be: as long as the heaviest set of segments
 * that live together at once. For others the problem is NP-hard: the layout is a first fit in the best of several orders, and
 * beside its length stands the weight of the heaviest such set that was found, which no layout can go below (allot_overlay_plan).
 * (Golumbic, Algorithmic Graph Theory and Perfect Graphs, 1980: trivially perfect graphs, interval colouring.)
 *
 * Where AddressSanitizer or valgrind's memcheck watch, only what is held may be touched.
 *
 * Not for what comes and goes in any order: that is a cache's, or a pager's.
 *
 * Threads: one at a time. The struct, the segments and an area of the caller's stay where they are until done.
 */
#ifndef ALLOT_OVERLAY_H
#define ALLOT_OVERLAY_H

#include <allot/part.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ALLOT_OVERLAY_MAX 4096 /* segments */

struct allot_overlay_seg {
    const char *name; /* for who reads a fault's line; may be NULL */
    size_t size;      /* bytes; rounded up to the overlay's `align` */

    /* In a tree: the segment it is entered from, its index and 1, and smaller than its own; 0: a root. Else 0. */
    unsigned parent;

    /* Else: those it never lives together with, by index. It is enough that one of a pair says so. */
    const unsigned *excludes;
    size_t excludes_count;

    /* Where the bytes are while they are not in the area: `size` bytes. They are copied from there, and, unless `constant`, back. NULL:
     * the two functions below do it. */
    void *image;
    bool constant;

    /* Fills its place when it is entered and not there; NULL: its bytes are of any value then. And keeps the bytes before others
     * take the place; NULL: they are lost. 0 or -errno, which makes the enter that needs it fail. They must not call the overlay. */
    int (*load)(void *arg, void *at, size_t size);
    int (*save)(void *arg, const void *at, size_t size);
    void *arg;
};

struct allot_overlay_opts {
    bool excludes;    /* what lives together is said by `excludes`; false: by `parent` */
    size_t align;     /* of every place, in bytes, a power of two; 0: 16 */
    const char *name; /* for who looks for leaks: as long as the overlay; NULL: none */
};

/* How long a layout is. clique <= the best there can be <= area <= total. */
struct allot_overlay_layout {
    size_t area; /* bytes it takes */
    size_t
        clique; /* of the heaviest set found whose segments all live together: equal to `area` when the layout is proved the best */
    size_t total; /* of all segments: what it would be without overlaying */
};

/* The layout alone. `at`, unless NULL, gets the offset of each of the `n` segments. 0, -ENOMEM, or -EINVAL: for a parent or an
 * excluded one that cannot be, sizes that make no sum, no segment or too many. Any thread. Cost: up to 20 first fits of n * n steps;
 * a tree is done after one. Memory: n * n / 8 bytes meanwhile. */
ALLOT_API int allot_overlay_plan(const struct allot_overlay_seg *segs, size_t n, const struct allot_overlay_opts *opts,
                                 size_t *at, struct allot_overlay_layout *out);

/* All private. */
struct allot_overlay {
    char *area;
    const struct allot_overlay_seg *segs;
    size_t n, words;                   /* segments, and words of a bitmap of them */
    struct allot_overlay_place *place; /* of each */
    uint64_t *excludes,
        *displaces;           /* a row for each: those it never lives with; of these, those that lie where it does */
    uint64_t *held, *present; /* entered now; in the area, held or not */
    struct allot_overlay_layout layout;
    size_t align, refused, loads, saves;
    bool own, watched; /* the area is the overlay's; somebody watches this process's accesses */
};

/* Lays the segments out in `size` bytes at `area`, a multiple of `align`; or in memory of allot's heap, when `area` is NULL. 0; as
 * allot_overlay_plan; -ENOSPC when the layout is longer than `size`. Nothing is loaded. Memory: n * n / 4 bytes. */
ALLOT_API int allot_overlay_init(struct allot_overlay *overlay, void *area, size_t size,
                                 const struct allot_overlay_seg *segs, size_t n, const struct allot_overlay_opts *opts);

/* Enters a segment: it is held until it was left as many times. Returns its place, always the same, with its bytes: as they were
 * left, or loaded. NULL with errno: EBUSY when one is held that it never lives together with, wherever that lies, or what load or
 * save have returned; then the segment is not held, those that were saved before are not there any more, and nothing is lost.
 * Cost: a few words; and a copy out for each one that has to go and that is saved, and in. */
ALLOT_API void *allot_overlay_enter(struct allot_overlay *overlay, unsigned seg);

/* Leaves it. Its bytes stay until another needs the place; nobody may touch them before it is entered again. One that is not held
 * ends the process with a line. */
ALLOT_API void allot_overlay_leave(struct allot_overlay *overlay, unsigned seg);

/* Saves what is in the area, held or not; it stays there. 0, or what save returned: the others have been saved. */
ALLOT_API int allot_overlay_save(struct allot_overlay *overlay);

/* The end: nothing is saved. A segment that is held ends the process with a line. */
ALLOT_API void allot_overlay_done(struct allot_overlay *overlay);

struct allot_overlay_stats {
    struct allot_use
        use; /* used, count: bytes of what is held, and how many; held: the area and records; refused: enters that failed */
    struct allot_overlay_layout layout;
    uint64_t present; /* bytes of what is in the area */
    uint64_t loads, saves;
};
ALLOT_API void allot_overlay_stats(const struct allot_overlay *overlay, struct allot_overlay_stats *out);

/* Proves the layout - whatever may live together lies apart - and the state; has whoever watches deny all that is not held.
 * Returns true. */
ALLOT_API bool allot_overlay_check(const struct allot_overlay *overlay);

#ifdef __cplusplus
}
#endif

#endif
