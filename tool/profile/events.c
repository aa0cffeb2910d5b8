/* See events.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "profile/events.h"
#include "profile/sites.h"

#define EXPECT(x)    __builtin_expect(!!(x), 1)
#define TEXT_MOST    1024
#define NUMBERS_MOST (1u << 22) /* of processes: as many as Linux can have at once */

static int no_memory(struct profile *p)
{
    p->budget.error = ENOMEM;
    return -1;
}

/* -- processes and threads -- */

static struct profile_process *make_process(struct profile *p, uint32_t number)
{
    if (p->processes == PROFILE_PROCESSES) {
        p->budget.error = EVENTS_TOO_MANY_PROCESSES;
        return NULL;
    }
    if (number >= p->process_index_room) {
        uint32_t room = number + number / 2 + 16;
        if (number > NUMBERS_MOST) {
            p->budget.error = EVENTS_TOO_MANY_PROCESSES;
            return NULL;
        }
        uint32_t *index = realloc(p->process_index, room * sizeof *index);
        if (!index) {
            no_memory(p);
            return NULL;
        }
        memset(index + p->process_index_room, 0, (room - p->process_index_room) * sizeof *index);
        p->process_index = index;
        p->process_index_room = room;
    }
    if (p->processes == p->processes_room) {
        uint32_t room = p->processes_room ? 2 * p->processes_room : 16;
        struct profile_process **grown = realloc(p->process, room * sizeof *grown);
        if (!grown) {
            no_memory(p);
            return NULL;
        }
        p->process = grown;
        p->processes_room = room;
    }
    struct profile_process *process = calloc(1, sizeof *process);
    if (!process) {
        no_memory(p);
        return NULL;
    }
    process->number = number;
    process->began = p->now;
    blocks_begin(&process->live, &p->budget);
    p->process[p->processes++] = process;
    p->process_index[number] = p->processes;
    return process;
}

static inline struct profile_process *process_of(struct profile *p, uint32_t number)
{
    uint32_t i = EXPECT(number < p->process_index_room) ? p->process_index[number] : 0;
    struct profile_process *process = EXPECT(i) ? p->process[i - 1] : make_process(p, number);
    if (__builtin_expect(process && (process->exited || process->killed), 0)) {
        blocks_begin(&process->live, &p->budget);
        process->exited = process->killed = false;
    }
    return process;
}

static struct profile_thread *make_thread(struct profile *p, struct profile_process *process, uint32_t number)
{
    if (number >= process->threads_room) {
        uint32_t room = number + number / 2 + 2;
        if (p->threads + room - process->threads_room > PROFILE_ALL_THREADS) {
            number = 0;
            room = process->threads_room ? process->threads_room : 1;
        }
        struct profile_thread *grown = realloc(process->thread, room * sizeof *grown);
        if (!grown) {
            return NULL;
        }
        memset(grown + process->threads_room, 0, (room - process->threads_room) * sizeof *grown);
        p->threads += room - process->threads_room;
        process->thread = grown;
        process->threads_room = room;
    }
    process->threads = number >= process->threads ? number + 1 : process->threads;
    return &process->thread[number];
}

static inline struct profile_thread *thread_of(struct profile *p, struct profile_process *process, uint32_t number)
{
    number = number <= PROFILE_THREADS ? number : 0;
    return EXPECT(number < process->threads) ? &process->thread[number] : make_thread(p, process, number);
}

void events_end_process(struct profile *p, struct profile_process *process)
{
    if (p->wanted.watch) {
        p->wanted.watch->leaves(p->wanted.watch, p, process);
    }
    sites_leave(p, process);
    blocks_end(&process->live);
    process->ended = p->now;
    process->left_blocks += process->live_blocks;
    process->left_bytes += process->live_bytes;
    p->left_blocks += process->live_blocks;
    p->left_bytes += process->live_bytes;
    p->live_blocks -= process->live_blocks;
    p->live_bytes -= process->live_bytes;
    process->live_blocks = process->live_bytes = 0;
    p->resident -= process->resident;
    p->mapped -= process->mapped;
    process->resident = process->mapped = 0;
}

/* -- blocks -- */

static void look_at_peak(struct profile *p, struct profile_process *process)
{
    if (p->live_bytes > p->peak_bytes) {
        p->peak_bytes = p->live_bytes;
        p->peak_blocks = p->live_blocks;
        p->peak_time = p->now;
        p->peak_resident = p->resident;
        p->peaks++;
    }
    if (process->live_bytes > process->peak_bytes) {
        process->peak_bytes = process->live_bytes;
        process->peak_time = p->now;
    }
}

static inline void remove_live(struct profile *p, struct profile_process *process, struct profile_site *s,
                               uint64_t size)
{
    sites_touch(p, s);
    s->live_blocks--;
    s->live_bytes -= size;
    if (s->live_bytes < s->low_now) {
        s->low_now = s->live_bytes;
    }
    process->live_blocks--;
    process->live_bytes -= size;
    p->live_blocks--;
    p->live_bytes -= size;
}

/* A block is there from `born` on. Returns its site; NULL: no memory or no disk. */
static struct profile_site *add_live(struct profile *p, struct profile_process *process, const struct trace_event *e,
                                     uint32_t stack, uint64_t born, const struct block *given)
{
    uint32_t number = sites_of(p, process, stack);
    struct block block = {e->address, e->size, born, number, e->thread}, old;
    int put = number ? blocks_put(&process->live, &block, &old) : no_memory(p);
    if (put < 0) {
        return NULL;
    }
    if (__builtin_expect(put == 0, 0)) {
        struct profile_site *s = &p->site[old.site];
        remove_live(p, process, s, old.size);
        s->replaced_blocks++;
        s->replaced_bytes += old.size;
        p->replaced_blocks++;
        p->replaced_bytes += old.size;
        if (p->wanted.watch) {
            p->wanted.watch->went(p->wanted.watch, p, process, e, &old, PROFILE_REPLACED);
        }
    }
    struct profile_site *s = &p->site[number];
    sites_touch(p, s);
    s->live_blocks++;
    s->live_bytes += e->size;
    if (s->live_bytes > s->own_peak_bytes) {
        s->own_peak_bytes = s->live_bytes;
    }
    process->live_blocks++;
    process->live_bytes += e->size;
    p->live_blocks++;
    p->live_bytes += e->size;
    if (p->counting) {
        look_at_peak(p, process);
    }
    if (p->wanted.watch) {
        p->wanted.watch->came(p->wanted.watch, p, process, e, number, given);
    }
    return s;
}

/* An allocation, or what a realloc gave. */
static int allocate(struct profile *p, struct profile_process *process, const struct trace_event *e, uint64_t born,
                    const struct block *old)
{
    struct profile_site *s = add_live(p, process, e, e->stack, born, old);
    struct profile_thread *thread = thread_of(p, process, e->thread);
    if (!s || !thread) {
        return s ? no_memory(p) : -1;
    }
    if (!p->counting) {
        s->before_blocks++;
        s->before_bytes += e->size;
        p->before_blocks++;
        p->before_bytes += e->size;
        return 0;
    }
    unsigned bin = profile_bin(e->size);
    uint64_t slack = profile_slack(e->size);
    s->allocs++;
    s->bytes += e->size;
    s->slack += slack;
    s->sizes[bin] += s->sizes[bin] != UINT32_MAX;
    if (__builtin_expect(s->last_thread != e->thread, 0)) {
        sites_thread(p, (uint32_t)(s - p->site), e->thread);
    }
    if (old) {
        s->reallocs++;
        p->reallocs++;
        process->reallocs++;
        p->reallocs_moved += e->address != e->old;
        if (e->size > old->size) {
            s->grown += e->size - old->size;
            p->grown += e->size - old->size;
        }
    }
    p->allocs++;
    p->bytes += e->size;
    p->slack += slack;
    p->sizes[bin]++;
    p->size_bytes[bin] += e->size;
    p->largest = e->size > p->largest ? e->size : p->largest;
    process->allocs++;
    process->bytes += e->size;
    thread->allocs++;
    thread->bytes += e->size;
    struct timeline_point *point = timeline_at(&p->timeline, p->now);
    point->allocs++;
    point->live_bytes = p->live_bytes;
    point->live_blocks = p->live_blocks;
    point->high = p->live_bytes > point->high ? p->live_bytes : point->high;
    return 0;
}

static inline void end_life(struct profile *p, struct profile_site *s, const struct block *block, uint64_t at)
{
    uint64_t life = at > block->time ? at - block->time : 0;
    double real = (double)life;
    s->life_sum += real;
    s->life_squares += real * real;
    s->life_least = life < s->life_least ? life : s->life_least;
    s->life_most = life > s->life_most ? life : s->life_most;
    p->lives[profile_bin(p->timed ? life / 1000 : life)]++;
    if (life < p->wanted.temporary) {
        s->temporary++;
        s->temporary_bytes += block->size;
        p->temporary++;
        p->temporary_bytes += block->size;
    }
}

/* What becomes of a block that is given up: freed, or taken over by a realloc. 1: *block was it; 0: it is not known; -1: failed. */
static int give_up(struct profile *p, struct profile_process *process, const struct trace_event *e, uint64_t address,
                   bool freed, struct block *block)
{
    int found = blocks_take(&process->live, address, block);
    if (found <= 0) {
        process->unknown_frees += found == 0 && p->counting;
        p->unknown_frees += found == 0 && p->counting;
        return found;
    }
    struct profile_site *s = &p->site[block->site];
    remove_live(p, process, s, block->size);
    if (p->wanted.watch) {
        p->wanted.watch->went(p->wanted.watch, p, process, e, block, freed ? PROFILE_FREED : PROFILE_PASSED);
    }
    if (!p->counting) { /* of the time before nothing is known but what lives */
        s->before_blocks--;
        s->before_bytes -= block->size;
        p->before_blocks--;
        p->before_bytes -= block->size;
        return 1;
    }
    struct profile_thread *thread = thread_of(p, process, e->thread);
    if (!thread) {
        return no_memory(p);
    }
    bool same = block->thread == e->thread;
    p->frees++;
    p->freed_bytes += block->size;
    process->frees++;
    if (freed) {
        end_life(p, s, block, p->timed ? e->time : p->now);
        s->same_thread += same;
        p->same_thread += same;
        thread->frees++;
        thread->freed_others += !same;
    } else {
        s->passed++;
    }
    struct timeline_point *point = timeline_at(&p->timeline, p->now);
    point->live_bytes = p->live_bytes;
    point->live_blocks = p->live_blocks;
    return 1;
}

static int reallocate(struct profile *p, struct profile_process *process, const struct trace_event *e)
{
    struct block old;
    int found = give_up(p, process, e, e->old, false, &old);
    if (found < 0) {
        return -1;
    }
    return allocate(p, process, e, found ? old.time : p->now, found ? &old : NULL);
}

static int before(struct profile *p, struct profile_process *process, const struct trace_event *e)
{
    struct profile_site *s = add_live(p, process, e, PROFILE_STACK_BEFORE, p->now, NULL);
    if (!s) {
        return -1;
    }
    s->before_blocks++;
    s->before_bytes += e->size;
    p->before_blocks++;
    p->before_bytes += e->size;
    return 0;
}

static int verdict(struct profile *p, struct profile_process *process, const struct trace_event *e)
{
    struct block block;
    int found = e->verdict <= GRAPH_DEFINITE ? blocks_find(&process->live, e->address, &block) : 0;
    if (found <= 0) {
        return found;
    }
    struct profile_site *s = &p->site[block.site];
    uint32_t i = s->verdict;
    while (i && p->verdict[i - 1].verdict != e->verdict) {
        i = p->verdict[i - 1].next;
    }
    if (i == 0) {
        if (p->verdicts == p->verdicts_room) {
            uint32_t room = p->verdicts_room ? 2 * p->verdicts_room : 64;
            struct profile_verdict *grown = realloc(p->verdict, room * sizeof *grown);
            if (!grown) {
                return no_memory(p);
            }
            p->verdict = grown;
            p->verdicts_room = room;
        }
        i = ++p->verdicts;
        p->verdict[i - 1] = (struct profile_verdict){.site = block.site, .next = s->verdict, .verdict = e->verdict};
        s->verdict = i;
    }
    struct profile_verdict *v = &p->verdict[i - 1];
    if (v->blocks == 0 || block.size > v->size) {
        v->address = block.address;
        v->size = block.size;
    }
    v->blocks++;
    v->bytes += block.size;
    v->retained += e->verdict != GRAPH_DEFINITE || e->size > block.size ? e->size : block.size;
    return 0;
}

/* -- all else -- */

static void resident(struct profile *p, struct profile_process *process, const struct trace_event *e)
{
    p->resident += e->size - process->resident;
    p->mapped += e->old - process->mapped;
    process->resident = e->size;
    process->mapped = e->old;
    process->resident_peak = e->size > process->resident_peak ? e->size : process->resident_peak;
    if (p->counting) {
        struct timeline_point *point = timeline_at(&p->timeline, p->now);
        point->resident = p->resident;
        point->mapped = p->mapped;
        if (p->resident > p->resident_peak) {
            p->resident_peak = p->resident;
            p->resident_peak_time = p->now;
            p->resident_peak_live = p->live_bytes;
        }
    }
}

static void name_thread(struct profile *p, struct profile_process *process, const struct trace_event *e)
{
    struct profile_thread *thread = e->thread && e->thread <= PROFILE_THREADS ? thread_of(p, process, e->thread) : NULL;
    if (thread && e->text) {
        snprintf(thread->name, sizeof thread->name, "%s", e->text);
    }
}

static int mark(struct profile *p, const struct trace_event *e)
{
    if (p->marks == PROFILE_MARKS || !p->counting) {
        return 0;
    }
    if (!p->mark) {
        p->mark = malloc(PROFILE_MARKS * sizeof *p->mark);
    }
    char *text = p->mark ? strndup(e->text ? e->text : "", TEXT_MOST) : NULL;
    if (!text) {
        return no_memory(p);
    }
    p->mark[p->marks++] = (struct profile_mark){.time = p->now, .process = e->process, .text = text};
    return 0;
}

static int rare(struct profile *p, struct profile_process *process, const struct trace_event *e)
{
    switch (e->op) {
    case TRACE_BEFORE:
        return before(p, process, e);
    case TRACE_VERDICT:
        return verdict(p, process, e);
    case TRACE_FAILED:
        p->failed += p->counting;
        process->failed += p->counting;
        return 0;
    case TRACE_PROCESS:
        process->parent = e->old <= UINT32_MAX ? (uint32_t)e->old : 0;
        process->began = p->now;
        process->pid = e->size <= UINT32_MAX ? (uint32_t)e->size : 0;
        if (!process->program && e->text && !(process->program = strndup(e->text, TEXT_MOST))) {
            return no_memory(p);
        }
        return 0;
    case TRACE_EXIT:
        events_end_process(p, process);
        process->exited = e->size == 1;
        process->killed = e->size != 1;
        if (p->counting) {
            struct timeline_point *point = timeline_at(&p->timeline, p->now);
            *point = (struct timeline_point){p->live_bytes, p->live_blocks, point->high,
                                             p->resident,   p->mapped,      point->allocs};
        }
        return 0;
    case TRACE_THREAD:
        name_thread(p, process, e);
        return 0;
    case TRACE_MARK:
        return mark(p, e);
    case TRACE_COUNTERS:
        resident(p, process, e);
        return 0;
    case TRACE_LOST:
        p->lost += e->size;
        process->lost += e->size;
        return 0;
    default:
        return 0;
    }
}

int events_take(struct profile *p, const struct trace_event *e)
{
    struct profile_process *process = process_of(p, e->process);
    struct block block;
    if (!process) {
        return -1;
    }
    switch (e->op) {
    case TRACE_ALLOC:
        return allocate(p, process, e, p->now, NULL);
    case TRACE_FREE:
        return give_up(p, process, e, e->address, true, &block) < 0 ? -1 : 0;
    case TRACE_REALLOC:
        return reallocate(p, process, e);
    default:
        return rare(p, process, e);
    }
}
