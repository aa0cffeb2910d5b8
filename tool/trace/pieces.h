/* pieces.h - a JSON text cut at one level, so that only a piece of it has to be made into values at a time.
 *
 *   { "pps": [ {...}, {...} ], "ftbl": [...] }        cut: "pps" and its list, "ftbl" and its list; the list cut: {...}, {...}
 *
 * Brackets and quotes are followed, and no more is looked at: who makes values of a piece sees what else is wrong in it. No
 * recursion, nothing is copied.
 */
#ifndef ALLOT_TRACE_PIECES_H
#define ALLOT_TRACE_PIECES_H

#include <stdbool.h>

struct piece {
    const char *at, *end;
};

/* What of an object or a list has not been cut off yet. Begins as the piece that it is. */
struct pieces {
    const char *at, *end; /* end: of the text that it lies in, at most */
    char close;           /* 0: nothing has been cut off */
};

/* 1: *value is the next one, and of an object *key its text without quotes, as it stands; 0: it is over, `at` is behind it; -1: what
 * stands at `at` does not belong there. */
int pieces_next(struct pieces *pieces, struct piece *key, struct piece *value);

/* Behind blanks. */
const char *pieces_skip(const char *at, const char *end);

#endif
