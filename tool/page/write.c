/* See write.h. */
#include <stdlib.h>
#include <string.h>

#include "leaks_print.h"
#include "page/replayed.h"
#include "page/write.h"
#include "profile/type.h"
#include "snapshot/ways.h"
#include "verdict.h"
#include "verdict/pinned.h"

#define PROCESSES_MOST 1000
#define SIZES_MOST     512

/* -- about -- */

static int by_peak(const void *a, const void *b)
{
    const struct profile_process *x = *(const struct profile_process *const *)a,
                                 *y = *(const struct profile_process *const *)b;
    return x->peak_bytes != y->peak_bytes ? (x->peak_bytes < y->peak_bytes ? 1 : -1)
                                          : (x->number > y->number) - (x->number < y->number);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = (*(const struct profile_process *const *)a)->number,
             y = (*(const struct profile_process *const *)b)->number;
    return (x > y) - (x < y);
}

/* Where they are too many those with the highest peaks. */
static void put_processes(struct json *j, const struct profile *p)
{
    struct profile_process **process = malloc(((size_t)p->processes + 1) * sizeof *process);
    uint32_t count = p->processes < PROCESSES_MOST ? p->processes : PROCESSES_MOST;
    json_array(j, "processes");
    if (process && count > 0) {
        memcpy(process, p->process, p->processes * sizeof *process);
        qsort(process, p->processes, sizeof *process, by_peak);
        qsort(process, count, sizeof *process, by_number);
    }
    for (uint32_t i = 0; process && i < count; i++) {
        json_object(j, NULL);
        json_number(j, "number", process[i]->number);
        json_number(j, "parent", process[i]->parent);
        json_text(j, "program", process[i]->program ? process[i]->program : "");
        json_number(j, "began", process[i]->began);
        json_number(j, "ended", process[i]->ended);
        json_flag(j, "killed", process[i]->killed);
        json_end(j);
    }
    json_end(j);
    free(process);
}

static void put_peaks(struct json *j, const struct profile *p)
{
    json_object(j, "peak");
    json_number(j, "bytes", p->peak_bytes);
    json_number(j, "blocks", p->peak_blocks);
    json_number(j, "time", p->peak_time);
    json_end(j);
    if (p->resident_peak == 0) {
        json_text(j, "resident_peak", NULL);
        return;
    }
    json_object(j, "resident_peak");
    json_number(j, "bytes", p->resident_peak);
    json_number(j, "time", p->resident_peak_time);
    json_end(j);
}

void write_about(struct json *j, const char *key, const struct look *look)
{
    const struct trace_about *about = trace_about(look->trace);
    const struct profile *p = look->profile;
    json_object(j, key);
    json_text(j, "command", about->command ? about->command : "");
    json_text(j, "file", look->path);
    json_text(j, "format", about->format);
    json_signed(j, "recorded", about->began);
    json_flag(j, "timed", p->timed);
    json_flag(j, "has_stacks", about->has_stacks);
    json_number(j, "begin", p->begin);
    json_number(j, "end", p->end);
    json_number(j, "events", p->events);
    json_number(j, "lost", about->lost > p->lost ? about->lost : p->lost);
    json_flag(j, "truncated", about->truncated);
    put_processes(j, p);
    json_array(j, "marks");
    for (uint32_t i = 0; i < p->marks; i++) {
        json_object(j, NULL);
        json_number(j, "time", p->mark[i].time);
        json_text(j, "text", p->mark[i].text);
        json_end(j);
    }
    json_end(j);
    put_peaks(j, p);
    json_number(j, "collector_cpu_ns", about->collector_cpu_ns);
    json_number(j, "waited_ns", about->waited_ns);
    json_text(j, "allot", ALLOT_VERSION);
    json_end(j);
}

static void put_link(struct json *j, const struct page *page, const struct verdict_link *link)
{
    if (!link->view) {
        json_text(j, "link", NULL);
        return;
    }
    json_object(j, "link");
    json_text(j, "view", link->view);
    if (link->mode) {
        json_text(j, "mode", link->mode);
    }
    if (link->site && link->site <= page->look.profile->sites && page->site_of[link->site] != UINT32_MAX) {
        json_number(j, "site", page->site_of[link->site]);
    }
    if (link->from || link->to) {
        json_number(j, "from", link->from);
        json_number(j, "to", link->to);
    }
    json_end(j);
}

static void put_verdict(struct json *j, const struct page *page)
{
    struct verdict v;
    struct pinned pinned;
    struct verdict_beside beside = {.pinned = pinned_of(&page->look, page->map, &pinned) ? &pinned : NULL,
                                    .comparison = page->replayed ? page->replayed->comparison : NULL};
    verdict_with(&page->look, &beside, &v);
    json_array(j, "verdict");
    for (size_t i = 0; i < v.count; i++) {
        json_object(j, NULL);
        json_text(j, "about", v.sentence[i].about);
        json_text(j, "tone", verdict_tones[v.sentence[i].tone]);
        json_text(j, "text", v.sentence[i].text);
        put_link(j, page, &v.sentence[i].link);
        json_end(j);
    }
    json_end(j);
}

/* -- tables -- */

static void put_tables(struct json *j, const struct catalogue *t)
{
    json_array(j, "strings");
    for (uint32_t i = 0; i < t->texts; i++) {
        json_text(j, NULL, t->text[i]);
    }
    json_end(j);
    json_object(j, "frames");
    COLUMN(j, "function", t->frames, t->frame[i].function);
    COLUMN(j, "file", t->frames, t->frame[i].file);
    COLUMN(j, "line", t->frames, t->frame[i].line);
    COLUMN(j, "module", t->frames, t->frame[i].module);
    json_end(j);
    json_object(j, "stacks");
    COLUMN(j, "parent", t->nodes, t->node[i].parent);
    COLUMN(j, "frame", t->nodes, t->node[i].frame);
    json_end(j);
}

/* -- over time -- */

static void put_timeline(struct json *j, const struct page *page)
{
    const struct course_point *point = page->course.point;
    uint32_t n = page->plan.intervals;
    json_object(j, "timeline");
    COLUMN(j, "live", n, point[i].live_bytes);
    COLUMN(j, "high", n, point[i].high);
    COLUMN(j, "blocks", n, point[i].live_blocks);
    COLUMN(j, "resident", n, point[i].resident);
    COLUMN(j, "mapped", n, point[i].mapped);
    COLUMN(j, "allocs", n, point[i].allocs);
    COLUMN(j, "bytes", n, point[i].bytes);
    COLUMN(j, "frees", n, point[i].frees);
    json_end(j);
}

/* -- sizes and lifetimes -- */

static int by_count(const void *a, const void *b)
{
    const struct course_count *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count ? 1 : -1) : (x->key > y->key) - (x->key < y->key);
}

static int by_key(const void *a, const void *b)
{
    uint64_t x = ((const struct course_count *)a)->key, y = ((const struct course_count *)b)->key;
    return (x > y) - (x < y);
}

static void put_exact(struct json *j, const struct course *c)
{
    struct course_count *all = malloc((COURSE_SMALL + 2 * COURSE_LARGE) * sizeof *all);
    size_t count = 0;
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
        count = count < SIZES_MOST ? count : SIZES_MOST;
        qsort(all, count, sizeof *all, by_key);
    }
    json_object(j, "exact");
    COLUMN(j, "size", count, all[i].key);
    COLUMN(j, "allocs", count, all[i].count);
    json_end(j);
    free(all);
}

/* Of all cells of all intervals those that have something. */
#define CELLS(json, key, page, has, value)                      \
    do {                                                        \
        json_array(json, key);                                  \
        for (uint32_t t = 0; t < (page)->plan.intervals; t++) { \
            for (unsigned a = 0; a < PROFILE_BINS; a++) {       \
                for (unsigned b = 0; b < PROFILE_BINS; b++) {   \
                    if (has) {                                  \
                        json_number(json, NULL, value);         \
                    }                                           \
                }                                               \
            }                                                   \
        }                                                       \
        json_end(json);                                         \
    } while (0)

static void put_sizes(struct json *j, const struct page *page)
{
    const struct course *c = &page->course;
    json_object(j, "sizes");
    put_exact(j, c);
    json_object(j, "bins");
    CELLS(j, "interval", page, b == 0 && c->bin[t][a].allocs, t);
    CELLS(j, "bin", page, b == 0 && c->bin[t][a].allocs, a);
    CELLS(j, "allocs", page, b == 0 && c->bin[t][a].allocs, c->bin[t][a].allocs);
    CELLS(j, "bytes", page, b == 0 && c->bin[t][a].allocs, c->bin[t][a].bytes);
    CELLS(j, "slack", page, b == 0 && c->bin[t][a].allocs, c->bin[t][a].slack);
    json_end(j);
    json_end(j);
}

static void put_fillers(struct json *j, const struct page *page)
{
    const struct course *c = &page->course;
    struct course_count *most = calloc(COURSE_CELLS, sizeof *most); /* key: site */
    course_fillers(c, most);
    json_array(j, "site_top");
    for (unsigned i = 0; most && i < COURSE_CELLS; i++) {
        if (most[i].count) {
            json_object(j, NULL);
            json_number(j, "size", i / PROFILE_BINS);
            json_number(j, "life", i % PROFILE_BINS);
            json_number(j, "site", page->site_of[most[i].key]);
            json_number(j, "blocks", most[i].count);
            json_end(j);
        }
    }
    json_end(j);
    free(most);
}

static void put_lifetimes(struct json *j, const struct page *page)
{
    const struct course *c = &page->course;
    json_object(j, "lifetimes");
    CELLS(j, "interval", page, c->life[t][a][b].blocks, t);
    CELLS(j, "size", page, c->life[t][a][b].blocks, a);
    CELLS(j, "life", page, c->life[t][a][b].blocks, b);
    CELLS(j, "blocks", page, c->life[t][a][b].blocks, c->life[t][a][b].blocks);
    CELLS(j, "bytes", page, c->life[t][a][b].blocks, c->life[t][a][b].bytes);
    put_fillers(j, page);
    json_end(j);
}

/* -- threads and leaks -- */

static void put_threads(struct json *j, const struct page *page)
{
    const struct page_thread *t = page->thread;
    const struct page_thread_entry *e = page->thread_entry;
    uint32_t n = page->threads;
    json_object(j, "threads");
    COLUMN(j, "process", n, t[i].process);
    COLUMN(j, "number", n, t[i].number);
    json_array(j, "name");
    for (uint32_t i = 0; i < n; i++) {
        json_text(j, NULL, t[i].name);
    }
    json_end(j);
    COLUMN(j, "allocs", n, t[i].allocs);
    COLUMN(j, "bytes", n, t[i].bytes);
    COLUMN(j, "frees", n, t[i].frees);
    COLUMN(j, "freed_others", n, t[i].freed_others);
    json_object(j, "series");
    COLUMN(j, "thread", page->thread_entries, e[i].thread);
    COLUMN(j, "interval", page->thread_entries, e[i].interval);
    COLUMN(j, "allocs", page->thread_entries, e[i].allocs);
    COLUMN(j, "frees", page->thread_entries, e[i].frees);
    json_end(j);
    json_end(j);
}

/* A line of steps as its steps. */
static void put_way(struct json *j, const char *way)
{
    static const char arrow[] = " -> ";
    for (const char *end; way; way = end ? end + sizeof arrow - 1 : NULL) {
        char step[1024];
        end = strstr(way, arrow);
        snprintf(step, sizeof step, "%.*s", end ? (int)(end - way) : (int)strlen(way), way);
        json_text(j, NULL, step);
    }
}

static void put_leak(struct json *j, const struct page *page, const struct page_leak *leak)
{
    static const char *const verdicts[] = {
        [GRAPH_UNKNOWN] = "unknown",   [GRAPH_REACHABLE] = "reachable", [GRAPH_THREAD_ONLY] = "thread",
        [GRAPH_POSSIBLE] = "possible", [GRAPH_INDIRECT] = "indirect",   [GRAPH_DEFINITE] = "definite"};
    static struct symbol_frame frame[NAMES_DEEPEST];
    char type[512], suppression[640];
    struct leak as = {.verdict = leak->verdict, .frame = frame};
    if (leak->from) {
        as = *leak->from;
    } else {
        as.frames = names_stack(page->look.names, page->site[leak->site].stack, frame, NAMES_DEEPEST);
        as.type = leak->way && leak->way->type                         ? leak->way->type
                  : type_of_stack(frame, as.frames, type, sizeof type) ? type
                                                                       : NULL;
        as.path = leak->way ? leak->way->way : NULL;
    }
    json_object(j, NULL);
    json_text(j, "verdict", verdicts[leak->verdict]);
    json_signed(j, "site", leak->site == PAGE_NOBODY ? -1 : (int64_t)leak->site);
    json_number(j, "blocks", leak->blocks);
    json_number(j, "bytes", leak->bytes);
    json_number(j, "retained", leak->retained);
    json_array(j, "path");
    put_way(j, as.path);
    json_end(j);
    json_text(j, "type", as.type ? as.type : "");
    json_text(j, "suppression", leaks_suppression(&as, suppression, sizeof suppression) ? suppression : "");
    json_end(j);
}

static void put_leaks(struct json *j, const struct page *page)
{
    json_array(j, "leaks");
    for (uint32_t i = 0; i < page->leaks; i++) {
        put_leak(j, page, &page->leak[i]);
    }
    json_end(j);
}

/* -- */

void page_json(FILE *to, const struct page *page, unsigned parts)
{
    struct json json, *j = &json;
    json_begin(j, to);
    json_object(j, NULL);
    json_number(j, "version", 1);
    write_about(j, "about", &page->look);
    put_verdict(j, page);
    COLUMN(j, "times", page->plan.intervals, page->plan.ends[i]);
    if (parts & PART_TABLES) {
        put_tables(j, &page->catalogue);
        write_sites(j, page);
    }
    if (parts & PART_TIMELINE) {
        put_timeline(j, page);
    }
    if (parts & PART_SERIES) {
        write_series(j, page);
    }
    if (parts & PART_SIZES) {
        put_sizes(j, page);
    }
    if (parts & PART_LIFETIMES) {
        put_lifetimes(j, page);
    }
    if (parts & PART_THREADS && page->threads > 0) {
        put_threads(j, page);
    }
    if (parts & PART_MAP && page->map) {
        write_map(j, page);
    }
    if (parts & PART_LEAKS && page->leaks > 0) {
        put_leaks(j, page);
    }
    if (parts & PART_STRATEGIES && page->replayed) {
        write_strategies(j, page);
        if (page->replayed->advice) {
            write_advice(j, page);
        }
    }
    if (parts & PART_DIFF && page->diff) {
        write_diff(j, page);
    }
    json_end(j);
    putc('\n', to);
}
