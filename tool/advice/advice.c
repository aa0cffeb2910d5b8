/* See advice.h: candidates are tried one by one, and what a replay does not show is not said. */
#include "advice/advice.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advice/say.h"
#include "json.h"
#include "replay/comparison.h"
#include "replay/model.h"

#define OPS_MOST      ((uint64_t)20 << 20)
#define WORTH_BYTES   ((uint64_t)64 << 10) /* saved, and a hundredth of what is held */
#define WORTH_CALLS   5000                 /* saved, and a twentieth of all */
#define WORTH_SHARING 1000                 /* blocks, and a twentieth of those of the place */
#define WORTH_MOVING \
    ((uint64_t)1 << 20) /* live at the peak: with less, what a strategy keeps at hand is all that differs */

const char *const advice_kinds[ADVICE_KINDS] = {"arena",     "pool",    "cache",   "strategy",
                                                "temporary", "sharing", "realloc", "lifetime"};

/* Strategies that a program can be put on as it is, with the library's own parts. */
static const char *const others[] = {"best", "bins", "two-level"};
#define OTHERS (sizeof others / sizeof others[0])

struct advising {
    const struct look *look;
    const struct ops *ops;
    const struct advice_wanted *wanted;
    const char *name; /* of the base */
    struct stacks stacks;
    struct tried base;
    struct advice_list *out;
    struct trace_error *error;
    uint64_t done, of; /* replays */
};

static void tell(struct advising *a, const char *what)
{
    if (a->wanted->progress) {
        a->wanted->progress(a->wanted->arg, what, a->done * a->ops->count, a->of * a->ops->count);
    }
    a->done++;
}

/* -- what saves most stands first -- */

static bool saves_more(const struct advice *a, const struct advice *b)
{
    return a->saving_bytes != b->saving_bytes ? a->saving_bytes > b->saving_bytes : a->saving_calls > b->saving_calls;
}

static bool is_of_places(const struct advice *a) { return a->kind != ADVICE_STRATEGY && a->kind != ADVICE_SHARING; }

/* Whether b is about the place of a, and better in nothing. */
static bool is_outdone(const struct advice *a, const struct advice *b)
{
    bool same = is_of_places(a) && is_of_places(b) && a->group[0] == b->group[0];
    return same && a->saving_bytes >= b->saving_bytes && a->saving_calls >= b->saving_calls;
}

static void add(struct advice_list *list, const struct advice *advice)
{
    size_t at = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (is_outdone(&list->advice[i], advice)) {
            return;
        }
    }
    for (size_t i = list->count; i-- > 0;) {
        if (is_outdone(advice, &list->advice[i])) {
            memmove(&list->advice[i], &list->advice[i + 1], (list->count - i - 1) * sizeof *advice);
            list->count--;
        }
    }
    while (at < list->count && !saves_more(advice, &list->advice[at])) {
        at++;
    }
    if (at == ADVICE_MOST) {
        return;
    }
    size_t after = (list->count < ADVICE_MOST ? list->count : ADVICE_MOST - 1) - at;
    memmove(&list->advice[at + 1], &list->advice[at], after * sizeof *advice);
    list->advice[at] = *advice;
    list->count += list->count < ADVICE_MOST;
}

/* -- replays -- */

static bool is_worth_bytes(uint64_t bytes, uint64_t held) { return bytes >= WORTH_BYTES && bytes >= held / 100; }

/* The moment at which the base holds most beyond what is live. */
static uint32_t worst_moment(const struct tried *base)
{
    uint32_t worst = 0;
    for (uint32_t i = 1; i < base->moments; i++) {
        if (base->held[i] + base->live[worst] > base->held[worst] + base->live[i]) {
            worst = i;
        }
    }
    return worst;
}

/* Whether it holds a tenth more, taken over the whole time: what is saved at the peak is not worth that. */
static bool is_dearer(const struct tried *base, const struct tried *with)
{
    uint64_t before = 0, after = 0;
    for (uint32_t i = 0; i < base->moments; i++) {
        before += base->held[i];
        after += with->held[i];
    }
    return after > before + before / 10 + base->moments * WORTH_BYTES;
}

static uint64_t less(uint64_t before, uint64_t after) { return before > after ? before - after : 0; }

/* Says it, or nothing where the replay saved nothing that is worth a word. */
static void judge(struct advising *a, const struct candidate *c, const struct tried *with)
{
    const struct tried *base = &a->base;
    struct advice advice = {.kind = c->kind, .groups = c->groups, .site = a->look->group[c->group[0]].widest};
    uint32_t m = worst_moment(base);
    bool by_moment = c->kind == ADVICE_LIFETIME;
    uint64_t before = by_moment ? base->held[m] : base->peak_held;
    memcpy(advice.group, c->group, sizeof advice.group);
    advice.saving_bytes = less(before, by_moment ? with->held[m] : with->peak_held);
    advice.at = by_moment ? base->op[m] : base->peak_op;
    if (c->kind != ADVICE_POOL && c->kind != ADVICE_LIFETIME) {
        advice.saving_calls = less(base->calls, with->calls);
    }
    bool bytes = is_worth_bytes(advice.saving_bytes, before);
    bool calls = advice.saving_calls >= WORTH_CALLS && advice.saving_calls >= base->calls / 20 &&
                 with->peak_held <= base->peak_held + base->peak_held / 16 + WORTH_BYTES;
    if ((!bytes && !calls) || is_dearer(base, with)) {
        a->out->refused++;
        return;
    }
    advice.saving_bytes = bytes ? advice.saving_bytes : 0;
    advice.saving_part =
        bytes ? (double)advice.saving_bytes / (double)before : (double)advice.saving_calls / (double)base->calls;
    say_tried(a->look, c, a->name, base, with, m, &advice);
    add(a->out, &advice);
}

static int try_candidates(struct advising *a)
{
    struct candidate candidate[ADVICE_TRIED];
    int count = find_candidates(a->look, a->ops, &a->stacks, candidate), went = count < 0 ? -1 : 1;
    struct tried *with = malloc(sizeof *with);
    a->of += count > 0 ? (uint64_t)count : 0;
    for (int i = 0; i < count && went >= 0 && with; i++) {
        tell(a, advice_kinds[candidate[i].kind]);
        went = try_it(a->ops, &a->stacks, a->name, &candidate[i], with);
        a->out->tried++;
        if (went > 0) {
            judge(a, &candidate[i], with);
        } else {
            a->out->refused++;
        }
    }
    free(with);
    return with ? went : -1;
}

static void add_strategy(struct advising *a, const char *name, const struct tried *with)
{
    struct advice advice = {.kind = ADVICE_STRATEGY, .at = a->base.peak_op};
    advice.saving_bytes = less(a->base.peak_held, with->peak_held);
    if (a->ops->peak_live >= WORTH_MOVING && is_worth_bytes(advice.saving_bytes, a->base.peak_held) &&
        advice.saving_bytes >= a->base.peak_held / 20) {
        advice.saving_part = (double)advice.saving_bytes / (double)a->base.peak_held;
        say_strategy_tried(a->name, &a->base, name, with, &advice);
        add(a->out, &advice);
    } else {
        a->out->refused++;
    }
}

/* As a comparison found it, which has replayed all of them. */
static void take_strategy(struct advising *a, const struct comparison *comparison)
{
    const struct comparison_best *best = &comparison->best[BY_PEAK];
    if (best->result >= 0 && best->noticeable && best->against >= 0) {
        const struct replay_result *result = &comparison->result[best->result];
        const struct tried with = {.peak_held = result->peak_held, .peak_op = result->peak_held_op};
        add_strategy(a, result->name, &with);
    }
}

static int try_strategies(struct advising *a)
{
    struct tried *with = calloc(2, sizeof *with);
    const char *best = NULL;
    int went = with ? 1 : -1;
    for (size_t i = 0; i < OTHERS && went >= 0; i++) {
        if (!model_kind_of(others[i]) || strcmp(others[i], a->name) == 0) {
            continue;
        }
        tell(a, others[i]);
        went = try_it(a->ops, &a->stacks, others[i], NULL, &with[1]);
        if (went > 0 && (!best || with[1].peak_held < with[0].peak_held)) {
            best = others[i];
            with[0] = with[1];
        }
    }
    a->out->tried++;
    if (went >= 0 && best) {
        add_strategy(a, best, &with[0]);
    }
    free(with);
    return went;
}

/* -- lines -- */

static int try_sharing(struct advising *a)
{
    struct sharing before, after = {0};
    int went = sharing_count(a->look, &a->stacks, NULL, 0, &before, a->error);
    uint32_t worst = 0;
    for (uint32_t g = 1; went > 0 && g < a->look->groups; g++) {
        worst = before.of[g] > before.of[worst] ? g : worst;
    }
    uint64_t blocks = went > 0 && a->look->groups ? before.of[worst] : 0;
    if (blocks >= WORTH_SHARING && blocks >= a->look->group[worst].sum.allocs / 20) {
        struct advice advice = {.kind = ADVICE_SHARING, .group = {worst}, .groups = 1};
        a->out->tried++;
        went = sharing_count(a->look, &a->stacks, &worst, 1, &after, a->error);
        if (went > 0 && after.blocks < before.blocks) {
            advice.site = a->look->group[worst].widest;
            advice.saving_part = (double)(before.blocks - after.blocks) / (double)before.blocks;
            say_sharing(a->look, &before, &after, &advice);
            add(a->out, &advice);
        } else {
            a->out->refused++;
        }
    }
    free(before.of);
    free(after.of);
    return went;
}

/* -- all -- */

static int advise(struct advising *a)
{
    tell(a, a->name);
    int went = try_it(a->ops, &a->stacks, a->name, NULL, &a->base);
    if (went <= 0) {
        return went;
    }
    went = try_candidates(a);
    if (went >= 0 && a->wanted->comparison) {
        take_strategy(a, a->wanted->comparison);
    } else if (went >= 0) {
        went = try_strategies(a);
    }
    if (went >= 0 && a->ops->threads > 1 && !a->wanted->no_sharing) {
        tell(a, advice_kinds[ADVICE_SHARING]);
        went = try_sharing(a);
    }
    return went;
}

static int read_ops(const struct look *look, uint64_t limit, struct ops *ops, bool *cut, struct trace_error *error)
{
    struct trace *trace = trace_open(look->path, error);
    uint32_t process = look->profile->wanted.process;
    trace_progress *progress = look->profile->wanted.progress ? look_progress(look->path) : NULL;
    int failed = trace ? ops_read(trace, process, limit ? limit : OPS_MOST, progress, ops, cut, error) : -1;
    look_progress_end();
    if (trace) {
        trace_close(trace);
    }
    return failed;
}

int advice_of(const struct look *look, const struct ops *ops, const struct advice_wanted *wanted,
              struct advice_list *out, struct trace_error *error)
{
    struct ops own = {0};
    *out = (struct advice_list){0};
    if (trace_about(look->trace)->is_profile || !trace_about(look->trace)->has_stacks) {
        return 0;
    }
    if (!ops && read_ops(look, wanted->limit, &own, &out->cut, error) != 0) {
        return -1;
    }
    struct advising *a = calloc(1, sizeof *a);
    int went = -1;
    if (a) {
        *a = (struct advising){.look = look,
                               .ops = ops ? ops : &own,
                               .wanted = wanted,
                               .name = wanted->base ? wanted->base : "allot",
                               .out = out,
                               .error = error,
                               .of = OTHERS + 2};
        out->ops = a->ops->count;
        snprintf(error->line, sizeof error->line, "out of memory, %.150s, end other programs", look->path);
        went = a->ops->count == 0 ? 0 : stacks_begin(&a->stacks, look, 0) ? advise(a) : -1;
        stacks_end(&a->stacks);
    }
    free(a);
    if (!ops) {
        ops_end(&own);
    }
    return went < 0 ? -1 : 0;
}

void advice_json(struct json *j, const struct look *look, const struct advice_list *list)
{
    json_array(j, "advice");
    for (size_t i = 0; i < list->count; i++) {
        const struct advice *a = &list->advice[i];
        json_object(j, NULL);
        json_text(j, "kind", advice_kinds[a->kind]);
        json_text(j, "text", a->text);
        json_number(j, "saving_bytes", a->saving_bytes);
        json_real(j, "saving_part", a->saving_part);
        json_number(j, "saving_calls", a->saving_calls);
        json_text(j, "replay", a->replay);
        json_array(j, "places");
        for (uint32_t k = 0; k < a->groups; k++) {
            json_object(j, NULL);
            names_json_place(j, &look->group[a->group[k]].place);
            json_end(j);
        }
        json_end(j);
        json_end(j);
    }
    json_end(j);
}
