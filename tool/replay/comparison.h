/* replay/comparison.h - a trace replayed on all that is wanted, and which of it serves best: what `allot compare`, the report page
 * and advice are made of.
 *
 *   ops --> models, two at once --> reals, in rounds, each in a fresh process, nothing beside them --> judgement
 *
 * Results stand models first, in the order of replay_models, then the real mallocs in that of comparison_wanted. A name may stand
 * twice: `allot` is a model and a malloc; `real` tells them apart. Who failed has a result too, and is never the best.
 */
#ifndef ALLOT_REPLAY_COMPARISON_H
#define ALLOT_REPLAY_COMPARISON_H

#include <stdbool.h>
#include <stdint.h>

#include "replay/replay.h"

/* What a program has to do to be served so. */
enum comparison_use {
    USE_AS_IT_IS, /* nothing: it asks malloc and frees */
    USE_TOGETHER, /* gives a phase's blocks back together */
    USE_HANDLES,  /* reaches blocks by handles, as they move */
    USE_TABLE     /* reaches bytes through a page table, as blocks lie in pieces */
};

/* What is known of a strategy without a trace. */
struct comparison_about {
    const char *name;
    const char *what; /* one line: how it places */
    enum comparison_use use;
};
/* NULL: no model of that name. */
const struct comparison_about *comparison_about(const char *name);

/* By what one may be the best; less is better of each. */
enum comparison_aspect {
    BY_PEAK,     /* models: peak_held + metadata at it */
    BY_MEAN,     /* models: held over live, over time */
    BY_SMALLEST, /* models: the least memory in which the trace fits; when asked for */
    BY_RESIDENT, /* reals: resident at its peak */
    BY_TIME,     /* reals: ns_op */
    COMPARISON_ASPECTS
};

struct comparison_best {
    int result;  /* index of the best that serves the program as it is (USE_AS_IT_IS); -1: nobody has that figure */
    int any;     /* models: of all, whatever the program would have to change; == result where that is it */
    int against; /* whom the saving is over: the model `allot`, the real `glibc`; else the median one; -1: nobody else */
    double
        saved; /* 1 - best / against: 0.12 is 12 % less; 0 where the best is `against` itself or nobody is noticeably better */
    bool noticeable; /* models: by over 1 %; times: medians lie apart by more than runs of each spread */
    char why[240];   /* which part makes the difference, with figures: "", or a sentence without its full stop */
};

/* A malloc for real replays. */
struct comparison_real {
    const char *name, *path; /* path "": the C library's own */
};

struct comparison {
    const struct ops *ops;
    bool cut; /* the trace has more ops */
    struct replay_result *result;
    unsigned results, models; /* the first `models` of them */
    struct comparison_best best[COMPARISON_ASPECTS];
    unsigned rounds;          /* of real replays */
    double models_s, reals_s; /* seconds that they took */
    char sentence[480];       /* which strategy serves this program best, what it would save, and why */
    char sentence_real[480];  /* the same of real mallocs; "" without */
};

struct comparison_wanted {
    const char *const *model; /* names, NULL at the end; NULL: replay_models */
    const struct comparison_real *real;
    unsigned reals;
    unsigned rounds;  /* of each real malloc; 0: as many as are good for so many ops */
    unsigned threads; /* that replay models; 0: 2 */
    /* For the models. `progress` gets its `arg`, from one thread at a time. So do `table` and `step`, or each model's what `own` gives for
     * it, which is asked for one model at a time: then two may be told of at once. */
    struct replay_wanted replay;
    void *(*own)(void *arg, const char *name);
};

/* Bytes, ns of BY_TIME, a ratio of BY_MEAN; false: it has none (failed, refused some, not asked, not of its kind). */
bool comparison_figure(const struct replay_result *result, enum comparison_aspect aspect, double *figure);

/* All of it. `ops` has to outlive it. 0, or -1: no memory (said in *out as nothing: comparison_end may be called all the same). */
int comparison_run(const struct ops *ops, bool cut, const struct comparison_wanted *wanted, struct comparison *out);
void comparison_end(struct comparison *comparison);

/* The real mallocs that lie on this machine: glibc, jemalloc, mimalloc, tcmalloc, allot, those that are there. How many; names and paths
 * are the process's. */
unsigned comparison_at_hand(struct comparison_real *out, unsigned most);

#endif
