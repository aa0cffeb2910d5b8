/* allot/control.h - the control page: the figures of a process's heap, for other processes to read.
 *
 * A process that was started with ALLOT_OPTIONS=share=on (or called allot_option("share", "on")) shares one of these. It has no
 * name in any file system. To find it, look through /proc/PID/fd for the descriptor whose link reads
 * "/memfd:allot.control (deleted)" or begins with "/dev/shm/#", open that link for reading and writing, map ALLOT_CONTROL_SIZE
 * bytes of it shared, and compare `magic`, `version` and `size`; and `pid` with the last number of "NSpid:" in
 * /proc/PID/status: a process that has forked by itself, past libc, may still hold its parent's. All this needs the rights to
 * look into the process: the same user, or root. `allot stats` does it.
 *
 * What is in it:
 *   now      is kept up to date by the process as it allocates and frees: true within 64 KiB for each of its heaps.
 *   tables   are filled when somebody asks: add 1 to `asked`, and wait until `answered` is as much or more (their difference, as a
 *            signed number, is not negative). Whichever thread next needs memory that it has not at hand, or gives some back,
 *            answers. A process that is silent does not; then the tables are as of `tables_at`, or were never filled (0).
 *
 *   snapshot: write a path to `snapshot_path`, ended by 0, then add 1 to `snapshots_asked`, and wait until `snapshots_answered` is as
 *            much. A child of the process's, which nobody hears of, then writes a snapshot of its memory there (allot/snapshot.h).
 *
 * To read the tables whole: load `sequence` (acquire); when it is odd they are being written, try again; copy the tables by words
 * of 8 bytes (acquire); load `sequence` again; when it is another number, begin anew. Everything may be read at any time
 * with 8-byte atomic loads, relaxed where nothing else is said. Only what is the readers' may be written. Sizes are bytes.
 *
 * To have the process recorded (`allot record -p` does it, from whoever may look into it): write the path of a collector's area, as
 * the process finds it, to `record_path`; "" for an end; then add 1 to `record_asked`. The next thread on a slow path answers:
 * `record_answered` is as much, and `record_error` 0 or -errno.
 *
 * To look on for a while (`allot top` does): write to `lease_mean` of how many bytes one is to be sampled (allot/sample.h), then add 1 to
 * `lease`; and again while it is to last, at least every 5 seconds. A thread on a slow path hears of it: `lease_heard` is as much then,
 * and the figures of `now` are current. When nobody has renewed the lease for ALLOT_CONTROL_LEASE_MS, or a mean of 0 was written, all is
 * as before: sampling, where that was off, and sharing itself, where another process had asked for it. A program that samples by
 * itself goes on with its own mean: `sample_mean` says what is so.
 */
#ifndef ALLOT_CONTROL_H
#define ALLOT_CONTROL_H

#include <stdint.h>

#define ALLOT_CONTROL_MAGIC    "allotctl" /* 8 bytes, without the 0 */
#define ALLOT_CONTROL_VERSION  3
#define ALLOT_CONTROL_CLASSES  128
#define ALLOT_CONTROL_HEAPS    128
#define ALLOT_CONTROL_TAGS     64
#define ALLOT_CONTROL_SITES    128
#define ALLOT_CONTROL_FRAMES   32
#define ALLOT_CONTROL_CELLS    1024
#define ALLOT_CONTROL_NAME     128
#define ALLOT_CONTROL_PATH     48
#define ALLOT_CONTROL_LEASE_MS 10000
#define ALLOT_CONTROL_SIZE     sizeof(struct allot_control)

/* The words mean what the members of these names of struct allot_stats mean (allot/malloc.h); no limit is UINT64_MAX. */
struct allot_control_now {
    uint64_t live; /* within 64 KiB for each heap: blocks at hand count until somebody has asked */
    uint64_t peak; /* likewise */
    uint64_t held, limit, soft_limit;
    uint64_t kept_slabs, kept_runs, kept_large; /* free and kept for later, by what it is kept for */
    uint64_t given_back, mapped, segments, threads;
    /* Estimates of what was sampled: all allocations and frees since sampling began; how many samples these are; one byte of how many
     * is sampled, 0: none is. */
    uint64_t alloc_blocks, alloc_bytes, free_blocks, free_bytes, samples, sample_mean;
};

/* As struct allot_class_stats, allot_heap_stats and allot_tag_stats have it. */
struct allot_control_class {
    uint64_t size, blocks, free, slabs;
};

struct allot_control_heap {
    uint64_t live, held, slabs;
    uint32_t id;
    int32_t tid;   /* as the process sees it: in its own pid namespace */
    uint64_t kind; /* an enum allot_heap_kind */
};

struct allot_control_tag {
    uint64_t used, limit, refused;
    char name[ALLOT_CONTROL_NAME];
};

/* A stack that was sampled: estimates, as struct allot_sample_stack has them. `recent`: allocated since the tables were filled last. */
struct allot_control_site {
    uint64_t id; /* the stack's number, the same as long as the process lives */
    uint64_t live_bytes, live_blocks, alloc_bytes, alloc_blocks, recent_bytes, samples;
    uint64_t frames;
    uint64_t frame[ALLOT_CONTROL_FRAMES]; /* what its calls return to, innermost first */
};

struct allot_control_tables {
    uint64_t live, blocks, runs, run_blocks, large, large_blocks, metadata; /* as allot_stats has them, exact */
    uint64_t classes, heaps, tags; /* how many there are in all; of more than fit, those that hold most */
    struct allot_control_class of_class[ALLOT_CONTROL_CLASSES];
    struct allot_control_heap of_heap[ALLOT_CONTROL_HEAPS];
    struct allot_control_tag of_tag[ALLOT_CONTROL_TAGS];
    uint64_t sites; /* how many stacks there are in all; of more than fit, those that hold and allocate most */
    struct allot_control_site of_site[ALLOT_CONTROL_SITES];
    /* The heap in pieces of cell_bytes, that of the newest segments first: 0: nothing is in it, 255: it is full. Blocks of more than
     * 2 MiB are not among it. */
    uint64_t cells, cell_bytes;
    uint8_t cell[ALLOT_CONTROL_CELLS];
};

struct allot_control {
    char magic[8]; /* written last */
    uint32_t version, size;
    int64_t pid;         /* as the process sees it */
    uint64_t started_at; /* when this was first shared, in milliseconds of CLOCK_MONOTONIC, as all times here */
    uint64_t
        by_memory; /* 1: it does not look at this page by itself, and is asked in its memory (heap/describe.h), as `allot top` does */
    uint64_t unused[3];

    uint64_t asked; /* the readers', as all up to `answered` is */
    uint64_t record_asked;
    char record_path[ALLOT_CONTROL_PATH];
    uint64_t snapshots_asked, unused_there;
    char snapshot_path[ALLOT_CONTROL_PATH];
    uint64_t lease, lease_mean, unused_by_readers[6];

    uint64_t answered, sequence, tables_at;
    uint64_t record_answered;
    int64_t record_error;
    uint64_t snapshots_answered;
    int64_t snapshot_error; /* what came of the last one: 0, or -errno */
    uint64_t answer_ns;     /* how long the last answer took */

    struct allot_control_now now;
    uint64_t lease_heard, unused_as_well[5];
    struct allot_control_tables tables;
};

#endif
