/* See plan.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "page/plan.h"

#define NEVER        ((uint64_t)1 << 62) /* times are before, as in profile.c */
#define LOOKS        65536
#define MANY         64 /* processes that are drawn finely */
#define FEW_EXTENTS  32
#define SHARE        64         /* a process that touches less than such a part of all pages is not drawn */
#define NUMBERS_MOST (1u << 22) /* a trace with higher ones is refused by the profile */

struct of_process {
    uint32_t number;
    struct heap_map *map;
};

struct scan {
    const struct profile_wanted *wanted;
    bool timed, counting;
    uint64_t events, now, begin;
    struct of_process *process;
    uint32_t processes, room;
    uint32_t *index, index_room; /* by number: place in `process` and 1 */
};

/* NULL: out of memory. */
static struct of_process *make_process(struct scan *s, uint32_t number)
{
    if (number >= s->index_room) {
        uint32_t room = number + number / 2 + 16, *index = realloc(s->index, room * sizeof *index);
        if (!index) {
            return NULL;
        }
        memset(index + s->index_room, 0, (room - s->index_room) * sizeof *index);
        s->index = index;
        s->index_room = room;
    }
    if (s->processes == s->room) {
        uint32_t room = s->room ? 2 * s->room : 16;
        struct of_process *grown = realloc(s->process, room * sizeof *grown);
        if (!grown) {
            return NULL;
        }
        s->process = grown;
        s->room = room;
    }
    struct of_process *process = &s->process[s->processes];
    *process = (struct of_process){.number = number, .map = heap_map_begin(PLAN_PAGE, PLAN_ROWS)};
    if (!process->map) {
        return NULL;
    }
    process->map->extents_most = s->processes < MANY ? PLAN_EXTENTS : FEW_EXTENTS;
    process->map->gap = PLAN_PAGE;
    process->map->pages_most = PLAN_PAGES;
    process->map->doubling = true;
    s->index[number] = ++s->processes;
    return process;
}

/* 1: go on; 0: nothing that follows counts; -1: out of memory. */
static int take(struct scan *s, const struct trace_event *e)
{
    s->events++;
    if (s->wanted->process && e->process != s->wanted->process) {
        return 1;
    }
    uint64_t time = s->timed ? e->time : s->events;
    if (s->wanted->to && time > s->wanted->to) {
        return 0;
    }
    s->now = time > s->now ? (time < NEVER ? time : NEVER) : s->now;
    if (!s->counting && time >= s->wanted->from) {
        s->counting = true;
        s->begin = s->timed && s->wanted->to ? s->wanted->from : s->now;
    }
    if ((e->op == TRACE_ALLOC || e->op == TRACE_REALLOC || e->op == TRACE_BEFORE) && e->process <= NUMBERS_MOST &&
        s->processes < PROFILE_PROCESSES) {
        uint32_t i = e->process < s->index_room ? s->index[e->process] : 0;
        struct of_process *process = i ? &s->process[i - 1] : make_process(s, e->process);
        return process && heap_map_see(process->map, e->address, e->size) ? 1 : -1;
    }
    return 1;
}

/* -- intervals -- */

static void set_intervals(struct plan *plan)
{
    uint64_t length = plan->end - plan->begin;
    plan->intervals = length < PLAN_INTERVALS ? (uint32_t)(length ? length : 1) : PLAN_INTERVALS;
    for (uint32_t i = 0; i < plan->intervals; i++) {
        plan->ends[i] = plan->begin + (uint64_t)((unsigned __int128)length * (i + 1) / plan->intervals);
    }
}

uint32_t plan_interval(const struct plan *plan, uint64_t time)
{
    if (time <= plan->begin) {
        return 0;
    }
    uint64_t length = plan->end - plan->begin, since = time - plan->begin;
    uint32_t last = plan->intervals - 1;
    if (since >= length) {
        return last;
    }
    uint32_t i = (uint32_t)((double)since / (double)length * plan->intervals);
    i = i < last ? i : last;
    while (i > 0 && time < plan->ends[i - 1]) {
        i--;
    }
    while (i < last && time >= plan->ends[i]) {
        i++;
    }
    return i;
}

/* -- rows -- */

static int by_bytes(const void *a, const void *b)
{
    uint64_t x = heap_map_bytes(((const struct of_process *)a)->map),
             y = heap_map_bytes(((const struct of_process *)b)->map);
    return x != y ? (x < y ? 1 : -1) : 0;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = ((const struct of_process *)a)->number, y = ((const struct of_process *)b)->number;
    return (x > y) - (x < y);
}

/* False: out of memory. */
static bool set_rows(struct plan *plan, struct scan *s)
{
    uint64_t all = 0;
    qsort(s->process, s->processes, sizeof *s->process, by_bytes);
    for (uint32_t i = 0; i < s->processes; i++) {
        all += heap_map_bytes(s->process[i].map);
    }
    while (plan->processes < s->processes && plan->processes < PLAN_PROCESSES &&
           heap_map_bytes(s->process[plan->processes].map) >= all / SHARE) {
        plan->processes++;
    }
    qsort(s->process, plan->processes, sizeof *s->process, by_number);
    for (uint32_t i = 0; i < plan->processes; i++) {
        plan->process[i] = s->process[i].number;
        plan->map[i] = s->process[i].map;
        s->process[i].map = NULL;
    }
    if (!heap_map_fold_alike(plan->map, plan->processes, plan->intervals)) {
        return false;
    }
    plan->row_bytes = plan->map[0]->row_bytes;
    plan->page_bytes = plan->map[0]->page_bytes;
    for (uint32_t i = 0; i < plan->processes; i++) {
        plan->first_row[i] = plan->rows;
        plan->rows += plan->map[i]->rows;
    }
    return true;
}

void plan_end(struct plan *plan)
{
    for (uint32_t i = 0; i < plan->processes; i++) {
        heap_map_end(plan->map[i]);
    }
    *plan = (struct plan){0};
}

/* -- the pass -- */

static int no_memory(struct trace_error *error)
{
    snprintf(error->line, sizeof error->line, "out of memory, the trace, end other programs");
    return -1;
}

static int read_all(struct scan *s, struct trace *trace, struct trace_error *error)
{
    struct trace_event e;
    for (;;) {
        int went = trace_next(trace, &e, error);
        if (went > 0) {
            went = take(s, &e);
            if (went < 0) {
                return no_memory(error);
            }
        }
        if (went <= 0) {
            return went;
        }
        if (s->events % LOOKS == 0 && s->wanted->progress) {
            s->wanted->progress(trace_about(trace));
        }
    }
}

bool plan_read(struct plan *plan, const char *path, const struct profile_wanted *wanted, struct trace_error *error)
{
    struct scan s = {.wanted = wanted};
    struct trace *trace = trace_open(path, error);
    *plan = (struct plan){0};
    if (!trace) {
        return false;
    }
    s.timed = trace_about(trace)->has_times;
    bool good = read_all(&s, trace, error) >= 0;
    plan->timed = s.timed;
    if (good) {
        plan->begin = s.counting ? s.begin : s.now;
        plan->end = s.now > plan->begin ? s.now : plan->begin;
        set_intervals(plan);
        good = s.processes == 0 || !trace_about(trace)->has_addresses || set_rows(plan, &s) || no_memory(error) == 0;
    }
    for (uint32_t i = 0; i < s.processes; i++) {
        heap_map_end(s.process[i].map);
    }
    free(s.process);
    free(s.index);
    trace_close(trace);
    return good;
}
