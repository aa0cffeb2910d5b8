/* fuzz/page_fuzz.c - any events in any order, also such as no process could have, over a page's intervals and map: sums over intervals are the
 * profile's figures, and nothing falls out of its table. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/bytes.h"
#include "page/course.h"

/* Few pages, which blocks share; rarely, as maps of all addresses take their time, one as large as can be. */
static uint64_t some(struct trace *t)
{
    uint64_t value = next(t, 1);
    return value < 250 ? value * 700 : value < 255 ? next(t, 3) * 64 : next(t, 2) ? next(t, 2) : UINT64_MAX;
}

int trace_next(struct trace *t, struct trace_event *e, struct trace_error *error)
{
    (void)error;
    if (t->size == 0) {
        return 0;
    }
    uint64_t op = next(t, 1);
    *e = (struct trace_event){.op = (enum trace_op)(op % 14), .process = (uint32_t)(op >> 4 & 3), .text = "x"};
    e->thread = (uint32_t)next(t, 1) * 50;
    e->stack = (uint32_t)next(t, 1) & 15;
    e->time = next(t, 1) * 100000;
    e->address = some(t);
    e->old = some(t);
    e->size = some(t);
    return 1;
}

const struct trace_about *trace_about(const struct trace *t) { return &t->about; }
const struct trace_total *trace_totals(const struct trace *t, uint32_t *count) { return (void)t, *count = 0, NULL; }

/* The plan reads it first: the same again. */
static struct trace whole;
struct trace *trace_open(const char *path, struct trace_error *error)
{
    struct trace *t = malloc(sizeof *t);
    (void)path;
    (void)error;
    if (!t) {
        abort();
    }
    *t = whole;
    return t;
}
void trace_close(struct trace *t) { free(t); }

static void require(bool what)
{
    if (!what) {
        abort();
    }
}

static uint64_t of_site[4096];
static void sum(void *arg, const struct tape_row *row)
{
    const struct course *c = arg;
    require(row->number < 4096 && row->interval < c->plan->intervals);
    of_site[row->number] += row->allocs;
}

static void check(struct course *c, const struct profile *p)
{
    uint64_t allocs = 0, bytes = 0, frees = 0, binned = 0, sized = 0, died = 0, lives = 0;
    for (uint32_t t = 0; t < c->plan->intervals; t++) {
        allocs += c->point[t].allocs;
        bytes += c->point[t].bytes;
        frees += c->point[t].frees;
        require(c->point[t].high >= c->point[t].live_bytes);
        for (unsigned a = 0; a < PROFILE_BINS; a++) {
            binned += c->bin[t][a].allocs;
            for (unsigned b = 0; b < PROFILE_BINS; b++) {
                died += c->life[t][a][b].blocks;
            }
        }
    }
    for (size_t i = 0; i < COURSE_SMALL; i++) {
        sized += c->small[i];
    }
    for (size_t i = 0; i < 2 * COURSE_LARGE; i++) {
        sized += c->large[i].count;
    }
    for (unsigned i = 0; i < PROFILE_BINS; i++) {
        lives += p->lives[i];
    }
    require(allocs == p->allocs && bytes == p->bytes && frees == p->frees && binned == allocs && sized == allocs &&
            died == lives);
    memset(of_site, 0, sizeof of_site);
    require(tape_each(&c->tape, sum, c) == 0);
    for (uint32_t n = 1; n <= p->sites; n++) {
        require(of_site[n] == p->site[n].allocs);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trace_error error;
    static struct plan plan;
    static struct course course;
    if (size < 2) {
        return 0;
    }
    whole = (struct trace){.data = data + 2, .size = size - 2};
    whole.about.has_times = data[0] & 1;
    whole.about.has_addresses = true;
    struct profile_wanted wanted = {.process = data[0] >> 1 & 3, .from = data[1] & 1 ? data[1] * 10000 : 0};
    wanted.to = data[1] & 2 ? wanted.from + 10000000 : 0;
    require(plan_read(&plan, "", &wanted, &error));
    require(plan.intervals >= 1 && plan.rows <= PLAN_ROWS && plan.ends[plan.intervals - 1] == plan.end);
    struct map *map = map_begin(&plan);
    require(course_begin(&course, &plan, map, NULL, plan.timed));
    wanted.watch = &course.watch;
    struct trace t = whole;
    struct profile *p = profile_read(&t, &wanted, &error);
    if (p) {
        require(course_finish(&course, p) == 0);
        check(&course, p);
        profile_end(p);
    }
    course_end(&course);
    map_end(map);
    plan_end(&plan);
    return 0;
}
