/* What a trace says, in sentences: few, each with its figure, the one that matters most first. Most readers need no more.
 *
 *   findings (bad)    what is wrong: memory before time before strategy, and of each the larger share first
 *   the peak          when, how much, whose
 *   notes             all else that has a figure, always in the same order
 *   the recording     what it cost and lost
 *
 * A finding's weight is what would be gone with it, in thousandths: of memory, its bytes of the most that was live or held; of time,
 * its calls of all calls. Memory is found from 1 MiB and a tenth on, calls from 50,000 and half of all on (verdict/part.h has
 * each bound): below these it is a note, as every program has some of each. So memory that does not come back stands before calls
 * that are one too many, whatever their shares: it ends a program, they slow it down. Of equal weight what is more certain comes
 * first: lost, growing, pinned. What grows as it is lost is not said to grow; what another strategy would save stands last, for it is
 * often but what one of the others does to malloc; and that blocks are brief stands behind why they are: passed on, or grown by pieces.
 */
#ifndef ALLOT_TOOL_VERDICT_H
#define ALLOT_TOOL_VERDICT_H

#include "look.h"

#define VERDICT_SENTENCES 14 /* at most, before the least are left out */
#define VERDICT_SAID      8  /* at most, unless all of them are findings */

enum verdict_tone { VERDICT_BAD, VERDICT_NOTE, VERDICT_GOOD };
extern const char *const verdict_tones[3]; /* "bad" ... */

/* Where the page shows it: names as web/src/data.ts has them. view NULL: nowhere. */
struct verdict_link {
    const char *view, *mode; /* "flame", "leaked"; NULL: the view has no modes */
    uint32_t site;           /* in the profile: the widest of the place; 0: none */
    uint64_t from, to;       /* as the profile's times; both 0: all */
};

struct verdict_sentence {
    const char *
        about; /* peak, leaks, growth, temporary, resident, realloc, fragmentation, threads, strategy, failed, unmatched, recording */
    enum verdict_tone tone;
    unsigned weight; /* of a finding; else 0 */
    struct verdict_link link;
    char text[640];
};

struct verdict {
    size_t count;
    struct verdict_sentence sentence[VERDICT_SENTENCES];
};

/* What else is known of the trace; each may be NULL. */
struct pinned;
struct comparison;
struct advice_list;
struct verdict_beside {
    const struct pinned
        *pinned; /* pages and who keeps them (verdict/pinned.h); NULL: looked for, in the trace read again */
    const struct comparison *comparison; /* replays on all strategies (replay/comparison.h) */
    const struct advice_list *advice; /* what was tried (advice/advice.h): says of strategies what a comparison would */
};

/* All that the trace itself says; and that with what else is known. */
void verdict_of(const struct look *look, struct verdict *out);
void verdict_with(const struct look *look, const struct verdict_beside *beside, struct verdict *out);

/* Bytes that leak: lost beyond doubt where the process looked at its end, else never freed; *known says which. */
uint64_t verdict_leaked(const struct profile *profile, bool *known, uint64_t *blocks);

#endif
