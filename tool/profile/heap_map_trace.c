/* See heap_map_trace.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/heap_map_trace.h"

enum { LOOKS = 1 << 16, PAGE = 4096 };

struct reading {
    const char *path;
    const struct profile *profile;
    const struct heap_map_wanted *wanted;
    struct heap_map_trace *out;
    struct blocks_budget budget;
    struct blocks live;
    uint32_t *site_of_stack; /* of the process: profile's number, by stack */
    size_t stacks;
    uint32_t others[2]; /* likewise of those that stand for many */
    uint64_t events, now;
    uint64_t live_bytes;
    bool looked, failed;
};

static bool say(struct trace_error *error, const struct reading *r, const char *what, const char *todo)
{
    snprintf(error->line, sizeof error->line, "%s, %.120s, %s", what, r->path, todo);
    return false;
}

static bool no_memory(struct trace_error *error, const struct reading *r)
{
    return say(error, r, "out of memory", "end other programs");
}

/* -- which process, which site -- */

static const struct profile_process *choose(const struct profile *p, uint32_t number)
{
    const struct profile_process *found = NULL;
    for (uint32_t i = 0; i < p->processes; i++) {
        const struct profile_process *one = p->process[i];
        if (number ? one->number == number : !found || one->peak_bytes > found->peak_bytes) {
            found = one;
        }
    }
    return found;
}

static bool list_sites(struct reading *r)
{
    const struct profile *p = r->profile;
    for (uint32_t n = r->out->process->first_site; n; n = p->site[n].next) {
        uint32_t stack = p->site[n].stack;
        if (stack < PROFILE_STACK_OTHER && stack >= r->stacks) {
            r->stacks = (size_t)stack + 1;
        }
    }
    r->site_of_stack = calloc(r->stacks + 1, sizeof *r->site_of_stack);
    for (uint32_t n = r->out->process->first_site; n && r->site_of_stack; n = p->site[n].next) {
        uint32_t stack = p->site[n].stack;
        if (stack < PROFILE_STACK_OTHER) {
            r->site_of_stack[stack] = n;
        } else {
            r->others[stack - PROFILE_STACK_OTHER] = n;
        }
    }
    return r->site_of_stack;
}

static uint32_t site_of(const struct reading *r, const struct trace_event *e)
{
    uint32_t site = e->op == TRACE_BEFORE ? r->others[1] : e->stack < r->stacks ? r->site_of_stack[e->stack] : 0;
    return site ? site : r->others[0];
}

/* -- events -- */

/* 1: *e is the process's next one; 0: that was all; -1. */
static int next(struct reading *r, struct trace *trace, struct trace_event *e, struct trace_error *error)
{
    for (;;) {
        int got = trace_next(trace, e, error);
        if (got <= 0) {
            return got;
        }
        r->events++;
        if (r->events % LOOKS == 0 && r->wanted->progress) {
            r->wanted->progress(trace_about(trace));
        }
        if (e->process == r->out->process->number) {
            uint64_t time = r->profile->timed ? e->time : r->events;
            r->now = time > r->now ? time : r->now;
            return 1;
        }
    }
}

static bool see_all(struct reading *r, struct trace *trace, struct trace_error *error)
{
    struct trace_event e;
    int got;
    while ((got = next(r, trace, &e, error)) > 0) {
        bool is_made = e.op == TRACE_ALLOC || e.op == TRACE_REALLOC || e.op == TRACE_BEFORE;
        if (is_made && !heap_map_see(r->out->map, e.address, e.size)) {
            return no_memory(error, r);
        }
    }
    return got == 0;
}

static bool give(struct reading *r, uint64_t address)
{
    struct block old;
    int found = blocks_take(&r->live, address, &old);
    if (found > 0) {
        heap_map_give(r->out->map, old.address, old.size);
        r->live_bytes -= old.size;
    }
    return found >= 0;
}

static bool take(struct reading *r, const struct trace_event *e)
{
    struct block old, block = {.address = e->address, .size = e->size, .site = site_of(r, e) + 1};
    int put = blocks_put(&r->live, &block, &old);
    if (put == 0) {
        heap_map_give(r->out->map, old.address, old.size);
        r->live_bytes -= old.size;
    }
    heap_map_take(r->out->map, e->address, e->size);
    r->live_bytes += e->size;
    return put >= 0;
}

/* -- the moment -- */

struct visiting {
    const struct reading *r;
    heap_map_visit *visit;
    void *to;
};

static bool visit_block(void *arg, const struct block *block)
{
    const struct visiting *v = arg;
    uint32_t site = block->site - 1;
    const uint32_t *groups = site ? v->r->wanted->groups : NULL;
    return v->visit(v->to, block->address, block->size, groups ? groups[site] : site);
}

static bool each_block(void *from, heap_map_visit *visit, void *to)
{
    struct reading *r = from;
    struct visiting visiting = {r, visit, to};
    return blocks_each(&r->live, visit_block, &visiting) > 0;
}

static bool look(struct reading *r)
{
    struct heap_map_trace *out = r->out;
    r->looked = true;
    out->time = r->now;
    out->blocks = out->map->blocks;
    out->bytes = r->live_bytes;
    out->held = out->map->held;
    if (r->wanted->columns == 0) {
        heap_map_column(out->map);
    }
    return heap_map_look(out->map, each_block, r, &out->look);
}

/* Before an event. */
static bool is_due(const struct reading *r, const struct trace_event *e)
{
    uint64_t time = r->profile->timed ? e->time : r->events;
    return !r->looked && r->wanted->at == HEAP_MAP_AT_TIME && time > r->wanted->time;
}

static bool is_peak(const struct reading *r)
{
    return !r->looked && r->wanted->at == HEAP_MAP_AT_PEAK && r->live_bytes >= r->out->process->peak_bytes;
}

/* -- columns -- */

static uint64_t time_of(const struct reading *r, uint32_t column)
{
    const struct profile *p = r->profile;
    double part = (double)(column + 1) / r->wanted->columns;
    return column + 1 == r->wanted->columns ? p->end : p->begin + (uint64_t)(part * (double)(p->end - p->begin));
}

static void put_columns(struct reading *r, uint64_t before)
{
    struct heap_map_trace *out = r->out;
    while (out->map->columns < r->wanted->columns && time_of(r, out->map->columns) < before) {
        uint32_t c = out->map->columns;
        out->column_time[c] = time_of(r, c);
        out->column_holes[c] = heap_map_holes(out->map);
        out->column_live[c] = r->live_bytes;
        heap_map_column(out->map);
    }
}

/* -- all of it -- */

static bool end_process(struct reading *r)
{
    if (!r->looked && r->wanted->at == HEAP_MAP_AT_END && !look(r)) {
        return false;
    }
    heap_map_clear(r->out->map);
    blocks_end(&r->live);
    blocks_begin(&r->live, &r->budget);
    r->live_bytes = 0;
    return true;
}

static bool one(struct reading *r, const struct trace_event *e)
{
    switch (e->op) {
    case TRACE_ALLOC:
    case TRACE_BEFORE:
        return take(r, e);
    case TRACE_FREE:
        return give(r, e->address);
    case TRACE_REALLOC:
        return give(r, e->old) && take(r, e);
    case TRACE_EXIT:
        return end_process(r);
    default:
        return true;
    }
}

static bool fill(struct reading *r, struct trace *trace, struct trace_error *error)
{
    struct trace_event e;
    int got = 1;
    bool done = true;
    while (done && (r->wanted->columns || !r->looked) && (got = next(r, trace, &e, error)) > 0) {
        uint64_t time = r->profile->timed ? e.time : r->events;
        put_columns(r, time);
        done = (!is_due(r, &e) || look(r)) && one(r, &e) && (!is_peak(r) || look(r));
    }
    if (done && got == 0) {
        done = r->looked || look(r);
        put_columns(r, UINT64_MAX);
    }
    if (!done) {
        return r->budget.error && r->budget.error != ENOMEM
                   ? say(error, r, "cannot keep what does not fit in memory", "set TMPDIR to a folder with room")
                   : no_memory(error, r);
    }
    return got >= 0;
}

static bool go(struct reading *r, bool (*pass)(struct reading *r, struct trace *trace, struct trace_error *error),
               struct trace_error *error)
{
    struct trace *trace = trace_open(r->path, error);
    r->events = r->now = 0;
    bool done = trace && pass(r, trace, error);
    if (trace) {
        trace_close(trace);
    }
    return done;
}

bool heap_map_trace_read(const char *path, const struct profile *profile, const struct heap_map_wanted *wanted,
                         struct heap_map_trace *out, struct trace_error *error)
{
    struct reading r = {.path = path, .profile = profile, .wanted = wanted, .out = out};
    uint32_t columns = wanted->columns;
    *out = (struct heap_map_trace){.process = choose(profile, wanted->process)};
    if (!out->process) {
        return say(error, &r, wanted->process ? "no process of that number" : "no process",
                   "see allot report for those there are");
    }
    out->map = heap_map_begin(wanted->page ? wanted->page : PAGE, wanted->rows_most);
    out->column_time = calloc(columns + 1, sizeof *out->column_time);
    out->column_holes = calloc(columns + 1, sizeof *out->column_holes);
    out->column_live = calloc(columns + 1, sizeof *out->column_live);
    r.budget.most = wanted->memory_most ? wanted->memory_most : (size_t)256 << 20;
    blocks_begin(&r.live, &r.budget);
    bool done = out->map && out->column_time && out->column_holes && out->column_live && list_sites(&r);
    done = (done || no_memory(error, &r)) && go(&r, see_all, error) &&
           (heap_map_fold(out->map, columns ? columns : 1) || no_memory(error, &r)) && go(&r, fill, error);
    blocks_end(&r.live);
    free(r.site_of_stack);
    return done;
}

void heap_map_trace_end(struct heap_map_trace *t)
{
    heap_map_end(t->map);
    heap_map_look_end(&t->look);
    free(t->column_time);
    free(t->column_holes);
    free(t->column_live);
    *t = (struct heap_map_trace){0};
}
