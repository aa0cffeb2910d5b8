/* replayer/script.h - what the replayer is handed: a trace's ops, dealt out to its threads, and where they have to wait for each
 * other. Made by the command (replay/script.h), read by a process that has nothing but libc in it (replayer.c).
 *
 *   ops in the trace's order            file:  head | left of each epoch | steps of thread 0 | of thread 1 | ...
 *     0  t0  alloc a                      t0:  alloc a (tell t1)   free b (wait)
 *     1  t1  alloc b             -->      t1:  alloc b (tell t0)   free a (wait)
 *     2  t1  free a       epoch 0
 *     - - - - - - - - - - - - - -
 *     3  t0  free b       epoch 1
 *
 * A step waits for two things only, and both lie before it in the trace's order:
 *   - for the op on its block before it, where another thread did that: it has the block's pointer, and its `tell` hands it over;
 *   - the first of a thread's steps in an epoch: until all steps of all epochs but the one before are done. An epoch is a run of
 *     ops that asks for no more than its `room`, 1/128 of the trace's live peak, or 64 KiB where that is more. An op that asks for
 *     more is one alone, and waits for all before it and all after for it. A trace that is timed, not measured, has 1/16 and 1 MiB:
 *     threads wait less.
 *
 * No deadlock: of the steps that are not done take the one that is first in the trace's order. Its thread has done all that it has
 * before it, and all that it waits for is done. So there is always one that goes on.
 * The peak: while a step of epoch e is under way, all before e - 1 are done. So what is live is at most what was live in the trace
 * when e - 1 began, and what e - 1 and e ask for: the trace's live peak and twice the room.
 */
#ifndef ALLOT_REPLAYER_SCRIPT_H
#define ALLOT_REPLAYER_SCRIPT_H

#include <stdint.h>

#define SCRIPT_MAGIC   0x3130797a6c707261 /* and the layout's version */
#define SCRIPT_MOMENTS 1024               /* at most */
#define SCRIPT_THREADS 1024               /* at most */

enum step_kind {
    STEP_ALLOC,
    STEP_FREE,
    STEP_RESIZE,
    STEP_MEASURE, /* the next moment: how much is resident, while nobody else does anything */
    STEP_PAUSE,   /* what follows is no call of the program's: it is not timed */
    STEP_RESUME
};

#define STEP_LARGEST (((uint64_t)1 << 40) - 1)

struct step {
    uint32_t block;
    uint32_t epoch;
    uint64_t size : 40,      /* above: STEP_LARGEST */
        kind : 3, align : 6, /* log2; 0: malloc's own */
        wait : 1,            /* for the block to be handed over by another thread */
        enter : 1,           /* its thread's first in `epoch` */
        alone : 1,           /* with `enter`: wait for all before, the last epoch too */
        leave : 1,           /* its thread's last in `epoch` */
        tell : 11;           /* hand it over to this thread, of those numbered from 1; 0: keep it */
};
_Static_assert(sizeof(struct step) == 16, "four to a line");

/* At the file's beginning; offsets in bytes from there. */
struct script_head {
    uint64_t magic;
    uint32_t threads, blocks, epochs, moments;
    uint64_t left;      /* uint32_t of each epoch: threads that have steps in it */
    uint64_t thread[1]; /* where the steps of each begin; and at last where those of the last end */
};

enum replayer_mode {
    REPLAY_TIMED,   /* how long do calls take */
    REPLAY_EMPTY,   /* the same walk, and what it touches, without calls: taken off of that */
    REPLAY_RESIDENT /* how much is resident at each moment */
};

/* What a replay came to: in memory that the command and the replayer share, so that it is there whatever ends the replayer. */
struct replayer_result {
    uint32_t loaded;   /* the replayer runs, on the malloc that it was to run on */
    uint32_t done;     /* all figures are there */
    char trouble[160]; /* why it gave up: "" */
    char version[64];  /* what the malloc says of itself: "" */
    char path[256];    /* of the file that its malloc is in */
    uint64_t steps;    /* done so far, now and then */
    uint64_t ns;       /* of all threads' processor time, between waits, less what reading clocks took */
    uint64_t refused, faults;
    uint64_t peak;                     /* bytes: the most that was resident above what there was before */
    uint64_t resident[SCRIPT_MOMENTS]; /* REPLAY_RESIDENT: the same at each moment */
};

#endif
