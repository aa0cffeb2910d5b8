/* allot report --text: for a reader at a terminal, of 100 columns where nothing is known of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report.h"
#include "verdict.h"
#include "words.h"

#define WIDTH     100
#define NARROWEST 72
#define WIDEST    160
#define SPARKS    64
#define PLACE     70 /* columns of a place, where lines may be longer than a terminal's */
#define CALLERS   4
#define BAR       30

static bool colour, utf8;
static bool fixed; /* lines have to keep within `width` */
static size_t width;

static const char *bold(void) { return colour ? "\033[1m" : ""; }
static const char *dim(void) { return colour ? "\033[2m" : ""; }
static const char *plain(void) { return colour ? "\033[0m" : ""; }

static void heading(const char *text) { printf("\n%s%s%s\n", bold(), text, plain()); }

/* Breaks lines between words. */
static void put_sentence(const char *text)
{
    size_t column = 2, length;
    fputs("  ", stdout);
    for (const char *word = text; *word; word += length + strspn(word + length, " ")) {
        char one[256];
        length = strcspn(word, " ");
        size_t columns = length;
        if (column > 2 && column + 1 + columns > width) {
            fputs("\n    ", stdout);
            column = 4;
        } else if (word != text) {
            putchar(' ');
            column++;
        }
        snprintf(one, sizeof one, "%.*s", (int)(length < sizeof one ? length : sizeof one - 1), word);
        column += words_put(stdout, one, fixed ? width - 4 : 0);
    }
    putchar('\n');
}

static struct words time_of(const struct profile *p, uint64_t time)
{
    return p->timed ? words_ns(time > p->begin ? time - p->begin : 0) : words_count(time);
}

static void put_head(const struct look *look)
{
    const struct trace_about *about = trace_about(look->trace);
    const struct profile *p = look->profile;
    const char *path;
    printf("%s", bold());
    words_put(stdout, words_base(look->path), 60);
    printf("%s: ", plain());
    if (about->command) {
        words_put(stdout, about->command, 80);
        printf(", ");
    }
    printf("%s event%s", words_count(p->events).text, words_s(p->events));
    if (p->timed) {
        printf(" in %s", words_ns(p->end - p->begin).text);
    }
    if (p->processes > 1) {
        printf(" of %s processes", words_count(p->processes).text);
    }
    if (about->began) {
        char when[32];
        struct tm tm;
        time_t began = (time_t)about->began;
        if (localtime_r(&began, &tm) && strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm)) {
            printf(", recorded %s", when);
        }
    }
    putchar('\n');
    size_t changed = symbols_changed(look->symbols, &path);
    if (changed > 0) {
        printf("%zu file%s changed since: their functions are not named; ", changed, changed == 1 ? " has" : "s have");
        words_put(stdout, path, 80);
        printf("%s\n", changed == 1 ? "" : " among them");
    }
}

/* -- advice -- */

/* Strategies have a sentence already. */
static void put_advice(const struct advice_list *list)
{
    bool any = false;
    for (size_t i = 0; list && i < list->count; i++) {
        if (list->advice[i].kind != ADVICE_STRATEGY) {
            if (!any) {
                heading("Worth a try: what it saves was replayed");
            }
            any = true;
            put_sentence(list->advice[i].text);
        }
    }
}

/* -- over time -- */

static uint64_t live_of(const struct timeline_point *point) { return point->high; }
static uint64_t resident_of(const struct timeline_point *point) { return point->resident; }
static uint64_t allocs_of(const struct timeline_point *point) { return point->allocs; }

static uint32_t spark_count(void) { return width < SPARKS + 36 ? (uint32_t)width - 36 : SPARKS; }

/* A row of blocks, each the most of its points, or their sum. */
static void put_sparks(const char *name, const struct timeline *t, uint64_t (*of)(const struct timeline_point *),
                       bool sum, const char *most)
{
    static const char *const fine[] = {" ",      "\u2581", "\u2582", "\u2583", "\u2584",
                                       "\u2585", "\u2586", "\u2587", "\u2588"};
    static const char *const coarse[] = {" ", ".", ":", "-", "=", "+", "*", "#", "@"};
    uint64_t value[SPARKS] = {0}, highest = 0;
    uint32_t sparks = spark_count();
    for (uint32_t i = 0; i < t->count; i++) {
        uint32_t at = t->count <= sparks ? i : (uint32_t)((uint64_t)i * sparks / t->count);
        uint64_t v = of(&t->point[i]);
        value[at] = sum ? value[at] + v : v > value[at] ? v : value[at];
        highest = value[at] > highest ? value[at] : highest;
    }
    if (highest == 0) {
        return;
    }
    printf("  %-9s ", name);
    for (uint32_t i = 0; i < sparks && i < t->count; i++) {
        unsigned level = value[i] ? 1 + (unsigned)((double)value[i] / (double)highest * 7.999) : 0;
        fputs(utf8 ? fine[level > 8 ? 8 : level] : coarse[level > 8 ? 8 : level], stdout);
    }
    for (uint32_t i = t->count; i < sparks; i++) {
        putchar(' ');
    }
    printf("  %s\n", most);
}

static void put_timeline(const struct profile *p)
{
    char most[64];
    const struct timeline *t = &p->timeline;
    uint32_t columns = t->count < spark_count() ? t->count : spark_count();
    heading("Over time");
    snprintf(most, sizeof most, "%s at most", words_bytes(p->peak_bytes).text);
    put_sparks("live", t, live_of, false, most);
    snprintf(most, sizeof most, "%s at most", words_bytes(p->resident_peak).text);
    put_sparks("resident", t, resident_of, false, most);
    snprintf(most, sizeof most, "%s in all", words_count(p->allocs).text);
    put_sparks("allocated", t, allocs_of, true, most);
    struct words end = time_of(p, p->end);
    int gap = (int)columns - 1 - (int)strlen(end.text);
    printf("            0%*s%s%s\n", gap > 1 ? gap : 1, "", end.text, p->timed ? "" : " events");
    for (uint32_t i = 0; i < p->marks && i < 20; i++) {
        printf("  mark %9s  ", time_of(p, p->mark[i].time).text);
        words_put(stdout, p->mark[i].text, width - 30);
        putchar('\n');
    }
    if (p->marks > 20) {
        printf("  and %u marks more\n", p->marks - 20);
    }
}

/* -- places -- */

static uint64_t ended(const struct profile_site *s) { return s->frees - s->passed; }

static struct words mean_life(const struct profile *p, const struct profile_site *s)
{
    struct words none = {"-"};
    if (ended(s) == 0 || s->life_least == UINT64_MAX) { /* of a profile no life is known */
        return none;
    }
    uint64_t mean = (uint64_t)(s->life_sum / (double)ended(s));
    return p->timed ? words_ns(mean) : words_count(mean);
}

static const struct {
    const char *title;
    const char *columns;
} tables[REPORT_SORTS] = {
    {"Live at the peak", "       bytes       blocks    share  from"},
    {"Never freed", "       bytes       blocks    share  from"},
    {"Most allocations", "      allocs    share        bytes    mean life  from"},
    {"Most that lived briefly", "       brief    share  of its own    mean life  from"},
    {"Most bytes allocated", "       bytes    share       allocs    mean size  from"},
    {"Grew all the time", "          by   held at least          now  from"},
    {"Most reallocs", "    reallocs    share     grown by  from"},
    {"Most lost to size classes", "       bytes    share of what was asked for  from"},
};

/* How many columns it took. */
static int put_row(const struct look *look, const struct group *g, enum report_sort sort)
{
    const struct profile *p = look->profile;
    const struct profile_site *s = &g->sum;
    switch (sort) {
    case BY_PEAK:
        return printf("%12s %12s %8s  ", words_bytes(s->peak_bytes).text, words_count(s->peak_blocks).text,
                      words_percent(s->peak_bytes, p->peak_bytes).text);
    case BY_END:
        return printf("%12s %12s %8s  ", words_bytes(s->left_bytes).text, words_count(s->left_blocks).text,
                      words_percent(s->left_bytes, p->left_bytes).text);
    case BY_ALLOCS:
        return printf("%12s %8s %12s %12s  ", words_count(s->allocs).text, words_percent(s->allocs, p->allocs).text,
                      words_bytes(s->bytes).text, mean_life(p, s).text);
    case BY_TEMPORARY:
        return printf("%12s %8s %11s %12s  ", words_count(s->temporary).text,
                      words_percent(s->temporary, p->temporary).text, words_percent(s->temporary, s->allocs).text,
                      mean_life(p, s).text);
    case BY_BYTES:
        return printf("%12s %8s %12s %12s  ", words_bytes(s->bytes).text, words_percent(s->bytes, p->bytes).text,
                      words_count(s->allocs).text, words_bytes(s->allocs ? s->bytes / s->allocs : 0).text);
    case BY_GROWTH:
        return printf("%12s %15s %12s  ", words_bytes(profile_growth(p, s)).text,
                      words_bytes(s->low[p->windows - 1]).text, words_bytes(s->left_bytes).text);
    case BY_REALLOCS:
        return printf("%12s %8s %12s  ", words_count(s->reallocs).text, words_percent(s->reallocs, p->reallocs).text,
                      words_bytes(s->grown).text);
    default:
        return printf("%12s %27s  ", words_bytes(s->slack).text, words_percent(s->slack, s->bytes).text);
    }
}

/* What called that is the same in every program. */
static bool is_main(const struct symbol_frame *f) { return f->function && strcmp(f->function, "main") == 0; }

static void put_place(const struct look *look, const struct group *g, size_t column)
{
    struct symbol_frame caller[CALLERS];
    size_t count = look_callers(look, g->widest, caller, CALLERS);
    char stacks[32] = "";
    if (g->sites > 1) {
        snprintf(stacks, sizeof stacks, "  (%u stacks)", g->sites);
    }
    size_t taken = column + strlen(stacks);
    printf("%s", bold());
    names_put(stdout, &g->place, !fixed ? PLACE : width > taken + 20 ? width - taken : 20);
    printf("%s%s%s%s", plain(), dim(), stacks, plain());
    putchar('\n');
    if (count > 1 && !is_main(&g->place)) {
        printf("%s               ", dim());
        for (size_t i = 1, column = 15; i < count && column < width - 20; i++) {
            column += 3 + (fputs(" < ", stdout), names_put(stdout, &caller[i], width - column - 3));
            if (is_main(&caller[i])) {
                break;
            }
        }
        printf("%s\n", plain());
    }
}

static void put_table(const struct look *look, enum report_sort sort, size_t top)
{
    uint32_t *order = malloc(((size_t)look->groups + 1) * sizeof *order);
    uint32_t count = order ? report_order(look, sort, order) : 0;
    if (count > 0) {
        heading(tables[sort].title);
        printf("%s\n", tables[sort].columns);
    }
    for (uint32_t i = 0; i < count && (top == 0 || i < top); i++) {
        int column = put_row(look, &look->group[order[i]], sort);
        put_place(look, &look->group[order[i]], (size_t)column);
    }
    if (top && count > top) {
        printf("  and %zu place%s more\n", (size_t)(count - top), words_s(count - top));
    }
    free(order);
}

/* -- sizes, lifetimes, threads, processes -- */

static void put_bar(uint64_t part, uint64_t most)
{
    size_t longest = width < BAR + 52 ? width - 52 : BAR;
    unsigned length = most ? (unsigned)((double)part / (double)most * (double)longest + 0.5) : 0;
    for (unsigned i = 0; i < length; i++) {
        fputs(i ? "" : "  ", stdout);
        fputs(utf8 ? "\u2588" : "#", stdout);
    }
    putchar('\n');
}

static void put_bins(const struct profile *p, const uint64_t *bin, bool sizes)
{
    uint64_t most = 0, all = 0;
    for (unsigned i = 0; i < PROFILE_BINS; i++) {
        most = bin[i] > most ? bin[i] : most;
        all += bin[i];
    }
    if (all == 0) {
        return;
    }
    heading(sizes ? "Sizes" : "Lifetimes");
    printf(sizes ? "       up to       allocs    share        bytes\n" : "       up to        freed    share\n");
    for (unsigned i = 0; i < PROFILE_BINS; i++) {
        uint64_t bound = (uint64_t)1 << i;
        if (bin[i] == 0) {
            continue;
        }
        struct words upper = sizes ? words_bytes(bound) : p->timed ? words_ns(bound * 1000) : words_count(bound);
        printf("%12s %12s %8s", i == PROFILE_BINS - 1 ? "more" : upper.text, words_count(bin[i]).text,
               words_percent(bin[i], all).text);
        if (sizes) {
            printf(" %12s", words_bytes(p->size_bytes[i]).text);
        }
        put_bar(bin[i], most);
    }
    if (sizes && p->bytes) {
        printf("  largest %s; allot's size classes would add %s, %s\n", words_bytes(p->largest).text,
               words_bytes(p->slack).text, words_percent(p->slack, p->bytes).text);
    }
}

static int by_allocs(const void *a, const void *b)
{
    const struct profile_thread *x = *(const struct profile_thread *const *)a,
                                *y = *(const struct profile_thread *const *)b;
    return x->allocs != y->allocs ? (x->allocs < y->allocs ? 1 : -1) : (x > y) - (x < y);
}

static void put_threads(const struct profile *p, const struct profile_process *process, size_t top)
{
    const struct profile_thread **thread = malloc((process->threads + 1) * sizeof *thread);
    size_t count = 0;
    for (uint32_t i = 0; thread && i < process->threads; i++) {
        if (process->thread[i].allocs || process->thread[i].frees) {
            thread[count++] = &process->thread[i];
        }
    }
    if (count > 1) {
        char title[64];
        snprintf(title, sizeof title, p->processes > 1 ? "Threads of process %u" : "Threads", process->number);
        qsort(thread, count, sizeof *thread, by_allocs);
        heading(title);
        printf("      thread       allocs        bytes        freed  of others'  name\n");
    }
    for (size_t i = 0; count > 1 && i < count && (top == 0 || i < top); i++) {
        const struct profile_thread *t = thread[i];
        uint32_t number = (uint32_t)(t - process->thread);
        printf("%12s %12s %12s %12s %11s%s", number ? words_count(number).text : "others", words_count(t->allocs).text,
               words_bytes(t->bytes).text, words_count(t->frees).text, words_percent(t->freed_others, t->frees).text,
               t->name[0] ? "  " : "");
        words_put(stdout, t->name, 30);
        putchar('\n');
    }
    if (count > 1 && top && count > top) {
        printf("  and %zu thread%s more\n", count - top, words_s(count - top));
    }
    free(thread);
}

static int by_peak(const void *a, const void *b)
{
    const struct profile_process *x = *(const struct profile_process *const *)a,
                                 *y = *(const struct profile_process *const *)b;
    return x->peak_bytes != y->peak_bytes ? (x->peak_bytes < y->peak_bytes ? 1 : -1)
                                          : (x->number > y->number) - (x->number < y->number);
}

static void put_processes(const struct profile *p, size_t top)
{
    struct profile_process **process = malloc((p->processes + 1) * sizeof *process);
    if (process && p->processes > 1) {
        memcpy(process, p->process, p->processes * sizeof *process);
        qsort(process, p->processes, sizeof *process, by_peak);
        heading("Processes");
        printf("      number       parent       allocs         peak  never freed  end       program\n");
        for (uint32_t i = 0; i < p->processes && (top == 0 || i < top); i++) {
            const struct profile_process *one = process[i];
            printf("%12u %12u %12s %12s %12s  %-9s ", one->number, one->parent, words_count(one->allocs).text,
                   words_bytes(one->peak_bytes).text, words_bytes(one->left_bytes).text,
                   one->exited   ? "exit"
                   : one->killed ? "killed"
                                 : "-");
            words_put(stdout, one->program ? words_base(one->program) : "", 30);
            putchar('\n');
        }
        if (top && p->processes > top) {
            printf("  and %zu more\n", p->processes - top);
        }
    }
    free(process);
}

void report_text(const struct look *look, const struct report_wanted *wanted)
{
    const struct profile *p = look->profile;
    struct verdict verdict;
    size_t columns = words_columns();
    fixed = columns > 0;
    width = !fixed ? WIDTH : columns < NARROWEST ? NARROWEST : columns > WIDEST ? WIDEST : columns;
    colour = words_colour();
    utf8 = words_utf8();
    put_head(look);
    if (!wanted->all_tables) {
        put_table(look, wanted->sort, wanted->top);
        return;
    }
    putchar('\n');
    verdict_with(look, &(struct verdict_beside){.advice = wanted->advice}, &verdict);
    for (size_t i = 0; i < verdict.count; i++) {
        put_sentence(verdict.sentence[i].text);
    }
    put_advice(wanted->advice);
    if (p->allocs + p->before_blocks == 0) {
        return;
    }
    if (p->timeline.count > 1) {
        put_timeline(p);
    }
    for (enum report_sort sort = BY_PEAK; sort <= BY_TEMPORARY; sort++) {
        put_table(look, sort, wanted->top);
    }
    put_table(look, BY_GROWTH, wanted->top);
    put_bins(p, p->sizes, true);
    put_bins(p, p->lives, false);
    for (uint32_t i = 0; i < p->processes && i < 8; i++) {
        put_threads(p, p->process[i], wanted->top);
    }
    put_processes(p, wanted->top);
}
