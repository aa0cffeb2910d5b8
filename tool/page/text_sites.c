/* See text.h: sites by any of their figures, and what leaks. */
#include <stdio.h>
#include <stdlib.h>

#include "leaks_print.h"
#include "page/text.h"
#include "snapshot/ways.h"

#define SPARKS  24
#define CALLERS 4

static struct {
    const struct page *page;
    enum measure by;
} order;

static int by_measure(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    uint64_t of_x = measure_of(&order.page->site[x], order.by), of_y = measure_of(&order.page->site[y], order.by);
    return of_x != of_y ? (of_x < of_y ? 1 : -1) : (x > y) - (x < y);
}

/* Who called the site's place: nodes further out. */
static void put_callers(const struct page *page, const struct page_site *s)
{
    const struct catalogue *c = &page->catalogue;
    uint32_t node = s->node;
    while (node && c->node[node].frame != s->place) {
        node = c->node[node].parent;
    }
    node = c->node[node].parent;
    if (node == 0) {
        return;
    }
    printf("%s               ", text_dim());
    size_t column = 15;
    for (unsigned i = 0; i < CALLERS && node && column < text_width() - 20; i++, node = c->node[node].parent) {
        printf(" < ");
        column += 3 + text_frame(page, c->node[node].frame, text_width() - column - 3);
    }
    printf("%s\n", text_plain());
}

static void put_live(const struct page *page, uint32_t site)
{
    uint64_t live[PLAN_INTERVALS] = {0}, now = 0;
    uint32_t e = page->start[site], end = page->start[site + 1];
    for (uint32_t i = 0; i < page->plan.intervals; i++) {
        for (; e < end && page->entry[e].interval <= i; e++) {
            now = page->entry[e].live_bytes;
        }
        live[i] = now;
    }
    text_sparks(live, page->plan.intervals, SPARKS);
}

void text_sites(const struct page *page, const struct text_wanted *wanted)
{
    const struct measured *by = &measures[wanted->by];
    uint32_t *site = malloc(((size_t)page->sites + 1) * sizeof *site), count = 0;
    uint64_t all = 0;
    for (uint32_t i = 0; site && i < page->sites; i++) {
        uint64_t of = measure_of(&page->site[i], wanted->by);
        all += of;
        if (of > 0) {
            site[count++] = i;
        }
    }
    order.page = page;
    order.by = wanted->by;
    if (count > 0) {
        qsort(site, count, sizeof *site, by_measure);
    }
    text_heading(by->title);
    printf("%12s    share       allocs   left bytes  %-*s  from\n", by->name, SPARKS, "live over time");
    for (uint32_t i = 0; i < count && (wanted->top == 0 || i < wanted->top); i++) {
        const struct page_site *s = &page->site[site[i]];
        uint64_t of = measure_of(s, wanted->by);
        printf("%12s %8s %12s %12s  ", text_measure(by, of).text, words_percent(of, all).text,
               words_count(s->sum.allocs).text, words_bytes(s->sum.left_bytes).text);
        put_live(page, site[i]);
        printf("%*s  %s", page->plan.intervals < SPARKS ? (int)(SPARKS - page->plan.intervals) : 0, "", text_bold());
        text_frame(page, s->place, text_width() - 78);
        printf("%s\n", text_plain());
        put_callers(page, s);
    }
    if (wanted->top && count > wanted->top) {
        printf("  and %zu more\n", count - wanted->top);
    }
    free(site);
}

void text_leaks(const struct page *page, const struct text_wanted *wanted)
{
    static const char *const verdicts[] = {
        [GRAPH_UNKNOWN] = "never freed", [GRAPH_REACHABLE] = "reachable", [GRAPH_THREAD_ONLY] = "thread-only",
        [GRAPH_POSSIBLE] = "possible",   [GRAPH_INDIRECT] = "indirect",   [GRAPH_DEFINITE] = "definite"};
    text_heading("What was live at the end");
    if (page->leaks == 0) {
        printf("nothing\n");
        return;
    }
    printf("verdict             bytes       blocks     retained  from\n");
    for (uint32_t i = 0; i < page->leaks && (wanted->top == 0 || i < wanted->top); i++) {
        const struct page_leak *leak = &page->leak[i];
        printf("%-12s %12s %12s %12s  %s", verdicts[leak->verdict], words_bytes(leak->bytes).text,
               words_count(leak->blocks).text, leak->retained ? words_bytes(leak->retained).text : "-", text_bold());
        if (leak->site != PAGE_NOBODY) {
            text_frame(page, page->site[leak->site].place, text_width() - 54);
        } else {
            words_put(stdout, leak->from && leak->from->type ? leak->from->type : "(not known)", text_width() - 54);
        }
        printf("%s\n", text_plain());
        if (leak->site != PAGE_NOBODY) {
            put_callers(page, &page->site[leak->site]);
        }
        const char *path = leak->from ? leak->from->path : leak->way ? leak->way->way : NULL;
        if (path) {
            printf("                held by ");
            words_put(stdout, path, text_width() - 24);
            putchar('\n');
        }
    }
    if (wanted->top && page->leaks > wanted->top) {
        printf("  and %zu more\n", page->leaks - wanted->top);
    }
}
