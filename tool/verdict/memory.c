/* Sentences about memory: what is lost, what grows, what keeps pages, what another strategy would save. See part.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "advice/advice.h"
#include "replay/comparison.h"
#include "verdict/part.h"
#include "verdict/pinned.h"

/* -- leaks -- */

static bool is_lost(const struct profile_verdict *v)
{
    return v->verdict == GRAPH_DEFINITE || v->verdict == GRAPH_INDIRECT;
}

uint64_t verdict_leaked(const struct profile *p, bool *known, uint64_t *blocks)
{
    uint64_t bytes = 0;
    *known = p->verdicts > 0;
    *blocks = 0;
    for (uint32_t i = 0; i < p->verdicts; i++) {
        if (is_lost(&p->verdict[i])) {
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

/* The group whose lost blocks take most along, those that only they lead to among it; NULL: out of memory. */
static const struct group *most_lost(const struct look *look, uint64_t *bytes)
{
    const struct profile *p = look->profile;
    uint64_t *of = calloc((size_t)look->groups + 1, sizeof *of);
    const struct group *most = NULL;
    *bytes = 0;
    for (uint32_t i = 0; of && i < p->verdicts; i++) {
        const struct profile_verdict *said = &p->verdict[i];
        uint32_t g = look->group_of_site[said->site];
        if (said->verdict == GRAPH_DEFINITE) {
            of[g] += said->retained > said->bytes ? said->retained : said->bytes;
            most = of[g] > *bytes ? &look->group[g] : most;
            *bytes = of[g] > *bytes ? of[g] : *bytes;
        }
    }
    free(of);
    return most;
}

static uint64_t left(const struct look *look, const struct group *g) { return (void)look, g->sum.left_bytes; }

static void say_lost(const struct look *look, uint64_t bytes, uint64_t blocks, struct verdict *v)
{
    const struct profile *p = look->profile;
    uint64_t of_it;
    const struct group *g = most_lost(look, &of_it);
    bool finding = part_is_memory_finding(bytes, p->peak_bytes);
    struct verdict_sentence *s = part_say(
        v, "leaks", VERDICT_BAD, "%s in %s block%s %s lost: nothing pointed to %s when the process ended%s%s%s%s.",
        words_bytes(bytes).text, words_count(blocks).text, words_s(blocks), blocks == 1 ? "is" : "are",
        blocks == 1 ? "it" : "them", g ? "; " : "", g ? words_percent(of_it < bytes ? of_it : bytes, bytes).text : "",
        g ? " of it is, or hangs on, what came from " : "", g ? part_place(g).text : "");
    s->weight = finding ? part_weight(bytes, p->peak_bytes) : 0;
    part_link(s, "leaks", NULL, g);
}

void say_leaks(const struct look *look, struct verdict *v)
{
    const struct profile *p = look->profile;
    bool known;
    uint64_t blocks, bytes = verdict_leaked(p, &known, &blocks), sites = 0;
    const struct group *g = part_most(look, left);
    for (uint32_t i = 0; i < look->groups; i++) {
        sites += look->group[i].sum.left_blocks > 0;
    }
    if (known && blocks > 0) {
        say_lost(look, bytes, blocks, v);
    } else if (known) {
        part_link(
            part_say(v, "leaks", VERDICT_GOOD, "Nothing is lost: all that was live at the end could still be reached."),
            "leaks", NULL, NULL);
    } else if (blocks > 0) {
        struct verdict_sentence *s = part_say(
            v, "leaks", VERDICT_NOTE,
            "%s in %s block%s from %s place%s %s never freed, %s of it from %s; whether something still pointed there "
            "was not looked at: allot record --leaks does.",
            words_bytes(bytes).text, words_count(blocks).text, words_s(blocks), words_count(sites).text, words_s(sites),
            blocks == 1 ? "was" : "were", words_percent(g ? g->sum.left_bytes : 0, bytes).text,
            g ? part_place(g).text : "?");
        part_link(s, "flame", "leaked", g);
    } else if (p->allocs + p->before_blocks > 0) {
        part_say(v, "leaks", VERDICT_GOOD, "All that was allocated was freed.");
    }
}

/* -- growth -- */

#define FREES_FEW 100 /* one in so many blocks: whoever frees fewer keeps them all */

/* By group: what it grew by but for what is lost, which is said already. NULL: out of memory. */
static uint64_t *find_growth(const struct look *look)
{
    const struct profile *p = look->profile;
    uint64_t *lost = calloc((size_t)look->groups + 1, sizeof *lost);
    for (uint32_t i = 0; lost && i < p->verdicts; i++) {
        lost[look->group_of_site[p->verdict[i].site]] += is_lost(&p->verdict[i]) ? p->verdict[i].bytes : 0;
    }
    for (uint32_t i = 0; lost && i < look->groups; i++) {
        uint64_t by = profile_growth(p, &look->group[i].sum);
        lost[i] = by > lost[i] ? by - lost[i] : 0;
    }
    return lost;
}

void say_growth(const struct look *look, struct verdict *v)
{
    const struct profile *p = look->profile;
    uint64_t *by = find_growth(look), sites = 0, bytes = 0, most = 0;
    const struct group *g = NULL;
    for (uint32_t i = 0; by && i < look->groups; i++) {
        sites += by[i] >= GROWTH_WORTH_NOTE;
        bytes += by[i] >= GROWTH_WORTH_NOTE ? by[i] : 0;
        g = by[i] > most ? &look->group[i] : g;
        most = by[i] > most ? by[i] : most;
    }
    free(by);
    if (sites == 0) {
        return;
    }
    bool finding = part_is_memory_finding(bytes, p->peak_bytes);
    char freed[160] = "";
    if (part_was_never_freed(look, g)) {
        snprintf(freed, sizeof freed,
                 "; none of its %s blocks was ever freed: allot record --leaks gives the verdict whether they are lost",
                 words_count(g->sum.left_blocks).text);
    } else if (g->sum.frees < g->sum.allocs / FREES_FEW) {
        snprintf(freed, sizeof freed, " and freed %s of its blocks", words_percent(g->sum.frees, g->sum.allocs).text);
    }
    struct verdict_sentence *s = part_say(
        v, "growth", finding ? VERDICT_BAD : VERDICT_NOTE,
        "%s place%s grew all the time, by %s in the last half: most %s, which never held less than %s towards the "
        "end%s.",
        words_count(sites).text, words_s(sites), words_bytes(bytes).text, part_place(g).text,
        words_bytes(g->sum.low[p->windows - 1]).text, freed);
    s->weight = finding ? part_weight(bytes, p->peak_bytes) : 0;
    part_link(s, "flame", "growth", g);
    s->link.from = p->begin + (p->end - p->begin) / 2;
    s->link.to = p->end;
}

/* -- fragmentation -- */

void say_pinned(const struct look *look, const struct pinned *pinned, struct verdict *v)
{
    const struct profile *p = look->profile;
    if (!pinned || pinned->count == 0 || pinned->held < pinned->used) {
        return;
    }
    const struct pinned_by *by = &pinned->by[0];
    const struct group *g = &look->group[by->group];
    uint64_t most = p->peak_bytes > pinned->held ? p->peak_bytes : pinned->held, holes = pinned->held - pinned->used;
    bool finding = part_is_memory_finding(holes, most);
    struct verdict_sentence *s =
        part_say(v, "fragmentation", finding ? VERDICT_BAD : VERDICT_NOTE,
                 "%s of pages were kept for %s in blocks, %s and for long: %s of them is holes, %s of that around %s "
                 "block%s from %s.",
                 words_bytes(pinned->held).text, words_bytes(pinned->used).text, part_when(p, pinned->time).text,
                 words_percent(holes, pinned->held).text, words_percent(by->charged - by->used, holes).text,
                 words_count(by->blocks).text, words_s(by->blocks), part_place(g).text);
    s->weight = finding ? part_weight(holes, most) : 0;
    s->link = (struct verdict_link){"map", NULL, by->site, pinned->time, pinned->time};
}

/* -- strategy -- */

/* Bytes that the size classes add to what the place holds at the peak, its blocks being as they are on average. */
static uint64_t rounding(const struct look *look, const struct group *g)
{
    (void)look;
    return g->sum.bytes ? (uint64_t)((double)g->sum.slack / (double)g->sum.bytes * (double)g->sum.peak_bytes) : 0;
}

struct because {
    char text[320];
};

/* Whose blocks a strategy without size classes would serve best, where that is what makes most of the difference. */
static struct because because_of(const struct look *look, uint64_t saved)
{
    struct because out = {""};
    const struct group *g = part_most(look, rounding);
    if (g && rounding(look, g) >= saved / FINDING_HALF) {
        snprintf(out.text, sizeof out.text, "; %s asks for %s a block on average, which takes %s", part_place(g).text,
                 words_bytes(g->sum.bytes / g->sum.allocs).text,
                 words_bytes((g->sum.bytes + g->sum.slack) / g->sum.allocs).text);
    }
    return out;
}

/* What the replay of all strategies says, or that of a few. */
void say_strategy(const struct look *look, const struct verdict_beside *beside, struct verdict *v)
{
    const struct comparison *comparison = beside->comparison;
    const struct group *g = part_most(look, rounding);
    const struct advice *tried = NULL;
    for (size_t i = 0; beside->advice && i < beside->advice->count; i++) {
        tried = beside->advice->advice[i].kind == ADVICE_STRATEGY ? &beside->advice->advice[i] : tried;
    }
    struct verdict_sentence *s = NULL;
    uint64_t saved = tried ? tried->saving_bytes : 0;
    double share = tried ? tried->saving_part : 0;
    if (comparison && comparison->sentence[0]) {
        const struct comparison_best *best = &comparison->best[BY_PEAK];
        bool better = best->noticeable && best->result >= 0 && best->against >= 0;
        share = better ? best->saved : 0;
        saved = better ? (uint64_t)(share * (double)comparison->result[best->against].peak_held) : 0;
        s = part_say(v, "strategy", better ? VERDICT_NOTE : VERDICT_GOOD, "%s", comparison->sentence);
    } else if (tried) {
        s = part_say(v, "strategy", VERDICT_NOTE, "%.*s%s.", (int)strlen(tried->text) - 1, tried->text,
                     because_of(look, saved).text);
    }
    if (s && share > 0 && part_is_memory_finding(saved, (uint64_t)((double)saved / share))) {
        s->tone = VERDICT_BAD;
        s->weight = part_weight(saved, (uint64_t)((double)saved / share));
    }
    if (s) {
        part_link(s, "strategies", NULL, g && rounding(look, g) >= saved / FINDING_HALF ? g : NULL);
    }
}
