/* See curves.h. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "pages/curves.h"
#include "pages/opt.h"

#define PRESENT ((uint64_t)1 << 63)
#define STEP    ((size_t)1 << 16) /* references between two times that it is said */

const char *curves_policy_name(unsigned policy) { return policy == CURVES_OPT ? "opt" : allot_evict_name(policy); }

unsigned curves_policy_named(const char *name)
{
    if (strcmp(name, "opt") == 0 || strcmp(name, "belady") == 0) {
        return CURVES_OPT;
    }
    unsigned policy = allot_evict_named(name);
    return policy < ALLOT_EVICT_POLICIES ? policy : CURVES_POLICIES;
}

struct work {
    const struct refs *refs;
    const struct curves_wanted *wanted;
    struct vector next; /* of opt.h */
    struct curves_cell *cell;
    uint32_t *order; /* of cells */
    atomic_uint taken;
    atomic_ullong done; /* references, in steps */
    atomic_bool failed;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    unsigned running; /* the lock's */
};

/* -- one cell -- */

struct replay {
    const struct refs *refs;
    const struct translate_table *table;
    struct tlb tlb;
    struct curves_cell count;
};

static bool replay_begin(struct replay *r, const struct work *work)
{
    *r = (struct replay){.refs = work->refs, .table = work->wanted->table};
    return !r->table || tlb_begin(&r->tlb, &r->table->shape);
}

static void replay_end(struct replay *r)
{
    if (r->table) {
        tlb_end(&r->tlb);
    }
}

/* A page is used. Of one that is there no more than that matters; `first`: it never was. */
static inline void translate(struct replay *r, uint32_t page, bool there, bool first)
{
    if (__builtin_expect(!r->table, 1)) {
        return;
    }
    struct translate_counts *c = &r->count.translated;
    bool hit = tlb_use(&r->tlb, page, r->refs->ids.number[page]);
    c->hits += hit;
    c->walks += !hit;
    c->reads += hit ? 0 : first ? r->table->first[page] : r->table->shape.levels;
    c->faults += !there;
}

static inline void let_go(struct replay *r, uint32_t page)
{
    if (__builtin_expect(r->table != NULL, 0)) {
        tlb_drop(&r->tlb, page, r->refs->ids.number[page]);
    }
}

/* One step further: false: another thread has failed, there is no use in going on. */
static bool step(struct work *work, size_t at)
{
    if (at % STEP == 0) {
        atomic_fetch_add_explicit(&work->done, STEP, memory_order_relaxed);
        return !atomic_load_explicit(&work->failed, memory_order_relaxed);
    }
    return true;
}

/* entry: of each page its frame, with PRESENT; else its ghost; page: of each frame. */
static void replay_policy(struct work *work, struct replay *r, struct allot_evict *e, uint32_t frames, uint64_t *entry,
                          uint32_t *page)
{
    const uint32_t *kept = r->refs->kept.at;
    size_t count = r->refs->kept.count;
    uint32_t newest = 0; /* pages that came so far: their numbers are below */
    for (size_t i = 0; i < count && step(work, i); i++) {
        uint32_t p = kept[i];
        uint64_t found = entry[p];
        translate(r, p, found & PRESENT, p == newest);
        newest += p == newest;
        if (found & PRESENT) {
            allot_evict_hit(e, found & ~PRESENT);
            continue;
        }
        size_t frame = r->count.misses++;
        if (frame >= frames) {
            uint64_t ghost;
            frame = allot_evict_victim(e, found, &ghost, NULL, NULL);
            entry[page[frame]] = ghost;
            let_go(r, page[frame]);
        }
        page[frame] = p;
        allot_evict_enter(e, frame, found, 0);
        entry[p] = PRESENT | frame;
    }
}

static bool run_policy(struct work *work, struct replay *r, unsigned policy, uint32_t frames)
{
    struct allot_evict e;
    const struct allot_evict_opts *opts = policy == ALLOT_GRADUAL ? &work->wanted->gradual : NULL;
    uint64_t *entry = calloc(r->refs->ids.count, sizeof *entry);
    uint32_t *page = malloc(frames * sizeof *page);
    bool made = entry && page && allot_evict_init(&e, policy, frames, opts) == 0;
    if (made) {
        replay_policy(work, r, &e, frames, entry, page);
        allot_evict_done(&e);
    }
    free(entry);
    free(page);
    return made;
}

static void replay_opt(struct work *work, struct replay *r, struct opt *opt, uint32_t frames, uint8_t *there)
{
    const uint32_t *kept = r->refs->kept.at, *next = work->next.at;
    size_t count = r->refs->kept.count;
    uint32_t present = 0, newest = 0;
    for (size_t i = 0; i < count && step(work, i); i++) {
        uint32_t p = kept[i];
        translate(r, p, there[p], p == newest);
        newest += p == newest;
        if (there[p]) {
            opt_take(opt, (uint32_t)i);
        } else {
            r->count.misses++;
            if (present == frames) {
                uint32_t last = opt_last(opt), victim = last < count ? kept[last] : (uint32_t)(last - count);
                opt_take(opt, last);
                there[victim] = false;
                let_go(r, victim);
                present--;
            }
            there[p] = true;
            present++;
        }
        opt_put(opt, next[i]);
    }
}

static bool run_opt(struct work *work, struct replay *r, uint32_t frames)
{
    struct opt opt;
    uint8_t *there = calloc(r->refs->ids.count, 1);
    bool made = there && opt_begin(&opt, (uint64_t)r->refs->kept.count + r->refs->ids.count);
    if (made) {
        replay_opt(work, r, &opt, frames, there);
        opt_end(&opt);
    }
    free(there);
    return made;
}

static bool run_cell(struct work *work, uint32_t cell)
{
    const struct curves_wanted *w = work->wanted;
    unsigned policy = w->policy[cell / w->sizes];
    uint32_t pages = work->refs->ids.count, frames = w->frames[cell % w->sizes];
    struct replay r;
    if (!replay_begin(&r, work)) {
        return false;
    }
    frames = frames < pages ? frames : pages; /* more are never taken */
    bool made = policy == CURVES_OPT ? run_opt(work, &r, frames) : run_policy(work, &r, policy, frames);
    replay_end(&r);
    work->cell[cell] = r.count;
    return made;
}

/* -- all of them -- */

static void *run_cells(void *arg)
{
    struct work *work = arg;
    unsigned cells = work->wanted->policies * work->wanted->sizes, next;
    while ((next = atomic_fetch_add(&work->taken, 1)) < cells && !atomic_load(&work->failed)) {
        if (!run_cell(work, work->order[next])) {
            atomic_store(&work->failed, true);
        }
    }
    pthread_mutex_lock(&work->lock);
    work->running--;
    pthread_cond_signal(&work->ended);
    pthread_mutex_unlock(&work->lock);
    return NULL;
}

/* Until all threads have ended; ten times a second that is said. */
static void wait_for_all(struct work *work, uint64_t whole)
{
    pthread_mutex_lock(&work->lock);
    while (work->running > 0) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 100000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&work->ended, &work->lock, &until);
        if (work->wanted->progress) {
            work->wanted->progress(atomic_load(&work->done), whole);
        }
    }
    pthread_mutex_unlock(&work->lock);
}

static unsigned cores(void)
{
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count > 0 ? (unsigned)count : 1;
}

static void run_all(struct work *work)
{
    const struct curves_wanted *w = work->wanted;
    unsigned cells = w->policies * w->sizes, threads = w->threads ? w->threads : cores(), begun = 0;
    pthread_t thread[256];
    threads = threads < cells ? threads : cells;
    threads = threads < 256 ? threads : 256;
    work->running = threads;
    while (begun < threads && pthread_create(&thread[begun], NULL, run_cells, work) == 0) {
        begun++;
    }
    if (begun < threads) {
        pthread_mutex_lock(&work->lock);
        work->running -= threads - begun;
        pthread_mutex_unlock(&work->lock);
    }
    if (begun == 0) { /* then here */
        work->running = 1;
        run_cells(work);
    }
    wait_for_all(work, (uint64_t)cells * work->refs->kept.count);
    while (begun > 0) {
        pthread_join(thread[--begun], NULL);
    }
}

struct curves_cell *curves_make(const struct refs *refs, const struct curves_wanted *wanted)
{
    unsigned cells = wanted->policies * wanted->sizes;
    struct work work = {.refs = refs,
                        .wanted = wanted,
                        .lock = PTHREAD_MUTEX_INITIALIZER,
                        .ended = PTHREAD_COND_INITIALIZER,
                        .cell = calloc(cells, sizeof *work.cell),
                        .order = calloc(cells, sizeof *work.order)};
    bool optimum = false;
    for (unsigned p = 0; p < wanted->policies; p++) {
        optimum |= wanted->policy[p] == CURVES_OPT;
    }
    bool made = work.cell && work.order && (!optimum || opt_next(refs, &work.next));
    if (made) {
        for (unsigned s = 0, at = 0; s < wanted->sizes; s++) {
            for (unsigned p = 0; p < wanted->policies; p++) {
                work.order[at++] = p * wanted->sizes + (wanted->sizes - 1 - s);
            }
        }
        run_all(&work);
        made = !atomic_load(&work.failed);
    }
    vector_end(&work.next);
    free(work.order);
    if (!made) {
        free(work.cell);
        return NULL;
    }
    return work.cell;
}
