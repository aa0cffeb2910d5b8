/* advice/say.h - advice in words: what was found, what to do, and what the replay showed. */
#ifndef ALLOT_ADVICE_SAY_H
#define ALLOT_ADVICE_SAY_H

#include "advice/sharing.h"
#include "advice/try.h"

/* `base` and `with`: the replays without and with it; `name`: the base's. `m`: the moment that a lifetime's bytes are of. Fills text and
 * replay of *out, whose savings are set. */
void say_tried(const struct look *look, const struct candidate *candidate, const char *name, const struct tried *base,
               const struct tried *with, uint32_t m, struct advice *out);
void say_strategy_tried(const char *name, const struct tried *base, const char *other, const struct tried *with,
                        struct advice *out);
void say_sharing(const struct look *look, const struct sharing *before, const struct sharing *after,
                 struct advice *out);

#endif
