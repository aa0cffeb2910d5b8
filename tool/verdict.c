/* See verdict.h: the order, and what is said of the whole: its peak, what was resident, what failed, what recording did. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "verdict.h"
#include "verdict/part.h"
#include "verdict/pinned.h"

const char *const verdict_tones[3] = {"bad", "note", "good"};

/* -- for all families -- */

struct verdict_sentence *part_say(struct verdict *v, const char *about, enum verdict_tone tone, const char *format, ...)
{
    struct verdict_sentence *s = &v->sentence[v->count++];
    va_list args;
    *s = (struct verdict_sentence){.about = about, .tone = tone};
    va_start(args, format);
    vsnprintf(s->text, sizeof s->text, format, args);
    va_end(args);
    return s;
}

struct place part_place(const struct group *g)
{
    struct place out = {""};
    FILE *to = fmemopen(out.text, sizeof out.text - 1, "w");
    if (to) {
        names_put(to, &g->place, 150);
        fclose(to);
    }
    return out;
}

struct words part_when(const struct profile *p, uint64_t time)
{
    struct words out, is = p->timed ? words_ns(time > p->begin ? time - p->begin : 0) : words_count(time);
    snprintf(out.text, sizeof out.text, p->timed ? "after %.20s" : "at event %.20s", is.text);
    return out;
}

const struct group *part_most(const struct look *look, part_figure *of)
{
    const struct group *best = NULL;
    uint64_t most = 0;
    for (uint32_t i = 0; i < look->groups; i++) {
        uint64_t figure = of(look, &look->group[i]);
        if (figure > most) {
            most = figure;
            best = &look->group[i];
        }
    }
    return best;
}

bool part_was_never_freed(const struct look *look, const struct group *g)
{
    return look->profile->verdicts == 0 && g->sum.frees == 0 && g->sum.left_blocks >= NEVER_FREED_MANY;
}

unsigned part_weight(uint64_t part, uint64_t whole)
{
    double share = whole ? (double)part / (double)whole * 1000 : 0;
    return share < 1 ? 1 : share > 1000 ? 1000 : (unsigned)share;
}

bool part_is_memory_finding(uint64_t bytes, uint64_t of)
{
    return bytes >= FINDING_BYTES && bytes >= of / FINDING_TENTH;
}

bool part_is_calls_finding(const struct profile *p, uint64_t calls, uint64_t of)
{
    double seconds = p->timed ? (double)(p->end - p->begin) / 1e9 : 0;
    return calls >= FINDING_CALLS && calls >= of / FINDING_HALF && (double)calls >= seconds * FINDING_A_SECOND;
}

/* -- the whole -- */

static uint64_t at_peak(const struct look *look, const struct group *g) { return (void)look, g->sum.peak_bytes; }

static void say_peak(const struct look *look, struct verdict *v)
{
    const struct profile *p = look->profile;
    const struct group *g = part_most(look, at_peak);
    if (!g) {
        part_say(v, "peak", VERDICT_NOTE, "Nothing was allocated.");
        return;
    }
    bool profile = trace_about(look->trace)->is_profile;
    struct verdict_sentence *s =
        part_say(v, "peak", VERDICT_NOTE, "At most %s was live, in %s block%s%s%s, %s of it from %s.",
                 words_bytes(p->peak_bytes).text, words_count(p->peak_blocks).text, words_s(p->peak_blocks),
                 profile ? "" : " ", profile ? "" : part_when(p, p->peak_time).text,
                 words_percent(g->sum.peak_bytes, p->peak_bytes).text, part_place(g).text);
    s->link = (struct verdict_link){"flame", "peak", g->widest, p->peak_time, p->peak_time};
}

static void say_resident(const struct look *look, struct verdict *v)
{
    const struct profile *p = look->profile;
    if (p->resident_peak == 0) {
        return;
    }
    struct verdict_sentence *s = part_say(
        v, "resident", VERDICT_NOTE,
        "At most %s was resident, %s, when %s was live: %s was for all else, code and stacks among it.",
        words_bytes(p->resident_peak).text, part_when(p, p->resident_peak_time).text,
        words_bytes(p->resident_peak_live).text,
        words_bytes(p->resident_peak > p->resident_peak_live ? p->resident_peak - p->resident_peak_live : 0).text);
    s->link = (struct verdict_link){.view = "timeline", .from = p->resident_peak_time, .to = p->resident_peak_time};
}

static void say_failed(const struct look *look, struct verdict *v)
{
    if (look->profile->failed > 0) {
        part_say(v, "failed", VERDICT_BAD, "%s allocation%s failed.", words_count(look->profile->failed).text,
                 words_s(look->profile->failed))
            ->link.view = "timeline";
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
        part_say(v, "recording", VERDICT_NOTE, "This is a profile: it has sums, and nothing of their course.%s", end);
        return;
    }
    if (about->unmatched > 0) {
        part_say(v, "unmatched", VERDICT_NOTE, "%s free%s of blocks that the trace does not know %s left out.",
                 words_count(about->unmatched).text, words_s(about->unmatched), about->unmatched == 1 ? "is" : "are");
    }
    if (lost > 0) {
        part_say(v, "recording", VERDICT_BAD, "%s%s event%s %s lost: the figures are too small by what those did.%s",
                 cost, words_count(lost).text, words_s(lost), lost == 1 ? "was" : "were", end);
    } else {
        part_say(v, "recording", about->truncated ? VERDICT_NOTE : VERDICT_GOOD, "%s%so event was lost.%s", cost,
                 cost[0] ? "n" : "N", end);
    }
}

/* -- the order -- */

static bool is_about(const struct verdict_sentence *s, const char *about) { return strcmp(s->about, about) == 0; }

static bool is_about_calls(const struct verdict_sentence *s)
{
    return is_about(s, "temporary") || is_about(s, "realloc") || is_about(s, "threads");
}

/* What the program's memory suffers from; then its calls; then what another strategy would do about either. */
static int rank_of(const struct verdict_sentence *s) { return is_about(s, "strategy") ? 2 : is_about_calls(s) ? 1 : 0; }

/* Blocks that are passed on, or that grow piece by piece, are there for a moment only because of that. */
static bool is_why(const struct verdict_sentence *a, const struct verdict_sentence *b)
{
    return is_about_calls(a) && is_about(b, "temporary") && !is_about(a, "temporary") && a->link.site == b->link.site;
}

/* Whether `a` has to stand before `b`, which was said before it. */
static bool matters_more(const struct verdict_sentence *a, const struct verdict_sentence *b)
{
    if (a->weight == 0 || b->weight == 0) {
        return a->weight > 0;
    }
    if (rank_of(a) != rank_of(b)) {
        return rank_of(a) < rank_of(b);
    }
    return is_why(a, b) || (!is_why(b, a) && a->weight > b->weight);
}

/* Findings move up to their places; all else stays in the order in which it was said. */
static void order(struct verdict *v)
{
    for (size_t i = 1; i < v->count; i++) {
        struct verdict_sentence s = v->sentence[i];
        size_t at = i;
        for (; at > 0 && matters_more(&s, &v->sentence[at - 1]); at--) {
            v->sentence[at] = v->sentence[at - 1];
        }
        v->sentence[at] = s;
    }
}

/* Notes that are left out first where there are more than a reader takes in. */
static void shorten(struct verdict *v)
{
    static const char *const least[] = {"realloc", "threads", "resident", "unmatched", "strategy", "temporary"};
    for (size_t n = 0; n < sizeof least / sizeof least[0] && v->count > VERDICT_SAID; n++) {
        for (size_t i = 0; i < v->count; i++) {
            if (v->sentence[i].weight == 0 && is_about(&v->sentence[i], least[n])) {
                memmove(&v->sentence[i], &v->sentence[i + 1], (v->count - i - 1) * sizeof v->sentence[0]);
                v->count--;
                break;
            }
        }
    }
}

/* Where nothing is found and most of what was live at the peak is of a place that frees nothing, that is what to ask for next. */
static void say_what_to_ask(const struct look *look, struct verdict *v)
{
    struct verdict_sentence *s = &v->sentence[0];
    const struct group *g =
        v->count && is_about(s, "peak") && s->link.site ? &look->group[look->group_of_site[s->link.site]] : NULL;
    if (g && part_was_never_freed(look, g) && part_is_memory_finding(g->sum.left_bytes, look->profile->peak_bytes)) {
        size_t end = strlen(s->text) - 1; /* the full stop */
        snprintf(
            s->text + end, sizeof s->text - end,
            ", none of whose %s blocks was ever freed: allot record --leaks gives the verdict whether they are lost.",
            words_count(g->sum.left_blocks).text);
    }
}

void verdict_with(const struct look *look, const struct verdict_beside *beside, struct verdict *v)
{
    const struct pinned *pinned = beside->pinned;
    struct pinned found;
    struct trace_error error; /* what cannot be read again is not said */
    if (!pinned && pinned_find(look, &found, &error) > 0) {
        pinned = &found;
    }
    v->count = 0;
    say_peak(look, v);
    say_leaks(look, v);
    say_growth(look, v);
    say_pinned(look, pinned, v);
    say_strategy(look, beside, v);
    say_threads(look, v);
    say_temporary(look, v);
    say_reallocs(look, v);
    say_resident(look, v);
    say_failed(look, v);
    say_recording(look, v);
    order(v);
    say_what_to_ask(look, v);
    shorten(v);
}

void verdict_of(const struct look *look, struct verdict *v)
{
    verdict_with(look, &(struct verdict_beside){.pinned = NULL}, v);
}
