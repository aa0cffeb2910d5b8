/* replay/script.h - ops dealt out to threads, for a replay in another process (replayer/script.h). */
#ifndef ALLOT_REPLAY_SCRIPT_H
#define ALLOT_REPLAY_SCRIPT_H

#include "replay/ops.h"
#include "replayer/script.h"

struct script {
    int fd;         /* of its file, which has no name */
    uint64_t calls; /* of the program: what is timed */
};

/* What the ops of an epoch may ask for, and how many they are; a multiple of the trace's live peak, or `least` bytes. */
struct script_pace {
    unsigned part; /* of the peak: 1 / part */
    uint64_t least;
    uint32_t ops;
};
extern const struct script_pace script_exact, script_loose;

/* With a STEP_MEASURE after each of the `moments` ops, ascending. 0 or -errno. */
int script_make(const struct ops *ops, const struct script_pace *pace, const uint64_t *moment, uint32_t moments,
                struct script *out);
void script_end(struct script *script);

#endif
