/* See judge.h.
 *
 * A saving is said only where it is more than what may be chance: models are exact, so a hundredth counts; what is resident comes in pages
 * and varies, so it takes a fiftieth and 64 KiB; times have to lie apart by more than the runs of each do, of calls enough.
 * Why: at the moment when most is live, held = live + slack + headers + holes, and metadata beside it. `live` is the same for all, so
 * the part that differs most is the reason, and it is named with both figures.
 */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay/judge.h"
#include "words.h"

#define RESIDENT_LEAST 65536 /* bytes: what a malloc begins with varies by as much */
#define CALLS_LEAST    10000 /* fewer are done before a malloc is warm */

bool comparison_figure(const struct replay_result *result, enum comparison_aspect aspect, double *figure)
{
    bool real = aspect == BY_RESIDENT || aspect == BY_TIME;
    if (*result->failed || result->refused || result->ops == 0 || result->real != real) {
        return false;
    }
    switch (aspect) {
    case BY_PEAK:
        *figure = (double)(result->peak_held + result->at_live_peak.metadata);
        return true;
    case BY_MEAN:
        *figure = result->mean_held_over_live;
        return true;
    case BY_SMALLEST:
        *figure = (double)result->smallest;
        return result->smallest > 0;
    case BY_RESIDENT:
        *figure = (double)result->peak_held;
        return true;
    case BY_TIME:
        *figure = result->ns_op;
        return result->runs > 0;
    default:
        return false;
    }
}

/* Of the result of that index, which has one. */
static double figure_of(const struct comparison *c, int index, enum comparison_aspect aspect)
{
    double figure = 0;
    comparison_figure(&c->result[index], aspect, &figure);
    return figure;
}

static bool as_it_is(const struct replay_result *result)
{
    const struct comparison_about *about = comparison_about(result->name);
    return result->real || !about || about->use == USE_AS_IT_IS;
}

/* -- who is best -- */

/* The least; of equals the first. */
static int least(const struct comparison *c, enum comparison_aspect aspect, bool all)
{
    int found = -1;
    double least = 0, figure;
    for (unsigned i = 0; i < c->results; i++) {
        if (comparison_figure(&c->result[i], aspect, &figure) && (all || as_it_is(&c->result[i])) &&
            (found < 0 || figure < least)) {
            found = (int)i;
            least = figure;
        }
    }
    return found;
}

struct ranked {
    double figure;
    int index;
};

static int by_figure(const void *a, const void *b)
{
    double x = ((const struct ranked *)a)->figure, y = ((const struct ranked *)b)->figure;
    return (x > y) - (x < y);
}

/* Whom a program is on now, as far as is known; else who is in the middle. */
static int find_against(const struct comparison *c, enum comparison_aspect aspect, int best)
{
    const char *usual = aspect == BY_RESIDENT || aspect == BY_TIME ? "glibc" : "allot";
    struct ranked *ranked = calloc(c->results + 1, sizeof *ranked);
    unsigned count = 0;
    int found = -1;
    for (unsigned i = 0; ranked && i < c->results; i++) {
        if (comparison_figure(&c->result[i], aspect, &ranked[count].figure)) {
            if (strcmp(c->result[i].name, usual) == 0) {
                found = (int)i;
            }
            ranked[count++].index = (int)i;
        }
    }
    if (ranked && found < 0 && count > 1) {
        qsort(ranked, count, sizeof *ranked, by_figure);
        found = ranked[count / 2].index;
        found = found == best ? -1 : found;
    }
    free(ranked);
    return found;
}

static bool is_noticeable(const struct comparison *c, enum comparison_aspect aspect, const struct comparison_best *b)
{
    const struct replay_result *best = &c->result[b->result], *against = &c->result[b->against];
    switch (aspect) {
    case BY_RESIDENT:
        return b->saved > 0.02 && against->peak_held - best->peak_held > RESIDENT_LEAST;
    case BY_TIME:
        return best->ops >= CALLS_LEAST &&
               (best->ns_op_most < against->ns_op_least ||
                against->ns_op - best->ns_op >
                    fmax(best->ns_op_most - best->ns_op_least, against->ns_op_most - against->ns_op_least));
    default:
        return b->saved > 0.01;
    }
}

/* -- why -- */

struct part {
    const char *name;
    uint64_t best, against;
};

static void parts_of(const struct replay_moment *best, const struct replay_moment *against, struct part out[4])
{
    out[0] = (struct part){"holes and unused slots", best->held - best->used, against->held - against->used};
    out[1] = (struct part){"rounding up", best->used - best->live - best->headers,
                           against->used - against->live - against->headers};
    out[2] = (struct part){"headers", best->headers, against->headers};
    out[3] = (struct part){"metadata", best->metadata, against->metadata};
}

static void explain_model(const struct replay_result *best, const struct replay_result *against, char *out, size_t room)
{
    struct part part[4];
    int64_t most = 0;
    const struct part *why = NULL;
    parts_of(&best->at_live_peak, &against->at_live_peak, part);
    for (unsigned i = 0; i < 4; i++) {
        int64_t saved = (int64_t)(part[i].against - part[i].best);
        if (saved > most) {
            most = saved;
            why = &part[i];
        }
    }
    if (why) {
        snprintf(out, room, "where most is live %s takes %s for %s and %s takes %s", best->name,
                 words_bytes(why->best).text, why->name, against->name, words_bytes(why->against).text);
    }
}

static void explain_resident(const struct replay_result *best, const struct replay_result *against, char *out,
                             size_t room)
{
    const struct replay_moment *b = &best->at_live_peak, *a = &against->at_live_peak;
    if (b->live == 0) {
        return;
    }
    if (a->held > b->held && 2 * (a->held - b->held) > against->peak_held - best->peak_held) {
        snprintf(out, room, "where most is live it has %.2f bytes for each of them and %s %.2f",
                 (double)b->held / (double)b->live, against->name, (double)a->held / (double)b->live);
    } else {
        snprintf(out, room,
                 "both have about the same where most is live, and %s more at other moments: on average %.2f "
                 "bytes for each live one, %s %.2f",
                 against->name, against->mean_held_over_live, best->name, best->mean_held_over_live);
    }
}

static void explain_time(const struct replay_result *best, const struct replay_result *against, char *out, size_t room)
{
    if (against->faults > 2 * best->faults && against->faults > 1000) {
        snprintf(out, room, "it causes %s page faults and %s %s", words_count(best->faults).text, against->name,
                 words_count(against->faults).text);
    }
}

static void judge_aspect(const struct comparison *c, enum comparison_aspect aspect, struct comparison_best *out)
{
    *out = (struct comparison_best){.result = least(c, aspect, false), .any = least(c, aspect, true), .against = -1};
    if (out->result < 0) {
        return;
    }
    const struct replay_result *r = &c->result[out->result];
    double best = figure_of(c, out->result, aspect);
    if (figure_of(c, out->any, aspect) >= 0.99 * best) {
        out->any = out->result;
    }
    out->against = find_against(c, aspect, out->result);
    if (out->against < 0 || out->against == out->result) {
        return;
    }
    double against = figure_of(c, out->against, aspect);
    out->saved = against > best ? 1 - best / against : 0;
    out->noticeable = is_noticeable(c, aspect, out);
    if (!out->noticeable) {
        return;
    }
    const struct replay_result *than = &c->result[out->against];
    if (aspect == BY_RESIDENT) {
        explain_resident(r, than, out->why, sizeof out->why);
    } else if (aspect == BY_TIME) {
        explain_time(r, than, out->why, sizeof out->why);
    } else {
        explain_model(r, than, out->why, sizeof out->why);
    }
}

/* -- in words -- */

struct text {
    char *at;
    size_t room;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text->at, text->room, format, arguments);
    va_end(arguments);
    size_t taken = length < 0 ? 0 : (size_t)length < text->room ? (size_t)length : text->room - 1;
    text->at += taken;
    text->room -= taken;
}

static const char *use_words(const char *name)
{
    const struct comparison_about *about = comparison_about(name);
    switch (about ? about->use : USE_AS_IT_IS) {
    case USE_TOGETHER:
        return "a program that gave its blocks back together";
    case USE_HANDLES:
        return "a program that reached its blocks by handles";
    case USE_TABLE:
        return "a program that reached its bytes through a table";
    default:
        return "another program";
    }
}

static void say_models(struct comparison *c)
{
    const struct comparison_best *b = &c->best[BY_PEAK];
    struct text text = {c->sentence, sizeof c->sentence};
    if (b->result < 0) {
        return;
    }
    const char *name = c->result[b->result].name, *than = b->against < 0 ? name : c->result[b->against].name;
    double best = figure_of(c, b->result, BY_PEAK), live = c->ops->peak_live ? (double)c->ops->peak_live : 1;
    double against = b->against < 0 ? best : figure_of(c, b->against, BY_PEAK);
    if (b->against < 0) {
        add(&text, "The strategy %s needs %s at its peak, %.2f bytes for each that is live then", name,
            words_bytes((uint64_t)best).text, best / live);
    } else if (!b->noticeable) {
        add(&text,
            "No strategy serves this program noticeably better than %s, which needs %s at its peak, %.2f bytes for "
            "each "
            "that is live then",
            than, words_bytes((uint64_t)against).text, against / live);
    } else {
        add(&text,
            "The strategy %s serves this program best: %s at its peak, %.2f bytes for each that is live then, %.0f %% "
            "less than %s "
            "(%s)",
            name, words_bytes((uint64_t)best).text, best / live, 100 * b->saved, than,
            words_bytes((uint64_t)against).text);
        add(&text, "%s%s", *b->why ? ": " : "", b->why);
    }
    add(&text, ".");
    if (b->any != b->result) {
        const char *any = c->result[b->any].name;
        add(&text, " With %s %s would need %s.", any, use_words(any),
            words_bytes((uint64_t)figure_of(c, b->any, BY_PEAK)).text);
    }
}

/* Whether `best` is worth a word beside whom it is held against. */
static bool stands_out(const struct comparison_best *b)
{
    return b->against >= 0 && b->against != b->result && b->noticeable;
}

static void say_space(const struct comparison *c, struct text *text)
{
    const struct comparison_best *b = &c->best[BY_RESIDENT];
    int usual = b->against < 0 ? b->result : b->against;
    uint64_t least = (uint64_t)figure_of(c, b->result, BY_RESIDENT), most = (uint64_t)figure_of(c, usual, BY_RESIDENT);
    if (!stands_out(b)) {
        add(text, "Of the mallocs at hand none takes noticeably less memory than %s: %s resident at its peak",
            c->result[usual].name, words_bytes(most).text);
        return;
    }
    add(text, "Of the mallocs at hand %s takes least memory: %s resident at its peak, %.0f %% less than %s (%s)",
        c->result[b->result].name, words_bytes(least).text, 100 * b->saved, c->result[usual].name,
        words_bytes(most).text);
    add(text, "%s%s", *b->why ? ": " : "", b->why);
}

static void say_time(const struct comparison *c, struct text *text)
{
    const struct comparison_best *b = &c->best[BY_TIME];
    const struct replay_result *r = &c->result[b->result];
    if (r->ops < CALLS_LEAST) {
        add(text, "; these are too few calls to tell their times");
        return;
    }
    if (!stands_out(b)) {
        const struct replay_result *than = &c->result[b->against < 0 ? b->result : b->against];
        add(text, "; none is noticeably faster than %s, %.0f ns a call", than->name, than->ns_op);
        return;
    }
    const struct replay_result *than = &c->result[b->against];
    add(text, "; %s is the fastest: %.0f ns a call (%.0f to %.0f), %s %.0f (%.0f to %.0f)", r->name, r->ns_op,
        r->ns_op_least, r->ns_op_most, than->name, than->ns_op, than->ns_op_least, than->ns_op_most);
    add(text, "%s%s", *b->why ? ", as " : "", b->why);
}

void judge(struct comparison *c)
{
    for (int aspect = 0; aspect < COMPARISON_ASPECTS; aspect++) {
        judge_aspect(c, (enum comparison_aspect)aspect, &c->best[aspect]);
    }
    say_models(c);
    if (c->best[BY_RESIDENT].result >= 0 && c->best[BY_TIME].result >= 0) {
        struct text text = {c->sentence_real, sizeof c->sentence_real};
        say_space(c, &text);
        say_time(c, &text);
        add(&text, ".");
    }
}
