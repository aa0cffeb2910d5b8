/* See verdict.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "verdict.h"
#include "words.h"

#define WORTH_A_WORD ((uint64_t)64 << 10) /* bytes of growth */

static void say(struct verdict *v, const char *about, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void say(struct verdict *v, const char *about, const char *format, ...)
{
    va_list args;
    v->sentence[v->count].about = about;
    va_start(args, format);
    vsnprintf(v->sentence[v->count].text, sizeof v->sentence[v->count].text, format, args);
    va_end(args);
    v->count++;
}

struct place {
    char text[200];
};

static struct place place_of(const struct group *g)
{
    struct place out = {""};
    FILE *to = fmemopen(out.text, sizeof out.text - 1, "w");
    if (to) {
        names_put(to, &g->place, 150);
        fclose(to);
    }
    return out;
}

/* "after 3.41 s", "at event 1,234". */
static struct words when(const struct profile *p, uint64_t time)
{
    struct words out, is = p->timed ? words_ns(time - p->begin) : words_count(time);
    snprintf(out.text, sizeof out.text, p->timed ? "after %.20s" : "at event %.20s", is.text);
    return out;
}

typedef uint64_t figure(const struct look *look, const struct group *g);
static uint64_t at_peak(const struct look *look, const struct group *g) { return (void)look, g->sum.peak_bytes; }
static uint64_t left(const struct look *look, const struct group *g) { return (void)look, g->sum.left_bytes; }
static uint64_t temporary(const struct look *look, const struct group *g) { return (void)look, g->sum.temporary; }
static uint64_t growth(const struct look *look, const struct group *g)
{
    return profile_growth(look->profile, &g->sum);
}
static uint64_t grown(const struct look *look, const struct group *g) { return (void)look, g->sum.reallocs; }

/* The group with most of it, or NULL: none has any. */
static const struct group *most(const struct look *look, figure *of)
{
    const struct group *best = NULL;
    for (uint32_t i = 0; i < look->groups; i++) {
        if (of(look, &look->group[i]) > (best ? of(look, best) : 0)) {
            best = &look->group[i];
        }
    }
    return best;
}

static void say_peak(const struct look *look, struct verdict *v)
{
    const struct profile *p = look->profile;
    const struct group *g = most(look, at_peak);
    if (!g) {
        say(v, "peak", "Nothing was allocated.");
        return;
    }
    bool profile = trace_about(look->trace)->is_profile;
    say(v, "peak", "At most %s was live, in %s block%s%s%s, %s of it from %s.", words_bytes(p->peak_bytes).text,
        words_count(p->peak_blocks).text, words_s(p->peak_blocks), profile ? "" : " ",
        profile ? "" : when(p, p->peak_time).text, words_percent(g->sum.peak_bytes, p->peak_bytes).text,
        place_of(g).text);
}

uint64_t verdict_leaked(const struct profile *p, bool *known, uint64_t *blocks)
{
    uint64_t bytes = 0;
    *known = p->verdicts > 0;
    *blocks = 0;
    for (uint32_t i = 0; i < p->verdicts; i++) {
        if (p->verdict[i].verdict == GRAPH_DEFINITE || p->verdict[i].verdict == GRAPH_INDIRECT) {
            bytes += p->verdict[i].bytes;
            *blocks += p->verdict[i].blocks;
        }
    }
    if (*known) {
        return bytes;
    }
    *blocks = p->left_blocks;
    return p->left_bytes;
}

static void say_leaks(const struct look *look, struct verdict *v)
{
    const struct profile *p = look->profile;
    bool known;
    uint64_t blocks, bytes = verdict_leaked(p, &known, &blocks), sites = 0;
    const struct group *g = most(look, left);
    for (uint32_t i = 0; i < look->groups; i++) {
        sites += look->group[i].sum.left_blocks > 0;
    }
    if (known && blocks > 0) {
        say(v, "leaks", "%s in %s block%s %s lost: nothing pointed to %s when the process ended.",
            words_bytes(bytes).text, words_count(blocks).text, words_s(blocks), blocks == 1 ? "is" : "are",
            blocks == 1 ? "it" : "them");
    } else if (known) {
        say(v, "leaks", "Nothing is lost: all that was live at the end could still be reached.");
    } else if (blocks > 0) {
        say(v, "leaks",
            "%s in %s block%s from %s place%s %s never freed, %s of it from %s; whether something still pointed there "
            "was not looked at: allot record --leaks does.",
            words_bytes(bytes).text, words_count(blocks).text, words_s(blocks), words_count(sites).text, words_s(sites),
            blocks == 1 ? "was" : "were", words_percent(g ? g->sum.left_bytes : 0, bytes).text,
            g ? place_of(g).text : "?");
    } else if (p->allocs + p->before_blocks > 0) {
        say(v, "leaks", "All that was allocated was freed.");
    }
}

static void say_growth(const struct look *look, struct verdict *v)
{
    const struct profile *p = look->profile;
    const struct group *g = most(look, growth);
    uint64_t sites = 0, bytes = 0;
    for (uint32_t i = 0; i < look->groups; i++) {
        uint64_t by = growth(look, &look->group[i]);
        sites += by >= WORTH_A_WORD;
        bytes += by >= WORTH_A_WORD ? by : 0;
    }
    if (sites > 0) {
        say(v, "growth",
            "%s place%s grew all the time, by %s in the last half: most %s, which never held less than %s towards the "
            "end.",
            words_count(sites).text, words_s(sites), words_bytes(bytes).text, place_of(g).text,
            words_bytes(g->sum.low[p->windows - 1]).text);
    }
}

static void say_temporary(const struct look *look, struct verdict *v)
{
    const struct profile *p = look->profile;
    const struct group *g = most(look, temporary);
    struct words within = words_ns(p->wanted.temporary);
    if (!p->timed) {
        snprintf(within.text, sizeof within.text, "%u events", (unsigned)p->wanted.temporary);
    }
    if (p->allocs > 0 && trace_about(look->trace)->is_profile) {
        say(v, "temporary", "%s allocation%s of %s on average; how long the blocks lived is not known.",
            words_count(p->allocs).text, words_s(p->allocs), words_bytes(p->bytes / p->allocs).text);
    } else if (p->allocs > 0) {
        say(v, "temporary", "Of %s allocation%s of %s on average, %s lived less than %s%s%s%s%s.",
            words_count(p->allocs).text, words_s(p->allocs), words_bytes(p->bytes / p->allocs).text,
            words_percent(p->temporary, p->allocs).text, within.text, g ? ", " : "",
            g ? words_percent(g->sum.temporary, p->temporary).text : "", g ? " of those from " : "",
            g ? place_of(g).text : "");
    }
}

static void say_reallocs(const struct look *look, struct verdict *v)
{
    const struct profile *p = look->profile;
    const struct group *g = most(look, grown);
    if (g && p->reallocs * 50 >= p->allocs) {
        say(v, "realloc", "%s of the allocations are reallocs, %s of which moved the block; %s from %s.",
            words_percent(p->reallocs, p->allocs).text, words_percent(p->reallocs_moved, p->reallocs).text,
            words_percent(g->sum.reallocs, p->reallocs).text, place_of(g).text);
    }
}

static void say_resident(const struct look *look, struct verdict *v)
{
    const struct profile *p = look->profile;
    if (p->resident_peak == 0) {
        return;
    }
    say(v, "resident", "At most %s was resident, %s, when %s was live: %s was for all else, code and stacks among it.",
        words_bytes(p->resident_peak).text, when(p, p->resident_peak_time).text,
        words_bytes(p->resident_peak_live).text,
        words_bytes(p->resident_peak > p->resident_peak_live ? p->resident_peak - p->resident_peak_live : 0).text);
}

static void say_failed(const struct look *look, struct verdict *v)
{
    if (look->profile->failed > 0) {
        say(v, "failed", "%s allocation%s failed.", words_count(look->profile->failed).text,
            words_s(look->profile->failed));
    }
}

static void say_recording(const struct look *look, struct verdict *v)
{
    const struct trace_about *about = trace_about(look->trace);
    uint64_t lost = about->lost > look->profile->lost ? about->lost : look->profile->lost;
    char cost[200] = "", end[100] = "";
    if (about->collector_cpu_ns || about->waited_ns) {
        snprintf(cost, sizeof cost, "Recording took %s of processor time beside the program, which waited %s for it; ",
                 words_ns(about->collector_cpu_ns).text, words_ns(about->waited_ns).text);
    }
    if (about->truncated) {
        snprintf(end, sizeof end, " The recording ends early: what came after is not known.");
    }
    if (about->is_profile) {
        say(v, "recording", "This is a profile: it has sums, and nothing of their course.%s", end);
        return;
    }
    if (about->unmatched > 0) {
        say(v, "unmatched", "%s free%s of blocks that the trace does not know %s left out.",
            words_count(about->unmatched).text, words_s(about->unmatched), about->unmatched == 1 ? "is" : "are");
    }
    if (lost > 0) {
        say(v, "recording", "%s%s event%s %s lost: the figures are too small by what those did.%s", cost,
            words_count(lost).text, words_s(lost), lost == 1 ? "was" : "were", end);
    } else {
        say(v, "recording", "%s%so event was lost.%s", cost, cost[0] ? "n" : "N", end);
    }
}

void verdict_of(const struct look *look, struct verdict *v)
{
    v->count = 0;
    say_peak(look, v);
    say_leaks(look, v);
    say_growth(look, v);
    say_temporary(look, v);
    say_reallocs(look, v);
    say_resident(look, v);
    say_failed(look, v);
    say_recording(look, v);
}
