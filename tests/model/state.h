/* state.h - one run of the model, shared by its files: input -> operations -> oracle -> proof. */
#ifndef TESTS_STATE_H
#define TESTS_STATE_H

#include "input.h"
#include "model.h"
#include "oracle.h"

#include "../common/family.h"

enum {
    MODEL_WORKERS = 3,   /* threads beside the first */
    MODEL_HEAPS_MOST = 4 /* the last of them is two_level */
};

struct model {
    struct input in;
    unsigned flags;
    uint32_t step;
    unsigned thread; /* that plays, or is about to; 0 is the first thread */
    bool hop;        /* `thread` has just changed */
    struct oracle oracle;
    struct allot_heap heap[MODEL_HEAPS_MOST];
    bool heap_live[MODEL_HEAPS_MOST];
    unsigned heap_thread[MODEL_HEAPS_MOST]; /* that has the heap; beyond the last: none that lives */
};

extern struct model model;

/* ops.c: decodes and plays one operation. */
void model_step(void);

/* ops.c: a heap for the present thread, which adopts it if need be. */
struct allot_heap *model_heap(unsigned number);

/* ops.c: gives every block and heap back. */
void model_clear(void);

/* proof.c: remembers the blocks that live before the run and are not the model's. */
void model_begin_proof(void);

/* proof.c: every block holds its contents, and all that the heap tells about itself is what the oracle knows. */
void model_prove(void);

/* model.c: ends the worker thread; the next operation that hops to it starts another. */
void model_retire(unsigned worker);

#endif
