/* replay/judge.h - of a comparison's results, which is the best, by how much, and why. */
#ifndef ALLOT_REPLAY_JUDGE_H
#define ALLOT_REPLAY_JUDGE_H

#include "replay/comparison.h"

/* Fills best and the sentences. */
void judge(struct comparison *comparison);

#endif
