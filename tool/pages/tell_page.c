/* pages/tell_page.c - the curves as a page: one HTML file without scripts, that opens from disk, light or dark, wide or narrow.
 *
 *   x: frames, each power of two as far from the next; y: misses of 100 references, from nothing or, where they become few, by
 *   powers; a line a policy, in a colour and a
 *   pattern of dashes of its own, that its box in the legend takes away
 *
 * It is drawn twice, for wide and for narrow windows, as type does not shrink with a picture.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "pages/tell.h"
#include "words.h"

/* Of each policy, as curves.h counts them: what is the same for those who tell colours apart and those who do not. */
static const struct {
    const char *light, *dark, *dashes;
} looks[CURVES_POLICIES] = {
    [ALLOT_GRADUAL] = {"#14639e", "#6cb2ea", ""},     [ALLOT_FIFO] = {"#8a8f96", "#8b949e", "2 3"},
    [ALLOT_LRU] = {"#b83a10", "#f58a5e", "7 3"},      [ALLOT_CLOCK] = {"#9a6b00", "#dcb24d", "7 3 2 3"},
    [ALLOT_SIEVE] = {"#0c6b5f", "#58c2ae", "12 3"},   [ALLOT_S3FIFO] = {"#a3277f", "#f08fd0", "4 2"},
    [ALLOT_ARC] = {"#5b4bb7", "#a99cf5", "12 3 2 3"}, [CURVES_OPT] = {"#1c2127", "#e7e9ec", "1 4"},
};

static const char style[] =
    ":root{color-scheme:light dark;--page:light-dark(#f6f6f3,#121519);--panel:light-dark(#fff,#1a1e24);"
    "--line:light-dark(#e3e2dc,#2c323a);--ink:light-dark(#1c2127,#e7e9ec);--quiet:light-dark(#626a73,#9aa3ad);"
    "--best:light-dark(#e4eff8,#1d3346)}\n"
    "*{box-sizing:border-box}html{font:14px/1.45 ui-sans-serif,system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',"
    "'Liberation Sans',sans-serif;background:var(--page);color:var(--ink);-webkit-text-size-adjust:100%}\n"
    "body{margin:0 auto;max-width:1080px;padding:14px 16px 40px;font-variant-numeric:tabular-nums}\n"
    "h1{font-size:20px;margin:6px 0 2px;overflow-wrap:anywhere}h2{font-size:15px;margin:26px 0 8px}p{margin:0 0 8px}"
    ".quiet{color:var(--quiet)}\n"
    "figure{margin:14px 0;padding:12px;background:var(--panel);border:1px solid var(--line);border-radius:12px}\n"
    "figure svg{display:block;width:100%;height:auto}svg text{fill:var(--quiet);font-size:12px}"
    "svg .grid{stroke:var(--line);stroke-width:1}svg polyline{fill:none;stroke-width:2;stroke-linejoin:round;"
    "stroke-linecap:round}svg .floor{stroke:var(--quiet);stroke-width:1;stroke-dasharray:3 4}\n"
    ".narrow{display:none!important}@media(max-width:640px){.narrow{display:block!important}.wide{display:none"
    "!important}body{padding:8px 10px 30px}figure{padding:8px 6px}}\n"
    ".legend{display:flex;flex-wrap:wrap;gap:2px 6px;margin:0;padding:0 4px 8px}.legend label{display:flex;"
    "align-items:center;gap:6px;padding:5px 8px;min-height:32px;border-radius:8px;cursor:pointer;white-space:nowrap}"
    ".legend label:hover{background:var(--page)}.legend input{margin:0}.legend svg{width:34px!important;height:10px}\n"
    ".rows{overflow-x:auto;background:var(--panel);border:1px solid var(--line);border-radius:12px}\n"
    "table{border-collapse:separate;border-spacing:0;width:100%}th,td{text-align:right;padding:4px "
    "10px;white-space:nowrap;"
    "border-bottom:1px solid var(--line)}tr:last-child td,tr:last-child th{border-bottom:0}th{font-weight:600}"
    "thead th{color:var(--quiet)}th:first-child{position:sticky;left:0;background:var(--panel)}"
    "td.best{background:var(--best);font-weight:650}\n";

static void put_escaped(FILE *to, const char *text)
{
    size_t length;
    for (; *text; text += length) {
        int32_t point = words_decode(text, &length);
        if (!words_printable(point)) {
            fputc('?', to);
        } else if (strchr("<>&\"'", *text)) {
            fprintf(to, "&#%d;", *text);
        } else {
            fwrite(text, 1, length, to);
        }
    }
}

/* -- the picture -- */

struct plot {
    double width, height, left, right, top, bottom; /* of the picture; where the plane lies in it */
    double from, to;                                /* logarithms of frames */
    double least, most;                             /* misses of `unit` references, where the axis begins and ends */
    double unit;
    bool small; /* some are so much smaller that they are seen on a logarithmic axis only: least is above 0 */
};

#define SPREAD 12

static double x_of(const struct plot *p, double frames)
{
    double part = p->to > p->from ? (log2(frames) - p->from) / (p->to - p->from) : 0.5;
    return p->left + part * (p->right - p->left);
}

static double y_of(const struct plot *p, double misses)
{
    double part = p->small ? log(misses / p->least) / log(p->most / p->least) : misses / p->most;
    return p->bottom - part * (p->bottom - p->top);
}

/* The tick after that one: 1, 2, 5, 10 ... on a logarithmic axis, else as far as from 0 to the first. */
static double next_tick(const struct plot *p, double tick)
{
    if (!p->small) {
        double step = pow(10, floor(log10(p->most * 1.0001)));
        return tick + (p->most > step * 4.9 ? step : p->most > step * 1.9 ? step / 2 : step / 5);
    }
    double ten = pow(10, floor(log10(tick * 1.0001))), lead = tick / ten;
    return ten * (lead < 1.5 ? 2 : lead < 3 ? 5 : 10);
}

static struct plot plan(const struct tell *t, double width, double height)
{
    const struct curves_wanted *w = t->wanted;
    struct plot p = {.width = width,
                     .height = height,
                     .left = 52,
                     .right = width - 14,
                     .top = 22,
                     .bottom = height - 42,
                     .from = log2(w->frames[0]),
                     .to = log2(w->frames[w->sizes - 1]),
                     .least = INFINITY,
                     .unit = tell_unit(t)};
    for (unsigned i = 0; i < w->policies * w->sizes; i++) {
        double misses = p.unit * (double)t->cell[i].misses / (double)t->refs->references;
        p.least = fmin(p.least, misses);
        p.most = fmax(p.most, misses);
    }
    double least = p.least, most = p.most, tick;
    p.small = most > SPREAD * least;
    p.least = p.small ? pow(10, floor(log10(least))) : 0;
    if (p.small) {
        for (; (tick = next_tick(&p, p.least)) <= least; p.least = tick) {
        }
    }
    for (tick = p.least; tick < most * 0.9999; tick = next_tick(&p, tick)) {
    }
    p.most = tick;
    return p;
}

static void draw_grid(FILE *to, const struct plot *p)
{
    for (double tick = p->least; tick <= p->most * 1.0001; tick = next_tick(p, tick)) {
        double y = y_of(p, tick);
        fprintf(to,
                "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>"
                "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">%.7g</text>\n",
                p->left, p->right, y, y, p->left - 7, y + 4, tick);
    }
    /* As many sizes named as there is room for, at powers of two. */
    int step = 1 + (int)((p->to - p->from) * 62 / (p->right - p->left));
    for (int power = (int)ceil(p->from - 1e-9); power <= p->to + 1e-9; power += step) {
        double x = x_of(p, exp2(power));
        fprintf(to,
                "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>"
                "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n",
                x, x, p->top, p->bottom, x, p->bottom + 17, words_count((uint64_t)1 << power).text);
    }
    fprintf(to,
            "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"end\">frames</text>"
            "<text x=\"%.1f\" y=\"12\">misses of %s references</text>\n",
            p->right, p->bottom + 35, p->left, words_count((uint64_t)p->unit).text);
}

static void draw_line(FILE *to, const struct plot *p, const struct tell *t, unsigned policy)
{
    const struct curves_wanted *w = t->wanted;
    unsigned kind = w->policy[policy];
    const char *name = curves_policy_name(kind);
    fprintf(to, "<g class=\"p%u\"><polyline stroke=\"var(--p%u)\" stroke-dasharray=\"%s\" points=\"", kind, kind,
            looks[kind].dashes);
    for (unsigned s = 0; s < w->sizes; s++) {
        fprintf(to, "%.1f,%.1f ", x_of(p, w->frames[s]), y_of(p, p->unit * tell_ratio(t, policy, s)));
    }
    fprintf(to, "\"/>\n");
    for (unsigned s = 0; s < w->sizes; s++) {
        double misses = p->unit * tell_ratio(t, policy, s);
        fprintf(to, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.6\" fill=\"var(--p%u)\"><title>", x_of(p, w->frames[s]),
                y_of(p, misses), kind);
        fprintf(to, "%s, %s frames: %s misses, ", name, words_count(w->frames[s]).text,
                words_count(tell_cell(t, policy, s)->misses).text);
        fprintf(to, "%.4g of %s references</title></circle>\n", misses, words_count((uint64_t)p->unit).text);
    }
    fprintf(to, "</g>\n");
}

static void draw(FILE *to, const struct tell *t, const char *class, double width, double height)
{
    struct plot p = plan(t, width, height);
    fprintf(to,
            "<svg class=\"%s\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"Misses by frames, a line for each "
            "policy; the table below has the figures\">\n",
            class, width, height);
    draw_grid(to, &p);
    double once = p.unit * t->refs->ids.count / (double)t->refs->references, y = y_of(&p, once);
    if (once >= p.least) {
        fprintf(to,
                "<g><line class=\"floor\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>"
                "<text x=\"%.1f\" y=\"%.1f\">each page once</text></g>\n",
                p.left, p.right, y, y, p.left + 6, y - 5);
    }
    for (unsigned i = t->wanted->policies; i-- > 0;) {
        draw_line(to, &p, t, i);
    }
    fprintf(to, "</svg>\n");
}

/* -- what is around it -- */

/* Who is best, in a sentence. */
static void put_verdict(FILE *to, const struct tell *t)
{
    const struct curves_wanted *w = t->wanted;
    unsigned unit = tell_unit(t);
    for (unsigned i = 0; i < w->policies; i++) {
        if (tell_best_mean(t, i)) {
            fprintf(to, "<p>Over these sizes <b>%s</b> misses least: %.4g of %s references, in the geometric mean",
                    curves_policy_name(w->policy[i]), unit * tell_mean(t, i), words_count(unit).text);
            break;
        }
    }
    for (unsigned i = 0; i < w->policies; i++) {
        if (w->policy[i] == CURVES_OPT && w->policies > 1) {
            fprintf(to, "; %.4g is the least possible", unit * tell_mean(t, i));
        }
    }
    if (w->policies > 1 || w->policy[0] != CURVES_OPT) {
        fprintf(to, ".</p>\n");
    }
}

static void put_legend(FILE *to, const struct tell *t)
{
    const struct curves_wanted *w = t->wanted;
    fprintf(to, "<div class=\"legend\">\n");
    for (unsigned i = 0; i < w->policies; i++) {
        unsigned kind = w->policy[i];
        fprintf(to,
                "<label><input type=\"checkbox\" checked id=\"show%u\"><svg viewBox=\"0 0 34 10\" aria-hidden=\"true\">"
                "<polyline stroke=\"var(--p%u)\" stroke-dasharray=\"%s\" points=\"2,5 32,5\"/></svg>%s</label>\n",
                kind, kind, looks[kind].dashes,
                kind == CURVES_OPT ? "opt, the least possible" : curves_policy_name(kind));
    }
    fprintf(to, "</div>\n");
}

static void put_misses(FILE *to, double misses, bool best)
{
    fprintf(to, "<td%s>%.*f</td>", best ? " class=\"best\"" : "", misses < 0.9995 ? 4 : misses < 9.995 ? 3 : 2, misses);
}

static void put_table(FILE *to, const struct tell *t)
{
    const struct curves_wanted *w = t->wanted;
    unsigned unit = tell_unit(t);
    fprintf(to,
            "<h2>Misses of %s references</h2>\n<div class=\"rows\" "
            "tabindex=\"0\"><table><thead><tr><th>frames</th><th>%% of "
            "pages</th>",
            words_count(unit).text);
    for (unsigned i = 0; i < w->policies; i++) {
        fprintf(to, "<th>%s</th>", curves_policy_name(w->policy[i]));
    }
    fprintf(to, "</tr></thead>\n<tbody>\n");
    for (unsigned s = 0; s < w->sizes; s++) {
        fprintf(to, "<tr><th>%s</th><td>%.3g</td>", words_count(w->frames[s]).text,
                100.0 * w->frames[s] / t->refs->ids.count);
        for (unsigned i = 0; i < w->policies; i++) {
            put_misses(to, unit * tell_ratio(t, i, s), tell_best(t, i, s));
        }
        fprintf(to, "</tr>\n");
    }
    fprintf(to, "<tr><th>mean</th><td>geometric</td>");
    for (unsigned i = 0; i < w->policies; i++) {
        put_misses(to, unit * tell_mean(t, i), tell_best_mean(t, i));
    }
    fprintf(to, "</tr>\n</tbody></table></div>\n");
}

static void put_translation(FILE *to, const struct tell *t)
{
    const struct curves_wanted *w = t->wanted;
    unsigned translated = tell_translated(t);
    fprintf(to, "<h2>Translation, with %s</h2>\n<p class=\"quiet\">Pages of %s, a page table of ",
            curves_policy_name(w->policy[translated]), words_bytes((uint64_t)1 << w->table->shape.page_shift).text);
    tell_shape(to, w->table);
    fprintf(to, ", %s of nodes; a TLB of %u entries, %u ways.</p>\n", words_bytes(w->table->bytes).text,
            w->table->shape.entries, w->table->shape.ways);
    fprintf(
        to,
        "<div class=\"rows\" tabindex=\"0\"><table><thead><tr><th>frames</th><th>TLB hits</th><th>walks</th><th>table "
        "reads</th><th>faults</th></tr></thead>\n<tbody>\n");
    for (unsigned s = 0; s < w->sizes; s++) {
        const struct translate_counts *c = &tell_cell(t, translated, s)->translated;
        fprintf(to, "<tr><th>%s</th><td>%s</td><td>%s</td>", words_count(w->frames[s]).text, words_count(c->hits).text,
                words_count(c->walks).text);
        fprintf(to, "<td>%s</td><td>%s</td></tr>\n", words_count(c->reads).text, words_count(c->faults).text);
    }
    fprintf(to, "</tbody></table></div>\n");
}

void tell_page(FILE *to, const struct tell *t)
{
    const struct curves_wanted *w = t->wanted;
    fprintf(to, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
                "content=\"width=device-width,initial-scale=1\"><title>Pages of ");
    put_escaped(to, t->name);
    fprintf(to, "</title>\n<style>\n%s:root{", style);
    for (unsigned i = 0; i < w->policies; i++) {
        unsigned kind = w->policy[i];
        fprintf(to, "--p%u:light-dark(%s,%s);", kind, looks[kind].light, looks[kind].dark);
    }
    fprintf(to, "}\n");
    for (unsigned i = 0; i < w->policies; i++) {
        fprintf(to, "figure:has(#show%u:not(:checked)) .p%u{display:none}\n", w->policy[i], w->policy[i]);
    }
    fprintf(to, "</style></head>\n<body>\n<h1>");
    put_escaped(to, t->name);
    fprintf(to, "</h1>\n<p class=\"quiet\">%s references%s", words_count(t->refs->references).text,
            t->refs->window ? ", " : " ");
    if (t->refs->window) {
        fprintf(to, "%s of them kept with a window of %u, ", words_count(t->refs->kept.count).text, t->refs->window);
    }
    fprintf(to, "to %s pages; %s</p>\n", words_count(t->refs->ids.count).text, refs_format_words(t->refs->format));
    put_verdict(to, t);
    fprintf(to, "<figure>\n");
    put_legend(to, t);
    draw(to, t, "wide", 1020, 460);
    draw(to, t, "narrow", 356, 340);
    fprintf(to, "</figure>\n");
    put_table(to, t);
    if (w->table) {
        put_translation(to, t);
    }
    fprintf(to, "<p class=\"quiet\">allot pages %s</p>\n</body></html>\n", ALLOT_VERSION);
}
