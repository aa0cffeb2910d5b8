/* allot/evict.h - which page to let go: policies of replacement, alone. Indices in, indices out.
 *
 *     struct allot_evict e;
 *     allot_evict_init(&e, ALLOT_GRADUAL, frames, NULL);
 *
 *     on a hit in frame i:     allot_evict_hit(&e, i);
 *     on a miss of page p:     size_t i = there is a free frame ? that : allot_evict_victim(&e, ghost[p], &ghost[page_in[i]], NULL, NULL);
 *                              ... read p into frame i ...
 *                              allot_evict_enter(&e, i, ghost[p], 0);
 *
 * For caches, simulators, and allot/pager.h, which is built on it. A frame is a number below `frames`; what is in it is the caller's
 * business. What a policy wants to remember of a page that is not there it hands out as a word, the page's ghost, which the caller
 * keeps where it keeps the page's other data and hands in when the page comes back; 0 is of a page that was never there. So there is
 * no table of ghosts, and none to search. Ghosts may be lost: then the page counts as new.
 *
 *   ALLOT_FIFO     the page that has been there longest
 *   ALLOT_LRU      the page that has not been used for longest. (Denning 1968)
 *   ALLOT_CLOCK    the first that was not used since the hand came by. (Corbato 1968)
 *   ALLOT_SIEVE    the same, but what was used stays in its place. (Zhang et al., "SIEVE is simpler than LRU", 2024)
 *   ALLOT_S3FIFO   a small queue for what is new, a Clock for what was used in there, ghosts. (Yang et al., "FIFO queues are all you
 *                  need", 2023: small queue 10 %, ghosts 90 %, twice used to stay)
 *   ALLOT_ARC      two LRU lists, of what was used once and of the rest; ghosts of both decide how long each is. (Megiddo, Modha 2003)
 *   ALLOT_GRADUAL  levels from hot to cold, through which pages cool one by one; how fast they cool, and how much room what is new
 *                  has, follows from which pages are missed. The default: docs/replacement.md says how it works, and has the tables.
 *                  (After multi-generation LRU, Zhao 2022, the queues of S3-FIFO, and MQ, Zhou et al. 2001)
 *
 * Threads: hit from any thread, at any moment, for a frame that has been entered and is not being let go: it takes no lock, with LRU
 * one each 64 times. The others at any moment as well, under a lock of their own. In the child of a fork all is as it was, but that
 * a call of another thread may have been in the middle.
 */
#ifndef ALLOT_EVICT_H
#define ALLOT_EVICT_H

#include <allot/part.h>

#ifdef __cplusplus
extern "C" {
#endif

enum allot_evict_policy {
    ALLOT_GRADUAL,
    ALLOT_FIFO,
    ALLOT_LRU,
    ALLOT_CLOCK,
    ALLOT_SIEVE,
    ALLOT_S3FIFO,
    ALLOT_ARC,
    ALLOT_EVICT_POLICIES
};

#define ALLOT_EVICT_MAX ((size_t)1 << 28) /* frames */

struct allot_evict {
    void *state;           /* all private */
    uint8_t *used;         /* of each frame, how often since it was last looked at, */
    uint8_t most, ordered; /* counted so far; and the order of uses matters */
};

enum {
    ALLOT_EVICT_COLD =
        1 /* to enter: the page is read in passing, and is let go ahead of others if it is not used again */
};

/* Only of ALLOT_GRADUAL; 0: the default, in brackets. */
struct allot_evict_opts {
    unsigned
        levels;     /* up to 8 (3; 2 for less than 256 frames, if pace[2] is 0); the coldest is where new pages begin */
    unsigned fresh; /* what it may have of the frames at the least and at most, in 1/256 (5) */
    unsigned fresh_most; /*                                                        (230) */
    /* Of how many pages one cools from that level to the next below as one page is read, in 1/256, at most 65536: fixed; all 0: it
     * adapts, for all levels alike. [0] and [1] are 0: what is not used there goes. */
    unsigned pace[8];
};

/* Prepares a policy for so many frames, all free. 0, -ENOMEM, or -EINVAL for a policy, a count or options that are none. Any thread.
 * Costs 12 to 24 bytes a frame. */
ALLOT_API int allot_evict_init(struct allot_evict *e, enum allot_evict_policy policy, size_t frames,
                               const struct allot_evict_opts *opts);
ALLOT_API void allot_evict_done(struct allot_evict *e);

ALLOT_API void allot_evict_note(struct allot_evict *e, size_t frame);

/* The page in that frame has been used. Cost: a load, a test, and a store as long as it is not counted to the full. */
static inline void allot_evict_hit(struct allot_evict *e, size_t frame)
{
    uint8_t used = __atomic_load_n(&e->used[frame], __ATOMIC_RELAXED);
    if (used < e->most) {
        __atomic_store_n(&e->used[frame], (uint8_t)(used + 1), __ATOMIC_RELAXED);
    } else if (__builtin_expect(e->ordered, 0)) {
        allot_evict_note(e, frame);
    }
}

/* Chooses the frame whose page goes to make room for a page whose ghost is `coming`, and writes the ghost of the one that goes to
 * *ghost: not `coming`'s place, if that is what it is to be compared with. `busy`, where there is one, says of a frame that it
 * cannot be had now: another is chosen. SIZE_MAX: none can be had. Cost: O(1) amortised, and the busy ones that are met. */
ALLOT_API size_t allot_evict_victim(struct allot_evict *e, uint64_t coming, uint64_t *ghost,
                                    bool (*busy)(size_t frame, void *arg), void *arg);

/* A page is in that frame, which was free or the last victim; `coming` is its ghost, as it was handed to victim. */
ALLOT_API void allot_evict_enter(struct allot_evict *e, size_t frame, uint64_t coming, unsigned how);

/* The page in that frame is no more, and the frame is free. */
ALLOT_API void allot_evict_leave(struct allot_evict *e, size_t frame);

struct allot_evict_stats {
    size_t frames, present; /* of those that may be, and are entered */
    uint64_t hits_noted;    /* LRU, ARC: hits that were put in order */
    uint64_t entered, gone; /* pages */
    uint64_t refaults;      /* pages that came with a ghost that was still good */
    size_t fresh;           /* S3FIFO, ARC, GRADUAL: the room of what is new, at present */
    size_t level[8];        /* the pages of each level, queue or list, the coldest first */
    unsigned pace;          /* GRADUAL: at present, in 1/256 */
};
ALLOT_API void allot_evict_stats(struct allot_evict *e, struct allot_evict_stats *out);

/* Proves the equations: each entered frame is in one list, lists are whole, counts are right. */
ALLOT_API bool allot_evict_check(struct allot_evict *e);

/* "gradual", "fifo", "lru", "clock", "sieve", "s3-fifo", "arc"; NULL, and ALLOT_EVICT_POLICIES, for what is none. */
ALLOT_API const char *allot_evict_name(enum allot_evict_policy policy);
ALLOT_API enum allot_evict_policy allot_evict_named(const char *name);

#ifdef __cplusplus
}
#endif

#endif
