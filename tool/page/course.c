/* See course.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "page/course.h"
#include "page/hash.h"

#define FILLERS_LEAST ((size_t)1 << 12)
#define FILLERS_MOST  ((size_t)1 << 20)
#define THREAD_INDEX  (4 * COURSE_THREADS)
#define EXPECT(x)     __builtin_expect(!!(x), 1)

/* -- what an interval has -- */

static bool more_sites(struct course *c, uint32_t number)
{
    uint32_t room = number + number / 2 + 1024;
    struct course_site *grown = realloc(c->site, room * sizeof *grown);
    if (!grown) {
        c->error = ENOMEM;
        return false;
    }
    memset(grown + c->sites_room, 0, (room - c->sites_room) * sizeof *grown);
    c->site = grown;
    c->sites_room = room;
    return true;
}

static bool more_touched(struct course *c)
{
    uint32_t room = c->touched_room ? 2 * c->touched_room : 1024;
    uint32_t *grown = realloc(c->touched, room * sizeof *grown);
    if (!grown) {
        c->error = ENOMEM;
        return false;
    }
    c->touched = grown;
    c->touched_room = room;
    return true;
}

/* The site's figures of this interval; NULL: out of memory. */
static inline struct course_site *touch(struct course *c, uint32_t number)
{
    if (__builtin_expect(number >= c->sites_room, 0) && !more_sites(c, number)) {
        return NULL;
    }
    struct course_site *s = &c->site[number];
    if (__builtin_expect(s->stamp != c->interval + 1, 0)) {
        if (c->touches == c->touched_room && !more_touched(c)) {
            return NULL;
        }
        s->stamp = c->interval + 1;
        s->bytes = 0;
        s->allocs = s->temporary = 0;
        c->touched[c->touches++] = number;
    }
    return s;
}

static void put_site(struct course *c, const struct profile *p, uint32_t number)
{
    const struct course_site *s = &c->site[number];
    const struct profile_site *of = &p->site[number];
    tape_put(&c->tape, &(struct tape_row){number, c->interval, of->live_bytes, of->live_blocks, s->bytes, s->allocs,
                                          s->temporary});
}

/* -- threads -- */

static struct course_thread *thread_of(struct course *c, uint32_t process, uint32_t thread)
{
    struct course_thread *t = &c->thread[c->thread_last];
    thread = thread <= PROFILE_THREADS ? thread : 0;
    if (EXPECT(t->process == process && t->thread == thread)) {
        return t;
    }
    uint32_t i = (uint32_t)(page_hash((uint64_t)process << 32 | thread) % THREAD_INDEX);
    while (c->thread_index[i]) {
        t = &c->thread[c->thread_index[i]];
        if (t->process == process && t->thread == thread) {
            c->thread_last = c->thread_index[i];
            return t;
        }
        i = (i + 1) % THREAD_INDEX;
    }
    if (c->threads == COURSE_THREADS) {
        return &c->thread[0];
    }
    c->thread_index[i] = c->thread_last = c->threads;
    t = &c->thread[c->threads++];
    *t = (struct course_thread){.process = process, .thread = thread};
    return t;
}

static struct course_thread *touch_thread(struct course *c, const struct trace_event *e)
{
    struct course_thread *t = thread_of(c, e->process, e->thread);
    if (t->stamp != c->interval + 1) {
        t->stamp = c->interval + 1;
        t->allocs = t->frees = 0;
    }
    return t;
}

/* -- sizes and lifetimes -- */

static void count_size(struct course *c, uint64_t size)
{
    if (EXPECT(size < COURSE_SMALL)) {
        c->small[size]++;
        return;
    }
    uint32_t mask = 2 * COURSE_LARGE - 1, i = (uint32_t)page_hash(size) & mask;
    while (c->large[i].count && c->large[i].key != size) {
        i = (i + 1) & mask;
    }
    if (c->large[i].count == 0) {
        if (c->larges == COURSE_LARGE) {
            return;
        }
        c->larges++;
        c->large[i].key = size;
    }
    c->large[i].count++;
}

static struct course_count *filler_of(struct course_count *filler, size_t room, uint64_t key)
{
    size_t i = page_hash(key) & (room - 1);
    while (filler[i].count && filler[i].key != key) {
        i = (i + 1) & (room - 1);
    }
    return &filler[i];
}

static void grow_fillers(struct course *c)
{
    struct course_count *grown = calloc(2 * c->filler_room, sizeof *grown);
    if (!grown) {
        c->error = ENOMEM;
        return;
    }
    for (size_t i = 0; i < c->filler_room; i++) {
        if (c->filler[i].count) {
            *filler_of(grown, 2 * c->filler_room, c->filler[i].key) = c->filler[i];
        }
    }
    free(c->filler);
    c->filler = grown;
    c->filler_room *= 2;
}

static void fill(struct course *c, uint64_t key)
{
    struct course_count *f = filler_of(c->filler, c->filler_room, key);
    if (__builtin_expect(f->count == 0, 0)) {
        if (4 * (c->fillers + 1) > 3 * c->filler_room) {
            if (c->filler_room < FILLERS_MOST) {
                grow_fillers(c);
            }
            if (4 * (c->fillers + 1) > 3 * c->filler_room) {
                return;
            }
            f = filler_of(c->filler, c->filler_room, key);
        }
        f->key = key;
        c->fillers++;
    }
    f->count++;
}

static void fill_waiting(struct course *c)
{
    for (uint32_t i = 0; i < c->waits; i++) {
        fill(c, c->waiting[i]);
    }
    c->waits = 0;
}

static void count_life(struct course *c, const struct block *block, uint64_t life)
{
    unsigned size = profile_bin(block->size), length = profile_bin(c->timed ? life / 1000 : life);
    struct course_life *cell = &c->life[plan_interval(c->plan, block->time)][size][length];
    cell->blocks++;
    cell->bytes += block->size;
    uint64_t key = (uint64_t)(size * PROFILE_BINS + length) << 32 | block->site;
    __builtin_prefetch(&c->filler[page_hash(key) & (c->filler_room - 1)], 1);
    c->waiting[c->waits++] = key;
    if (c->waits == COURSE_WAITING) {
        fill_waiting(c);
    }
}

/* -- what the profile tells -- */

static void came(struct profile_watch *watch, struct profile *p, struct profile_process *process,
                 const struct trace_event *e, uint32_t site, const struct block *old)
{
    struct course *c = (struct course *)watch;
    struct course_site *s = touch(c, site);
    struct course_point *point = &c->point[c->interval];
    if (c->map) {
        map_add(c->map, process->number, e->address, e->size);
    }
    if (!s || !p->counting) {
        return;
    }
    uint64_t live = c->begun ? p->live_bytes : p->peak_bytes;
    c->begun = true;
    point->high = live > point->high ? live : point->high;
    if (e->op == TRACE_BEFORE) {
        return;
    }
    uint64_t slack = profile_slack(e->size);
    struct course_bin *bin = &c->bin[c->interval][profile_bin(e->size)];
    s->allocs++;
    s->bytes += e->size;
    s->moved += old && e->address != e->old;
    point->allocs++;
    point->bytes += e->size;
    bin->allocs++;
    bin->bytes += e->size;
    bin->slack += slack;
    count_size(c, e->size);
    touch_thread(c, e)->allocs++;
}

static void went(struct profile_watch *watch, struct profile *p, struct profile_process *process,
                 const struct trace_event *e, const struct block *block, enum profile_end how)
{
    struct course *c = (struct course *)watch;
    struct course_site *s = touch(c, block->site);
    if (c->map) {
        map_remove(c->map, process->number, block->address, block->size);
    }
    if (!s || !p->counting || how == PROFILE_REPLACED) {
        return;
    }
    if (!c->begun) {
        c->begun = true;
        c->point[0].high = p->peak_bytes;
    }
    c->point[c->interval].frees++;
    if (how == PROFILE_FREED) {
        uint64_t at = p->timed ? e->time : p->now, life = at > block->time ? at - block->time : 0;
        s->temporary += life < p->wanted.temporary;
        touch_thread(c, e)->frees++;
        count_life(c, block, life);
    }
}

static void close_interval(struct course *c, struct profile *p)
{
    struct course_point *point = &c->point[c->interval];
    point->live_bytes = p->live_bytes + c->kept_bytes;
    point->live_blocks = p->live_blocks + c->kept_blocks;
    point->high = point->live_bytes > point->high ? point->live_bytes : point->high;
    point->resident = p->resident + c->kept_resident;
    point->mapped = p->mapped + c->kept_mapped;
    for (uint32_t i = 0; i < c->touches; i++) {
        struct course_site *s = &c->site[c->touched[i]];
        if (s->stamp == c->interval + 1) {
            put_site(c, p, c->touched[i]);
            s->stamp = 0; /* of one that went on after its process had left there are two */
        }
    }
    c->touches = 0;
    for (uint32_t i = 0; i < c->threads; i++) {
        const struct course_thread *t = &c->thread[i];
        if (t->stamp == c->interval + 1) {
            tape_put(&c->thread_tape,
                     &(struct tape_row){.number = i, .interval = c->interval, .allocs = t->allocs, .other = t->frees});
        }
    }
    if (c->map) {
        map_tick(c->map, p, c->interval);
    }
    if (c->interval < c->last) {
        c->interval++;
        c->point[c->interval].high = point->live_bytes;
    }
}

static void tick(struct profile_watch *watch, struct profile *p)
{
    struct course *c = (struct course *)watch;
    while (c->interval < c->last && p->now >= c->plan->ends[c->interval]) {
        close_interval(c, p);
    }
    c->watch.next = c->interval < c->last ? c->plan->ends[c->interval] : UINT64_MAX;
}

/* -- a process ends -- */

static bool note_oldest(void *arg, const struct block *block)
{
    struct course *c = arg;
    struct course_site *s = block->site < c->sites_room ? &c->site[block->site] : NULL;
    if (s && (!s->oldest_known || block->time < s->oldest)) {
        s->oldest_known = 1;
        s->oldest = block->time;
    }
    return true;
}

static void leaves(struct profile_watch *watch, struct profile *p, struct profile_process *process)
{
    struct course *c = (struct course *)watch;
    bool stays = c->interval == c->last;
    if (process->live.budget && blocks_each(&process->live, note_oldest, c) < 0) {
        c->error = p->budget.error;
    }
    for (uint32_t n = process->first_site; n; n = p->site[n].next) {
        struct course_site *s = p->site[n].live_blocks ? touch(c, n) : NULL;
        if (s) {
            s->ended = p->now;
        }
        if (s && stays) { /* as it is now, and not as it will be then */
            put_site(c, p, n);
            s->stamp = 0;
        }
    }
    if (stays) {
        c->kept_bytes += process->live_bytes;
        c->kept_blocks += process->live_blocks;
        c->kept_resident += process->resident;
        c->kept_mapped += process->mapped;
        if (c->map) {
            map_look(c->map, p, c->interval);
        }
    } else if (c->map && process->live.budget) {
        map_leave(c->map, process);
    }
}

/* -- */

bool course_begin(struct course *c, const struct plan *plan, struct map *map, const char *folder, bool timed)
{
    *c = (struct course){.plan = plan, .map = map, .last = plan->intervals - 1, .timed = timed, .threads = 1};
    c->watch = (struct profile_watch){
        .next = c->last ? plan->ends[0] : UINT64_MAX, .tick = tick, .came = came, .went = went, .leaves = leaves};
    c->tape.folder = c->thread_tape.folder = folder;
    c->filler_room = FILLERS_LEAST;
    c->thread = calloc(COURSE_THREADS, sizeof *c->thread);
    c->thread_index = calloc(THREAD_INDEX, sizeof *c->thread_index);
    c->small = calloc(COURSE_SMALL, sizeof *c->small);
    c->large = calloc((size_t)2 * COURSE_LARGE, sizeof *c->large);
    c->bin = calloc(plan->intervals, sizeof *c->bin);
    c->life = calloc(plan->intervals, sizeof *c->life);
    c->filler = calloc(c->filler_room, sizeof *c->filler);
    if (!c->thread || !c->thread_index || !c->small || !c->large || !c->bin || !c->life || !c->filler) {
        course_end(c);
        return false;
    }
    return true;
}

int course_finish(struct course *c, struct profile *p)
{
    while (c->interval < c->last) { /* a file that has changed in between */
        close_interval(c, p);
    }
    close_interval(c, p);
    fill_waiting(c);
    if (c->sites_room <= p->sites && !more_sites(c, p->sites)) {
        return ENOMEM;
    }
    int of_tapes = c->tape.error ? c->tape.error : c->thread_tape.error;
    return c->error ? c->error : of_tapes ? of_tapes : c->map ? c->map->error : 0;
}

void course_fillers(const struct course *c, struct course_count *most)
{
    for (size_t i = 0; most && i < c->filler_room; i++) {
        const struct course_count *f = &c->filler[i];
        struct course_count *of = &most[f->key >> 32];
        uint32_t site = (uint32_t)f->key;
        if (f->count > of->count || (f->count == of->count && f->count && site < of->key)) {
            *of = (struct course_count){site, f->count};
        }
    }
}

void course_end(struct course *c)
{
    tape_end(&c->tape);
    tape_end(&c->thread_tape);
    free(c->site);
    free(c->touched);
    free(c->thread);
    free(c->thread_index);
    free(c->small);
    free(c->large);
    free(c->bin);
    free(c->life);
    free(c->filler);
}
