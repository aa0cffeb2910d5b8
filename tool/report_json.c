/* allot report --json: all of it, in the form that allot-report(1) describes. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "report.h"
#include "verdict.h"
#include "words.h"

#define FRAMES 64 /* of a place's widest stack */

static void put_moment(struct json *j, const struct profile *p, const char *key, uint64_t time)
{
    json_number(j, key, p->timed && time > p->begin ? time - p->begin : p->timed ? 0 : time);
}

static void put_bins(struct json *j, const char *key, const uint64_t *bin, const uint64_t *bytes)
{
    json_array(j, key);
    for (unsigned i = 0; i < PROFILE_BINS; i++) {
        if (bin[i] > 0) {
            json_object(j, NULL);
            if (i < PROFILE_BINS - 1) {
                json_number(j, "up_to", (uint64_t)1 << i);
            } else {
                json_text(j, "up_to", NULL);
            }
            json_number(j, "blocks", bin[i]);
            if (bytes) {
                json_number(j, "bytes", bytes[i]);
            }
            json_end(j);
        }
    }
    json_end(j);
}

static void put_life(struct json *j, const struct profile_site *s)
{
    double ended = (double)(s->frees - s->passed), mean = s->life_sum / ended,
           variance = s->life_squares / ended - mean * mean;
    if (ended > 0 && s->life_least != UINT64_MAX) { /* of a profile no life is known */
        json_object(j, "lifetime");
        json_real(j, "mean", mean);
        json_real(j, "deviation", variance > 0 ? sqrt(variance) : 0);
        json_number(j, "least", s->life_least);
        json_number(j, "most", s->life_most);
        json_end(j);
    } else {
        json_text(j, "lifetime", NULL);
    }
}

static void put_site(struct json *j, const struct look *look, const struct group *g)
{
    struct symbol_frame caller[FRAMES];
    const struct profile_site *s = &g->sum;
    uint64_t sizes[PROFILE_BINS];
    json_object(j, NULL);
    names_json_place(j, &g->place);
    json_number(j, "stacks", g->sites);
    json_number(j, "allocs", s->allocs);
    json_number(j, "bytes", s->bytes);
    json_number(j, "before_blocks", s->before_blocks);
    json_number(j, "before_bytes", s->before_bytes);
    json_number(j, "frees", s->frees);
    json_number(j, "freed_bytes", s->freed_bytes);
    json_number(j, "peak_blocks", s->peak_blocks);
    json_number(j, "peak_bytes", s->peak_bytes);
    json_number(j, "own_peaks_bytes", s->own_peak_bytes);
    json_number(j, "left_blocks", s->left_blocks);
    json_number(j, "left_bytes", s->left_bytes);
    json_number(j, "growth_bytes", profile_growth(look->profile, s));
    json_number(j, "temporary", s->temporary);
    json_number(j, "temporary_bytes", s->temporary_bytes);
    put_life(j, s);
    json_number(j, "same_thread_frees", s->same_thread);
    json_number(j, "threads", s->threads);
    json_number(j, "reallocs", s->reallocs);
    json_number(j, "realloc_growth_bytes", s->grown);
    json_number(j, "slack_bytes", s->slack);
    for (unsigned i = 0; i < PROFILE_BINS; i++) {
        sizes[i] = s->sizes[i];
    }
    put_bins(j, "sizes", sizes, NULL);
    names_json(j, "stack", caller, look_callers(look, g->widest, caller, FRAMES));
    json_end(j);
}

static void put_timeline(struct json *j, const struct profile *p)
{
    const struct timeline *t = &p->timeline;
    json_object(j, "timeline");
    json_number(j, "interval", t->length);
    json_array(j, "points");
    for (uint32_t i = 0; i < t->count; i++) {
        const struct timeline_point *point = &t->point[i];
        json_object(j, NULL);
        json_number(j, "live_bytes", point->live_bytes);
        json_number(j, "live_blocks", point->live_blocks);
        json_number(j, "high_bytes", point->high);
        json_number(j, "resident_bytes", point->resident);
        json_number(j, "mapped_bytes", point->mapped);
        json_number(j, "allocs", point->allocs);
        json_end(j);
    }
    json_end(j);
    json_end(j);
    json_array(j, "marks");
    for (uint32_t i = 0; i < p->marks; i++) {
        json_object(j, NULL);
        put_moment(j, p, "time", p->mark[i].time);
        json_number(j, "process", p->mark[i].process);
        json_text(j, "text", p->mark[i].text);
        json_end(j);
    }
    json_end(j);
}

static void put_process(struct json *j, const struct profile *p, const struct profile_process *one)
{
    json_object(j, NULL);
    json_number(j, "number", one->number);
    json_number(j, "parent", one->parent);
    json_text(j, "program", one->program);
    put_moment(j, p, "began", one->began);
    put_moment(j, p, "ended", one->ended);
    json_text(j, "end", one->exited ? "exit" : one->killed ? "killed" : NULL);
    json_number(j, "allocs", one->allocs);
    json_number(j, "bytes", one->bytes);
    json_number(j, "frees", one->frees);
    json_number(j, "failed", one->failed);
    json_number(j, "peak_bytes", one->peak_bytes);
    put_moment(j, p, "peak_time", one->peak_time);
    json_number(j, "left_blocks", one->left_blocks);
    json_number(j, "left_bytes", one->left_bytes);
    json_number(j, "resident_peak_bytes", one->resident_peak);
    json_number(j, "unknown_frees", one->unknown_frees);
    json_number(j, "lost", one->lost);
    json_array(j, "threads");
    for (uint32_t i = 0; i < one->threads; i++) {
        const struct profile_thread *t = &one->thread[i];
        if (t->allocs || t->frees) {
            json_object(j, NULL);
            json_number(j, "number", i);
            json_text(j, "name", t->name[0] ? t->name : NULL);
            json_number(j, "allocs", t->allocs);
            json_number(j, "bytes", t->bytes);
            json_number(j, "frees", t->frees);
            json_number(j, "freed_of_others", t->freed_others);
            json_end(j);
        }
    }
    json_end(j);
    json_end(j);
}

static void put_recording(struct json *j, const struct look *look)
{
    const struct trace_about *about = trace_about(look->trace);
    const char *changed;
    json_object(j, "recording");
    json_text(j, "format", about->format);
    json_text(j, "command", about->command);
    json_signed(j, "began", about->began);
    json_flag(j, "has_times", about->has_times);
    json_flag(j, "has_stacks", about->has_stacks);
    json_flag(j, "truncated", about->truncated);
    json_number(j, "lost", about->lost > look->profile->lost ? about->lost : look->profile->lost);
    json_number(j, "waited_ns", about->waited_ns);
    json_number(j, "collector_cpu_ns", about->collector_cpu_ns);
    json_number(j, "changed_files", symbols_changed(look->symbols, &changed));
    json_number(j, "stacks_not_told_apart", look->profile->folded);
    json_end(j);
}

static void put_whole(struct json *j, const struct profile *p)
{
    bool known;
    uint64_t blocks, leaked = verdict_leaked(p, &known, &blocks);
    json_number(j, "events", p->events);
    json_text(j, "time_unit", p->timed ? "ns" : "event");
    json_number(j, "duration", p->end - p->begin);
    json_number(j, "allocs", p->allocs);
    json_number(j, "bytes", p->bytes);
    json_number(j, "before_blocks", p->before_blocks);
    json_number(j, "before_bytes", p->before_bytes);
    json_number(j, "frees", p->frees);
    json_number(j, "freed_bytes", p->freed_bytes);
    json_number(j, "replaced_blocks", p->replaced_blocks);
    json_number(j, "replaced_bytes", p->replaced_bytes);
    json_number(j, "unknown_frees", p->unknown_frees);
    json_number(j, "failed", p->failed);
    json_number(j, "reallocs", p->reallocs);
    json_number(j, "reallocs_moved", p->reallocs_moved);
    json_number(j, "realloc_growth_bytes", p->grown);
    json_number(j, "temporary", p->temporary);
    json_number(j, "temporary_bytes", p->temporary_bytes);
    json_number(j, "temporary_within", p->wanted.temporary);
    json_number(j, "same_thread_frees", p->same_thread);
    json_number(j, "slack_bytes", p->slack);
    json_number(j, "largest", p->largest);
    json_object(j, "peak");
    put_moment(j, p, "time", p->peak_time);
    json_number(j, "bytes", p->peak_bytes);
    json_number(j, "blocks", p->peak_blocks);
    json_number(j, "resident_bytes", p->peak_resident);
    json_end(j);
    json_object(j, "resident");
    put_moment(j, p, "peak_time", p->resident_peak_time);
    json_number(j, "peak_bytes", p->resident_peak);
    json_number(j, "live_bytes_then", p->resident_peak_live);
    json_end(j);
    json_object(j, "left");
    json_number(j, "blocks", p->left_blocks);
    json_number(j, "bytes", p->left_bytes);
    json_end(j);
    json_object(j, "leaked");
    json_text(j, "found_by", known ? "reachability" : "never freed");
    json_number(j, "blocks", blocks);
    json_number(j, "bytes", leaked);
    json_end(j);
    put_bins(j, "sizes", p->sizes, p->size_bytes);
    put_bins(j, p->timed ? "lifetimes_us" : "lifetimes_events", p->lives, NULL);
}

static void put_link(struct json *j, const struct look *look, const struct verdict_sentence *s)
{
    json_text(j, "tone", verdict_tones[s->tone]);
    if (!s->link.view) {
        json_text(j, "link", NULL);
        return;
    }
    json_object(j, "link");
    json_text(j, "view", s->link.view);
    json_text(j, "mode", s->link.mode);
    if (s->link.site) {
        struct symbol_frame place;
        names_json(j, "place", &place, look_callers(look, s->link.site, &place, 1));
    }
    if (s->link.to) {
        put_moment(j, look->profile, "from", s->link.from);
        put_moment(j, look->profile, "to", s->link.to);
    }
    json_end(j);
}

void report_json(const struct look *look, const struct report_wanted *wanted)
{
    const struct profile *p = look->profile;
    struct verdict verdict;
    struct json j;
    json_begin(&j, stdout);
    json_object(&j, NULL);
    json_text(&j, "file", look->path);
    put_recording(&j, look);
    verdict_with(look, &(struct verdict_beside){.advice = wanted->advice}, &verdict);
    json_array(&j, "verdict");
    for (size_t i = 0; i < verdict.count; i++) {
        json_object(&j, NULL);
        json_text(&j, "about", verdict.sentence[i].about);
        json_text(&j, "text", verdict.sentence[i].text);
        put_link(&j, look, &verdict.sentence[i]);
        json_end(&j);
    }
    json_end(&j);
    if (wanted->advice) {
        advice_json(&j, look, wanted->advice);
    }
    put_whole(&j, p);
    put_timeline(&j, p);
    uint32_t *order = malloc(((size_t)look->groups + 1) * sizeof *order);
    uint32_t count = order ? report_order(look, wanted->sort, order) : 0;
    json_text(&j, "sites_by", report_sorts[wanted->sort]);
    json_number(&j, "sites_in_all", look->groups);
    json_array(&j, "sites");
    for (uint32_t i = 0; i < count && (wanted->top == 0 || i < wanted->top); i++) {
        put_site(&j, look, &look->group[order[i]]);
    }
    json_end(&j);
    free(order);
    json_array(&j, "processes");
    for (uint32_t i = 0; i < p->processes; i++) {
        put_process(&j, p, p->process[i]);
    }
    json_end(&j);
    json_end(&j);
    putchar('\n');
}
