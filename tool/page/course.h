/* page/course.h - a trace over time, interval by interval: looks on while profile_read goes over the events (profile_watch), and notes what the
 * profile, which has the whole only, does not.
 *
 *   came, went --> point[interval]                       of the whole
 *              --> site[]: what it did in this interval  --> tape: a row a site that did something, when the interval ends
 *              --> thread[]: likewise                    --> its own tape
 *              --> sizes: exact counts; bins by interval
 *              --> lives: blocks that died, by interval of birth, size and lifetime; and who fills each size and lifetime most
 *              --> map (page/map.h)
 *
 *     sum over intervals of allocs, bytes, frees, temporary = the profile's; so for each site and thread
 *     live at an interval's end = live at the end of the one before + came - went
 *
 * A process that ends before the last interval takes its blocks along; what lives when the last interval comes stays live to its end, so that
 * the end shows what was never freed.
 *
 * Memory: sites 48 bytes each (29 MiB); lives 4.7 MiB; who fills a cell at most 2^20 pairs, 24 MiB, those that come later not; exact sizes
 * 0.8 MiB, of large ones so many as fit are told apart; threads 4096, those beyond are one.
 */
#ifndef ALLOT_PAGE_COURSE_H
#define ALLOT_PAGE_COURSE_H

#include "page/map.h"
#include "page/plan.h"
#include "page/tape.h"

#define COURSE_SMALL   65536 /* sizes below are counted each */
#define COURSE_LARGE   16384 /* of those above so many */
#define COURSE_THREADS 4096
#define COURSE_WAITING 32
#define COURSE_CELLS   (PROFILE_BINS * PROFILE_BINS)

struct course_point {
    uint64_t live_bytes, live_blocks, high, resident, mapped, allocs, bytes, frees;
};

struct course_site {
    uint64_t bytes; /* in this interval, as the next two */
    uint32_t allocs, temporary;
    uint32_t stamp; /* interval and 1 that these are of */
    uint32_t oldest_known;
    uint64_t oldest; /* when the oldest of its blocks that were never freed was allocated, */
    uint64_t ended;  /* and when its process ended */
    uint64_t moved;  /* reallocs that moved the block */
};

struct course_thread {
    uint32_t process, thread, stamp, allocs, frees;
};

struct course_life {
    uint64_t blocks, bytes;
};

struct course_count {
    uint64_t key, count;
};

struct course_bin {
    uint64_t allocs, bytes, slack;
};

struct course {
    struct profile_watch watch; /* first: who is told has a pointer to this */
    const struct plan *plan;
    struct map *map; /* NULL: none */
    uint32_t interval, last;
    bool begun, timed;
    struct course_point point[PLAN_INTERVALS];
    struct course_site *site;
    uint32_t sites_room;
    uint32_t *touched; /* sites with this interval's stamp */
    uint32_t touches, touched_room;
    struct tape tape, thread_tape;
    struct course_thread *thread; /* [0]: all that are too many */
    uint32_t threads, thread_last;
    uint32_t *thread_index;
    uint64_t *small; /* [size]: allocations */
    struct course_count *large;
    uint32_t larges;
    struct course_bin (*bin)[PROFILE_BINS];                 /* of each interval */
    struct course_life (*life)[PROFILE_BINS][PROFILE_BINS]; /* [interval][size][life] */
    struct course_count *filler;                            /* key: cell << 32 | site */
    size_t fillers, filler_room;
    uint64_t waiting[COURSE_WAITING]; /* keys whose places are on their way from memory */
    uint32_t waits;
    uint64_t kept_bytes, kept_blocks, kept_resident, kept_mapped; /* of processes that ended in the last interval */
    int error;
};

/* False: out of memory. `plan` and `map` stay as long as this. */
bool course_begin(struct course *course, const struct plan *plan, struct map *map, const char *folder, bool timed);
/* The last interval ends: when profile_read has returned. 0 or an errno: then the course is not whole. */
int course_finish(struct course *course, struct profile *profile);
void course_end(struct course *course);

/* For each cell of size and lifetime (size * PROFILE_BINS + life) who filled it most: key is the profile's site; COURSE_CELLS of them,
 * zero before. NULL: nothing is done. */
void course_fillers(const struct course *course, struct course_count *most);

#endif
