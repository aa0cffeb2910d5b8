/* allot compare as text: sentences, then a table of strategies and one of mallocs, the best of each column marked. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"
#include "words.h"

#define COLUMNS_MOST 9
#define CELL         72
#define WIDTH        100

struct cell {
    char text[CELL];
    double figure; /* less is better; */
    bool judged;   /* and is to be marked where it is the least */
};

struct row {
    const struct replay_result *result;
    double order; /* by it, ascending; who failed comes last */
    struct cell cell[COLUMNS_MOST];
};

struct table {
    const char *const *heading; /* `columns` of them, behind that of names */
    unsigned columns, rows;
    struct row *row;
};

static bool colour;

struct compare_parts compare_parts(const struct replay_result *result)
{
    const struct replay_moment *m = &result->at_live_peak;
    if (result->real || m->held == 0) {
        return (struct compare_parts){0};
    }
    return (struct compare_parts){.internal = (double)(m->used - m->live) / (double)m->held,
                                  .external = (double)(m->held - m->used) / (double)m->held};
}

/* -- tables -- */

static void set(struct cell *cell, bool judged, double figure, const char *text)
{
    *cell = (struct cell){.figure = figure, .judged = judged};
    snprintf(cell->text, sizeof cell->text, "%s", text);
}

static void set_bytes(struct cell *cell, bool judged, uint64_t bytes)
{
    set(cell, judged, (double)bytes, words_bytes(bytes).text);
}

static void set_real(struct cell *cell, bool judged, double figure, const char *format)
{
    char text[CELL];
    snprintf(text, sizeof text, format, figure);
    set(cell, judged, figure, text);
}

static int by_order(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    if ((*x->result->failed != '\0') != (*y->result->failed != '\0')) {
        return *x->result->failed ? 1 : -1;
    }
    return x->order != y->order ? (x->order > y->order ? 1 : -1) : strcmp(x->result->name, y->result->name);
}

/* The least of a column, of those that may be marked. */
static bool find_best(const struct table *t, unsigned column, double *best)
{
    bool found = false, differ = false;
    for (unsigned i = 0; i < t->rows; i++) {
        const struct cell *c = &t->row[i].cell[column];
        if (!*t->row[i].result->failed && c->judged) {
            differ |= found && c->figure != *best;
            *best = !found || c->figure < *best ? c->figure : *best;
            found = true;
        }
    }
    return differ;
}

static unsigned width_of(const struct table *t, unsigned column)
{
    size_t width = strlen(t->heading[column]);
    for (unsigned i = 0; i < t->rows; i++) {
        size_t length = *t->row[i].result->failed ? 0 : strlen(t->row[i].cell[column].text);
        width = length > width ? length : width;
    }
    return (unsigned)width;
}

static void print_failure(const struct replay_result *result, unsigned names)
{
    printf("  %-*s  ", (int)names, result->name);
    words_put(stdout, result->failed, WIDTH + 40);
    putchar('\n');
}

/* `last`: the last column is words, to the left. */
static void print(const struct table *t, const char *title, bool last)
{
    double best[COLUMNS_MOST];
    bool marked[COLUMNS_MOST];
    unsigned names = 8, width[COLUMNS_MOST];
    for (unsigned i = 0; i < t->rows; i++) {
        unsigned length = (unsigned)strlen(t->row[i].result->name);
        names = length > names ? length : names;
    }
    printf("\n%s%s%s\n  %-*s", colour ? "\033[1m" : "", title, colour ? "\033[0m" : "", (int)names, "");
    size_t columns = words_columns(), used = names + 4;
    for (unsigned k = 0; k < t->columns; k++) {
        marked[k] = find_best(t, k, &best[k]);
        width[k] = width_of(t, k);
        used += last && k + 1 == t->columns ? 0 : width[k] + 3;
        bool left = last && k + 1 == t->columns;
        printf("  %*s%s", left ? 0 : (int)width[k], t->heading[k], left ? "" : " ");
    }
    putchar('\n');
    for (unsigned i = 0; i < t->rows; i++) {
        const struct row *row = &t->row[i];
        if (*row->result->failed) {
            print_failure(row->result, names);
            continue;
        }
        printf("  %-*s", (int)names, row->result->name);
        for (unsigned k = 0; k < t->columns; k++) {
            const struct cell *c = &row->cell[k];
            bool is_best = marked[k] && c->judged && c->figure == best[k];
            const char *on = is_best && colour ? "\033[1;32m" : "", *off = *on ? "\033[0m" : "";
            if (last && k + 1 == t->columns) {
                printf("  ");
                words_put(stdout, c->text, columns > used ? columns - used : 0);
            } else {
                printf("  %s%*s%s%s", on, (int)width[k], c->text, is_best ? "*" : " ", off);
            }
        }
        putchar('\n');
    }
}

/* -- strategies -- */

/* "splits 12k": figures of any size in few columns. */
static void put_count(char *out, size_t room, const struct replay_count *count)
{
    static const char *const units[] = {"", "k", "M", "G", "T"};
    double value = (double)count->value;
    unsigned u = 0;
    for (; value >= 10000 && u < 4; u++) {
        value /= 1000;
    }
    size_t at = strlen(out);
    snprintf(out + at, room - at, "%s%s %.0f%s", at ? ", " : "", count->name, value, units[u]);
}

static void fill_model(const struct comparison *c, struct row *row, bool smallest)
{
    const struct replay_result *r = row->result;
    struct compare_parts parts = compare_parts(r);
    const struct replay_moment *m = &r->at_live_peak;
    double live = c->ops->peak_live ? (double)c->ops->peak_live : 1, peak = 0;
    bool good = comparison_figure(r, BY_PEAK, &peak);
    unsigned k = 0;
    peak = (double)(r->peak_held + m->metadata);
    row->order = good ? peak : 1e300;
    set_bytes(&row->cell[k++], good, (uint64_t)peak);
    set_real(&row->cell[k++], good, peak / live, "%.3f");
    set_real(&row->cell[k++], good, r->mean_held_over_live, "%.2f");
    set_real(&row->cell[k++], good, 100 * parts.internal, "%.1f");
    set_real(&row->cell[k++], good, 100 * parts.external, "%.1f");
    set_bytes(&row->cell[k++], good, m->metadata);
    set_bytes(&row->cell[k++], false, m->largest_hole);
    if (smallest) {
        set_bytes(&row->cell[k], r->smallest > 0, r->smallest);
        if (r->smallest == 0) {
            set(&row->cell[k], false, 0, "-");
        }
        k++;
    }
    struct cell *counts = &row->cell[k];
    if (r->refused) {
        snprintf(counts->text, sizeof counts->text, "refused %s", words_count(r->refused).text);
    }
    for (uint32_t i = 0; i < r->counts && strlen(counts->text) < CELL / 2; i++) {
        if (r->count[i].value > 0) {
            put_count(counts->text, sizeof counts->text, &r->count[i]);
        }
    }
}

static void print_models(const struct comparison *c)
{
    static const char *const plain[] = {"at peak", "of live",  "mean",         "rounded %",
                                        "holes %", "metadata", "largest hole", "counts"};
    static const char *const with[] = {"at peak",  "of live",      "mean",     "rounded %", "holes %",
                                       "metadata", "largest hole", "smallest", "counts"};
    bool smallest = false;
    for (unsigned i = 0; i < c->models; i++) {
        smallest |= c->result[i].smallest > 0;
    }
    struct table t = {.heading = smallest ? with : plain, .columns = smallest ? 9 : 8, .rows = c->models};
    t.row = calloc(c->models + 1, sizeof *t.row);
    for (unsigned i = 0; t.row && i < c->models; i++) {
        t.row[i].result = &c->result[i];
        fill_model(c, &t.row[i], smallest);
    }
    if (t.row && c->models > 0) {
        qsort(t.row, t.rows, sizeof *t.row, by_order);
        print(&t, "strategies, replayed: memory and counts are exact, there are no times", true);
    }
    free(t.row);
}

/* -- mallocs -- */

static void fill_real(const struct comparison *c, struct row *row)
{
    const struct replay_result *r = row->result;
    double live = c->ops->peak_live ? (double)c->ops->peak_live : 1, figure;
    bool good = comparison_figure(r, BY_RESIDENT, &figure);
    char text[CELL];
    row->order = good ? (double)r->peak_held : 1e300;
    set_bytes(&row->cell[0], good, r->peak_held);
    set_real(&row->cell[1], good, (double)r->peak_held / live, "%.3f");
    set_real(&row->cell[2], good, r->mean_held_over_live, "%.2f");
    if (r->runs > 0) {
        set_real(&row->cell[3], good, r->ns_op, "%.1f");
        snprintf(text, sizeof text, "%.1f - %.1f", r->ns_op_least, r->ns_op_most);
        set(&row->cell[4], false, 0, text);
        set(&row->cell[5], good, (double)r->faults, words_count(r->faults).text);
    }
    snprintf(row->cell[6].text, CELL, "%s%.24s", r->refused ? "refused some; " : "", r->version);
}

static void print_reals(const struct comparison *c)
{
    static const char *const heading[] = {"at peak",      "of live", "mean",   "ns a call",
                                          "least - most", "faults",  "version"};
    struct table t = {.heading = heading, .columns = 7, .rows = c->results - c->models};
    char title[160];
    t.row = calloc(t.rows + 1, sizeof *t.row);
    for (unsigned i = 0; t.row && i < t.rows; i++) {
        t.row[i].result = &c->result[c->models + i];
        fill_real(c, &t.row[i]);
    }
    if (t.row && t.rows > 0) {
        qsort(t.row, t.rows, sizeof *t.row, by_order);
        snprintf(title, sizeof title,
                 "mallocs, each in a fresh process: resident memory, and the median of %u interleaved run%s", c->rounds,
                 c->rounds == 1 ? "" : "s");
        print(&t, title, true);
    }
    free(t.row);
}

/* -- all of it -- */

/* Breaks lines between words. */
static void print_sentence(const char *text)
{
    size_t columns = words_columns(), width = columns > 60 && columns < 160 ? columns : WIDTH, column = 2;
    if (!*text) {
        return;
    }
    printf("  ");
    for (const char *word = text; *word; word += strspn(word, " ")) {
        size_t length = strcspn(word, " ");
        if (column > 2 && column + 1 + length > width) {
            printf("\n    ");
            column = 4;
        } else if (word != text) {
            putchar(' ');
            column++;
        }
        char one[128];
        snprintf(one, sizeof one, "%.*s", (int)length, word);
        column += words_put(stdout, one, 0);
        word += length;
    }
    putchar('\n');
}

void compare_text(const struct comparison *c, const char *name)
{
    const struct ops *ops = c->ops;
    uint64_t calls = ops->allocs + ops->frees + ops->resizes;
    colour = words_colour();
    printf("%s", colour ? "\033[1m" : "");
    words_put(stdout, words_base(name), 60);
    printf("%s: %s%s call%s of %s thread%s, at most %s live\n", colour ? "\033[0m" : "", c->cut ? "the first " : "",
           words_count(calls).text, words_s(calls), words_count(ops->threads).text, words_s(ops->threads),
           words_bytes(ops->peak_live).text);
    print_sentence(c->sentence);
    print_sentence(c->sentence_real);
    print_models(c);
    print_reals(c);
    printf("\nat peak: with metadata; of live: that over what is live at most; mean: held over live, over time; "
           "rounded, holes:\nof what is held where most is live. * marks the best.%s\n",
           c->results > c->models
               ? " A malloc holds what is resident; its times are of calls and first\ntouches, without the "
                 "program's own work."
               : "");
}

/* Of strategies the first sentence speaks. */
void compare_advice(const struct advice_list *advice)
{
    bool any = false;
    for (size_t i = 0; i < advice->count; i++) {
        if (advice->advice[i].kind != ADVICE_STRATEGY) {
            printf("%s", any      ? ""
                         : colour ? "\n\033[1mworth a try, as replayed\033[0m\n"
                                  : "\nworth a try, as replayed\n");
            any = true;
            print_sentence(advice->advice[i].text);
        }
    }
}
