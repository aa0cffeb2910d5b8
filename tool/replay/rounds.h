/* replay/rounds.h - all real mallocs on one trace. */
#ifndef ALLOT_REPLAY_ROUNDS_H
#define ALLOT_REPLAY_ROUNDS_H

#include "replay/comparison.h"

/* Fills a result for each of wanted->real; how many rounds there were. What failed its result says. */
unsigned rounds_run(const struct ops *ops, const struct comparison_wanted *wanted, struct replay_result *out);

#endif
