/* profile/profile.h - a trace in figures: one pass over its events, exact, in bounded memory.
 *
 *   events --> live blocks (profile/blocks.h) --> sites: a stack in a process, with all that was allocated there
 *                                          --> threads, processes, marks, timeline (profile/timeline.h), the whole
 *
 * At any time, of the whole and of each site and process:
 *     allocs + before = frees + replaced + live + left       (blocks; the same in bytes)
 * by which a site's frees are known at the end. `left` is what lived when its process ended - at the trace's end all have -, `replaced`
 * what a trace with holes shows allocated over a live block. A realloc is a free at the old block's site and an allocation at its
 * own, and counted under `reallocs` as well; the block's life goes on.
 *
 * Peak: the first moment at which most bytes were live, of all processes together. What a site held then is known without a second
 * pass or a copy of all sites: each new peak has a number, and a site notes what it holds, and under which number, before the
 * first change that follows. A site whose number is older holds now what it held then.
 *
 * Memory: sites at most `sites_most` (160 MiB, 370 thousand stacks, less three quarters of what the trace's reader takes beyond 32 MiB, as
 * what is made of a site takes as much again; those beyond are counted together in one site of their process); the live table what these and the trace's reader leave of `memory_most` (416 MiB), some 20 million blocks, and more
 * goes to disk (profile/cold.h); all else is bounded by its own constants. So under 512 MiB in all.
 *
 * Not for a process that runs: it knows nothing but the trace.
 */
#ifndef ALLOT_PROFILE_H
#define ALLOT_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "graph/graph.h"
#include "heap/classes.h"
#include "profile/blocks.h"
#include "profile/timeline.h"
#include "trace/trace.h"

#define PROFILE_BINS         32         /* sizes and lifetimes by their log2 */
#define PROFILE_WINDOWS      8          /* of the whole time, for what grows */
#define PROFILE_THREADS      4096       /* of a process, and number 0 for those beyond */
#define PROFILE_ALL_THREADS  (1u << 19) /* of all processes together, likewise */
#define PROFILE_MARKS        4096
#define PROFILE_PROCESSES    (1u << 17)       /* a trace of more is refused */
#define PROFILE_STACK_BEFORE UINT32_MAX       /* stack of blocks that were live when recording began */
#define PROFILE_STACK_OTHER  (UINT32_MAX - 1) /* of those that were too many to be told apart */

/* Bin of a size or a time: 0 is 0 and 1, n is up to 2^n, the last all beyond. */
static inline unsigned profile_bin(uint64_t value)
{
    unsigned bin = value > 1 ? 64 - (unsigned)__builtin_clzll(value - 1) : 0;
    return bin < PROFILE_BINS ? bin : PROFILE_BINS - 1;
}

/* Bytes that allot's size classes would add. */
static inline uint64_t profile_slack(uint64_t size)
{
    return size <= SLAB_MAX ? class_size(class_of_size(size ? size : 1)) - size : -size & 4095;
}

/* In lines of the cache, two of which an event touches: the first, and what a free or an allocation does. */
struct profile_site {
    uint32_t process, stack;
    uint64_t live_blocks, live_bytes;
    uint64_t peak_stamp; /* number of the peak that peak_blocks and peak_bytes are of, if it is the last one */
    uint64_t own_peak_bytes;
    uint64_t allocs, bytes;
    uint32_t window; /* the last that it was looked at in */
    uint32_t last_thread;

    uint64_t low_now;     /* least bytes live in that window */
    uint64_t same_thread; /* frees by the thread that allocated */
    uint64_t temporary, temporary_bytes;
    double life_sum, life_squares;  /* of freed blocks: ns, or events where the trace has no times */
    uint64_t life_least, life_most; /* UINT64_MAX and 0: none was freed */

    uint64_t slack;        /* bytes that allot's size classes would add to what was asked for, of all allocations */
    uint64_t threads_seen; /* a bit for each of the threads 1 to 63; bit 0 for all others */
    uint32_t sizes[PROFILE_BINS]; /* allocations by size; stays at UINT32_MAX */

    uint64_t low[PROFILE_WINDOWS - 1]; /* as low_now, of the windows before */
    uint64_t frees, freed_bytes;       /* by the equation, at the end */
    uint64_t passed;                  /* of the frees those by a realloc, which took the block over: no end of a life */
    uint64_t reallocs, grown;         /* that gave a block of this site; bytes by which those grew */
    uint64_t peak_blocks, peak_bytes; /* at the whole's peak */
    uint64_t before_blocks, before_bytes, replaced_blocks, replaced_bytes;
    uint64_t left_blocks, left_bytes; /* live when the process, or the trace, ended */
    uint32_t threads;                 /* how many allocated */
    uint32_t next;                    /* site of the same process */
    uint32_t verdict;                 /* index of the first that was said of its blocks, and 1; 0: none */
};
_Static_assert(sizeof(struct profile_site) == 448, "seven lines");

struct profile_thread {
    char name[24];
    uint64_t allocs, bytes, frees;
    uint64_t freed_others; /* blocks that another thread allocated */
};

struct profile_process {
    uint32_t number, parent;
    uint32_t pid;  /* as it sees it itself; 0: not known */
    char *program; /* or NULL */
    uint64_t began, ended;
    bool exited, killed; /* neither: it is in the trace to its end */
    uint64_t allocs, bytes, frees, failed, reallocs;
    uint64_t live_blocks, live_bytes, left_blocks, left_bytes;
    uint64_t peak_bytes, peak_time;
    uint64_t unknown_frees; /* of blocks that the trace does not know; a forked process's are its parent's */
    uint64_t resident, mapped, resident_peak;
    uint64_t lost;
    struct profile_thread *thread;
    uint32_t threads, threads_room; /* by number; [0] is for those that are too many, and counts as one */
    uint32_t first_site;
    struct blocks live;
};

/* What a process's own look at its end said (TRACE_VERDICT), by site. */
struct profile_verdict {
    uint32_t site;
    uint32_t next; /* index of another of the same site, and 1 */
    enum graph_verdict verdict;
    uint64_t blocks, bytes, retained;
    uint64_t address, size; /* of the largest block */
};

struct profile_mark {
    uint64_t time;
    uint32_t process;
    char *text;
};

struct profile;

/* Who looks on while events are read (tool/page). It is told of each block that comes and of each that goes, once the profile's own
 * figures have it; and of time before any event of it is taken. */
enum profile_end { PROFILE_FREED, PROFILE_PASSED /* a realloc took it over */, PROFILE_REPLACED };
struct profile_watch {
    uint64_t next; /* `tick` comes before the first event of this time or later that counts; it sets the next */
    void (*tick)(struct profile_watch *watch, struct profile *profile);
    /* It stands in the process's table. `old`: what the realloc was given, or NULL. */
    void (*came)(struct profile_watch *watch, struct profile *profile, struct profile_process *process,
                 const struct trace_event *event, uint32_t site, const struct block *old);
    void (*went)(struct profile_watch *watch, struct profile *profile, struct profile_process *process,
                 const struct trace_event *event, const struct block *block, enum profile_end how);
    /* The process ends: what lives is in its table still, and counted as live. */
    void (*leaves)(struct profile_watch *watch, struct profile *profile, struct profile_process *process);
};

struct profile_wanted {
    uint32_t process;   /* 0: all */
    uint64_t from, to;  /* ns; both 0: all. What was allocated before `from` is live, and not counted as allocated */
    uint64_t temporary; /* ns; 0: 1 ms. Without times: events, 16 */
    size_t memory_most, sites_most; /* bytes; 0: as above */
    const char *folder;             /* for what goes to disk; NULL: $TMPDIR or /var/tmp */
    const char *name;               /* of the trace, for errors */
    trace_progress *progress;       /* or NULL */
    struct profile_watch *watch;    /* or NULL */
};

struct profile {
    struct profile_wanted wanted;
    bool timed;                  /* times are ns; else the number of the event */
    uint64_t events, begin, end; /* times of the first and the last that counts */
    uint64_t allocs, bytes, frees, freed_bytes, reallocs, reallocs_moved, grown, failed;
    uint64_t before_blocks, before_bytes, replaced_blocks, replaced_bytes, unknown_frees, lost;
    uint64_t live_blocks, live_bytes;
    uint64_t left_blocks, left_bytes;
    uint64_t peak_bytes, peak_blocks, peak_time, peak_resident, peaks;
    uint64_t resident, mapped, resident_peak, resident_peak_time, resident_peak_live;
    uint64_t temporary, temporary_bytes, same_thread, slack, largest;
    uint64_t sizes[PROFILE_BINS], size_bytes[PROFILE_BINS];
    uint64_t lives[PROFILE_BINS];           /* frees by lifetime: bins of us, or of events */
    uint64_t windows, window_length;        /* how many of `low` there are, and how long each is */
    struct profile_site *site;              /* [1] on */
    uint32_t sites, sites_most, sites_room; /* room: of addresses */
    uint64_t folded;                        /* allocations at stacks that were too many to be told apart */
    uint32_t *index;                        /* of sites, by process and stack */
    uint32_t index_bits;
    struct profile_process **process; /* in order of their first event */
    uint32_t processes, processes_room;
    uint32_t threads;        /* of all processes: room for them */
    uint32_t *process_index; /* by their number */
    uint32_t process_index_room;
    struct profile_verdict *verdict;
    uint32_t verdicts, verdicts_room;
    struct profile_mark *mark;
    uint32_t marks;
    struct timeline timeline;
    struct blocks_budget budget;
    uint64_t *pair; /* hash of (site, thread) for threads beyond 64 */
    size_t pairs, pairs_room;
    uint64_t now, window_end; /* while events are read */
    uint64_t watch_at;        /* watch->next; UINT64_MAX: none */
    bool counting;            /* `from` has been reached */
};

/* Reads `trace` to its end. NULL with `error` set: it is broken, or no memory, or no disk. A trace that ends early gives what there
 * was. */
struct profile *profile_read(struct trace *trace, const struct profile_wanted *wanted, struct trace_error *error);
void profile_end(struct profile *profile);

/* Adds the figures of `site` to *sum, which began as all zero with life_least UINT64_MAX. own_peak_bytes and lows are sums then: the first
 * no less, the others no more than what they would be together. */
void profile_add(struct profile_site *sum, const struct profile_site *site);

/* Bytes by which what stays of it rose from window to window; 0: it did not in each one of the last, or too short a time is known. */
uint64_t profile_growth(const struct profile *profile, const struct profile_site *site);

#endif
