/* See page.h: what each site and thread did over time, from the tapes. */
#include <stdlib.h>
#include <string.h>

#include "page/page.h"

#define NONE         UINT32_MAX
#define FINE         2048 /* sites that keep all intervals, however many there are */
#define THREADS_MOST 512  /* that stand for themselves */

struct held {
    uint64_t bytes, blocks;
};

struct filling {
    struct page *page;
    uint32_t together; /* intervals that are one for sites that matter less */
    uint32_t *last;    /* of each site of the page: interval and 1 of its last entry */
    uint32_t *at;      /* where its next entry goes; or how many it has */
    struct held *held; /* of each site of the profile */
    struct held *of;   /* of each site of the page */
    bool count_only;
};

/* The interval that an entry stands in. */
static uint32_t interval_of(const struct filling *f, uint32_t site, uint32_t interval)
{
    if (site < FINE || f->together == 1) {
        return interval;
    }
    uint32_t end = interval - interval % f->together + f->together - 1, last = f->page->plan.intervals - 1;
    return end < last ? end : last;
}

static void take(void *arg, const struct tape_row *row)
{
    struct filling *f = arg;
    struct page *page = f->page;
    uint32_t site = row->number <= page->look.profile->sites ? page->site_of[row->number] : NONE;
    if (site == NONE) {
        return;
    }
    uint32_t interval = interval_of(f, site, row->interval);
    bool is_new = f->last[site] != interval + 1;
    f->last[site] = interval + 1;
    f->at[site] += is_new;
    if (f->count_only) {
        return;
    }
    struct page_entry *e = &page->entry[f->at[site] - 1];
    struct held *before = &f->held[row->number], *of = &f->of[site];
    of->bytes += row->live_bytes - before->bytes;
    of->blocks += row->live_blocks - before->blocks;
    *before = (struct held){row->live_bytes, row->live_blocks};
    if (is_new) {
        *e = (struct page_entry){.interval = interval};
    }
    e->allocs += row->allocs;
    e->temporary += row->other;
    e->bytes += row->bytes;
    e->live_bytes = of->bytes;
    e->live_blocks = of->blocks;
}

static bool pass(struct filling *f, bool count_only)
{
    f->count_only = count_only;
    memset(f->last, 0, f->page->sites * sizeof *f->last);
    return tape_each(&f->page->course.tape, take, f) == 0;
}

static bool fill(struct filling *f)
{
    struct page *page = f->page;
    uint64_t all;
    for (f->together = 1;; f->together *= 2) {
        memset(f->at, 0, page->sites * sizeof *f->at);
        if (!pass(f, true)) {
            return false;
        }
        all = 0;
        for (uint32_t i = 0; i < page->sites; i++) {
            page->start[i] = (uint32_t)all;
            all += f->at[i];
        }
        page->start[page->sites] = (uint32_t)all;
        if (all <= PAGE_ENTRIES || f->together >= PLAN_INTERVALS) {
            break;
        }
    }
    page->entry = malloc((all + 1) * sizeof *page->entry);
    memcpy(f->at, page->start, page->sites * sizeof *f->at);
    return page->entry && pass(f, false);
}

static bool site_series(struct page *page)
{
    const struct profile *p = page->look.profile;
    struct filling f = {.page = page,
                        .last = malloc(((size_t)page->sites + 1) * sizeof *f.last),
                        .at = malloc(((size_t)page->sites + 1) * sizeof *f.at),
                        .held = calloc((size_t)p->sites + 1, sizeof *f.held),
                        .of = calloc((size_t)page->sites + 1, sizeof *f.of)};
    page->start = calloc((size_t)page->sites + 1, sizeof *page->start);
    bool good = f.last && f.at && f.held && f.of && page->start && fill(&f);
    free(f.last);
    free(f.at);
    free(f.held);
    free(f.of);
    return good;
}

/* -- threads -- */

static int by_use(const void *a, const void *b)
{
    const struct page_thread *x = a, *y = b;
    uint64_t of_x = x->allocs + x->frees, of_y = y->allocs + y->frees;
    if (of_x != of_y) {
        return of_x < of_y ? 1 : -1;
    }
    return x->process != y->process ? (x->process < y->process ? -1 : 1)
                                    : (x->number > y->number) - (x->number < y->number);
}

static int by_number(const void *a, const void *b)
{
    const struct page_thread *x = a, *y = b;
    return x->process != y->process ? (x->process < y->process ? -1 : 1)
                                    : (x->number > y->number) - (x->number < y->number);
}

/* Those that are too many are the last one, of process and number 0. */
static bool gather_threads(struct page *page)
{
    const struct profile *p = page->look.profile;
    uint64_t all = 0;
    for (uint32_t i = 0; i < p->processes; i++) {
        all += p->process[i]->threads;
    }
    page->thread = calloc(all + 1, sizeof *page->thread);
    uint32_t n = 0;
    for (uint32_t i = 0; page->thread && i < p->processes; i++) {
        for (uint32_t k = 0; k < p->process[i]->threads; k++) {
            const struct profile_thread *t = &p->process[i]->thread[k];
            if (t->allocs || t->frees) {
                page->thread[n++] = (struct page_thread){
                    p->process[i]->number, k, t->name, t->allocs, t->bytes, t->frees, t->freed_others};
            }
        }
    }
    if (n > THREADS_MOST) {
        qsort(page->thread, n, sizeof *page->thread, by_use);
        struct page_thread others = {.name = ""};
        for (uint32_t i = THREADS_MOST; i < n; i++) {
            others.allocs += page->thread[i].allocs;
            others.bytes += page->thread[i].bytes;
            others.frees += page->thread[i].frees;
            others.freed_others += page->thread[i].freed_others;
        }
        qsort(page->thread, THREADS_MOST, sizeof *page->thread, by_number);
        page->thread[THREADS_MOST] = others;
        n = THREADS_MOST + 1;
    }
    page->threads = n;
    return page->thread != NULL;
}

struct thread_filling {
    struct page *page;
    uint32_t *of;    /* of each thread of the course: the page's, or NONE: the others */
    uint32_t *last;  /* of each thread of the page: interval and 1 */
    uint32_t *entry; /* and its entry */
    uint64_t rows;
};

static void count_row(void *arg, const struct tape_row *row)
{
    (void)row;
    (*(uint64_t *)arg)++;
}

static void take_thread(void *arg, const struct tape_row *row)
{
    struct thread_filling *f = arg;
    struct page *page = f->page;
    uint32_t thread = f->of[row->number];
    if (thread == NONE) {
        return;
    }
    if (f->last[thread] != row->interval + 1) {
        f->last[thread] = row->interval + 1;
        f->entry[thread] = page->thread_entries++;
        page->thread_entry[f->entry[thread]] = (struct page_thread_entry){thread, row->interval, 0, 0};
    }
    struct page_thread_entry *e = &page->thread_entry[f->entry[thread]];
    e->allocs += row->allocs;
    e->frees += row->other;
}

static uint32_t find_thread(const struct page *page, const struct course_thread *t)
{
    struct page_thread wanted = {.process = t->process, .number = t->thread};
    uint32_t own = page->threads > THREADS_MOST ? THREADS_MOST : page->threads;
    const struct page_thread *found = bsearch(&wanted, page->thread, own, sizeof *page->thread, by_number);
    return found ? (uint32_t)(found - page->thread) : page->threads > THREADS_MOST ? THREADS_MOST : NONE;
}

static bool thread_series(struct page *page)
{
    struct course *c = &page->course;
    struct thread_filling f = {.page = page,
                               .of = malloc(COURSE_THREADS * sizeof *f.of),
                               .last = calloc(THREADS_MOST + 1, sizeof *f.last),
                               .entry = calloc(THREADS_MOST + 1, sizeof *f.entry)};
    bool good = gather_threads(page) && f.of && f.last && f.entry;
    if (good) {
        qsort(page->thread, page->threads > THREADS_MOST ? THREADS_MOST : page->threads, sizeof *page->thread,
              by_number);
        for (uint32_t i = 0; i < c->threads; i++) {
            f.of[i] = i ? find_thread(page, &c->thread[i]) : page->threads > THREADS_MOST ? THREADS_MOST : NONE;
        }
        good = tape_each(&c->thread_tape, count_row, &f.rows) == 0 &&
               (page->thread_entry = malloc((f.rows + 1) * sizeof *page->thread_entry)) &&
               tape_each(&c->thread_tape, take_thread, &f) == 0;
    }
    free(f.of);
    free(f.last);
    free(f.entry);
    return good;
}

bool page_series(struct page *page) { return site_series(page) && thread_series(page); }
