/* See try.h. */
#include "advice/try.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "advice/part.h"
#include "replay/model.h"

#define ABSENT UINT64_MAX

enum { NOWHERE, BASE, OTHER };

struct side { /* a model, and what it may know of its blocks */
    struct model *model;
    uint64_t *size;
};

struct attempt {
    const struct ops *ops;
    const struct stacks *stacks;
    const struct candidate *candidate;
    struct side base, other;
    struct part *part;
    uint8_t *where;  /* by block */
    uint64_t *asked; /* by block: bytes, of those that have room for more */
    uint64_t live;
    struct tried *out;
    int failed;
};

/* -- models -- */

static int begin_side(struct side *side, const char *name, const struct ops *ops)
{
    const struct model_kind *kind = model_kind_of(name);
    if (!kind) {
        return -ENOENT;
    }
    side->size = malloc(((size_t)ops->blocks + 1) * sizeof *side->size);
    side->model = calloc(1, kind->bytes);
    if (!side->size || !side->model) {
        free(side->model);
        side->model = NULL;
        return -ENOMEM;
    }
    memset(side->size, 0xff, ((size_t)ops->blocks + 1) * sizeof *side->size);
    side->model->kind = kind;
    side->model->ops = ops;
    side->model->size = side->size;
    int failed = kind->begin(side->model);
    if (failed) {
        free(side->model);
        side->model = NULL;
    }
    return failed;
}

static void end_side(struct side *side)
{
    if (side->model) {
        side->model->kind->end(side->model);
        free(side->model);
    }
    free(side->size);
}

static int side_alloc(struct side *side, const struct op *op, uint64_t size)
{
    int failed = side->model->kind->alloc(side->model, op->block, size ? size : 1, op);
    if (!failed) {
        side->size[op->block] = size;
    }
    return failed;
}

static int side_resize(struct side *side, const struct op *op, uint64_t size)
{
    uint64_t was = side->size[op->block];
    int failed = side->model->kind->resize(side->model, op->block, was ? was : 1, size ? size : 1, op);
    if (!failed) {
        side->size[op->block] = size;
    }
    return failed;
}

static void side_free(struct side *side, const struct op *op)
{
    uint64_t was = side->size[op->block];
    side->model->kind->free(side->model, op->block, was ? was : 1, op);
    side->size[op->block] = ABSENT;
}

/* -- whose -- */

/* Which of the candidate's places asks; -1: none of them. */
static int place_of(const struct attempt *a, uint32_t site)
{
    uint32_t group = stacks_find(a->stacks, site).group;
    for (uint32_t i = 0; a->candidate && i < a->candidate->groups; i++) {
        if (a->candidate->group[i] == group) {
            return (int)i;
        }
    }
    return -1;
}

static bool goes_elsewhere(const struct attempt *a, const struct op *op, int place)
{
    return place >= 0 && a->candidate->kind != ADVICE_REALLOC &&
           (a->candidate->kind != ADVICE_POOL || op->size == a->candidate->size);
}

/* -- one op -- */

static int give(struct attempt *a, const struct op *op)
{
    uint8_t where = a->where[op->block];
    bool called = op->kind == OP_FREE;
    if (where == BASE) {
        side_free(&a->base, op);
        a->out->calls += called;
    } else if (where == OTHER && a->part) {
        part_give(a->part, op->block, !called);
        a->out->their_frees += called;
    } else if (where == OTHER) {
        side_free(&a->other, op);
        a->out->calls += called;
        a->out->their_frees += called;
    }
    if (where != NOWHERE) {
        a->live -= a->asked[op->block];
        a->where[op->block] = NOWHERE;
    }
    return 0;
}

static int take(struct attempt *a, const struct op *op)
{
    int place = place_of(a, op->site), failed;
    bool elsewhere = goes_elsewhere(a, op, place);
    if (a->where[op->block] != NOWHERE) { /* of a trace with holes */
        const struct op end = {.block = op->block, .kind = OP_LEFT, .thread = op->thread};
        give(a, &end);
    }
    if (elsewhere && a->part) {
        failed = part_take(a->part, (unsigned)place, op->block, op->size, op->align) ? 0 : -ENOSPC;
    } else {
        failed = side_alloc(elsewhere ? &a->other : &a->base, op, op->size);
        a->out->calls++;
    }
    if (failed) {
        return failed;
    }
    a->where[op->block] = elsewhere ? OTHER : BASE;
    a->asked[op->block] = op->size;
    a->live += op->size;
    a->out->moved += elsewhere || place >= 0;
    return 0;
}

/* One that has outgrown its pool. */
static int leave(struct attempt *a, const struct op *op)
{
    side_free(&a->other, op);
    a->where[op->block] = BASE;
    a->out->calls++;
    return side_alloc(&a->base, op, op->size);
}

/* Room for half as much again, where it has to grow at all. */
static int grow_ahead(struct attempt *a, const struct op *op)
{
    uint64_t room = a->base.size[op->block];
    if (op->size <= room) {
        return 0;
    }
    a->out->calls++;
    a->out->their_resizes++;
    return side_resize(&a->base, op, op->size > room + room / 2 ? op->size : room + room / 2);
}

static int resize(struct attempt *a, const struct op *op)
{
    uint8_t where = a->where[op->block];
    int failed;
    if (where == NOWHERE) {
        return take(a, op);
    }
    if (where == OTHER && a->part) {
        failed = part_resize(a->part, op->block, a->asked[op->block], op->size) ? 0 : -ENOSPC;
    } else if (where == OTHER && a->candidate->kind == ADVICE_POOL) {
        failed = op->size == a->candidate->size ? 0 : leave(a, op);
    } else if (where == BASE && a->candidate && a->candidate->kind == ADVICE_REALLOC && place_of(a, op->site) >= 0) {
        failed = grow_ahead(a, op);
    } else {
        a->out->calls++;
        failed = side_resize(where == BASE ? &a->base : &a->other, op, op->size);
    }
    if (!failed) {
        a->live += op->size - a->asked[op->block];
        a->asked[op->block] = op->size;
    }
    return failed;
}

static uint64_t held(const struct attempt *a)
{
    return a->base.model->held + (a->part ? part_held(a->part) : a->other.model ? a->other.model->held : 0);
}

static void run(struct attempt *a)
{
    const struct ops *ops = a->ops;
    struct tried *out = a->out;
    uint64_t distance = ops->count / REPLAY_MOMENTS + 1, next = distance - 1;
    for (uint64_t i = 0; i < ops->count && !a->failed; i++) {
        const struct op *op = &ops->op[i];
        a->failed = op->kind == OP_ALLOC ? take(a, op) : op->kind == OP_RESIZE ? resize(a, op) : give(a, op);
        uint64_t now = held(a);
        if (now > out->peak_held) {
            out->peak_held = now;
            out->peak_op = i;
        }
        if (i >= next && op->kind != OP_LEFT) {
            out->op[out->moments] = i;
            out->live[out->moments] = a->live;
            out->held[out->moments++] = now;
            next += distance;
        }
    }
    out->calls += a->part ? part_calls(a->part) : 0;
}

/* -- all -- */

static int begin(struct attempt *a, const char *base)
{
    const struct candidate *c = a->candidate;
    size_t blocks = (size_t)a->ops->blocks + 1;
    a->where = calloc(blocks, sizeof *a->where);
    a->asked = calloc(blocks, sizeof *a->asked);
    if (!a->where || !a->asked) {
        return -ENOMEM;
    }
    int failed = begin_side(&a->base, base, a->ops);
    if (failed || !c || c->kind == ADVICE_REALLOC) {
        return failed;
    }
    if (c->kind == ADVICE_POOL || c->kind == ADVICE_LIFETIME) {
        return begin_side(&a->other, c->kind == ADVICE_POOL ? "pool" : base, a->ops);
    }
    a->part = part_begin(c, a->ops);
    return a->part ? 0 : -ENOMEM;
}

int try_it(const struct ops *ops, const struct stacks *stacks, const char *base, const struct candidate *candidate,
           struct tried *out)
{
    struct attempt a = {.ops = ops, .stacks = stacks, .candidate = candidate, .out = out};
    *out = (struct tried){.moments = 0};
    a.failed = begin(&a, base);
    if (!a.failed) {
        run(&a);
    }
    end_side(&a.base);
    end_side(&a.other);
    part_end(a.part);
    free(a.where);
    free(a.asked);
    return a.failed == 0 ? 1 : a.failed == -ENOMEM ? -1 : 0;
}
