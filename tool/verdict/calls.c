/* Sentences about calls of malloc and free: blocks that are there for a moment, blocks that grow in small steps, and blocks that one
 * thread makes and another frees. See part.h. */
#include <stdio.h>

#include "verdict/part.h"

/* -- there for a moment -- */

static uint64_t temporary(const struct look *look, const struct group *g) { return (void)look, g->sum.temporary; }

void say_temporary(const struct look *look, struct verdict *v)
{
    const struct profile *p = look->profile;
    const struct group *g = part_most(look, temporary);
    struct words within = words_ns(p->wanted.temporary);
    if (!p->timed) {
        snprintf(within.text, sizeof within.text, "%u events", (unsigned)p->wanted.temporary);
    }
    if (p->allocs > 0 && trace_about(look->trace)->is_profile) {
        part_link(part_say(v, "temporary", VERDICT_NOTE,
                           "%s allocation%s of %s on average; how long the blocks lived is not known.",
                           words_count(p->allocs).text, words_s(p->allocs), words_bytes(p->bytes / p->allocs).text),
                  "sizes", NULL, NULL);
    } else if (p->allocs > 0) {
        bool finding = g && part_is_calls_finding(p, g->sum.temporary, p->allocs);
        struct verdict_sentence *s = part_say(
            v, "temporary", finding ? VERDICT_BAD : VERDICT_NOTE,
            "Of %s allocation%s of %s on average, %s lived less than %s%s%s%s%s.", words_count(p->allocs).text,
            words_s(p->allocs), words_bytes(p->bytes / p->allocs).text, words_percent(p->temporary, p->allocs).text,
            within.text, g ? ", " : "", g ? words_percent(g->sum.temporary, p->temporary).text : "",
            g ? " of those from " : "", g ? part_place(g).text : "");
        s->weight = finding ? part_weight(g->sum.temporary, p->allocs) : 0;
        part_link(s, "flame", "temporary", g);
    }
}

/* -- grown in small steps -- */

static uint64_t reallocs(const struct look *look, const struct group *g) { return (void)look, g->sum.reallocs; }

void say_reallocs(const struct look *look, struct verdict *v)
{
    const struct profile *p = look->profile;
    const struct group *g = part_most(look, reallocs);
    if (!g || p->reallocs < NOTE_CALLS || p->reallocs * 50 < p->allocs) {
        return;
    }
    uint64_t size = g->sum.bytes / g->sum.allocs, step = g->sum.grown / g->sum.reallocs;
    bool small = step > 0 && step < size / 8, finding = small && part_is_calls_finding(p, g->sum.reallocs, p->allocs);
    char by[112] = "";
    if (small) {
        snprintf(by, sizeof by, ", where blocks of %s on average grew by %s each time", words_bytes(size).text,
                 words_bytes(step).text);
    }
    struct verdict_sentence *s =
        part_say(v, "realloc", finding ? VERDICT_BAD : VERDICT_NOTE,
                 "%s of the allocations are reallocs, %s of which moved the block; %s from %s%s.",
                 words_percent(p->reallocs, p->allocs).text, words_percent(p->reallocs_moved, p->reallocs).text,
                 words_percent(g->sum.reallocs, p->reallocs).text, part_place(g).text, by);
    s->weight = finding ? part_weight(g->sum.reallocs, p->allocs) : 0;
    part_link(s, "sites", "reallocs", g);
}

/* -- from one thread to another -- */

/* Frees by another thread than that which allocated. */
static uint64_t passed_on(const struct look *look, const struct group *g)
{
    (void)look;
    uint64_t ended = g->sum.frees - g->sum.passed;
    return ended > g->sum.same_thread ? ended - g->sum.same_thread : 0;
}

struct busiest {
    const struct profile_process *process;
    uint32_t allocates, frees; /* threads that did most of either */
    uint64_t frees_all, frees_others;
};

/* In the process with most frees of others' blocks. */
static struct busiest find_busiest(const struct profile *p)
{
    struct busiest out = {0};
    for (uint32_t i = 0; i < p->processes; i++) {
        const struct profile_process *process = p->process[i];
        struct busiest b = {.process = process};
        for (uint32_t t = 0; t < process->threads; t++) {
            const struct profile_thread *thread = &process->thread[t];
            b.frees_all += thread->frees;
            b.frees_others += thread->freed_others;
            b.allocates = thread->allocs > process->thread[b.allocates].allocs ? t : b.allocates;
            b.frees = thread->freed_others > process->thread[b.frees].freed_others ? t : b.frees;
        }
        out = b.frees_others > out.frees_others ? b : out;
    }
    return out;
}

/* "Thread 2 (producer)". */
static struct place thread_words(const struct profile_process *process, uint32_t number)
{
    struct place out;
    const char *name = process->thread[number].name;
    snprintf(out.text, sizeof out.text, "%s %u%s%s%s", "thread", number, name[0] ? " (" : "", name, name[0] ? ")" : "");
    return out;
}

void say_threads(const struct look *look, struct verdict *v)
{
    const struct profile *p = look->profile;
    struct busiest b = find_busiest(p);
    const struct group *g = part_most(look, passed_on);
    if (!g || b.frees_others < NOTE_CALLS || b.frees_others < b.frees_all / FINDING_TENTH) {
        return;
    }
    const struct profile_thread *thread = b.process->thread;
    bool finding = part_is_calls_finding(p, b.frees_others, b.frees_all);
    struct verdict_sentence *s = part_say(
        v, "threads", finding ? VERDICT_BAD : VERDICT_NOTE,
        "%s of %s frees are of blocks that another thread allocated, %s of those from %s: %s makes %s of the "
        "allocations, %s frees most of what others made.",
        words_percent(b.frees_others, b.frees_all).text, words_count(b.frees_all).text,
        words_percent(passed_on(look, g), b.frees_others).text, part_place(g).text,
        thread_words(b.process, b.allocates).text, words_percent(thread[b.allocates].allocs, b.process->allocs).text,
        thread_words(b.process, b.frees).text);
    s->weight = finding ? part_weight(b.frees_others, b.frees_all) : 0;
    part_link(s, "threads", NULL, g);
}
