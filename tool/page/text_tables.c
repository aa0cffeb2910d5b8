/* See text.h: over time, by size, by lifetime, by thread. */
#include <stdio.h>
#include <stdlib.h>

#include "page/text.h"

#define TIMES 25
#define BAR   24

/* -- over time -- */

void text_timeline(const struct page *page, const struct text_wanted *wanted)
{
    const struct plan *plan = &page->plan;
    uint32_t lines = plan->intervals < TIMES ? plan->intervals : TIMES;
    lines = wanted->top == 0 ? plan->intervals : lines;
    text_heading("Over time");
    printf("       up to         live         most     resident       allocs        frees\n");
    for (uint32_t line = 0; line < lines; line++) {
        uint32_t from = (uint32_t)((uint64_t)line * plan->intervals / lines),
                 to = (uint32_t)(((uint64_t)line + 1) * plan->intervals / lines);
        uint64_t high = 0, allocs = 0, frees = 0;
        for (uint32_t i = from; i < to; i++) {
            const struct course_point *p = &page->course.point[i];
            high = p->high > high ? p->high : high;
            allocs += p->allocs;
            frees += p->frees;
        }
        const struct course_point *last = &page->course.point[to - 1];
        printf("%12s %12s %12s %12s %12s %12s  ", text_time(page, plan->ends[to - 1]).text,
               words_bytes(last->live_bytes).text, words_bytes(high).text,
               last->resident ? words_bytes(last->resident).text : "-", words_count(allocs).text,
               words_count(frees).text);
        text_bar(high, page->look.profile->peak_bytes, text_width() > 80 + BAR ? BAR : text_width() - 80);
        putchar('\n');
    }
}

/* -- sizes -- */

static int by_count(const void *a, const void *b)
{
    const struct course_count *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count ? 1 : -1) : (x->key > y->key) - (x->key < y->key);
}

static void put_frequent(const struct page *page, size_t top)
{
    const struct course *c = &page->course;
    const struct profile *p = page->look.profile;
    size_t count = 0;
    struct course_count *all = malloc((COURSE_SMALL + 2 * COURSE_LARGE) * sizeof *all);
    for (uint64_t size = 0; all && size < COURSE_SMALL; size++) {
        if (c->small[size]) {
            all[count++] = (struct course_count){size, c->small[size]};
        }
    }
    for (size_t i = 0; all && i < 2 * COURSE_LARGE; i++) {
        if (c->large[i].count) {
            all[count++] = c->large[i];
        }
    }
    if (count > 0) {
        qsort(all, count, sizeof *all, by_count);
        putchar('\n');
        text_heading("The most frequent");
        printf("       bytes       allocs    share  allot's class adds\n");
    }
    for (size_t i = 0; i < count && (top == 0 || i < top); i++) {
        printf("%12s %12s %8s %19s\n", words_count(all[i].key).text, words_count(all[i].count).text,
               words_percent(all[i].count, p->allocs).text, words_bytes(profile_slack(all[i].key)).text);
    }
    free(all);
}

void text_sizes(const struct page *page, const struct text_wanted *wanted)
{
    const struct profile *p = page->look.profile;
    struct course_bin sum[PROFILE_BINS] = {{0}};
    uint64_t most = 0;
    for (uint32_t t = 0; t < page->plan.intervals; t++) {
        for (unsigned b = 0; b < PROFILE_BINS; b++) {
            sum[b].allocs += page->course.bin[t][b].allocs;
            sum[b].bytes += page->course.bin[t][b].bytes;
            sum[b].slack += page->course.bin[t][b].slack;
        }
    }
    for (unsigned b = 0; b < PROFILE_BINS; b++) {
        most = sum[b].allocs > most ? sum[b].allocs : most;
    }
    text_heading("Sizes");
    printf("       up to       allocs    share        bytes  allot's classes add\n");
    for (unsigned b = 0; b < PROFILE_BINS; b++) {
        if (sum[b].allocs == 0) {
            continue;
        }
        printf("%12s %12s %8s %12s %20s  ", b == PROFILE_BINS - 1 ? "more" : words_bytes((uint64_t)1 << b).text,
               words_count(sum[b].allocs).text, words_percent(sum[b].allocs, p->allocs).text,
               words_bytes(sum[b].bytes).text, words_bytes(sum[b].slack).text);
        text_bar(sum[b].allocs, most, BAR);
        putchar('\n');
    }
    put_frequent(page, wanted->top);
}

/* -- lifetimes by size -- */

static struct words life_words(const struct page *page, unsigned bin)
{
    uint64_t bound = (uint64_t)1 << bin;
    return page->plan.timed ? words_ns(bound * 1000) : words_count(bound);
}

static void put_matrix(const struct page *page, uint64_t sum[PROFILE_BINS][PROFILE_BINS], uint64_t most)
{
    unsigned first = PROFILE_BINS, last = 0;
    for (unsigned a = 0; a < PROFILE_BINS; a++) {
        for (unsigned b = 0; b < PROFILE_BINS; b++) {
            first = sum[a][b] && b < first ? b : first;
            last = sum[a][b] && b > last ? b : last;
        }
    }
    for (unsigned a = 0; a < PROFILE_BINS; a++) {
        uint64_t row = 0;
        for (unsigned b = 0; b < PROFILE_BINS; b++) {
            row += sum[a][b];
        }
        if (row == 0) {
            continue;
        }
        printf("%12s  ", a == PROFILE_BINS - 1 ? "more" : words_bytes((uint64_t)1 << a).text);
        for (unsigned b = first; b <= last; b++) {
            unsigned shade = sum[a][b] ? 2 + (unsigned)((double)sum[a][b] / (double)most * 253) : 0;
            text_shade(shade);
            text_shade(shade);
        }
        printf("  %s\n", words_count(row).text);
    }
    printf("%14s%s", "lived up to ", life_words(page, first).text);
    printf(" ... %s, each column twice the one before\n", life_words(page, last).text);
}

static void put_cells(const struct page *page, uint64_t sum[PROFILE_BINS][PROFILE_BINS], size_t top)
{
    struct course_count *cell = malloc(COURSE_CELLS * sizeof *cell), *filler = calloc(COURSE_CELLS, sizeof *filler);
    size_t count = 0;
    for (unsigned i = 0; cell && i < COURSE_CELLS; i++) {
        if (sum[i / PROFILE_BINS][i % PROFILE_BINS]) {
            cell[count++] = (struct course_count){i, sum[i / PROFILE_BINS][i % PROFILE_BINS]};
        }
    }
    course_fillers(&page->course, filler);
    if (count > 0 && filler) {
        qsort(cell, count, sizeof *cell, by_count);
        putchar('\n');
        text_heading("Most that died");
        printf("      blocks   size up to  lived up to  most from\n");
    }
    for (size_t i = 0; filler && i < count && (top == 0 || i < top); i++) {
        const struct course_count *f = &filler[cell[i].key];
        printf("%12s %12s %12s  ", words_count(cell[i].count).text,
               words_bytes((uint64_t)1 << cell[i].key / PROFILE_BINS).text,
               life_words(page, cell[i].key % PROFILE_BINS).text);
        if (f->count) {
            printf("%s ", words_percent(f->count, cell[i].count).text);
            text_frame(page, page->site[page->site_of[f->key]].place, text_width() - 50);
        }
        putchar('\n');
    }
    free(cell);
    free(filler);
}

void text_lifetimes(const struct page *page, const struct text_wanted *wanted)
{
    static uint64_t sum[PROFILE_BINS][PROFILE_BINS];
    uint64_t most = 0;
    for (unsigned a = 0; a < PROFILE_BINS; a++) {
        for (unsigned b = 0; b < PROFILE_BINS; b++) {
            sum[a][b] = 0;
            for (uint32_t t = 0; t < page->plan.intervals; t++) {
                sum[a][b] += page->course.life[t][a][b].blocks;
            }
            most = sum[a][b] > most ? sum[a][b] : most;
        }
    }
    text_heading("Lifetimes by size, of blocks that died");
    if (most == 0) {
        printf("none did\n");
        return;
    }
    put_matrix(page, sum, most);
    put_cells(page, sum, wanted->top);
}

/* -- threads -- */

void text_threads(const struct page *page, const struct text_wanted *wanted)
{
    uint64_t(*value)[PLAN_INTERVALS] = calloc((size_t)page->threads + 1, sizeof *value);
    for (uint32_t i = 0; value && i < page->thread_entries; i++) {
        value[page->thread_entry[i].thread][page->thread_entry[i].interval] = page->thread_entry[i].allocs;
    }
    text_heading("Threads");
    printf("process   thread       allocs        bytes        freed  of others'  allocations over time\n");
    for (uint32_t i = 0; value && i < page->threads && (wanted->top == 0 || i < wanted->top); i++) {
        const struct page_thread *t = &page->thread[i];
        printf("%7s %8s %12s %12s %12s %11s  ", t->process ? words_count(t->process).text : "-",
               t->number ? words_count(t->number).text : "others", words_count(t->allocs).text,
               words_bytes(t->bytes).text, words_count(t->frees).text, words_percent(t->freed_others, t->frees).text);
        text_sparks(value[i], page->plan.intervals, 24);
        printf("  ");
        words_put(stdout, t->name, 30);
        putchar('\n');
    }
    if (wanted->top && page->threads > wanted->top) {
        printf("  and %zu more\n", page->threads - wanted->top);
    }
    free(value);
}
