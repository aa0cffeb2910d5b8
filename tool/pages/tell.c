/* See tell.h: what the tellers share, and two of them. */
#include <math.h>

#include "json.h"
#include "pages/tell.h"
#include "words.h"

double tell_ratio(const struct tell *t, unsigned policy, unsigned size)
{
    return (double)tell_cell(t, policy, size)->misses / (double)t->refs->references;
}

double tell_mean(const struct tell *t, unsigned policy)
{
    double sum = 0;
    for (unsigned s = 0; s < t->wanted->sizes; s++) {
        sum += log(tell_ratio(t, policy, s)); /* each page misses once */
    }
    return exp(sum / t->wanted->sizes);
}

bool tell_best(const struct tell *t, unsigned policy, unsigned size)
{
    uint64_t misses = tell_cell(t, policy, size)->misses;
    for (unsigned p = 0; p < t->wanted->policies; p++) {
        if (t->wanted->policy[p] != CURVES_OPT && tell_cell(t, p, size)->misses < misses) {
            return false;
        }
    }
    return t->wanted->policy[policy] != CURVES_OPT;
}

bool tell_best_mean(const struct tell *t, unsigned policy)
{
    double mean = tell_mean(t, policy);
    for (unsigned p = 0; p < t->wanted->policies; p++) {
        if (t->wanted->policy[p] != CURVES_OPT && tell_mean(t, p) < mean) {
            return false;
        }
    }
    return t->wanted->policy[policy] != CURVES_OPT;
}

unsigned tell_unit(const struct tell *t)
{
    double most = 0;
    for (unsigned p = 0; p < t->wanted->policies; p++) {
        most = fmax(most, tell_mean(t, p));
    }
    return most >= 0.01 ? 100 : most >= 0.0001 ? 10000 : 1000000;
}

unsigned tell_translated(const struct tell *t)
{
    unsigned policy = 0;
    while (policy + 1 < t->wanted->policies && t->wanted->policy[policy] == CURVES_OPT) {
        policy++;
    }
    return policy;
}

void tell_shape(FILE *to, const struct translate_table *table)
{
    const struct translate_shape *shape = &table->shape;
    fprintf(to, "%u level%s of", shape->levels, words_s(shape->levels));
    for (unsigned l = 0; l < shape->levels; l++) {
        fprintf(to, "%s%u", l ? ", " : " ", shape->bits[l]);
    }
    fprintf(to, " bits");
}

/* -- text -- */

static void text_head(FILE *to, const struct tell *t)
{
    const struct refs *refs = t->refs;
    words_put(to, t->name, 0);
    fprintf(to, ": %s reference%s", words_count(refs->references).text, words_s(refs->references));
    if (refs->kept.count < refs->references) {
        fprintf(to, " (%s kept)", words_count(refs->kept.count).text);
    }
    fprintf(to, " to %s page%s", words_count(refs->ids.count).text, words_s(refs->ids.count));
    fprintf(to, "; %s\n", refs_format_words(refs->format));
    if (refs->window) {
        fprintf(
            to,
            "Within bursts on up to %u pages they are not kept: with fewer frames, and of other policies than opt and "
            "lru, --window 0 counts exactly.\n",
            refs->window);
    }
    if (refs->without_size) {
        fprintf(to, "Left out: %s request%s of no bytes.\n", words_count(refs->without_size).text,
                words_s(refs->without_size));
    }
    if (refs->other_lines) {
        fprintf(to, "Left out: %s line%s that %s no reference%s.\n", words_count(refs->other_lines).text,
                words_s(refs->other_lines), refs->other_lines == 1 ? "is" : "are", words_s(refs->other_lines));
    }
}

static void text_misses(FILE *to, double misses, bool best)
{
    char text[16];
    snprintf(text, sizeof text, "%s%.*f", best ? "*" : "", misses < 0.9995 ? 4 : misses < 9.995 ? 3 : 2, misses);
    fprintf(to, " %8s", text);
}

static void text_table(FILE *to, const struct tell *t)
{
    const struct curves_wanted *w = t->wanted;
    unsigned unit = tell_unit(t);
    fprintf(to, "\nMisses of %s references; * is the least of a policy.\n\n%11s %7s", words_count(unit).text, "frames",
            "% pages");
    for (unsigned p = 0; p < w->policies; p++) {
        fprintf(to, " %8s", curves_policy_name(w->policy[p]));
    }
    for (unsigned s = 0; s < w->sizes; s++) {
        double share = 100.0 * w->frames[s] / t->refs->ids.count;
        fprintf(to, "\n%11s %7.*f", words_count(w->frames[s]).text, share < 9.995 ? 2 : 0, share);
        for (unsigned p = 0; p < w->policies; p++) {
            text_misses(to, unit * tell_ratio(t, p, s), tell_best(t, p, s));
        }
    }
    if (w->sizes > 1) {
        fprintf(to, "\n%11s %7s", "geometric", "mean");
        for (unsigned p = 0; p < w->policies; p++) {
            text_misses(to, unit * tell_mean(t, p), tell_best_mean(t, p));
        }
    }
    fputc('\n', to);
}

static void text_translation(FILE *to, const struct tell *t)
{
    const struct curves_wanted *w = t->wanted;
    const struct translate_table *table = w->table;
    unsigned translated = tell_translated(t);
    fprintf(to, "\nPages of %s, ", words_bytes((uint64_t)1 << table->shape.page_shift).text);
    tell_shape(to, table);
    fprintf(to, ": ");
    for (unsigned l = 0; l < table->shape.levels; l++) {
        fprintf(to, "%s%s", l ? " + " : "", words_count(table->nodes[l]).text);
    }
    fprintf(to, " nodes, %s.\nA TLB of %u entries, %u way%s; with %s:\n\n%11s %13s %13s %9s %13s\n",
            words_bytes(table->bytes).text, table->shape.entries, table->shape.ways, words_s(table->shape.ways),
            curves_policy_name(w->policy[translated]), "frames", "hits", "walks", "reads", "faults");
    for (unsigned s = 0; s < w->sizes; s++) {
        const struct translate_counts *c = &tell_cell(t, translated, s)->translated;
        fprintf(to, "%11s %13s %13s %9.2f %13s\n", words_count(w->frames[s]).text, words_count(c->hits).text,
                words_count(c->walks).text, c->walks ? (double)c->reads / (double)c->walks : 0,
                words_count(c->faults).text);
    }
    fprintf(to, "\nReads are of the page table, for each walk.\n");
}

void tell_text(FILE *to, const struct tell *t)
{
    text_head(to, t);
    text_table(to, t);
    if (t->wanted->table) {
        text_translation(to, t);
    }
}

/* -- JSON -- */

static void json_table(struct json *j, const struct translate_table *table)
{
    json_object(j, "translation");
    json_number(j, "page_size", (uint64_t)1 << table->shape.page_shift);
    json_array(j, "bits");
    for (unsigned l = 0; l < table->shape.levels; l++) {
        json_number(j, NULL, table->shape.bits[l]);
    }
    json_end(j);
    json_array(j, "nodes");
    for (unsigned l = 0; l < table->shape.levels; l++) {
        json_number(j, NULL, table->nodes[l]);
    }
    json_end(j);
    json_number(j, "bytes", table->bytes);
    json_number(j, "tlb_entries", table->shape.entries);
    json_number(j, "tlb_ways", table->shape.ways);
    json_end(j);
}

static void json_translated(struct json *j, const struct tell *t, unsigned policy)
{
    static const char *const names[] = {"tlb_hits", "walks", "table_reads", "faults"};
    for (unsigned n = 0; n < 4; n++) {
        json_array(j, names[n]);
        for (unsigned s = 0; s < t->wanted->sizes; s++) {
            const struct translate_counts *c = &tell_cell(t, policy, s)->translated;
            json_number(j, NULL, n == 0 ? c->hits : n == 1 ? c->walks : n == 2 ? c->reads : c->faults);
        }
        json_end(j);
    }
}

void tell_json(FILE *to, const struct tell *t)
{
    const struct curves_wanted *w = t->wanted;
    struct json j;
    json_begin(&j, to);
    json_object(&j, NULL);
    json_text(&j, "trace", t->name);
    json_text(&j, "format", refs_format_name(t->refs->format));
    json_number(&j, "references", t->refs->references);
    json_number(&j, "window", t->refs->window);
    json_number(&j, "kept", t->refs->kept.count);
    json_number(&j, "pages", t->refs->ids.count);
    json_number(&j, "without_size", t->refs->without_size);
    json_number(&j, "other_lines", t->refs->other_lines);
    if (w->table) {
        json_table(&j, w->table);
    }
    json_array(&j, "frames");
    for (unsigned s = 0; s < w->sizes; s++) {
        json_number(&j, NULL, w->frames[s]);
    }
    json_end(&j);
    json_array(&j, "policies");
    for (unsigned p = 0; p < w->policies; p++) {
        json_object(&j, NULL);
        json_text(&j, "name", curves_policy_name(w->policy[p]));
        json_array(&j, "misses");
        for (unsigned s = 0; s < w->sizes; s++) {
            json_number(&j, NULL, tell_cell(t, p, s)->misses);
        }
        json_end(&j);
        json_real(&j, "mean_miss_ratio", tell_mean(t, p));
        if (w->table) {
            json_translated(&j, t, p);
        }
        json_end(&j);
    }
    json_end(&j);
    json_end(&j);
    fputc('\n', to);
}
