/* advice/advice.h - what to change in a program, each with what it saved when its trace was replayed so.
 *
 *   ops --> one pass, sites by place: bursts, sizes, turnover, lives, resizes --> candidates (advice/find.h)
 *   addresses, where threads are several --> lines that blocks of different threads share      (advice/sharing.h)
 *   each candidate: ops replayed as they were and with its places' blocks in the part          (advice/try.h)
 *           the footprint or the calls that are no more --> advice;   none --> not a word
 *
 * Bounds: 33 bytes for each block that lives at once and what two models take, beside the ops; at most ADVICE_TRIED candidates and a few
 * strategies are replayed, one after another. A saving is that of the replay, never more: of a trace that was cut (`cut`) that of its beginning.
 *
 * Not for traces without stacks: a place is what advice is about. Nor for profiles, which have no course.
 */
#ifndef ALLOT_ADVICE_H
#define ALLOT_ADVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "look.h"
#include "replay/ops.h"

#define ADVICE_MOST  12 /* pieces of advice, those that save most */
#define ADVICE_TRIED 16
#define ADVICE_SITES 8 /* places that one piece is about */

enum advice_kind {
    ADVICE_ARENA,     /* blocks that die together */
    ADVICE_POOL,      /* one size */
    ADVICE_CACHE,     /* one object of several blocks, made again and again */
    ADVICE_STRATEGY,  /* another strategy for all of it */
    ADVICE_TEMPORARY, /* there for a moment, few at a time: a buffer that is kept */
    ADVICE_SHARING,   /* lines with blocks of different threads */
    ADVICE_REALLOC,   /* grown in small steps */
    ADVICE_LIFETIME,  /* long lives among short ones, whose pages they keep */
    ADVICE_KINDS
};
extern const char *const advice_kinds[ADVICE_KINDS]; /* "arena" ...: as web/src/data.ts has them */

struct advice {
    enum advice_kind kind;
    uint32_t group[ADVICE_SITES],
        groups;            /* indices of look->group: the first is what the words are about; none: all of the program */
    uint32_t site;         /* the first's widest, in the profile; 0: none */
    uint64_t saving_bytes; /* of what is held, at `at`; 0: it saves calls or lines only */
    double saving_part;    /* of all that is held then; where no bytes are saved, of all calls or shared lines */
    uint64_t saving_calls; /* of malloc, free and realloc: those that there are no more */
    uint64_t at;           /* the op after which the bytes were looked at */
    char text[800];        /* a sentence or two */
    char replay[320];      /* what was replayed to know, with the figures before and after */
};

struct advice_list {
    size_t count;
    struct advice advice[ADVICE_MOST]; /* what saves most first: bytes before calls, calls before lines */
    uint64_t ops;                      /* replayed */
    bool cut;                          /* there were more */
    uint32_t tried, refused;           /* candidates, and those of them whose replay saved nothing worth a word */
};

struct comparison;
struct advice_wanted {
    const char *base;                    /* the model that stands for the program's malloc; NULL: "allot" */
    uint64_t limit;                      /* ops at most, where they are read here; 0: 20 million */
    const struct comparison *comparison; /* of the same ops: then strategies are not replayed again; or NULL */
    bool no_sharing;                     /* leave the second pass over the trace out */
    void (*progress)(void *arg, const char *name, uint64_t done, uint64_t of); /* or NULL */
    void *arg;
};

/* What the trace that `look` looked at advises. `ops` are that trace's; NULL: they are read here, and given back. 0, no advice
 * included; -1: the trace cannot be read again, or there is no memory or disk: `error` says. */
int advice_of(const struct look *look, const struct ops *ops, const struct advice_wanted *wanted,
              struct advice_list *out, struct trace_error *error);

struct json;
/* The array "advice". */
void advice_json(struct json *json, const struct look *look, const struct advice_list *list);

#endif
