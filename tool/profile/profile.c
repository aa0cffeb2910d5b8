/* See profile.h. Here is the pass; what an event does is in events.c, what is noted of a site in sites.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/events.h"
#include "profile/sites.h"
#include "profile/totals.h"

#define NEVER    ((uint64_t)1 << 62) /* times are before */
#define LOOKS    65536               /* events between two looks at how far it is, and how much memory it takes */
#define TOGETHER 32

/* What lives now was there before what counts began; and time begins. */
static void start_counting(struct profile *p)
{
    p->counting = true;
    p->begin = p->timed && p->wanted.to ? p->wanted.from : p->now;
    p->window_length = p->timed ? (uint64_t)1 << 20 : 16;
    p->window_end = p->begin + p->window_length;
    p->peak_bytes = p->live_bytes;
    p->peak_blocks = p->live_blocks;
    p->peak_time = p->begin;
    p->peak_resident = p->resident_peak = p->resident;
    p->resident_peak_time = p->begin;
    p->resident_peak_live = p->live_bytes;
    p->peaks++;
    for (uint32_t i = 0; i < p->processes; i++) {
        p->process[i]->peak_bytes = p->process[i]->live_bytes;
        p->process[i]->peak_time = p->begin;
    }
    for (uint32_t n = 1; n <= p->sites; n++) {
        struct profile_site *s = &p->site[n];
        s->own_peak_bytes = s->low_now = s->live_bytes;
    }
    timeline_begin(&p->timeline, p->begin, p->timed ? (uint64_t)1 << 17 : 1);
    struct timeline_point *point = &p->timeline.point[0];
    *point = (struct timeline_point){p->live_bytes, p->live_blocks, p->live_bytes, p->resident, p->mapped, 0};
}

static void finish(struct profile *p)
{
    if (!p->counting) {
        start_counting(p);
    }
    p->end = p->now > p->begin ? p->now : p->begin; /* of a window behind all events there is nothing */
    for (uint32_t i = 0; i < p->processes; i++) {
        struct profile_process *process = p->process[i];
        if (!process->exited && !process->killed) {
            events_end_process(p, process);
        }
    }
    for (uint32_t n = 1; n <= p->sites; n++) {
        struct profile_site *s = &p->site[n];
        sites_touch(p, s);
        s->frees = s->allocs + s->before_blocks - s->replaced_blocks - s->live_blocks - s->left_blocks;
        s->freed_bytes = s->bytes + s->before_bytes - s->replaced_bytes - s->live_bytes - s->left_bytes;
    }
}

/* 1: go on; 0: nothing that follows counts; -1. */
static int one(struct profile *p, const struct trace_event *e)
{
    p->events++;
    if (p->wanted.process && e->process != p->wanted.process) {
        return 1;
    }
    uint64_t time = p->timed ? e->time : p->events;
    if (p->wanted.to && time > p->wanted.to) {
        return 0;
    }
    p->now = time > p->now ? (time < NEVER ? time : NEVER) : p->now;
    if (__builtin_expect(!p->counting, 0) && time >= p->wanted.from) {
        start_counting(p);
    }
    if (__builtin_expect(p->now >= p->window_end, 0) && p->counting) {
        sites_next_window(p);
    }
    if (__builtin_expect(p->now >= p->watch_at, 0) && p->counting) {
        p->wanted.watch->tick(p->wanted.watch, p);
        p->watch_at = p->wanted.watch->next;
    }
    return events_take(p, e) < 0 ? -1 : 1;
}

static bool is_about_block(const struct trace_event *e) { return e->op >= TRACE_ALLOC && e->op <= TRACE_REALLOC; }

static const struct profile_process *known_process(const struct profile *p, uint32_t number)
{
    uint32_t i = number < p->process_index_room ? p->process_index[number] : 0;
    return i ? p->process[i - 1] : NULL;
}

/* An event touches memory all over the tables. So some are taken together: what the first of them will touch is on its way while
 * that of the others is asked for. */
static int some(struct profile *p, const struct trace_event *e, size_t count)
{
    int went = 1;
    for (size_t i = 0; i < count; i++) {
        const struct profile_process *process = known_process(p, e[i].process);
        if (process) {
            blocks_prefetch(&process->live, e[i].op == TRACE_REALLOC ? e[i].old : e[i].address);
        }
    }
    for (size_t i = 0; i < count; i++) {
        const struct profile_process *process = known_process(p, e[i].process);
        if (process && e[i].op == TRACE_REALLOC) {
            blocks_prefetch(&process->live, e[i].address);
        }
        if (process && e[i].op != TRACE_FREE) {
            sites_prefetch(p, process, e[i].stack);
        }
        if (process && e[i].op != TRACE_ALLOC) {
            const struct profile_site *s =
                &p->site[blocks_guess_site(&process->live, e[i].op == TRACE_FREE ? e[i].address : e[i].old)];
            __builtin_prefetch(s, 1);
            __builtin_prefetch(&s->low_now, 1);
        }
    }
    for (size_t i = 0; i < count && went > 0; i++) {
        went = one(p, &e[i]);
    }
    return went;
}

/* 0: all was read that counts; -1: `error` says why not, or the budget does. */
static int read_all(struct profile *p, struct trace *trace, struct trace_error *error)
{
    struct trace_event e[TOGETHER];
    size_t count = 0;
    int went = 1;
    uint64_t looked = 0;
    while (went > 0) {
        int next = trace_next(trace, &e[count], error);
        if (next > 0 && is_about_block(&e[count])) {
            count++;
            if (count < TOGETHER) {
                continue;
            }
        }
        /* Others have texts, which are good only until the next is read: they come right behind what has gathered. */
        bool other = next > 0 && count < TOGETHER;
        went = some(p, e, count);
        if (went > 0 && other) {
            went = one(p, &e[count]);
        }
        count = 0;
        if (next <= 0 && went > 0) {
            return next;
        }
        if (p->events - looked >= LOOKS && went > 0) {
            looked = p->events;
            sites_beside(p, trace_about(trace)->memory);
            if (!blocks_beside(&p->budget, p->sites * sizeof *p->site + trace_about(trace)->memory)) {
                return -1;
            }
            if (p->wanted.progress) {
                p->wanted.progress(trace_about(trace));
            }
        }
    }
    return went;
}

static void explain(const struct profile *p, struct trace_error *error)
{
    const char *name = p->wanted.name ? p->wanted.name : "the trace";
    switch (p->budget.error) {
    case ENOMEM:
        snprintf(error->line, sizeof error->line, "out of memory, %.150s, end other programs", name);
        return;
    case EVENTS_TOO_MANY_PROCESSES:
        snprintf(error->line, sizeof error->line, "more than %u processes, %.150s, look at one with --process",
                 PROFILE_PROCESSES, name);
        return;
    default:
        snprintf(error->line, sizeof error->line,
                 "cannot keep what does not fit in memory, %.100s, %s: set TMPDIR to a folder with room", name,
                 strerror(p->budget.error));
    }
}

struct profile *profile_read(struct trace *trace, const struct profile_wanted *wanted, struct trace_error *error)
{
    struct profile *p = calloc(1, sizeof *p);
    if (!p || !(p->wanted = *wanted, sites_begin(p))) {
        snprintf(error->line, sizeof error->line, "out of memory, %.150s, end other programs",
                 wanted->name ? wanted->name : "the trace");
        profile_end(p);
        return NULL;
    }
    p->timed = trace_about(trace)->has_times;
    p->watch_at = wanted->watch ? wanted->watch->next : UINT64_MAX;
    p->budget.most = wanted->memory_most ? wanted->memory_most : (size_t)416 << 20;
    p->budget.folder = wanted->folder;
    if (!p->wanted.temporary || !p->timed) {
        p->wanted.temporary = p->timed ? 1000000 : 16;
    }
    if (read_all(p, trace, error) < 0) {
        if (p->budget.error) {
            explain(p, error);
        }
        profile_end(p);
        return NULL;
    }
    if (!totals_take(p, trace)) {
        p->budget.error = ENOMEM;
        explain(p, error);
        profile_end(p);
        return NULL;
    }
    finish(p);
    return p;
}

void profile_end(struct profile *p)
{
    if (!p) {
        return;
    }
    for (uint32_t i = 0; i < p->processes; i++) {
        struct profile_process *process = p->process[i];
        if (process->live.budget) {
            blocks_end(&process->live);
        }
        free(process->program);
        free(process->thread);
        free(process);
    }
    for (uint32_t i = 0; i < p->marks; i++) {
        free(p->mark[i].text);
    }
    free(p->process);
    free(p->process_index);
    free(p->verdict);
    free(p->mark);
    sites_end(p);
    free(p);
}
