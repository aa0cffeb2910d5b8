/* replay/replay.c - ops replayed on a model: moments, peaks, map, table, steps. See replay.h.
 *
 *   for each op:  model.alloc, resize or free  ->  live, used, held  ->  the most that was held; a moment's figures when it is time
 *
 * Sizes are kept here, by block, so that no strategy needs to remember what was asked for. Memory: 8 bytes a block, with table or
 * steps 12, and what the model takes.
 */
#include "replay/replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay/model.h"

#define ABSENT     UINT64_MAX
#define BISECTIONS 12
#define AHEAD      ((uint64_t)6)
#define TOLD_EVERY (1u << 16) /* ops */

static const struct model_kind *const kinds[] = {
    &model_first,   &model_next,  &model_best,     &model_worst,     &model_next_best, &model_groups,
    &model_bins,    &model_buddy, &model_slab,     &model_two_level, &model_pool,      &model_arena,
    &model_compact, &model_pages, &model_segments, &model_mcache,    &model_allot,
};

const char *const replay_models[] = {
    "first",     "next", "best",  "worst",   "next-best", "groups",   "bins",   "buddy", "slab",
    "two-level", "pool", "arena", "compact", "pages",     "segments", "mcache", "allot", NULL,
};

struct replay {
    const struct ops *ops;
    const struct replay_wanted *wanted;
    struct replay_result *out;
    struct model *model;
    uint64_t *size; /* by block: what was asked for; ABSENT: it is not there */
    uint32_t *site; /* by block; NULL: nobody asks */
    uint64_t live, op;
    uint64_t done, all; /* for who is told how far it is: ops of replays before this one; and of all */
    int failed;
};

void *model_array(const struct model *m, size_t bytes_each) { return calloc((size_t)m->ops->blocks + 1, bytes_each); }

/* -- one op -- */

static int free_block(struct replay *r, const struct op *op)
{
    uint64_t was = r->size[op->block];
    if (was != ABSENT) {
        r->model->kind->free(r->model, op->block, was ? was : 1, op);
        r->live -= was;
        r->size[op->block] = ABSENT;
    }
    return 0;
}

static int give_block(struct replay *r, const struct op *op)
{
    uint64_t was = r->size[op->block], size = op->size ? op->size : 1;
    int failed;
    if (was == ABSENT) {
        failed = r->model->kind->alloc(r->model, op->block, size, op);
    } else {
        failed = r->model->kind->resize(r->model, op->block, was ? was : 1, size, op);
    }
    if (failed) {
        r->out->refused += failed == -ENOSPC;
        return failed == -ENOSPC ? 0 : failed;
    }
    r->live += op->size - (was == ABSENT ? 0 : was);
    r->size[op->block] = op->size;
    if (r->site) {
        r->site[op->block] = op->site;
    }
    return 0;
}

static int step(struct replay *r, const struct op *op)
{
    switch (op->kind) {
    case OP_ALLOC:
        if (r->size[op->block] != ABSENT) { /* of a trace with holes */
            free_block(r, op);
        }
        return give_block(r, op);
    case OP_RESIZE:
        return give_block(r, op);
    default:
        return free_block(r, op);
    }
}

/* -- what is told -- */

static void look(const struct replay *r, struct replay_moment *out)
{
    *out = (struct replay_moment){
        .op = r->op, .live = r->live, .used = r->model->used, .held = r->model->held, .headers = r->model->headers};
    r->model->kind->look(r->model, out);
}

static void each_piece(struct replay *r, uint32_t block, model_visit *visit, void *arg)
{
    uint64_t start, size;
    if (r->model->kind->pieces) {
        r->model->kind->pieces(r->model, block, visit, arg);
    } else {
        r->model->kind->where(r->model, block, &start, &size);
        visit(arg, start, size);
    }
}

struct telling {
    struct replay *r;
    uint32_t block;
};

static void tell_piece(void *arg, uint64_t start, uint64_t size)
{
    struct telling *t = arg;
    const struct replay_wanted *wanted = t->r->wanted;
    const struct replay_block now = {start, size, t->block, t->r->site[t->block]};
    wanted->step(wanted->arg, t->r->op, &now);
}

static void tell_where(struct replay *r, uint32_t block)
{
    struct telling t = {r, block};
    if (r->size[block] == ABSENT) {
        tell_piece(&t, 0, 0);
    } else {
        each_piece(r, block, tell_piece, &t);
    }
}

static void moved(void *arg, uint32_t block) { tell_where(arg, block); }

/* -- the map and the table -- */

static void each_block(struct replay *r, model_visit *visit, void *arg)
{
    for (uint32_t block = 0; block < r->ops->blocks; block++) {
        if (r->size[block] != ABSENT) {
            each_piece(r, block, visit, arg);
        }
    }
}

struct map {
    uint64_t lowest, highest, cell;
    uint64_t bytes[REPLAY_CELLS]; /* of blocks */
};

static void find_ends(void *arg, uint64_t start, uint64_t size)
{
    struct map *m = arg;
    m->lowest = start < m->lowest ? start : m->lowest;
    m->highest = start + size > m->highest ? start + size : m->highest;
}

static void fill_cells(void *arg, uint64_t start, uint64_t size)
{
    struct map *m = arg;
    for (uint64_t from = start - m->lowest, end = from + size; from < end;) {
        uint64_t i = from / m->cell, next = (i + 1) * m->cell, until = end < next ? end : next;
        m->bytes[i] += until - from;
        from = until;
    }
}

static void draw_map(struct replay *r)
{
    struct map map = {.lowest = UINT64_MAX};
    each_block(r, find_ends, &map);
    if (map.highest == 0) {
        return;
    }
    uint64_t length = map.highest - map.lowest;
    map.cell = length / REPLAY_CELLS + (length % REPLAY_CELLS != 0);
    each_block(r, fill_cells, &map);
    r->out->map_begin = map.lowest;
    r->out->map_cell = map.cell;
    for (int i = 0; i < REPLAY_CELLS; i++) {
        uint64_t full = (uint64_t)((unsigned __int128)map.bytes[i] * 255 / map.cell);
        r->out->map[i] = (uint8_t)(full > 255 ? 255 : full || !map.bytes[i] ? full : 1);
    }
}

struct table {
    struct replay_block *row;
    uint64_t rows, room;
    uint32_t block, site; /* whose pieces come */
};

static void count_row(void *arg, uint64_t start, uint64_t size)
{
    (void)start;
    (void)size;
    ((struct table *)arg)->room++;
}

static void add_row(void *arg, uint64_t start, uint64_t size)
{
    struct table *t = arg;
    t->row[t->rows++] = (struct replay_block){start, size, t->block, t->site};
}

static int by_start(const void *a, const void *b)
{
    const struct replay_block *x = a, *y = b;
    return (x->start > y->start) - (x->start < y->start);
}

static int tell_table(struct replay *r)
{
    struct table t = {0};
    each_block(r, count_row, &t);
    t.row = malloc((t.room + 1) * sizeof *t.row);
    if (!t.row) {
        return -ENOMEM;
    }
    for (t.block = 0; t.block < r->ops->blocks; t.block++) {
        if (r->size[t.block] != ABSENT) {
            t.site = r->site[t.block];
            each_piece(r, t.block, add_row, &t);
        }
    }
    qsort(t.row, t.rows, sizeof *t.row, by_start);
    uint64_t at = 0;
    for (uint64_t i = 0; i <= t.rows; i++) {
        uint64_t next = i < t.rows ? t.row[i].start : r->model->end;
        if (next > at) {
            r->wanted->table(r->wanted->arg, &(struct replay_block){at, next - at, UINT32_MAX, 0});
        }
        if (i < t.rows) {
            r->wanted->table(r->wanted->arg, &t.row[i]);
            at = t.row[i].start + t.row[i].size;
        }
    }
    free(t.row);
    return 0;
}

/* -- all of them -- */

static void begin_model(struct replay *r, const struct model_kind *kind, uint64_t bound)
{
    size_t blocks = (size_t)r->ops->blocks + 1;
    bool sites = r->wanted && (r->wanted->table || r->wanted->step);
    struct model *m = calloc(1, kind->bytes);
    r->size = malloc(blocks * sizeof *r->size);
    r->site = sites ? calloc(blocks, sizeof *r->site) : NULL;
    r->failed = m && r->size && (r->site || !sites) ? 0 : -ENOMEM;
    if (!r->failed) {
        memset(r->size, 0xff, blocks * sizeof *r->size);
        *m = (struct model){.kind = kind, .ops = r->ops, .bound = bound, .size = r->size};
        r->failed = kind->begin(m);
    }
    if (r->failed) {
        free(m);
    } else {
        r->model = m;
    }
}

static void end_model(struct replay *r)
{
    if (r->model) {
        r->model->kind->end(r->model);
        free(r->model);
    }
    free(r->size);
    free(r->site);
}

static uint64_t moment_op(uint64_t count, uint32_t moments, uint32_t i)
{
    return (uint64_t)((unsigned __int128)(i + 1) * count / moments) - 1;
}

static void tell_progress(const struct replay *r, uint64_t op)
{
    if (r->wanted->progress && op % TOLD_EVERY == 0) {
        r->wanted->progress(r->wanted->arg, r->out->name, r->done + op, r->all);
    }
}

/* Blocks die in any order, so each op would wait for the memory in which its block is known, and then for what that tells. */
static void ask_ahead(const struct replay *r, uint64_t op)
{
    const struct model *m = r->model;
    for (unsigned i = 0; i <= MODEL_STEPS; i++) {
        uint64_t ahead = op + (MODEL_STEPS + 1 - i) * AHEAD;
        if (ahead >= r->ops->count) {
            continue;
        }
        uint32_t block = r->ops->op[ahead].block;
        if (i == 0) {
            __builtin_prefetch(&r->size[block]);
        } else if (m->kind->known && model_is_there(m, block)) {
            __builtin_prefetch(m->kind->known(m, block, i - 1));
        }
    }
}

static void run(struct replay *r)
{
    const struct ops *ops = r->ops;
    const struct replay_wanted *wanted = r->wanted;
    struct replay_result *out = r->out;
    uint32_t moments = ops->count < REPLAY_MOMENTS ? (uint32_t)ops->count : REPLAY_MOMENTS;
    uint64_t next = moments ? moment_op(ops->count, moments, 0) : 0;
    uint64_t map_at = wanted->map_at == UINT64_MAX ? ops->peak_at : wanted->map_at;
    uint64_t steps = wanted->step ? wanted->steps : 0;
    for (r->op = 0; r->op < ops->count && !r->failed; r->op++) {
        uint64_t i = r->op;
        const struct op *op = &ops->op[i];
        ask_ahead(r, i);
        r->model->moved = i < steps ? moved : NULL;
        r->model->arg = r;
        r->failed = step(r, op);
        if (r->model->held > out->peak_held) {
            out->peak_held = r->model->held;
            out->peak_held_op = i;
        }
        if (i < steps) {
            tell_where(r, op->block);
        }
        if (i == ops->peak_at) {
            look(r, &out->at_live_peak);
        }
        if (i == map_at && !r->failed) {
            draw_map(r);
            r->failed = wanted->table ? tell_table(r) : 0;
        }
        if (i == next) {
            look(r, &out->moment[out->moments++]);
            next = out->moments < moments ? moment_op(ops->count, moments, out->moments) : UINT64_MAX;
        }
        tell_progress(r, i);
    }
    out->ops = r->op;
}

static void sum_up(struct replay_result *out)
{
    double held = 0, live = 0;
    for (uint32_t i = 0; i < out->moments; i++) {
        held += (double)out->moment[i].held;
        live += (double)out->moment[i].live;
    }
    out->mean_held_over_live = live > 0 ? held / live : 0;
}

/* 1: every op is served in a range of so many bytes; 0: not; or -ENOMEM. */
static int fits(struct replay *whole, const struct model_kind *kind, uint64_t bound)
{
    struct replay_result out = {.name = kind->name};
    struct replay r = *whole;
    r.out = &out;
    begin_model(&r, kind, bound);
    for (uint64_t i = 0; i < r.ops->count && !r.failed && !out.refused; i++) {
        r.failed = step(&r, &r.ops->op[i]);
        tell_progress(&r, i);
    }
    end_model(&r);
    whole->done += whole->done + r.ops->count < whole->all ? r.ops->count : 0;
    return r.failed ? r.failed : !out.refused;
}

static uint64_t to_pages(uint64_t bytes) { return (bytes + MODEL_PAGE - 1) / MODEL_PAGE * MODEL_PAGE; }

/* The least range between what is live at most and what the growing range came to, or twice that, by halving: below what is found it
 * did not fit once, which is not to say that nothing less would do. */
static int find_smallest(struct replay *r, const struct model_kind *kind)
{
    uint64_t low = to_pages(r->ops->peak_live), high = to_pages(r->out->peak_held);
    low = low ? low - MODEL_PAGE : 0;
    int found = fits(r, kind, high);
    for (int i = 0; i < BISECTIONS && found == 0; i++) {
        low = high;
        high += high / 2 / MODEL_PAGE * MODEL_PAGE + MODEL_PAGE;
        found = fits(r, kind, high);
    }
    if (found != 1) {
        return found;
    }
    for (int i = 0; i < BISECTIONS && high - low > MODEL_PAGE; i++) {
        uint64_t middle = low + (high - low) / 2 / MODEL_PAGE * MODEL_PAGE;
        found = fits(r, kind, middle);
        if (found < 0) {
            return found;
        }
        *(found ? &high : &low) = middle;
    }
    r->out->smallest = high;
    return 0;
}

const struct model_kind *model_kind_of(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i]->name, name) == 0) {
            return kinds[i];
        }
    }
    return NULL;
}

int replay_model(const char *name, const struct ops *ops, const struct replay_wanted *wanted, struct replay_result *out)
{
    static const struct replay_wanted nothing = {.map_at = UINT64_MAX};
    const struct model_kind *kind = model_kind_of(name);
    *out = (struct replay_result){.name = kind ? kind->name : name};
    if (!kind) {
        snprintf(out->failed, sizeof out->failed, "no such strategy");
        return -1;
    }
    struct replay r = {.ops = ops, .wanted = wanted ? wanted : &nothing, .out = out, .all = ops->count};
    bool smallest = r.wanted->smallest && kind->has_range;
    r.all *= smallest ? 2 + BISECTIONS : 1;
    begin_model(&r, kind, 0);
    if (!r.failed) {
        run(&r);
    }
    if (!r.failed) {
        kind->count(r.model, out);
        if (kind->check) {
            kind->check(r.model);
        }
        sum_up(out);
    }
    end_model(&r);
    if (!r.failed && smallest && !out->refused) {
        r.model = NULL;
        r.done = ops->count;
        r.live = 0;
        r.failed = find_smallest(&r, kind);
    }
    if (r.failed) {
        snprintf(out->failed, sizeof out->failed, "no memory for the replay itself");
        return -1;
    }
    if (r.wanted->progress) {
        r.wanted->progress(r.wanted->arg, out->name, r.all, r.all);
    }
    return 0;
}
