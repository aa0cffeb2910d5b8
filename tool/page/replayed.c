/* See replayed.h. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "page/replayed.h"
#include "words.h"

static void on_step(void *arg, uint64_t op, const struct replay_block *now)
{
    struct replayed_steps *of = arg;
    if (!of || op > UINT32_MAX) {
        return;
    }
    if (of->steps == of->room) {
        uint32_t room = of->room ? 2 * of->room : 256;
        struct replayed_step *grown = realloc(of->step, room * sizeof *grown);
        if (!grown) { /* the steps end where memory does */
            return;
        }
        of->step = grown;
        of->room = room;
    }
    of->step[of->steps++] = (struct replayed_step){now->start, now->size, (uint32_t)op, now->block};
}

/* One for each model: two of them may be replayed at once. */
static void *own_steps(void *arg, const char *name)
{
    struct page_replayed *r = arg;
    for (unsigned i = 0; i < REPLAYED_MODELS; i++) {
        if (!r->steps[i].name || strcmp(r->steps[i].name, name) == 0) {
            r->steps[i].name = name;
            r->stepped = i + 1 > r->stepped ? i + 1 : r->stepped;
            return &r->steps[i];
        }
    }
    return NULL;
}

/* -- progress -- */

static time_t began;
static bool shown;

static void show_progress(void *arg, const char *name, uint64_t done, uint64_t of)
{
    (void)arg;
    if (time(NULL) - began >= 1 && of > 0) {
        fprintf(stderr, "\r\033[Kreplaying on %s: %d %%", name, (int)(100.0 * (double)done / (double)of));
        shown = true;
    }
}

static void end_progress(void)
{
    if (shown) {
        fputs("\r\033[K", stderr);
        shown = false;
    }
}

/* -- */

/* 1: there are ops; 0: it has none; -1: complained. */
static int read_ops(struct page *page, const struct profile_wanted *wanted, struct page_replayed *r)
{
    struct trace_error error;
    bool cut;
    struct trace *trace = trace_open(page->look.path, &error);
    if (!trace) {
        complain("%s", error.line);
        return -1;
    }
    int failed = ops_read(trace, wanted->process, 0, look_progress(page->look.path), &r->ops, &cut, &error);
    look_progress_end();
    trace_close(trace);
    if (failed) {
        complain("%s", error.line);
        return -1;
    }
    return r->ops.allocs > 0;
}

/* Steps, where the trace is short enough. */
static void ask_for_steps(struct page_replayed *r, const struct ops *ops, struct comparison_wanted *wanted)
{
    if (ops->count <= REPLAYED_STEPS) {
        wanted->replay.steps = ops->count;
        wanted->replay.step = on_step;
        wanted->replay.arg = r;
        wanted->own = own_steps;
    }
}

static void replay(struct page_replayed *r)
{
    struct comparison_wanted wanted = {.replay = {.map_at = UINT64_MAX,
                                                  .smallest = r->ops.count <= REPLAYED_SMALLEST,
                                                  .progress = isatty(STDERR_FILENO) ? show_progress : NULL}};
    ask_for_steps(r, &r->ops, &wanted);
    began = time(NULL);
    comparison_run(&r->ops, false, &wanted, &r->own);
    end_progress();
    r->comparison = r->own.results > 0 ? &r->own : NULL;
}

static bool advise(const struct page *page, struct page_replayed *r, const struct replayed_advice *advice)
{
    struct trace_error error;
    struct advice_wanted wanted = {
        .base = advice->base, .comparison = r->comparison, .progress = isatty(STDERR_FILENO) ? show_progress : NULL};
    if (advice->no) {
        return true;
    }
    began = time(NULL);
    int failed = advice_of(&page->look, &r->ops, &wanted, &r->own_advice, &error);
    end_progress();
    if (failed) {
        complain("%s", error.line);
        return false;
    }
    r->advice = &r->own_advice;
    return true;
}

int replayed_read(struct page *page, const struct profile_wanted *wanted, bool always,
                  const struct replayed_advice *advice)
{
    const struct profile *p = page->look.profile;
    if (trace_about(page->look.trace)->is_profile || wanted->from || wanted->to || p->allocs == 0 ||
        (!always && p->allocs + p->frees > REPLAYED_OPS)) {
        return 0;
    }
    struct page_replayed *r = calloc(1, sizeof *r);
    if (!r) {
        complain("out of memory, %s, end other programs", page->look.path);
        return -1;
    }
    page->replayed = r;
    r->is_own = true;
    int some = read_ops(page, wanted, r);
    if (some <= 0) {
        page->replayed = NULL;
        if (some == 0) {
            ops_end(&r->ops);
        }
        free(r);
        return some;
    }
    replay(r);
    if (!r->comparison) {
        complain("out of memory, %s, end other programs", page->look.path);
        return -1;
    }
    return advise(page, r, advice) ? 1 : -1;
}

struct page_replayed *replayed_begin(const struct ops *ops, struct comparison_wanted *wanted)
{
    struct page_replayed *r = calloc(1, sizeof *r);
    if (r) {
        ask_for_steps(r, ops, wanted);
    }
    return r;
}

void replayed_give(struct page *page, struct page_replayed *replayed, const struct comparison *comparison,
                   const struct advice_list *advice)
{
    replayed->comparison = comparison;
    replayed->advice = advice;
    page->replayed = replayed;
}

void replayed_end(struct page_replayed *r)
{
    if (!r) {
        return;
    }
    for (unsigned i = 0; i < r->stepped; i++) {
        free(r->steps[i].step);
    }
    if (r->is_own) {
        comparison_end(&r->own);
        ops_end(&r->ops);
    }
    free(r);
}
