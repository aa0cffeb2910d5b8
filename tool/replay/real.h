/* replay/real.h - a script replayed on a real malloc, in a fresh process that has nothing else in it (replayer/replayer.c). */
#ifndef ALLOT_REPLAY_REAL_H
#define ALLOT_REPLAY_REAL_H

#include "replay/comparison.h"
#include "replay/script.h"

/* Somebody to tell, some ten times a second, how far it is; NULL. */
struct real_watch {
    void (*progress)(void *arg, const char *name, uint64_t done, uint64_t of);
    void *arg;
    uint64_t of; /* steps in all */
};

/* True: *out has all. False: it could not be replayed, `failed` says why in one line: no such file, not for this machine, crashed, hangs ... */
bool real_replay(const struct script *script, const struct comparison_real *real, enum replayer_mode mode,
                 const struct real_watch *watch, struct replayer_result *out, char failed[160]);

#endif
